/* Fetching ListSigningKeys on a thread of its own. */
#include "gateway/keys.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "gateway/config.h"
#include "ticketflow/user/v1/user.tf.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MS = 1000, UNKNOWN_PAUSE_S = 5 };

struct gateway_keys {
    tf_app *app;
    token_cache *cache;
    tf_periodic *periodic;
    pthread_mutex_t lock; /* protects what follows */
    struct tf_access_key keys[TF_ACCESS_KEYS_MAX];
    size_t n;
    int64_t tried_us, got_us;       /* monotonic; 0: never */
    bool fresh, fetching, stopping; /* fresh: the last fetch succeeded */
    struct gateway_waiter *waiting;
};

static bool key_read(tf_ctx *ctx, const SigningKey *from, struct tf_access_key *ret_key)
{
    size_t size;
    const void *bytes;

    if (strcmp(from->alg, "EdDSA") != 0 || strcmp(from->crv, "Ed25519") != 0) return false;
    bytes = tf_base64_decode(ctx->arena, from->x, strlen(from->x), true, &size);
    if (!bytes || size != sizeof ret_key->public_key) return false;
    memcpy(ret_key->public_key, bytes, size);
    tf_access_kid(ret_key->public_key, ret_key->kid);
    return strcmp(ret_key->kid, from->kid) == 0;
}

static tf_code fetch(tf_ctx *ctx, gateway_keys *keys, struct tf_access_key out[static TF_ACCESS_KEYS_MAX],
                     size_t *ret_n)
{
    ListSigningKeysRequest request = ListSigningKeysRequest_init;
    ListSigningKeysResponse *response;
    tf_code code;

    code = call_list_signing_keys_internal(ctx, tf_app_client(keys->app, "user"), &request, &response);
    if (code) return code;

    *ret_n = 0;
    for (size_t i = 0; i < response->n_keys && *ret_n < TF_ACCESS_KEYS_MAX; i++)
        if (key_read(ctx, response->keys[i], &out[*ret_n])) ++*ret_n;
    return *ret_n ? TF_OK : tf_fail(ctx, TF_INTERNAL, "user has no signing keys");
}

static bool has_key(const struct tf_access_key *keys, size_t n, const struct tf_access_key *key)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(keys[i].public_key, key->public_key, sizeof key->public_key) == 0) return true;
    return false;
}

/* Under the lock; true when a key that was trusted is so no longer. */
static bool replace(gateway_keys *keys, const struct tf_access_key *now, size_t n)
{
    bool lost = false;

    for (size_t i = 0; i < keys->n; i++)
        lost |= !has_key(now, n, &keys->keys[i]);
    memcpy(keys->keys, now, n * sizeof *now);
    keys->n = n;
    keys->got_us = keys->tried_us;
    return lost;
}

static void resume_all(struct gateway_waiter *waiter)
{
    while (waiter) {
        struct gateway_waiter *next = waiter->next; /* resumed, it may be gone */

        waiter->resume(waiter);
        waiter = next;
    }
}

static bool begin(gateway_keys *keys)
{
    int64_t now = tf_mono_us();
    bool due;

    pthread_mutex_lock(&keys->lock);
    due = keys->waiting || keys->n == 0 || now - keys->got_us >= gateway_config.keys_refresh_s * TF_US_PER_S;
    if (due && !keys->waiting && keys->n && now - keys->tried_us < UNKNOWN_PAUSE_S * TF_US_PER_S) due = false;
    keys->fetching = due;
    pthread_mutex_unlock(&keys->lock);
    return due;
}

static void tick(tf_ctx *ctx, void *arg)
{
    gateway_keys *keys = arg;
    struct tf_access_key now[TF_ACCESS_KEYS_MAX];
    struct gateway_waiter *waiting;
    bool was_fresh, lost = false;
    size_t n = 0;
    tf_code code;

    if (!begin(keys)) return;
    code = fetch(ctx, keys, now, &n);
    pthread_mutex_lock(&keys->lock);
    keys->tried_us = tf_mono_us();
    was_fresh = keys->fresh;
    keys->fresh = !code;
    if (!code) lost = replace(keys, now, n);
    keys->fetching = false;
    waiting = TF_TAKE(keys->waiting);
    pthread_mutex_unlock(&keys->lock);

    if (lost) token_cache_clear(keys->cache);
    if (code && was_fresh)
        tf_log(TF_LOG_WARN, "signing keys not fetched, the known ones stay in use", "reason",
               tf_code_info(code)->reason, "cause", ctx->error.internal, NULL);
    if (!code && !was_fresh)
        tf_log(TF_LOG_INFO, "signing keys fetched", "keys", tf_log_int((char[TF_LOG_INT]){0}, (int64_t)n), NULL);
    resume_all(waiting);
}

gateway_keys *gateway_keys_start(tf_app *app, token_cache *cache)
{
    gateway_keys *keys = calloc(1, sizeof *keys);

    TF_ASSERT(keys);
    keys->app = app;
    keys->cache = cache;
    pthread_mutex_init(&keys->lock, NULL);
    keys->periodic = tf_periodic_start(app, "signing-keys", TICK_MS, tick, keys);
    return keys;
}

void gateway_keys_stop(gateway_keys *keys)
{
    struct gateway_waiter *waiting;

    if (!keys) return;
    pthread_mutex_lock(&keys->lock);
    keys->stopping = true;
    pthread_mutex_unlock(&keys->lock);
    tf_periodic_stop(TF_TAKE(keys->periodic));
    pthread_mutex_lock(&keys->lock);
    waiting = TF_TAKE(keys->waiting);
    pthread_mutex_unlock(&keys->lock);
    resume_all(waiting);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

size_t gateway_keys_get(gateway_keys *keys, struct tf_access_key out[static TF_ACCESS_KEYS_MAX], bool *ret_fresh)
{
    size_t n;

    pthread_mutex_lock(&keys->lock);
    n = keys->n;
    memcpy(out, keys->keys, n * sizeof *out);
    *ret_fresh = keys->fresh;
    pthread_mutex_unlock(&keys->lock);
    return n;
}

bool gateway_keys_await(gateway_keys *keys, struct gateway_waiter *waiter)
{
    bool waits, wake;

    pthread_mutex_lock(&keys->lock);
    /* Without any key the thread tries every second anyway; joining its next try needs no hurry. */
    wake = keys->n > 0;
    waits = !keys->stopping &&
            (keys->n == 0 || keys->fetching || tf_mono_us() - keys->tried_us >= UNKNOWN_PAUSE_S * TF_US_PER_S);
    if (waits) {
        waiter->next = keys->waiting;
        keys->waiting = waiter;
    }
    pthread_mutex_unlock(&keys->lock);
    if (waits && wake) tf_periodic_wake(keys->periodic);
    return waits;
}
