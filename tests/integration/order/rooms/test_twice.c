/* What happens twice, late or not at all: backends ended at any moment of a batch, batches that arrive after the world
 * went on, entries of the settling stream lost and doubled. */
#include "tests/integration/order/rooms/rooms.h"

#include "common/chassis/app_internal.h"

#include <stdio.h>

static const struct test_show plain = {.rows = 40, .row_places = 30};

static int64_t order_state(int64_t order)
{
    return sql_number("SELECT state FROM orders WHERE order_no = %lld", (long long)order);
}

/* ---- backends ended at any moment
 * ---------------------------------------------------------------------------------------- */

struct seller {
    pthread_t thread;
    const struct sale *sale;
    int64_t user;
    atomic_bool *stop;
    int sold, unknown;
    bool lied; /* an order was answered with a number that was not held */
};

static void *sell(void *arg)
{
    struct seller *seller = arg;

    while (!atomic_load(seller->stop)) {
        struct commit_answer answer;
        struct hold hold;
        tf_ctx ctx;
        tf_code code;

        rooms_ctx(&ctx, 10000);
        code = try_hold(&ctx, seller->sale, &(struct purchase_try){.user_id = seller->user, .count = 1}, &hold);
        if (!code && hold.result == HOLD_TAKEN) {
            struct purchase_try purchase = {.user_id = seller->user, .count = 1};

            code = commit_order(&ctx, order_of_hold(&ctx, seller->sale, &purchase, &hold), &answer);
            if (code)
                seller->unknown++;
            else if (answer.result != COMMIT_OK && answer.result != COMMIT_DUPLICATE)
                seller->lied = true;
            else
                seller->sold++;
            if (!code && answer.order_no != hold.order_no) seller->lied = true;
        }
        tf_ctx_done(&ctx);
    }
    return NULL;
}

/* The backend that runs the batch is ended again and again, at moments that wander through the whole of it. */
static void backends_ended_at_any_moment_lose_and_repeat_nothing(void **state)
{
    enum { SELLERS = 5, KILLS_MIN = 25, ROUNDS_MAX = 2000 };
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static struct seller sellers[SELLERS];
    atomic_bool stop = false;
    int64_t kills = 0;
    int sold = 0;

    (void)state;
    order_config.intent_ms = 20000; /* no tombstone overtakes a batch that waits for PostgreSQL */
    for (int i = 0; i < SELLERS; i++) {
        sellers[i] = (struct seller){.sale = sale, .user = 5000 + i, .stop = &stop};
        assert_int_equal(pthread_create(&sellers[i].thread, NULL, sell, &sellers[i]), 0);
    }
    for (int round = 0; round < ROUNDS_MAX && kills < KILLS_MIN; round++) {
        sleep_ms(20);
        kills += sql_number(
            "SELECT count(*) FROM (SELECT pg_terminate_backend(pid), pg_sleep(0.0003 * %d) FROM pg_stat_activity"
            " WHERE state = 'active' AND query LIKE '%%FROM commit_orders%%' AND pid <> pg_backend_pid()) k",
            round % 7);
    }
    sleep_ms(300);
    atomic_store(&stop, true);
    for (int i = 0; i < SELLERS; i++) {
        pthread_join(sellers[i].thread, NULL);
        assert_false(sellers[i].lied);
        assert_int_equal(sellers[i].unknown, 0);
        sold += sellers[i].sold;
    }
    order_config.intent_ms = rooms_config.intent_ms;
    print_message("%d orders, %lld backends ended in the middle of a batch\n", sold, (long long)kills);
    assert_true(kills >= KILLS_MIN);
    assert_true(sold > 20);
    assert_int_equal(sql_number("SELECT count(*) FROM orders WHERE show_id = %lld", (long long)sale->show_id), sold);
    assert_int_equal(sql_number("SELECT count(*) FROM tickets WHERE show_id = %lld AND live", (long long)sale->show_id),
                     sold);
    assert_int_equal(sql_number("SELECT count(*) FROM outbox WHERE aggregate_id IN (SELECT order_no FROM orders WHERE "
                                "show_id = %lld)",
                                (long long)sale->show_id),
                     sold);
    check_agreement(sale);
}

/* ---- a batch that slept
 * ------------------------------------------------------------------------------------------------------ */

struct sleeper {
    pthread_t thread;
    const struct new_order *order;
    tf_code code;
    struct commit_answer answer;
};

static void *commit_it(void *arg)
{
    struct sleeper *sleeper = arg;
    tf_ctx ctx;

    rooms_ctx(&ctx, 20000);
    sleeper->code = commit_order(&ctx, sleeper->order, &sleeper->answer);
    tf_ctx_done(&ctx);
    return NULL;
}

