/* The life of a process, in order, and back. */
#include "common/chassis/service.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/chassis/app_internal.h"
#include "common/chassis/bus_internal.h"
#include "common/chassis/commands.h"
#include "common/chassis/stores.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    APP_ARENA_BYTES = 1024 * 1024,
    REQUEST_BYTES_MAX = 16 * 1024 * 1024, /* an import file is the largest */
    CALL_ARENA_BYTES = 128 * 1024 * 1024, /* ceiling of one call, not a reservation */
    HEALTH_MS = 1000,
    PING_TIMEOUT_MS = 1500,
    PING_FAILURES = 2, /* one lost ping is no outage */
    CLAIM_TIMEOUT_S = 10,
    FAREWELL_TIMEOUT_S = 2,
    SPREAD_MS = 200, /* for callers to learn from etcd that we go */
};

static const struct tf_setting common_settings[] = {
#define TF_CONFIG_DEF  "common/chassis/config.def"
#define TF_CONFIG_TYPE struct tf_config
#include "common/chassis/config_expand.h"
};
static const struct tf_setting pg_settings[] = {
#define TF_CONFIG_DEF  "common/chassis/config_pg.def"
#define TF_CONFIG_TYPE struct tf_config
#include "common/chassis/config_expand.h"
};
static const struct tf_setting redis_settings[] = {
#define TF_CONFIG_DEF  "common/chassis/config_redis.def"
#define TF_CONFIG_TYPE struct tf_config
#include "common/chassis/config_expand.h"
};
static const struct tf_setting bus_settings[] = {
#define TF_CONFIG_DEF  "common/chassis/config_bus.def"
#define TF_CONFIG_TYPE struct tf_config
#include "common/chassis/config_expand.h"
};

/* ---- settings that need a second look ---------------------------------------------------------------------------- */

/* The port of "host:port"; -1: malformed. */
static int64_t port_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    int64_t port;

    if (!colon || colon == address || !tf_parse_int64(colon + 1, &port) || port < 0 || port > 65535) return -1;
    return port;
}

static bool is_wildcard(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
}

static const char *addresses_check(tf_app *app)
{
    const struct tf_config *config = &app->config;

    if (port_of(config->listen) <= 0)
        return tf_arena_printf(app->arena, "listen: \"%s\" names no port; it is host:port", config->listen);
    if (port_of(config->admin_listen) < 0)
        return tf_arena_printf(app->arena, "admin_listen: \"%s\" is not host:port", config->admin_listen);
    app->advertised = config->advertise[0] ? config->advertise : config->listen;
    if (port_of(app->advertised) <= 0)
        return tf_arena_printf(app->arena, "advertise: \"%s\" is not host:port", app->advertised);
    if (config->etcd_endpoints[0] && is_wildcard(app->advertised))
        return "listen is every address of the machine: say in advertise at which one others reach it";
    return NULL;
}

/* The name becomes part of a key in etcd and of names in the stores. */
static const char *instance_set(tf_app *app)
{
    char host[128] = "localhost";
    int n;

    gethostname(host, sizeof(host) - 1);
    if (app->config.instance[0])
        n = snprintf(app->instance, sizeof(app->instance), "%s", app->config.instance);
    else
        n = snprintf(app->instance, sizeof(app->instance), "%s-%d", host, (int)getpid());
    if (n > TF_INSTANCE_MAX) return "instance: longer than 200 bytes";
    for (const char *c = app->instance; *c; c++)
        if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') && !strchr("-._", *c))
            return "instance: only letters, digits, '-', '.' and '_' are allowed";
    return NULL;
}

static const char *log_level_check(const char *level)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};

    for (size_t i = 0; i < TF_COUNT(levels); i++)
        if (strcmp(level, levels[i]) == 0) return NULL;
    return "log_level: one of debug, info, warn, error";
}

/* ---- health ------------------------------------------------------------------------------------------------------ */

struct health {
    tf_app *app;
    tf_ctx ctx;
    int failures;
    bool told, serving; /* what the rpc server was told last */
    bool clock_off;     /* as last said */
};

