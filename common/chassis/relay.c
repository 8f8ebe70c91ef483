/* The relay's rounds: one transaction each, which takes the service's relay lock, reads a batch, sends it, and notes
 * what was sent. A crash in between sends the batch again; consumers know events by their ids.
 *
 * Rows are found by "not sent yet", never by "id greater than the last": a transaction that commits late must not be
 * skipped.
 *
 * Before it sends, a round compares the engine's mark with the one that this database's events were sent to. When they
 * differ the engine lost events: the rows concerned become unsent again, chunk by chunk, and only with the last chunk
 * is the new mark written, so that a crash in the middle begins again. */
#include "common/chassis/relay.h"

#include "common/base/chaos.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/chassis/app_internal.h"
#include "common/chassis/outbox.h"
#include "common/chassis/ticker.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum {
    HEARTBEAT_MS = 1000,
    GATHER_MS = 4, /* after a wake: a round for many commits costs little more than for one */
    BUSY_MS = 20,  /* another instance holds the lock; what we were woken for may have come after its reading */
    ROUND_TIMEOUT_S = 10,
};

static tf_counter sent_total = TF_COUNTER("tf_bus_sent_total", "Events sent to the engine, by topic", "topic");
static tf_counter resent_total =
    TF_COUNTER("tf_bus_lost_data_total", "Times the engine was found to have lost events, by kind", "kind");
static tf_histogram round_seconds =
    TF_HISTOGRAM("tf_bus_relay_round_seconds", "Rounds of the relay that sent something", NULL);

struct tf_relay {
    tf_app *app;
    tf_engine *engine;
    tf_ticker *ticker;
    tf_ctx ctx;
    struct tf_engine_mark mark;                        /* the engine's, as last asked */
    int64_t asked_us;                                  /* monotonic; 0: never */
    bool asked_now, ask_again;                         /* in this round; in the next one */
    bool failing;                                      /* said once */
    _Atomic(const char *) topics[TF_RELAY_TOPICS_MAX]; /* filled from the front by the relay's thread */
};

/* What a round found; set anew by every attempt of its transaction. */
struct round {
    tf_relay *relay;
    bool busy, more, stale;
    size_t n_sent;
    tf_code publish_code; /* a failure to send does not undo what was sent */
    const char *publish_cause;
};

static void topic_note(tf_relay *relay, const char *topic)
{
    for (size_t i = 0; i < TF_RELAY_TOPICS_MAX; i++) {
        const char *known = atomic_load(&relay->topics[i]);

        if (known && strcmp(known, topic) == 0) return;
        if (known) continue;
        atomic_store(&relay->topics[i], strdup(topic));
        return;
    }
}

/* ---- a round ----------------------------------------------------------------------------------------------------- */

static tf_code round_unsend(tf_pg_conn *conn, tf_ctx *ctx, struct round *round, bool all)
{
    tf_relay *relay = round->relay;
    tf_code code = tf_outbox_unsend(conn, ctx, all, &round->more);

    if (code || round->more) return code;
    round->more = true; /* now they can be sent */
    return tf_outbox_engine_set(conn, ctx, relay->engine->ops->name, &relay->mark);
}

static tf_code round_send(tf_pg_conn *conn, tf_ctx *ctx, struct round *round)
{
    tf_engine *engine = round->relay->engine;
    struct tf_outbox_batch batch;
    tf_code code;

    code = tf_outbox_unsent(conn, ctx, &batch);
    if (code || batch.n == 0) return code;
    TF_KILL_POINT(relay_read);

    round->publish_code = engine->ops->publish(ctx, engine, batch.messages, batch.n);
    round->publish_cause = ctx->error.internal;
    for (size_t i = 0; i < batch.n; i++) {
        if (!batch.messages[i].sent) continue;
        round->n_sent++;
        topic_note(round->relay, batch.messages[i].topic);
        tf_counter_add_label(&sent_total, batch.messages[i].topic, 1);
    }
    round->more = batch.full && !round->publish_code;
    if (round->n_sent == 0) return round->publish_code;
    TF_KILL_POINT(relay_sent);
    code = tf_outbox_mark(conn, ctx, &batch);
    TF_KILL_POINT(relay_marked);
    return code;
}

