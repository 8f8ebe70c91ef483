/* application/problem+json. */
#include "gateway/problem.h"

#include "common/base/macros.h"
#include "common/json/json.h"

#include <stdio.h>
#include <string.h>

/* Our own members: a parameter never replaces one. */
static const char *const reserved[] = {"type",  "title",      "status",    "reason",        "detail",
                                       "field", "request_id", "retryable", "retry_after_ms"};

static bool is_reserved(const char *name)
{
    for (size_t i = 0; i < TF_COUNT(reserved); i++)
        if (strcmp(reserved[i], name) == 0) return true;
    return false;
}

static void put_pair(tf_json_writer *w, const char *name, const char *value)
{
    tf_json_key(w, name);
    tf_json_put_string(w, value);
}

static void put_error(tf_json_writer *w, const struct tf_error *error)
{
    if (error->detail) put_pair(w, "detail", error->detail);
    if (error->field && *error->field) put_pair(w, "field", error->field);
    if (error->retry_after_ms > 0) {
        tf_json_key(w, "retry_after_ms");
        tf_json_put_int(w, error->retry_after_ms);
    }
    for (size_t i = 0; i < error->n_params; i++)
        if (!is_reserved(error->params[i].name)) put_pair(w, error->params[i].name, error->params[i].value);
}

void problem_write(tf_buf *out, tf_code code, const struct tf_error *error, const char *language,
                   const char *request_id)
{
    const struct tf_code_info *info = tf_code_info(code);
    tf_json_writer w = {.out = out};
    char type[128];

    snprintf(type, sizeof type, "/errors/%s", info->reason);
    tf_json_begin_object(&w);
    put_pair(&w, "type", type);
    put_pair(&w, "title", strcmp(language, "zh-CN") == 0 ? info->zh : info->en);
    tf_json_key(&w, "status");
    tf_json_put_int(&w, info->http_status);
    put_pair(&w, "reason", info->reason);
    put_pair(&w, "request_id", request_id);
    tf_json_key(&w, "retryable");
    tf_json_put_bool(&w, info->retry != TF_RETRY_NO);
    if (error->code == code && code != TF_INTERNAL) put_error(&w, error);
    tf_json_end_object(&w);
}

int problem_retry_after_s(tf_code code, const struct tf_error *error)
{
    const struct tf_code_info *info = tf_code_info(code);

    if (error->code == code && error->retry_after_ms > 0) return (error->retry_after_ms - 1) / 1000 + 1;
    return info->http_status == 429 || info->http_status == 503 ? 1 : 0;
}
