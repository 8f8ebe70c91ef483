/* Periodic work of a service: a ticker with a fresh context each time. */
#include "common/chassis/service.h"
#include "common/chassis/ticker.h"

#include <stdio.h>

enum { TICK_TIMEOUT_S = 30 };

struct tf_periodic {
    tf_ticker *ticker;
    tf_ctx ctx;
    char request_id[64]; /* the thread's name: what its log lines and events carry */
    int interval_ms;
    void (*tick)(tf_ctx *ctx, void *arg);
    void *arg;
};

static int periodic_tick(void *arg)
{
    tf_periodic *periodic = arg;

    tf_ctx_reset(&periodic->ctx, (int64_t)TICK_TIMEOUT_S * TF_US_PER_S);
    periodic->tick(&periodic->ctx, periodic->arg);
    return periodic->interval_ms;
}

tf_periodic *tf_periodic_start(tf_app *app, const char *name, int interval_ms, void (*tick)(tf_ctx *ctx, void *arg),
                               void *arg)
{
    tf_periodic *periodic = calloc(1, sizeof(*periodic));

    TF_ASSERT(periodic && interval_ms > 0);
    snprintf(periodic->request_id, sizeof(periodic->request_id), "%s", name);
    periodic->interval_ms = interval_ms;
    periodic->tick = tick;
    periodic->arg = arg;
    tf_app_ctx(app, &periodic->ctx, periodic->request_id, 0);
    periodic->ticker = tf_ticker_start(name, periodic_tick, periodic);
    return periodic;
}

void tf_periodic_wake(tf_periodic *periodic)
{
    if (periodic) tf_ticker_wake(periodic->ticker);
}

void tf_periodic_stop(tf_periodic *periodic)
{
    if (!periodic) return;
    tf_ticker_stop(periodic->ticker);
    tf_ctx_done(&periodic->ctx);
    free(periodic);
}
