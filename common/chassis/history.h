/* What happened to orders, for people: table order_history, in the database of every service that has a part in them.
 *
 * A change writes its entry in its own transaction, so that none is told that did not happen and none is lost; the
 * entry says which instance made it and on which request. A timeline is read page by page, by time. */
#pragma once

#include "common/pg/pg.h"
#include "ticketflow/event/v1/history.tf.h"

struct tf_app;

enum { TF_HISTORY_FACTS_MAX = 16 };

struct tf_history {
    int64_t order_no;
    int64_t event_id; /* of the event that tells it (told), or 0: a new id */
    bool told;        /* an event of that id goes into the outbox in the same transaction */
    const char *kind; /* "order.paid" */
    tf_time at;
    const char *const *facts; /* names and values in turn, ended by a NULL name; a NULL or empty value is left out; at
                                 most TF_HISTORY_FACTS_MAX */
};
/* A number as a fact's value, in the arena; NULL when it is exhausted (which tf_history_put reports). */
const char *tf_history_int(tf_ctx *ctx, int64_t value);

/* Inside a transaction. */
TF_MUSTCHECK tf_code tf_history_put(tf_ctx *ctx, tf_pg_conn *conn, const struct tf_history *entry);
/* For a statement that makes the change and its entry at once: appends event_id int8, at timestamptz, kind text,
 * process text, request_id text, facts text[] (names and values, for jsonb_object). */
TF_MUSTCHECK tf_code tf_history_params(tf_ctx *ctx, tf_pg_params *params, const struct tf_history *entry);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A place in the order of a timeline: by time, then id, then rank. */
struct tf_history_position {
    tf_time at; /* INT64_MIN: before the first */
    int64_t id;
    int rank;
};
/* The place of an entry. */
struct tf_history_position tf_history_position_of(const HistoryEntry *entry);
/* Less than, equal to or greater than 0, as strcmp. */
int tf_history_compare(const struct tf_history_position *a, const struct tf_history_position *b);

/* SQL of a page. FROM: a query of the columns at, id, rank, kind, process, request_id, facts (jsonb of texts).
 * Parameters as tf_history_read gives them; those of the service's own begin with $8. */
#define TF_HISTORY_PAGE(from)                                                                                          \
    "SELECT e.at, e.id, e.rank, e.kind, e.process, e.request_id,"                                                      \
    " (SELECT string_agg(f.key || E'\\x1f' || f.value, E'\\x1e') FROM jsonb_each_text(e.facts) f)"                     \
    " FROM (" from ") e"                                                                                               \
    " WHERE $4::timestamptz IS NULL OR (e.at, e.id, e.rank) > ($4::timestamptz, $5::int8, $6::int4)"                   \
    " ORDER BY e.at, e.id, e.rank LIMIT $7::int4"
/* Entries of order_history and, as long as the outbox keeps them, when their events were sent. $3: no entry of the
 * order is older (the partitions before it are not looked at). */
#define TF_HISTORY_OWN                                                                                                 \
    "SELECT h.at, h.event_id AS id, 3 AS rank, h.kind, h.process, h.request_id, h.facts FROM order_history h"          \
    " WHERE h.bucket = $1 AND h.order_no = $2 AND h.event_id >= partition_id_at($3)"                                   \
    " UNION ALL "                                                                                                      \
    "SELECT x.sent_at, x.event_id, 4, 'event.sent', h.process, h.request_id,"                                          \
    " jsonb_build_object('event', h.kind, 'event_id', h.event_id::text, 'topic', x.topic)"                             \
    " FROM order_history h JOIN outbox x ON x.bucket = h.bucket AND x.event_id = h.event_id"                           \
    " WHERE h.bucket = $1 AND h.order_no = $2 AND h.event_id >= partition_id_at($3) AND h.told AND x.sent_at IS NOT "  \
    "NULL"

/* $1 … $7 of a page: the order, what comes after a position, at most n entries. */
void tf_history_page(tf_pg_params *params, tf_ctx *ctx, int64_t order_no, const struct tf_history_position *after,
                     int n);
/* Entries of a TF_HISTORY_PAGE statement, in order, in ctx->arena; text is left empty. */
TF_MUSTCHECK tf_code tf_history_read(tf_ctx *ctx, tf_pg *pg, const struct tf_pg_stmt *stmt, const tf_pg_params *params,
                                     HistoryEntry ***ret_entries, size_t *ret_n);

/* One turn of housekeeping (tf_partitions_keep of order_history); failures are logged and left to the next turn. */
void tf_history_keep(tf_ctx *ctx, struct tf_app *app, int64_t days);
