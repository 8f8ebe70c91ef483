/* The shared connection against a real Redis: kinds of replies, order, many threads, function libraries, bounds. */
#include "tests/integration/fixture.h"

#include "common/redis/redis.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { THREADS = 64, CALLS = 200, QUEUE = 10000 };

static struct tf_redis_config config;
static tf_redis *redis;
static char key[96];

static int setup(void **state)
{
    (void)state;
    config = (struct tf_redis_config){.address = env_or_fail("TF_TEST_REDIS", "host:port"),
                                      .password = redis_password(),
                                      .connect_timeout_ms = 1000,
                                      .queue_max = QUEUE};
    snprintf(key, sizeof(key), "tf_test:%s", unique_word());
    redis = tf_redis_new(&config);
    return 0;
}

static int teardown(void **state)
{
    tf_redis_reply *reply;
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, 2000);
    (void)!tf_redis_do(&ctx, redis, &reply, "DEL", key, NULL);
    tf_ctx_done(&ctx);
    tf_redis_free(redis);
    return 0;
}

static void the_first_call_waits_for_the_first_connection(void **state)
{
    tf_redis_reply *reply;
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, 2000);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL));
    assert_string_equal(reply->text, "PONG");
    assert_true(tf_redis_up(redis));
    assert_int_equal(tf_redis_connection(redis), 1);
    tf_ctx_done(&ctx);
}

static void every_kind_of_reply_comes_back(void **state)
{
    static const char script[] = "return {1, 'a', {ok='fine'}, {err='ERR own'}, false, {2, {'deep'}}, {}}";
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, 2000);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "EVAL", script, "0", NULL));
    assert_int_equal(reply->type, TF_REDIS_ARRAY);
    assert_int_equal(reply->n_items, 7);
    assert_int_equal(reply->items[0]->type, TF_REDIS_INT);
    assert_int_equal(reply->items[0]->integer, 1);
    assert_int_equal(reply->items[1]->type, TF_REDIS_STRING);
    assert_int_equal(reply->items[2]->type, TF_REDIS_STATUS);
    assert_string_equal(reply->items[2]->text, "fine");
    assert_int_equal(reply->items[3]->type, TF_REDIS_ERROR);
    assert_int_equal(reply->items[4]->type, TF_REDIS_NIL);
    assert_string_equal(reply->items[5]->items[1]->items[0]->text, "deep");
    assert_int_equal(reply->items[6]->n_items, 0);

    tf_redis_cmd_init(&cmd, &ctx);
    tf_redis_arg(&cmd, "ECHO");
    tf_redis_arg_bytes(&cmd, "a\0\r\n$5", 6);
    ASSERT_OK(&ctx, tf_redis_call(&ctx, redis, &cmd, &reply));
    assert_int_equal(reply->size, 6);
    assert_memory_equal(reply->text, "a\0\r\n$5", 7);

    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "NOSUCHCOMMAND", NULL)); /* an error is a reply */
    assert_int_equal(reply->type, TF_REDIS_ERROR);
    tf_ctx_done(&ctx);
}

static void a_pipeline_keeps_its_order(void **state)
{
    enum { N = 500 };
    tf_redis_cmd cmds[N];
    tf_redis_reply **replies;
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, 2000);
    for (int i = 0; i < N; i++) {
        tf_redis_cmd_init(&cmds[i], &ctx);
        tf_redis_arg(&cmds[i], "ECHO");
        tf_redis_arg_int(&cmds[i], i);
    }
    ASSERT_OK(&ctx, tf_redis_pipeline(&ctx, redis, cmds, N, &replies));
    for (int i = 0; i < N; i++) {
        assert_int_equal(replies[i]->type, TF_REDIS_STRING);
        assert_int_equal(atoi(replies[i]->text), i);
    }
    ASSERT_OK(&ctx, tf_redis_pipeline(&ctx, redis, NULL, 0, &replies));
    tf_ctx_done(&ctx);
}

static void *many_calls(void *arg)
{
    int *failures = arg;
    tf_ctx ctx;

    ctx_start(&ctx, 20000);
    for (int i = 0; i < CALLS; i++) {
        char text[32];
        tf_redis_reply *reply;

        snprintf(text, sizeof(text), "%p-%d", arg, i);
        if (tf_redis_do(&ctx, redis, &reply, "ECHO", text, NULL) != TF_OK || strcmp(reply->text, text) != 0)
            (*failures)++;
        if (tf_redis_do(&ctx, redis, &reply, "INCR", key, NULL) != TF_OK || reply->type != TF_REDIS_INT) (*failures)++;
    }
    tf_ctx_done(&ctx);
    return NULL;
}

