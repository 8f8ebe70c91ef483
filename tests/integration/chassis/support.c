/* Shared by the chassis's integration tests. */
#include "tests/integration/chassis/support.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct tf_embedded tf_platform_migrations[];

const char *support_dsn(const struct support *support)
{
    static char dsn[1024];

    snprintf(dsn, sizeof(dsn), "%s options='-csearch_path=%s'",
             env_or_fail("TF_TEST_PG_DSN", "a database in libpq's keyword form"), support->schema);
    return dsn;
}

static tf_pg *pool(const char *dsn)
{
    return tf_pg_new(
        &(struct tf_pg_config){.dsn = dsn, .name = "chassis-test", .connections_max = 8, .connect_timeout_ms = 5000});
}

/* One statement outside the schema. */
static void server_do(const char *text)
{
    tf_pg *pg = pool(env_or_fail("TF_TEST_PG_DSN", "a database in libpq's keyword form"));
    const struct tf_pg_stmt stmt = {"server_do", text, true};
    tf_pg_params params;
    tf_ctx ctx;

    ctx_start(&ctx, 10000);
    tf_pg_params_init(&params, &ctx);
    ASSERT_OK(&ctx, tf_pg_query(&ctx, pg, &stmt, &params, NULL));
    tf_ctx_done(&ctx);
    tf_pg_free(pg);
}

static void app_open(struct support *support, const char *instance)
{
    tf_app *app = &support->app;

    *app = (tf_app){.service = &support->service, .clock = tf_clock_system()};
    app->config.bus_retry_ms = 20;
    app->config.bus_attempts_max = 3;
    app->config.outbox_retention_s = 3600;
    app->config.partition_hours = 1;
    snprintf(app->instance, sizeof(app->instance), "%s", instance);
    app->pg = pool(support_dsn(support));
    app->redis_config = (struct tf_redis_config){.address = env_or_fail("TF_TEST_REDIS", "host:port of a Redis"),
                                                 .password = redis_password(),
                                                 .connect_timeout_ms = 5000,
                                                 .queue_max = 10000};
    app->redis = tf_redis_new(&app->redis_config);
    for (int i = 0; i < 1000 && !tf_redis_up(app->redis); i++)
        sleep_ms(5);
    assert_true(tf_redis_up(app->redis));
}

void support_migrate(struct support *support, size_t n)
{
    struct tf_embedded files[SUPPORT_MIGRATIONS_ALL + 1] = {{NULL, NULL, 0}};
    tf_ctx ctx;

    assert_true(n < TF_COUNT(files));
    for (size_t i = 0; i < n && tf_platform_migrations[i].name; i++)
        files[i] = tf_platform_migrations[i];
    ctx_start(&ctx, 10000);
    ASSERT_OK(&ctx, tf_pg_migrate(&ctx, support->app.pg, "platform", files));
    tf_ctx_done(&ctx);
}

void support_open_bare(struct support *support, const char *name, const struct tf_bus_consumer *consumers)
{
    static int count;
    char text[200];

    snprintf(support->schema, sizeof(support->schema), "chassis_%s_%d", unique_word(), ++count);
    support->service = (struct tf_service){.name = name, .purpose = "is tested", .consumers = consumers};
    snprintf(text, sizeof(text), "CREATE SCHEMA %s", support->schema);
    server_do(text);
    app_open(support, "first");
}

void support_open(struct support *support, const char *name, const struct tf_bus_consumer *consumers)
{
    support_open_bare(support, name, consumers);
    support_migrate(support, SUPPORT_MIGRATIONS_ALL);
}

void support_join(struct support *support, const struct support *first, const char *instance)
{
    memcpy(support->schema, first->schema, sizeof(support->schema));
    support->service = first->service;
    app_open(support, instance);
}

void support_close(struct support *support)
{
    char text[200];

    tf_redis_free(support->app.redis);
    tf_pg_free(support->app.pg);
    if (strcmp(support->app.instance, "first") != 0) return;
    snprintf(text, sizeof(text), "DROP SCHEMA %s CASCADE", support->schema);
    server_do(text);
}

void support_weather(tf_ctx *ctx)
{
    if (ctx->error.code != TF_STORE_DOWN || tf_ctx_left_us(ctx) <= 0)
        fail_msg("%s: %s", tf_code_info(ctx->error.code)->reason, ctx->error.internal ? ctx->error.internal : "");
    tf_error_clear(ctx);
    sleep_ms(20);
}

/* Statements live as long as the connections that prepared them; each text is one. */
struct text_stmt {
    struct text_stmt *next;
    struct tf_pg_stmt stmt;
    char name[32], text[];
};

static const struct tf_pg_stmt *stmt_of(const char *text)
{
    static struct text_stmt *known;
    static int count;
    struct text_stmt *found = known;

    while (found && strcmp(found->text, text) != 0)
        found = found->next;
    if (found) return &found->stmt;

    found = calloc(1, sizeof(*found) + strlen(text) + 1);
    assert_non_null(found);
    strcpy(found->text, text);
    snprintf(found->name, sizeof(found->name), "test_%d", ++count);
    found->stmt = (struct tf_pg_stmt){found->name, found->text, true};
    found->next = known;
    known = found;
    return &found->stmt;
}

TF_PRINTF(3, 0) static tf_pg_result *run(struct support *support, tf_ctx *ctx, const char *format, va_list args)
{
    const char *text = tf_arena_vprintf(ctx->arena, format, args);
    tf_pg_result *result;
    tf_pg_params params;

    assert_non_null(text);
    tf_pg_params_init(&params, ctx);
    while (tf_pg_query(ctx, support->app.pg, stmt_of(text), &params, &result))
        support_weather(ctx);
    return result;
}

int64_t sql(struct support *support, const char *format, ...)
{
    tf_pg_result *result;
    int64_t value;
    va_list args;
    tf_ctx ctx;

    ctx_start(&ctx, 10000);
    va_start(args, format);
    result = run(support, &ctx, format, args);
    va_end(args);
    value = tf_pg_rows(result) ? tf_pg_get_int(result, 0, 0) : 0;
    tf_ctx_done(&ctx);
    return value;
}

const char *sql_text(struct support *support, const char *format, ...)
{
    static char value[2048];
    tf_pg_result *result;
    const char *text;
    va_list args;
    tf_ctx ctx;

    ctx_start(&ctx, 10000);
    va_start(args, format);
    result = run(support, &ctx, format, args);
    va_end(args);
    text = tf_pg_rows(result) ? tf_pg_get_text(result, 0, 0) : NULL;
    snprintf(value, sizeof(value), "%s", text ? text : "");
    tf_ctx_done(&ctx);
    return value;
}

int64_t redis(struct support *support, ...)
{
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    const char *word;
    int64_t value;
    va_list args;
    tf_ctx ctx;

    ctx_start(&ctx, 10000);
    tf_redis_cmd_init(&cmd, &ctx);
    va_start(args, support);
    while ((word = va_arg(args, const char *)))
        tf_redis_arg(&cmd, word);
    va_end(args);
    ASSERT_OK(&ctx, tf_redis_call(&ctx, support->app.redis, &cmd, &reply));
    value = reply->type == TF_REDIS_INT                                        ? reply->integer
            : reply->type == TF_REDIS_ARRAY                                    ? (int64_t)reply->n_items
            : reply->type == TF_REDIS_STRING || reply->type == TF_REDIS_STATUS ? (int64_t)reply->size
                                                                               : -1;
    tf_ctx_done(&ctx);
    return value;
}
