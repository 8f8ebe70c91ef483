/* A request's way: headers, route, door, message, call, answer. */
#include "gateway/exchange.h"

#include "common/base/macros.h"
#include "common/base/text.h"
#include "common/crypto/crypto.h"
#include "gateway/answer.h"
#include "gateway/door.h"
#include "gateway/fields.h"
#include "gateway/negotiate.h"

#include <pthread.h>
#include <string.h>

enum {
    ARENA_BYTES = 96 * 1024 * 1024, /* ceiling of one exchange: a large plan, compressed and not */
    POOLED_MAX = 256,
    MADE_ID_BYTES = 12,
    ATTEMPT_MAX = 1000,
    BUSY_RETRY_MS = 1000,
    DEADLINE_NONE_MS = 5000, /* before a route says its own */
};

/* ---- memory ----------------------------------------------------------------------------------------------------- */

struct exchange_pool {
    pthread_mutex_t lock; /* protects first, n */
    struct exchange *first;
    size_t n;
};

struct exchange_pool *exchange_pool_new(void)
{
    struct exchange_pool *pool = calloc(1, sizeof *pool);

    TF_ASSERT(pool);
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

static void exchange_free(struct exchange *x)
{
    tf_arena_free(x->ctx.arena);
    free(x);
}

void exchange_pool_free(struct exchange_pool *pool)
{
    if (!pool) return;
    while (pool->first) {
        struct exchange *x = pool->first;

        pool->first = x->next;
        exchange_free(x);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static struct exchange *exchange_new(struct gateway *gateway, tf_http_request *http)
{
    struct exchange_pool *pool = gateway->exchanges;
    struct exchange *x;
    tf_arena *arena = NULL;

    pthread_mutex_lock(&pool->lock);
    x = pool->first;
    if (x) {
        pool->first = x->next;
        pool->n--;
    }
    pthread_mutex_unlock(&pool->lock);
    if (x)
        arena = x->ctx.arena;
    else
        x = malloc(sizeof *x);
    if (!arena) arena = tf_arena_new(ARENA_BYTES);
    TF_ASSERT(x && arena); /* no page left: nothing can even be refused */
    *x = (struct exchange){
        .gateway = gateway,
        .http = http,
        .began_us = tf_mono_us(),
        .ctx = {.arena = arena,
                .clock = tf_app_clock(gateway->app),
                .identity = {.caller = "gateway"},
                .attempt = 1,
                .app = gateway->app},
    };
    x->ctx.request_id = x->request_id;
    x->ctx.deadline_us = x->began_us + (int64_t)DEADLINE_NONE_MS * TF_US_PER_MS;
    return x;
}

void exchange_end(struct exchange *x)
{
    struct gateway *gateway = x->gateway;
    struct exchange_pool *pool = gateway->exchanges;
    bool kept;

    tf_arena_reset(x->ctx.arena);
    pthread_mutex_lock(&pool->lock);
    kept = pool->n < POOLED_MAX;
    if (kept) {
        x->next = pool->first;
        pool->first = x;
        pool->n++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!kept) exchange_free(x);
    atomic_fetch_sub(&gateway->in_flight, 1); /* last: the gateway may go when it is 0 */
}

/* ---- headers that do not depend on the route -------------------------------------------------------------------- */

static void read_request_id(struct exchange *x)
{
    const char *given;

    if (field_header(x->http, "X-Request-Id", &given) && given && gateway_key_valid(given))
        strcpy(x->request_id, given); /* at most 64 characters */
    else
        tf_random_hex(x->request_id, MADE_ID_BYTES);
}

static void read_preferences(struct exchange *x)
{
    const char *traceparent = tf_http_header_of(x->http, "Traceparent"), *origin = tf_http_header_of(x->http, "Origin");

    x->ctx.language = gateway_language(tf_http_header_of(x->http, "Accept-Language"), gateway_config.default_language);
    if (traceparent && gateway_traceparent_valid(traceparent)) x->ctx.traceparent = traceparent;
    if (origin && gateway_origin_allowed(gateway_config.cors_origins, origin)) x->origin = origin;
}

static tf_code read_attempt(struct exchange *x)
{
    const char *text;
    int64_t attempt;

    if (!field_header(x->http, "Idempotency-Attempt", &text))
        return tf_fail_field(&x->ctx, "Idempotency-Attempt", "The header stands twice.");
    if (!text) return TF_OK;
    if (!tf_parse_int64(text, &attempt) || attempt < 1 || attempt > ATTEMPT_MAX)
        return tf_fail_field(&x->ctx, "Idempotency-Attempt", "A number from 1 to %d.", ATTEMPT_MAX);
    x->ctx.attempt = (int)attempt;
    return TF_OK;
}

/* ---- the way ---------------------------------------------------------------------------------------------------- */

/* On the client's poller. */
static void called(TF_UNUSED tf_ctx *ctx, tf_code code, ProtobufCMessage *response, void *arg)
{
    struct exchange *x = arg;

    tf_http_on_gone(x->http, NULL, NULL); /* from here on nobody else knows the call */
    tf_rpc_pending_release(TF_TAKE(x->pending));
    if (code)
        answer_problem(x, code);
    else
        answer_message(x, response);
}

/* The client has closed its connection, or its own side of it: nobody waits for the answer. What waits in the service's
 * queue is dropped there, what runs may stop where nothing is lost by it. A client that closed its side and listens
 * all the same hears CANCELLED. */
static void abandon(void *pending)
{
    tf_rpc_pending_cancel(pending);
}

static void call_service(struct exchange *x, const ProtobufCMessage *message)
{
    const struct tf_rpc_method *method = x->match.route->method;

    x->pending = tf_rpc_pending_new(&x->ctx, tf_app_client(x->gateway->app, method->service), method, called, x);
    tf_http_on_gone(x->http, abandon, x->pending);
    tf_rpc_pending_start(x->pending, message);
}

static tf_code read_message(struct exchange *x, ProtobufCMessage **ret_message)
{
    const struct fields_limits limits = {(size_t)gateway_config.json_bytes_max, (size_t)gateway_config.body_bytes_max};
    tf_code code;

    code = read_attempt(x);
    if (code) return code;

    return fields_read(&x->ctx, &x->match, x->http, &limits, ret_message);
}

/* Why there is no body. Whoever has passed the door although he was not known when the header came met a key that was
 * just fetched: he is sent back like all for whom there was no room. */
static tf_code body_declined(struct exchange *x)
{
    tf_code code;

    if (x->declined == 413) return tf_fail(&x->ctx, TF_TOO_LARGE, "a body that was not read");
    code = tf_fail(&x->ctx, TF_OVERLOADED, "a body declined with %d", x->declined);
    tf_error_retry_after(&x->ctx, BUSY_RETRY_MS);
    return code;
}

static void pass_door(struct exchange *x)
{
    ProtobufCMessage *message;
    bool wait;
    tf_code code;

    code = door_enter(x, &wait);
    if (wait) return; /* it comes back by resume(), and may have done so already */
    if (!code && x->declined) code = body_declined(x);
    if (!code) code = read_message(x, &message);
    if (code) {
        answer_problem(x, code);
        return;
    }
    call_service(x, message);
}

static void resume(struct gateway_waiter *waiter)
{
    pass_door((struct exchange *)waiter);
}

/* Not of the contracts: files, known to the log and the metrics by this row. */
static const struct gateway_route picture_route = {
    .verb = "GET", .path = "/pictures/{name}", .name = "GET /pictures/{name}"};

/* For paths of our own, which are only read. False: the verb was another, and is answered. */
static bool is_read(struct exchange *x, const char *verb)
{
    strcpy(x->match.allow, "GET, HEAD, OPTIONS");
    if (strcmp(verb, "GET") == 0 || strcmp(verb, "HEAD") == 0) return true;
    if (strcmp(verb, "OPTIONS") == 0)
        answer_options(x);
    else
        answer_problem(x, tf_fail(&x->ctx, TF_METHOD_NOT_ALLOWED, "the path is only read"));
    return false;
}

static void find_picture(struct exchange *x, const char *name)
{
    const struct picture *picture;

    x->match.route = &picture_route;
    picture = pictures_find(x->gateway->pictures, name);
    if (picture)
        answer_picture(x, picture);
    else
        answer_problem(x, tf_fail(&x->ctx, TF_NOT_FOUND, "no such picture"));
}

static void find_route(struct exchange *x)
{
    static const char pictures_path[] = "/pictures/";
    const char *verb = tf_http_method(x->http), *path = tf_http_path(x->http);
    tf_code code;

    if (strcmp(path, "*") == 0) { /* OPTIONS about the server as a whole */
        gateway_route_verbs(gateway_routes, gateway_n_routes, &x->match);
        answer_options(x);
        return;
    }
    if (strcmp(path, "/") == 0) {
        if (is_read(x, verb)) answer_welcome(x);
        return;
    }
    if (x->gateway->pictures && strncmp(path, pictures_path, sizeof pictures_path - 1) == 0) {
        if (is_read(x, verb)) find_picture(x, path + sizeof pictures_path - 1);
        return;
    }
    code = gateway_route_find(&x->ctx, gateway_routes, gateway_n_routes, verb, path, &x->match);
    if (code == TF_METHOD_NOT_ALLOWED && strcmp(verb, "OPTIONS") == 0) {
        answer_options(x);
        return;
    }
    if (code) {
        answer_problem(x, code);
        return;
    }
    x->ctx.deadline_us = x->began_us + (int64_t)x->match.route->method->deadline_ms * TF_US_PER_MS;
    pass_door(x);
}

/* The bound of a body before anything else is known of its request. */
static bool takes_file(const tf_http_request *http, const struct tf_rpc_method **ret_method)
{
    struct gateway_match match;
    tf_ctx ctx;
    bool takes;

    tf_ctx_init(&ctx, "admission", 0);
    takes = gateway_route_find(&ctx, gateway_routes, gateway_n_routes, tf_http_method(http), tf_http_path(http),
                               &match) == TF_OK &&
            match.route->body == GATEWAY_BODY_RAW && !(match.route->method->access & TF_ACCESS_PUBLIC);
    if (takes) *ret_method = match.route->method;
    tf_ctx_done(&ctx);
    return takes;
}

int exchange_admit(const tf_http_request *http, void *arg, size_t *body_max)
{
    size_t bound = TF_MIN((size_t)gateway_config.json_bytes_max, *body_max);
    const char *length = tf_http_header_of(http, "Content-Length");
    const struct tf_rpc_method *method;
    int64_t bytes;

    if (length && tf_parse_int64(length, &bytes) && bytes <= (int64_t)bound) return 0;
    if (takes_file(http, &method)) {
        if (door_recognises(arg, http, method)) return 0;
        if (length) return 401;
    }
    *body_max = bound;
    return 0;
}

static void begin(struct gateway *gateway, tf_http_request *http, int declined)
{
    bool busy = atomic_fetch_add(&gateway->in_flight, 1) >= (int)gateway_config.in_flight_max;
    struct exchange *x = exchange_new(gateway, http);
    tf_code code;

    x->waiter.resume = resume;
    x->declined = declined;
    read_request_id(x);
    read_preferences(x);
    if (!busy) {
        find_route(x);
        return;
    }
    code = tf_fail(&x->ctx, TF_OVERLOADED, "too many requests in flight");
    tf_error_retry_after(&x->ctx, BUSY_RETRY_MS);
    answer_problem(x, code);
}

void exchange_begin(tf_http_request *http, void *arg)
{
    begin(arg, http, 0);
}

void exchange_decline(tf_http_request *http, int status, void *arg)
{
    begin(arg, http, status);
}
