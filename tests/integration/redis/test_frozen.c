/* A Redis that is stopped by a signal, as under a debugger or a machine that swaps: the kernel goes on to accept bytes
 * for it. Everybody is answered at his own deadline, nothing is sent twice, and a thaw mends all. */
#include "tests/integration/fixture.h"
#include "tests/integration/redis/private.h"

#include "common/redis/redis.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { CALLERS = 32, DEADLINE_MS = 300, LATE_MS = 1000 };

static struct private_redis server;
static tf_redis *redis;

static int set_up(void **state)
{
    struct tf_redis_config config = {.address = server.address, .connect_timeout_ms = 500, .queue_max = 1000};

    (void)state;
    private_redis_start(&server, "");
    redis = tf_redis_new(&config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tf_redis_free(redis);
    kill(server.pid, SIGCONT);
    private_redis_stop(&server);
    return 0;
}

struct caller {
    pthread_t thread;
    tf_code code;
    int64_t took_us;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    int64_t began = tf_mono_us();
    tf_redis_reply *reply;
    tf_ctx ctx;

    ctx_start(&ctx, DEADLINE_MS);
    caller->code = tf_redis_do(&ctx, redis, &reply, "INCR", "n", NULL);
    caller->took_us = tf_mono_us() - began;
    tf_ctx_done(&ctx);
    return NULL;
}

static int counter(void)
{
    tf_redis_reply *reply;
    tf_ctx ctx;
    int n;

    ctx_start(&ctx, 5000);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "GET", "n", NULL));
    n = reply->type == TF_REDIS_NIL ? 0 : atoi(reply->text);
    tf_ctx_done(&ctx);
    return n;
}

static void everybody_is_answered_at_his_deadline(void **state)
{
    struct caller callers[CALLERS];
    int before = counter();
    uint64_t connection = tf_redis_connection(redis);

    (void)state;
    assert_int_equal(kill(server.pid, SIGSTOP), 0);
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].code, TF_UNKNOWN_OUTCOME);
        assert_in_range(callers[i].took_us, DEADLINE_MS * TF_US_PER_MS, LATE_MS * TF_US_PER_MS);
    }
    assert_int_equal(kill(server.pid, SIGCONT), 0);
    assert_int_equal(counter(), before + CALLERS); /* each happened after all, once; and the replies are in step */
    assert_int_equal(tf_redis_connection(redis), connection);
}

/* Longer than the silence that ends a connection: what was unknown stays so, and nobody queues for a server away. */
static void a_long_freeze_ends_the_connection(void **state)
{
    struct caller caller;
    tf_redis_reply *reply;
    int before = counter();
    int64_t began;
    tf_ctx ctx;

    (void)state;
    assert_int_equal(kill(server.pid, SIGSTOP), 0);
    (void)call(&caller);
    assert_int_equal(caller.code, TF_UNKNOWN_OUTCOME);
    ctx_start(&ctx, 10000);
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "INCR", "n", NULL), TF_UNKNOWN_OUTCOME);
    sleep_ms(600); /* the next attempt to connect is not answered either */
    began = tf_mono_us();
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "INCR", "n", NULL), TF_STORE_DOWN);
    assert_true(tf_mono_us() - began < LATE_MS * TF_US_PER_MS);
    assert_int_equal(kill(server.pid, SIGCONT), 0);
    for (int i = 0; !tf_redis_up(redis); i++) {
        assert_true(i < 1000);
        sleep_ms(5);
    }
    assert_in_range(counter(), before, before + 2); /* the third was never sent */
    tf_ctx_done(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_is_answered_at_his_deadline),
        cmocka_unit_test(a_long_freeze_ends_the_connection),
    };

    return cmocka_run_group_tests_name("redis frozen", tests, set_up, tear_down);
}
