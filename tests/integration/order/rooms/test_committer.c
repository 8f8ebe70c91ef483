/* The group commit: waiters, batches, lost answers, bad data, an absent PostgreSQL; and the clock learnt from it. */
#include "tests/integration/order/rooms/rooms.h"

#include "common/base/id.h"
#include "common/chassis/app_internal.h"
#include "services/order/commit/sale_time.h"

#include <stdio.h>

static const struct test_show plain = {.rows = 20, .row_places = 30};

/* ---- helpers -------------------------------------------------------------------------------------------------------
 */

struct caller {
    pthread_t thread;
    const struct sale *sale;
    struct purchase_try purchase;
    struct new_order order; /* given: committed as it is */
    bool given;
    int timeout_ms;
    tf_code code;
    struct hold hold;
    struct commit_answer answer;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    tf_ctx ctx;

    rooms_ctx(&ctx, caller->timeout_ms ? caller->timeout_ms : 10000);
    if (!caller->given) {
        caller->code = try_hold(&ctx, caller->sale, &caller->purchase, &caller->hold);
        if (!caller->code && caller->hold.result != HOLD_TAKEN && caller->hold.result != HOLD_AGAIN) {
            tf_ctx_done(&ctx);
            return NULL;
        }
        if (!caller->code) caller->order = *order_of_hold(&ctx, caller->sale, &caller->purchase, &caller->hold);
    }
    if (!caller->code) caller->code = commit_order(&ctx, &caller->order, &caller->answer);
    tf_ctx_done(&ctx);
    return NULL;
}

static void start(struct caller *caller)
{
    assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void join(struct caller *caller)
{
    pthread_join(caller->thread, NULL);
}

static int64_t tickets_of(const struct sale *sale)
{
    return sql_number("SELECT count(*) FROM tickets WHERE show_id = %lld AND live", (long long)sale->show_id);
}

static bool committer_waits(void *arg)
{
    (void)arg;
    return sql_number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%FROM "
                      "commit_orders%%'"
                      " AND pid <> pg_backend_pid()") > 0;
}

/* Another's transaction that holds a place, so that a batch stops between its orders and its tickets. */
struct blocker {
    tf_pg *pg;
    tf_pg_conn *conn;
    tf_ctx ctx;
};

static void run_on(struct blocker *blocker, const char *name, const char *sql)
{
    struct tf_pg_stmt *stmt = TF_NEW(blocker->ctx.arena, struct tf_pg_stmt);
    tf_pg_params params;

    *stmt = (struct tf_pg_stmt){name, sql, true};
    tf_pg_params_init(&params, &blocker->ctx);
    ASSERT_OK(&blocker->ctx, tf_pg_exec(blocker->conn, &blocker->ctx, stmt, &params, NULL));
}

static void block_place(struct blocker *blocker, const struct sale *sale, int32_t place)
{
    rooms_ctx(&blocker->ctx, 30000);
    ASSERT_OK(&blocker->ctx, tf_pg_connect(&blocker->ctx, tf_app_pg(rooms_app), &blocker->conn));
    run_on(blocker, "blocker_begin", "BEGIN");
    run_on(blocker, "blocker_insert",
           tf_arena_printf(blocker->ctx.arena,
                           "INSERT INTO tickets (bucket, order_no, place_no, ticket_id, show_id, tier, price_minor)"
                           " VALUES (%d, 1, %d, %lld, %lld, 1, 1)",
                           sale->bucket, (int)place, (long long)tf_now_us(), (long long)sale->show_id));
}

static void unblock(struct blocker *blocker)
{
    run_on(blocker, "blocker_end", "ROLLBACK");
    tf_pg_give(blocker->conn);
    tf_ctx_done(&blocker->ctx);
}

/* ---- orders
 * ---------------------------------------------------------------------------------------------------------- */

/* Holds of the partition that end in more than five seconds: committed ones. */
static int64_t due_later(const struct sale *sale)
{
    char due[32], from[32];

    snprintf(due, sizeof(due), "tf:{%d}:due", inventory_partition(sale->bucket));
    snprintf(from, sizeof(from), "%lld", (long long)(tf_now_us() / TF_US_PER_MS + 5000));
    return redis_number("ZCOUNT", due, from, "+inf", NULL);
}

