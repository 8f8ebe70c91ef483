/* The thread behind periodic work: a condition variable on the monotonic clock. */
#include "common/chassis/ticker.h"

#include "common/base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

struct tf_ticker {
    pthread_t thread;
    pthread_mutex_t lock; /* protects woken, stopping */
    pthread_cond_t changed;
    bool woken, stopping;
    char name[16];
    tf_tick tick;
    void *arg;
};

/* Waits for the pause, a wake or the stop; false: stop. */
static bool ticker_wait(tf_ticker *ticker, int pause_ms)
{
    int64_t until_us = tf_mono_us() + (int64_t)pause_ms * TF_US_PER_MS;
    struct timespec until = {.tv_sec = until_us / TF_US_PER_S, .tv_nsec = until_us % TF_US_PER_S * 1000};
    bool go_on;

    pthread_mutex_lock(&ticker->lock);
    while (!ticker->woken && !ticker->stopping && pause_ms > 0)
        if (pthread_cond_timedwait(&ticker->changed, &ticker->lock, &until) != 0) break;
    ticker->woken = false;
    go_on = !ticker->stopping;
    pthread_mutex_unlock(&ticker->lock);
    return go_on;
}

static void *ticker_main(void *arg)
{
    tf_ticker *ticker = arg;

    pthread_setname_np(pthread_self(), ticker->name);
    while (ticker_wait(ticker, ticker->tick(ticker->arg)))
        continue;
    return NULL;
}

tf_ticker *tf_ticker_start(const char *name, tf_tick tick, void *arg)
{
    tf_ticker *ticker = calloc(1, sizeof(*ticker));
    pthread_condattr_t monotonic;

    TF_ASSERT(ticker);
    pthread_mutex_init(&ticker->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&ticker->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    snprintf(ticker->name, sizeof(ticker->name), "%.15s", name);
    ticker->tick = tick;
    ticker->arg = arg;
    TF_ASSERT(pthread_create(&ticker->thread, NULL, ticker_main, ticker) == 0);
    return ticker;
}

void tf_ticker_wake(tf_ticker *ticker)
{
    if (!ticker) return;
    pthread_mutex_lock(&ticker->lock);
    ticker->woken = true;
    pthread_cond_signal(&ticker->changed);
    pthread_mutex_unlock(&ticker->lock);
}

void tf_ticker_stop(tf_ticker *ticker)
{
    if (!ticker) return;
    pthread_mutex_lock(&ticker->lock);
    ticker->stopping = true;
    pthread_cond_signal(&ticker->changed);
    pthread_mutex_unlock(&ticker->lock);
    pthread_join(ticker->thread, NULL);
    pthread_cond_destroy(&ticker->changed);
    pthread_mutex_destroy(&ticker->lock);
    free(ticker);
}
