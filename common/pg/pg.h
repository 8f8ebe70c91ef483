/* PostgreSQL over libpq: pool, prepared statements, typed parameters and results, transactions, deadlines.
 *
 * Every wait is bounded by the context's deadline. A writing call is never cancelled: when its answer does not come in
 * time the connection is dropped and the outcome is TF_UNKNOWN_OUTCOME. Errors map by SQLSTATE, never by constraint
 * name. Parameters and results travel in binary. All functions that take a ctx record the error there. */
#pragma once

#include "common/base/ctx.h"
#include "common/base/embedded.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tf_pg tf_pg;           /* a pool */
typedef struct tf_pg_conn tf_pg_conn; /* one connection, lent by the pool */

struct tf_pg_config {
    const char *dsn;     /* libpq connection string */
    const char *name;    /* application_name */
    int connections_max; /* bound of the pool */
    int connect_timeout_ms;
};

/* Does not connect yet. Thread-safe afterwards. */
tf_pg *tf_pg_new(const struct tf_pg_config *config);
void tf_pg_free(tf_pg *pg);

/* Lends a live connection (connects when there is room; else waits). TF_STORE_DOWN when the server is away (fails fast
 * while a recent attempt failed: jittered backoff 100 ms to 2 s), TF_OVERLOADED when none came free before the
 * deadline. */
TF_MUSTCHECK tf_code tf_pg_take(tf_ctx *ctx, tf_pg *pg, tf_pg_conn **ret_conn);
/* Gives it back; a connection inside a transaction is rolled back, a broken one is closed. Accepts NULL. */
void tf_pg_give(tf_pg_conn *conn);
void tf_pg_givep(tf_pg_conn **conn); /* for tf_cleanup */
/* A connection of its own, outside the pool's count (committer, migrations); ended by tf_pg_give. */
TF_MUSTCHECK tf_code tf_pg_connect(tf_ctx *ctx, tf_pg *pg, tf_pg_conn **ret_conn);
bool tf_pg_broken(const tf_pg_conn *conn);

/* ---- statements ----------------------------------------------------------------------------------------------- */

/* Declared once, static const; prepared by name on each connection at first use. */
struct tf_pg_stmt {
    const char *name; /* unique in the process */
    const char *sql;  /* $1 … $n */
    bool writes;      /* an unanswered one has an unknown outcome */
};

enum { TF_PG_PARAMS_MAX = 48 };

/* Parameters in order. Values are copied into the ctx's arena where needed. Arrays are one-dimensional, without NULLs
 * unless said. */
typedef struct tf_pg_params {
    tf_ctx *ctx;
    int n;
    bool broken;
    uint32_t types[TF_PG_PARAMS_MAX]; /* type OIDs */
    const char *values[TF_PG_PARAMS_MAX];
    int lengths[TF_PG_PARAMS_MAX];
} tf_pg_params;

void tf_pg_params_init(tf_pg_params *params, tf_ctx *ctx);
void tf_pg_null(tf_pg_params *params); /* of unknown type; cast in SQL */
void tf_pg_bool(tf_pg_params *params, bool value);
void tf_pg_int2(tf_pg_params *params, int16_t value);
void tf_pg_int4(tf_pg_params *params, int32_t value);
void tf_pg_int8(tf_pg_params *params, int64_t value);
void tf_pg_time(tf_pg_params *params, tf_time value);                  /* timestamptz; INT64_MIN: NULL */
void tf_pg_text(tf_pg_params *params, const char *value);              /* NULL: NULL */
void tf_pg_bytes(tf_pg_params *params, const void *data, size_t size); /* bytea; data NULL: NULL */
void tf_pg_jsonb(tf_pg_params *params, const char *json);
void tf_pg_int2_array(tf_pg_params *params, const int16_t *values, size_t n);
void tf_pg_int4_array(tf_pg_params *params, const int32_t *values, size_t n);
void tf_pg_int8_array(tf_pg_params *params, const int64_t *values, size_t n);
void tf_pg_bool_array(tf_pg_params *params, const bool *values, size_t n);
void tf_pg_time_array(tf_pg_params *params, const tf_time *values, size_t n);     /* INT64_MIN: NULL */
void tf_pg_text_array(tf_pg_params *params, const char *const *values, size_t n); /* NULL elements allowed */
struct tf_pg_bytes {
    const void *data;
    size_t size;
};
void tf_pg_bytes_array(tf_pg_params *params, const struct tf_pg_bytes *values, size_t n);

