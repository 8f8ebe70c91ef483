/* The sandbox provider's adapter: signed JSON over HTTP. */
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/crypto/crypto.h"
#include "common/http/client.h"
#include "common/json/json.h"
#include "sandbox/signature.h"
#include "services/pay/config.h"
#include "services/pay/providers/provider.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 4096, ANSWER_MAX = 1 << 20 };

static struct sandbox_key key;
static tf_http_client *client;

/* One signed call; *ret_document is to be freed by the caller, NULL when the answer is not JSON. */
static tf_code call(tf_ctx *ctx, const char *method, const char *path, const tf_buf *body, int *ret_status,
                    tf_json **ret_document)
{
    struct tf_http_header headers[] = {{"Content-Type", "application/json"}, {"Sandbox-Signature", NULL}};
    struct tf_http_call request = {.method = method,
                                   .headers = headers,
                                   .n_headers = TF_COUNT(headers),
                                   .answer_max = ANSWER_MAX,
                                   .idempotent = true};
    struct tf_http_answer answer;
    int64_t deadline = ctx->deadline_us;
    const char *error;
    tf_code code;

    if (body) {
        if (body->broken) return tf_fail(ctx, TF_INTERNAL, "call to the provider too large");
        request.body = body->data;
        request.size = body->size;
    }
    request.url = tf_arena_printf(ctx->arena, "%s%s", pay_config.sandbox_url, path);
    headers[1].value = sandbox_sign(ctx->arena, &key, ctx->clock->wall_us(ctx->clock) / TF_US_PER_S,
                                    tf_arena_printf(ctx->arena, "%s %s\n", method, path), request.body, request.size);
    if (!request.url || !headers[1].value) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    ctx->deadline_us =
        TF_MIN(deadline, ctx->clock->mono_us(ctx->clock) + pay_config.provider_timeout_ms * TF_US_PER_MS);
    code = tf_http_perform(ctx, client, &request, &answer);
    ctx->deadline_us = deadline;
    if (code) {
        tf_error_clear(ctx);
        tf_error_retry_after(ctx, 1000);
        return tf_fail(ctx, TF_PROVIDER_DOWN, "sandbox: no answer (%s)", tf_code_info(code)->reason);
    }
    *ret_status = answer.status;
    *ret_document = tf_json_parse(ctx->arena, answer.body, answer.size, 8, &error);
    if (answer.status >= 500) {
        tf_json_free(TF_TAKE(*ret_document));
        return tf_fail(ctx, TF_PROVIDER_DOWN, "sandbox answered %d", answer.status);
    }
    return TF_OK;
}

static tf_code not_understood(tf_ctx *ctx, int status)
{
    return tf_fail(ctx, TF_PROVIDER_DOWN, "sandbox answered %d, not understood", status);
}

static tf_code read_charge(tf_ctx *ctx, const tf_json *j, struct charge_answer *out)
{
    const char *state = tf_json_string(tf_json_get(j, "state"), "");

    *out = (struct charge_answer){
        .provider_no = tf_arena_strdup(ctx->arena, tf_json_string(tf_json_get(j, "provider_no"), NULL)),
        .pay_url = tf_arena_strdup(ctx->arena, tf_json_string(tf_json_get(j, "pay_url"), NULL)),
        .amount_minor = tf_json_int(tf_json_get(j, "amount_minor"), 0),
        .currency = tf_arena_strdup(ctx->arena, tf_json_string(tf_json_get(j, "currency"), "")),
        .paid_at = tf_json_int(tf_json_get(j, "paid_ms"), 0) * TF_US_PER_MS,
    };
    if (strcmp(state, "WAITING") == 0 || strcmp(state, "IN_FLIGHT") == 0)
        out->outcome = CHARGE_OPEN;
    else if (strcmp(state, "SUCCEEDED") == 0)
        out->outcome = CHARGE_PAID;
    else if (strcmp(state, "CLOSED") == 0)
        out->outcome = CHARGE_CLOSED;
    else
        return not_understood(ctx, 200);
    return TF_OK;
}

/* A call whose answer is a charge. */
static tf_code charge_call(tf_ctx *ctx, const char *method, const char *path, const tf_buf *body,
                           struct charge_answer *out)
{
    tf_cleanup(tf_json_freep) tf_json *document = NULL;
    int status;
    tf_code code;

    code = call(ctx, method, path, body, &status, &document);
    if (code) return code;
    if (status == 404) {
        *out = (struct charge_answer){.outcome = CHARGE_UNKNOWN};
        return TF_OK;
    }
    if (status != 200) return not_understood(ctx, status);
    return read_charge(ctx, document, out);
}

static tf_code sandbox_create(tf_ctx *ctx, const struct charge_request *r, struct charge_answer *out)
{
    tf_cleanup(tf_buf_done) tf_buf body;
    tf_json_writer w = {.out = &body};

    tf_buf_init(&body, BODY_MAX);
    tf_json_begin_object(&w);
    tf_json_key(&w, "charge_id");
    tf_json_put_int_string(&w, r->payment_id);
    tf_json_key(&w, "amount_minor");
    tf_json_put_int(&w, r->amount_minor);
    tf_json_key(&w, "currency");
    tf_json_put_string(&w, r->currency);
    tf_json_key(&w, "subject");
    tf_json_put_string(&w, r->subject);
    tf_json_key(&w, "notify_url");
    tf_json_put_string(&w, tf_arena_printf(ctx->arena, "%s/v1/payments/notify/sandbox", pay_config.notify_url));
    tf_json_key(&w, "expires_ms");
    tf_json_put_int(&w, r->expires_at / TF_US_PER_MS);
    tf_json_end_object(&w);
    return charge_call(ctx, "POST", "/charges", &body, out);
}