static tf_code round_run(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct round *round = arg;
    tf_relay *relay = round->relay;
    struct tf_engine_mark mark = {0};
    bool got, known;
    tf_code code;

    *round = (struct round){.relay = relay};
    code = tf_outbox_lock(conn, ctx, relay->app->service->name, &got);
    if (code) return code;
    round->busy = !got;
    if (round->busy) return TF_OK;

    code = tf_outbox_engine(conn, ctx, relay->engine->ops->name, &known, &mark);
    if (code) return code;
    round->stale = !relay->asked_now && (!known || memcmp(&mark, &relay->mark, sizeof(mark)) != 0);
    if (round->stale) return TF_OK; /* another instance may have seen the engine change before us */
    if (!known || strcmp(mark.generation, relay->mark.generation) != 0) return round_unsend(conn, ctx, round, true);
    if (strcmp(mark.run_id, relay->mark.run_id) != 0) return round_unsend(conn, ctx, round, false);
    return round_send(conn, ctx, round);
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static tf_code mark_refresh(tf_relay *relay)
{
    const struct tf_engine_ops *ops = relay->engine->ops;
    struct tf_engine_mark mark = {0};
    tf_code code;

    relay->asked_now = !relay->asked_us || relay->ask_again || ops->suspect(relay->engine) ||
                       tf_mono_us() - relay->asked_us >= (int64_t)HEARTBEAT_MS * TF_US_PER_MS;
    if (!relay->asked_now) return TF_OK;
    code = ops->identify(&relay->ctx, relay->engine, &mark);
    if (code) return code;

    if (relay->asked_us && strcmp(mark.generation, relay->mark.generation) != 0) {
        tf_counter_add_label(&resent_total, "all", 1);
        tf_log(TF_LOG_WARN, "the event engine lost its data: retained events are sent again", NULL);
    } else if (relay->asked_us && strcmp(mark.run_id, relay->mark.run_id) != 0) {
        tf_counter_add_label(&resent_total, "recent", 1);
        tf_log(TF_LOG_WARN, "the event engine started again: recent events are sent again", NULL);
    }
    relay->mark = mark;
    relay->ask_again = false;
    relay->asked_us = tf_mono_us();
    return TF_OK;
}

static void say_failing(tf_relay *relay, tf_code code, const char *cause)
{
    if (!relay->failing)
        tf_log(TF_LOG_WARN, "events cannot be sent; they wait in the outbox", "reason", tf_code_info(code)->reason,
               "cause", cause, NULL);
    relay->failing = true;
}

static void gather(void)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)GATHER_MS * 1000000}, NULL);
}

/* One round; returns the pause until the next. */
static int relay_round(tf_relay *relay)
{
    struct round round = {.relay = relay};
    int64_t begun = tf_mono_us();
    tf_code code;

    tf_ctx_reset(&relay->ctx, (int64_t)ROUND_TIMEOUT_S * TF_US_PER_S);
    code = mark_refresh(relay);
    if (!code) code = tf_pg_tx(&relay->ctx, relay->app->pg, round_run, &round);
    if (!code) code = round.publish_code;
    if (code) {
        say_failing(relay, code, round.publish_cause ? round.publish_cause : relay->ctx.error.internal);
        return HEARTBEAT_MS;
    }
    if (relay->failing) tf_log(TF_LOG_INFO, "events are sent again", NULL);
    relay->failing = false;
    if (round.n_sent) TF_KILL_POINT(relay_committed);
    if (round.n_sent) tf_histogram_observe_us(&round_seconds, tf_mono_us() - begun);
    relay->ask_again = round.stale;
    if (round.busy) return BUSY_MS;
    return round.more || round.stale ? 0 : HEARTBEAT_MS;
}

static int relay_tick(void *arg)
{
    int pause_ms;

    gather();
    while ((pause_ms = relay_round(arg)) == 0 && !tf_app_stopping(((tf_relay *)arg)->app))
        continue;
    return pause_ms;
}

tf_relay *tf_relay_start(tf_app *app, tf_engine *engine)
{
    tf_relay *relay = calloc(1, sizeof(*relay));

    TF_ASSERT(relay);
    relay->app = app;
    relay->engine = engine;
    tf_app_ctx(app, &relay->ctx, "relay", 0);
    relay->ticker = tf_ticker_start("tf-relay", relay_tick, relay);
    return relay;
}

void tf_relay_wake(tf_relay *relay)
{
    if (relay) tf_ticker_wake(relay->ticker);
}

void tf_relay_stop(tf_relay *relay)
{
    if (!relay) return;
    tf_ticker_stop(relay->ticker);
    if (!relay->failing) (void)relay_round(relay); /* events of the last calls; whatever stays waits in the outbox */
    for (size_t i = 0; i < TF_RELAY_TOPICS_MAX; i++)
        free((char *)atomic_load(&relay->topics[i]));
    tf_ctx_done(&relay->ctx);
    free(relay);
}

size_t tf_relay_topics(tf_relay *relay, const char *ret_topics[static TF_RELAY_TOPICS_MAX])
{
    size_t n = 0;

    while (n < TF_RELAY_TOPICS_MAX && (ret_topics[n] = atomic_load(&relay->topics[n])))
        n++;
    return n;
}
