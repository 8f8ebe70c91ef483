/* The handle, and calls to whichever endpoint answers. */
#include "common/etcd/internal.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    ANSWER_MAX = 4 * 1024 * 1024,
    BACKOFF_FIRST_MS = 100,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_NOT_FOUND = 5,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_UNAUTHENTICATED = 16,
};

/* ---- endpoints ------------------------------------------------------------------------------- */

static char *base_url(const char *endpoint, size_t n)
{
    bool has_scheme = memmem(endpoint, n, "://", 3) != NULL;
    char *url;

    while (n > 0 && endpoint[n - 1] == '/')
        n--;
    if (asprintf(&url, "%s%.*s", has_scheme ? "" : "http://", (int)n, endpoint) < 0) return NULL;
    return url;
}

static void split_endpoints(tf_etcd *etcd, const char *list)
{
    size_t most = 1;

    for (const char *c = list; *c; c++)
        most += *c == ',';
    etcd->endpoints = calloc(most, sizeof *etcd->endpoints);
    TF_ASSERT(etcd->endpoints);
    while (*list) {
        size_t n;

        list += strspn(list, ", ");
        n = strcspn(list, ", ");
        if (!n) break;
        etcd->endpoints[etcd->n_endpoints] = base_url(list, n);
        TF_ASSERT(etcd->endpoints[etcd->n_endpoints]);
        etcd->n_endpoints++;
        list += n;
    }
    TF_ASSERT(etcd->n_endpoints > 0);
}

const char *tf_etcd_url(tf_ctx *ctx, tf_etcd *etcd, const char *path, size_t *ret_endpoint)
{
    size_t endpoint = atomic_load(&etcd->endpoint);

    *ret_endpoint = endpoint;
    return tf_arena_printf(ctx->arena, "%s/v3/%s", etcd->endpoints[endpoint % etcd->n_endpoints], path);
}

void tf_etcd_next_endpoint(tf_etcd *etcd, size_t failed)
{
    atomic_compare_exchange_strong(&etcd->endpoint, &failed, failed + 1);
}

/* ---- life ------------------------------------------------------------------------------------ */

