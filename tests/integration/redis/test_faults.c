/* The shared connection when the network or the server fails, through a proxy that loses exactly what the test says. */
#include "tests/integration/fixture.h"
#include "tests/integration/proxy.h"

#include "common/redis/redis.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { QUEUE = 100 };

static struct proxy *proxy;
static tf_redis *redis;
static char address[64], key[96];
static tf_ctx ctx;

static bool is_up(void *arg)
{
    return tf_redis_up(arg);
}

static bool is_down(void *arg)
{
    return !tf_redis_up(arg);
}

static int setup(void **state)
{
    struct tf_redis_config config = {
        .address = address, .password = redis_password(), .connect_timeout_ms = 500, .queue_max = QUEUE};

    (void)state;
    proxy = proxy_start(env_or_fail("TF_TEST_REDIS", "host:port"));
    snprintf(address, sizeof(address), "127.0.0.1:%d", proxy_port(proxy));
    snprintf(key, sizeof(key), "tf_test:%s", unique_word());
    redis = tf_redis_new(&config);
    wait_until(is_up, redis, 2000, "the first connection");
    ctx_start(&ctx, 2000);
    return 0;
}

static int teardown(void **state)
{
    tf_redis_reply *reply;

    (void)state;
    proxy_set(proxy, PROXY_PASS);
    wait_until(is_up, redis, 5000, "the connection, at the end");
    tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
    (void)!tf_redis_do(&ctx, redis, &reply, "DEL", key, NULL);
    tf_ctx_done(&ctx);
    tf_redis_free(redis);
    proxy_stop(proxy);
    return 0;
}

static int counter(void)
{
    tf_redis_reply *reply;

    tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "GET", key, NULL));
    return reply->type == TF_REDIS_NIL ? 0 : atoi(reply->text);
}

static void a_late_reply_is_dropped_and_the_next_is_right(void **state)
{
    tf_redis_reply *reply;
    int64_t began;

    (void)state;
    proxy_set(proxy, PROXY_MUTE);
    began = tf_mono_us();
    tf_ctx_reset(&ctx, 100 * TF_US_PER_MS);
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "INCR", key, NULL), TF_UNKNOWN_OUTCOME);
    assert_true(tf_mono_us() - began < 300 * TF_US_PER_MS);
    proxy_set(proxy, PROXY_PASS);
    assert_int_equal(counter(), 1); /* it happened, once */
    assert_int_equal(tf_redis_connection(redis), 1);
}

static void *cut_soon(void *arg)
{
    (void)arg;
    sleep_ms(100);
    proxy_cut(proxy);
    return NULL;
}

static void a_lost_answer_is_unknown_and_never_sent_again(void **state)
{
    int before = counter();
    uint64_t connection = tf_redis_connection(redis);
    tf_redis_reply **replies;
    tf_redis_cmd cmds[3];
    pthread_t cutter;

    (void)state;
    proxy_set(proxy, PROXY_MUTE);
    tf_ctx_reset(&ctx, 5 * TF_US_PER_S);
    for (size_t i = 0; i < TF_COUNT(cmds); i++) {
        tf_redis_cmd_init(&cmds[i], &ctx);
        tf_redis_arg(&cmds[i], "INCR");
        tf_redis_arg(&cmds[i], key);
    }
    assert_int_equal(pthread_create(&cutter, NULL, cut_soon, NULL), 0);
    ASSERT_CODE(&ctx, tf_redis_pipeline(&ctx, redis, cmds, TF_COUNT(cmds), &replies), TF_UNKNOWN_OUTCOME);
    pthread_join(cutter, NULL);
    proxy_set(proxy, PROXY_PASS);
    wait_until(is_up, redis, 5000, "the connection after a cut");
    assert_int_equal(counter(), before + 3);
    assert_true(tf_redis_connection(redis) > connection);
}

static void a_dead_server_fails_at_once_and_its_return_is_noticed(void **state)
{
    tf_redis_reply *reply;
    int64_t began;

    (void)state;
    proxy_set(proxy, PROXY_REFUSE);
    wait_until(is_down, redis, 1000, "the loss");
    sleep_ms(50); /* the attempt that follows a loss at once */
    began = tf_mono_us();
    for (int i = 0; i < 100; i++) {
        tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
        ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL), TF_STORE_DOWN);
    }
    assert_true(tf_mono_us() - began < 200 * TF_US_PER_MS);
    proxy_set(proxy, PROXY_PASS);
    wait_until(is_up, redis, 5000, "the return");
    (void)counter();
}

