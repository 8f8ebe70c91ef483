/* Handling events: inbox and effect in one transaction, acknowledged after the commit.
 *
 * A failure is one of two kinds. Weather (a store or a callee is away, too slow, overloaded) says nothing about the
 * event: it is tried again for as long as it takes. Anything else counts; the count stands in table event_attempt, so
 * that it outlives the process, and at bus_attempts_max the event is parked as a dead letter. While an event waits for
 * its next attempt, later ones of its aggregate wait too, so that this process keeps their order; another instance of
 * the same group may overtake after a failure, therefore handlers decide by the state they find, not by the order of
 * events. */
#include "common/chassis/consumer.h"

#include "common/base/chaos.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/text.h"
#include "common/chassis/app_internal.h"
#include "common/chassis/dead_letter.h"
#include "common/chassis/event.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum {
    BATCH_MAX = 64,
    BATCH_TIMEOUT_MS = 30000,
    EVENT_TIMEOUT_MS = 10000,
    WEATHER_PAUSE_MS = 100, /* doubled up to the next */
    WEATHER_PAUSE_MAX_MS = 2000,
    WEATHER_STAY_MS = 10000, /* then the batch goes back to the engine and comes again */
    WAITING_MAX = 512,       /* beyond: better out of order than not at all */
    WAITING_S = 150,         /* more than two of the engine's longest pauses: by then another instance has the event */
};

static tf_counter handled_total = TF_COUNTER("tf_bus_handled_total", "Events handled, by type", "type");
static tf_counter repeated_total =
    TF_COUNTER("tf_bus_repeated_total", "Events met again after they were handled, by type", "type");
static tf_counter failed_total = TF_COUNTER("tf_bus_failed_total", "Failed attempts at events, by type", "type");
static tf_counter parked_total = TF_COUNTER("tf_bus_parked_total", "Events parked as dead letters, by type", "type");
static tf_histogram handle_seconds =
    TF_HISTOGRAM("tf_bus_handle_seconds", "Handling of events, commit included, by type", "type");

static const struct tf_pg_stmt inbox_put = {
    "inbox_put", "INSERT INTO inbox (topic, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", true};
/* An event that came again may come once more within the retention time: its note must live as long from now. */
static const struct tf_pg_stmt inbox_refresh = {
    "inbox_refresh",
    "UPDATE inbox SET handled_at = now() WHERE topic = $1 AND event_id = $2 AND handled_at < now() - interval '1 "
    "minute'",
    true,
};
static const struct tf_pg_stmt attempts_forget = {"event_attempt_forget",
                                                  "DELETE FROM event_attempt WHERE topic = $1 AND event_id = $2", true};
static const struct tf_pg_stmt attempts_add = {
    "event_attempt_add",
    "INSERT INTO event_attempt AS a (topic, event_id, attempts, failed_at) VALUES ($1, $2, 1, clock_timestamp())"
    " ON CONFLICT (topic, event_id) DO UPDATE SET attempts = a.attempts + 1, failed_at = excluded.failed_at"
    " RETURNING attempts",
    true,
};

/* An event that was left: failed, or behind one that failed. */
struct waiting {
    int64_t aggregate_id, event_id; /* event_id 0: free */
    uint64_t arrival;               /* later ones of the aggregate have a greater number */
    int64_t until_us;               /* monotonic */
};

struct tf_consumer {
    tf_app *app;
    const struct tf_bus_consumer *declared;
    tf_engine *engine;
    tf_engine_subscription *subscription;
    tf_ctx ctx; /* of the event under way */
    atomic_bool stopping;
    struct waiting waiting[WAITING_MAX];
    size_t n_waiting;
    uint64_t arrivals;
};

/* ---- order within an aggregate ----------------------------------------------------------------------------------- */

static struct waiting *waiting_find(tf_consumer *consumer, int64_t event_id)
{
    for (size_t i = 0; i < WAITING_MAX; i++)
        if (consumer->waiting[i].event_id == event_id) return &consumer->waiting[i];
    return NULL;
}

static void waiting_drop(tf_consumer *consumer, struct waiting *waiting)
{
    *waiting = (struct waiting){0};
    consumer->n_waiting--;
}

