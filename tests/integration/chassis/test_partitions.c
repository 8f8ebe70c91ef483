/* Partitions on a real PostgreSQL: made ahead, kept while needed, dropped whole, by several processes, whatever the
 * clock does. The database's clock is the test's: the functions find another clock_timestamp() first. */
#include "tests/integration/chassis/support.h"

#include "common/chassis/partitions.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

enum { CALL_MS = 20000, KEEP_S = 3600, HOUR_S = 3600, DAY_S = 86400 };

static const struct tf_partitioned outbox = {"outbox", "sent_at"};
static const struct tf_partitioned inbox = {"inbox", "handled_at"};
static struct support support;

/* ---- the clock --------------------------------------------------------------------------------------------------- */

static void clock_shift(int64_t seconds)
{
    sql(&support, "UPDATE test_clock SET ahead = make_interval(secs => %" PRId64 ")", seconds);
}

/* Seconds since 1970 by the shifted clock. */
static int64_t now_s(void)
{
    return sql(&support, "SELECT extract(epoch FROM test_now())::int8");
}

static void clock_make(void)
{
    static const char *const functions[] = {"partition_make(regclass, int4, int4)",
                                            "partition_drop(regclass, name, int4)",
                                            "partition_prune(regclass, name, int4, int4)"};

    sql(&support, "CREATE TABLE test_clock AS SELECT interval '0' AS ahead");
    sql(&support, "CREATE FUNCTION test_now() RETURNS timestamptz LANGUAGE sql AS"
                  " 'SELECT pg_catalog.clock_timestamp() + ahead FROM test_clock'");
    sql(&support, "CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT test_now()'");
    for (size_t i = 0; i < TF_COUNT(functions); i++)
        sql(&support, "ALTER FUNCTION %s SET search_path = %s, pg_catalog", functions[i], support.schema);
}

static int open_one(void **state)
{
    (void)state;
    support_open(&support, "partitions", NULL);
    clock_make();
    return 0;
}

