/* Keeping one instance registered: a lease, the key under it, renewals, and starting over when the lease is lost. */
#include "common/etcd/internal.h"

#include "common/base/log.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    BACKOFF_MAX_MS = 5000,
    REVOKE_MS = 2000, /* when nobody gave a deadline */
    BODY_MAX = 65536,
};

struct tf_etcd_registration {
    tf_etcd *etcd;
    char *key, *value;
    int ttl_s;
    int64_t lease;                 /* 0: none; the thread's own */
    _Atomic int64_t held_until_us; /* monotonic; the lease lives at least until then */
    bool said_lost;                /* one line in the log for each loss */
    pthread_t thread;
    atomic_bool stopping;
    int64_t revoke_until_us; /* monotonic; set before stopping */
    bool done;               /* the thread has revoked and ended; under etcd->lock */
};

/* ---- what etcd is told ----------------------------------------------------------------------- */

/* The calls about leases have one number as their whole request. */
static tf_code call_lease(tf_ctx *ctx, struct tf_etcd_registration *r, const char *path, const char *name,
                          int64_t number, tf_json **ret_answer)
{
    tf_cleanup(tf_buf_done) tf_buf body;
    tf_json_writer w = {.out = &body};

    tf_buf_init(&body, BODY_MAX);
    tf_json_begin_object(&w);
    tf_json_key(&w, name);
    tf_json_put_int_string(&w, number);
    tf_json_end_object(&w);
    return tf_etcd_call(ctx, r->etcd, path, &body, ret_answer);
}

static tf_code grant(tf_ctx *ctx, struct tf_etcd_registration *r, int64_t *ret_lease, int64_t *ret_ttl_s)
{
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;
    tf_code code;

    code = call_lease(ctx, r, "lease/grant", "TTL", r->ttl_s, &answer);
    if (code) return code;

    *ret_lease = tf_etcd_int(tf_json_get(answer, "ID"));
    *ret_ttl_s = tf_etcd_int(tf_json_get(answer, "TTL"));
    if (*ret_lease == 0 || *ret_ttl_s <= 0) return tf_fail(ctx, TF_STORE_DOWN, "etcd granted no lease");
    return TF_OK;
}

static tf_code put_key(tf_ctx *ctx, struct tf_etcd_registration *r, int64_t lease)
{
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;
    tf_cleanup(tf_buf_done) tf_buf body;
    tf_json_writer w = {.out = &body};

    tf_buf_init(&body, BODY_MAX);
    tf_json_begin_object(&w);
    tf_etcd_put_bytes(ctx->arena, &w, "key", r->key);
    tf_etcd_put_bytes(ctx->arena, &w, "value", r->value);
    tf_json_key(&w, "lease");
    tf_json_put_int_string(&w, lease);
    tf_json_end_object(&w);
    return tf_etcd_call(ctx, r->etcd, "kv/put", &body, &answer);
}

/* ---- one round ------------------------------------------------------------------------------- */

static void hold(struct tf_etcd_registration *r, int64_t since_us, int64_t ttl_s)
{
    atomic_store(&r->held_until_us, since_us + ttl_s * TF_US_PER_S);
}

static tf_code register_anew(tf_ctx *ctx, struct tf_etcd_registration *r)
{
    int64_t since_us = tf_mono_us(), lease, ttl_s;
    tf_code code;

    code = grant(ctx, r, &lease, &ttl_s);
    if (code) return code;

    code = put_key(ctx, r, lease);
    if (code) return code; /* the lease without key runs out by itself */

    r->lease = lease;
    hold(r, since_us, ttl_s);
    r->said_lost = false;
    tf_log(TF_LOG_INFO, "registered in etcd", "key", r->key, NULL);
    return TF_OK;
}

/* TF_NOT_FOUND: the lease is gone, which etcd tells by an answer without TTL. */
static tf_code renew(tf_ctx *ctx, struct tf_etcd_registration *r)
{
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;
    int64_t since_us = tf_mono_us(), ttl_s;
    tf_code code;

    code = call_lease(ctx, r, "lease/keepalive", "ID", r->lease, &answer);
    if (code) return code;

    ttl_s = tf_etcd_int(tf_json_get(tf_json_get(answer, "result"), "TTL"));
    if (ttl_s <= 0) return tf_fail(ctx, TF_NOT_FOUND, "the lease has run out");
    hold(r, since_us, ttl_s);
    return TF_OK;
}

static tf_code keep(tf_ctx *ctx, struct tf_etcd_registration *r)
{
    tf_code code;

    if (!r->lease) return register_anew(ctx, r);

    code = renew(ctx, r);
    if (code != TF_NOT_FOUND) return code;

    r->lease = 0;
    atomic_store(&r->held_until_us, 0);
    tf_error_clear(ctx);
    return register_anew(ctx, r);
}

static void say_lost(tf_ctx *ctx, struct tf_etcd_registration *r)
{
    if (r->said_lost || tf_mono_us() < atomic_load(&r->held_until_us)) return;
    r->said_lost = true;
    tf_log(TF_LOG_WARN, "not registered in etcd", "key", r->key, "cause", ctx->error.internal, NULL);
}