static void an_order_stands_and_is_confirmed(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int64_t later = due_later(sale), order;
    int32_t place;

    (void)state;
    order_config.intent_ms = 4000; /* no settling does the confirm's work */
    order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 2}, &place);
    order_config.intent_ms = 1000;
    for (int i = 0; i < 100 && due_later(sale) == later; i++)
        sleep_ms(10);
    assert_int_equal(due_later(sale), later + 1);
    assert_int_equal(place_status(sale, place), 2);
    assert_int_equal(sql_number("SELECT state FROM orders WHERE order_no = %lld", (long long)order), 1);
    assert_int_equal(sql_number("SELECT count(*) FROM outbox WHERE aggregate_id = %lld", (long long)order), 1);
    check_agreement(sale);
}

static void many_at_once_share_batches(void **state)
{
    enum { N = 60 };
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static struct caller callers[N];
    struct blocker blocker;

    (void)state;
    memset(callers, 0, sizeof(callers));
    block_place(&blocker, sale,
                32 + 32 * 19 + 3); /* a place in the last row: whoever takes it makes the others queue */
    for (int i = 0; i < N; i++) {
        callers[i] = (struct caller){.sale = sale, .purchase = {.user_id = 100 + i, .count = 1 + i % 3}};
        if (i == 0) {
            static const int32_t last[] = {32 + 32 * 19 + 3};

            callers[i].purchase.places = last;
            callers[i].purchase.n_places = 1;
        }
        start(&callers[i]);
        if (i == 0) wait_until(committer_waits, NULL, 5000, "the first batch waits");
    }
    sleep_ms(200);
    unblock(&blocker);
    for (int i = 0; i < N; i++) {
        join(&callers[i]);
        assert_int_equal(callers[i].code, TF_OK);
        assert_int_equal(callers[i].answer.result, COMMIT_OK);
        assert_int_equal(callers[i].answer.order_no, callers[i].hold.order_no);
    }
    assert_int_equal(tickets_of(sale), N * 2);
    check_agreement(sale);
}

static void one_key_many_connections_one_order(void **state)
{
    enum { N = 30 };
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static struct caller callers[N];

    (void)state;
    memset(callers, 0, sizeof(callers));
    for (int i = 0; i < N; i++) {
        callers[i] = (struct caller){.sale = sale, .purchase = {.user_id = 5, .key = "one-key-for-all", .count = 2}};
        start(&callers[i]);
    }
    for (int i = 0; i < N; i++) {
        join(&callers[i]);
        assert_int_equal(callers[i].code, TF_OK);
        assert_true(callers[i].answer.result == COMMIT_OK || callers[i].answer.result == COMMIT_DUPLICATE);
        assert_int_equal(callers[i].answer.order_no, callers[0].answer.order_no);
    }
    assert_int_equal(tickets_of(sale), 2);
    check_agreement(sale);
}

/* One hold, its commit given twice: while queued it is one entry with two waiters, later a stored row. */
static void the_same_order_twice(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    struct purchase_try purchase = {.user_id = 3, .count = 1};
    struct caller one = {.sale = sale, .given = true}, two;
    struct blocker blocker;
    struct hold hold;
    tf_ctx ctx;

    (void)state;
    rooms_ctx(&ctx, 10000);
    ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &hold));
    one.order = *order_of_hold(&ctx, sale, &purchase, &hold);
    block_place(&blocker, sale, hold.place_nos[0]);
    two = one;
    start(&one);
    wait_until(committer_waits, NULL, 5000, "the batch waits");
    start(&two);
    sleep_ms(100);
    unblock(&blocker);
    join(&one);
    join(&two);
    assert_int_equal(one.answer.result, COMMIT_OK);
    assert_int_equal(two.answer.result, COMMIT_OK);
    two.order.epoch = 0;
    call(&two);
    assert_int_equal(two.answer.result, COMMIT_DUPLICATE);
    assert_int_equal(two.answer.order_no, one.answer.order_no);
    assert_int_equal(tickets_of(sale), 1);
    tf_ctx_done(&ctx);
}

static void refusals_come_order_by_order(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static const struct {
        const char *name;
        int64_t epoch_more;
        int32_t terms_more;
        enum commit_result result;
    } rows[] = {
        {"as decided", 0, 0, COMMIT_OK},
        {"an old generation", -1, 0, COMMIT_EPOCH},
        {"other terms", 0, 1, COMMIT_TERMS},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct purchase_try purchase = {.user_id = 40 + (int64_t)i, .count = 2};
        struct commit_answer answer;
        struct new_order *order;
        struct hold hold;
        tf_ctx ctx;

        print_message("%s\n", rows[i].name);
        rooms_ctx(&ctx, 10000);
        ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &hold));
        order = order_of_hold(&ctx, sale, &purchase, &hold);
        order->epoch += rows[i].epoch_more;
        order->terms += rows[i].terms_more;
        ASSERT_OK(&ctx, commit_order(&ctx, order, &answer));
        assert_int_equal(answer.result, rows[i].result);
        if (answer.result != COMMIT_OK) {
            settle_now(&ctx, sale->bucket, sale->show_id, order->order_no);
            assert_int_equal(place_status(sale, hold.place_nos[0]), 1);
            ASSERT_OK(&ctx, commit_order(&ctx, order, &answer));
            assert_int_equal(answer.result, COMMIT_TOMBSTONE);
        }
        tf_ctx_done(&ctx);
    }
    check_agreement(sale);
}