static int close_one(void **state)
{
    (void)state;
    support_close(&support);
    return 0;
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static void keep_in(tf_pg *pg, const struct tf_partitioned *table, int64_t span_hours)
{
    tf_ctx ctx;

    ctx_start(&ctx, CALL_MS);
    ASSERT_OK(&ctx, tf_partitions_keep(&ctx, pg, table, KEEP_S, span_hours));
    tf_ctx_done(&ctx);
}

static void keep(const struct tf_partitioned *table, int64_t span_hours)
{
    keep_in(support.app.pg, table, span_hours);
}

static int64_t id_at(int64_t seconds)
{
    return tf_tick_of(seconds * TF_US_PER_S) << 28;
}

static void put(int64_t id, const char *sent)
{
    sql(&support,
        "INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope, sent_at) VALUES (0, %" PRId64
        ", 't', 1, 'x', %s)",
        id, sent);
}

static bool in_net(const char *table, int64_t id)
{
    return sql(&support, "SELECT count(*) FROM %s_default WHERE event_id = %" PRId64, table, id) == 1;
}

static int64_t rows(const char *table, int64_t id)
{
    return sql(&support, "SELECT count(*) FROM %s WHERE event_id = %" PRId64, table, id);
}

static int64_t ranges(const char *table)
{
    return sql(&support, "SELECT count(*) FROM partition_ranges('%s')", table);
}

/* Whether a range holds ids of that time. */
static bool covered(const char *table, int64_t seconds)
{
    return sql(&support, "SELECT count(*) FROM partition_ranges('%s') WHERE lo <= %" PRId64 " AND %" PRId64 " < hi",
               table, id_at(seconds), id_at(seconds)) == 1;
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

/* SQL and base/id.h say the same of an id's time. */
static void test_layout(void **state)
{
    static const int64_t times[] = {1735689600, 1735689601, 1790000000, 1790000032, 2000000000, 2835189599};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(times); i++)
        assert_int_equal(sql(&support, "SELECT partition_id_at(to_timestamp(%" PRId64 "))", times[i]), id_at(times[i]));
    assert_int_equal(sql(&support, "SELECT partition_id_at('1999-01-01')"), 0);
    assert_true(sql(&support, "SELECT partition_id_at('2999-01-01')") > 0);
}

static void test_made_ahead(void **state)
{
    int64_t n, now;

    (void)state;
    clock_shift(10 * DAY_S); /* beyond what the migration made */
    now = now_s();
    assert_false(covered("outbox", now));
    keep(&outbox, 1);
    for (int64_t t = now; t < now + 2 * HOUR_S; t += 60)
        assert_true(covered("outbox", t));
    assert_false(covered("outbox", now + 3 * HOUR_S + 1));
    n = ranges("outbox");
    keep(&outbox, 1);
    assert_int_equal(ranges("outbox"), n);

    clock_shift(10 * DAY_S + HOUR_S);
    keep(&outbox, 1);
    assert_true(covered("outbox", now_s() + 2 * HOUR_S - 60));
}

static void test_rows_find_their_place(void **state)
{
    int64_t now = now_s();
    int64_t inside[] = {id_at(now), id_at(now) + 1, id_at(now + DAY_S)};
    int64_t outside[] = {id_at(now + 40 * DAY_S), INT64_MAX, 1, -5};

    (void)state;
    keep(&outbox, 24);
    for (size_t i = 0; i < TF_COUNT(inside); i++) {
        put(inside[i], "NULL");
        assert_int_equal(rows("outbox", inside[i]), 1);
        assert_false(in_net("outbox", inside[i]));
    }
    for (size_t i = 0; i < TF_COUNT(outside); i++) {
        put(outside[i], "NULL");
        assert_true(in_net("outbox", outside[i]));
    }
}

/* The clock went far ahead and came back: what it left in the net is moved when its time comes. */
static void test_moved_out_of_the_net(void **state)
{
    int64_t then = now_s() + 20 * DAY_S;

    (void)state;
    put(id_at(then), "NULL");
    put(id_at(then + 1), "test_now()");
    put(id_at(then + 30 * DAY_S), "NULL");
    clock_shift(20 * DAY_S);
    keep(&outbox, 24);
    assert_true(covered("outbox", then));
    assert_int_equal(rows("outbox", id_at(then)), 1);
    assert_false(in_net("outbox", id_at(then)));
    assert_false(in_net("outbox", id_at(then + 1)));
    assert_true(in_net("outbox", id_at(then + 30 * DAY_S)));
}

/* Too many to be moved while others wait: their span stays in the net, the next one is made. */
static void test_crowded_net(void **state)
{
    int64_t day = now_s() / DAY_S * DAY_S + 20 * DAY_S;

    (void)state;
    sql(&support,
        "INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope) SELECT 0, %" PRId64
        " + i, 't', 1, 'x' FROM generate_series(1, 50001) i",
        id_at(day));
    sql(&support, "UPDATE test_clock SET ahead = to_timestamp(%" PRId64 ") - pg_catalog.clock_timestamp()", day + 60);
    keep(&outbox, 24);
    assert_false(covered("outbox", day + 60));
    assert_true(covered("outbox", day + DAY_S));
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox_default"), 50001);
    sql(&support, "DELETE FROM outbox_default WHERE event_id = %" PRId64, id_at(day) + 1);
    keep(&outbox, 24);
    assert_true(covered("outbox", day + 60));
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox_default"), 0);
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox"), 50000);
}

static void test_dropped_when_all_is_over(void **state)
{
    int64_t then = now_s();

    (void)state;
    keep(&outbox, 1);
    put(id_at(then), "NULL");
    put(id_at(then) + 1, "test_now()");
    put(id_at(then + HOUR_S), "test_now()");
    clock_shift(DAY_S * 3);
    keep(&outbox, 1);
    assert_true(covered("outbox", then)); /* one is not sent yet */
    assert_int_equal(rows("outbox", id_at(then)), 1);

    sql(&support, "UPDATE outbox SET sent_at = test_now() - interval '59 minutes' WHERE event_id = %" PRId64,
        id_at(then));
    keep(&outbox, 1);
    assert_int_equal(rows("outbox", id_at(then)), 1); /* late, and still kept to be sent again */

    sql(&support, "UPDATE outbox SET sent_at = test_now() - interval '61 minutes' WHERE event_id = %" PRId64,
        id_at(then));
    keep(&outbox, 1);
    assert_false(covered("outbox", then));
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox"), 0);

    put(id_at(then) + 2, "NULL"); /* of a transaction that took very long */
    assert_true(in_net("outbox", id_at(then) + 2));
}

/* A younger partition goes although an older one must stay. */
static void test_one_kept_does_not_keep_others(void **state)
{
    int64_t then = now_s();

    (void)state;
    keep(&outbox, 1);
    put(id_at(then), "NULL");
    clock_shift(2 * DAY_S);
    keep(&outbox, 1);
    put(id_at(then + 2 * DAY_S), "test_now()");
    clock_shift(5 * DAY_S);
    keep(&outbox, 1);
    assert_true(covered("outbox", then));
    assert_false(covered("outbox", then + 2 * DAY_S));
}

/* The database's clock goes back: nothing is dropped, what it needs is there or made. */
static void test_clock_back(void **state)
{
    int64_t then;

    (void)state;
    clock_shift(10 * DAY_S);
    keep(&outbox, 1);
    then = now_s();
    put(id_at(then), "test_now()");
    clock_shift(5 * DAY_S);
    keep(&outbox, 1);
    assert_int_equal(rows("outbox", id_at(then)), 1);
    assert_true(covered("outbox", now_s()));
    assert_true(covered("outbox", then));
}

static void test_net_pruned(void **state)
{
    (void)state;
    sql(&support,
        "INSERT INTO inbox SELECT 't', -i, test_now() - interval '61 minutes' FROM generate_series(1, 5000) i");
    sql(&support,
        "INSERT INTO inbox SELECT 't', -i, test_now() - interval '59 minutes' FROM generate_series(6001, 6003) i");
    put(3, "NULL");
    keep(&inbox, 24);
    keep(&outbox, 24);
    assert_int_equal(sql(&support, "SELECT count(*) FROM inbox"), 3);
    assert_int_equal(rows("outbox", 3), 1);
}

/* Spans may change from one start to the next, even to ones that do not divide each other. */
static void test_span_changed(void **state)
{
    static const int64_t spans[] = {24, 1, 7, 168, 5, 24};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(spans); i++) {
        int64_t now;

        clock_shift((int64_t)i * 2 * DAY_S + 10 * DAY_S);
        now = now_s();
        put(id_at(now), "NULL"); /* keeps what has been made */
        keep(&outbox, spans[i]);
        for (int64_t t = now; t < now + 2 * spans[i] * HOUR_S; t += HOUR_S / 2)
            assert_true(covered("outbox", t));
    }
}

