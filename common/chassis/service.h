/* The life of a process: settings, start-up in order, serving, shutdown in reverse. A service's main.c is a table.
 *
 * Order: settings → log → keys → PostgreSQL (schema checked) → worker number → Redis → clients of callees → bus's relay
 * → start() → rpc server → bus's consumers → admin listener → etcd registration → SERVING. SIGTERM or SIGINT:
 * NOT_SERVING → deregister → short wait → drain calls → consumers → stop() → relay → ids released → stores. A start-up
 * failure prints one sentence and exits 1.
 *
 * Health is SERVING when start-up is complete, the service is ready (tf_app_set_ready) and PostgreSQL answers and its
 * clock agrees with ours (clock_tolerance_ms), where it is used. Redis or etcd away is shown by /healthz without
 * changing it: what needs them answers STORE_DOWN, the rest goes on.
 *
 * Instead of serving: `tf-order --migrate` applies the migrations and exits; `tf-order --dead-letters list | replay ID
 * | discard ID REASON`. */
#pragma once

#include "common/base/id.h"
#include "common/base/metrics.h"
#include "common/chassis/bus.h"
#include "common/chassis/settings.h"
#include "common/pg/pg.h"
#include "common/redis/redis.h"
#include "common/rpc/rpc.h"

struct tf_config {
#define TF_CONFIG_DEF "common/chassis/config.def"
#include "common/chassis/config_expand.h"
    /* Zero where the process does not use the store. */
#define TF_CONFIG_DEF "common/chassis/config_pg.def"
#include "common/chassis/config_expand.h"
#define TF_CONFIG_DEF "common/chassis/config_redis.def"
#include "common/chassis/config_expand.h"
#define TF_CONFIG_DEF "common/chassis/config_bus.def"
#include "common/chassis/config_expand.h"
};

enum { TF_USES_PG = 1 << 0, TF_USES_REDIS = 1 << 1, TF_USES_BUS = 1 << 2, TF_USES_IDS = 1 << 3 };

typedef struct tf_app tf_app;

struct tf_service {
    const char *name;    /* "order" */
    const char *purpose; /* one line for --help */
    unsigned uses;       /* TF_USES_…: settings and commands follow; BUS needs PG and REDIS; IDS needs PG */
    const struct tf_rpc_service *const *rpc_services; /* NULL-ended; NULL: no rpc server (gateway) */
    const struct tf_embedded *migrations;             /* component = name; NULL: none */
    const struct tf_embedded *redis_libraries;        /* or NULL */
    const char *const *callees;                       /* services it calls, NULL-ended; or NULL */
    const struct tf_bus_consumer *consumers;          /* ended by a NULL topic; or NULL */
    const struct tf_setting *settings;
    size_t n_settings;
    void *config;                                          /* the service's own config struct */
    tf_code (*start)(tf_app *app, const char **ret_error); /* stores are ready, no calls yet; sets tf_app_set_state */
    void (*stop)(tf_app *app);                             /* no more calls */
};

int tf_service_main(int argc, char **argv, const struct tf_service *service);

/* ---- what the parts of a process share; thread-safe ------------------------------------------------------------- */

const struct tf_config *tf_app_config(tf_app *app);
tf_pg *tf_app_pg(tf_app *app);
tf_redis *tf_app_redis(tf_app *app);
const struct tf_redis_config *tf_app_redis_config(tf_app *app); /* for connections of one's own */
tf_bus *tf_app_bus(tf_app *app);
const tf_clock *tf_app_clock(tf_app *app);
const struct tf_identity_key *tf_app_identity_key(tf_app *app);
const char *tf_app_instance(tf_app *app);
/* A client for a callee named in `callees`, fed by etcd or peers. */
tf_rpc_client *tf_app_client(tf_app *app, const char *service);
/* Before anything is made whose time others rely on (tokens; ids ask by themselves): TF_STORE_DOWN while the own clock
 * is more than clock_tolerance_ms off PostgreSQL's, or that is not known yet. For services that use PostgreSQL. */
TF_MUSTCHECK tf_code tf_app_clock_check(tf_ctx *ctx);
/* A new id; bucket 0 unless the id belongs to a show. */
TF_MUSTCHECK tf_code tf_app_id(tf_ctx *ctx, tf_app *app, int bucket, int64_t *ret_id);
void tf_app_set_state(tf_app *app, void *state);
void *tf_app_state(tf_app *app);
/* ctx->app of every call, event and timer is the tf_app. */
static inline void *tf_ctx_state(const tf_ctx *ctx)
{
    return tf_app_state((tf_app *)ctx->app);
}
/* Readiness beyond the stores (say, another version took over): while false, health is NOT_SERVING. Starts true. */
void tf_app_set_ready(tf_app *app, bool ready);
/* True once a stop was asked for. */
bool tf_app_stopping(tf_app *app);
/* A context for work that no call started: app set, identity internal. End with tf_ctx_done. */
void tf_app_ctx(tf_app *app, tf_ctx *ctx, const char *request_id, int64_t timeout_us);

/* A thread that runs `tick` every interval_ms, and at once after tf_periodic_wake; ctx is fresh each time (deadline 30
 * s). The owner stops it in its stop(). */
typedef struct tf_periodic tf_periodic;
tf_periodic *tf_periodic_start(tf_app *app, const char *name, int interval_ms, void (*tick)(tf_ctx *ctx, void *arg),
                               void *arg);
void tf_periodic_wake(tf_periodic *periodic);
void tf_periodic_stop(tf_periodic *periodic); /* accepts NULL */