static tf_code sandbox_query(tf_ctx *ctx, int64_t payment_id, struct charge_answer *out)
{
    char path[64];

    snprintf(path, sizeof path, "/charges/%" PRId64, payment_id);
    return charge_call(ctx, "GET", path, NULL, out);
}

static tf_code sandbox_close(tf_ctx *ctx, int64_t payment_id, struct charge_answer *out)
{
    char path[64];

    snprintf(path, sizeof path, "/charges/%" PRId64 ":close", payment_id);
    return charge_call(ctx, "POST", path, NULL, out);
}

static tf_code sandbox_refund(tf_ctx *ctx, int64_t refund_id, int64_t payment_id, int64_t amount_minor,
                              enum refund_outcome *ret_outcome, const char **ret_cause)
{
    tf_cleanup(tf_json_freep) tf_json *document = NULL;
    tf_cleanup(tf_buf_done) tf_buf body;
    tf_json_writer w = {.out = &body};
    int status;
    tf_code code;

    tf_buf_init(&body, BODY_MAX);
    tf_json_begin_object(&w);
    tf_json_key(&w, "refund_id");
    tf_json_put_int_string(&w, refund_id);
    tf_json_key(&w, "charge_id");
    tf_json_put_int_string(&w, payment_id);
    tf_json_key(&w, "amount_minor");
    tf_json_put_int(&w, amount_minor);
    tf_json_end_object(&w);
    code = call(ctx, "POST", "/refunds", &body, &status, &document);
    if (code) return code;

    *ret_outcome = status == 200 ? REFUND_DONE : REFUND_REFUSED;
    *ret_cause = status == 200 ? NULL
                               : tf_arena_printf(ctx->arena, "the provider refused: %s",
                                                 tf_json_string(tf_json_get(document, "error"), "no reason given"));
    return TF_OK;
}

static const char *header_of(const RawBody *notification, const char *name)
{
    for (size_t i = 0; i < notification->n_headers; i++)
        if (strcmp(notification->headers[i]->name, name) == 0) return notification->headers[i]->value;
    return NULL;
}

static tf_code sandbox_verify_notice(tf_ctx *ctx, const RawBody *n, struct provider_notice *out)
{
    tf_cleanup(tf_json_freep) tf_json *j = NULL;
    const char *error;

    if (!sandbox_verify(&key, header_of(n, "sandbox-signature"), ctx->clock->wall_us(ctx->clock) / TF_US_PER_S, NULL,
                        n->data.data, n->data.len))
        return tf_fail(ctx, TF_UNAUTHENTICATED, "sandbox: notification with a wrong signature");
    j = tf_json_parse(ctx->arena, (const char *)n->data.data, n->data.len, 4, &error);
    if (!j || strcmp(tf_json_string(tf_json_get(j, "type"), ""), "charge.succeeded") != 0 ||
        !tf_parse_int64(tf_json_string(tf_json_get(j, "charge_id"), ""), &out->payment_id) || out->payment_id <= 0)
        return tf_fail_field(ctx, "notification", "not a notification of ours");
    out->charge = (struct charge_answer){
        .outcome = CHARGE_PAID,
        .provider_no = tf_arena_strdup(ctx->arena, tf_json_string(tf_json_get(j, "provider_no"), NULL)),
        .amount_minor = tf_json_int(tf_json_get(j, "amount_minor"), 0),
        .currency = tf_arena_strdup(ctx->arena, tf_json_string(tf_json_get(j, "currency"), "")),
        .paid_at = tf_json_int(tf_json_get(j, "paid_ms"), 0) * TF_US_PER_MS,
    };
    return TF_OK;
}

static const struct provider sandbox = {
    .method = "sandbox",
    .name_en = "Sandbox bank",
    .name_zh = "沙箱银行",
    .create = sandbox_create,
    .query = sandbox_query,
    .close = sandbox_close,
    .refund = sandbox_refund,
    .verify = sandbox_verify_notice,
    .acknowledgement = "{\"ok\":true}",
};

const struct provider *provider_at(size_t i)
{
    return i == 0 && *pay_config.sandbox_url ? &sandbox : NULL;
}

const struct provider *provider_find(const char *method)
{
    const struct provider *p;

    for (size_t i = 0; (p = provider_at(i)); i++)
        if (!*method || strcmp(p->method, method) == 0) return p;
    return NULL;
}

tf_code providers_start(tf_ctx *ctx)
{
    if (!*pay_config.sandbox_url) return TF_OK;
    client = tf_http_client_new();
    if (!client) return tf_fail(ctx, TF_INTERNAL, "no HTTP client");
    return tf_key_read(ctx, pay_config.sandbox_key_file, 32, key.bytes, sizeof key.bytes, &key.size);
}

void providers_stop(void)
{
    tf_http_client_free(TF_TAKE(client));
    tf_wipe(&key, sizeof key);
}
