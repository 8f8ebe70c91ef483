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

/* SUBJECT_MAX: what the provider's page takes, in bytes. ANSWER_MAX is far above any answer to one call. */
enum { BODY_MAX = 4096, ANSWER_MAX = 64 << 10, SUBJECT_MAX = 180, PROVIDER_NO_MAX = 64, PAY_URL_MAX = 1000 };

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
        tf_fail(ctx, TF_PROVIDER_DOWN, "sandbox: no answer (%s)", tf_code_info(code)->reason);
        tf_error_retry_after(ctx, 1000);
        return TF_PROVIDER_DOWN;
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

/* A short text of the provider's, in the arena; NULL when absent or longer than anything it says rightly. */
static const char *read_text(tf_ctx *ctx, const tf_json *j, const char *name, size_t max)
{
    const char *text = tf_json_string(tf_json_get(j, name), NULL);

    return text && strlen(text) <= max ? tf_arena_strdup(ctx->arena, text) : NULL;
}

/* A moment in Unix milliseconds; 0 when absent or out of this world. */
static tf_time read_time(const tf_json *j, const char *name)
{
    const int64_t year_9999 = 253402300799000;
    int64_t ms = tf_json_int(tf_json_get(j, name), 0);

    return ms > 0 && ms <= year_9999 ? ms * TF_US_PER_MS : 0;
}

/* What an answer and a notification say alike. */
static struct charge_answer read_money(tf_ctx *ctx, const tf_json *j, enum charge_outcome outcome)
{
    const char *currency = read_text(ctx, j, "currency", 3);

    return (struct charge_answer){
        .outcome = outcome,
        .provider_no = read_text(ctx, j, "provider_no", PROVIDER_NO_MAX),
        .pay_url = read_text(ctx, j, "pay_url", PAY_URL_MAX),
        .amount_minor = tf_json_int(tf_json_get(j, "amount_minor"), 0),
        .currency = currency ? currency : "",
        .paid_at = read_time(j, "paid_ms"),
    };
}

static tf_code read_charge(tf_ctx *ctx, const tf_json *j, struct charge_answer *out)
{
    static const struct {
        const char *state;
        enum charge_outcome outcome;
    } states[] = {
        {"WAITING", CHARGE_OPEN}, {"IN_FLIGHT", CHARGE_OPEN}, {"SUCCEEDED", CHARGE_PAID}, {"CLOSED", CHARGE_CLOSED}};
    const char *state = tf_json_string(tf_json_get(j, "state"), "");

    for (size_t i = 0; i < TF_COUNT(states); i++)
        if (strcmp(state, states[i].state) == 0) {
            *out = read_money(ctx, j, states[i].outcome);
            if (out->outcome == CHARGE_PAID && (out->amount_minor <= 0 || !*out->currency))
                return not_understood(ctx, 200);
            return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
        }
    return not_understood(ctx, 200);
}

/* The provider's own word of refusal, not that of something between us. */
static bool says(const tf_json *document, const char *error)
{
    return strcmp(tf_json_string(tf_json_get(document, "error"), ""), error) == 0;
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
    if (status == 404 && says(document, "unknown")) {
        *out = (struct charge_answer){.outcome = CHARGE_UNKNOWN, .currency = ""};
        return TF_OK;
    }
    if (status != 200) return not_understood(ctx, status);
    return read_charge(ctx, document, out);
}

/* The subject within the provider's bound, cut between characters. */
static const char *subject_of(tf_ctx *ctx, const char *subject)
{
    size_t n = strlen(subject);

    if (n <= SUBJECT_MAX) return *subject ? subject : "-";
    for (n = SUBJECT_MAX; n > 0 && ((unsigned char)subject[n] & 0xc0) == 0x80;)
        n--;
    return tf_arena_strndup(ctx->arena, subject, n);
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
    tf_json_put_string(&w, subject_of(ctx, r->subject));
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

static bool refund_made(const tf_json *document)
{
    return strcmp(tf_json_string(tf_json_get(document, "state"), ""), "SUCCEEDED") == 0;
}

static tf_code sandbox_refund(tf_ctx *ctx, int64_t refund_id, int64_t payment_id, int64_t amount_minor,
                              enum refund_outcome *ret_outcome, const char **ret_cause)
{
    /* For good. Anything else (a wrong clock, a full disk) may pass: asked again. */
    static const char *const refusals[] = {"unknown", "conflict", "state", "field", "refused"};
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

    if (status == 200 && refund_made(document)) {
        *ret_outcome = REFUND_DONE;
        *ret_cause = NULL;
        return TF_OK;
    }
    for (size_t i = 0; i < TF_COUNT(refusals); i++)
        if (says(document, refusals[i])) {
            *ret_outcome = REFUND_REFUSED;
            *ret_cause = tf_arena_printf(ctx->arena, "the provider refused: %s", refusals[i]);
            return *ret_cause ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
        }
    return not_understood(ctx, status);
}

static tf_code sandbox_query_refund(tf_ctx *ctx, int64_t refund_id, enum refund_outcome *ret_outcome)
{
    tf_cleanup(tf_json_freep) tf_json *document = NULL;
    char path[64];
    int status;
    tf_code code;

    snprintf(path, sizeof path, "/refunds/%" PRId64, refund_id);
    code = call(ctx, "GET", path, NULL, &status, &document);
    if (code) return code;

    if (status == 200 && refund_made(document))
        *ret_outcome = REFUND_DONE;
    else if (status == 404 && says(document, "unknown"))
        *ret_outcome = REFUND_UNKNOWN;
    else
        return not_understood(ctx, status);
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
    out->charge = read_money(ctx, j, CHARGE_PAID);
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
}

static const struct provider sandbox = {
    .method = "sandbox",
    .name_en = "Sandbox bank",
    .name_zh = "沙箱银行",
    .create = sandbox_create,
    .query = sandbox_query,
    .close = sandbox_close,
    .refund = sandbox_refund,
    .query_refund = sandbox_query_refund,
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
    if (!*pay_config.notify_url) return tf_fail(ctx, TF_INTERNAL, "sandbox_url needs notify_url");
    client = tf_http_client_new();
    if (!client) return tf_fail(ctx, TF_INTERNAL, "no HTTP client");
    return tf_key_read(ctx, pay_config.sandbox_key_file, 32, key.bytes, sizeof key.bytes, &key.size);
}

void providers_stop(void)
{
    tf_http_client_free(TF_TAKE(client));
    tf_wipe(&key, sizeof key);
}
