/* Parking, listing, discarding and replaying dead letters. */
#include "common/chassis/dead_letter.h"

#include "common/base/chaos.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/text.h"
#include "common/chassis/event.h"
#include "common/chassis/service.h"

#include <string.h>

enum { REPLAYS_A_TURN = 16, REPLAY_TIMEOUT_S = 10 };

static tf_counter replayed_total = TF_COUNTER("tf_bus_replayed_total", "Replays of dead letters, by result", "result");

static const struct tf_pg_stmt inbox_put = {
    "dead_letter_inbox",
    "INSERT INTO inbox (topic, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    true,
};
static const struct tf_pg_stmt park = {
    "dead_letter_park",
    "INSERT INTO dead_letter (topic, event_id, type, envelope, cause, attempts) VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (topic, event_id) DO NOTHING",
    true,
};
static const struct tf_pg_stmt attempts_forget = {"dead_letter_attempts_forget",
                                                  "DELETE FROM event_attempt WHERE topic = $1 AND event_id = $2", true};
static const struct tf_pg_stmt ask = {
    "dead_letter_ask",
    "UPDATE dead_letter SET replay_at = clock_timestamp() WHERE topic = $1 AND event_id = $2 AND resolved_at IS NULL",
    true,
};
static const struct tf_pg_stmt discard = {
    "dead_letter_discard",
    "UPDATE dead_letter SET resolved_at = clock_timestamp(), replay_at = NULL, resolution = 'discarded: ' || $3"
    " WHERE topic = $1 AND event_id = $2 AND resolved_at IS NULL",
    true,
};
#define LETTER_COLUMNS "topic, event_id, type, cause, attempts, parked_at, replay_at IS NOT NULL, resolution"
static const struct tf_pg_stmt list = {
    "dead_letter_list",
    "SELECT " LETTER_COLUMNS " FROM dead_letter WHERE resolved_at IS NULL ORDER BY parked_at, event_id LIMIT $1",
    false,
};
static const struct tf_pg_stmt find = {
    "dead_letter_find",
    "SELECT " LETTER_COLUMNS " FROM dead_letter WHERE event_id = $1 AND ($2::text IS NULL OR topic = $2)"
    " ORDER BY resolved_at IS NOT NULL, topic LIMIT 2",
    false,
};
static const struct tf_pg_stmt asked = {
    "dead_letter_asked",
    "SELECT topic, event_id FROM dead_letter WHERE resolved_at IS NULL AND replay_at IS NOT NULL AND topic = ANY ($1)"
    " ORDER BY replay_at LIMIT $2",
    false,
};
static const struct tf_pg_stmt lock_asked = {
    "dead_letter_lock",
    "SELECT envelope FROM dead_letter WHERE topic = $1 AND event_id = $2 AND resolved_at IS NULL"
    " AND replay_at IS NOT NULL FOR UPDATE",
    false,
};
static const struct tf_pg_stmt resolve = {
    "dead_letter_resolve",
    "UPDATE dead_letter SET resolved_at = clock_timestamp(), replay_at = NULL, resolution = 'replayed'"
    " WHERE topic = $1 AND event_id = $2",
    true,
};
static const struct tf_pg_stmt refuse = {
    "dead_letter_refuse",
    "UPDATE dead_letter SET replay_at = NULL, attempts = attempts + 1, cause = $3"
    " WHERE topic = $1 AND event_id = $2 AND resolved_at IS NULL",
    true,
};

static void key_params(tf_pg_params *params, tf_ctx *ctx, const char *topic, int64_t event_id)
{
    tf_pg_params_init(params, ctx);
    tf_pg_text(params, topic);
    tf_pg_int8(params, event_id);
}

/* ---- parking ----------------------------------------------------------------------------------------------------- */

tf_code tf_dead_letter_park(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_parking *parking, bool *ret_parked)
{
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    *ret_parked = false;
    key_params(&params, ctx, parking->topic, parking->event_id);
    code = tf_pg_exec(conn, ctx, &inbox_put, &params, &result);
    if (code) return code;
    if (tf_pg_affected(result) == 0) return TF_OK;

    code = tf_pg_exec(conn, ctx, &attempts_forget, &params, NULL);
    if (code) return code;
    tf_pg_text(&params, parking->type);
    tf_pg_bytes(&params, parking->size ? parking->envelope : "", parking->size);
    tf_pg_text(&params, parking->cause);
    tf_pg_int4(&params, parking->attempts);
    code = tf_pg_exec(conn, ctx, &park, &params, NULL);
    if (code) return code;
    TF_KILL_POINT(dead_letter_written);
    *ret_parked = true;
    return TF_OK;
}

