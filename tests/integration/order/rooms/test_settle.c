/* The end of holds: never early, soon after; tombstones; changes that transactions left in settle_queue; and what
 * happens without Redis. */
#include "tests/integration/order/rooms/rooms.h"

#include "common/chassis/app_internal.h"

#include <stdio.h>

static const struct test_show brief = {.rows = 8, .row_places = 20, .hold_seconds = 2};
static const struct test_show plain = {.rows = 8, .row_places = 20};

static int64_t order_state(int64_t order)
{
    return sql_number("SELECT state FROM orders WHERE order_no = %lld", (long long)order);
}

/* A change of an order as a transaction of the store makes it. */
static void change(const struct sale *sale, int64_t order, int state, bool live)
{
    sql_do("WITH o AS (UPDATE orders SET state = %d WHERE order_no = %lld), t AS (UPDATE tickets SET live = %s WHERE "
           "order_no = %lld AND live)"
           " INSERT INTO settle_queue (bucket, order_no, show_id) VALUES (%d, %lld, %lld)"
           " ON CONFLICT (bucket, order_no) DO UPDATE SET created_at = clock_timestamp()",
           state, (long long)order, live ? "true" : "false", (long long)order, sale->bucket, (long long)order,
           (long long)sale->show_id);
    settle_queue_wake();
}

static int64_t queued(void)
{
    return sql_number("SELECT count(*) FROM settle_queue");
}

/* ---- expiry
 * --------------------------------------------------------------------------------------------------------------- */

static void holds_end_never_early_and_soon(void **state)
{
    enum { N = 12 };
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&brief);
    int64_t orders[N], worst;
    int32_t places[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        orders[i] = buy_now(sale, &(struct purchase_try){.user_id = i + 1, .count = 1 + i % 2}, &places[i]);
        sleep_ms(70);
    }
    for (int i = 0; i < N; i++)
        wait_status(sale, places[i], 1, 6000);
    for (int i = 0; i < N; i++) {
        assert_int_equal(order_state(orders[i]), 5);
        assert_int_equal(sql_number("SELECT cancel_reason FROM orders WHERE order_no = %lld", (long long)orders[i]), 2);
        assert_int_equal(sql_number("SELECT count(*) FROM outbox WHERE aggregate_id = %lld", (long long)orders[i]), 2);
    }
    assert_int_equal(sql_number("SELECT count(*) FROM orders WHERE show_id = %lld AND cancelled_at < release_at",
                                (long long)sale->show_id),
                     0);
    worst = sql_number(
        "SELECT (max(extract(epoch FROM cancelled_at - release_at)) * 1000)::int8 FROM orders WHERE show_id = %lld",
        (long long)sale->show_id);
    print_message("latest end: %lld ms after the release\n", (long long)worst);
    assert_true(worst < 2000);
    check_agreement(sale);
}

/* A place is free to others only after its order's row says so. */
static void a_freed_place_is_sold_again(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&brief);
    int32_t place;
    int64_t first = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place), second = 0;
    int64_t until = tf_mono_us() + 6 * (int64_t)TF_US_PER_S;

    (void)state;
    while (!second) {
        struct purchase_try purchase = {.user_id = 2, .places = &place, .n_places = 1};
        struct commit_answer answer;
        struct hold hold;
        tf_ctx ctx;

        assert_true(tf_mono_us() < until);
        rooms_ctx(&ctx, 5000);
        ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &hold));
        if (hold.result == HOLD_TAKEN) {
            ASSERT_OK(&ctx, commit_order(&ctx, order_of_hold(&ctx, sale, &purchase, &hold), &answer));
            assert_int_equal(answer.result, COMMIT_OK);
            second = answer.order_no;
        }
        tf_ctx_done(&ctx);
        sleep_ms(2);
    }
    assert_int_equal(order_state(first), 5);
    assert_int_equal(order_state(second), 1);
    check_agreement(sale);
}