/* An earlier event of its aggregate waits. */
static bool must_wait(tf_consumer *consumer, const struct tf_received *event)
{
    const struct waiting *own;
    int64_t now;

    if (consumer->n_waiting == 0 || !event->aggregate_id) return false;
    own = waiting_find(consumer, event->event_id);
    now = tf_mono_us();
    for (size_t i = 0; i < WAITING_MAX; i++) {
        struct waiting *waiting = &consumer->waiting[i];

        if (!waiting->event_id || waiting == own) continue;
        if (waiting->until_us < now)
            waiting_drop(consumer, waiting);
        else if (waiting->aggregate_id == event->aggregate_id && (!own || waiting->arrival < own->arrival))
            return true;
    }
    return false;
}

/* The event was left. */
static void wait_begin(tf_consumer *consumer, const struct tf_received *event)
{
    struct waiting *waiting = waiting_find(consumer, event->event_id);

    if (!event->aggregate_id) return;
    if (!waiting) {
        waiting = waiting_find(consumer, 0);
        if (!waiting) return;
        consumer->n_waiting++;
        waiting->aggregate_id = event->aggregate_id;
        waiting->event_id = event->event_id;
        waiting->arrival = ++consumer->arrivals;
    }
    waiting->until_us = tf_mono_us() + (int64_t)WAITING_S * TF_US_PER_S;
}

/* The event is done with. */
static void wait_end(tf_consumer *consumer, const struct tf_received *event)
{
    struct waiting *waiting = consumer->n_waiting ? waiting_find(consumer, event->event_id) : NULL;

    if (waiting) waiting_drop(consumer, waiting);
}

/* ---- one event --------------------------------------------------------------------------------------------------- */

struct handling {
    tf_consumer *consumer;
    const struct tf_received *event;
    bool again; /* the engine delivered it before: an attempt may be noted */
    bool repeated;
};

static tf_code handle_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct handling *handling = arg;
    const struct tf_bus_consumer *declared = handling->consumer->declared;
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, declared->topic);
    tf_pg_int8(&params, handling->event->event_id);
    code = tf_pg_exec(conn, ctx, &inbox_put, &params, &result);
    if (code) return code;
    handling->repeated = tf_pg_affected(result) == 0;
    if (handling->repeated) return tf_pg_exec(conn, ctx, &inbox_refresh, &params, NULL);

    if (handling->again) code = tf_pg_exec(conn, ctx, &attempts_forget, &params, NULL);
    if (code) return code;
    code = declared->handler(conn, ctx, handling->event);
    TF_KILL_POINT(consumer_handled);
    return code;
}

/* By the gRPC status of the reason's table: unavailable, too slow, overloaded. */
static bool is_weather(tf_code code)
{
    switch (tf_code_info(code)->grpc_status) {
    case TF_GRPC_UNAVAILABLE:
    case TF_GRPC_DEADLINE_EXCEEDED:
    case TF_GRPC_RESOURCE_EXHAUSTED:
    case TF_GRPC_CANCELLED:
        return true;
    default:
        return false;
    }
}

static bool stopping(const tf_consumer *consumer)
{
    return atomic_load(&consumer->stopping) || tf_app_stopping(consumer->app);
}

/* What became of a delivery. Only LEFT and WEATHER come again: by the engine, and at once. */
enum outcome { HANDLED, REPEATED, PARKED, LEFT, WEATHER };

struct failure {
    tf_consumer *consumer;
    struct tf_parking parking;
    bool parked;
};

/* Counts the attempt; the last one parks the event. */
static tf_code failure_note(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct failure *failure = arg;
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    failure->parked = false;
    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, failure->parking.topic);
    tf_pg_int8(&params, failure->parking.event_id);
    code = tf_pg_exec(conn, ctx, &attempts_add, &params, &result);
    if (code) return code;
    failure->parking.attempts = (int)tf_pg_get_int(result, 0, 0);
    if (failure->parking.attempts < failure->consumer->app->config.bus_attempts_max) return TF_OK;
    return tf_dead_letter_park(conn, ctx, &failure->parking, &failure->parked);
}

static tf_code park_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct failure *failure = arg;

    return tf_dead_letter_park(conn, ctx, &failure->parking, &failure->parked);
}

