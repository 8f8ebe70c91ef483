/* Order's own rooms in this process, on the database and the Redis of the installation: what is measured is the real
 * code, without the hops before it. */
#include "tests/bench/bench.h"

#include "common/chassis/app_internal.h"
#include "common/chassis/secrets.h"
#include "services/order/config.h"
#include "services/order/inventory/inventory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern const struct tf_embedded order_redis_libraries[];

static const struct tf_service service = {.name = "order", .purpose = "is measured"};
static tf_app world_app = {.service = &service, .instance = "bench"};

/* Of the installation, by the secret's name; in the context. */
static char *read_password(const struct bench *b, tf_ctx *ctx, const char *name)
{
    const char *path = tf_arena_printf(ctx->arena, "%s/secrets/%s.password", b->home, name), *error;
    char *password;
    size_t size;

    if (!path || tf_secret_read(ctx->arena, path, &password, &size, &error)) bench_die("%s", path ? error : name);
    return password;
}

void world_ctx(struct bench *b, tf_ctx *ctx)
{
    tf_app_ctx(b->app, ctx, "bench", 60 * TF_US_PER_S);
}

void world_open(struct bench *b)
{
    static char dsn[400], address[32], redis_password[128];
    tf_ctx ctx;

    world_app.clock = tf_clock_system();
    b->app = &world_app;
    world_ctx(b, &ctx);
    snprintf(redis_password, sizeof redis_password, "%s", read_password(b, &ctx, "redis"));
    snprintf(dsn, sizeof dsn, "host=127.0.0.1 port=%d dbname=tf_order user=tf_order password=%s", b->base_port + 32,
             read_password(b, &ctx, "pg-order"));
    tf_ctx_done(&ctx);
    snprintf(address, sizeof address, "127.0.0.1:%d", b->base_port + 79);
    atomic_store(&world_app.ready, true);
    world_app.pg = tf_pg_new(
        &(struct tf_pg_config){.dsn = dsn, .name = "bench", .connections_max = 4, .connect_timeout_ms = 2000});
    world_app.redis_config = (struct tf_redis_config){.address = address,
                                                      .password = redis_password,
                                                      .connect_timeout_ms = 2000,
                                                      .queue_max = 10000,
                                                      .libraries = order_redis_libraries};
    world_app.redis = tf_redis_new(&world_app.redis_config);
    /* Intents outlast the bench, so that the order process finds nothing to settle in what is measured. */
    order_config = (struct order_config){.hold_floor_s = 600, .intent_ms = 600000};
    world_ctx(b, &ctx);
    bench_check(&ctx, tf_worker_claim_start(&ctx, world_app.pg, world_app.clock, NULL, "bench", &world_app.claim),
                "worker number");
    for (int i = 0; i < 100 && !tf_redis_up(world_app.redis); i++)
        usleep(50000);
    bench_check(&ctx, inventory_start(b->app), "inventory");
    tf_ctx_done(&ctx);
}

void world_close(struct bench *b)
{
    tf_ctx ctx;

    inventory_stop();
    world_ctx(b, &ctx);
    tf_worker_claim_stop(&ctx, world_app.claim);
    tf_ctx_done(&ctx);
    tf_redis_free(world_app.redis);
    tf_pg_free(world_app.pg);
}

struct sale *world_show(struct bench *b, int n)
{
    static const struct tf_pg_stmt nth = {"bench_show",
                                          "SELECT show_id FROM inventory ORDER BY show_id OFFSET $1 LIMIT 1", false};
    struct sale *sale = NULL;
    tf_pg_params params;
    tf_pg_result *rows;
    tf_ctx ctx;

    world_ctx(b, &ctx);
    tf_pg_params_init(&params, &ctx);
    tf_pg_int4(&params, n);
    bench_check(&ctx, tf_pg_query(&ctx, b->app->pg, &nth, &params, &rows), "shows");
    if (tf_pg_rows(rows) == 0) bench_die("show %d is not there yet", n);
    bench_check(&ctx, sale_find(&ctx, tf_pg_get_int(rows, 0, 0), &sale), "snapshot");
    bench_check(&ctx, inventory_rebuild(&ctx, sale->show_id), "rebuild");
    tf_ctx_done(&ctx);
    return sale;
}

int64_t world_id(struct bench *b, tf_ctx *ctx, int bucket)
{
    int64_t id = 0;

    /* Faster than one worker's numbers for a moment: the next tick has more. */
    while (tf_app_id(ctx, b->app, bucket, &id) == TF_OVERLOADED) {
        tf_error_clear(ctx);
        usleep(5000);
    }
    if (!id) bench_die("no ids");
    return id;
}
