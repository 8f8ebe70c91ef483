/* Applying migrations: one at a time over all processes, each with its record in one transaction.
 *
 * The advisory lock is tried, not waited for: a waiting statement holds a snapshot, and CREATE INDEX CONCURRENTLY waits
 * for all of those, so that the two would wait for each other. It ends with the connection. */
#include "common/pg/conn.h"
#include "common/pg/migration.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOCK_KEY INT64_C(0x74665f6d69677261) /* "tf_migra" */

enum { LOCK_PAUSE_US = 100 * TF_US_PER_MS };

static const char table_sql[] = "CREATE TABLE IF NOT EXISTS schema_migration ("
                                " component text NOT NULL,"
                                " version int NOT NULL,"
                                " name text NOT NULL,"
                                " checksum bytea NOT NULL,"
                                " applied_at timestamptz NOT NULL,"
                                " PRIMARY KEY (component, version))";

static const struct tf_pg_stmt lock_stmt = {"schema_migration_lock", "SELECT pg_try_advisory_lock($1)", false};
static const struct tf_pg_stmt applied_stmt = {
    "schema_migration_applied", "SELECT version, name, checksum FROM schema_migration WHERE component = $1", false};
static const struct tf_pg_stmt record_stmt = {
    "schema_migration_record",
    "INSERT INTO schema_migration (component, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)", true};

static tf_code lock(tf_pg_conn *conn, tf_ctx *ctx)
{
    for (;;) {
        struct timespec pause = {0, LOCK_PAUSE_US * 1000};
        tf_pg_result *result;
        tf_pg_params params;
        tf_code code;

        tf_pg_params_init(&params, ctx);
        tf_pg_int8(&params, LOCK_KEY);
        code = tf_pg_exec(conn, ctx, &lock_stmt, &params, &result);
        if (code) return code;
        if (tf_pg_get_bool(result, 0, 0)) return TF_OK;
        nanosleep(&pause, NULL);
    }
}

static tf_code applied(tf_pg_conn *conn, tf_ctx *ctx, const char *component, tf_pg_result **ret_result)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, component);
    return tf_pg_exec(conn, ctx, &applied_stmt, &params, ret_result);
}

/* Whether the list has it applied already; an error when under another content. */
static tf_code is_applied(tf_ctx *ctx, const tf_pg_result *rows, const char *component,
                          const struct tf_pg_migration *migration, bool *ret_applied)
{
    *ret_applied = false;
    for (int i = 0; i < tf_pg_rows(rows); i++) {
        struct tf_pg_bytes checksum = tf_pg_get_bytes(rows, i, 2);

        if (tf_pg_get_int(rows, i, 0) != migration->version) continue;
        if (checksum.size != sizeof(migration->checksum) ||
            memcmp(checksum.data, migration->checksum, checksum.size) != 0)
            return tf_fail(ctx, TF_STATE_WRONG,
                           "migration %s of %s differs from %s, which was applied: applied files must not change",
                           migration->name, component, tf_pg_get_text(rows, i, 1));
        *ret_applied = true;
        return TF_OK;
    }
    return TF_OK;
}

static tf_code record(tf_pg_conn *conn, tf_ctx *ctx, const char *component, const struct tf_pg_migration *migration)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, component);
    tf_pg_int4(&params, migration->version);
    tf_pg_text(&params, migration->name);
    tf_pg_bytes(&params, migration->checksum, sizeof(migration->checksum));
    tf_pg_time(&params, ctx->clock->wall_us(ctx->clock));
    return tf_pg_exec(conn, ctx, &record_stmt, &params, NULL);
}

