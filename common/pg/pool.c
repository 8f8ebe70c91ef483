/* The pool: a bound on connections, idle ones lent last-in first-out. While the server is away calls fail fast, and one
 * connection at a time is tried, after pauses that grow and are jittered: it is not met by a storm when it comes back.
 * Thread-safe. */
#include "common/pg/conn.h"

#include "common/base/metrics.h"
#include "common/base/text.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    BACKOFF_MIN_US = 100 * TF_US_PER_MS,
    BACKOFF_MAX_US = 2 * TF_US_PER_S,
    ROLLBACK_US = TF_US_PER_S, /* how long a rollback may take before the connection is closed instead */
};

static tf_gauge in_use = TF_GAUGE("tf_pg_pool_in_use", "Pooled connections lent out", "pool");
static tf_histogram wait_seconds =
    TF_HISTOGRAM("tf_pg_pool_wait_seconds", "Time until the pool lent a connection", "pool");
static tf_counter failures =
    TF_COUNTER("tf_pg_connection_failures_total", "Connections that could not be opened", "pool");

struct tf_pg {
    struct tf_pg_config config; /* strings are ours */
    pthread_mutex_t lock;       /* protects everything below */
    pthread_cond_t freed;       /* a connection came back or went away */
    tf_pg_conn *idle;           /* last in, first out: the warm ones work, the others may rest */
    int open;                   /* idle, lent, and being opened */
    int lent;
    int opening;           /* connections that are being opened, pooled or not */
    int64_t down_until_us; /* fail fast until then; 0: the server was there when last asked */
    int64_t backoff_us;    /* the last pause; 0: the last connection could be opened */
    uint64_t random;
};

