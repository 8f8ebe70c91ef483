/* PostgreSQL, Redis, etcd and keys at start-up. */
#include "common/chassis/stores.h"

#include "common/base/log.h"
#include "common/chassis/secrets.h"

#include <string.h>
#include <time.h>

enum {
    WAIT_S = 30,
    SAY_FIRST_MS = 1000, /* less is no wait worth a word */
    SAY_S = 5,
    PAUSE_MS = 20,
    TRY_TIMEOUT_S = 3,
    SCHEMA_TIMEOUT_S = 30,
    MIGRATE_TIMEOUT_S = 900, /* an index on a large table */
    CONNECT_TIMEOUT_MS = 2000,
    REDIS_QUEUE_MAX = 65536,
    REDIS_CAUSE_MAX = 300,
};

extern const struct tf_embedded tf_platform_migrations[];

void tf_app_stop_signals(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGINT);
}

bool tf_app_stop_within(int ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};
    sigset_t set;

    tf_app_stop_signals(&set);
    return sigtimedwait(&set, NULL, &pause) > 0;
}

/* A wait for one server, told in the log now and then. */
struct waiting {
    tf_app *app;
    const char *server;
    int64_t begun_us, said_us; /* said_us 0: not yet */
};

/* True: try again. False: *ret_error tells why not. */
static bool wait_on(struct waiting *waiting, const char *cause, const char **ret_error)
{
    int64_t now = tf_mono_us();

    if (now - waiting->begun_us > (int64_t)WAIT_S * TF_US_PER_S) {
        *ret_error = tf_arena_printf(waiting->app->arena, "%s does not answer: %s", waiting->server, cause);
        return false;
    }
    if (waiting->said_us ? now - waiting->said_us > (int64_t)SAY_S * TF_US_PER_S
                         : now - waiting->begun_us > (int64_t)SAY_FIRST_MS * TF_US_PER_MS) {
        tf_log(TF_LOG_WARN, "waiting for a server", "server", waiting->server, "cause", cause, NULL);
        waiting->said_us = now;
    }
    if (!tf_app_stop_within(PAUSE_MS)) return true;
    *ret_error = tf_arena_printf(waiting->app->arena, "asked to stop while waiting for %s", waiting->server);
    return false;
}

static const char *cause_of(const tf_ctx *ctx)
{
    return ctx->error.internal ? ctx->error.internal : tf_code_info(ctx->error.code)->reason;
}

/* ---- PostgreSQL -------------------------------------------------------------------------------------------------- */

static tf_code dsn_make(tf_app *app, const char **ret_dsn, const char **ret_error)
{
    const struct tf_config *config = &app->config;
    char *password;
    size_t size;
    tf_code code;

    if (!config->pg_dsn[0]) {
        *ret_error = "pg_dsn is empty: it names the service's own database (TF_PG_DSN)";
        return TF_FIELD_INVALID;
    }
    *ret_dsn = config->pg_dsn;
    if (!config->pg_password_file[0]) return TF_OK;
    code = tf_secret_read(app->arena, config->pg_password_file, &password, &size, ret_error);
    if (code) return code;
    *ret_dsn = tf_dsn_with_password(app->arena, config->pg_dsn, password);
    return TF_OK;
}

tf_code tf_app_pg_open(tf_app *app, const char **ret_error)
{
    struct waiting waiting = {.app = app, .server = "PostgreSQL", .begun_us = tf_mono_us()};
    const char *dsn;
    tf_ctx ctx;
    tf_code code;

    code = dsn_make(app, &dsn, ret_error);
    if (code) return code;
    app->pg = tf_pg_new(&(struct tf_pg_config){
        .dsn = dsn,
        .name = app->instance,
        .connections_max = (int)app->config.pg_connections,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
    });

    tf_app_ctx(app, &ctx, "start", 0);
    for (;;) {
        tf_cleanup(tf_pg_givep) tf_pg_conn *conn = NULL;

        tf_ctx_reset(&ctx, (int64_t)TRY_TIMEOUT_S * TF_US_PER_S);
        code = tf_pg_take(&ctx, app->pg, &conn);
        if (!code || !wait_on(&waiting, cause_of(&ctx), ret_error)) break;
    }
    tf_ctx_done(&ctx);
    return code;
}