static tf_gauge clock_offset =
    TF_GAUGE("tf_clock_offset_seconds", "How far the own clock is ahead of PostgreSQL's", NULL);

static const struct tf_pg_stmt ping = {"health_ping", "SELECT clock_timestamp()", false};

static tf_code clock_ask(tf_ctx *ctx, tf_app *app)
{
    tf_pg_params params;
    tf_pg_result *rows;
    int64_t sent_us;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    sent_us = app->clock->mono_us(app->clock);
    code = tf_pg_query(ctx, app->pg, &ping, &params, &rows);
    if (code) return code;

    tf_clock_guard_learn(app->clock_guard, tf_pg_get_time(rows, 0, 0), sent_us, app->clock->mono_us(app->clock));
    return TF_OK;
}

static void clock_tell(struct health *health)
{
    int64_t offset_us = tf_clock_guard_offset_us(health->app->clock_guard);
    bool off = !tf_clock_guard_agrees(health->app->clock_guard);
    char ms[TF_LOG_INT];

    tf_gauge_set(&clock_offset, (double)offset_us / TF_US_PER_S);
    if (off == health->clock_off) return;
    health->clock_off = off;
    tf_log(off ? TF_LOG_ERROR : TF_LOG_INFO,
           off ? "own clock differs from PostgreSQL's; not serving" : "own clock agrees with PostgreSQL's", "offset_ms",
           tf_log_int(ms, offset_us / TF_US_PER_MS), NULL);
}

/* A pool without a free connection says nothing about the server. */
static void pg_probe(struct health *health)
{
    tf_code code;

    tf_ctx_reset(&health->ctx, (int64_t)PING_TIMEOUT_MS * TF_US_PER_MS);
    code = clock_ask(&health->ctx, health->app);
    clock_tell(health);
    if (code == TF_OVERLOADED) return;
    health->failures = code ? health->failures + 1 : 0;
    if (health->failures && health->failures != PING_FAILURES) return;
    if (atomic_exchange(&health->app->pg_up, !code) != !code)
        tf_log(code ? TF_LOG_ERROR : TF_LOG_INFO, code ? "PostgreSQL does not answer" : "PostgreSQL answers", NULL);
}

static int health_tick(void *arg)
{
    struct health *health = arg;
    tf_app *app = health->app;
    bool serving;

    if (app->pg) pg_probe(health);
    serving = tf_app_healthy(app);
    pthread_mutex_lock(&app->rpc_lock);
    if (app->rpc && (!health->told || serving != health->serving)) {
        tf_rpc_server_set_serving(app->rpc, serving);
        health->told = true;
        health->serving = serving;
    }
    pthread_mutex_unlock(&app->rpc_lock);
    return HEALTH_MS;
}

static void health_start(tf_app *app)
{
    app->health_state = calloc(1, sizeof(*app->health_state));
    TF_ASSERT(app->health_state);
    app->health_state->app = app;
    tf_app_ctx(app, &app->health_state->ctx, "health", 0);
    app->health = tf_ticker_start("tf-health", health_tick, app->health_state);
}

static void health_stop(tf_app *app)
{
    tf_ticker_stop(TF_TAKE(app->health));
    if (app->health_state) tf_ctx_done(&app->health_state->ctx);
    free(TF_TAKE(app->health_state));
}

/* ---- start-up ---------------------------------------------------------------------------------------------------- */

/* Each phase returns TF_OK, or a code with *ret_error. */
typedef tf_code (*phase)(tf_app *app, const char **ret_error);

/* So that a process whose clock agrees can work at once; else the health thread asks on. */
static void clock_first(tf_app *app)
{
    tf_ctx ctx;

    tf_app_ctx(app, &ctx, "start", (int64_t)PING_TIMEOUT_MS * TF_US_PER_MS);
    app->clock_guard = calloc(1, sizeof(*app->clock_guard));
    TF_ASSERT(app->clock_guard);
    tf_clock_guard_init(app->clock_guard, app->clock, app->config.clock_tolerance_ms * TF_US_PER_MS);
    (void)!clock_ask(&ctx, app);
    tf_ctx_done(&ctx);
}