/* ---- operators --------------------------------------------------------------------------------------------------- */

static struct tf_dead_letter letter_read(const tf_pg_result *result, int row)
{
    const char *resolution = tf_pg_get_text(result, row, 7);

    return (struct tf_dead_letter){
        .topic = tf_pg_get_text(result, row, 0),
        .event_id = tf_pg_get_int(result, row, 1),
        .type = tf_pg_get_text(result, row, 2),
        .cause = tf_pg_get_text(result, row, 3),
        .attempts = (int)tf_pg_get_int(result, row, 4),
        .parked = tf_pg_get_time(result, row, 5),
        .state = resolution                       ? TF_DEAD_LETTER_RESOLVED
                 : tf_pg_get_bool(result, row, 6) ? TF_DEAD_LETTER_ASKED
                                                  : TF_DEAD_LETTER_OPEN,
        .resolution = resolution,
    };
}

tf_code tf_dead_letter_list(tf_ctx *ctx, tf_pg *pg, int most, struct tf_dead_letter **ret_letters, size_t *ret_n)
{
    struct tf_dead_letter *letters;
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int4(&params, most);
    code = tf_pg_query(ctx, pg, &list, &params, &result);
    if (code) return code;
    letters = TF_NEW_ARRAY(ctx->arena, struct tf_dead_letter, (size_t)tf_pg_rows(result));
    if (!letters) return tf_fail(ctx, TF_INTERNAL, "the list of dead letters is too large for the arena");
    for (int row = 0; row < tf_pg_rows(result); row++)
        letters[row] = letter_read(result, row);
    *ret_letters = letters;
    *ret_n = (size_t)tf_pg_rows(result);
    return TF_OK;
}

tf_code tf_dead_letter_get(tf_ctx *ctx, tf_pg *pg, const char *topic, int64_t event_id,
                           struct tf_dead_letter *ret_letter)
{
    struct tf_dead_letter other;
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int8(&params, event_id);
    tf_pg_text(&params, topic);
    code = tf_pg_query(ctx, pg, &find, &params, &result);
    if (code) return code;
    if (tf_pg_rows(result) == 0) return tf_fail(ctx, TF_NOT_FOUND, "there is no dead letter by that id");

    *ret_letter = letter_read(result, 0);
    if (tf_pg_rows(result) == 1) return TF_OK;
    other = letter_read(result, 1);
    if (ret_letter->state == TF_DEAD_LETTER_RESOLVED || other.state == TF_DEAD_LETTER_RESOLVED) return TF_OK;
    return tf_fail(ctx, TF_STATE_WRONG, "several topics have an event by that id; name it TOPIC/ID");
}

/* Finds the open one, then changes it by stmt. text: a third parameter, or NULL. */
static tf_code letter_change(tf_ctx *ctx, tf_pg *pg, const char *topic, int64_t event_id, const struct tf_pg_stmt *stmt,
                             const char *text)
{
    struct tf_dead_letter letter;
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    code = tf_dead_letter_get(ctx, pg, topic, event_id, &letter);
    if (code) return code;
    key_params(&params, ctx, letter.topic, event_id);
    if (text) tf_pg_text(&params, text);
    code = tf_pg_query(ctx, pg, stmt, &params, &result);
    if (code) return code;
    if (tf_pg_affected(result) == 0) return tf_fail(ctx, TF_NOT_FOUND, "that dead letter is not open any more");
    return TF_OK;
}

tf_code tf_dead_letter_replay(tf_ctx *ctx, tf_pg *pg, const char *topic, int64_t event_id)
{
    return letter_change(ctx, pg, topic, event_id, &ask, NULL);
}

tf_code tf_dead_letter_discard(tf_ctx *ctx, tf_pg *pg, const char *topic, int64_t event_id, const char *reason)
{
    return letter_change(ctx, pg, topic, event_id, &discard, reason);
}

/* ---- replaying --------------------------------------------------------------------------------------------------- */

