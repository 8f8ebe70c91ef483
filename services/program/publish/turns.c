/* Turns of the heavy work: one works, few wait, the rest is refused at once. */
#include "services/program/publish/turns.h"

#include "common/chassis/service.h"
#include "services/program/config.h"

#include <malloc.h>
#include <pthread.h>
#include <time.h>

enum { RETRY_MS = 5000 };

static struct {
    pthread_mutex_t lock; /* protects all below */
    pthread_cond_t free;
    bool taken;
    int waiting;
    size_t waiting_bytes;
} turns = {.lock = PTHREAD_MUTEX_INITIALIZER};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&turns.free, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Under the lock. A quarter of the workers stays free for the buyers' calls; one file may wait however large it is. */
static bool may_wait(tf_ctx *ctx, size_t bytes)
{
    size_t bytes_max = (size_t)program_config.import_waiting_mib * 1024 * 1024;

    if (turns.waiting >= tf_app_config(ctx->app)->workers * 3 / 4) return false;
    return turns.waiting == 0 || (turns.waiting_bytes <= bytes_max && bytes <= bytes_max - turns.waiting_bytes);
}

/* Under the lock; true: the turn is free. */
static bool wait(tf_ctx *ctx, size_t bytes)
{
    int64_t until_us = ctx->clock->mono_us(ctx->clock) + TF_MIN(tf_ctx_left_us(ctx), 60 * TF_US_PER_S) / 2;
    struct timespec until = {.tv_sec = until_us / TF_US_PER_S, .tv_nsec = until_us % TF_US_PER_S * 1000};
    int failed = 0;

    turns.waiting++;
    turns.waiting_bytes += bytes;
    while (turns.taken && !failed)
        failed = pthread_cond_timedwait(&turns.free, &turns.lock, &until);
    turns.waiting--;
    turns.waiting_bytes -= bytes;
    return !turns.taken;
}

tf_code turn_take(tf_ctx *ctx, size_t bytes)
{
    bool in;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&turns.lock);
    in = !turns.taken || (may_wait(ctx, bytes) && wait(ctx, bytes));
    if (in) turns.taken = true;
    pthread_mutex_unlock(&turns.lock);
    if (in) return TF_OK;
    tf_fail(ctx, TF_OVERLOADED, "too many imports and publications");
    tf_error_retry_after(ctx, RETRY_MS);
    return TF_OVERLOADED;
}

void turn_give(void)
{
    /* Small pieces of a large document lie scattered; without this the process would stay as large as it ever was. */
    malloc_trim(0);
    pthread_mutex_lock(&turns.lock);
    turns.taken = false;
    pthread_cond_signal(&turns.free);
    pthread_mutex_unlock(&turns.lock);
}