/* ---- results --------------------------------------------------------------------------------------------------- */

/* Copied into the ctx's arena: valid as long as the context. */
typedef struct tf_pg_result tf_pg_result;

int tf_pg_rows(const tf_pg_result *result);
int64_t tf_pg_affected(const tf_pg_result *result); /* rows touched by INSERT/UPDATE/DELETE */
bool tf_pg_is_null(const tf_pg_result *result, int row, int column);
/* The column's type must fit (int2/int4/int8 all read as int64; timestamptz as tf_time); else the program is wrong:
 * assertion. NULL reads as 0, false, INT64_MIN for times, NULL for text and bytes. */
bool tf_pg_get_bool(const tf_pg_result *result, int row, int column);
int64_t tf_pg_get_int(const tf_pg_result *result, int row, int column);
tf_time tf_pg_get_time(const tf_pg_result *result, int row, int column);
const char *tf_pg_get_text(const tf_pg_result *result, int row, int column); /* text, varchar, json(b) */
struct tf_pg_bytes tf_pg_get_bytes(const tf_pg_result *result, int row, int column);
/* int2[], int4[] or int8[] as int64 in the arena; *ret_n elements; NULL array gives n = 0. */
const int64_t *tf_pg_get_int_array(tf_ctx *ctx, const tf_pg_result *result, int row, int column, size_t *ret_n);

/* ---- calls ----------------------------------------------------------------------------------------------------- */

/* Runs the statement. Codes: TF_STORE_DOWN (not sent, or server shutting down), TF_UNKNOWN_OUTCOME (writes && sent, no
 * answer), TF_DEADLINE (a read that took too long), TF_ORDER_CHANGED (serialization failure, deadlock, lock timeout:
 * try again), TF_ALREADY_EXISTS (unique violation), TF_INTERNAL (everything else). ret_result may be NULL. */
TF_MUSTCHECK tf_code tf_pg_exec(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_pg_stmt *stmt,
                                const tf_pg_params *params, tf_pg_result **ret_result);
/* SQLSTATE of the last failed call on this connection, "" if none. */
const char *tf_pg_sqlstate(const tf_pg_conn *conn);
/* Take, exec, give. */
TF_MUSTCHECK tf_code tf_pg_query(tf_ctx *ctx, tf_pg *pg, const struct tf_pg_stmt *stmt, const tf_pg_params *params,
                                 tf_pg_result **ret_result);

/* Runs fn inside BEGIN … COMMIT on a pooled connection, again (up to 5 times, jittered) after serialization failures,
 * dead-locks and connections lost before COMMIT was sent. fn returns TF_OK to commit, anything else rolls back and is
 * returned. An unanswered COMMIT is TF_UNKNOWN_OUTCOME. fn must be repeatable: it starts from the database each time.
 */
typedef tf_code (*tf_pg_tx_fn)(tf_pg_conn *conn, tf_ctx *ctx, void *arg);
TF_MUSTCHECK tf_code tf_pg_tx(tf_ctx *ctx, tf_pg *pg, tf_pg_tx_fn fn, void *arg);

/* ---- migrations ------------------------------------------------------------------------------------------------ */

/* Forward-only, numbered ("0001_orders.sql"), each in one transaction, checksummed; under an advisory lock, so that
 * several processes may start at once. component: "platform", "order". A file whose checksum differs from the one
 * applied is an error that names it. */
TF_MUSTCHECK tf_code tf_pg_migrate(tf_ctx *ctx, tf_pg *pg, const char *component, const struct tf_embedded *files);
/* TF_OK when all files are applied; TF_STATE_WRONG (internal text says which is missing) otherwise. */
TF_MUSTCHECK tf_code tf_pg_migrated(tf_ctx *ctx, tf_pg *pg, const char *component, const struct tf_embedded *files);
