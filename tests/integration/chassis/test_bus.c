/* The bus from outbox to effect on a real PostgreSQL and Redis: once in effect, in order, failures parked and replayed.
 */
#include "tests/integration/chassis/support.h"

#include "common/chassis/bus_internal.h"
#include "common/chassis/dead_letter.h"

#include <stdatomic.h>
#include <stdio.h>

enum { CALL_MS = 10000, SOON_MS = 15000 };

static struct support support;
static tf_bus *bus;
static char topic[100], stream[120];

/* ---- the consumer under test ------------------------------------------------------------------------------------- */

static _Atomic int64_t failing_event; /* the handler fails it */
static _Atomic tf_code weather;       /* the handler answers this while it is set */
static atomic_int committed_calls;

static const struct tf_pg_stmt effect_put = {
    "effect_put", "INSERT INTO effect (event_id, aggregate_id, type, request_id, payload) VALUES ($1, $2, $3, $4, $5)",
    true};

static tf_code handle(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    tf_pg_params params;
    tf_code code;

    assert_ptr_equal(ctx->app, &support.app);
    tf_pg_params_init(&params, ctx);
    tf_pg_int8(&params, event->event_id);
    tf_pg_int8(&params, event->aggregate_id);
    tf_pg_text(&params, event->type);
    tf_pg_text(&params, ctx->request_id);
    tf_pg_bytes(&params, event->payload ? event->payload : "", event->size);
    code = tf_pg_exec(conn, ctx, &effect_put, &params, NULL);
    if (code) return code;
    if (event->event_id == failing_event) return tf_fail(ctx, TF_INTERNAL, "the effect of %s went wrong", event->type);
    return weather ? tf_fail(ctx, weather, "it rains") : TF_OK;
}

static void committed(struct tf_app *app)
{
    assert_ptr_equal(app, &support.app);
    atomic_fetch_add(&committed_calls, 1);
}

static const struct tf_bus_consumer consumers[] = {{topic, handle, committed}, {0}};

static int open_all(void **state)
{
    (void)state;
    snprintf(topic, sizeof(topic), "bus-%s", unique_word());
    snprintf(stream, sizeof(stream), "tf:bus:%s", topic);
    support_open(&support, "bustest", consumers);
    sql(&support, "CREATE TABLE effect (n bigserial, event_id int8 PRIMARY KEY, aggregate_id int8, type text,"
                  " request_id text, payload bytea)");
    bus = tf_bus_open(&support.app);
    support.app.bus = bus;
    tf_bus_consume(bus);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    tf_bus_stop_consuming(bus);
    tf_bus_close(bus);
    redis(&support, "DEL", stream, NULL);
    support_close(&support);
    return 0;
}

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

struct putting {
    int64_t first, n, aggregates;
};

static tf_code put_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    const struct putting *putting = arg;

    for (int64_t id = putting->first; id < putting->first + putting->n; id++) {
        struct tf_event event = {
            .event_id = id,
            .bucket = (int)(id % 1024),
            .topic = topic,
            .type = "test.happened",
            .version = 1,
            .aggregate_id = putting->aggregates ? 1 + id % putting->aggregates : id,
            .organiser_id = 5,
            .payload = "payload",
            .size = 7,
        };
        tf_code code = tf_outbox_put(ctx, conn, &event);

        if (code) return code;
    }
    return TF_OK;
}

/* Events first … first + n - 1 in one transaction; aggregates 0: each has its own. */
static void put(int64_t first, int64_t n, int64_t aggregates)
{
    struct putting putting = {first, n, aggregates};
    tf_ctx ctx;

    tf_app_ctx(&support.app, &ctx, "request-7", (int64_t)CALL_MS * TF_US_PER_MS);
    while (tf_pg_tx(&ctx, support.app.pg, put_in_tx, &putting))
        support_weather(&ctx);
    tf_ctx_done(&ctx);
    tf_bus_wake(bus);
}

struct span {
    int64_t first, n;
};

static bool effects_there(void *arg)
{
    const struct span *span = arg;

    return sql(&support, "SELECT count(*) FROM effect WHERE event_id >= %lld AND event_id < %lld",
               (long long)span->first, (long long)(span->first + span->n)) == span->n;
}

static void await_effects(int64_t first, int64_t n)
{
    struct span span = {first, n};

    wait_until(effects_there, &span, SOON_MS, "the events have their effect");
}

static bool sql_holds(void *arg)
{
    return sql(&support, "SELECT (%s)::int", (const char *)arg) == 1;
}

static void await_sql(const char *condition)
{
    wait_until(sql_holds, (void *)condition, SOON_MS, condition);
}

