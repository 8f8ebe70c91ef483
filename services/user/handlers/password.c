/* Passwords: argon2id in turns, so that a rush of log-ins cannot take all memory and cores, nor all workers: few hash,
 * few wait, the rest is refused at once. */
#include "services/user/handlers/views.h"

#include <pthread.h>
#include <time.h>

enum { RETRY_MS = 2000, WAIT_S_MAX = 30 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t free;
    int inside, waiting;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&gate.free, &attributes);
    pthread_condattr_destroy(&attributes);
}

tf_code password_turn_take(tf_ctx *ctx)
{
    /* A quarter of the workers stays free: they serve what a sale needs of user meanwhile. */
    int64_t waiting_max = tf_app_config(ctx->app)->workers * 3 / 4;
    int64_t until_us = ctx->clock->mono_us(ctx->clock) + TF_MIN(tf_ctx_left_us(ctx), (int64_t)WAIT_S_MAX * TF_US_PER_S);
    struct timespec until = {.tv_sec = until_us / TF_US_PER_S, .tv_nsec = until_us % TF_US_PER_S * 1000};
    bool in;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&gate.lock);
    in = gate.inside < user_config.password_parallel;
    if (!in && gate.waiting < waiting_max) {
        int failed = 0;

        gate.waiting++;
        while (gate.inside >= user_config.password_parallel && !failed)
            failed = pthread_cond_timedwait(&gate.free, &gate.lock, &until);
        gate.waiting--;
        in = gate.inside < user_config.password_parallel;
    }
    if (in) gate.inside++;
    pthread_mutex_unlock(&gate.lock);
    if (in) return TF_OK;
    tf_fail(ctx, TF_OVERLOADED, "too many passwords to hash");
    tf_error_retry_after(ctx, RETRY_MS);
    return TF_OVERLOADED;
}

void password_turn_give(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.inside--;
    pthread_cond_signal(&gate.free);
    pthread_mutex_unlock(&gate.lock);
}

tf_code password_make(tf_ctx *ctx, const char *password, char **ret_stored)
{
    char out[TF_PASSWORD_TEXT];

    if (!tf_password_hash(password, (int)user_config.password_m_kib, (int)user_config.password_t, out))
        return tf_fail(ctx, TF_INTERNAL, "password could not be hashed");
    *ret_stored = tf_arena_strdup(ctx->arena, out);
    return *ret_stored ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}

bool password_right(const char *stored, const char *password)
{
    char scrap[TF_PASSWORD_TEXT];
    bool hashed;

    if (stored) return tf_password_verify(stored, password);
    hashed = tf_password_hash(password, (int)user_config.password_m_kib, (int)user_config.password_t, scrap);
    (void)hashed; /* only its time counts */
    return false;
}