static void a_silent_server_is_left_after_five_seconds(void **state)
{
    uint64_t connection = tf_redis_connection(redis);
    tf_redis_reply *reply;
    int64_t began = tf_mono_us(), us;

    (void)state;
    proxy_set(proxy, PROXY_FREEZE);
    tf_ctx_reset(&ctx, 20 * TF_US_PER_S);
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL), TF_UNKNOWN_OUTCOME);
    us = tf_mono_us() - began;
    assert_true(us >= 5 * TF_US_PER_S && us < 6 * TF_US_PER_S);
    began = tf_mono_us();
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL),
                TF_STORE_DOWN); /* accepted, but not answered: away */
    assert_true(tf_mono_us() - began < 100 * TF_US_PER_MS);
    proxy_set(proxy, PROXY_PASS);
    wait_until(is_up, redis, 5000, "the connection after silence");
    assert_true(tf_redis_connection(redis) > connection);
    (void)counter();
}

/* ---- bounds and asynchronous calls ----------------------------------------------------------------------------- */

struct told {
    _Atomic int n, ok, unknown, down;
};

static void tell(tf_code code, const tf_redis_reply *reply, void *arg)
{
    struct told *told = arg;

    if (code == TF_OK && reply) told->ok++;
    if (code == TF_UNKNOWN_OUTCOME && !reply) told->unknown++;
    if (code == TF_STORE_DOWN && !reply) told->down++;
    told->n++;
}

static void start(struct told *told, int timeout_ms)
{
    tf_redis_cmd cmd;

    tf_redis_cmd_init(&cmd, &ctx);
    tf_redis_arg(&cmd, "PING");
    tf_redis_start(redis, &cmd, tf_mono_us() + (int64_t)timeout_ms * TF_US_PER_MS, tell, told);
}

static bool all_told(void *arg)
{
    return ((struct told *)arg)->n == QUEUE;
}

static bool one_told(void *arg)
{
    return ((struct told *)arg)->n == 1;
}

static void the_queue_has_a_bound(void **state)
{
    struct told told = {0};
    tf_redis_reply *reply;

    (void)state;
    proxy_set(proxy, PROXY_MUTE);
    tf_ctx_reset(&ctx, 4 * TF_US_PER_S);
    for (int i = 0; i < QUEUE; i++)
        start(&told, 4000);
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL), TF_OVERLOADED);
    proxy_set(proxy, PROXY_PASS);
    wait_until(all_told, &told, 2000, "all that were queued");
    assert_int_equal(told.ok, QUEUE);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL));
}

enum { LARGE = 1024 * 1024 };

/* A command of a megabyte. */
static void start_large(struct told *told, int timeout_ms)
{
    static char bytes[LARGE];
    tf_redis_cmd cmd;
    tf_ctx own;

    tf_ctx_init(&own, "large", 0);
    tf_redis_cmd_init(&cmd, &own);
    tf_redis_arg(&cmd, "ECHO");
    tf_redis_arg_bytes(&cmd, bytes, sizeof(bytes));
    tf_redis_start(redis, &cmd, tf_mono_us() + (int64_t)timeout_ms * TF_US_PER_MS, tell, told);
    tf_ctx_done(&own);
}

/* Of what the kernel took some may have arrived; the rest has surely not happened. */
static void what_never_left_is_told_from_what_is_unknown(void **state)
{
    struct told first = {0}, last[QUEUE / 2] = {0};

    (void)state;
    proxy_set(proxy, PROXY_FREEZE);
    start_large(&first, 4000);
    for (size_t i = 0; i < TF_COUNT(last); i++)
        start_large(&last[i], 4000);
    sleep_ms(100);
    assert_int_equal(first.n, 0);
    proxy_set(proxy, PROXY_REFUSE);
    for (size_t i = 0; i < TF_COUNT(last); i++)
        wait_until(one_told, &last[i], 2000, "a call when the connection is lost");
    assert_int_equal(first.unknown, 1);
    assert_int_equal(last[TF_COUNT(last) - 1].down, 1);
    for (size_t i = 1; i < TF_COUNT(last); i++)
        if (last[i].unknown) assert_int_equal(last[i - 1].unknown, 1); /* the unknown ones come first */
    proxy_set(proxy, PROXY_PASS);
    wait_until(is_up, redis, 5000, "the return");
}

static struct told large[QUEUE - 1]; /* outlives a test that fails */

static int overloaded(void)
{
    int n = 0;

    for (size_t i = 0; i < TF_COUNT(large); i++)
        n += large[i].n && !large[i].unknown && !large[i].down;
    return n;
}

static bool some_are_refused(void *arg)
{
    (void)arg;
    return overloaded() >= (int)TF_COUNT(large) - 64;
}

/* The bytes that wait are bounded as the commands are. */
static void the_queue_has_a_bound_in_bytes(void **state)
{

    (void)state;
    proxy_set(proxy, PROXY_FREEZE);
    for (size_t i = 0; i < TF_COUNT(large); i++)
        start_large(&large[i], 3000);
    wait_until(some_are_refused, NULL, 2000, "what is beyond the bound");
    assert_in_range(overloaded(), QUEUE - 1 - 64, QUEUE - 1 - 63);
    for (size_t i = 0; i < TF_COUNT(large); i++)
        wait_until(one_told, &large[i], 5000, "the deadline");
    proxy_set(proxy, PROXY_PASS);
    proxy_cut(proxy);
    sleep_ms(50);
    wait_until(is_up, redis, 5000, "the return");
    (void)counter();
}

