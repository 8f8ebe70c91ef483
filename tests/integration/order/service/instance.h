/* One process tf-order of a test's world, and what it is asked from outside. */
#pragma once

#include "common/rpc/rpc.h"

#include <sys/types.h>

/* Where an instance finds everything; strings are the caller's. */
struct instance_world {
    const char *dir; /* keys, logs */
    const char *dsn, *redis_address, *user_address, *program_address;
    const struct tf_identity_key *key;
};

struct instance {
    char address[32], admin_address[32];
    pid_t pid; /* 0: not running */
    tf_rpc_client *client;
};

/* Applies the migrations; fails the test when it cannot. */
void instance_migrate(const struct instance_world *world);
/* Starts one on ports of its own and makes its client. pg_port: where PostgreSQL is reached instead (a proxy's); 0: as
 * the DSN says. */
void instance_start(struct instance *instance, const struct instance_world *world, int pg_port);
/* Waits until it answers callers. */
void instance_wait(struct instance *instance);
/* Sends the signal and waits for the end; frees the client. Accepts an ended one. */
void instance_stop(struct instance *instance, int signal);
/* A metric as operators see it: "tf_x_total{result=\"OK\"}"; 0 while it does not appear. */
int64_t instance_metric(const struct instance *instance, const char *name_with_labels);
/* The health that callers see. */
bool instance_ready(const struct instance *instance);
