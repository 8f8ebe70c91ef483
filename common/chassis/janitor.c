/* The turns of the bus's housekeeping. Several instances may do it at once. */
#include "common/chassis/janitor.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/chassis/app_internal.h"
#include "common/chassis/dead_letter.h"
#include "common/chassis/partitions.h"
#include "common/chassis/ticker.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    TICK_MS = 1000,
    HOUSE_TICKS = 5,       /* retention, trimming and gauges: every fifth tick */
    ATTEMPTS_ROWS = 10000, /* a turn */
    TURN_TIMEOUT_S = 10,
    COUNT_MAX = 100000, /* a gauge need not count further */
};

static tf_gauge outbox_unsent =
    TF_GAUGE("tf_outbox_unsent", "Events that wait in the outbox (counted up to 100,000)", NULL);
static tf_gauge outbox_age =
    TF_GAUGE("tf_outbox_oldest_seconds", "Age of the oldest event that waits in the outbox", NULL);
static tf_gauge letters_open = TF_GAUGE("tf_dead_letters_open", "Dead letters neither replayed nor discarded", NULL);
static tf_gauge consumer_lag = TF_GAUGE("tf_bus_lag", "Events not handled yet, by topic", "topic");
struct tf_janitor {
    tf_app *app;
    tf_engine *engine;
    tf_relay *relay;
    tf_ticker *ticker;
    tf_ctx ctx;
    int ticks;
    bool failing;         /* said once */
    pthread_mutex_t lock; /* protects replays: whoever turns them off waits for the one under way */
    bool replays;
};

static const struct tf_partitioned outbox = {"outbox", "sent_at"};
static const struct tf_partitioned inbox = {"inbox", "handled_at"};

/* Attempts at events that went away with the engine's data; few at any time. $1: seconds, $2: rows. */
static const struct tf_pg_stmt attempt_delete = {
    "event_attempt_delete",
    "DELETE FROM event_attempt a USING (SELECT topic, event_id FROM event_attempt"
    "   WHERE failed_at < now() - make_interval(secs => $1::int8) LIMIT $2 FOR UPDATE SKIP LOCKED) old"
    " WHERE a.topic = old.topic AND a.event_id = old.event_id",
    true,
};
static const struct tf_pg_stmt gauges = {
    "bus_gauges",
    "SELECT (SELECT count(*) FROM (SELECT FROM outbox WHERE sent_at IS NULL LIMIT $1) unsent),"
    "       (SELECT created_at FROM outbox WHERE sent_at IS NULL ORDER BY event_id LIMIT 1),"
    "       (SELECT count(*) FROM dead_letter WHERE resolved_at IS NULL), clock_timestamp()",
    false,
};

/* The inbox outlives the outbox: an event may be sent again for as long as it is kept there. */
static tf_code retention(tf_janitor *janitor)
{
    const struct tf_config *config = &janitor->app->config;
    int64_t seconds = config->outbox_retention_s;
    tf_ctx *ctx = &janitor->ctx;
    tf_pg *pg = janitor->app->pg;
    tf_pg_params params;
    tf_code code;

    code = tf_partitions_keep(ctx, pg, &outbox, seconds, config->partition_hours);
    if (!code) code = tf_partitions_keep(ctx, pg, &inbox, 2 * seconds, config->partition_hours);
    if (code) return code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int8(&params, 2 * seconds);
    tf_pg_int4(&params, ATTEMPTS_ROWS);
    return tf_pg_query(ctx, pg, &attempt_delete, &params, NULL);
}

