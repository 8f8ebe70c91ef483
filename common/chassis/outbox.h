/* The outbox's table as the relay and the janitor use it; producers use tf_outbox_put of bus.h. */
#pragma once

#include "common/chassis/engine.h"
#include "common/pg/pg.h"

/* One round's rows, in the order of event ids. */
enum { TF_OUTBOX_BATCH = 500, TF_OUTBOX_BATCH_BYTES = 1024 * 1024 };
struct tf_outbox_batch {
    struct tf_engine_message *messages;
    int16_t *buckets; /* with event_ids: the rows' keys, by position */
    int64_t *event_ids;
    size_t n;
    bool full; /* more rows wait */
};

/* For the rest of the transaction this process alone sends (or deletes) events of `service`; *ret_got false: another
 * one does. */
TF_MUSTCHECK tf_code tf_outbox_lock(tf_pg_conn *conn, tf_ctx *ctx, const char *service, bool *ret_got);
/* Unsent rows, in ctx->arena. */
TF_MUSTCHECK tf_code tf_outbox_unsent(tf_pg_conn *conn, tf_ctx *ctx, struct tf_outbox_batch *ret_batch);
/* Notes those that the engine has. */
TF_MUSTCHECK tf_code tf_outbox_mark(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_outbox_batch *batch);

/* The mark that this database's events were sent to; false: none yet. */
TF_MUSTCHECK tf_code tf_outbox_engine(tf_pg_conn *conn, tf_ctx *ctx, const char *engine, bool *ret_known,
                                      struct tf_engine_mark *ret_mark);
TF_MUSTCHECK tf_code tf_outbox_engine_set(tf_pg_conn *conn, tf_ctx *ctx, const char *engine,
                                          const struct tf_engine_mark *mark);
/* Makes a chunk of sent rows unsent again, the oldest first: all retained ones, or those sent in the last two minutes
 * in which anything was sent. *ret_more: call again. */
TF_MUSTCHECK tf_code tf_outbox_unsend(tf_pg_conn *conn, tf_ctx *ctx, bool all, bool *ret_more);
