/* The history of orders: entries in, pages out. */
#include "common/chassis/history.h"

#include "common/base/id.h"
#include "common/base/log.h"
#include "common/chassis/partitions.h"
#include "common/chassis/service.h"
#include "common/rpc/pb_time.h"

#include <inttypes.h>
#include <string.h>

enum { DAY_S = 86400, FACT_END = 0x1e, NAME_END = 0x1f };

/* Ids of one order may come from clocks that differ: how much, at most. */
static const tf_time skew_max = (tf_time)DAY_S * TF_US_PER_S;

static const struct tf_pg_stmt put = {
    .name = "history_put",
    .sql = "INSERT INTO order_history (bucket, order_no, told, event_id, at, kind, process, request_id, facts)"
           " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, jsonb_object($9))",
    .writes = true,
};

const char *tf_history_int(tf_ctx *ctx, int64_t value)
{
    return tf_arena_printf(ctx->arena, "%" PRId64, value);
}

/* What separates facts on their way out of the database cannot stand in one. */
static const char *plain(tf_ctx *ctx, const char *value)
{
    char *copy;

    if (!strpbrk(value, "\x1e\x1f")) return value;
    copy = tf_arena_strdup(ctx->arena, value);
    for (char *c = copy; c && *c; c++)
        if (*c == FACT_END || *c == NAME_END) *c = ' ';
    return copy;
}

tf_code tf_history_params(tf_ctx *ctx, tf_pg_params *params, const struct tf_history *entry)
{
    const char *facts[2 * TF_HISTORY_FACTS_MAX];
    int64_t event_id = entry->event_id;
    size_t n = 0;

    if (!event_id) {
        tf_code code = tf_app_id(ctx, ctx->app, tf_id_bucket(entry->order_no), &event_id);

        if (code) return code;
    }
    for (const char *const *fact = entry->facts; *fact; fact += 2) {
        if (!fact[1] || !*fact[1]) continue;
        TF_ASSERT(n + 2 <= TF_COUNT(facts));
        facts[n++] = fact[0];
        facts[n++] = plain(ctx, fact[1]);
    }
    if (tf_arena_exhausted(ctx->arena)) return tf_fail(ctx, TF_INTERNAL, "no memory for history %s", entry->kind);
    tf_pg_int8(params, event_id);
    tf_pg_time(params, entry->at);
    tf_pg_text(params, entry->kind);
    tf_pg_text(params, tf_app_instance(ctx->app));
    tf_pg_text(params, ctx->request_id);
    tf_pg_text_array(params, facts, n);
    return TF_OK;
}

tf_code tf_history_put(tf_ctx *ctx, tf_pg_conn *conn, const struct tf_history *entry)
{
    tf_pg_params params;
    tf_code code;

    TF_ASSERT(!entry->told || entry->event_id);
    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_id_bucket(entry->order_no));
    tf_pg_int8(&params, entry->order_no);
    tf_pg_bool(&params, entry->told);
    code = tf_history_params(ctx, &params, entry);
    if (code) return code;

    return tf_pg_exec(conn, ctx, &put, &params, NULL);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct tf_history_position tf_history_position_of(const HistoryEntry *entry)
{
    return (struct tf_history_position){tf_pb_time_us(entry->time), entry->entry_id, entry->rank};
}

int tf_history_compare(const struct tf_history_position *a, const struct tf_history_position *b)
{
    if (a->at != b->at) return a->at < b->at ? -1 : 1;
    if (a->id != b->id) return a->id < b->id ? -1 : 1;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

void tf_history_page(tf_pg_params *params, tf_ctx *ctx, int64_t order_no, const struct tf_history_position *after,
                     int n)
{
    tf_pg_params_init(params, ctx);
    tf_pg_int2(params, (int16_t)tf_id_bucket(order_no));
    tf_pg_int8(params, order_no);
    tf_pg_time(params, tf_id_time(order_no) - skew_max);
    tf_pg_time(params, after->at);
    tf_pg_int8(params, after->id);
    tf_pg_int4(params, after->rank);
    tf_pg_int4(params, n);
}

static bool read_facts(tf_ctx *ctx, const char *text, HistoryEntry *entry)
{
    size_t n = 1;

    if (!text || !*text) return true;
    for (const char *c = text; *c; c++)
        n += *c == FACT_END;
    entry->facts = TF_NEW_ARRAY(ctx->arena, HistoryFact *, n);
    if (!entry->facts) return false;
    while (entry->n_facts < n) {
        size_t size = strcspn(text, "\x1e"), name = strcspn(text, "\x1f");
        HistoryFact *fact = TF_NEW(ctx->arena, HistoryFact);

        if (!fact || name >= size) return false;
        *fact = (HistoryFact)HistoryFact_init;
        fact->name = tf_arena_strndup(ctx->arena, text, name);
        fact->value = tf_arena_strndup(ctx->arena, text + name + 1, size - name - 1);
        entry->facts[entry->n_facts++] = fact;
        text += size + (text[size] != '\0');
    }
    return true;
}

tf_code tf_history_read(tf_ctx *ctx, tf_pg *pg, const struct tf_pg_stmt *stmt, const tf_pg_params *params,
                        HistoryEntry ***ret_entries, size_t *ret_n)
{
    HistoryEntry **entries;
    tf_pg_result *rows;
    tf_code code;

    code = tf_pg_query(ctx, pg, stmt, params, &rows);
    if (code) return code;

    entries = TF_NEW_ARRAY(ctx->arena, HistoryEntry *, (size_t)tf_pg_rows(rows));
    if (!entries) return tf_fail(ctx, TF_INTERNAL, "no memory for a history");
    for (int i = 0; i < tf_pg_rows(rows); i++) {
        HistoryEntry *entry = entries[i] = TF_NEW(ctx->arena, HistoryEntry);

        if (!entry) return tf_fail(ctx, TF_INTERNAL, "no memory for a history");
        *entry = (HistoryEntry)HistoryEntry_init;
        entry->time = tf_pb_time(ctx->arena, tf_pg_get_time(rows, i, 0));
        entry->entry_id = tf_pg_get_int(rows, i, 1);
        entry->rank = (int32_t)tf_pg_get_int(rows, i, 2);
        entry->kind = (char *)tf_pg_get_text(rows, i, 3);
        entry->process = (char *)tf_pg_get_text(rows, i, 4);
        entry->request_id = (char *)tf_pg_get_text(rows, i, 5);
        if (!read_facts(ctx, tf_pg_get_text(rows, i, 6), entry))
            return tf_fail(ctx, TF_INTERNAL, "the facts of history entry %" PRId64 " cannot be read", entry->entry_id);
    }
    *ret_entries = entries;
    *ret_n = (size_t)tf_pg_rows(rows);
    return TF_OK;
}

void tf_history_keep(tf_ctx *ctx, tf_app *app, int64_t days)
{
    static const struct tf_partitioned history = {"order_history", "at"};

    if (tf_partitions_keep(ctx, tf_app_pg(app), &history, days * DAY_S, tf_app_config(app)->partition_hours)) {
        tf_log(TF_LOG_WARN, "housekeeping of the orders' history failed", "cause", ctx->error.internal, NULL);
        tf_error_clear(ctx);
    }
}