tf_pg *tf_pg_new(const struct tf_pg_config *config)
{
    pthread_condattr_t monotonic;
    tf_pg *pg = calloc(1, sizeof(*pg));

    TF_ASSERT(config->dsn && config->name && config->connections_max > 0 && config->connect_timeout_ms > 0);
    TF_ASSERT(pg);
    pg->config = *config;
    pg->config.dsn = strdup(config->dsn);
    pg->config.name = strdup(config->name);
    TF_ASSERT(pg->config.dsn && pg->config.name);
    pg->random = tf_mix64((uint64_t)tf_now_us() ^ (uint64_t)(uintptr_t)pg);
    pthread_mutex_init(&pg->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pg->freed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return pg;
}

void tf_pg_free(tf_pg *pg)
{
    if (!pg) return;
    TF_ASSERT(pg->lent == 0);
    while (pg->idle) {
        tf_pg_conn *conn = pg->idle;

        pg->idle = conn->next;
        tf_pg_conn_free(conn);
    }
    pthread_cond_destroy(&pg->freed);
    pthread_mutex_destroy(&pg->lock);
    free((char *)pg->config.dsn);
    free((char *)pg->config.name);
    free(pg);
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

/* Under the lock. After a failure one is tried at a time: whoever comes meanwhile need not wait for what it meets. */
static bool is_down(const tf_pg *pg)
{
    return tf_mono_us() < pg->down_until_us || (pg->backoff_us && pg->opening);
}

/* Opens outside the lock, after pg->opening was raised; keeps the record that makes others fail fast. */
static tf_code open_one(tf_ctx *ctx, tf_pg *pg, tf_pg_conn **ret_conn)
{
    bool server_failed;
    tf_code code;

    code = tf_pg_open(ctx, pg, &pg->config, ret_conn, &server_failed);
    pthread_mutex_lock(&pg->lock);
    pg->opening--;
    if (code == TF_OK) {
        pg->down_until_us = 0;
        pg->backoff_us = 0;
    } else if (server_failed && tf_mono_us() >= pg->down_until_us) { /* of several failing at once one counts */
        pg->backoff_us = TF_MIN(TF_MAX(pg->backoff_us * 2, BACKOFF_MIN_US), BACKOFF_MAX_US);
        pg->random = tf_mix64(pg->random + 1);
        pg->down_until_us = tf_mono_us() + pg->backoff_us / 2 + (int64_t)(pg->random % (uint64_t)(pg->backoff_us / 2));
    }
    pthread_mutex_unlock(&pg->lock);
    if (code) tf_counter_add_label(&failures, pg->config.name, 1);
    return code;
}

static tf_code down(tf_ctx *ctx)
{
    return tf_fail(ctx, TF_STORE_DOWN, "PostgreSQL was away a moment ago");
}

tf_code tf_pg_connect(tf_ctx *ctx, tf_pg *pg, tf_pg_conn **ret_conn)
{
    bool away;
    tf_code code;

    code = tf_ctx_check(ctx);
    if (code) return code;
    pthread_mutex_lock(&pg->lock);
    away = is_down(pg);
    if (!away) pg->opening++;
    pthread_mutex_unlock(&pg->lock);
    if (away) return down(ctx);
    return open_one(ctx, pg, ret_conn);
}

/* ---- lending --------------------------------------------------------------------------------------------------- */

static struct timespec timespec_of(int64_t us)
{
    return (struct timespec){us / TF_US_PER_S, us % TF_US_PER_S * 1000};
}

/* An idle connection, or NULL with a place to open one, under the lock. */
static tf_code reserve(tf_ctx *ctx, tf_pg *pg, tf_pg_conn **ret_idle)
{
    int64_t until = tf_pg_until(ctx);
    struct timespec deadline = timespec_of(until);
    bool late = false;

    for (;;) {
        if (pg->idle) {
            *ret_idle = pg->idle;
            pg->idle = pg->idle->next;
            return TF_OK;
        }
        if (is_down(pg)) return down(ctx);
        if (pg->open < pg->config.connections_max) {
            pg->open++;
            pg->opening++;
            *ret_idle = NULL;
            return TF_OK;
        }
        if (late)
            return tf_fail(ctx, TF_OVERLOADED, "no connection of %d came free in time", pg->config.connections_max);
        if (until == INT64_MAX)
            pthread_cond_wait(&pg->freed, &pg->lock);
        else
            late = pthread_cond_timedwait(&pg->freed, &pg->lock, &deadline) == ETIMEDOUT;
    }
}

static void count_lent(tf_pg *pg, int change)
{
    pg->lent += change;
    tf_gauge_set_label(&in_use, pg->config.name, pg->lent);
}

/* A connection has left the pool: somebody may open another, or all who wait learn that the server is away. */
static void forget(tf_pg *pg)
{
    pthread_mutex_lock(&pg->lock);
    pg->open--;
    pthread_cond_broadcast(&pg->freed);
    pthread_mutex_unlock(&pg->lock);
}

static tf_code take(tf_ctx *ctx, tf_pg *pg, tf_pg_conn **ret_conn)
{
    tf_pg_conn *conn;
    tf_code code;

    for (;;) {
        pthread_mutex_lock(&pg->lock);
        code = reserve(ctx, pg, &conn);
        pthread_mutex_unlock(&pg->lock);
        if (code) return code;
        if (!conn) break;
        if (tf_pg_conn_alive(conn)) {
            *ret_conn = conn;
            return TF_OK;
        }
        tf_pg_conn_free(conn); /* closed by the server while it was idle */
        forget(pg);
    }

    code = open_one(ctx, pg, &conn);
    if (code) {
        forget(pg);
        return code;
    }
    conn->pooled = true;
    *ret_conn = conn;
    return TF_OK;
}

tf_code tf_pg_take(tf_ctx *ctx, tf_pg *pg, tf_pg_conn **ret_conn)
{
    int64_t began = tf_mono_us();
    tf_pg_conn *conn;
    tf_code code;

    code = tf_ctx_check(ctx);
    if (code) return code;
    code = take(ctx, pg, &conn);
    tf_histogram_observe_us_label(&wait_seconds, pg->config.name, tf_mono_us() - began);
    if (code) return code;

    pthread_mutex_lock(&pg->lock);
    count_lent(pg, 1);
    pthread_mutex_unlock(&pg->lock);
    *ret_conn = conn;
    return TF_OK;
}

/* Leaves no transaction behind: rolled back, or closed when that does not work. */
static void clean(tf_pg_conn *conn)
{
    enum tf_pg_outcome outcome;
    PGresult *result;
    bool ok;

    conn->in_tx = conn->retryable = false;
    conn->sqlstate[0] = '\0';
    if (!conn->pq || PQtransactionStatus(conn->pq) == PQTRANS_IDLE) return;
    outcome = tf_pg_simple(conn, "ROLLBACK", tf_mono_us() + ROLLBACK_US, &result);
    ok = outcome == TF_PG_ANSWERED && PQresultStatus(result) == PGRES_COMMAND_OK &&
         PQtransactionStatus(conn->pq) == PQTRANS_IDLE;
    PQclear(result);
    if (!ok) tf_pg_conn_lose(conn);
}

void tf_pg_give(tf_pg_conn *conn)
{
    tf_pg *pg;

    if (!conn) return;
    if (!conn->pooled) {
        tf_pg_conn_free(conn);
        return;
    }
    pg = conn->pg;
    clean(conn);
    pthread_mutex_lock(&pg->lock);
    count_lent(pg, -1);
    if (conn->pq) {
        conn->next = pg->idle;
        pg->idle = TF_TAKE(conn);
    } else {
        pg->open--;
    }
    pthread_cond_signal(&pg->freed);
    pthread_mutex_unlock(&pg->lock);
    tf_pg_conn_free(conn);
}

void tf_pg_givep(tf_pg_conn **conn)
{
    tf_pg_give(TF_TAKE(*conn));
}

tf_code tf_pg_query(tf_ctx *ctx, tf_pg *pg, const struct tf_pg_stmt *stmt, const tf_pg_params *params,
                    tf_pg_result **ret_result)
{
    tf_cleanup(tf_pg_givep) tf_pg_conn *conn = NULL;
    tf_code code;

    code = tf_pg_take(ctx, pg, &conn);
    if (code) return code;
    return tf_pg_exec(conn, ctx, stmt, params, ret_result);
}