static tf_code open_pg(tf_app *app, const char **ret_error)
{
    tf_code code;

    if (!(app->service->uses & TF_USES_PG)) return TF_OK;
    code = tf_app_pg_open(app, ret_error);
    if (!code) code = tf_app_schema_check(app, ret_error);
    if (!code) clock_first(app);
    if (!code) atomic_store(&app->pg_up, true);
    return code;
}

static tf_code open_ids(tf_app *app, const char **ret_error)
{
    tf_ctx ctx;
    tf_code code;

    if (!(app->service->uses & TF_USES_IDS)) return TF_OK;
    tf_app_ctx(app, &ctx, "start", (int64_t)CLAIM_TIMEOUT_S * TF_US_PER_S);
    code = tf_worker_claim_start(&ctx, app->pg, app->clock, app->clock_guard, app->instance, &app->claim);
    if (code)
        *ret_error = tf_arena_printf(app->arena, "no worker number for ids could be claimed: %s",
                                     ctx.error.internal ? ctx.error.internal : tf_code_info(code)->reason);
    tf_ctx_done(&ctx);
    return code;
}

static tf_code open_redis(tf_app *app, const char **ret_error)
{
    return app->service->uses & TF_USES_REDIS ? tf_app_redis_open(app, ret_error) : TF_OK;
}

static tf_code open_callees(tf_app *app, const char **ret_error)
{
    tf_code code = app->config.etcd_endpoints[0] ? tf_app_etcd_open(app, ret_error) : TF_OK;

    if (code) return code;
    return tf_app_clients_start(app, ret_error);
}

static tf_code open_bus(tf_app *app, TF_UNUSED const char **ret_error)
{
    if (app->service->uses & TF_USES_BUS) app->bus = tf_bus_open(app);
    return TF_OK;
}

static tf_code start_service(tf_app *app, const char **ret_error)
{
    tf_code code;

    health_start(app);
    if (!app->service->start) return TF_OK;
    code = app->service->start(app, ret_error);
    app->started = !code;
    if (code && !*ret_error)
        *ret_error = tf_arena_printf(app->arena, "the start failed: %s", tf_code_info(code)->reason);
    return code;
}

/* Whose clock is off takes good identity tokens for bad ones. */
static bool clock_fit(void *arg)
{
    tf_app *app = arg;

    if (tf_app_clock_agrees(app)) return true;
    tf_ticker_wake(app->health); /* callers are to know at once */
    return false;
}

static tf_code start_rpc(tf_app *app, const char **ret_error)
{
    const struct tf_rpc_server_config config = {
        .address = app->config.listen,
        .service = app->service->name,
        .services = app->service->rpc_services,
        .identity_key = &app->identity_key,
        .clock = app->clock,
        .app = app,
        .workers = (int)app->config.workers,
        .queue_max = (int)app->config.queue_max,
        .message_max = REQUEST_BYTES_MAX,
        .arena_max = CALL_ARENA_BYTES,
        .fit = clock_fit,
    };
    tf_rpc_server *rpc;
    tf_code code;

    if (!app->service->rpc_services) return TF_OK;
    code = tf_rpc_server_start(&config, &rpc, ret_error);
    if (code) return code;
    pthread_mutex_lock(&app->rpc_lock);
    app->rpc = rpc;
    pthread_mutex_unlock(&app->rpc_lock);
    return TF_OK;
}

static tf_code start_consumers(tf_app *app, TF_UNUSED const char **ret_error)
{
    if (app->bus) tf_bus_consume(app->bus);
    return TF_OK;
}

static tf_code start_admin(tf_app *app, const char **ret_error)
{
    return port_of(app->config.admin_listen) > 0 ? tf_admin_start(app, &app->admin, ret_error) : TF_OK;
}