/* A ticket that no generation gave: the alarm rings, and the rebuild takes the place away from buyers. */
static void a_conflict_is_answered_by_a_rebuild(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    struct purchase_try purchase = {.user_id = 8, .count = 1};
    struct commit_answer answer;
    struct hold hold;
    tf_ctx ctx;

    (void)state;
    rooms_ctx(&ctx, 10000);
    ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &hold));
    sql_do(
        "INSERT INTO orders (bucket, order_no, show_id, user_id, request_id, body_hash, state, created_at, n_tickets)"
        " VALUES (%d, 77, %lld, 9, 'from-nowhere', 'x', 2, now(), 1)",
        sale->bucket, (long long)sale->show_id);
    sql_do("INSERT INTO tickets (bucket, order_no, place_no, ticket_id, show_id, tier, price_minor) VALUES (%d, 77, "
           "%d, %lld, %lld, 1, 1)",
           sale->bucket, (int)hold.place_nos[0], (long long)tf_now_us(), (long long)sale->show_id);
    ASSERT_OK(&ctx, commit_order(&ctx, order_of_hold(&ctx, sale, &purchase, &hold), &answer));
    assert_int_equal(answer.result, COMMIT_CONFLICT);
    wait_status(sale, hold.place_nos[0], 3, 5000);
    check_agreement(sale);
    sql_do("DELETE FROM tickets WHERE order_no = 77");
    sql_do("DELETE FROM orders WHERE order_no = 77");
    tf_ctx_done(&ctx);
}

/* ---- lost answers --------------------------------------------------------------------------------------------------
 */

static void a_backend_ended_during_the_batch_is_sent_again(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static const int32_t places[] = {40};
    struct caller caller = {.sale = sale, .purchase = {.user_id = 4, .places = places, .n_places = 1}};
    struct blocker blocker;

    (void)state;
    block_place(&blocker, sale, 40);
    start(&caller);
    wait_until(committer_waits, NULL, 5000, "the batch waits");
    sql_do("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%%FROM commit_orders%%' "
           "AND pid <> pg_backend_pid()");
    wait_until(committer_waits, NULL, 5000, "the batch was sent again");
    unblock(&blocker);
    join(&caller);
    assert_int_equal(caller.code, TF_OK);
    assert_int_equal(caller.answer.result, COMMIT_OK);
    assert_int_equal(tickets_of(sale), 1);
}

/* PostgreSQL commits, its answer is lost: sent again, the row answers. */
static void a_lost_answer_is_asked_for_again(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    struct purchase_try purchase = {.user_id = 5, .count = 3};
    struct caller caller = {.sale = sale, .given = true};
    struct hold hold;
    tf_ctx ctx;

    (void)state;
    rooms_ctx(&ctx, 10000);
    ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &hold));
    caller.order = *order_of_hold(&ctx, sale, &purchase, &hold);
    proxy_set(rooms_proxy, PROXY_MUTE);
    start(&caller);
    for (int i = 0; i < 500 && tickets_of(sale) == 0; i++)
        sleep_ms(10);
    assert_int_equal(tickets_of(sale), 3);
    proxy_cut(rooms_proxy);
    proxy_set(rooms_proxy, PROXY_PASS);
    join(&caller);
    assert_int_equal(caller.code, TF_OK);
    assert_int_equal(caller.answer.result, COMMIT_DUPLICATE);
    assert_int_equal(caller.answer.order_no, hold.order_no);
    assert_int_equal(tickets_of(sale), 3);
    tf_ctx_done(&ctx);
}

static void a_deadline_in_the_middle_is_an_unknown_outcome_and_heals(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static const int32_t places[] = {44};
    struct caller caller = {.sale = sale,
                            .purchase = {.user_id = 6, .key = "patient-key", .places = places, .n_places = 1},
                            .timeout_ms = 400};
    struct blocker blocker;

    (void)state;
    block_place(&blocker, sale, 44);
    start(&caller);
    join(&caller);
    assert_int_equal(caller.code, TF_UNKNOWN_OUTCOME);
    unblock(&blocker);
    caller.timeout_ms = 10000;
    caller.code = TF_OK;
    call(&caller); /* the same key again: the same order, whoever committed it */
    assert_int_equal(caller.code, TF_OK);
    assert_true(caller.answer.result == COMMIT_OK || caller.answer.result == COMMIT_DUPLICATE);
    assert_int_equal(tickets_of(sale), 1);
    check_agreement(sale);
}