static tf_code gauges_set(tf_janitor *janitor)
{
    tf_pg_result *result;
    tf_pg_params params;
    int64_t age_us = 0;
    tf_code code;

    tf_pg_params_init(&params, &janitor->ctx);
    tf_pg_int4(&params, COUNT_MAX);
    code = tf_pg_query(&janitor->ctx, janitor->app->pg, &gauges, &params, &result);
    if (code) return code;
    if (!tf_pg_is_null(result, 0, 1)) age_us = tf_pg_get_time(result, 0, 3) - tf_pg_get_time(result, 0, 1);
    tf_gauge_set(&outbox_unsent, (double)tf_pg_get_int(result, 0, 0));
    tf_gauge_set(&outbox_age, (double)TF_MAX(age_us, 0) / TF_US_PER_S);
    tf_gauge_set(&letters_open, (double)tf_pg_get_int(result, 0, 2));
    return TF_OK;
}

static tf_code topics_keep(tf_janitor *janitor)
{
    const struct tf_engine_ops *ops = janitor->engine->ops;
    const struct tf_bus_consumer *consumer = janitor->app->service->consumers;
    const char *topics[TF_RELAY_TOPICS_MAX];
    size_t n = tf_relay_topics(janitor->relay, topics);
    tf_code code = TF_OK;

    for (size_t i = 0; i < n && !code; i++)
        code = ops->trim(&janitor->ctx, janitor->engine, topics[i], janitor->app->config.outbox_retention_s);
    for (; consumer && consumer->topic && !code; consumer++) {
        int64_t lag;

        code = ops->lag(&janitor->ctx, janitor->engine, consumer->topic, janitor->app->service->name, &lag);
        if (!code) tf_gauge_set_label(&consumer_lag, consumer->topic, (double)lag);
    }
    return code;
}

static tf_code replays_do(tf_janitor *janitor)
{
    tf_code code = TF_OK;

    pthread_mutex_lock(&janitor->lock);
    if (janitor->replays && janitor->app->service->consumers)
        code = tf_dead_letter_work(&janitor->ctx, janitor->app, janitor->app->service->consumers);
    pthread_mutex_unlock(&janitor->lock);
    return code;
}

/* Each duty has its own time and error: PostgreSQL away must not keep topics from being trimmed, nor the other way
 * round. */
static bool duty(tf_janitor *janitor, tf_code (*work)(tf_janitor *janitor))
{
    tf_code code;

    tf_ctx_reset(&janitor->ctx, (int64_t)TURN_TIMEOUT_S * TF_US_PER_S);
    code = work(janitor);
    if (code && !janitor->failing)
        tf_log(TF_LOG_WARN, "housekeeping of the event bus failed", "reason", tf_code_info(code)->reason, "cause",
               janitor->ctx.error.internal, NULL);
    return !code;
}

static int janitor_tick(void *arg)
{
    tf_janitor *janitor = arg;
    bool good = duty(janitor, replays_do);

    if (janitor->ticks++ % HOUSE_TICKS == 0) {
        good = duty(janitor, gauges_set) && good;
        good = duty(janitor, topics_keep) && good;
        good = duty(janitor, retention) && good;
    }
    janitor->failing = !good;
    return TICK_MS;
}

tf_janitor *tf_janitor_start(tf_app *app, tf_engine *engine, tf_relay *relay)
{
    tf_janitor *janitor = calloc(1, sizeof(*janitor));

    TF_ASSERT(janitor);
    janitor->app = app;
    janitor->engine = engine;
    janitor->relay = relay;
    pthread_mutex_init(&janitor->lock, NULL);
    tf_app_ctx(app, &janitor->ctx, "bus-janitor", 0);
    janitor->ticker = tf_ticker_start("tf-bus-janitor", janitor_tick, janitor);
    return janitor;
}

void tf_janitor_replays(tf_janitor *janitor, bool on)
{
    pthread_mutex_lock(&janitor->lock);
    janitor->replays = on;
    pthread_mutex_unlock(&janitor->lock);
}

void tf_janitor_stop(tf_janitor *janitor)
{
    if (!janitor) return;
    tf_ticker_stop(janitor->ticker);
    pthread_mutex_destroy(&janitor->lock);
    tf_ctx_done(&janitor->ctx);
    free(janitor);
}
