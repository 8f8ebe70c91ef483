/* A Redis that asks for a password: every kind of connection says it, anew after each loss, and a wrong one is told
 * from a server that is away. */
#include "tests/integration/fixture.h"
#include "tests/integration/redis/private.h"

#include "common/redis/stream.h"

#include <stdatomic.h>

enum { SOON_MS = 5000 };

#define PASSWORD "correct \"horse\" battery"

static struct private_redis closed, open_one;

static struct tf_redis_config config_of(const struct private_redis *server, const char *password)
{
    return (struct tf_redis_config){
        .address = server->address, .password = password, .connect_timeout_ms = 1000, .queue_max = 100};
}

static int set_up(void **state)
{
    (void)state;
    private_redis_start(&closed, PASSWORD);
    private_redis_start(&open_one, "");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    private_redis_stop(&closed);
    private_redis_stop(&open_one);
    return 0;
}

static bool is_up(void *arg)
{
    return tf_redis_up(arg);
}

/* ---- with it --------------------------------------------------------------------------------------------------- */

static void count(tf_ctx *ctx, const struct tf_stream_entry *entries, size_t n, bool *acks, void *arg)
{
    _Atomic int *counter = arg;

    (void)ctx;
    (void)entries;
    for (size_t i = 0; i < n; i++)
        acks[i] = true;
    *counter += (int)n;
}

static bool is_two(void *arg)
{
    return *(_Atomic int *)arg == 2;
}

static void every_connection_says_it(void **state)
{
    struct tf_redis_config config = config_of(&closed, PASSWORD);
    tf_redis *redis = tf_redis_new(&config);
    tf_redis_blocking *blocking = tf_redis_blocking_new(&config);
    struct tf_stream_config stream = {
        .redis = &config,
        .stream = "s",
        .group = "g",
        .consumer = "c",
        .batch_max = 10,
        .retry_after_ms = 100,
        .handler_timeout_ms = 1000,
        .handler = count,
    };
    tf_stream_consumer *consumer;
    tf_redis_reply *reply;
    _Atomic int handled = 0;
    tf_redis_cmd cmd;
    uint64_t before;
    char cause[64];
    tf_ctx ctx;

    (void)state;
    stream.arg = &handled;
    consumer = tf_stream_consumer_start(&stream);
    ctx_start(&ctx, SOON_MS);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "XADD", "s", "*", "d", "1", NULL));
    assert_int_equal(reply->type, TF_REDIS_STRING);
    assert_false(tf_redis_cause(redis, cause, sizeof cause));
    assert_string_equal(cause, "");

    /* All connections are lost; each comes back and says it again. */
    before = tf_redis_connection(redis);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL));
    sleep_ms(150);
    tf_redis_reconnect(redis);
    while (tf_redis_connection(redis) == before)
        sleep_ms(5);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "XADD", "s", "*", "d", "2", NULL));
    assert_int_equal(reply->type, TF_REDIS_STRING);
    wait_until(is_two, &handled, SOON_MS, "both entries are handled");

    tf_redis_cmd_init(&cmd, &ctx);
    tf_redis_arg(&cmd, "PING");
    ASSERT_OK(&ctx, tf_redis_blocking_call(&ctx, blocking, &cmd, &reply));
    assert_string_equal(reply->text, "PONG");
    tf_stream_consumer_stop(consumer);
    tf_redis_blocking_free(blocking);
    tf_redis_free(redis);
    tf_ctx_done(&ctx);
}

/* ---- without --------------------------------------------------------------------------------------------------- */

static void refusals_are_told_from_absence(void **state)
{
    const struct {
        const struct private_redis *server;
        const char *password, *cause;
        bool refused;
    } rows[] = {
        {&closed, "wrong", "AUTH refused: WRONGPASS", true},
        {&closed, NULL, "PING refused: NOAUTH", true},
        {&open_one, PASSWORD, "AUTH refused: ERR AUTH", true},
        {&(struct private_redis){.address = "127.0.0.1:1"}, PASSWORD, "127.0.0.1:1: Connection refused", false},
    };
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, SOON_MS);
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_redis_config config = config_of(rows[i].server, rows[i].password);
        tf_redis *redis = tf_redis_new(&config);
        tf_redis_blocking *blocking = tf_redis_blocking_new(&config);
        tf_redis_reply *reply;
        tf_redis_cmd cmd;
        char cause[200];

        ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL), TF_STORE_DOWN);
        assert_int_equal(tf_redis_cause(redis, cause, sizeof cause), rows[i].refused);
        if (strncmp(cause, rows[i].cause, strlen(rows[i].cause)) != 0) fail_msg("%zu: %s", i, cause);
        assert_null(strstr(cause, "horse"));
        assert_false(tf_redis_up(redis));
        tf_redis_cmd_init(&cmd, &ctx);
        tf_redis_arg(&cmd, "PING");
        assert_int_equal(tf_redis_blocking_call(&ctx, blocking, &cmd, &reply), TF_STORE_DOWN);
        assert_non_null(strstr(ctx.error.internal, rows[i].cause));
        tf_error_clear(&ctx);
        tf_redis_blocking_free(blocking);
        tf_redis_free(redis);
    }
    tf_ctx_done(&ctx);
}

/* The password is taken from the server for a while, as in a botched change of it: connections come back by themselves
 * once it is right again. */
static void a_password_set_right_is_noticed(void **state)
{
    struct tf_redis_config config = config_of(&open_one, PASSWORD), plain = config_of(&open_one, NULL);
    tf_redis *redis = tf_redis_new(&config), *admin = tf_redis_new(&plain);
    tf_redis_reply *reply;
    char cause[64];
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, SOON_MS);
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL), TF_STORE_DOWN);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, admin, &reply, "CONFIG", "SET", "requirepass", PASSWORD, NULL));
    wait_until(is_up, redis, SOON_MS, "the connection");
    assert_false(tf_redis_cause(redis, cause, sizeof cause));
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "CONFIG", "SET", "requirepass", "", NULL));
    assert_string_equal(reply->text, "OK");
    tf_redis_free(redis);
    tf_redis_free(admin);
    tf_ctx_done(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_connection_says_it),
        cmocka_unit_test(refusals_are_told_from_absence),
        cmocka_unit_test(a_password_set_right_is_noticed),
    };

    return cmocka_run_group_tests_name("redis password", tests, set_up, tear_down);
}
