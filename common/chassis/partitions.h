/* Tables that lose their rows by age: partitioned by id, made ahead, dropped whole (docs/adr/0008-partitions-by-id.md).
 *
 * To use it for a table of a service whose ids are those of base/id.h:
 *   1. A migration makes it PARTITION BY RANGE (the id), with a DEFAULT partition named <table>_default, and ends with
 *      SELECT partition_adopt('<table>', '<the table as it was, renamed>'), or, for a new table, leaves the rest to 3
 *      (rows go to the DEFAULT partition until then, and are moved). sql/platform/0002_partitions.sql does the former.
 *   2. Declare it:  static const struct tf_partitioned notifications = {"notification", "received_at"};
 *   3. Call tf_partitions_keep now and then (each minute, say) from a tf_periodic. */
#pragma once

#include "common/pg/pg.h"

struct tf_partitioned {
    const char *table;
    const char *since; /* timestamptz column: since when its row is only kept; NULL in a row: not yet, it must stay */
};

/* One turn: makes the partitions of the coming days that are missing, drops those in which no row is younger than
 * keep_s, deletes such rows of the DEFAULT partition, a bounded number a turn. keep_s: 1 to 2^31 - 1. span_hours: of a
 * partition, 1 or more; longer ones are made where more than 50 would fit into keep_s. Changing it is safe.
 *
 * Several processes may do it at once. Waits for no lock longer than 100 ms: what cannot be done now is left to the
 * next turn, and counted (tf_partitions_busy_total). Errors: those of tf_pg_exec; a turn cut short loses nothing. */
TF_MUSTCHECK tf_code tf_partitions_keep(tf_ctx *ctx, tf_pg *pg, const struct tf_partitioned *table, int64_t keep_s,
                                        int64_t span_hours);
