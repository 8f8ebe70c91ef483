/* What the test of one service's program needs around it: a directory, ports, children, a database, a key, a client. */
#pragma once

#include "common/pg/pg.h"
#include "common/rpc/rpc.h"
#include "tests/integration/child.h"
#include "tests/integration/fixture.h"

#include <signal.h>
#include <sys/types.h>

enum { WORLD_TEXT = 512, WORLD_ADDRESS = 32, WORLD_CALL_MS = 20000, WORLD_START_MS = 20000, WORLD_ARGS_MAX = 24 };

/* Makes the directory, the internal key and a database of the test's own (TF_TEST_PG_DSN says where). */
void world_start(void);
/* Drops the database and removes the directory, with logs unless TF_TEST_KEEP is set. */
void world_stop(void);

/* A path in the directory. */
char *world_path(char out[static WORLD_TEXT], const char *name);
/* Makes a key file there of 32 random bytes. */
void world_key(const char *name);
/* libpq's connection string of the database. */
const char *world_dsn(void);
/* The key of identity tokens. */
const struct tf_identity_key *world_identity_key(void);

/* An address on which nobody listens. */
void free_address(char out[static WORLD_ADDRESS]);
/* child_spawn with the log <name>.log in the directory. */
pid_t child_start(const char *name, const char *const argv[]);
/* Runs a program to its end; fails the test unless its status is 0. */
void child_run(const char *name, const char *const argv[]);
/* An empty redis-server on the address, ready. */
pid_t redis_start(const char *address);

/* A client that speaks as the gateway. */
tf_rpc_client *gateway_client(const char *service, const char *address);
/* A context of a call by that user (0: nobody). Ends with tf_ctx_done. */
void as_user(tf_ctx *ctx, int64_t user_id);

/* The first column of the first row of a statement made like printf's; 0 when there is no row. */
int64_t sql(const char *format, ...) TF_PRINTF(1, 2);
/* Waits until that number is `expected`. */
void wait_for_sql(int64_t expected, int timeout_ms, const char *format, ...) TF_PRINTF(3, 4);
