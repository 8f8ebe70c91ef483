/* Turns of making, dropping and pruning; the work is done by the functions of sql/platform/0002_partitions.sql, one
 * change a statement, so that no lock is held for long. */
#include "common/chassis/partitions.h"

#include "common/base/log.h"
#include "common/base/metrics.h"

#include <string.h>

enum {
    HOUR_S = 3600,
    AHEAD_SPANS = 2,
    SPANS_MAX = 50,   /* every read that names no id looks into all of them */
    CHANGES_MAX = 10, /* a turn */
    CHUNK_ROWS = 2000,
    CHUNKS_MAX = 50, /* a turn */
};

static tf_counter changes_total =
    TF_COUNTER("tf_partitions_changed_total", "Partitions made and dropped, by table", "table");
static tf_counter busy_total =
    TF_COUNTER("tf_partitions_busy_total", "Partitions left to the next turn: a lock was taken, by table", "table");
static tf_counter deleted_total =
    TF_COUNTER("tf_partitions_deleted_total", "Rows deleted from DEFAULT partitions, by table", "table");

static const struct tf_pg_stmt make = {"partition_make", "SELECT state, part FROM partition_make($1::regclass, $2, $3)",
                                       true};
static const struct tf_pg_stmt drop = {"partition_drop",
                                       "SELECT state, part FROM partition_drop($1::regclass, $2::name, $3)", true};
static const struct tf_pg_stmt prune = {"partition_prune", "SELECT partition_prune($1::regclass, $2::name, $3, $4)",
                                        true};

/* Repeats a change until there is nothing left to do. */
static tf_code change(tf_ctx *ctx, tf_pg *pg, const struct tf_partitioned *table, const struct tf_pg_stmt *stmt,
                      const tf_pg_params *params, const char *done)
{
    for (int i = 0; i < CHANGES_MAX; i++) {
        tf_pg_result *result;
        const char *state;
        tf_code code;

        code = tf_pg_query(ctx, pg, stmt, params, &result);
        if (code) return code;
        state = tf_pg_get_text(result, 0, 0);
        if (strcmp(state, "BUSY") == 0) tf_counter_add_label(&busy_total, table->table, 1);
        if (strcmp(state, done) != 0) return TF_OK;
        tf_counter_add_label(&changes_total, table->table, 1);
        tf_log(TF_LOG_INFO, "a partition changed", "table", table->table, "partition", tf_pg_get_text(result, 0, 1),
               "change", state, NULL);
    }
    return TF_OK;
}

static tf_code make_ahead(tf_ctx *ctx, tf_pg *pg, const struct tf_partitioned *table, int64_t span_s)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, table->table);
    tf_pg_int4(&params, (int32_t)span_s);
    tf_pg_int4(&params, (int32_t)(AHEAD_SPANS * span_s));
    return change(ctx, pg, table, &make, &params, "MADE");
}

static tf_code drop_old(tf_ctx *ctx, tf_pg *pg, const struct tf_partitioned *table, int64_t keep_s)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, table->table);
    tf_pg_text(&params, table->since);
    tf_pg_int4(&params, (int32_t)keep_s);
    return change(ctx, pg, table, &drop, &params, "DROPPED");
}

static tf_code prune_net(tf_ctx *ctx, tf_pg *pg, const struct tf_partitioned *table, int64_t keep_s)
{
    for (int i = 0; i < CHUNKS_MAX; i++) {
        tf_pg_result *result;
        tf_pg_params params;
        int64_t n;
        tf_code code;

        tf_pg_params_init(&params, ctx);
        tf_pg_text(&params, table->table);
        tf_pg_text(&params, table->since);
        tf_pg_int4(&params, (int32_t)keep_s);
        tf_pg_int4(&params, CHUNK_ROWS);
        code = tf_pg_query(ctx, pg, &prune, &params, &result);
        if (code) return code;
        n = tf_pg_get_int(result, 0, 0);
        if (n > 0) tf_counter_add_label(&deleted_total, table->table, (uint64_t)n);
        if (n < CHUNK_ROWS) break;
    }
    return TF_OK;
}

tf_code tf_partitions_keep(tf_ctx *ctx, tf_pg *pg, const struct tf_partitioned *table, int64_t keep_s,
                           int64_t span_hours)
{
    int64_t least_hours = (keep_s / SPANS_MAX + HOUR_S - 1) / HOUR_S;
    int64_t span_s = TF_MAX(span_hours, least_hours) * HOUR_S;
    tf_code code;

    TF_ASSERT(keep_s > 0 && keep_s <= INT32_MAX && span_hours > 0 && span_hours <= INT32_MAX / HOUR_S / AHEAD_SPANS);
    code = make_ahead(ctx, pg, table, span_s);
    if (!code) code = drop_old(ctx, pg, table, keep_s);
    if (!code) code = prune_net(ctx, pg, table, keep_s);
    return code;
}
