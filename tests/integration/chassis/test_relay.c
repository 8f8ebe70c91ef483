/* The relay on a real PostgreSQL and Redis: several instances, lost engines, refused entries, retention. */
#include "tests/integration/chassis/support.h"

#include "common/chassis/bus_internal.h"

#include <stdatomic.h>
#include <stdio.h>

enum { CALL_MS = 20000, SOON_MS = 20000 };

static struct support support;
static tf_bus *bus;
static char good[100], bad[100], good_stream[120], bad_stream[120];

static int open_all(void **state)
{
    (void)state;
    snprintf(good, sizeof(good), "good-%s", unique_word());
    snprintf(bad, sizeof(bad), "bad-%s", unique_word());
    snprintf(good_stream, sizeof(good_stream), "tf:bus:%s", good);
    snprintf(bad_stream, sizeof(bad_stream), "tf:bus:%s", bad);
    support_open(&support, "relaytest", NULL);
    bus = tf_bus_open(&support.app);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    tf_bus_close(bus);
    redis(&support, "DEL", good_stream, bad_stream, NULL);
    support_close(&support);
    return 0;
}

/* Rows as a producer's own SQL inserts them. */
static void put(const char *topic, int64_t first, int64_t n, int64_t aggregates, int size)
{
    sql(&support,
        "INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope) SELECT i %% 1024, i, '%s', i %% %lld,"
        " convert_to(i::text || ' ', 'UTF8') || decode(repeat('61', %d), 'hex') FROM generate_series(%lld, %lld) i",
        topic, (long long)aggregates, size, (long long)first, (long long)(first + n - 1));
    tf_bus_wake(bus);
}

static bool all_sent(void *arg)
{
    (void)arg;
    return sql(&support, "SELECT count(*) FROM outbox WHERE sent_at IS NULL") == 0;
}

static void await_sent(void)
{
    wait_until(all_sent, NULL, SOON_MS, "all events are sent");
}

static void begin_anew(void)
{
    await_sent();
    sql(&support, "DELETE FROM outbox");
    redis(&support, "DEL", good_stream, bad_stream, NULL);
}

/* True when the stream's numbers (the envelope's first word) rise within each aggregate. */
static bool in_order(const char *stream, int64_t aggregates)
{
    int64_t last[64] = {0};
    tf_redis_reply *entries;
    bool ordered = true;
    tf_redis_cmd cmd;
    tf_ctx ctx;

    assert_true(aggregates <= (int64_t)TF_COUNT(last));
    ctx_start(&ctx, CALL_MS);
    tf_redis_cmd_init(&cmd, &ctx);
    tf_redis_arg(&cmd, "XRANGE");
    tf_redis_arg(&cmd, stream);
    tf_redis_arg(&cmd, "-");
    tf_redis_arg(&cmd, "+");
    ASSERT_OK(&ctx, tf_redis_call(&ctx, support.app.redis, &cmd, &entries));
    for (size_t i = 0; i < entries->n_items; i++) {
        int64_t n = strtoll(entries->items[i]->items[1]->items[1]->text, NULL, 10);

        ordered = ordered && n > last[n % aggregates];
        last[n % aggregates] = n;
    }
    tf_ctx_done(&ctx);
    return ordered;
}

static void test_several_instances(void **state)
{
    struct support other = {0};
    tf_bus *other_bus;

    (void)state;
    support_join(&other, &support, "second");
    other_bus = tf_bus_open(&other.app);
    for (int i = 0; i < 40; i++) {
        put(good, 1000 + 100 * i, 100, 9, 10);
        tf_bus_wake(other_bus);
    }
    await_sent();
    assert_int_equal(redis(&support, "XLEN", good_stream, NULL), 4000);
    assert_true(in_order(good_stream, 9));
    tf_bus_close(other_bus);
    support_close(&other);
}

static bool stream_has(void *arg)
{
    return redis(&support, "XLEN", good_stream, NULL) >= *(int64_t *)arg;
}

static void test_large_events(void **state)
{
    int64_t n = 30;

    (void)state;
    begin_anew();
    put(good, 1, n, 3, 262000);
    await_sent();
    assert_int_equal(redis(&support, "XLEN", good_stream, NULL), n);
    assert_true(in_order(good_stream, 3));
}

/* The engine lost everything: whatever is retained goes again. */
static void test_generation_lost(void **state)
{
    char generation[64];
    int64_t all = 6000;

    (void)state;
    begin_anew();
    put(good, 1, all, 5, 10);
    await_sent();
    sql(&support, "UPDATE outbox SET sent_at = sent_at - interval '50 minutes' WHERE event_id <= 5500");
    snprintf(generation, sizeof(generation), "%s", sql_text(&support, "SELECT generation FROM relay_engine"));
    redis(&support, "DEL", good_stream, "tf:bus:generation", NULL);
    wait_until(stream_has, &all, SOON_MS, "all retained events are sent again");
    await_sent();
    assert_int_equal(redis(&support, "XLEN", good_stream, NULL), all);
    assert_true(in_order(good_stream, 5));
    assert_string_not_equal(sql_text(&support, "SELECT generation FROM relay_engine"), generation);
}

/* It started again with its data: the last two minutes before it went go again, however long ago that was. */
static void test_run_changed(void **state)
{
    int64_t recent = 30;

    (void)state;
    begin_anew();
    put(good, 1, 100, 5, 10);
    await_sent();
    sql(&support, "UPDATE outbox SET sent_at = now() - interval '30 minutes' + event_id * interval '4 seconds'");
    redis(&support, "DEL", good_stream, NULL);
    sql(&support, "UPDATE relay_engine SET run_id = 'of another life'");
    wait_until(stream_has, &recent, SOON_MS, "recent events are sent again");
    await_sent();
    assert_int_equal(redis(&support, "XLEN", good_stream, NULL), recent + 1); /* 120 s at one each 4 s, both ends */
    assert_int_equal(sql(&support, "SELECT count(*) FROM relay_engine WHERE run_id = 'of another life'"), 0);
}