static void give_up(tf_ctx *ctx, struct tf_etcd_registration *r)
{
    int64_t left_us = r->revoke_until_us - tf_mono_us();
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;

    atomic_store(&r->held_until_us, 0);
    if (!r->lease || left_us <= 0) return; /* else it runs out by itself */
    tf_ctx_reset(ctx, left_us);
    if (call_lease(ctx, r, "lease/revoke", "ID", r->lease, &answer))
        tf_log(TF_LOG_DEBUG, "lease not revoked", "cause", ctx->error.internal, NULL);
}

static void *run(void *arg)
{
    struct tf_etcd_registration *r = arg;
    int renew_ms = r->ttl_s * 1000 / 3;
    int failures = 0;
    tf_ctx ctx;

    tf_ctx_init(&ctx, "etcd-register", TF_ETCD_CALL_MS * TF_US_PER_MS);
    while (!atomic_load(&r->stopping)) {
        tf_code code;

        tf_ctx_reset(&ctx, TF_MIN(renew_ms, TF_ETCD_CALL_MS) * TF_US_PER_MS);
        code = keep(&ctx, r);
        if (code) say_lost(&ctx, r);
        failures = code ? failures + 1 : 0;
        tf_etcd_nap(r->etcd, &r->stopping,
                    code ? tf_etcd_backoff_ms(failures - 1, TF_MIN(renew_ms, BACKOFF_MAX_MS)) : renew_ms);
    }
    give_up(&ctx, r);
    tf_ctx_done(&ctx);

    pthread_mutex_lock(&r->etcd->lock);
    r->done = true;
    pthread_cond_broadcast(&r->etcd->woken);
    pthread_mutex_unlock(&r->etcd->lock);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static char *value_of(const char *address, const char *metadata_json)
{
    tf_buf value;
    tf_json_writer w = {.out = &value};

    tf_buf_init(&value, BODY_MAX);
    tf_json_begin_object(&w);
    tf_json_key(&w, "Op");
    tf_json_put_int(&w, 0);
    tf_json_key(&w, "Addr");
    tf_json_put_string(&w, address);
    tf_json_key(&w, "Metadata");
    if (metadata_json)
        tf_json_put_raw(&w, metadata_json, strlen(metadata_json));
    else
        tf_json_put_null(&w);
    tf_json_end_object(&w);
    TF_ASSERT(!value.broken);
    return value.data;
}

void tf_etcd_register(tf_etcd *etcd, const char *service, const char *instance, const char *address, int ttl_s,
                      const char *metadata_json)
{
    struct tf_etcd_registration *r = calloc(1, sizeof *r);
    sigset_t all, before;

    TF_ASSERT(r && !atomic_load(&etcd->registration) && ttl_s > 0);
    r->etcd = etcd;
    r->ttl_s = ttl_s;
    r->value = value_of(address, metadata_json);
    TF_ASSERT(asprintf(&r->key, "%s/%s/%s", etcd->prefix, service, instance) > 0);
    atomic_store(&etcd->registration, r);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    TF_ASSERT(pthread_create(&r->thread, NULL, run, r) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_registration(struct tf_etcd_registration *r, int64_t revoke_until_us)
{
    pthread_mutex_lock(&r->etcd->lock);
    if (!atomic_load(&r->stopping)) {
        r->revoke_until_us = revoke_until_us;
        atomic_store(&r->stopping, true);
        pthread_cond_broadcast(&r->etcd->woken);
    }
    pthread_mutex_unlock(&r->etcd->lock);
}

void tf_etcd_deregister(tf_ctx *ctx, tf_etcd *etcd)
{
    struct tf_etcd_registration *r = atomic_load(&etcd->registration);
    struct timespec until;
    int64_t until_us;

    if (!r) return;
    until_us = ctx->deadline_us == INT64_MAX ? tf_mono_us() + REVOKE_MS * TF_US_PER_MS : ctx->deadline_us;
    until =
        (struct timespec){.tv_sec = (time_t)(until_us / TF_US_PER_S), .tv_nsec = (long)(until_us % TF_US_PER_S) * 1000};
    stop_registration(r, until_us);
    pthread_mutex_lock(&etcd->lock);
    while (!r->done && pthread_cond_timedwait(&etcd->woken, &etcd->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&etcd->lock);
}

bool tf_etcd_registered(tf_etcd *etcd)
{
    struct tf_etcd_registration *r = atomic_load(&etcd->registration);

    return r && tf_mono_us() < atomic_load(&r->held_until_us);
}

void tf_etcd_registration_free(tf_etcd *etcd)
{
    struct tf_etcd_registration *r = atomic_exchange(&etcd->registration, NULL);

    if (!r) return;
    stop_registration(r, tf_mono_us() + REVOKE_MS * TF_US_PER_MS);
    pthread_join(r->thread, NULL);
    free(r->key);
    free(r->value);
    free(r);
}