tf_etcd *tf_etcd_new(const struct tf_etcd_config *config)
{
    tf_etcd *etcd = calloc(1, sizeof *etcd);
    pthread_condattr_t monotonic;

    TF_ASSERT(etcd);
    split_endpoints(etcd, config->endpoints);
    etcd->prefix = strdup(config->prefix);
    etcd->http = tf_http_client_new();
    TF_ASSERT(etcd->prefix && etcd->http);
    if (config->user) {
        TF_ASSERT(config->password);
        etcd->user = strdup(config->user);
        etcd->password = strdup(config->password);
        TF_ASSERT(etcd->user && etcd->password);
    }
    pthread_mutex_init(&etcd->lock, NULL);
    pthread_mutex_init(&etcd->token_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&etcd->woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return etcd;
}

void tf_etcd_free(tf_etcd *etcd)
{
    if (!etcd) return;
    pthread_mutex_lock(&etcd->lock);
    atomic_store(&etcd->stopping, true);
    pthread_cond_broadcast(&etcd->woken);
    pthread_mutex_unlock(&etcd->lock);
    tf_etcd_registration_free(etcd);
    tf_etcd_watchers_free(etcd);
    tf_http_client_free(etcd->http);
    pthread_cond_destroy(&etcd->woken);
    pthread_mutex_destroy(&etcd->lock);
    pthread_mutex_destroy(&etcd->token_lock);
    if (etcd->password) explicit_bzero(etcd->password, strlen(etcd->password));
    explicit_bzero(etcd->token, sizeof etcd->token);
    free(etcd->user);
    free(etcd->password);
    for (size_t i = 0; i < etcd->n_endpoints; i++)
        free(etcd->endpoints[i]);
    free(etcd->endpoints);
    free(etcd->prefix);
    free(etcd);
}

/* ---- waiting --------------------------------------------------------------------------------- */

int tf_etcd_backoff_ms(int failures, int max_ms)
{
    int64_t ms = (int64_t)BACKOFF_FIRST_MS << TF_MIN(failures, 10);

    ms = TF_MAX(TF_MIN(ms, max_ms), 2);
    return (int)(ms / 2 + (int64_t)(tf_mix64((uint64_t)tf_mono_us()) % (uint64_t)(ms / 2 + 1)));
}

void tf_etcd_nap(tf_etcd *etcd, const atomic_bool *stop, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&etcd->lock);
    while (!atomic_load(stop) && pthread_cond_timedwait(&etcd->woken, &etcd->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&etcd->lock);
}

/* ---- calls ----------------------------------------------------------------------------------- */

void tf_etcd_put_bytes(tf_arena *arena, tf_json_writer *w, const char *key, const char *text)
{
    tf_json_key(w, key);
    tf_json_put_string(w, tf_base64_encode(arena, text, strlen(text), false));
}

void tf_etcd_put_range(tf_arena *arena, tf_json_writer *w, const char *prefix)
{
    char *end = tf_arena_strdup(arena, prefix);

    tf_etcd_put_bytes(arena, w, "key", prefix);
    if (!end) return; /* no memory: etcd sees one key only, and the answer will not fit either */
    end[strlen(end) - 1]++;
    tf_etcd_put_bytes(arena, w, "range_end", end);
}

int64_t tf_etcd_int(const tf_json *value)
{
    int64_t number;

    if (!tf_parse_int64(tf_json_string(value, NULL), &number)) return tf_json_int(value, 0);
    return number;
}

/* A status that is not 200. etcd refuses a token by UNAUTHENTICATED, but a call without one, or with one from before a
 * change of rights, by words alone. */
static tf_code code_of(const tf_json *answer)
{
    const char *error = tf_json_string(tf_json_get(answer, "error"), "");

    switch (tf_json_int(tf_json_get(answer, "code"), 0)) {
    case GRPC_NOT_FOUND:
        return TF_NOT_FOUND;
    case GRPC_FAILED_PRECONDITION:
        return TF_STATE_WRONG;
    case GRPC_UNAUTHENTICATED:
        return TF_UNAUTHENTICATED;
    case GRPC_INVALID_ARGUMENT:
        return strstr(error, "user name is empty") || strstr(error, "revision of auth store is old")
                   ? TF_UNAUTHENTICATED
                   : TF_STORE_DOWN;
    default:
        return TF_STORE_DOWN;
    }
}

static tf_code read_answer(tf_ctx *ctx, const char *path, const struct tf_http_answer *answer, tf_json **ret_answer)
{
    tf_cleanup(tf_json_freep) tf_json *json = NULL;
    const char *error;

    json = tf_json_parse(ctx->arena, answer->body, answer->size, 0, &error);
    if (answer->status != 200)
        return tf_fail(ctx, code_of(json), "etcd %s: status %d: %s", path, answer->status,
                       tf_json_string(tf_json_get(json, "error"), "no reason given"));
    if (!json) return tf_fail(ctx, TF_STORE_DOWN, "etcd %s: the answer is not JSON: %s", path, error);
    *ret_answer = TF_TAKE(json);
    return TF_OK;
}

tf_code tf_etcd_post(tf_ctx *ctx, tf_etcd *etcd, const char *path, const tf_buf *body, const char *token,
                     tf_json **ret_answer)
{
    struct tf_http_header header;
    struct tf_http_call call = {
        .method = "POST",
        .headers = &header,
        .n_headers = tf_etcd_token_header(token, &header),
        .body = body->data,
        .size = body->size,
        .answer_max = ANSWER_MAX,
        .idempotent = true, /* a second lease or put does no harm */
    };
    struct tf_http_answer answer;
    size_t endpoint;
    tf_code code;

    call.url = tf_etcd_url(ctx, etcd, path, &endpoint);
    if (!call.url || body->broken) return tf_fail(ctx, TF_INTERNAL, "etcd %s: the request does not fit", path);

    code = tf_http_perform(ctx, etcd->http, &call, &answer);
    if (!code) code = read_answer(ctx, path, &answer, ret_answer);
    if (code && code != TF_NOT_FOUND && code != TF_UNAUTHENTICATED && code != TF_STATE_WRONG)
        tf_etcd_next_endpoint(etcd, endpoint);
    return code;
}

tf_code tf_etcd_call(tf_ctx *ctx, tf_etcd *etcd, const char *path, const tf_buf *body, tf_json **ret_answer)
{
    for (int attempt = 0;; attempt++) {
        char token[TF_ETCD_TOKEN_MAX];
        tf_code code;

        code = tf_etcd_token(ctx, etcd, token);
        if (code) return code;

        code = tf_etcd_post(ctx, etcd, path, body, token, ret_answer);
        if (code != TF_UNAUTHENTICATED) return code;
        tf_etcd_token_refused(etcd, token);
        if (!etcd->user || attempt > 0) return code;
        tf_error_clear(ctx); /* it had run out: a fresh one may do */
    }
}