/* ---- bad data, absence ---------------------------------------------------------------------------------------------
 */

static void a_fault_in_the_data_fails_its_own_order_alone(void **state)
{
    enum { N = 12, BAD = 5 };
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static struct caller callers[N];
    struct blocker blocker;
    struct hold holds[N];
    tf_ctx ctx;

    (void)state;
    memset(callers, 0, sizeof(callers));
    rooms_ctx(&ctx, 20000);
    for (int i = 0; i < N; i++) {
        struct purchase_try purchase = {.user_id = 200 + i, .count = 1};

        ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &holds[i]));
        callers[i] =
            (struct caller){.sale = sale, .given = true, .order = *order_of_hold(&ctx, sale, &purchase, &holds[i])};
    }
    callers[BAD].order.trace = "\xff\xfe"; /* no UTF-8: PostgreSQL refuses the whole statement */
    block_place(&blocker, sale, holds[0].place_nos[0]);
    start(&callers[0]);
    wait_until(committer_waits, NULL, 5000, "the first batch waits");
    for (int i = 1; i < N; i++)
        start(&callers[i]);
    sleep_ms(200); /* the rest is one batch */
    unblock(&blocker);
    for (int i = 0; i < N; i++) {
        join(&callers[i]);
        assert_int_equal(callers[i].code, i == BAD ? TF_INTERNAL : TF_OK);
        if (i != BAD) assert_int_equal(callers[i].answer.result, COMMIT_OK);
    }
    assert_int_equal(tickets_of(sale), N - 1);
    wait_status(sale, holds[BAD].place_nos[0], 1, 5000); /* its intent ends by itself */
    check_agreement(sale);
    tf_ctx_done(&ctx);
}

static tf_code admit(void)
{
    tf_code code;
    tf_ctx ctx;

    rooms_ctx(&ctx, 1000);
    code = commit_admit(&ctx);
    tf_ctx_done(&ctx);
    return code;
}

static bool admitted(void *arg)
{
    return (admit() == TF_OK) == *(bool *)arg;
}

static void without_postgresql_nothing_is_admitted(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    bool yes = true, no = false;
    int64_t now_ms, error_ms;

    (void)state;
    assert_int_equal(admit(), TF_OK);
    proxy_set(rooms_proxy, PROXY_REFUSE);
    wait_until(admitted, &no, 5000, "admission refuses");
    assert_int_equal(admit(), TF_STORE_DOWN);
    assert_true(sale_time_now(&now_ms, &error_ms)); /* known from before */
    proxy_set(rooms_proxy, PROXY_PASS);
    wait_until(admitted, &yes, 10000, "admission is open again");
    buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, NULL);
}

static void a_full_queue_refuses(void **state)
{
    enum { N = 8 };
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static struct caller callers[N];
    static const int32_t places[] = {50};
    struct blocker blocker;
    int refused = 0;

    (void)state;
    memset(callers, 0, sizeof(callers));
    block_place(&blocker, sale, 50);
    callers[0] = (struct caller){.sale = sale, .purchase = {.user_id = 1, .places = places, .n_places = 1}};
    start(&callers[0]);
    wait_until(committer_waits, NULL, 5000, "the batch waits");
    order_config.commit_queue_max = 3;
    for (int i = 1; i < N; i++) {
        callers[i] = (struct caller){.sale = sale, .purchase = {.user_id = 1 + i, .count = 1}};
        start(&callers[i]);
        sleep_ms(30);
    }
    assert_int_equal(admit(), TF_OVERLOADED);
    unblock(&blocker);
    for (int i = 0; i < N; i++) {
        join(&callers[i]);
        refused += callers[i].code == TF_OVERLOADED;
    }
    order_config.commit_queue_max = 4096;
    assert_int_equal(refused, N - 1 - 3);
}

/* ---- sale time
 * --------------------------------------------------------------------------------------------------------- */

static void sale_time_is_postgresqls_clock(void **state)
{
    int64_t now_ms, error_ms, there_ms;

    (void)state;
    assert_true(sale_time_now(&now_ms, &error_ms));
    there_ms = sql_number("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8");
    assert_in_range(there_ms - now_ms + 1000, 1000 - error_ms - 1, 1000 + error_ms + 200);
    assert_true(error_ms < 200);
}