static void many_threads_get_their_own_replies(void **state)
{
    pthread_t threads[THREADS];
    int failures[THREADS] = {0};
    tf_redis_reply *reply;
    int64_t began, us;
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, 5000);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "DEL", key, NULL));
    began = tf_mono_us();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_calls, &failures[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failures[i], 0);
    }
    us = tf_mono_us() - began;
    print_message("%d calls by %d threads: %.0f calls/s\n", 2 * CALLS * THREADS, THREADS,
                  2.0 * CALLS * THREADS * TF_US_PER_S / (double)us);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "GET", key, NULL));
    assert_int_equal(atoi(reply->text), CALLS * THREADS);
    tf_ctx_done(&ctx);
}

static void count_done(tf_code code, const tf_redis_reply *reply, void *arg)
{
    if (code == TF_OK && strcmp(reply->text, "async") == 0) atomic_fetch_add((_Atomic int *)arg, 1);
}

static bool reached_1000(void *arg)
{
    return atomic_load((_Atomic int *)arg) == 1000;
}

static void asynchronous_calls_are_told(void **state)
{
    _Atomic int done = 0;
    tf_redis_cmd cmd;
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, 2000);
    tf_redis_cmd_init(&cmd, &ctx);
    tf_redis_arg(&cmd, "ECHO");
    tf_redis_arg(&cmd, "async");
    for (int i = 0; i < 1000; i++)
        tf_redis_start(redis, &cmd, tf_mono_us() + 2 * TF_US_PER_S, count_done, &done);
    tf_ctx_done(&ctx); /* the arguments are copied */
    wait_until(reached_1000, &done, 2000, "a thousand asynchronous replies");
}

static void a_reply_beyond_the_arena_fails_that_call_only(void **state)
{
    tf_redis_reply *reply;
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, 5000);
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "EVAL", "return string.rep('x', 9000000)", "0", NULL),
                TF_INTERNAL);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL));
    tf_ctx_done(&ctx);
}

static void a_deadline_that_has_passed_sends_nothing(void **state)
{
    tf_redis_reply *reply;
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, 2000);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "SET", key, "before", NULL));
    ctx.deadline_us = tf_mono_us() - 1;
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "SET", key, "after", NULL), TF_DEADLINE);
    ctx.deadline_us = INT64_MAX;
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "GET", key, NULL));
    assert_string_equal(reply->text, "before");
    tf_ctx_done(&ctx);
}

static bool is_newer(void *arg)
{
    return tf_redis_connection(redis) > *(uint64_t *)arg && tf_redis_up(redis);
}

static void reconnecting_gives_a_new_connection(void **state)
{
    uint64_t before = tf_redis_connection(redis);
    tf_redis_reply *reply;
    tf_ctx ctx;

    (void)state;
    sleep_ms(150); /* younger ones are kept */
    tf_redis_reconnect(redis);
    wait_until(is_newer, &before, 2000, "a new connection");
    ctx_start(&ctx, 2000);
    tf_redis_reconnect(redis); /* too soon: nothing happens */
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL));
    assert_int_equal(tf_redis_connection(redis), before + 1);
    tf_ctx_done(&ctx);
}

static void libraries_are_there_on_every_connection(void **state)
{
    char code[256];
    struct tf_embedded libraries[] = {{"lib", NULL, 0}, {NULL, NULL, 0}};
    struct tf_redis_config with = config;
    tf_redis_reply *reply;
    uint64_t before;
    tf_redis *own;
    tf_ctx ctx;
    char name[96];

    (void)state;
    snprintf(name, sizeof(name), "f_%s", unique_word());
    snprintf(code, sizeof(code),
             "#!lua name=lib_%s\nredis.register_function('%s', function(keys, args) return args[1] end)\n",
             unique_word(), name);
    libraries[0].data = (const unsigned char *)code;
    libraries[0].size = strlen(code);
    with.libraries = libraries;
    ctx_start(&ctx, 5000);
    own = tf_redis_new(&with);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, own, &reply, "FCALL", name, "0", "yes", NULL));
    assert_string_equal(reply->text, "yes");

    snprintf(code, sizeof(code), "lib_%s", unique_word());
    ASSERT_OK(&ctx, tf_redis_do(&ctx, own, &reply, "FUNCTION", "DELETE", code, NULL));
    ASSERT_OK(&ctx, tf_redis_do(&ctx, own, &reply, "FCALL", name, "0", "yes", NULL));
    assert_int_equal(reply->type, TF_REDIS_ERROR);
    snprintf(code, sizeof(code),
             "#!lua name=lib_%s\nredis.register_function('%s', function(keys, args) return args[1] end)\n",
             unique_word(), name);

    sleep_ms(150);
    before = tf_redis_connection(own);
    tf_redis_reconnect(own);
    while (tf_redis_connection(own) == before)
        sleep_ms(5);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, own, &reply, "FCALL", name, "0", "again", NULL));
    assert_string_equal(reply->text, "again");
    snprintf(code, sizeof(code), "lib_%s", unique_word());
    ASSERT_OK(&ctx, tf_redis_do(&ctx, own, &reply, "FUNCTION", "DELETE", code, NULL));
    tf_redis_free(own);
    tf_ctx_done(&ctx);
}