/* "0002_seats.sql:17": where the server saw the error, if it says so (counted in characters from 1). */
static const char *place_of(tf_ctx *ctx, const struct tf_pg_migration *migration, const PGresult *result)
{
    const char *position = result ? PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION) : NULL;
    const char *place;
    long characters;
    int line = 1;

    if (!position) return migration->name;
    characters = strtol(position, NULL, 10);
    for (const char *p = migration->sql; *p && characters > 1; p++) {
        if (((unsigned char)p[1] & 0xc0) != 0x80) characters--; /* the next byte begins a character */
        line += *p == '\n';
    }
    place = tf_arena_printf(ctx->arena, "%s:%d", migration->name, line);
    return place ? place : migration->name;
}

static tf_code run_file(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_pg_migration *migration)
{
    enum tf_pg_outcome outcome;
    PGresult *result;
    tf_code code;

    outcome = tf_pg_simple(conn, migration->sql, tf_pg_until(ctx), &result);
    code = tf_pg_decide(conn, ctx, place_of(ctx, migration, result), outcome, result, migration->alone);
    PQclear(result);
    return code;
}

static tf_code apply(tf_pg_conn *conn, tf_ctx *ctx, const char *component, const struct tf_pg_migration *migration)
{
    tf_code code;

    if (migration->alone) { /* must bear being run again: its record follows on its own */
        code = run_file(conn, ctx, migration);
        return code ? code : record(conn, ctx, component, migration);
    }

    code = tf_pg_run(conn, ctx, "BEGIN", "BEGIN", false);
    if (code) return code;
    conn->in_tx = true;
    code = run_file(conn, ctx, migration);
    if (code) return code;
    if (PQtransactionStatus(conn->pq) != PQTRANS_INTRANS)
        return tf_fail(ctx, TF_INTERNAL, "migration %s ends the transaction that it runs in", migration->name);
    code = record(conn, ctx, component, migration);
    if (code) return code;
    conn->in_tx = false;
    return tf_pg_run(conn, ctx, migration->name, "COMMIT", true);
}

tf_code tf_pg_migrate(tf_ctx *ctx, tf_pg *pg, const char *component, const struct tf_embedded *files)
{
    tf_cleanup(tf_pg_givep) tf_pg_conn *conn = NULL;
    struct tf_pg_migration *list;
    tf_pg_result *rows;
    tf_code code;
    size_t n;

    code = tf_pg_migrations(ctx, files, &list, &n);
    if (code) return code;
    code = tf_pg_connect(ctx, pg, &conn);
    if (code) return code;
    code = lock(conn, ctx);
    if (code) return code;
    code = tf_pg_run(conn, ctx, "schema_migration", table_sql, true);
    if (code) return code;
    code = applied(conn, ctx, component, &rows);
    if (code) return code;

    for (size_t i = 0; i < n; i++) {
        bool done;

        code = is_applied(ctx, rows, component, &list[i], &done);
        if (code) return code;
        if (done) continue;
        code = apply(conn, ctx, component, &list[i]);
        if (code) return code;
    }
    return TF_OK;
}

tf_code tf_pg_migrated(tf_ctx *ctx, tf_pg *pg, const char *component, const struct tf_embedded *files)
{
    tf_cleanup(tf_pg_givep) tf_pg_conn *conn = NULL;
    struct tf_pg_migration *list;
    tf_pg_result *rows;
    tf_code code;
    size_t n;

    code = tf_pg_migrations(ctx, files, &list, &n);
    if (code) return code;
    code = tf_pg_take(ctx, pg, &conn);
    if (code) return code;
    code = applied(conn, ctx, component, &rows);
    if (code && strcmp(tf_pg_sqlstate(conn), "42P01") == 0) { /* undefined_table: nothing was ever applied */
        tf_error_clear(ctx);
        return tf_fail(ctx, TF_STATE_WRONG, "no migration of %s has been applied", component);
    }
    if (code) return code;

    for (size_t i = 0; i < n; i++) {
        bool done;

        code = is_applied(ctx, rows, component, &list[i], &done);
        if (code) return code;
        if (!done)
            return tf_fail(ctx, TF_STATE_WRONG, "migration %s of %s has not been applied", list[i].name, component);
    }
    return TF_OK;
}
