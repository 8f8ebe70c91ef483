/* Inside of a connection, for this room only: libpq's handle, the statements it has prepared, and the two ways to talk
 * to it (prepared and simple). One thread at a time. */
#pragma once

#include "common/pg/pg.h"

#include <libpq-fe.h>

struct tf_pg_prepared {
    const struct tf_pg_stmt *stmt; /* NULL: free slot */
    int generation;                /* part of the server's name: a stale statement is prepared again under the next */
    bool ready;
};

struct tf_pg_conn {
    tf_pg *pg;
    PGconn *pq; /* NULL once lost: closed at once, so that the server notices too */
    tf_pg_conn *next;
    bool pooled;
    bool in_tx;        /* inside tf_pg_tx before COMMIT: a loss is known to roll back */
    bool retryable;    /* the transaction failed for a reason that starting it again may cure */
    bool ended;        /* the server has said goodbye */
    bool unreplicated; /* the server gave up waiting for its standby during the last call */
    char sqlstate[6];
    struct tf_pg_prepared *prepared; /* open addressing by the statement's name; capacity a power of two */
    size_t n_prepared, prepared_capacity;
};

/* What became of something sent. */
enum tf_pg_outcome {
    TF_PG_ANSWERED, /* up to ReadyForQuery: before that a commit may still fail */
    TF_PG_LOST,
    TF_PG_LATE,
};

/* The context's deadline on the machine's monotonic clock (a test's clock may stand still, sockets do not). */
int64_t tf_pg_until(const tf_ctx *ctx);
/* Waits until the socket is ready; false when the time is up first. */
bool tf_pg_wait(PGconn *pq, bool reading, bool writing, int64_t until_us);

/* A new connection with our session settings. The caller frees it by tf_pg_conn_free. *ret_server_failed: the failure
 * says something about the server, not only about the caller's deadline. */
TF_MUSTCHECK tf_code tf_pg_open(tf_ctx *ctx, tf_pg *pg, const struct tf_pg_config *config, tf_pg_conn **ret_conn,
                                bool *ret_server_failed);
void tf_pg_conn_free(tf_pg_conn *conn);
/* Of an idle one: has the server closed it meanwhile? */
bool tf_pg_conn_alive(tf_pg_conn *conn);
/* Drops the server's side at once. */
void tf_pg_conn_lose(tf_pg_conn *conn);

/* Sends text by the simple protocol (several statements allowed) and waits. *ret_result: the first error, else the last
 * result; never NULL when answered; the caller clears it. */
enum tf_pg_outcome tf_pg_simple(tf_pg_conn *conn, const char *sql, int64_t until_us, PGresult **ret_result);
/* Turns what came back into a code and records it in ctx and the connection. undecided: without an answer the outcome
 * is unknown. */
tf_code tf_pg_decide(tf_pg_conn *conn, tf_ctx *ctx, const char *what, enum tf_pg_outcome outcome,
                     const PGresult *result, bool undecided);
/* Both, for a statement without rows. */
TF_MUSTCHECK tf_code tf_pg_run(tf_pg_conn *conn, tf_ctx *ctx, const char *what, const char *sql, bool undecided);

/* Copies into the arena; NULL when it does not fit. */
tf_pg_result *tf_pg_result_copy(tf_arena *arena, const PGresult *result);
