/* The stream consumer against a real Redis: at least once, retries with a growing rest, take-over, lost streams, clean
 * stop. */
#include "tests/integration/fixture.h"
#include "tests/integration/proxy.h"

#include "common/redis/redis.h"
#include "common/redis/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { SEEN_MAX = 4096 };

static struct tf_redis_config config;
static tf_redis *redis;
static tf_ctx ctx;

/* What a handler saw, and how it is to behave. */
struct diary {
    pthread_mutex_t lock;
    int n;
    struct {
        char data[32];
        int deliveries;
        int64_t at_us;
    } seen[SEEN_MAX];
    _Atomic int fail_until; /* deliveries below are not acknowledged */
    _Atomic int pause_ms;
};

static struct diary diary, other;

static void note(tf_ctx *work, const struct tf_stream_entry *entries, size_t n, bool *acks, void *arg)
{
    struct diary *d = arg;

    assert_true(work->identity.internal);
    assert_true(strncmp(work->request_id, "stream-", 7) == 0);
    if (d->pause_ms) sleep_ms(d->pause_ms);
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < n; i++) {
        if (d->n < SEEN_MAX) {
            snprintf(d->seen[d->n].data, sizeof(d->seen[d->n].data), "%s", entries[i].data);
            d->seen[d->n].deliveries = entries[i].deliveries;
            d->seen[d->n].at_us = tf_mono_us();
            d->n++;
        }
        acks[i] = entries[i].deliveries >= d->fail_until;
    }
    pthread_mutex_unlock(&d->lock);
}

static int count(struct diary *d)
{
    int n;

    pthread_mutex_lock(&d->lock);
    n = d->n;
    pthread_mutex_unlock(&d->lock);
    return n;
}

static bool seen_1(void *arg)
{
    return count(arg) >= 1;
}
static bool seen_2(void *arg)
{
    return count(arg) >= 2;
}
static bool seen_3(void *arg)
{
    return count(arg) >= 3;
}
static bool seen_10(void *arg)
{
    return count(arg) >= 10;
}

static bool seen_1000(void *arg)
{
    return count(arg) >= 1000;
}

/* ---- the server's side ----------------------------------------------------------------------------------------- */

static char stream[128];

static int64_t ask(const char *a, const char *b)
{
    tf_redis_reply *reply;

    tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, a, b, NULL));
    return reply->type == TF_REDIS_INT ? reply->integer : -1;
}

static void add(const char *data)
{
    tf_redis_reply *reply;

    tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "XADD", stream, "*", "d", data, NULL));
    assert_int_equal(reply->type, TF_REDIS_STRING);
}

static bool is_empty(void *arg)
{
    (void)arg;
    return ask("XLEN", stream) == 0;
}

static int64_t pending(const char *group)
{
    tf_redis_reply *reply;

    tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "XPENDING", stream, group, NULL));
    return reply->type == TF_REDIS_ARRAY ? reply->items[0]->integer : -1;
}

static bool none_pending(void *arg)
{
    return pending(arg) == 0;
}

static tf_stream_consumer *start(const char *group, const char *name, struct diary *d, int retry_after_ms, bool shared)
{
    struct tf_stream_config consumer = {
        .redis = &config,
        .stream = stream,
        .group = group,
        .consumer = name,
        .batch_max = 100,
        .retry_after_ms = retry_after_ms,
        .handler_timeout_ms = 300,
        .handler = note,
        .arg = d,
        .shared = shared,
    };

    return tf_stream_consumer_start(&consumer);
}

/* One whose entries another would leave alone for 20 s. */
static tf_stream_consumer *start_patient(const char *name, struct diary *d)
{
    struct tf_stream_config consumer = {
        .redis = &config,
        .stream = stream,
        .group = "g",
        .consumer = name,
        .batch_max = 100,
        .retry_after_ms = 200,
        .handler_timeout_ms = 20000,
        .handler = note,
        .arg = d,
    };

    return tf_stream_consumer_start(&consumer);
}

static int group_setup(void **state)
{
    (void)state;
    config = (struct tf_redis_config){.address = env_or_fail("TF_TEST_REDIS", "host:port"),
                                      .password = redis_password(),
                                      .connect_timeout_ms = 1000,
                                      .queue_max = 1000};
    redis = tf_redis_new(&config);
    ctx_start(&ctx, 2000);
    pthread_mutex_init(&diary.lock, NULL);
    pthread_mutex_init(&other.lock, NULL);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    tf_ctx_done(&ctx);
    tf_redis_free(redis);
    return 0;
}

