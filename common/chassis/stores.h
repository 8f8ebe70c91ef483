/* Opening what a process stands on: PostgreSQL, Redis, etcd, keys. Each waits for its server for a while, so that parts
 * may start in any order, and gives up with a sentence. */
#pragma once

#include "common/chassis/app_internal.h"

#include <signal.h>

/* The pool from pg_dsn and pg_password_file, once it has lent a connection. */
TF_MUSTCHECK tf_code tf_app_pg_open(tf_app *app, const char **ret_error);
/* The platform's and the service's own migrations are applied. */
TF_MUSTCHECK tf_code tf_app_schema_check(tf_app *app, const char **ret_error);
/* Applies them. */
TF_MUSTCHECK tf_code tf_app_schema_migrate(tf_app *app, const char **ret_error);
/* Gives up at once when Redis refuses the password. */
TF_MUSTCHECK tf_code tf_app_redis_open(tf_app *app, const char **ret_error);
/* etcd_endpoints names some. Reads the password; waits for nothing: without etcd everything goes on. */
TF_MUSTCHECK tf_code tf_app_etcd_open(tf_app *app, const char **ret_error);
/* The internal key, when the service serves or calls others. */
TF_MUSTCHECK tf_code tf_app_keys_read(tf_app *app, const char **ret_error);

/* Waits; true: a signal that asks to stop came meanwhile. The stop signals are blocked in all threads. */
bool tf_app_stop_within(int ms);
/* The signals that ask to stop: SIGTERM, SIGINT. */
void tf_app_stop_signals(sigset_t *ret_set);