struct replay {
    const struct tf_bus_consumer *consumer;
    int64_t event_id;
    bool handled; /* false: another instance was first, or the operator changed his mind */
};

static tf_code replay_one(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct replay *replay = arg;
    struct tf_received event;
    struct tf_pg_bytes envelope;
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    replay->handled = false;
    key_params(&params, ctx, replay->consumer->topic, replay->event_id);
    code = tf_pg_exec(conn, ctx, &lock_asked, &params, &result);
    if (code || tf_pg_rows(result) == 0) return code;

    envelope = tf_pg_get_bytes(result, 0, 0);
    if (!tf_event_unpack(ctx, envelope.data, envelope.size, &event, &ctx->traceparent))
        return tf_fail(ctx, TF_FIELD_INVALID, "the envelope cannot be read; it can only be discarded");
    ctx->request_id = event.request_id;
    code = replay->consumer->handler(conn, ctx, &event);
    if (code) return code;
    code = tf_pg_exec(conn, ctx, &resolve, &params, NULL);
    if (code) return code;
    TF_KILL_POINT(dead_letter_replay_written);
    replay->handled = true;
    return TF_OK;
}

/* A replay that failed stays open, with the new cause, and waits for the operator again. */
static tf_code replay_refused(tf_ctx *ctx, struct tf_app *app, const struct replay *replay, const char *cause)
{
    tf_pg_params params;

    key_params(&params, ctx, replay->consumer->topic, replay->event_id);
    tf_pg_text(&params, cause);
    return tf_pg_query(ctx, tf_app_pg(app), &refuse, &params, NULL);
}

static tf_code replay(tf_ctx *ctx, struct tf_app *app, const struct tf_bus_consumer *consumer, int64_t event_id)
{
    struct replay replay = {.consumer = consumer, .event_id = event_id};
    char number[TF_LOG_INT];
    const char *cause;
    tf_ctx own;
    tf_code code;

    tf_app_ctx(app, &own, "replay", (int64_t)REPLAY_TIMEOUT_S * TF_US_PER_S);
    code = tf_pg_tx(&own, tf_app_pg(app), replay_one, &replay);
    cause = tf_arena_printf(ctx->arena, "%s: %.*s", tf_code_info(code)->reason, TF_DEAD_LETTER_CAUSE_MAX,
                            own.error.internal ? own.error.internal : "");
    tf_ctx_done(&own);

    if (!code && replay.handled) TF_KILL_POINT(dead_letter_replay_committed);
    if (!code && replay.handled && consumer->committed) consumer->committed(app);
    if (!code && !replay.handled) return TF_OK;
    tf_counter_add_label(&replayed_total, code ? "failed" : "handled", 1);
    tf_log(code ? TF_LOG_WARN : TF_LOG_INFO, code ? "the replay of a dead letter failed" : "a dead letter was replayed",
           "topic", consumer->topic, "event_id", tf_log_int(number, event_id), "cause", code ? cause : NULL, NULL);
    return code ? replay_refused(ctx, app, &replay, cause) : TF_OK;
}

static const struct tf_bus_consumer *consumer_of(const struct tf_bus_consumer *consumers, const char *topic)
{
    while (consumers->topic && strcmp(consumers->topic, topic) != 0)
        consumers++;
    return consumers->topic ? consumers : NULL;
}

tf_code tf_dead_letter_work(tf_ctx *ctx, struct tf_app *app, const struct tf_bus_consumer *consumers)
{
    const char *topics[64];
    tf_pg_result *result;
    tf_pg_params params;
    size_t n = 0;
    tf_code code;

    while (consumers[n].topic && n < TF_COUNT(topics))
        topics[n] = consumers[n].topic, n++;
    tf_pg_params_init(&params, ctx);
    tf_pg_text_array(&params, topics, n);
    tf_pg_int4(&params, REPLAYS_A_TURN);
    code = tf_pg_query(ctx, tf_app_pg(app), &asked, &params, &result);
    for (int row = 0; !code && row < tf_pg_rows(result) && !tf_app_stopping(app); row++) {
        const struct tf_bus_consumer *consumer = consumer_of(consumers, tf_pg_get_text(result, row, 0));

        TF_ASSERT(consumer); /* the query asked for these topics */
        code = replay(ctx, app, consumer, tf_pg_get_int(result, row, 1));
    }
    return code;
}
