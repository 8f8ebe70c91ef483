/* A schema of the test's own on the real PostgreSQL, a pool straight to it, and one through a misbehaving proxy. */
#pragma once

#include "tests/integration/fixture.h"
#include "tests/integration/proxy.h"

#include "common/pg/pg.h"

#include <pthread.h>

extern tf_pg *direct, *proxied; /* at most 4 connections each */
extern struct proxy *proxy;

/* For cmocka's groups: makes and drops schema, pools and proxy. */
int pg_setup(void **state);
int pg_teardown(void **state);
/* A pool of another size, straight (through_proxy false) or not; in the same schema. The caller frees it. */
tf_pg *pool_of(int connections, int connect_timeout_ms, bool through_proxy);

/* Statements given as text, on a straight connection; fail the test when they fail. */
void sql(const char *text);
int64_t sql_int(const char *text);

/* Backend process of a connection. */
int64_t backend_of(tf_pg_conn *conn, tf_ctx *ctx);
/* Ends the backend from another connection. */
void terminate(int64_t backend);
/* A thread that does so, or cuts the proxy, after a while; join it. */
pthread_t terminate_after(int ms, int64_t backend);
pthread_t cut_after(int ms);
