/* Passwords: argon2id behind a gate, so that a rush of log-ins cannot take all memory and cores, nor all workers. */
#include "services/user/handlers/views.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

enum { RETRY_MS = 2000, WAIT_S_MAX = 30 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t free;
    int inside, waiting;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

/* Three quarters of the workers may wait here; the others serve what a sale needs of user meanwhile. */
static bool may_wait(const tf_ctx *ctx)
{
    return gate.waiting < tf_app_config(ctx->app)->workers * 3 / 4;
}

static bool is_full(void)
{
    return gate.inside >= user_config.password_parallel;
}

/* Waits for a turn, within the deadline. */
static tf_code gate_enter(tf_ctx *ctx)
{
    int64_t left = TF_MIN(tf_ctx_left_us(ctx), (int64_t)WAIT_S_MAX * TF_US_PER_S);
    struct timespec until;
    int failed = 0;
    tf_code code;
    bool entered;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += left / TF_US_PER_S;
    until.tv_nsec += left % TF_US_PER_S * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&gate.lock);
    if (is_full() && may_wait(ctx)) {
        gate.waiting++;
        while (is_full() && !failed)
            failed = pthread_cond_timedwait(&gate.free, &gate.lock, &until);
        gate.waiting--;
    }
    entered = !is_full(); /* late but with a free place: the signal for it may have been ours */
    if (entered) gate.inside++;
    pthread_mutex_unlock(&gate.lock);
    if (entered) return TF_OK;
    code = tf_fail(ctx, TF_OVERLOADED, "too many passwords to hash");
    tf_error_retry_after(ctx, RETRY_MS);
    return code;
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