static tf_code start_registration(tf_app *app, TF_UNUSED const char **ret_error)
{
    char metadata[128];

    if (!app->etcd) return TF_OK;
    snprintf(metadata, sizeof(metadata), "{\"version\":\"%s\"}", TF_VERSION);
    tf_etcd_register(app->etcd, app->service->name, app->instance, app->advertised, (int)app->config.etcd_ttl_s,
                     metadata);
    atomic_store(&app->registered, true);
    return TF_OK;
}

static const phase phases[] = {
    tf_app_keys_read, open_pg,   open_ids,        open_redis,  open_callees,       open_bus,
    start_service,    start_rpc, start_consumers, start_admin, start_registration,
};

static tf_code app_open(tf_app *app, const char **ret_error)
{
    int64_t begun = tf_mono_us();
    char ms[TF_LOG_INT];

    for (size_t i = 0; i < TF_COUNT(phases); i++) {
        tf_code code = phases[i](app, ret_error);

        if (code) return code;
    }
    atomic_store(&app->serving, true);
    tf_ticker_wake(app->health);
    tf_log(TF_LOG_INFO, "serving", "instance", app->instance, "listen", app->config.listen, "version", TF_VERSION,
           "start_ms", tf_log_int(ms, (tf_mono_us() - begun) / TF_US_PER_MS), NULL);
    return TF_OK;
}

/* ---- shutdown ---------------------------------------------------------------------------------------------------- */

static void leave_etcd(tf_app *app)
{
    tf_ctx ctx;

    if (!atomic_load(&app->registered)) return;
    tf_app_ctx(app, &ctx, "stop", (int64_t)FAREWELL_TIMEOUT_S * TF_US_PER_S);
    tf_etcd_deregister(&ctx, app->etcd);
    tf_ctx_done(&ctx);
    usleep(SPREAD_MS * 1000);
}

static void stop_rpc(tf_app *app)
{
    tf_rpc_server *rpc;

    pthread_mutex_lock(&app->rpc_lock);
    rpc = TF_TAKE(app->rpc);
    pthread_mutex_unlock(&app->rpc_lock);
    if (rpc) tf_rpc_server_stop(rpc, (int)app->config.drain_ms);
}

static void release_ids(tf_app *app)
{
    tf_ctx ctx;

    tf_app_ctx(app, &ctx, "stop", (int64_t)FAREWELL_TIMEOUT_S * TF_US_PER_S);
    tf_worker_claim_stop(&ctx, TF_TAKE(app->claim));
    tf_ctx_done(&ctx);
}