tf_code tf_app_schema_check(tf_app *app, const char **ret_error)
{
    tf_ctx ctx;
    tf_code code;

    tf_app_ctx(app, &ctx, "start", (int64_t)SCHEMA_TIMEOUT_S * TF_US_PER_S);
    code = tf_pg_migrated(&ctx, app->pg, "platform", tf_platform_migrations);
    if (!code && app->service->migrations)
        code = tf_pg_migrated(&ctx, app->pg, app->service->name, app->service->migrations);
    if (code)
        *ret_error = tf_arena_printf(app->arena, "the database's schema is not ready: %s; run tf-%s --migrate",
                                     cause_of(&ctx), app->service->name);
    tf_ctx_done(&ctx);
    return code;
}

tf_code tf_app_schema_migrate(tf_app *app, const char **ret_error)
{
    tf_ctx ctx;
    tf_code code;

    tf_app_ctx(app, &ctx, "migrate", (int64_t)MIGRATE_TIMEOUT_S * TF_US_PER_S);
    code = tf_pg_migrate(&ctx, app->pg, "platform", tf_platform_migrations);
    if (!code && app->service->migrations)
        code = tf_pg_migrate(&ctx, app->pg, app->service->name, app->service->migrations);
    if (code) *ret_error = tf_arena_printf(app->arena, "the migration failed: %s", cause_of(&ctx));
    tf_ctx_done(&ctx);
    return code;
}

/* ---- Redis ------------------------------------------------------------------------------------------------------- */

tf_code tf_app_redis_open(tf_app *app, const char **ret_error)
{
    struct waiting waiting = {.app = app, .server = "Redis", .begun_us = tf_mono_us()};
    char *password = NULL;
    size_t size;

    if (app->config.redis_password_file[0]) {
        tf_code code = tf_secret_read(app->arena, app->config.redis_password_file, &password, &size, ret_error);

        if (code) return code;
    }
    app->redis_config = (struct tf_redis_config){
        .address = app->config.redis_address,
        .password = password,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .queue_max = REDIS_QUEUE_MAX,
        .libraries = app->service->redis_libraries,
    };
    app->redis = tf_redis_new(&app->redis_config);
    while (!tf_redis_up(app->redis)) {
        char cause[REDIS_CAUSE_MAX];

        if (tf_redis_cause(app->redis, cause, sizeof(cause))) {
            *ret_error =
                tf_arena_printf(app->arena, "Redis at %s: %s (redis_password_file)", app->config.redis_address, cause);
            return TF_FIELD_INVALID;
        }
        if (!wait_on(&waiting, cause[0] ? cause : app->config.redis_address, ret_error)) return TF_STORE_DOWN;
    }
    return TF_OK;
}

/* ---- etcd -------------------------------------------------------------------------------------------------------- */

tf_code tf_app_etcd_open(tf_app *app, const char **ret_error)
{
    const struct tf_config *config = &app->config;
    char *password = NULL;
    size_t size;

    if (!config->etcd_user[0] != !config->etcd_password_file[0]) {
        *ret_error = "etcd_user and etcd_password_file go together: one of them is empty";
        return TF_FIELD_INVALID;
    }
    if (config->etcd_user[0]) {
        tf_code code = tf_secret_read(app->arena, config->etcd_password_file, &password, &size, ret_error);

        if (code) return code;
    }
    app->etcd = tf_etcd_new(&(struct tf_etcd_config){
        .endpoints = config->etcd_endpoints,
        .prefix = config->etcd_prefix,
        .user = password ? config->etcd_user : NULL,
        .password = password,
    });
    return TF_OK;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

tf_code tf_app_keys_read(tf_app *app, const char **ret_error)
{
    const struct tf_service *service = app->service;

    if (app->config.internal_key_file[0])
        return tf_identity_key_read(app->arena, app->config.internal_key_file, &app->identity_key, ret_error);
    if (!service->rpc_services && !service->callees) return TF_OK;
    *ret_error = "internal_key_file is empty: it names the key of the internal identity tokens (TF_INTERNAL_KEY_FILE)";
    return TF_FIELD_INVALID;
}
