/* Statements: prepare at first use, send in binary, wait for the answer, and say what became of it.
 *
 * An answer counts only when ReadyForQuery has come: in autocommit the server reports the command's completion before
 * it commits. */
#include "common/pg/conn.h"
#include "common/pg/result.h"
#include "common/pg/sqlstate.h"

#include "common/base/metrics.h"
#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

static tf_histogram statement_seconds =
    TF_HISTOGRAM("tf_pg_statement_seconds", "PostgreSQL statements, by name", "statement");

/* ---- waiting --------------------------------------------------------------------------------------------------- */

static bool is_error(const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        return false;
    default:
        return true;
    }
}

/* A dialogue that this room does not speak; waiting would never end. */
static bool is_copy(const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        return true;
    default:
        return false;
    }
}

/* Keeps the first error, else the last result. */
static void keep(PGresult **kept, PGresult *result)
{
    if (*kept && is_error(*kept)) {
        PQclear(result);
        return;
    }
    PQclear(*kept);
    *kept = result;
}

/* Sends what is buffered and collects results until the server is ready again. *ret_result may be set although the
 * connection is lost: the server's last words. */
static enum tf_pg_outcome answer(tf_pg_conn *conn, int64_t until, PGresult **ret_result)
{
    PGresult *result;
    bool copying;
    int unsent = 1;

    for (;;) {
        if (unsent) unsent = PQflush(conn->pq);
        if (unsent < 0) return TF_PG_LOST;

        while (!PQisBusy(conn->pq)) {
            result = PQgetResult(conn->pq);
            if (!result && PQstatus(conn->pq) == CONNECTION_OK && *ret_result) return TF_PG_ANSWERED;
            if (!result) return TF_PG_LOST;
            copying = is_copy(result);
            keep(ret_result, result);
            if (copying || PQstatus(conn->pq) != CONNECTION_OK) return TF_PG_LOST;
        }
        if (!tf_pg_wait(conn->pq, true, unsent, until)) return TF_PG_LATE;
        if (!PQconsumeInput(conn->pq)) return TF_PG_LOST;
    }
}

enum tf_pg_outcome tf_pg_simple(tf_pg_conn *conn, const char *sql, int64_t until_us, PGresult **ret_result)
{
    PGresult *result = NULL;
    enum tf_pg_outcome outcome;

    *ret_result = NULL;
    conn->unreplicated = false;
    if (!PQsendQuery(conn->pq, sql)) return TF_PG_LOST;
    outcome = answer(conn, until_us, &result);
    *ret_result = result;
    return outcome;
}

/* ---- judging --------------------------------------------------------------------------------------------------- */

static const char *field(const PGresult *result, int code)
{
    const char *text = result ? PQresultErrorField(result, code) : NULL;

    return text ? text : "";
}