static bool good_sent(void *arg)
{
    (void)arg;
    return sql(&support, "SELECT count(*) FROM outbox WHERE sent_at IS NULL AND topic = '%s'", good) == 0;
}

/* One topic is refused by the server: the others of the same batch go, and its own keep their order. */
static void test_refused(void **state)
{
    (void)state;
    begin_anew();
    redis(&support, "SET", bad_stream, "not a stream", NULL);
    sql(&support,
        "INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope) SELECT 0, i,"
        " CASE i %% 2 WHEN 0 THEN '%s' ELSE '%s' END, i %% 4, convert_to(i::text || ' ', 'UTF8') FROM "
        "generate_series(1, 200) i",
        good, bad);
    tf_bus_wake(bus);
    wait_until(good_sent, NULL, SOON_MS, "the other topic's events are sent");
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox WHERE sent_at IS NULL"), 100);
    assert_int_equal(redis(&support, "XLEN", good_stream, NULL), 100);
    redis(&support, "DEL", bad_stream, NULL);
    tf_bus_wake(bus);
    await_sent();
    assert_int_equal(redis(&support, "XLEN", bad_stream, NULL), 100);
    assert_int_equal(redis(&support, "XLEN", good_stream, NULL), 100);
    assert_true(in_order(bad_stream, 4));
}

static const struct tf_pg_stmt late_put = {
    "late_put", "INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope) VALUES (0, 10, $1, 1, '10 ')",
    true};

/* Ids rise, commits do not keep to that: event 20 is sent while 10 is not committed yet. */
static tf_code commit_late(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    tf_pg_params params;
    tf_code code;

    (void)arg;
    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, good);
    code = tf_pg_exec(conn, ctx, &late_put, &params, NULL);
    if (code) return code;
    put(good, 20, 1, 100, 1);
    wait_until(all_sent, NULL, SOON_MS, "the later event is sent first");
    return TF_OK;
}

static void test_late_commit(void **state)
{
    int64_t both = 2;
    tf_ctx ctx;

    (void)state;
    begin_anew();
    ctx_start(&ctx, CALL_MS);
    ASSERT_OK(&ctx, tf_pg_tx(&ctx, support.app.pg, commit_late, NULL));
    tf_ctx_done(&ctx);
    tf_bus_wake(bus);
    wait_until(stream_has, &both, SOON_MS, "the late one is sent too");
    await_sent();
}

static bool old_gone(void *arg)
{
    (void)arg;
    return sql(&support, "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM inbox)") == 4;
}

static void test_retention(void **state)
{
    (void)state;
    begin_anew();
    put(good, 1, 3000, 5, 10);
    await_sent();
    sql(&support,
        "INSERT INTO inbox SELECT 'x', i, now() - interval '2 hours 1 minute' FROM generate_series(1, 5000) i");
    sql(&support, "INSERT INTO inbox SELECT 'y', i, now() - interval '1 hour 50 minutes' FROM generate_series(1, 2) i");
    sql(&support, "UPDATE outbox SET sent_at = now() - interval '61 minutes' WHERE event_id > 2");
    sql(&support, "UPDATE outbox SET sent_at = now() - interval '59 minutes' WHERE event_id <= 2");
    wait_until(old_gone, NULL, SOON_MS, "what is older than its retention is deleted, nothing else");
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox WHERE event_id <= 2"), 2);
    assert_int_equal(sql(&support, "SELECT count(*) FROM inbox WHERE topic = 'y'"), 2);
}

static bool stream_trimmed(void *arg)
{
    return redis(&support, "XLEN", good_stream, NULL) <= *(int64_t *)arg;
}

/* A topic is trimmed up to what its slowest group has finished. */
static void test_trim(void **state)
{
    int64_t slack = 1300; /* trimming is approximate: whole nodes of a hundred entries or so */

    (void)state;
    begin_anew();
    put(good, 1, 2000, 5, 10);
    await_sent();
    redis(&support, "XGROUP", "CREATE", good_stream, "fast", "$", NULL);
    redis(&support, "XGROUP", "CREATE", good_stream, "slow", "0", NULL);
    redis(&support, "XREADGROUP", "GROUP", "slow", "c", "COUNT", "1000", "STREAMS", good_stream, ">", NULL);
    sleep_ms(6000);
    assert_int_equal(redis(&support, "XLEN", good_stream, NULL), 2000); /* delivered, not acknowledged */
    redis(&support, "XGROUP", "DESTROY", good_stream, "slow", NULL);
    redis(&support, "XGROUP", "CREATE", good_stream, "slow", "0", "ENTRIESREAD", "0", NULL);
    redis(&support, "XREADGROUP", "GROUP", "slow", "c", "COUNT", "1000", "NOACK", "STREAMS", good_stream, ">", NULL);
    wait_until(stream_trimmed, &slack, SOON_MS, "the first thousand goes");
    assert_in_range(redis(&support, "XLEN", good_stream, NULL), 1000, slack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_instances), cmocka_unit_test(test_large_events),
        cmocka_unit_test(test_generation_lost),   cmocka_unit_test(test_run_changed),
        cmocka_unit_test(test_refused),           cmocka_unit_test(test_late_commit),
        cmocka_unit_test(test_retention),         cmocka_unit_test(test_trim),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