static int setup(void **state)
{
    static int nth;

    (void)state;
    snprintf(stream, sizeof(stream), "tf_test:%s:%d", unique_word(), ++nth);
    diary.n = other.n = 0;
    diary.fail_until = other.fail_until = 0;
    diary.pause_ms = other.pause_ms = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)ask("DEL", stream);
    return 0;
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

static void entries_are_handled_in_order_and_leave_the_stream(void **state)
{
    tf_stream_consumer *consumer;
    char text[16];

    (void)state;
    for (int i = 0; i < 500; i++) { /* before the group exists: it begins at the stream's beginning */
        snprintf(text, sizeof(text), "%d", i);
        add(text);
    }
    consumer = start("g", "one", &diary, 500, false);
    for (int i = 500; i < 1000; i++) {
        snprintf(text, sizeof(text), "%d", i);
        add(text);
    }
    wait_until(seen_1000, &diary, 5000, "a thousand entries");
    wait_until(is_empty, NULL, 2000, "an empty stream");
    tf_stream_consumer_stop(consumer);
    assert_int_equal(diary.n, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(atoi(diary.seen[i].data), i);
        assert_int_equal(diary.seen[i].deliveries, 1);
    }
    assert_int_equal(pending("g"), 0);
}

static void a_failed_entry_comes_again_after_a_growing_rest(void **state)
{
    tf_stream_consumer *consumer;

    (void)state;
    diary.fail_until = 3;
    add("x");
    consumer = start("g", "one", &diary, 200, false);
    wait_until(seen_3, &diary, 5000, "the third delivery");
    wait_until(is_empty, NULL, 2000, "an empty stream");
    tf_stream_consumer_stop(consumer);
    assert_int_equal(diary.n, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(diary.seen[i].deliveries, i + 1);
    /* 200 and 400 ms by the server's clock, which starts before the handler does */
    assert_true(diary.seen[1].at_us - diary.seen[0].at_us >= 150 * TF_US_PER_MS);
    assert_true(diary.seen[2].at_us - diary.seen[1].at_us >= 300 * TF_US_PER_MS);
}

static void many_failed_entries_do_not_hold_up_new_ones(void **state)
{
    tf_stream_consumer *consumer;

    (void)state;
    diary.fail_until = 1000000;
    for (int i = 0; i < 250; i++) /* more than two batches */
        add("poison");
    consumer = start("g", "one", &diary, 100, false);
    while (count(&diary) < 250 * 2)
        sleep_ms(5);
    diary.fail_until = 2; /* what is new fails once, the old ones are done at their next delivery */
    add("new");
    wait_until(is_empty, NULL, 5000, "an empty stream");
    tf_stream_consumer_stop(consumer);
    assert_int_equal(pending("g"), 0);
}

static void another_consumer_takes_over_from_a_dead_one(void **state)
{
    tf_redis_reply *reply;
    tf_stream_consumer *consumer;

    (void)state;
    add("left");
    tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "XGROUP", "CREATE", stream, "g", "0", NULL));
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "XREADGROUP", "GROUP", "g", "dead", "STREAMS", stream, ">", NULL));
    consumer = start("g", "alive", &diary, 200, false);
    wait_until(seen_1, &diary, 5000, "the dead consumer's entry");
    wait_until(is_empty, NULL, 2000, "an empty stream");
    tf_stream_consumer_stop(consumer);
    assert_int_equal(diary.n, 1);
    assert_int_equal(diary.seen[0].deliveries, 2);
}

static void two_consumers_share_the_work(void **state)
{
    tf_stream_consumer *one, *two;

    (void)state;
    diary.pause_ms = other.pause_ms = 2;
    one = start("g", "one", &diary, 500, false);
    two = start("g", "two", &other, 500, false);
    sleep_ms(100); /* both wait at the server */
    for (int i = 0; i < 1000; i++)
        add("x");
    wait_until(is_empty, NULL, 5000, "an empty stream");
    tf_stream_consumer_stop(one);
    tf_stream_consumer_stop(two);
    assert_int_equal(diary.n + other.n, 1000); /* none twice */
    assert_true(diary.n > 0 && other.n > 0);
}