/* The primary message without its detail: details quote values of rows. */
static const char *message(tf_pg_conn *conn, tf_ctx *ctx, const PGresult *result)
{
    const char *primary = field(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *text = *primary ? primary : conn->pq ? PQerrorMessage(conn->pq) : "the connection is closed";
    size_t n = strcspn(text, "\n");
    const char *line = tf_arena_strndup(ctx->arena, text, n);

    return line ? line : "";
}

/* The code is this call's own, also where the context still carries an older error: an unknown outcome must not be
 * mistaken for it. */
static tf_code judge(tf_pg_conn *conn, tf_ctx *ctx, const char *what, tf_code code, const char *text)
{
    const char *state = conn->sqlstate;

    (void)tf_fail(ctx, code, "%s: %s%s%s%s", what, *state ? "SQLSTATE " : "", state, *state ? ": " : "", text);
    return code;
}

tf_code tf_pg_decide(tf_pg_conn *conn, tf_ctx *ctx, const char *what, enum tf_pg_outcome outcome,
                     const PGresult *result, bool undecided)
{
    bool failed = result && is_error(result);
    struct tf_pg_meaning meaning;
    const char *text = "";

    snprintf(conn->sqlstate, sizeof(conn->sqlstate), "%s", failed ? field(result, PG_DIAG_SQLSTATE) : "");
    if (failed || outcome == TF_PG_LOST) text = message(conn, ctx, result);
    switch (outcome) {
    case TF_PG_LOST:
        tf_pg_conn_lose(conn);
        conn->retryable = true;
        return judge(conn, ctx, what, undecided ? TF_UNKNOWN_OUTCOME : TF_STORE_DOWN,
                     *text ? text : "the connection was lost");
    case TF_PG_LATE:
        tf_pg_conn_lose(conn);
        return judge(conn, ctx, what, undecided ? TF_UNKNOWN_OUTCOME : TF_DEADLINE, "no answer in time");
    case TF_PG_ANSWERED:
        break;
    }

    if (!failed) {
        if (!conn->unreplicated || !undecided) return TF_OK;
        return judge(conn, ctx, what, TF_UNKNOWN_OUTCOME, "done, but its standby did not confirm it");
    }
    meaning = tf_pg_meaning_of(conn->sqlstate);
    if (meaning.retryable) conn->retryable = true;
    if (meaning.closes) tf_pg_conn_lose(conn);
    return judge(conn, ctx, what, meaning.unsure && undecided ? TF_UNKNOWN_OUTCOME : meaning.code, text);
}

tf_code tf_pg_run(tf_pg_conn *conn, tf_ctx *ctx, const char *what, const char *sql, bool undecided)
{
    enum tf_pg_outcome outcome;
    PGresult *result;
    tf_code code;

    conn->sqlstate[0] = '\0';
    if (!conn->pq) return tf_fail(ctx, TF_STORE_DOWN, "%s: the connection is closed", what);
    code = tf_ctx_check(ctx);
    if (code) return code;

    outcome = tf_pg_simple(conn, sql, tf_pg_until(ctx), &result);
    code = tf_pg_decide(conn, ctx, what, outcome, result, undecided);
    PQclear(result);
    return code;
}

/* ---- prepared statements --------------------------------------------------------------------------------------- */

static bool grow(tf_pg_conn *conn)
{
    size_t capacity = conn->prepared_capacity ? conn->prepared_capacity * 2 : 64;
    struct tf_pg_prepared *slots = calloc(capacity, sizeof(*slots));

    if (!slots) return false;
    for (size_t i = 0; i < conn->prepared_capacity; i++) {
        const struct tf_pg_prepared *old = &conn->prepared[i];
        size_t at;

        if (!old->stmt) continue;
        at = tf_hash64(old->stmt->name, strlen(old->stmt->name)) & (capacity - 1);
        while (slots[at].stmt)
            at = (at + 1) & (capacity - 1);
        slots[at] = *old;
    }
    free(conn->prepared);
    conn->prepared = slots;
    conn->prepared_capacity = capacity;
    return true;
}

/* The statement's slot, made when new; NULL without memory. */
static struct tf_pg_prepared *slot_of(tf_pg_conn *conn, const struct tf_pg_stmt *stmt)
{
    size_t at;

    if (conn->n_prepared * 2 >= conn->prepared_capacity && !grow(conn)) return NULL;
    at = tf_hash64(stmt->name, strlen(stmt->name)) & (conn->prepared_capacity - 1);
    for (; conn->prepared[at].stmt; at = (at + 1) & (conn->prepared_capacity - 1)) {
        if (strcmp(conn->prepared[at].stmt->name, stmt->name) != 0) continue;
        TF_ASSERT(strcmp(conn->prepared[at].stmt->sql, stmt->sql) == 0); /* one name, one statement */
        return &conn->prepared[at];
    }
    conn->prepared[at].stmt = stmt;
    conn->n_prepared++;
    return &conn->prepared[at];
}

enum { SERVER_NAME = 96 };

static void server_name(char out[static SERVER_NAME], const struct tf_pg_prepared *slot)
{
    snprintf(out, SERVER_NAME, "%.63s#%d", slot->stmt->name, slot->generation);
}

/* The server forgot the statement (a pooler, DISCARD ALL), or a migration changed its result's shape. */
static bool is_stale(const PGresult *result)
{
    const char *sqlstate = field(result, PG_DIAG_SQLSTATE);

    if (strcmp(sqlstate, "26000") == 0) return true;
    return strcmp(sqlstate, "0A000") == 0 &&
           strcmp(field(result, PG_DIAG_SOURCE_FUNCTION), "RevalidateCachedQuery") == 0;
}

static tf_code prepare(tf_pg_conn *conn, tf_ctx *ctx, struct tf_pg_prepared *slot, const tf_pg_params *params,
                       int64_t until)
{
    char name[SERVER_NAME];
    enum tf_pg_outcome outcome = TF_PG_LOST;
    PGresult *result = NULL;
    tf_code code;

    server_name(name, slot);
    if (PQsendPrepare(conn->pq, name, slot->stmt->sql, params ? params->n : 0, params ? params->types : NULL))
        outcome = answer(conn, until, &result);
    code = tf_pg_decide(conn, ctx, slot->stmt->name, outcome, result, false);
    PQclear(result);
    slot->ready = code == TF_OK;
    return code;
}

/* One round: prepares when needed, executes. TF_OK with *ret_stale: nothing was executed, the statement must be
 * prepared again. */
static tf_code execute(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_pg_stmt *stmt, const tf_pg_params *params,
                       PGresult **ret_result, bool *ret_stale)
{
    bool undecided = stmt->writes && !conn->in_tx;
    enum tf_pg_outcome outcome = TF_PG_LOST;
    int64_t until = tf_pg_until(ctx);
    struct tf_pg_prepared *slot;
    char name[SERVER_NAME];
    int formats[TF_PG_PARAMS_MAX];
    PGresult *result = NULL;
    tf_code code;

    slot = slot_of(conn, stmt);
    if (!slot) return tf_fail(ctx, TF_OVERLOADED, "%s: no memory", stmt->name);
    if (!slot->ready) {
        code = prepare(conn, ctx, slot, params, until);
        if (code) return code;
    }

    for (int i = 0; i < TF_PG_PARAMS_MAX; i++)
        formats[i] = 1;
    server_name(name, slot);
    conn->unreplicated = false;
    if (PQsendQueryPrepared(conn->pq, name, params ? params->n : 0, params ? params->values : NULL,
                            params ? params->lengths : NULL, formats, 1))
        outcome = answer(conn, until, &result);
    if (outcome == TF_PG_ANSWERED && is_error(result) && is_stale(result)) {
        slot->generation++;
        slot->ready = false;
        *ret_stale = true;
        PQclear(result);
        return TF_OK;
    }

    code = tf_pg_decide(conn, ctx, stmt->name, outcome, result, undecided);
    if (code)
        PQclear(result);
    else
        *ret_result = result;
    return code;
}

static tf_code exec(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_pg_stmt *stmt, const tf_pg_params *params,
                    tf_pg_result **ret_result)
{
    bool inside = PQtransactionStatus(conn->pq) != PQTRANS_IDLE;
    PGresult *result = NULL;
    tf_pg_result *copy;
    bool stale = false;
    tf_code code;

    code = execute(conn, ctx, stmt, params, &result, &stale);
    if (code) return code;
    if (stale && inside) { /* the error has ended the transaction: only a new one helps */
        conn->retryable = true;
        return tf_fail(ctx, TF_ORDER_CHANGED, "%s: the prepared statement is stale", stmt->name);
    }
    if (stale) {
        stale = false;
        code = execute(conn, ctx, stmt, params, &result, &stale);
        if (code) return code;
        if (stale) return tf_fail(ctx, TF_INTERNAL, "%s: stale again right after it was prepared", stmt->name);
    }

    if (!ret_result) {
        PQclear(result);
        return TF_OK;
    }
    copy = tf_pg_result_copy(ctx->arena, result);
    PQclear(result);
    if (!copy) return tf_fail(ctx, TF_INTERNAL, "%s: the result does not fit into the request's memory", stmt->name);
    *ret_result = copy;
    return TF_OK;
}

tf_code tf_pg_exec(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_pg_stmt *stmt, const tf_pg_params *params,
                   tf_pg_result **ret_result)
{
    int64_t began = tf_mono_us();
    tf_code code;

    conn->sqlstate[0] = '\0';
    if (!conn->pq) return tf_fail(ctx, TF_STORE_DOWN, "%s: the connection is closed", stmt->name);
    if (params && params->broken)
        return tf_fail(ctx, TF_INTERNAL, "%s: the parameters do not fit into the request's memory", stmt->name);
    code = tf_ctx_check(ctx); /* nothing is sent that nobody waits for */
    if (code) return code;

    code = exec(conn, ctx, stmt, params, ret_result);
    tf_histogram_observe_us_label(&statement_seconds, stmt->name, tf_mono_us() - began);
    return code;
}

const char *tf_pg_sqlstate(const tf_pg_conn *conn)
{
    return conn->sqlstate;
}

bool tf_pg_broken(const tf_pg_conn *conn)
{
    return !conn->pq;
}
