/* A tf-program of the test's own: its schema, its process, and calls to it. */
#pragma once

#include "tests/integration/child.h"
#include "tests/integration/fixture.h"

#include "common/pg/pg.h"
#include "common/rpc/rpc.h"
#include "ticketflow/program/v1/program.tf.h"
#include "ticketflow/program/v1/sale.tf.h"

struct running {
    char schema[80], dsn[1000], key_path[64];
    pid_t pid;
    int port;
    tf_pg *pg;
    struct tf_identity_key key;
    tf_rpc_client *client; /* calls as the gateway */
};

/* Migrates a fresh schema, starts the process and waits until it serves. */
void running_start(struct running *r);
/* Stops it and drops the schema. */
void running_stop(struct running *r);

/* A context of a caller: operator of the platform, admin of an organiser, or nobody. End with tf_ctx_done. */
void as_platform(tf_ctx *ctx);
void as_organiser(tf_ctx *ctx, int64_t organiser_id);
void as_nobody(tf_ctx *ctx);

/* First column of the first row of a statement (printf-like); 0 when there is none. */
int64_t sql(struct running *r, const char *format, ...) TF_PRINTF(2, 3);

/* Imports; the answer is in ctx. */
tf_code import(struct running *r, tf_ctx *ctx, const char *json, ImportCatalogueResponse **ret_response);
/* The object of that kind and ref in an answer; fails the test when it is not there. */
const ImportedObject *imported(const ImportCatalogueResponse *response, const char *kind, const char *ref);