static void samples_narrow_and_contradict(void **state)
{
    static const struct {
        const char *name;
        int64_t offset_us, round_trip_us;
        int64_t expected_us; /* offset afterwards */
    } rows[] = {
        {"the first counts", 1000000000, 1000, 1000000000},
        {"a wider one does not", 1000000400, 100000, 1000000000},
        {"a narrower one does", 1000000100, 100, 1000000100},
        {"the clock was set back an hour", 1000000100 - 3600000000, 100000, 1000000100 - 3600000000},
        {"and narrowed again", 1000000200 - 3600000000, 50, 1000000200 - 3600000000},
    };
    struct tf_clock_fixed own;
    int64_t offset;

    (void)state;
    sale_time_forget();
    assert_false(sale_time_offset(tf_clock_system(), &offset));
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int64_t mono = tf_mono_us();

        print_message("%s\n", rows[i].name);
        sale_time_learn(mono - rows[i].round_trip_us / 2 + rows[i].offset_us, mono - rows[i].round_trip_us, mono);
        tf_clock_fixed_init(&own, tf_mono_us() + rows[i].expected_us + 10000000);
        assert_true(sale_time_offset(&own.clock, &offset));
        assert_in_range(offset, 10000000 - 60000, 10000000);
    }
    sale_time_forget();
}

static bool ready_is(void *arg)
{
    return atomic_load(&rooms_app->ready) == *(bool *)arg;
}

static bool sale_time_known(void *arg)
{
    int64_t now_ms, error_ms;

    (void)arg;
    return sale_time_now(&now_ms, &error_ms);
}

/* Whether such an instance serves is the chassis's care (clock_guard.h). What it sold ends by PostgreSQL's clock all
 * the same, neither early nor late. */
static void a_wrong_own_clock_moves_no_release(void **state)
{
    static const struct {
        const char *name;
        int64_t shift_s;
    } rows[] = {{"five seconds ahead", 5}, {"ten minutes ahead", 600}, {"an hour behind", -3600}};

    (void)state;
    wait_until(sale_time_known, NULL, 5000, "sale time");
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_cleanup(sale_unrefp) struct sale *sale =
            show_new(&(struct test_show){.rows = 2, .row_places = 20, .hold_seconds = 2});
        int32_t place;
        int64_t order;

        print_message("%s\n", rows[i].name);
        order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place);
        atomic_store(&rooms_clock_shift_us, rows[i].shift_s * (int64_t)TF_US_PER_S);
        wait_status(sale, place, 1, 5000);
        assert_in_range(sql_number("SELECT (extract(epoch FROM cancelled_at - release_at) * 1000)::int8 FROM orders "
                                   "WHERE order_no = %lld",
                                   (long long)order),
                        0, 2000);
        atomic_store(&rooms_clock_shift_us, 0);
    }
}

static void an_unknown_sale_time_is_not_ready(void **state)
{
    bool yes = true, no = false;

    (void)state;
    wait_until(ready_is, &yes, 5000, "ready");
    proxy_set(rooms_proxy, PROXY_REFUSE);
    sleep_ms(1200); /* whoever asks for the clock now has failed */
    sale_time_forget();
    wait_until(ready_is, &no, 5000, "not ready");
    assert_false(sale_time_known(NULL));
    proxy_set(rooms_proxy, PROXY_PASS);
    wait_until(ready_is, &yes, 10000, "ready again");
    assert_true(sale_time_known(NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_stands_and_is_confirmed),
        cmocka_unit_test(many_at_once_share_batches),
        cmocka_unit_test(one_key_many_connections_one_order),
        cmocka_unit_test(the_same_order_twice),
        cmocka_unit_test(refusals_come_order_by_order),
        cmocka_unit_test(a_conflict_is_answered_by_a_rebuild),
        cmocka_unit_test(a_backend_ended_during_the_batch_is_sent_again),
        cmocka_unit_test(a_lost_answer_is_asked_for_again),
        cmocka_unit_test(a_deadline_in_the_middle_is_an_unknown_outcome_and_heals),
        cmocka_unit_test(a_fault_in_the_data_fails_its_own_order_alone),
        cmocka_unit_test(without_postgresql_nothing_is_admitted),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(sale_time_is_postgresqls_clock),
        cmocka_unit_test(samples_narrow_and_contradict),
        cmocka_unit_test(a_wrong_own_clock_moves_no_release),
        cmocka_unit_test(an_unknown_sale_time_is_not_ready),
    };

    return cmocka_run_group_tests(tests, rooms_start, rooms_stop);
}
