/* The outbox's SQL: producers' insert, and the relay's reading, marking and sending again. */
#include "common/chassis/outbox.h"

#include "common/base/text.h"
#include "common/chassis/bus.h"

#include <string.h>

enum { UNSEND_CHUNK = 5000 };

static const struct tf_pg_stmt put = {
    "outbox_put",
    "INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope) VALUES ($1, $2, $3, $4, $5)",
    true,
};
static const struct tf_pg_stmt lock = {"outbox_lock", "SELECT pg_try_advisory_xact_lock($1)", false};
/* The inner query bounds the rows, the outer one their bytes; the first row always fits (see the table's check). */
static const struct tf_pg_stmt unsent = {
    "outbox_unsent",
    "SELECT bucket, event_id, topic, aggregate_id, envelope, waiting FROM"
    " (SELECT *, sum(length(envelope)) OVER (ORDER BY event_id, bucket) AS bytes, count(*) OVER () AS waiting FROM"
    "   (SELECT bucket, event_id, topic, aggregate_id, envelope FROM outbox WHERE sent_at IS NULL"
    "     ORDER BY event_id LIMIT $1) first) summed"
    " WHERE bytes <= $2 ORDER BY event_id, bucket",
    false,
};
static const struct tf_pg_stmt mark_sent = {
    "outbox_mark",
    "UPDATE outbox o SET sent_at = clock_timestamp() FROM unnest($1::int2[], $2::int8[]) AS sent (bucket, event_id)"
    " WHERE o.bucket = sent.bucket AND o.event_id = sent.event_id",
    true,
};
static const struct tf_pg_stmt engine_read = {"relay_engine_read",
                                              "SELECT generation, run_id FROM relay_engine WHERE engine = $1", false};
static const struct tf_pg_stmt engine_write = {
    "relay_engine_write",
    "INSERT INTO relay_engine (engine, generation, run_id) VALUES ($1, $2, $3)"
    " ON CONFLICT (engine) DO UPDATE SET generation = excluded.generation, run_id = excluded.run_id",
    true,
};
static const struct tf_pg_stmt unsend_all = {
    "outbox_unsend_all",
    "UPDATE outbox o SET sent_at = NULL FROM"
    " (SELECT bucket, event_id FROM outbox WHERE sent_at IS NOT NULL ORDER BY sent_at LIMIT $1) chunk"
    " WHERE o.bucket = chunk.bucket AND o.event_id = chunk.event_id",
    true,
};
/* Counted back from the last row sent, not from now: while the engine was away nothing was sent. That row goes last, so
 * the span stays the same over all chunks. */
static const struct tf_pg_stmt unsend_recent = {
    "outbox_unsend_recent",
    "UPDATE outbox o SET sent_at = NULL FROM"
    " (SELECT bucket, event_id FROM outbox WHERE sent_at >= (SELECT max(sent_at) FROM outbox WHERE sent_at IS NOT NULL)"
    "   - interval '120 seconds' ORDER BY sent_at LIMIT $1) chunk"
    " WHERE o.bucket = chunk.bucket AND o.event_id = chunk.event_id",
    true,
};

tf_code tf_outbox_put(tf_ctx *ctx, tf_pg_conn *conn, const struct tf_event *event)
{
    struct tf_pg_bytes envelope;
    tf_pg_params params;
    tf_code code;

    TF_ASSERT(event->bucket >= 0 && event->bucket < 32768);
    code = tf_event_pack(ctx, event, ctx->clock->wall_us(ctx->clock), &envelope);
    if (code) return code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)event->bucket);
    tf_pg_int8(&params, event->event_id);
    tf_pg_text(&params, event->topic);
    tf_pg_int8(&params, event->aggregate_id);
    tf_pg_bytes(&params, envelope.data, envelope.size);
    return tf_pg_exec(conn, ctx, &put, &params, NULL);
}

/* The key is the service's name: services that share a database (each with its schema) must not wait for each other. */
tf_code tf_outbox_lock(tf_pg_conn *conn, tf_ctx *ctx, const char *service, bool *ret_got)
{
    static const char room[] = "outbox:";
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int8(&params, (int64_t)(tf_hash64(room, strlen(room)) ^ tf_mix64(tf_hash64(service, strlen(service)))));
    code = tf_pg_exec(conn, ctx, &lock, &params, &result);
    if (code) return code;
    *ret_got = tf_pg_get_bool(result, 0, 0);
    return TF_OK;
}

