/* A directory, ports, children with logs there, a database. */
#include "tests/integration/pay_service/world.h"

#include "common/crypto/crypto.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    char dir[64], dsn[WORLD_TEXT];
    struct tf_identity_key key;
} world;

static const char *server_dsn(void)
{
    return env_or_fail("TF_TEST_PG_DSN", "a server where databases may be made, in libpq's keyword form");
}

/* On a pool of its own: a pool keeps pointers to the statements that it has seen. */
static int64_t run(const char *dsn, const char *text)
{
    tf_pg *pg =
        tf_pg_new(&(struct tf_pg_config){.dsn = dsn, .name = "test", .connections_max = 1, .connect_timeout_ms = 5000});
    const struct tf_pg_stmt stmt = {"test", text, true};
    tf_pg_params params;
    tf_pg_result *result;
    int64_t value;
    tf_ctx ctx;

    ctx_start(&ctx, 20000);
    tf_pg_params_init(&params, &ctx);
    ASSERT_OK(&ctx, tf_pg_query(&ctx, pg, &stmt, &params, &result));
    value = tf_pg_rows(result) ? tf_pg_get_int(result, 0, 0) : 0;
    tf_ctx_done(&ctx);
    tf_pg_free(pg);
    return value;
}

int64_t sql(const char *format, ...)
{
    char text[1000];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return run(world.dsn, text);
}

struct expected_number {
    const char *text;
    int64_t expected;
};

static bool number_is(void *arg)
{
    const struct expected_number *number = arg;

    return run(world.dsn, number->text) == number->expected;
}

void wait_for_sql(int64_t expected, int timeout_ms, const char *format, ...)
{
    char text[1000];
    struct expected_number number = {text, expected};
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    wait_until(number_is, &number, timeout_ms, text);
}

char *world_path(char out[static WORLD_TEXT], const char *name)
{
    snprintf(out, WORLD_TEXT, "%s/%s", world.dir, name);
    return out;
}

void world_key(const char *name)
{
    char path[WORLD_TEXT];
    tf_ctx ctx;

    ctx_start(&ctx, 1000);
    ASSERT_OK(&ctx, tf_key_make(&ctx, world_path(path, name), 32));
    tf_ctx_done(&ctx);
}

const char *world_dsn(void)
{
    return world.dsn;
}

const struct tf_identity_key *world_identity_key(void)
{
    return &world.key;
}

void world_start(void)
{
    char path[WORLD_TEXT], text[WORLD_TEXT];
    tf_ctx ctx;

    signal(SIGPIPE, SIG_IGN);
    assert_true(tf_crypto_init());
    snprintf(world.dir, sizeof(world.dir), "/tmp/%s", unique_word());
    assert_int_equal(mkdir(world.dir, 0700), 0);
    world_key("internal.key");
    ctx_start(&ctx, 1000);
    ASSERT_OK(&ctx, tf_key_read(&ctx, world_path(path, "internal.key"), 32, world.key.secret, sizeof(world.key.secret),
                                &world.key.size));
    tf_ctx_done(&ctx);
    snprintf(text, sizeof(text), "CREATE DATABASE %s", unique_word());
    run(server_dsn(), text);
    snprintf(world.dsn, sizeof(world.dsn), "%s dbname=%s", server_dsn(), unique_word());
}

void world_stop(void)
{
    char text[WORLD_TEXT];
    struct dirent *entry;
    DIR *dir;

    snprintf(text, sizeof(text), "DROP DATABASE %s WITH (FORCE)", unique_word());
    run(server_dsn(), text);
    if (getenv("TF_TEST_KEEP")) return;
    dir = opendir(world.dir);
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.') unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir) closedir(dir);
    rmdir(world.dir);
}

void free_address(char out[static WORLD_ADDRESS])
{
    snprintf(out, WORLD_ADDRESS, "127.0.0.1:%d", free_port());
}

pid_t child_start(const char *name, const char *const argv[])
{
    char log[WORLD_TEXT], file[64];

    snprintf(file, sizeof(file), "%s.log", name);
    return child_spawn(world_path(log, file), argv);
}

void child_run(const char *name, const char *const argv[])
{
    pid_t pid = child_start(name, argv);

    if (child_stop(&pid, 0)) fail_msg("%s failed: see %s/%s.log (kept with TF_TEST_KEEP)", argv[0], world.dir, name);
}

pid_t redis_start(const char *address)
{
    const char *argv[] = {"redis-server",
                          "--port",
                          strchr(address, ':') + 1,
                          "--bind",
                          "127.0.0.1",
                          "--save",
                          "",
                          "--appendonly",
                          "no",
                          "--dir",
                          world.dir,
                          "--maxmemory-policy",
                          "noeviction",
                          NULL};
    pid_t pid = child_start("redis", argv);

    wait_until(listens, (void *)address, WORLD_START_MS, "redis-server");
    return pid;
}

tf_rpc_client *gateway_client(const char *service, const char *address)
{
    struct tf_rpc_client_config config = {.service = service,
                                          .caller = "gateway",
                                          .identity_key = &world.key,
                                          .clock = tf_clock_system(),
                                          .message_max = 4 << 20};
    tf_rpc_client *client = tf_rpc_client_new(&config);

    tf_rpc_client_set_endpoints(client, &address, 1);
    return client;
}

void as_user(tf_ctx *ctx, int64_t user_id)
{
    ctx_start(ctx, WORLD_CALL_MS);
    ctx->identity = (struct tf_identity){.caller = "gateway", .user_id = user_id, .session_id = user_id ? 1 : 0};
    ctx->language = "en";
}