static void a_lost_stream_is_made_again(void **state)
{
    tf_stream_consumer *consumer = start("g", "one", &diary, 500, false);

    (void)state;
    add("before");
    wait_until(seen_1, &diary, 5000, "the first entry");
    (void)ask("DEL", stream);
    add("after");
    wait_until(seen_2, &diary, 5000, "the entry of the new stream");
    tf_stream_consumer_stop(consumer);
    assert_string_equal(diary.seen[1].data, "after");
}

static void stopping_finishes_the_batch(void **state)
{
    tf_stream_consumer *consumer;
    int64_t began;

    (void)state;
    diary.pause_ms = 200;
    add("x");
    consumer = start("g", "one", &diary, 5000, false);
    sleep_ms(100); /* in the handler */
    tf_stream_consumer_stop(consumer);
    assert_int_equal(diary.n, 1);
    assert_int_equal(ask("XLEN", stream), 0); /* acknowledged although it had to stop */

    diary.pause_ms = 0;
    consumer = start("g", "one", &diary, 5000, false);
    sleep_ms(100);
    began = tf_mono_us();
    tf_stream_consumer_stop(consumer); /* while it blocks at the server */
    assert_true(tf_mono_us() - began < 200 * TF_US_PER_MS);
}

static void who_stops_hands_over_what_it_left(void **state)
{
    tf_stream_consumer *consumer;

    (void)state;
    diary.fail_until = 1000000;
    for (int i = 0; i < 3; i++)
        add("x");
    consumer = start_patient("leaving", &diary);
    wait_until(seen_3, &diary, 3000, "three entries");
    tf_stream_consumer_stop(consumer);
    assert_int_equal(pending("g"), 3);
    consumer = start_patient("staying", &other);
    wait_until(seen_3, &other, 3000, "the entries of who left");
    wait_until(is_empty, NULL, 2000, "an empty stream");
    tf_stream_consumer_stop(consumer);
    for (int i = 0; i < other.n; i++)
        assert_true(other.seen[i].deliveries >= 2);
}

static void a_shared_stream_keeps_its_entries_for_other_groups(void **state)
{
    tf_stream_consumer *one, *two;

    (void)state;
    one = start("g1", "one", &diary, 300, true);
    for (int i = 0; i < 10; i++)
        add("x");
    wait_until(seen_10, &diary, 3000, "the first group");
    wait_until(none_pending, (void *)"g1", 3000, "the first group's acknowledgements");
    two = start("g2", "two", &other, 300, true);
    wait_until(seen_10, &other, 3000, "the second group, which came later");
    tf_stream_consumer_stop(one);
    tf_stream_consumer_stop(two);
    assert_int_equal(ask("XLEN", stream), 10);
    assert_int_equal(diary.n, 10);
    assert_int_equal(other.n, 10);
}

static void a_lost_connection_loses_nothing(void **state)
{
    struct tf_redis_config direct = config;
    struct proxy *proxy = proxy_start(config.address);
    tf_stream_consumer *consumer;
    char address[64];

    (void)state;
    snprintf(address, sizeof(address), "127.0.0.1:%d", proxy_port(proxy));
    config.address = address;
    config.connect_timeout_ms = 300;
    consumer = start("g", "one", &diary, 200, false);
    config = direct;
    for (int i = 0; i < 300; i++) {
        add("x");
        if (i % 60 == 30) proxy_cut(proxy);
        if (i == 150) proxy_set(proxy, PROXY_REFUSE);
        if (i == 200) proxy_set(proxy, PROXY_PASS);
        sleep_ms(2);
    }
    wait_until(is_empty, NULL, 10000, "an empty stream");
    tf_stream_consumer_stop(consumer);
    proxy_stop(proxy);
    assert_true(diary.n >= 300);
    assert_int_equal(pending("g"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_are_handled_in_order_and_leave_the_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_entry_comes_again_after_a_growing_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(many_failed_entries_do_not_hold_up_new_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(another_consumer_takes_over_from_a_dead_one, setup, teardown),
        cmocka_unit_test_setup_teardown(two_consumers_share_the_work, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_stream_is_made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(stopping_finishes_the_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(who_stops_hands_over_what_it_left, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shared_stream_keeps_its_entries_for_other_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_connection_loses_nothing, setup, teardown),
    };

    return cmocka_run_group_tests_name("redis consumer", tests, group_setup, group_teardown);
}
