/* The app as the chassis itself sees it: the resources of one process, made in order by service.c and ended in reverse.
 */
#pragma once

#include "common/chassis/admin.h"
#include "common/chassis/clock_guard.h"
#include "common/chassis/service.h"
#include "common/chassis/ticker.h"
#include "common/chassis/worker_claim.h"
#include "common/etcd/etcd.h"

#include <pthread.h>
#include <stdatomic.h>

enum { TF_INSTANCE_MAX = 200 };

struct tf_app_callee {
    const char *service;
    tf_rpc_client *client;
};

struct tf_app {
    const struct tf_service *service;
    struct tf_config config;
    const tf_clock *clock;
    tf_arena *arena; /* strings of the start-up, and its error sentence */
    char instance[TF_INSTANCE_MAX + 1];
    const char *advertised;              /* address that others are told */
    tf_time since;                       /* when the process started */
    struct tf_identity_key identity_key; /* size 0: none */

    tf_pg *pg;
    struct tf_redis_config redis_config;
    tf_redis *redis;
    tf_etcd *etcd;
    tf_worker_claim *claim;
    struct tf_clock_guard *clock_guard; /* NULL: no PostgreSQL, or a command, on whose clock nobody relies */
    tf_bus *bus;
    struct tf_app_callee *callees;
    size_t n_callees;
    pthread_mutex_t rpc_lock; /* protects rpc: the health thread tells it what to answer */
    tf_rpc_server *rpc;
    tf_admin *admin;
    tf_ticker *health;
    struct health *health_state; /* of service.c */
    bool started;                /* service->start returned OK: stop() is due */
    void *state;

    atomic_bool ready;   /* what the service says of itself */
    atomic_bool serving; /* start-up is complete and no stop was asked for */
    atomic_bool stopping;
    atomic_bool registered; /* in etcd, or being so */
    atomic_bool pg_up;      /* as the health thread last saw it */
};

/* What `serving` in health answers means, from the flags above: start-up complete, the service ready, PostgreSQL there
 * and its clock agreeing with ours if it is used. Redis and etcd are reported but do not decide: without Redis
 * payments, refunds and reads go on, and the callers get STORE_DOWN for the rest; without etcd everything goes on. */
bool tf_app_healthy(tf_app *app);
/* True where there is nothing to compare it with. */
bool tf_app_clock_agrees(const tf_app *app);

/* Makes the clients of service->callees and feeds them from `peers` or etcd. TF_FIELD_INVALID: a callee has neither. */
TF_MUSTCHECK tf_code tf_app_clients_start(tf_app *app, const char **ret_error);
/* After etcd is gone: its watches feed the clients. */
void tf_app_clients_stop(tf_app *app);