static void say_failure(const struct failure *failure, const char *message, enum tf_log_level level)
{
    char event_id[TF_LOG_INT], attempts[TF_LOG_INT];

    tf_log(level, message, "topic", failure->parking.topic, "type", failure->parking.type, "event_id",
           tf_log_int(event_id, failure->parking.event_id), "attempts", tf_log_int(attempts, failure->parking.attempts),
           "cause", failure->parking.cause, NULL);
}

/* The context goes on with the note of the failure: the error is forgotten, its text stays, the time starts anew. */
static const char *cause_take(tf_ctx *ctx, tf_code code)
{
    const struct tf_error *error = &ctx->error;
    const char *text = error->internal ? error->internal : error->detail ? error->detail : "";
    const char *cause =
        tf_arena_printf(ctx->arena, "%s: %.*s", tf_code_info(code)->reason, TF_DEAD_LETTER_CAUSE_MAX, text);

    tf_error_clear(ctx);
    ctx->deadline_us = ctx->clock->mono_us(ctx->clock) + (int64_t)EVENT_TIMEOUT_MS * TF_US_PER_MS;
    return cause ? cause : tf_code_info(code)->reason;
}

static enum outcome fail(tf_consumer *consumer, const struct tf_engine_delivery *delivery,
                         const struct tf_received *event, tf_code code)
{
    struct failure failure = {
        .consumer = consumer,
        .parking =
            {
                .topic = consumer->declared->topic,
                .event_id = event->event_id,
                .type = event->type,
                .envelope = delivery->data,
                .size = delivery->size,
                .cause = cause_take(&consumer->ctx, code),
            },
    };

    tf_counter_add_label(&failed_total, event->type, 1);
    code = tf_pg_tx(&consumer->ctx, consumer->app->pg, failure_note, &failure);
    if (code) return is_weather(code) ? WEATHER : LEFT;
    if (failure.parking.attempts < consumer->app->config.bus_attempts_max) {
        say_failure(&failure, "an event failed and will be tried again", TF_LOG_WARN);
        return LEFT;
    }
    if (!failure.parked) return REPEATED;
    TF_KILL_POINT(dead_letter_committed);
    tf_counter_add_label(&parked_total, event->type, 1);
    say_failure(&failure, "an event was parked as a dead letter", TF_LOG_ERROR);
    return PARKED;
}

/* Its id is made from its place, negative, so that a second delivery parks nothing anew. */
static enum outcome park_unreadable(tf_consumer *consumer, const struct tf_engine_delivery *delivery)
{
    struct failure failure = {
        .consumer = consumer,
        .parking =
            {
                .topic = consumer->declared->topic,
                .event_id = -(int64_t)(tf_hash64(delivery->id, strlen(delivery->id)) >> 1) - 1,
                .type = "",
                .envelope = delivery->data,
                .size = delivery->size,
                .cause = "the envelope cannot be read",
                .attempts = 1,
            },
    };
    tf_code code = tf_pg_tx(&consumer->ctx, consumer->app->pg, park_in_tx, &failure);

    if (code) return is_weather(code) ? WEATHER : LEFT;
    if (!failure.parked) return REPEATED;
    TF_KILL_POINT(dead_letter_committed);
    tf_counter_add_label(&parked_total, "unreadable", 1);
    say_failure(&failure, "an event was parked as a dead letter", TF_LOG_ERROR);
    return PARKED;
}

/* Memory and time are one event's own. False: the delivery is no event. */
static bool event_begin(tf_consumer *consumer, const struct tf_engine_delivery *delivery, struct tf_received *ret_event)
{
    tf_ctx *ctx = &consumer->ctx;

    ctx->request_id = "";
    ctx->traceparent = NULL;
    tf_ctx_reset(ctx, (int64_t)EVENT_TIMEOUT_MS * TF_US_PER_MS);
    if (!tf_event_unpack(ctx, delivery->data, delivery->size, ret_event, &ctx->traceparent)) return false;
    ctx->request_id = ret_event->request_id;
    return true;
}

