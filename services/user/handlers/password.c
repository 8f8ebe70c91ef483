/* Passwords: argon2id behind a gate, so that a rush of log-ins cannot take all memory and cores. */
#include "services/user/handlers/views.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t free;
    int inside;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

/* Waits for a turn, within the deadline. */
static tf_code gate_enter(tf_ctx *ctx)
{
    int64_t left = TF_MIN(tf_ctx_left_us(ctx), (int64_t)30 * TF_US_PER_S);
    struct timespec until;
    int failed = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += left / TF_US_PER_S;
    until.tv_nsec += left % TF_US_PER_S * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&gate.lock);
    while (gate.inside >= user_config.password_parallel && !failed)
        failed = pthread_cond_timedwait(&gate.free, &gate.lock, &until);
    if (!failed) gate.inside++;
    pthread_mutex_unlock(&gate.lock);
    if (!failed) return TF_OK;
    tf_error_retry_after(ctx, 2000);
    return tf_fail(ctx, TF_OVERLOADED, "too many passwords to hash");
}

static void gate_leave(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.inside--;
    pthread_cond_signal(&gate.free);
    pthread_mutex_unlock(&gate.lock);
}

tf_code password_make(tf_ctx *ctx, const char *password, char **ret_stored)
{
    char out[TF_PASSWORD_TEXT];
    tf_code code;
    bool ok;

    code = gate_enter(ctx);
    if (code) return code;

    ok = tf_password_hash(password, (int)user_config.password_m_kib, (int)user_config.password_t, out);
    gate_leave();
    if (!ok) return tf_fail(ctx, TF_INTERNAL, "password could not be hashed");
    *ret_stored = tf_arena_strdup(ctx->arena, out);
    return *ret_stored ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}

tf_code password_check(tf_ctx *ctx, const char *stored, const char *password, bool *ret_right)
{
    char scrap[TF_PASSWORD_TEXT];
    tf_code code;

    code = gate_enter(ctx);
    if (code) return code;

    if (stored) {
        *ret_right = tf_password_verify(stored, password);
    } else { /* as slow as a real one */
        bool hashed = tf_password_hash(password, (int)user_config.password_m_kib, (int)user_config.password_t, scrap);

        (void)hashed;
        *ret_right = false;
    }
    gate_leave();
    return TF_OK;
}
