/* Opening, closing and waiting for one connection. Non-blocking throughout: host names are
 * resolved before, within the deadline; libpq is given addresses. */
#include "common/pg/conn.h"

#include "common/pg/address.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

/* Sent once per connection: what our statements rely on, whatever the server's or the role's defaults are.
 * synchronous_commit stays the server's choice. No statement_timeout: a cancelled write would not tell whether it
 * happened. */
static const char session_sql[] = "SET timezone TO 'UTC';"
                                  "SET statement_timeout TO 0;"
                                  "SET idle_in_transaction_session_timeout TO '60s';"
                                  "SET client_min_messages TO warning;";

/* After so long without an answer a connection attempt counts as the server's failure, not as the caller's haste. */
enum { SLOW_CONNECT_US = 250 * TF_US_PER_MS };

int64_t tf_pg_until(const tf_ctx *ctx)
{
    int64_t left = tf_ctx_left_us(ctx);
    int64_t until;

    return __builtin_add_overflow(tf_mono_us(), left, &until) ? INT64_MAX : until;
}

bool tf_pg_wait(PGconn *pq, bool reading, bool writing, int64_t until_us)
{
    struct pollfd fd = {.fd = PQsocket(pq), .events = (short)((reading ? POLLIN : 0) | (writing ? POLLOUT : 0))};

    for (;;) {
        int64_t left = until_us - tf_mono_us();
        struct timespec timeout = {left / TF_US_PER_S, left % TF_US_PER_S * 1000};
        int n;

        if (left <= 0) return false;
        n = ppoll(&fd, 1, until_us == INT64_MAX ? NULL : &timeout, NULL);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return true; /* the caller's next step meets the error */
    }
}

/* libpq's messages end with a newline and may have several. */
static const char *one_line(tf_arena *arena, const char *message)
{
    char *line = tf_arena_strdup(arena, message);

    if (!line) return "";
    for (size_t n = strlen(line); n > 0 && line[n - 1] == '\n'; n--)
        line[n - 1] = '\0';
    for (char *p = line; *p; p++)
        if (*p == '\n') *p = ' ';
    return line;
}

/* Two notices matter: a FATAL error outside of any call (the session is over), and a commit that is durable here while
 * its standby never confirmed. */
static void notice(void *arg, const PGresult *result)
{
    tf_pg_conn *conn = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)) conn->ended = true;
    if (!sqlstate || !function) return;
    /* The text is translated, the function's name is not. 57P01: its backend is being terminated while it waits. */
    if (strcmp(function, "SyncRepWaitForLSN") == 0 &&
        (strncmp(sqlstate, "01", 2) == 0 || strncmp(sqlstate, "57P", 3) == 0))
        conn->unreplicated = true;
}

static PGconn *start(const struct tf_pg_config *config, const struct tf_pg_address *address)
{
    /* The DSN goes first: what follows wins over it. A dead peer is noticed by keepalives although no call waits. */
    const char *const keywords[] = {"dbname",
                                    "application_name",
                                    "client_encoding",
                                    "keepalives_idle",
                                    "keepalives_interval",
                                    "keepalives_count",
                                    "host",
                                    "hostaddr",
                                    "port",
                                    NULL};
    const char *const values[] = {config->dsn,   config->name,      "UTF8",        "30", "10", "3",
                                  address->host, address->hostaddr, address->port, NULL};

    return PQconnectStartParams(keywords, values, 1);
}

/* True when the connection stands; false: *ret_late says whether only time was missing. */
static bool establish(PGconn *pq, int64_t until, bool *ret_late)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    *ret_late = false;
    if (PQstatus(pq) == CONNECTION_BAD) return false;
    while (next != PGRES_POLLING_OK) {
        if (next == PGRES_POLLING_FAILED) return false;
        if (!tf_pg_wait(pq, next == PGRES_POLLING_READING, next == PGRES_POLLING_WRITING, until)) {
            *ret_late = true;
            return false;
        }
        next = PQconnectPoll(pq);
    }
    return PQsetnonblocking(pq, 1) == 0;
}

tf_code tf_pg_open(tf_ctx *ctx, tf_pg *pg, const struct tf_pg_config *config, tf_pg_conn **ret_conn,
                   bool *ret_server_failed)
{
    int64_t began = tf_mono_us();
    int64_t until = TF_MIN(tf_pg_until(ctx), began + (int64_t)config->connect_timeout_ms * TF_US_PER_MS);
    struct tf_pg_address address;
    enum tf_pg_outcome outcome;
    PGresult *result = NULL;
    tf_pg_conn *conn;
    bool late, ok;
    tf_code code;

    *ret_server_failed = false;
    code = tf_pg_resolve(ctx, config->dsn, until, &address, &late);
    if (code) {
        *ret_server_failed = !late || tf_mono_us() - began >= SLOW_CONNECT_US;
        return code;
    }
    conn = calloc(1, sizeof(*conn));
    if (!conn) return tf_fail(ctx, TF_OVERLOADED, "no memory for a connection");
    conn->pg = pg;
    conn->pq = start(config, &address);
    if (!conn->pq) {
        tf_pg_conn_free(conn);
        return tf_fail(ctx, TF_OVERLOADED, "no memory for a connection");
    }

    if (!establish(conn->pq, until, &late)) {
        *ret_server_failed = !late || tf_mono_us() - began >= SLOW_CONNECT_US;
        (void)tf_fail(ctx, TF_STORE_DOWN, "PostgreSQL does not accept a connection: %s",
                      late ? "no answer in time" : one_line(ctx->arena, PQerrorMessage(conn->pq)));
        tf_pg_conn_free(conn);
        return TF_STORE_DOWN;
    }
    PQsetNoticeReceiver(conn->pq, notice, conn);

    outcome = tf_pg_simple(conn, session_sql, until, &result);
    ok = outcome == TF_PG_ANSWERED && PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!ok) {
        *ret_server_failed = outcome != TF_PG_LATE || tf_mono_us() - began >= SLOW_CONNECT_US;
        (void)tf_fail(ctx, TF_STORE_DOWN, "PostgreSQL does not set up a session: %s",
                      outcome == TF_PG_LATE
                          ? "no answer in time"
                          : one_line(ctx->arena, result ? PQresultErrorMessage(result) : PQerrorMessage(conn->pq)));
        PQclear(result);
        tf_pg_conn_free(conn);
        return TF_STORE_DOWN;
    }
    PQclear(result);
    *ret_conn = conn;
    return TF_OK;
}

void tf_pg_conn_lose(tf_pg_conn *conn)
{
    PQfinish(TF_TAKE(conn->pq));
}

void tf_pg_conn_free(tf_pg_conn *conn)
{
    if (!conn) return;
    PQfinish(conn->pq);
    free(conn->prepared);
    free(conn);
}

/* An idle connection has little to say: what can be read is a changed setting, or the end. */
bool tf_pg_conn_alive(tf_pg_conn *conn)
{
    struct pollfd fd = {.fd = PQsocket(conn->pq), .events = POLLIN};

    if (poll(&fd, 1, 0) <= 0) return true;
    if (!PQconsumeInput(conn->pq) || PQisBusy(conn->pq) || PQstatus(conn->pq) != CONNECTION_OK) return false;
    return !conn->ended && poll(&fd, 1, 0) == 0;
}
