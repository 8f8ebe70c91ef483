/* Status, headers and body of every answer. */
#include "gateway/answer.h"

#include "common/base/macros.h"
#include "common/base/metrics.h"
#include "common/json/json.h"
#include "common/json/transcode.h"
#include "common/zip/zip.h"
#include "gateway/access_log.h"
#include "gateway/negotiate.h"
#include "gateway/problem.h"
#include "ticketflow/http/v1/body.tf.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
    HEADERS_MAX = 24,
    BODY_BYTES_MAX = 64 * 1024 * 1024,
    /* Answers are written, and compressed, on the rpc client's one poller, because a thread in between would cost a
     * wake-up for each. Measured (level 1, stream kept): 15 to 25 µs for 1 KB, 50 µs for 20 KB, where the poller needs
     * 50 µs for a whole answer of 1 KB. Answers that are larger than this as a message go to the workers. */
    POLLER_BYTES_MAX = 16 * 1024,
    /* JSON of these sizes is compressed for who takes it: below, the packet is as full either way; above, it would keep
     * a worker for long. While many requests are in flight all leave as they are. */
    JSON_GZIP_MIN = 1024,
    JSON_GZIP_MAX = 4 * 1024 * 1024,
    JSON_GZIP_IN_FLIGHT_MAX = 256,
    BUSY_RETRY_MS = 1000,
};

static tf_counter large = TF_COUNTER("tf_gateway_large_answers_total",
                                     "Answers for the workers: written, or refused because too many wait", "outcome");

static const char policy_default[] = "default-src 'none'; frame-ancestors 'none'";
/* An SVG is a document and could carry scripts: opened by itself it has no origin, no script, nothing from outside. */
static const char policy_picture[] = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

struct headers {
    struct tf_http_header all[HEADERS_MAX];
    size_t n;
};

static void put(struct headers *headers, const char *name, const char *value)
{
    TF_ASSERT(headers->n < HEADERS_MAX);
    headers->all[headers->n++] = (struct tf_http_header){name, value};
}