static void paid_in_time_is_never_ended(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&brief);
    int32_t place;
    int64_t order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place);

    (void)state;
    change(sale, order, 2, true);
    wait_status(sale, place, 3, 3000);
    sleep_ms(2500);
    assert_int_equal(order_state(order), 2);
    assert_int_equal(place_status(sale, place), 3);
    check_agreement(sale);
}

/* Paid, but Redis was never told (the row of settle_queue lost): the due time finds it. */
static void the_due_time_repairs_a_lost_word(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&brief);
    int32_t place;
    int64_t order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place);

    (void)state;
    sql_do("UPDATE orders SET state = 2 WHERE order_no = %lld", (long long)order);
    assert_int_equal(place_status(sale, place), 2);
    wait_status(sale, place, 3, 6000);
    check_agreement(sale);
}

/* ---- intents
 * ---------------------------------------------------------------------------------------------------------------- */

static void a_hold_without_commit_ends_as_a_tombstone(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    struct purchase_try purchase = {.user_id = 1, .count = 2};
    struct commit_answer answer;
    struct hold hold;
    tf_ctx ctx;

    (void)state;
    rooms_ctx(&ctx, 20000);
    ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &hold));
    assert_int_equal(place_status(sale, hold.place_nos[0]), 2);
    wait_status(sale, hold.place_nos[0], 1, 5000);
    assert_int_equal(order_state(hold.order_no), 9);
    ASSERT_OK(&ctx, commit_order(&ctx, order_of_hold(&ctx, sale, &purchase, &hold), &answer));
    assert_int_equal(answer.result, COMMIT_TOMBSTONE);
    tf_ctx_done(&ctx);
    check_agreement(sale);
}

/* The confirm got lost: the intent comes due, the row says PENDING, and the due time becomes the release. */
static void a_lost_confirm_costs_one_settling(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int32_t place;
    int64_t order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place);
    char due[64], member[64], score[64];

    (void)state;
    snprintf(due, sizeof(due), "tf:{%d}:due", inventory_partition(sale->bucket));
    snprintf(member, sizeof(member), "%lld:%lld", (long long)sale->show_id, (long long)order);
    snprintf(score, sizeof(score), "%lld.5", (long long)(tf_now_us() / 1000));
    redis_number("ZADD", due, score, member, NULL);
    sleep_ms(1500);
    assert_int_equal(order_state(order), 1);
    assert_int_equal(place_status(sale, place), 2);
    assert_int_equal(redis_number("ZCOUNT", due, "-inf", score, NULL), 0);
    assert_int_equal(redis_number("ZREM", due, member, NULL), 1);
}

/* ---- settle_queue
 * ------------------------------------------------------------------------------------------------------------ */

static void changes_reach_redis_by_the_queue(void **state)
{
    static const struct {
        const char *name;
        int order_state;
        bool live;
        int status;
    } rows[] = {
        {"paid", 2, true, 3},
        {"cancelled by the buyer", 5, false, 1},
        {"refunded", 4, false, 1},
    };
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int32_t place;
        int64_t order = buy_now(sale, &(struct purchase_try){.user_id = (int64_t)i + 1, .count = 2}, &place);
        int used;
        tf_ctx ctx;

        print_message("%s\n", rows[i].name);
        change(sale, order, rows[i].order_state, rows[i].live);
        wait_status(sale, place, rows[i].status, 3000);
        assert_int_equal(place_status(sale, place + 1), rows[i].status);
        rooms_ctx(&ctx, 5000);
        ASSERT_OK(&ctx, inventory_used(&ctx, sale, (int64_t)i + 1, &used));
        assert_int_equal(used, rows[i].live ? 2 : 0);
        tf_ctx_done(&ctx);
    }
    for (int i = 0; i < 100 && queued(); i++)
        sleep_ms(20);
    assert_int_equal(queued(), 0);
    check_agreement(sale);
}