/* The wire to PostgreSQL stands still with the batch on it, while others raise the epoch or settle the order. */
static void a_batch_on_the_wire_meets_a_changed_world(void **state)
{
    static const struct {
        const char *name;
        bool raise, tombstone;
        enum commit_result result;
    } rows[] = {
        {"nothing happened", false, false, COMMIT_OK},
        {"a raise", true, false, COMMIT_EPOCH},
        {"a tombstone", false, true, COMMIT_TOMBSTONE},
        {"both", true, true, COMMIT_TOMBSTONE},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
        struct purchase_try purchase = {.user_id = 1, .count = 2};
        struct sleeper sleeper = {0};
        struct hold hold;
        tf_ctx ctx;

        print_message("%s\n", rows[i].name);
        order_config.intent_ms = 60000;
        rooms_ctx(&ctx, 30000);
        ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &hold));
        sleeper.order = order_of_hold(&ctx, sale, &purchase, &hold);
        proxy_set(rooms_proxy, PROXY_FREEZE);
        assert_int_equal(pthread_create(&sleeper.thread, NULL, commit_it, &sleeper), 0);
        sleep_ms(300);
        if (rows[i].raise)
            sql_do("UPDATE inventory SET epoch = epoch + 1 WHERE show_id = %lld", (long long)sale->show_id);
        if (rows[i].tombstone)
            sql_do("SELECT count(*) FROM settle_orders(ARRAY[%d]::int2[], ARRAY[%lld]::int8[], ARRAY[%lld]::int8[], "
                   "ARRAY[0]::int8[], ARRAY['']::bytea[])",
                   sale->bucket, (long long)hold.order_no, (long long)sale->show_id);
        proxy_set(rooms_proxy, PROXY_PASS);
        pthread_join(sleeper.thread, NULL);
        assert_int_equal(sleeper.code, TF_OK);
        assert_int_equal(sleeper.answer.result, rows[i].result);
        assert_int_equal(
            sql_number("SELECT count(*) FROM tickets WHERE show_id = %lld AND live", (long long)sale->show_id),
            rows[i].result == COMMIT_OK ? 2 : 0);
        order_config.intent_ms = rooms_config.intent_ms;
        tf_ctx_done(&ctx);
    }
}

/* ---- the stream of delayed settlements
 * ---------------------------------------------------------------------------------------- */

/* The stream bears the digest of the library; there is one version of it here. */
static void find_stream(char name[static 64])
{
    tf_redis_reply *reply;
    tf_ctx ctx;

    rooms_ctx(&ctx, 5000);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, tf_app_redis(rooms_app), &reply, "KEYS", "tf:settle:*", NULL));
    assert_int_equal(reply->n_items, 1);
    snprintf(name, 64, "%s", reply->items[0]->text);
    tf_ctx_done(&ctx);
}

/* Whole streams are deleted under the workers while holds end: what was in them comes due again by its lease. Others
 * come ten times. Every order ends once. */
static void lost_and_doubled_entries_change_nothing(void **state)
{
    enum { N = 16, COPIES = 10 };
    tf_cleanup(sale_unrefp) struct sale *sale =
        show_new(&(struct test_show){.rows = 8, .row_places = 20, .hold_seconds = 2});
    char stream[64], entry[64];
    int32_t places[N];
    int64_t orders[N], until;

    (void)state;
    for (int i = 0; i < N; i++)
        orders[i] = buy_now(sale, &(struct purchase_try){.user_id = 100 + i, .count = 1}, &places[i]);
    find_stream(stream);
    for (int i = 0; i < N / 2; i++) /* before their time, and far too often */
        for (int copy = 0; copy < COPIES; copy++) {
            snprintf(entry, sizeof(entry), "%lld:%lld", (long long)sale->show_id, (long long)orders[i]);
            redis_number("XADD", stream, "*", "d", entry, NULL);
        }
    sleep_ms(500);
    for (int i = 0; i < N; i++)
        assert_int_equal(order_state(orders[i]), 1); /* an entry is a hint: nothing ends before its time */
    until = tf_mono_us() + 3 * (int64_t)TF_US_PER_S;
    while (tf_mono_us() < until) { /* while they come due */
        redis_number("DEL", stream, NULL);
        sleep_ms(5);
    }
    for (int i = 0; i < N; i++)
        wait_status(sale, places[i], 1, 16000);
    for (int i = 0; i < N; i++) {
        assert_int_equal(order_state(orders[i]), 5);
        assert_int_equal(sql_number("SELECT count(*) FROM outbox WHERE aggregate_id = %lld", (long long)orders[i]), 2);
    }
    check_agreement(sale);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(backends_ended_at_any_moment_lose_and_repeat_nothing),
        cmocka_unit_test(a_batch_on_the_wire_meets_a_changed_world),
        cmocka_unit_test(lost_and_doubled_entries_change_nothing),
    };

    /* Ends of holds are the stream's work here, not the safety net's. */
    rooms_config.safety_net_s = 3600;
    return cmocka_run_group_tests(tests, rooms_start, rooms_stop);
}