static void an_asynchronous_call_is_told_at_its_deadline_once(void **state)
{
    struct told told = {0};
    int64_t began = tf_mono_us();

    (void)state;
    tf_ctx_reset(&ctx, 4 * TF_US_PER_S);
    proxy_set(proxy, PROXY_MUTE);
    start(&told, 100);
    wait_until(one_told, &told, 1000, "the deadline");
    assert_true(tf_mono_us() - began >= 100 * TF_US_PER_MS);
    assert_int_equal(told.unknown, 1);
    proxy_set(proxy, PROXY_PASS);
    (void)counter(); /* the late reply has come by then */
    assert_int_equal(told.n, 1);
}

static void an_asynchronous_call_to_a_dead_server_is_told(void **state)
{
    struct told told = {0};

    (void)state;
    proxy_set(proxy, PROXY_REFUSE);
    wait_until(is_down, redis, 1000, "the loss");
    sleep_ms(50);
    tf_ctx_reset(&ctx, 4 * TF_US_PER_S);
    start(&told, 2000);
    wait_until(one_told, &told, 500, "the refusal");
    assert_int_equal(told.down, 1);
    proxy_set(proxy, PROXY_PASS);
    wait_until(is_up, redis, 5000, "the return");
}

static void the_end_tells_everybody(void **state)
{
    struct tf_redis_config config = {
        .address = address, .password = redis_password(), .connect_timeout_ms = 500, .queue_max = QUEUE};
    tf_redis *own = tf_redis_new(&config);
    struct told told = {0};
    tf_redis_cmd cmd;

    (void)state;
    wait_until(is_up, own, 2000, "a connection of its own");
    proxy_set(proxy, PROXY_MUTE);
    tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
    tf_redis_cmd_init(&cmd, &ctx);
    tf_redis_arg(&cmd, "PING");
    tf_redis_start(own, &cmd, INT64_MAX, tell, &told);
    sleep_ms(50);
    tf_redis_free(own);
    assert_int_equal(told.n, 1);
    assert_int_equal(told.unknown, 1);
    proxy_set(proxy, PROXY_PASS);
}

/* ---- storm ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 16, STORM_MS = 2000 };

struct worker {
    pthread_t thread;
    int ok, unknown;
};

static void *work(void *arg)
{
    int64_t until = tf_mono_us() + STORM_MS * TF_US_PER_MS;
    struct worker *worker = arg;
    tf_ctx own;

    ctx_start(&own, 1000);
    while (tf_mono_us() < until) {
        tf_redis_reply *reply;
        tf_code code;

        tf_ctx_reset(&own, 50 * TF_US_PER_MS);
        code = tf_redis_do(&own, redis, &reply, "INCR", key, NULL);
        worker->ok += code == TF_OK;
        worker->unknown += code == TF_UNKNOWN_OUTCOME;
        if (code) sleep_ms(1);
    }
    tf_ctx_done(&own);
    return NULL;
}

/* The true count lies between what was answered and that plus what is unknown: nothing is sent twice, nothing answered
 * is lost. */
static void a_storm_of_faults_keeps_the_books(void **state)
{
    struct worker workers[THREADS] = {0};
    int before = counter(), after, ok = 0, unknown = 0;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (int i = 0; i < 8; i++) {
        sleep_ms(STORM_MS / 10);
        if (i % 2) {
            proxy_cut(proxy);
        } else {
            proxy_set(proxy, PROXY_MUTE);
            sleep_ms(60);
            proxy_set(proxy, PROXY_PASS);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        ok += workers[i].ok;
        unknown += workers[i].unknown;
    }
    wait_until(is_up, redis, 5000, "the connection after the storm");
    after = counter();
    print_message("answered %d, unknown %d, counted %d\n", ok, unknown, after - before);
    assert_true(ok > 0 && unknown > 0);
    assert_in_range(after - before, ok, ok + unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_reply_is_dropped_and_the_next_is_right),
        cmocka_unit_test(a_lost_answer_is_unknown_and_never_sent_again),
        cmocka_unit_test(a_dead_server_fails_at_once_and_its_return_is_noticed),
        cmocka_unit_test(a_silent_server_is_left_after_five_seconds),
        cmocka_unit_test(the_queue_has_a_bound),
        cmocka_unit_test(what_never_left_is_told_from_what_is_unknown),
        cmocka_unit_test(the_queue_has_a_bound_in_bytes),
        cmocka_unit_test(an_asynchronous_call_is_told_at_its_deadline_once),
        cmocka_unit_test(an_asynchronous_call_to_a_dead_server_is_told),
        cmocka_unit_test(the_end_tells_everybody),
        cmocka_unit_test(a_storm_of_faults_keeps_the_books),
    };

    return cmocka_run_group_tests_name("redis faults", tests, setup, teardown);
}