static void a_library_that_does_not_load_keeps_the_connection_down(void **state)
{
    static const struct tf_embedded libraries[] = {
        {"bad.lua", (const unsigned char *)"#!lua name=bad\nthis is not lua", 30}, {NULL, NULL, 0}};
    struct tf_redis_config with = config;
    tf_redis_reply *reply;
    tf_redis *own;
    tf_ctx ctx;

    (void)state;
    with.libraries = libraries;
    own = tf_redis_new(&with);
    ctx_start(&ctx, 2000);
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, own, &reply, "PING", NULL), TF_STORE_DOWN);
    assert_false(tf_redis_up(own));
    assert_int_equal(tf_redis_connection(own), 0);
    tf_redis_free(own);
    tf_ctx_done(&ctx);
}

static void a_wrong_password_keeps_the_connection_down(void **state)
{
    struct tf_redis_config with = config;
    tf_redis_reply *reply;
    tf_redis *own;
    tf_ctx ctx;

    (void)state;
    with.password = "not the password";
    own = tf_redis_new(&with);
    ctx_start(&ctx, 2000);
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, own, &reply, "PING", NULL), TF_STORE_DOWN);
    assert_false(tf_redis_up(own));
    tf_redis_free(own);
    tf_ctx_done(&ctx);
}

static void blocking_calls_block_and_wake(void **state)
{
    tf_redis_blocking *connection = tf_redis_blocking_new(&config);
    int64_t began = tf_mono_us();
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    tf_ctx ctx;

    (void)state;
    ctx_start(&ctx, 3000);
    tf_redis_cmd_init(&cmd, &ctx);
    tf_redis_arg(&cmd, "BLPOP");
    tf_redis_arg_printf(&cmd, "%s:none", key);
    tf_redis_arg(&cmd, "0.2");
    ASSERT_OK(&ctx, tf_redis_blocking_call(&ctx, connection, &cmd, &reply));
    assert_int_equal(reply->type, TF_REDIS_NIL);
    assert_true(tf_mono_us() - began >= 200 * TF_US_PER_MS);

    tf_redis_blocking_wake(connection); /* before the call: not lost */
    ASSERT_CODE(&ctx, tf_redis_blocking_call(&ctx, connection, &cmd, &reply), TF_STORE_DOWN);
    ASSERT_OK(&ctx, tf_redis_blocking_call(&ctx, connection, &cmd, &reply));

    ctx.deadline_us = tf_mono_us() + 50 * TF_US_PER_MS; /* before the server's BLOCK ends */
    ASSERT_CODE(&ctx, tf_redis_blocking_call(&ctx, connection, &cmd, &reply), TF_UNKNOWN_OUTCOME);
    tf_redis_blocking_free(connection);
    tf_ctx_done(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_call_waits_for_the_first_connection),
        cmocka_unit_test(every_kind_of_reply_comes_back),
        cmocka_unit_test(a_pipeline_keeps_its_order),
        cmocka_unit_test(many_threads_get_their_own_replies),
        cmocka_unit_test(asynchronous_calls_are_told),
        cmocka_unit_test(a_reply_beyond_the_arena_fails_that_call_only),
        cmocka_unit_test(a_deadline_that_has_passed_sends_nothing),
        cmocka_unit_test(reconnecting_gives_a_new_connection),
        cmocka_unit_test(libraries_are_there_on_every_connection),
        cmocka_unit_test(a_library_that_does_not_load_keeps_the_connection_down),
        cmocka_unit_test(a_wrong_password_keeps_the_connection_down),
        cmocka_unit_test(blocking_calls_block_and_wake),
    };

    return cmocka_run_group_tests_name("redis mux", tests, setup, teardown);
}