/* ---- several at once --------------------------------------------------------------------------------------------- */

static void *keeper(void *arg)
{
    for (int i = 0; i < 25; i++) {
        keep_in(arg, &outbox, 1);
        keep_in(arg, &inbox, 1);
    }
    return NULL;
}

static void test_two_instances(void **state)
{
    struct support other = {0};
    pthread_t threads[4];
    int64_t busy_until;

    (void)state;
    support_join(&other, &support, "second");
    for (size_t i = 0; i < TF_COUNT(threads); i++)
        pthread_create(&threads[i], NULL, keeper, i % 2 ? other.app.pg : support.app.pg);
    for (int hour = 0; hour < 60; hour++) {
        clock_shift(10 * DAY_S + (int64_t)hour * HOUR_S);
        put(id_at(now_s()), hour % 2 ? "NULL" : "test_now()");
        sleep_ms(5);
    }
    for (size_t i = 0; i < TF_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    busy_until = now_s();
    keep(&outbox, 1);
    keep(&inbox, 1);
    assert_true(covered("outbox", busy_until) && covered("inbox", busy_until));
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox WHERE sent_at IS NULL"), 30);
    support_close(&other);
}

static const struct tf_pg_stmt insert_now = {"insert_now",
                                             "INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope) "
                                             "VALUES (1, partition_id_at(test_now()), 't', 1, 'x')",
                                             true};

/* Runs in an open transaction that has inserted: making goes on beside it, dropping gives up soon and harms nobody. */
static tf_code beside_an_insert(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    int64_t before = ranges("outbox"), begun;
    tf_pg_params params;
    tf_code code;

    (void)arg;
    tf_pg_params_init(&params, ctx);
    code = tf_pg_exec(conn, ctx, &insert_now, &params, NULL);
    if (code) return code;

    clock_shift(DAY_S * 12);
    begun = tf_mono_us();
    keep(&outbox, 24);
    assert_true(tf_mono_us() - begun < 2 * TF_US_PER_S);
    assert_true(covered("outbox", now_s() + DAY_S));
    assert_true(ranges("outbox") > before); /* made, none dropped */
    return TF_OK;
}

static void test_beside_an_insert(void **state)
{
    int64_t then;
    tf_ctx ctx;

    (void)state;
    clock_shift(0);
    keep(&outbox, 24);
    then = now_s();
    put(id_at(then - 10), "test_now()");
    ctx_start(&ctx, CALL_MS);
    ASSERT_OK(&ctx, tf_pg_tx(&ctx, support.app.pg, beside_an_insert, NULL));
    tf_ctx_done(&ctx);
    keep(&outbox, 24);
    assert_true(covered("outbox", then)); /* its insert is not sent */
    sql(&support, "UPDATE outbox SET sent_at = '2020-01-01'");
    keep(&outbox, 24);
    assert_false(covered("outbox", then));
}

/* ---- upgrade ----------------------------------------------------------------------------------------------------- */

/* From the tables of 0001, with rows of all kinds in them. */
static void test_upgrade(void **state)
{
    int64_t now = tf_now_us() / TF_US_PER_S;

    (void)state;
    support_open_bare(&support, "upgrade", NULL);
    support_migrate(&support, 1);
    for (int64_t t = now - 3 * DAY_S; t <= now; t += HOUR_S) {
        put(id_at(t), t < now - 5 * HOUR_S ? "now() - interval '5 hours'" : "NULL");
        sql(&support, "INSERT INTO inbox VALUES ('t', %" PRId64 ", now())", id_at(t));
    }
    put(id_at(now + 40 * DAY_S), "NULL");
    sql(&support, "INSERT INTO inbox VALUES ('t', -7, now() - interval '1 hour'), ('u', %" PRId64 ", now())",
        id_at(now));

    support_migrate(&support, SUPPORT_MIGRATIONS_ALL);
    clock_make();
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox"), 74);
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox WHERE sent_at IS NULL"), 7);
    assert_int_equal(sql(&support, "SELECT count(*) FROM inbox"), 75);
    assert_true(in_net("outbox", id_at(now + 40 * DAY_S)));
    assert_true(in_net("inbox", -7));
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox_default"), 1);
    assert_int_equal(sql(&support, "SELECT count(*) FROM inbox_default"), 1);
    assert_true(covered("outbox", now - 3 * DAY_S) && covered("outbox", now) && covered("outbox", now + DAY_S));

    /* The keys hold as before. */
    assert_int_equal(sql(&support,
                         "WITH again AS (INSERT INTO inbox (topic, event_id) VALUES ('t', %" PRId64
                         ") ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM again",
                         id_at(now)),
                     0);
    assert_string_equal(
        sql_text(&support,
                 "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE contype IN ('p', 'c')"
                 " AND conrelid IN ('outbox'::regclass, 'inbox'::regclass)"),
        "inbox_pkey outbox_envelope_check outbox_pkey");

    keep(&outbox, 1);
    keep(&inbox, 1);
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox"), 74);
    sql(&support, "UPDATE outbox SET sent_at = now() WHERE sent_at IS NULL");
    clock_shift(4 * DAY_S);
    keep(&outbox, 1);
    keep(&inbox, 1);
    assert_false(covered("outbox", now));
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox"), 0);
    assert_int_equal(sql(&support, "SELECT count(*) FROM inbox"), 0);
    support_close(&support);
}

int main(void)
{
#define ON_TABLES(test) cmocka_unit_test_setup_teardown(test, open_one, close_one)
    const struct CMUnitTest tests[] = {
        ON_TABLES(test_layout),
        ON_TABLES(test_made_ahead),
        ON_TABLES(test_rows_find_their_place),
        ON_TABLES(test_moved_out_of_the_net),
        ON_TABLES(test_crowded_net),
        ON_TABLES(test_dropped_when_all_is_over),
        ON_TABLES(test_one_kept_does_not_keep_others),
        ON_TABLES(test_clock_back),
        ON_TABLES(test_net_pruned),
        ON_TABLES(test_span_changed),
        ON_TABLES(test_two_instances),
        ON_TABLES(test_beside_an_insert),
        cmocka_unit_test(test_upgrade),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