tf_code tf_outbox_unsent(tf_pg_conn *conn, tf_ctx *ctx, struct tf_outbox_batch *ret_batch)
{
    struct tf_outbox_batch batch = {0};
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int4(&params, TF_OUTBOX_BATCH);
    tf_pg_int4(&params, TF_OUTBOX_BATCH_BYTES);
    code = tf_pg_exec(conn, ctx, &unsent, &params, &result);
    if (code) return code;

    batch.n = (size_t)tf_pg_rows(result);
    batch.messages = TF_NEW_ARRAY(ctx->arena, struct tf_engine_message, batch.n);
    batch.buckets = TF_NEW_ARRAY(ctx->arena, int16_t, batch.n);
    batch.event_ids = TF_NEW_ARRAY(ctx->arena, int64_t, batch.n);
    if (!batch.messages || !batch.buckets || !batch.event_ids)
        return tf_fail(ctx, TF_INTERNAL, "a batch of the outbox is too large for the arena");
    for (size_t i = 0; i < batch.n; i++) {
        int row = (int)i;
        struct tf_pg_bytes envelope = tf_pg_get_bytes(result, row, 4);

        batch.buckets[i] = (int16_t)tf_pg_get_int(result, row, 0);
        batch.event_ids[i] = tf_pg_get_int(result, row, 1);
        batch.messages[i] = (struct tf_engine_message){
            .topic = tf_pg_get_text(result, row, 2),
            .key = tf_pg_get_int(result, row, 3),
            .data = envelope.data,
            .size = envelope.size,
        };
        batch.full = tf_pg_get_int(result, row, 5) > (int64_t)batch.n || batch.n == TF_OUTBOX_BATCH;
    }
    *ret_batch = batch;
    return TF_OK;
}

tf_code tf_outbox_mark(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_outbox_batch *batch)
{
    int16_t *buckets = TF_NEW_ARRAY(ctx->arena, int16_t, batch->n);
    int64_t *event_ids = TF_NEW_ARRAY(ctx->arena, int64_t, batch->n);
    tf_pg_params params;
    size_t n = 0;

    if (!buckets || !event_ids) return tf_fail(ctx, TF_INTERNAL, "a batch of the outbox is too large for the arena");
    for (size_t i = 0; i < batch->n; i++) {
        if (!batch->messages[i].sent) continue;
        buckets[n] = batch->buckets[i];
        event_ids[n++] = batch->event_ids[i];
    }
    if (n == 0) return TF_OK;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2_array(&params, buckets, n);
    tf_pg_int8_array(&params, event_ids, n);
    return tf_pg_exec(conn, ctx, &mark_sent, &params, NULL);
}

static void mark_text(char out[static TF_ENGINE_MARK_MAX + 1], const char *text)
{
    size_t n = TF_MIN(strlen(text), (size_t)TF_ENGINE_MARK_MAX);

    memcpy(out, text, n);
    out[n] = '\0';
}

tf_code tf_outbox_engine(tf_pg_conn *conn, tf_ctx *ctx, const char *engine, bool *ret_known,
                         struct tf_engine_mark *ret_mark)
{
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, engine);
    code = tf_pg_exec(conn, ctx, &engine_read, &params, &result);
    if (code) return code;
    *ret_known = tf_pg_rows(result) == 1;
    if (!*ret_known) return TF_OK;
    *ret_mark = (struct tf_engine_mark){0}; /* to the last byte: marks are compared whole */
    mark_text(ret_mark->generation, tf_pg_get_text(result, 0, 0));
    mark_text(ret_mark->run_id, tf_pg_get_text(result, 0, 1));
    return TF_OK;
}

tf_code tf_outbox_engine_set(tf_pg_conn *conn, tf_ctx *ctx, const char *engine, const struct tf_engine_mark *mark)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, engine);
    tf_pg_text(&params, mark->generation);
    tf_pg_text(&params, mark->run_id);
    return tf_pg_exec(conn, ctx, &engine_write, &params, NULL);
}

tf_code tf_outbox_unsend(tf_pg_conn *conn, tf_ctx *ctx, bool all, bool *ret_more)
{
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int4(&params, UNSEND_CHUNK);
    code = tf_pg_exec(conn, ctx, all ? &unsend_all : &unsend_recent, &params, &result);
    if (code) return code;
    *ret_more = tf_pg_affected(result) >= UNSEND_CHUNK;
    return TF_OK;
}