static bool nothing_pending(void *arg)
{
    (void)arg;
    return sql(&support, "SELECT count(*) FROM outbox WHERE sent_at IS NULL") == 0 &&
           redis(&support, "XPENDING", stream, "bustest", "-", "+", "10", NULL) == 0;
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void test_once_in_order(void **state)
{
    (void)state;
    for (int64_t first = 1000; first < 1600; first += 60)
        put(first, 60, 7);
    await_effects(1000, 600);
    assert_int_equal(
        sql(&support,
            "SELECT count(*) FROM (SELECT event_id, lag(event_id) OVER (PARTITION BY aggregate_id ORDER BY n) AS"
            " before FROM effect) e WHERE before > event_id"),
        0);
    assert_int_equal(sql(&support,
                         "SELECT count(*) FROM effect WHERE request_id = 'request-7' AND type = 'test.happened'"
                         " AND payload = 'payload'"),
                     600);
    wait_until(nothing_pending, NULL, SOON_MS, "all is sent and acknowledged");
    assert_int_equal(sql(&support, "SELECT count(*) FROM inbox"), 600);
    assert_in_range(atomic_load(&committed_calls), 1, 600);
}

static void test_sent_again(void **state)
{
    int64_t before = sql(&support, "SELECT count(*) FROM effect");

    (void)state;
    put(2000, 20, 3);
    await_effects(2000, 20);
    wait_until(nothing_pending, NULL, SOON_MS, "all is sent and acknowledged");
    sql(&support, "UPDATE inbox SET handled_at = now() - interval '1 hour'");
    sql(&support, "UPDATE outbox SET sent_at = NULL WHERE event_id BETWEEN 2000 AND 2019");
    tf_bus_wake(bus);
    wait_until(nothing_pending, NULL, SOON_MS, "all is sent and acknowledged again");
    /* a note in the inbox lives as long from the second coming */
    await_sql("(SELECT count(*) FROM inbox WHERE handled_at > now() - interval '1 minute') = 20");
    assert_int_equal(sql(&support, "SELECT count(*) FROM effect"), before + 20);
}

static void test_fails_once(void **state)
{
    (void)state;
    failing_event = 3000;
    put(3000, 1, 0);
    await_sql("(SELECT attempts FROM event_attempt WHERE event_id = 3000) = 1");
    assert_int_equal(sql(&support, "SELECT count(*) FROM effect WHERE event_id = 3000"), 0); /* rolled back */
    failing_event = 0;
    await_effects(3000, 1);
    assert_int_equal(sql(&support, "SELECT count(*) FROM event_attempt"), 0);
    assert_int_equal(sql(&support, "SELECT count(*) FROM dead_letter"), 0);
    wait_until(nothing_pending, NULL, SOON_MS, "acknowledged");
}

static void test_parked_in_order(void **state)
{
    (void)state;
    failing_event = 3100;
    put(3100, 3, 1); /* one aggregate */
    put(3200, 1, 0); /* another one is not held up */
    await_effects(3200, 1);
    assert_int_equal(sql(&support, "SELECT count(*) FROM effect WHERE event_id IN (3101, 3102)"), 0);
    await_sql("EXISTS (SELECT FROM dead_letter WHERE event_id = 3100)");
    await_effects(3101, 2); /* go on without it */
    assert_int_equal(sql(&support, "SELECT attempts FROM dead_letter WHERE event_id = 3100"), 3);
    assert_string_equal(sql_text(&support, "SELECT cause FROM dead_letter WHERE event_id = 3100"),
                        "INTERNAL: the effect of test.happened went wrong");
    assert_int_equal(sql(&support, "SELECT count(*) FROM event_attempt"), 0);
    wait_until(nothing_pending, NULL, SOON_MS, "the parked one is acknowledged");

    failing_event = 0; /* it would succeed now: but the dead letter alone decides */
    sql(&support, "UPDATE outbox SET sent_at = NULL WHERE event_id = 3100");
    tf_bus_wake(bus);
    wait_until(nothing_pending, NULL, SOON_MS, "sent again");
    assert_int_equal(sql(&support, "SELECT count(*) FROM effect WHERE event_id = 3100"), 0);
}

static void test_replay_and_discard(void **state)
{
    struct tf_dead_letter *letters;
    struct tf_dead_letter letter;
    tf_ctx ctx;
    size_t n;

    (void)state;
    ctx_start(&ctx, CALL_MS);
    ASSERT_OK(&ctx, tf_dead_letter_list(&ctx, support.app.pg, 10, &letters, &n));
    assert_int_equal(n, 1);
    assert_int_equal(letters[0].event_id, 3100);
    assert_string_equal(letters[0].topic, topic);

    failing_event = 3100;
    ASSERT_OK(&ctx, tf_dead_letter_replay(&ctx, support.app.pg, NULL, 3100));
    await_sql(
        "(SELECT attempts FROM dead_letter WHERE event_id = 3100) = 4"); /* tried, still open, not tried for ever */
    ASSERT_OK(&ctx, tf_dead_letter_get(&ctx, support.app.pg, topic, 3100, &letter));
    assert_int_equal(letter.state, TF_DEAD_LETTER_OPEN);
    assert_int_equal(sql(&support, "SELECT count(*) FROM effect WHERE event_id = 3100"), 0);

    failing_event = 0;
    ASSERT_OK(&ctx, tf_dead_letter_replay(&ctx, support.app.pg, topic, 3100));
    await_effects(3100, 1);
    await_sql("(SELECT resolution FROM dead_letter WHERE event_id = 3100) = 'replayed'");
    ASSERT_CODE(&ctx, tf_dead_letter_replay(&ctx, support.app.pg, NULL, 3100), TF_NOT_FOUND);
    ASSERT_CODE(&ctx, tf_dead_letter_replay(&ctx, support.app.pg, NULL, 999999), TF_NOT_FOUND);
    ASSERT_CODE(&ctx, tf_dead_letter_replay(&ctx, support.app.pg, "other", 3100), TF_NOT_FOUND);

    failing_event = 3300;
    put(3300, 1, 0);
    await_sql("EXISTS (SELECT FROM dead_letter WHERE event_id = 3300)");
    failing_event = 0;
    ASSERT_OK(&ctx, tf_dead_letter_discard(&ctx, support.app.pg, NULL, 3300, "a test"));
    assert_string_equal(sql_text(&support, "SELECT resolution FROM dead_letter WHERE event_id = 3300"),
                        "discarded: a test");
    ASSERT_CODE(&ctx, tf_dead_letter_discard(&ctx, support.app.pg, NULL, 3300, "again"), TF_NOT_FOUND);
    assert_int_equal(sql(&support, "SELECT count(*) FROM dead_letter WHERE resolved_at IS NULL"), 0);

    sql(&support, "INSERT INTO dead_letter (topic, event_id, type, envelope, cause, attempts) VALUES"
                  " ('one', 77, 't', '', 'c', 1), ('two', 77, 't', '', 'c', 1)");
    ASSERT_CODE(&ctx, tf_dead_letter_discard(&ctx, support.app.pg, NULL, 77, "which?"), TF_STATE_WRONG);
    ASSERT_OK(&ctx, tf_dead_letter_discard(&ctx, support.app.pg, "two", 77, "that one"));
    ASSERT_OK(&ctx, tf_dead_letter_discard(&ctx, support.app.pg, NULL, 77, "the other"));
    tf_ctx_done(&ctx);
}

static void test_unreadable(void **state)
{
    (void)state;
    redis(&support, "XADD", stream, "*", "d", "no envelope", NULL);
    redis(&support, "XADD", stream, "*", "e", "not even the field", NULL);
    await_sql("(SELECT count(*) FROM dead_letter WHERE event_id < 0 AND type = '') = 2");
    wait_until(nothing_pending, NULL, SOON_MS, "acknowledged");
    assert_int_equal(sql(&support, "SELECT count(*) FROM dead_letter WHERE envelope = 'no envelope'"), 1);
    sql(&support, "UPDATE dead_letter SET replay_at = now() WHERE envelope = 'no envelope'");
    await_sql("EXISTS (SELECT FROM dead_letter WHERE envelope = 'no envelope' AND attempts = 2 AND replay_at IS NULL"
              " AND resolved_at IS NULL)");
}

static void test_weather(void **state)
{
    static const struct {
        tf_code code;
        int64_t event_id;
    } cases[] = {{TF_STORE_DOWN, 4000}, {TF_UNKNOWN_OUTCOME, 4001}, {TF_DEADLINE, 4002}, {TF_OVERLOADED, 4003}};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        weather = cases[i].code;
        put(cases[i].event_id, 1, 0);
        sleep_ms(700); /* more than the attempts that a failure has */
        assert_int_equal(sql(&support, "SELECT count(*) FROM event_attempt"), 0);
        assert_int_equal(sql(&support, "SELECT count(*) FROM effect WHERE event_id >= 4000"), i);
        weather = TF_OK;
        await_effects(4000, (int64_t)i + 1);
    }
    assert_int_equal(sql(&support, "SELECT count(*) FROM dead_letter WHERE event_id >= 4000"), 0);
}

/* The database goes away in the middle and comes back. */
static void test_connections_killed(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        put(5000 + 25 * i, 25, 4);
        sql(&support, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND"
                      " application_name = 'chassis-test' AND datname = current_database()");
        sleep_ms(10);
    }
    await_effects(5000, 500);
    assert_int_equal(sql(&support, "SELECT count(*) FROM dead_letter WHERE event_id >= 5000"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_in_order),
        cmocka_unit_test(test_sent_again),
        cmocka_unit_test(test_fails_once),
        cmocka_unit_test(test_parked_in_order),
        cmocka_unit_test(test_replay_and_discard),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_weather),
        cmocka_unit_test(test_connections_killed),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