static void a_queue_row_waits_for_redis(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int32_t place;
    int64_t order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place);

    (void)state;
    rooms_redis_stop();
    change(sale, order, 5, false);
    sleep_ms(1500);
    assert_int_equal(queued(), 1);
    rooms_redis_start(false);
    wait_status(sale, place, 1, 8000);
    for (int i = 0; i < 200 && queued(); i++)
        sleep_ms(20);
    assert_int_equal(queued(), 0);
    check_agreement(sale);
}

/* What was read belongs to a raised epoch; the inventory is older: STALE keeps the row until the rebuild. */
static void a_stale_inventory_keeps_the_row(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int32_t place;
    int64_t order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place);

    (void)state;
    sql_do("UPDATE inventory SET epoch = epoch + 1 WHERE show_id = %lld", (long long)sale->show_id);
    change(sale, order, 5, false);
    sleep_ms(700);
    assert_int_equal(queued(), 1);
    assert_int_equal(place_status(sale, place), 2);
    wait_status(sale, place, 1, 8000); /* STALE starts the rebuild after 3 s */
    for (int i = 0; i < 200 && queued(); i++)
        sleep_ms(20);
    assert_int_equal(queued(), 0);
    check_agreement(sale);
}

/* Paid; while Redis is being told, refunded: the word about the refund must not be deleted with the other. */
static void a_row_written_again_meanwhile_stays(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int32_t place;
    int64_t order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place);

    (void)state;
    redis_number("CLIENT", "PAUSE", "1500", "ALL", NULL);
    change(sale, order, 2, true);
    sleep_ms(500); /* read, and waiting for Redis */
    sql_do("UPDATE orders SET state = 4 WHERE order_no = %lld", (long long)order);
    sql_do("UPDATE tickets SET live = false WHERE order_no = %lld", (long long)order);
    sql_do("UPDATE settle_queue SET created_at = clock_timestamp() WHERE order_no = %lld", (long long)order);
    sleep_ms(1500);
    wait_status(sale, place, 1, 4000);
    check_agreement(sale);
}

/* ---- without Redis
 * ------------------------------------------------------------------------------------------------------------ */

static void holds_end_without_redis(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int32_t place;
    int64_t order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place);

    (void)state;
    rooms_redis_stop();
    sql_do("UPDATE orders SET release_at = clock_timestamp() - interval '11 seconds' WHERE order_no = %lld",
           (long long)order);
    for (int i = 0; i < 400 && order_state(order) != 5; i++)
        sleep_ms(20);
    assert_int_equal(order_state(order), 5);
    rooms_redis_start(true);
    wait_status(sale, place, 1, 8000);
    check_agreement(sale);
}

static void old_tombstones_go(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);

    (void)state;
    sql_do("INSERT INTO orders (bucket, order_no, show_id, state, created_at) VALUES (1, 501, %lld, 9, now() - "
           "interval '8 days'),"
           " (1, 502, %lld, 9, now() - interval '6 days')",
           (long long)sale->show_id, (long long)sale->show_id);
    for (int i = 0; i < 200 && order_state(501); i++)
        sleep_ms(20);
    assert_int_equal(order_state(501), 0);
    assert_int_equal(order_state(502), 9);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_end_never_early_and_soon),
        cmocka_unit_test(a_freed_place_is_sold_again),
        cmocka_unit_test(paid_in_time_is_never_ended),
        cmocka_unit_test(the_due_time_repairs_a_lost_word),
        cmocka_unit_test(a_hold_without_commit_ends_as_a_tombstone),
        cmocka_unit_test(a_lost_confirm_costs_one_settling),
        cmocka_unit_test(changes_reach_redis_by_the_queue),
        cmocka_unit_test(a_queue_row_waits_for_redis),
        cmocka_unit_test(a_row_written_again_meanwhile_stays),
        cmocka_unit_test(a_stale_inventory_keeps_the_row),
        cmocka_unit_test(holds_end_without_redis),
        cmocka_unit_test(old_tombstones_go),
    };

    return cmocka_run_group_tests(tests, rooms_start, rooms_stop);
}