static enum outcome handle(tf_consumer *consumer, const struct tf_engine_delivery *delivery,
                           const struct tf_received *event)
{
    struct handling handling = {.consumer = consumer, .event = event, .again = delivery->deliveries > 1};
    int64_t begun = tf_mono_us();
    tf_code code;

    if (must_wait(consumer, event)) return LEFT;
    code = tf_pg_tx(&consumer->ctx, consumer->app->pg, handle_in_tx, &handling);
    if (code) return is_weather(code) ? WEATHER : fail(consumer, delivery, event, code);

    TF_KILL_POINT(consumer_committed);
    tf_histogram_observe_us_label(&handle_seconds, event->type, tf_mono_us() - begun);
    tf_counter_add_label(handling.repeated ? &repeated_total : &handled_total, event->type, 1);
    return handling.repeated ? REPEATED : HANDLED;
}

static enum outcome attempt(tf_consumer *consumer, const struct tf_engine_delivery *delivery)
{
    struct tf_received event;
    enum outcome outcome;

    if (!event_begin(consumer, delivery, &event)) return park_unreadable(consumer, delivery);
    outcome = handle(consumer, delivery, &event);
    if (outcome == LEFT || outcome == WEATHER)
        wait_begin(consumer, &event);
    else
        wait_end(consumer, &event);
    return outcome;
}

/* It was not tried at all: what comes later of its aggregate waits for it. */
static void leave(tf_consumer *consumer, const struct tf_engine_delivery *delivery)
{
    struct tf_received event;

    if (event_begin(consumer, delivery, &event)) wait_begin(consumer, &event);
}

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

/* False: the consumer is to stop. */
static bool nap(const tf_consumer *consumer, int ms)
{
    enum { STEP_MS = 50 };

    for (; ms > 0 && !stopping(consumer); ms -= STEP_MS)
        nanosleep(&(struct timespec){.tv_nsec = (long)STEP_MS * 1000000}, NULL);
    return !stopping(consumer);
}

static void say_weather(const tf_consumer *consumer)
{
    tf_log(TF_LOG_WARN, "events wait: they cannot be handled just now", "topic", consumer->declared->topic, "reason",
           tf_code_info(consumer->ctx.error.code)->reason, "cause", consumer->ctx.error.internal, NULL);
}

static void deliver(tf_ctx *ctx, const struct tf_engine_delivery *deliveries, size_t n, bool *acks, void *arg)
{
    tf_consumer *consumer = arg;
    int64_t begun = tf_mono_us();
    int pause_ms = WEATHER_PAUSE_MS;
    bool committed = false, said = false;
    size_t i = 0;

    while (i < n && !stopping(consumer) && tf_ctx_left_us(ctx) > 0) {
        enum outcome outcome = attempt(consumer, &deliveries[i]);

        if (outcome != WEATHER) {
            acks[i++] = outcome != LEFT;
            committed = committed || outcome == HANDLED;
            pause_ms = WEATHER_PAUSE_MS;
            continue;
        }
        if (!said) say_weather(consumer);
        said = true;
        if (tf_mono_us() - begun > (int64_t)WEATHER_STAY_MS * TF_US_PER_MS || !nap(consumer, pause_ms)) break;
        pause_ms = TF_MIN(2 * pause_ms, (int)WEATHER_PAUSE_MAX_MS);
    }
    for (; i < n && !stopping(consumer); i++)
        leave(consumer, &deliveries[i]);
    if (committed && consumer->declared->committed) consumer->declared->committed(consumer->app);
}

tf_consumer *tf_consumer_start(tf_app *app, tf_engine *engine, const struct tf_bus_consumer *declared)
{
    tf_consumer *consumer = calloc(1, sizeof(*consumer));
    const struct tf_engine_subscribe subscribe = {
        .topic = declared->topic,
        .group = app->service->name,
        .consumer = app->instance,
        .batch_max = BATCH_MAX,
        .retry_ms = (int)app->config.bus_retry_ms,
        .timeout_ms = BATCH_TIMEOUT_MS,
        .deliver = deliver,
        .arg = consumer,
    };

    TF_ASSERT(consumer && declared->topic && declared->handler);
    consumer->app = app;
    consumer->declared = declared;
    consumer->engine = engine;
    tf_app_ctx(app, &consumer->ctx, "", 0);
    consumer->subscription = engine->ops->subscribe(engine, &subscribe);
    return consumer;
}

void tf_consumer_stop(tf_consumer *consumer)
{
    if (!consumer) return;
    atomic_store(&consumer->stopping, true);
    consumer->engine->ops->unsubscribe(consumer->subscription);
    tf_ctx_done(&consumer->ctx);
    free(consumer);
}
