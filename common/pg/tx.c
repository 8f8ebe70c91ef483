/* Transactions that start again by themselves: BEGIN, the caller's function, COMMIT; after a conflict or a loss before
 * COMMIT, once more. */
#include "common/pg/conn.h"

#include "common/base/text.h"

#include <string.h>
#include <time.h>

enum {
    ATTEMPTS_MAX = 5,
    PAUSE_US = 5 * TF_US_PER_MS, /* of the first repetition, doubled each time; jittered, so that two rivals part */
};

static void pause_before(tf_ctx *ctx, int attempt)
{
    int64_t most = (int64_t)PAUSE_US << attempt;
    uint64_t random = tf_mix64((uint64_t)tf_mono_us() ^ (uint64_t)(uintptr_t)ctx);
    int64_t us = TF_MIN(most / 2 + (int64_t)(random % (uint64_t)most), tf_ctx_left_us(ctx));
    struct timespec pause = {us / TF_US_PER_S, us % TF_US_PER_S * 1000};

    nanosleep(&pause, NULL);
}

/* COMMIT of a failed transaction answers ROLLBACK: the function ignored an error. */
static tf_code commit(tf_pg_conn *conn, tf_ctx *ctx)
{
    enum tf_pg_outcome outcome;
    PGresult *result;
    tf_code code;

    tf_error_clear(ctx); /* what the function met and handled */
    if (!conn->pq) return tf_fail(ctx, TF_STORE_DOWN, "COMMIT: the connection is closed");
    code = tf_ctx_check(ctx); /* rolled back instead: nobody waits for it */
    if (code) return code;

    conn->in_tx = false; /* from here on a loss is an unknown outcome */
    outcome = tf_pg_simple(conn, "COMMIT", tf_pg_until(ctx), &result);
    code = tf_pg_decide(conn, ctx, "COMMIT", outcome, result, true);
    if (code == TF_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        code = tf_fail(ctx, TF_INTERNAL, "COMMIT: a statement had failed, the transaction was rolled back");
    PQclear(result);
    return code;
}

/* *ret_again: known not to be committed, for a reason that may pass. */
static tf_code attempt(tf_ctx *ctx, tf_pg *pg, tf_pg_tx_fn fn, void *arg, bool *ret_again)
{
    tf_cleanup(tf_pg_givep) tf_pg_conn *conn = NULL; /* rolls back what is not committed */
    tf_code code;

    *ret_again = false;
    code = tf_pg_take(ctx, pg, &conn);
    if (code) return code;
    conn->in_tx = true;
    code = tf_pg_run(conn, ctx, "BEGIN", "BEGIN", false);
    if (code == TF_OK) code = fn(conn, ctx, arg);
    if (code == TF_OK) code = commit(conn, ctx);
    *ret_again = code && code != TF_UNKNOWN_OUTCOME && conn->retryable;
    return code;
}

tf_code tf_pg_tx(tf_ctx *ctx, tf_pg *pg, tf_pg_tx_fn fn, void *arg)
{
    for (int i = 1;; i++) {
        bool again;
        tf_code code = attempt(ctx, pg, fn, arg, &again);

        if (!again || i == ATTEMPTS_MAX || tf_ctx_left_us(ctx) == 0) return code;
        tf_error_clear(ctx);
        pause_before(ctx, i - 1);
    }
}