/* Ends what was begun, in reverse; also after a start-up that failed half-way. */
static void app_close(tf_app *app)
{
    atomic_store(&app->stopping, true);
    tf_ticker_wake(app->health);
    pthread_mutex_lock(&app->rpc_lock);
    if (app->rpc) tf_rpc_server_set_serving(app->rpc, false);
    pthread_mutex_unlock(&app->rpc_lock);
    leave_etcd(app);
    stop_rpc(app);
    tf_bus_stop_consuming(app->bus);
    if (app->started && app->service->stop) app->service->stop(app);
    health_stop(app);
    tf_bus_close(TF_TAKE(app->bus));
    tf_admin_stop(TF_TAKE(app->admin));
    release_ids(app);
    if (app->etcd) tf_etcd_free(TF_TAKE(app->etcd));
    tf_app_clients_stop(app);
    if (app->redis) tf_redis_free(TF_TAKE(app->redis));
    if (app->pg) tf_pg_free(TF_TAKE(app->pg));
    free(TF_TAKE(app->clock_guard));
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

/* Before any thread starts, so that all inherit it: the main thread alone takes the signals, by waiting for them. */
static void signals_block(void)
{
    sigset_t set;

    tf_app_stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void stop_await(void)
{
    sigset_t set;
    int signal_number;

    tf_app_stop_signals(&set);
    while (sigwait(&set, &signal_number) != 0)
        continue;
    tf_log(TF_LOG_INFO, "stopping", "signal", signal_number == SIGTERM ? "SIGTERM" : "SIGINT", NULL);
}

static void service_assert(const struct tf_service *service)
{
    TF_ASSERT(service->name && service->purpose);
    TF_ASSERT(!(service->uses & TF_USES_BUS) || (service->uses & TF_USES_PG && service->uses & TF_USES_REDIS));
    TF_ASSERT(!(service->uses & TF_USES_IDS) || service->uses & TF_USES_PG);
    TF_ASSERT(!service->consumers || service->uses & TF_USES_BUS);
    TF_ASSERT(!service->migrations || service->uses & TF_USES_PG);
}

/* Serves until a signal, or runs the command. NULL: all went well. */
static const char *app_run(tf_app *app, const struct tf_command *command)
{
    const char *error = NULL;
    tf_code code;

    if (command->kind != TF_COMMAND_SERVE) {
        code = tf_command_run(app, command, &error);
    } else {
        error = addresses_check(app);
        code = error ? TF_FIELD_INVALID : app_open(app, &error);
        if (!code) stop_await();
    }
    app_close(app);
    return code ? error ? error : tf_code_info(code)->reason : NULL;
}

static const char *app_load(tf_app *app, int argc, char **argv)
{
    const struct tf_service *service = app->service;
    struct tf_settings_table tables[5] = {{common_settings, TF_COUNT(common_settings), &app->config}};
    struct tf_settings_command commands[TF_COMMANDS_MAX];
    const char *error = NULL;
    size_t n = 1;

    if (service->uses & TF_USES_PG)
        tables[n++] = (struct tf_settings_table){pg_settings, TF_COUNT(pg_settings), &app->config};
    if (service->uses & TF_USES_REDIS)
        tables[n++] = (struct tf_settings_table){redis_settings, TF_COUNT(redis_settings), &app->config};
    if (service->uses & TF_USES_BUS)
        tables[n++] = (struct tf_settings_table){bus_settings, TF_COUNT(bus_settings), &app->config};
    tables[n++] = (struct tf_settings_table){service->settings, service->n_settings, service->config};
    tf_command_help(service->uses, commands);
    if (tf_settings_load_with(tf_arena_printf(app->arena, "tf-%s", service->name), service->purpose, commands, tables,
                              n, argc, argv, &error))
        return error;
    error = log_level_check(app->config.log_level);
    return error ? error : instance_set(app);
}

static void say_unknown(const char *name)
{
    tf_log(TF_LOG_WARN, "the environment names a setting that this process does not have", "variable", name, NULL);
}

/* Settings of stores that it does not use are known ones: one environment may serve all processes. */
static void environment_check(const struct tf_service *service)
{
    const struct tf_settings_table tables[] = {
        {common_settings, TF_COUNT(common_settings), NULL}, {pg_settings, TF_COUNT(pg_settings), NULL},
        {redis_settings, TF_COUNT(redis_settings), NULL},   {bus_settings, TF_COUNT(bus_settings), NULL},
        {service->settings, service->n_settings, NULL},
    };

    tf_settings_unknown(tables, TF_COUNT(tables), say_unknown);
}

int tf_service_main(int argc, char **argv, const struct tf_service *service)
{
    tf_app app = {.service = service, .clock = tf_clock_system(), .since = tf_now_us()};
    struct tf_command command;
    const char *error = NULL;

    service_assert(service);
    pthread_mutex_init(&app.rpc_lock, NULL);
    atomic_store(&app.ready, true);
    app.arena = tf_arena_new(APP_ARENA_BYTES);
    TF_ASSERT(app.arena);
    signals_block();

    if (tf_command_take(service->uses, &argc, argv, &command, &error)) error = app_load(&app, argc, argv);
    if (!error) {
        tf_log_start(service->name, app.config.log_level);
        environment_check(service);
        error = app_run(&app, &command);
        tf_log_stop();
    }
    if (error) fprintf(stderr, "tf-%s: %s\n", service->name, error);
    tf_arena_free(app.arena);
    pthread_mutex_destroy(&app.rpc_lock);
    explicit_bzero(&app.identity_key, sizeof(app.identity_key));
    return error ? 1 : 0;
}