/* What every answer carries. */
static void put_common(struct headers *headers, const struct exchange *x, const char *policy)
{
    put(headers, "X-Request-Id", x->request_id);
    put(headers, "X-Content-Type-Options", "nosniff");
    put(headers, "Referrer-Policy", "no-referrer");
    put(headers, "Content-Security-Policy", policy);
    if (x->origin) {
        put(headers, "Access-Control-Allow-Origin", x->origin);
        put(headers, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After, ETag, Allow, WWW-Authenticate");
    }
}

/* What the answer depends on besides the path. */
static void put_vary(struct headers *headers, bool encoding)
{
    bool origin = gateway_config.cors_origins[0] != '\0';

    if (encoding)
        put(headers, "Vary", origin ? "Accept-Encoding, Origin" : "Accept-Encoding");
    else if (origin)
        put(headers, "Vary", "Origin");
}

static bool takes_gzip(const struct exchange *x)
{
    return gateway_accepts_gzip(tf_http_header_of(x->http, "Accept-Encoding"));
}

static void answer_overloaded(struct exchange *x, const char *internal)
{
    tf_code code = tf_fail(&x->ctx, TF_OVERLOADED, "%s", internal);

    tf_error_retry_after(&x->ctx, BUSY_RETRY_MS);
    answer_problem(x, code);
}

static void send(struct exchange *x, int status, const char *reason, const struct headers *headers, const void *body,
                 size_t size)
{
    if (status == 200 && !tf_http_reserve(x->http, size)) { /* problems are small: there is always room for them */
        answer_overloaded(x, "no memory left for the answer");
        return;
    }
    access_log(x, status, reason, size);
    tf_http_respond(x->http, status, headers->all, headers->n, body, size);
    exchange_end(x);
}

static void send_json(struct exchange *x, int status, const char *reason, struct headers *headers, const char *type,
                      const tf_buf *json)
{
    const void *data = json->data, *zip = NULL;
    size_t size = json->size, zipped;
    bool worth = size > JSON_GZIP_MIN && size <= JSON_GZIP_MAX &&
                 atomic_load_explicit(&x->gateway->in_flight, memory_order_relaxed) <= JSON_GZIP_IN_FLIGHT_MAX;

    put_common(headers, x, policy_default);
    put(headers, "Content-Type", type);
    put(headers, "Cache-Control", "no-store");
    put_vary(headers, true);
    /* Compression tells nobody anything (BREACH): a page of a stranger cannot make a browser send our bearer tokens. */
    if (worth && takes_gzip(x)) zip = tf_gzip(x->ctx.arena, data, size, TF_GZIP_FAST, &zipped);
    if (zip) {
        put(headers, "Content-Encoding", "gzip");
        data = zip;
        size = zipped;
    }
    send(x, status, reason, headers, data, size);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

void answer_problem(struct exchange *x, tf_code code)
{
    const struct tf_code_info *info = tf_code_info(code);
    int retry_after_s = problem_retry_after_s(code, &x->ctx.error);
    struct headers headers = {.n = 0};
    char seconds[16];
    tf_buf json;

    tf_buf_init(&json, BODY_BYTES_MAX);
    problem_write(&json, code, &x->ctx.error, x->ctx.language, x->request_id);
    put(&headers, "Content-Language", x->ctx.language);
    if (retry_after_s > 0) {
        snprintf(seconds, sizeof seconds, "%d", retry_after_s);
        put(&headers, "Retry-After", seconds);
    }
    if (info->http_status == 401)
        put(&headers, "WWW-Authenticate",
            x->token_bad ? "Bearer realm=\"ticketflow\", error=\"invalid_token\"" : "Bearer realm=\"ticketflow\"");
    if (code == TF_METHOD_NOT_ALLOWED) put(&headers, "Allow", x->match.allow);
    send_json(x, info->http_status, info->reason, &headers, "application/problem+json", &json);
    tf_buf_done(&json);
}

static void answer_failure(struct exchange *x, const char *internal)
{
    answer_problem(x, tf_fail(&x->ctx, TF_INTERNAL, "%s", internal));
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

static bool raw_is_fresh(const struct exchange *x, const RawBody *raw)
{
    return gateway_etag_matches(tf_http_header_of(x->http, "If-None-Match"), raw->etag);
}

static bool raw_is_gzip(const RawBody *raw)
{
    return strcmp(raw->content_encoding, "gzip") == 0;
}

/* Stored compressed, for a client that does not take it so and does not have it. */
static bool raw_is_unpacked(const struct exchange *x, const RawBody *raw)
{
    return raw_is_gzip(raw) && !raw_is_fresh(x, raw) && !takes_gzip(x);
}

/* The bytes as this client can read them, and whether they are still compressed. */
static bool decode_raw(struct exchange *x, const RawBody *raw, const void **ret_data, size_t *ret_size, bool *ret_gzip)
{
    *ret_data = raw->data.data;
    *ret_size = raw->data.len;
    *ret_gzip = raw_is_gzip(raw) && !raw_is_unpacked(x, raw);
    if (!raw_is_unpacked(x, raw)) return true;
    *ret_data = tf_gunzip(x->ctx.arena, raw->data.data, raw->data.len, BODY_BYTES_MAX, ret_size);
    return *ret_data != NULL;
}

static void answer_raw(struct exchange *x, const RawBody *raw)
{
    bool fresh = raw_is_fresh(x, raw);
    bool varies = raw->content_encoding[0] != '\0', gzip = false;
    struct headers headers = {.n = 0};
    const void *data = NULL;
    const char *etag = raw->etag;
    size_t size = 0;

    if (!fresh && !decode_raw(x, raw, &data, &size, &gzip)) {
        answer_failure(x, "a stored body cannot be decompressed");
        return;
    }
    put_common(&headers, x, policy_default);
    if (raw->etag[0]) {
        /* Other bytes with the same meaning: a weak tag. */
        if (!fresh && varies && !gzip && strncmp(etag, "W/", 2) != 0)
            etag = tf_arena_printf(x->ctx.arena, "W/%s", etag);
        if (etag) put(&headers, "ETag", etag);
    }
    put(&headers, "Cache-Control", raw->cache_control[0] ? raw->cache_control : "no-store");
    put_vary(&headers, varies);
    if (fresh) {
        send(x, 304, "OK", &headers, NULL, 0);
        return;
    }
    put(&headers, "Content-Type", raw->content_type[0] ? raw->content_type : "application/octet-stream");
    if (gzip) put(&headers, "Content-Encoding", "gzip");
    send(x, 200, "OK", &headers, data, size);
}

static void answer_json(struct exchange *x, const ProtobufCMessage *response)
{
    struct headers headers = {.n = 0};
    tf_buf json;

    tf_buf_init(&json, BODY_BYTES_MAX);
    tf_message_to_json(&json, response);
    if (json.broken)
        answer_failure(x, "the answer is too large for JSON");
    else
        send_json(x, 200, "OK", &headers, "application/json", &json);
    tf_buf_done(&json);
}

static const RawBody *raw_of(const struct exchange *x, const ProtobufCMessage *response)
{
    static const RawBody nothing = RawBody_init;
    const RawBody *raw = *(RawBody *const *)((const char *)response + x->match.route->answer_offset);

    return raw ? raw : &nothing;
}

static void write_message(struct exchange *x, const ProtobufCMessage *response)
{
    if (x->match.route->answers_raw)
        answer_raw(x, raw_of(x, response));
    else
        answer_json(x, response);
}

static void write_on_worker(struct gateway_job *job)
{
    struct exchange *x = (struct exchange *)(void *)((char *)job - offsetof(struct exchange, job));

    write_message(x, x->response);
}

/* Whether the answer takes so long that others must not wait for it. */
static bool is_heavy(const struct exchange *x, const ProtobufCMessage *response)
{
    if (x->match.route->answers_raw) return raw_is_unpacked(x, raw_of(x, response));
    return protobuf_c_message_get_packed_size(response) > POLLER_BYTES_MAX;
}

void answer_message(struct exchange *x, const ProtobufCMessage *response)
{
    if (!is_heavy(x, response)) {
        write_message(x, response);
        return;
    }
    x->response = response;
    x->job.run = write_on_worker;
    if (gateway_workers_push(x->gateway->workers, &x->job)) {
        tf_counter_add_label(&large, "written", 1);
        return;
    }
    tf_counter_add_label(&large, "refused", 1);
    answer_overloaded(x, "too many large answers wait to be written");
}

void answer_picture(struct exchange *x, const struct picture *picture)
{
    bool gzip = picture->gzip.data && takes_gzip(x);
    const struct picture_body *body = gzip ? &picture->gzip : &picture->plain;
    struct headers headers = {.n = 0};

    put_common(&headers, x, policy_picture);
    put(&headers, "ETag", body->etag);
    put(&headers, "Cache-Control", "public, max-age=86400");
    put_vary(&headers, picture->gzip.data != NULL);
    if (gateway_etag_matches(tf_http_header_of(x->http, "If-None-Match"), body->etag)) {
        send(x, 304, "OK", &headers, NULL, 0);
        return;
    }
    put(&headers, "Content-Type", picture->type);
    if (gzip) put(&headers, "Content-Encoding", "gzip");
    send(x, 200, "OK", &headers, body->data, body->size);
}

void answer_options(struct exchange *x)
{
    struct headers headers = {.n = 0};

    put_common(&headers, x, policy_default);
    put(&headers, "Allow", x->match.allow);
    put_vary(&headers, false);
    if (x->origin) {
        put(&headers, "Access-Control-Allow-Methods", x->match.allow);
        put(&headers, "Access-Control-Allow-Headers",
            "Authorization, Content-Type, Accept-Language, If-None-Match, Idempotency-Key, Idempotency-Attempt, "
            "X-Request-Id, Traceparent");
        put(&headers, "Access-Control-Max-Age", "600");
    }
    send(x, 204, "OK", &headers, NULL, 0);
}

void answer_welcome(struct exchange *x)
{
    static const char *const links[][2] = {
        {"programs", "/v1/programs"}, {"users", "/v1/users"},     {"sessions", "/v1/sessions"},
        {"orders", "/v1/orders"},     {"tickets", "/v1/tickets"}, {"keys", "/v1/keys"},
    };
    struct headers headers = {.n = 0};
    tf_json_writer w;
    tf_buf json;

    tf_buf_init(&json, BODY_BYTES_MAX);
    w = (tf_json_writer){.out = &json};
    tf_json_begin_object(&w);
    tf_json_key(&w, "name");
    tf_json_put_string(&w, "TicketFlow");
    tf_json_key(&w, "version");
    tf_json_put_string(&w, TF_VERSION);
    tf_json_key(&w, "links");
    tf_json_begin_object(&w);
    for (size_t i = 0; i < TF_COUNT(links); i++) {
        tf_json_key(&w, links[i][0]);
        tf_json_put_string(&w, links[i][1]);
    }
    tf_json_end_object(&w);
    tf_json_end_object(&w);
    send_json(x, 200, "OK", &headers, "application/json", &json);
    tf_buf_done(&json);
}
