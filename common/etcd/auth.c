/* Logging in where etcd asks who calls: one token for all calls, asked for when there is none, dropped when etcd
 * refuses it. Neither it nor the password is ever in a log or an error. */
#include "common/etcd/internal.h"

#include <string.h>

enum { BODY_MAX = 65536 };

size_t tf_etcd_token_header(const char *token, struct tf_http_header *ret_header)
{
    *ret_header = (struct tf_http_header){"Authorization", token};
    return *token ? 1 : 0;
}

/* It travels as a header's value. */
static bool is_token(const char *text)
{
    size_t n = strlen(text);

    if (n == 0 || n >= TF_ETCD_TOKEN_MAX) return false;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~') return false;
    return true;
}

static tf_code log_in(tf_ctx *ctx, tf_etcd *etcd, char ret_token[static TF_ETCD_TOKEN_MAX])
{
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;
    tf_cleanup(tf_buf_done) tf_buf body;
    tf_json_writer w = {.out = &body};
    const char *token;
    tf_code code;

    tf_buf_init(&body, BODY_MAX);
    tf_json_begin_object(&w);
    tf_json_key(&w, "name");
    tf_json_put_string(&w, etcd->user);
    tf_json_key(&w, "password");
    tf_json_put_string(&w, etcd->password);
    tf_json_end_object(&w);
    code = tf_etcd_post(ctx, etcd, "auth/authenticate", &body, "", &answer);
    if (body.data) explicit_bzero(body.data, body.capacity);
    if (code == TF_STATE_WRONG) { /* it asks nobody: authentication is not enabled there */
        tf_error_clear(ctx);
        ret_token[0] = '\0';
        return TF_OK;
    }
    if (code) return code;

    token = tf_json_string(tf_json_get(answer, "token"), "");
    if (!is_token(token)) return tf_fail(ctx, TF_STORE_DOWN, "etcd auth/authenticate: the answer has no token");
    memcpy(ret_token, token, strlen(token) + 1);
    return TF_OK;
}

tf_code tf_etcd_token(tf_ctx *ctx, tf_etcd *etcd, char ret_token[static TF_ETCD_TOKEN_MAX])
{
    bool has;
    tf_code code;

    ret_token[0] = '\0';
    if (!etcd->user) return TF_OK;
    pthread_mutex_lock(&etcd->token_lock);
    has = etcd->has_token;
    if (has) memcpy(ret_token, etcd->token, strlen(etcd->token) + 1);
    pthread_mutex_unlock(&etcd->token_lock);
    if (has) return TF_OK;

    code = log_in(ctx, etcd, ret_token); /* by several threads at once perhaps: each one's token is as good */
    if (code) return code;
    pthread_mutex_lock(&etcd->token_lock);
    memcpy(etcd->token, ret_token, strlen(ret_token) + 1);
    etcd->has_token = true;
    pthread_mutex_unlock(&etcd->token_lock);
    return TF_OK;
}

void tf_etcd_token_refused(tf_etcd *etcd, const char *token)
{
    pthread_mutex_lock(&etcd->token_lock);
    if (strcmp(etcd->token, token) == 0) etcd->has_token = false; /* else another thread has a newer one */
    pthread_mutex_unlock(&etcd->token_lock);
}
