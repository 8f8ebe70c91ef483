/* The inventory from PostgreSQL: what a rebuild brings back, when it happens by itself, and how long 50,000 places
 * take. */
#include "tests/integration/order/rooms/rooms.h"

#include "common/base/id.h"
#include "common/chassis/app_internal.h"

#include <stdio.h>

static const struct test_show plain = {.rows = 10, .row_places = 20, .standing = 50, .blocked = 3};

static void rebuild(const struct sale *sale)
{
    tf_ctx ctx;

    rooms_ctx(&ctx, 20000);
    ASSERT_OK(&ctx, inventory_rebuild(&ctx, sale->show_id));
    tf_ctx_done(&ctx);
}

static void set_state(int64_t order, int state)
{
    sql_do("UPDATE orders SET state = %d WHERE order_no = %lld", state, (long long)order);
}

static void void_place(int64_t order, int32_t place)
{
    sql_do("UPDATE tickets SET live = false WHERE order_no = %lld AND place_no = %d", (long long)order, (int)place);
}

static enum hold_result hold_result(const struct sale *sale, const struct purchase_try *purchase, struct hold *ret_hold)
{
    struct hold hold;
    tf_ctx ctx;

    rooms_ctx(&ctx, 5000);
    ASSERT_OK(&ctx, try_hold(&ctx, sale, purchase, &hold));
    tf_ctx_done(&ctx);
    if (ret_hold) *ret_hold = hold;
    return hold.result;
}

static int64_t epoch_of(const struct sale *sale)
{
    return sql_number("SELECT epoch FROM inventory WHERE show_id = %lld", (long long)sale->show_id);
}

/* ---- what comes back
 * ------------------------------------------------------------------------------------------------- */

static void everything_that_lives_comes_back(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int32_t held, paid, over, part, gone;
    int64_t held_no, paid_no, over_no, part_no, gone_no;
    struct hold hold;
    char member[64], due[64];

    (void)state;
    order_config.safety_net_s = 3600; /* of the next start; this one looks every second and is outrun below */
    held_no = buy_now(sale, &(struct purchase_try){.user_id = 1, .key = "held-held", .count = 2}, &held);
    paid_no = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &paid);
    part_no = buy_now(sale, &(struct purchase_try){.user_id = 2, .count = 3}, &part);
    gone_no = buy_now(sale, &(struct purchase_try){.user_id = 3, .count = 1}, &gone);
    over_no = buy_now(sale, &(struct purchase_try){.user_id = 4, .count = 1}, &over);
    set_state(paid_no, 2);
    set_state(part_no, 3);
    void_place(part_no, part);
    set_state(gone_no, 5);
    void_place(gone_no, gone);
    sql_do("UPDATE orders SET release_at = clock_timestamp() + interval '2 seconds' WHERE order_no = %lld",
           (long long)over_no);
    hold_result(sale, &(struct purchase_try){.user_id = 5, .count = 1}, &hold); /* an old hold: dies */

    rebuild(sale);
    check_agreement(sale);
    assert_int_equal(place_status(sale, held), 2);
    assert_int_equal(place_status(sale, paid), 3);
    assert_int_equal(place_status(sale, part), 1);
    assert_int_equal(place_status(sale, part + 1), 3);
    assert_int_equal(place_status(sale, gone), 1);
    assert_int_equal(place_status(sale, hold.place_nos[0]), 1);

    /* Limits are recounted, buyers are known, keys find their orders. */
    for (int64_t user = 1; user <= 4; user++) {
        static const int used[] = {0, 3, 2, 0, 1};
        tf_ctx ctx;
        int n;

        rooms_ctx(&ctx, 5000);
        ASSERT_OK(&ctx, inventory_used(&ctx, sale, user, &n));
        assert_int_equal(n, used[user]);
        tf_ctx_done(&ctx);
    }
    assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 1, .key = "held-held", .count = 2}, &hold),
                     HOLD_AGAIN);
    assert_int_equal(hold.order_no, held_no);
    assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 3, .places = &paid, .n_places = 1}, &hold),
                     HOLD_PLACES_TAKEN);
    assert_true(hold.known);
    assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 6, .places = &paid, .n_places = 1}, &hold),
                     HOLD_PLACES_TAKEN);
    assert_false(hold.known);

    /* The pending order kept its due time, and ends by it. */
    snprintf(member, sizeof(member), "%lld:%lld", (long long)sale->show_id, (long long)over_no);
    snprintf(due, sizeof(due), "tf:{%d}:due", inventory_partition(sale->bucket));
    assert_true(redis_number("ZSCORE", due, member, NULL) > 0);
    wait_status(sale, over, 1, 6000);
    assert_int_equal(sql_number("SELECT state FROM orders WHERE order_no = %lld", (long long)over_no), 5);
    check_agreement(sale);
}

static void an_order_past_its_release_is_loaded_and_then_settled(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int32_t place;
    int64_t order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, &place);

    (void)state;
    sql_do("UPDATE orders SET release_at = clock_timestamp() - interval '5 seconds' WHERE order_no = %lld",
           (long long)order);
    rebuild(sale);
    wait_status(sale, place, 1, 5000);
    assert_int_equal(sql_number("SELECT state FROM orders WHERE order_no = %lld", (long long)order), 5);
    check_agreement(sale);
}

static void blocks_persons_and_pending_orders_come_back(void **state)
{
    struct test_show rule = {.rows = 4, .row_places = 10, .real_name = true, .one_pending_order = true};
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&rule);
    static const char *const anna[] = {"a11a"}, *const ben[] = {"be11"};
    static const int32_t block[] = {48, 49};
    int64_t order;
    struct hold hold;

    (void)state;
    order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1, .persons = anna}, NULL);
    sql_do("INSERT INTO orders (bucket, order_no, kind, show_id, user_id, request_id, state, created_at, n_tickets)"
           " VALUES (%d, %lld, 2, %lld, 99, 'a-block', 2, now(), 2)",
           sale->bucket, (long long)sale->show_id, (long long)sale->show_id);
    for (size_t i = 0; i < TF_COUNT(block); i++)
        sql_do("INSERT INTO tickets (bucket, order_no, place_no, ticket_id, show_id, tier, price_minor) VALUES (%d, "
               "%lld, %d, %lld, %lld, 1, 0)",
               sale->bucket, (long long)sale->show_id, (int)block[i], (long long)tf_now_us(), (long long)sale->show_id);
    rebuild(sale);
    check_agreement(sale);
    assert_int_equal(place_status(sale, 48), 0);

    assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 2, .count = 1, .persons = anna}, &hold),
                     HOLD_PERSON);
    assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 1, .count = 1, .persons = ben}, &hold),
                     HOLD_PENDING_ORDER);
    assert_int_equal(hold.pending_order_no, order);
    assert_int_equal(
        hold_result(sale,
                    &(struct purchase_try){
                        .user_id = 2, .places = block, .n_places = 2, .persons = (const char *const[]){"c", "d"}},
                    &hold),
        HOLD_PLACES_TAKEN);
    assert_int_equal(hold.n_taken, 2);
    assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 99, .count = 1, .persons = ben}, &hold),
                     HOLD_TAKEN);
}

/* ---- when it happens
 * ---------------------------------------------------------------------------------------------------- */

static void a_demand_on_a_closed_show_rebuilds_it(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int64_t epoch = epoch_of(sale);
    struct hold hold;
    int32_t place;

    (void)state;
    buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 2}, &place);
    redis_number("FLUSHALL", NULL);
    assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 2, .count = 1}, &hold), HOLD_CLOSED);
    for (int i = 0; i < 100 && epoch_of(sale) == epoch; i++) /* no reader asks: the hold alone did */
        sleep_ms(20);
    assert_int_equal(epoch_of(sale), epoch + 1);
    wait_status(sale, place, 2, 3000);
    assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 2, .places = &place, .n_places = 1}, &hold),
                     HOLD_PLACES_TAKEN);
    check_agreement(sale);
}

static void a_restarted_redis_is_rebuilt_without_being_asked(void **state)
{
    for (int keep = 0; keep < 2; keep++) {
        tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
        int32_t place;
        tf_ctx ctx;
        int64_t order = buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 2}, &place);
        int64_t epoch = epoch_of(sale);

        (void)state;
        rooms_redis_stop();
        rooms_ctx(&ctx, 1000);
        assert_int_not_equal(try_hold(&ctx, sale, &(struct purchase_try){.user_id = 2, .count = 1}, &(struct hold){0}),
                             TF_OK);
        tf_ctx_done(&ctx);
        rooms_redis_start(keep);
        for (int i = 0; i < 100 && epoch_of(sale) == epoch; i++)
            sleep_ms(50);
        assert_int_equal(epoch_of(sale), epoch + 1);
        wait_status(sale, place, 2, 5000);
        check_agreement(sale);
        assert_int_equal(sql_number("SELECT state FROM orders WHERE order_no = %lld", (long long)order), 1);
    }
}

static void other_terms_are_followed(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    struct test_show changed = plain;
    struct hold hold;

    (void)state;
    changed.version = 2;
    changed.account_limit = 1;
    tf_cleanup(sale_unrefp) struct sale *newer = show_change(sale, &changed);
    assert_int_equal(hold_result(newer, &(struct purchase_try){.user_id = 1, .count = 1}, &hold), HOLD_TERMS);
    inventory_rebuild_soon(sale->show_id);
    for (int i = 0; i < 100 && hold.result == HOLD_TERMS; i++) {
        sleep_ms(50);
        hold_result(newer, &(struct purchase_try){.user_id = 1, .count = 1}, &hold);
    }
    assert_true(hold.result == HOLD_TAKEN);
    assert_int_equal(hold_result(newer, &(struct purchase_try){.user_id = 1, .count = 1}, &hold), HOLD_ACCOUNT_LIMIT);
    assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 2, .count = 1}, &hold), HOLD_TERMS);
}

static void the_sale_state_follows_the_fence(void **state)
{
    static const enum hold_result results[] = {HOLD_TAKEN, HOLD_TAKEN, HOLD_PAUSED, HOLD_WITHDRAWN};
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    struct hold hold;

    (void)state;
    for (int s = 1; s <= 3; s++) {
        tf_ctx ctx;

        sql_do("UPDATE inventory SET sale_state = %d WHERE show_id = %lld", s, (long long)sale->show_id);
        rooms_ctx(&ctx, 5000);
        ASSERT_OK(&ctx, inventory_set_sale_state(&ctx, sale->show_id,
                                                 s == 2 ? 1 : s)); /* a wrong word is put right by the fence */
        tf_ctx_done(&ctx);
        assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = s, .count = 1}, &hold), results[s]);
        rebuild(sale);
        assert_int_equal(hold_result(sale, &(struct purchase_try){.user_id = 10 + s, .count = 1}, &hold), results[s]);
    }
}

/* Who paused or resumed the show died, or Redis did not hear him: the next look at the show repairs it. */
static void a_lost_word_about_the_sale_state_is_repaired(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int64_t epoch = epoch_of(sale);

    (void)state;
    for (int s = 2; s >= 1; s--) {
        enum hold_result expected = s == 2 ? HOLD_PAUSED : HOLD_TAKEN, result = HOLD_CLOSED;
        struct hold hold;

        sql_do("UPDATE inventory SET sale_state = %d WHERE show_id = %lld", s, (long long)sale->show_id);
        inventory_rebuild_soon(sale->show_id);
        for (int i = 0; i < 100 && result != expected; i++) {
            sleep_ms(20);
            result = hold_result(sale, &(struct purchase_try){.user_id = 20 + i, .count = 1}, &hold);
        }
        assert_int_equal(result, expected);
    }
    assert_int_equal(epoch_of(sale), epoch); /* without a new generation */
}

static void *rebuild_in_thread(void *arg)
{
    rebuild(arg);
    return NULL;
}

static void rebuilds_at_once_are_few(void **state)
{
    enum { N = 8 };
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int64_t epoch = epoch_of(sale);
    pthread_t threads[N];

    (void)state;
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rebuild_in_thread, sale), 0);
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(epoch_of(sale) - epoch, 1, N / 2); /* one under way, one for all who came meanwhile */
    check_agreement(sale);
}

/* Somebody raised the epoch and died before begin: nothing answers CLOSED, no commit succeeds. */
static void a_raise_left_behind_is_taken_over(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    struct purchase_try purchase = {.user_id = 1, .count = 1};
    struct commit_answer answer = {.result = COMMIT_EPOCH};
    int64_t began = tf_mono_us();
    tf_ctx ctx;

    (void)state;
    order_config.intent_ms = 60000; /* no settling finds it first */
    sql_do("UPDATE inventory SET epoch = epoch + 1 WHERE show_id = %lld", (long long)sale->show_id);
    while (answer.result == COMMIT_EPOCH) {
        struct hold hold;

        assert_true(tf_mono_us() - began < 10 * (int64_t)TF_US_PER_S);
        rooms_ctx(&ctx, 5000);
        ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &hold));
        if (hold.result == HOLD_TAKEN)
            ASSERT_OK(&ctx, commit_order(&ctx, order_of_hold(&ctx, sale, &purchase, &hold), &answer));
        tf_ctx_done(&ctx);
        sleep_ms(50);
    }
    order_config.intent_ms = 1000;
    assert_int_equal(answer.result, COMMIT_OK);
}

/* An epoch in PostgreSQL that is behind Redis (recovery to a point in time): the next one is beyond both. */
static void an_epoch_behind_redis_is_overtaken(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);

    (void)state;
    for (int i = 0; i < 4; i++)
        rebuild(sale);
    sql_do("UPDATE inventory SET epoch = 0 WHERE show_id = %lld", (long long)sale->show_id);
    rebuild(sale);
    assert_true(epoch_of(sale) >= 6);
    buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 1}, NULL);
}

/* The index promises what the map does not have (somebody wrote into the key): an alarm, and a rebuild. */
static void a_map_that_contradicts_itself_is_rebuilt(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    char key[64];
    struct hold hold;
    tf_ctx ctx;

    (void)state;
    snprintf(key, sizeof(key), "tf:{%d}:%lld:m", inventory_partition(sale->bucket), (long long)sale->show_id);
    for (int at = 64; at < 64 + 40; at += 8) {
        char offset[16];

        snprintf(offset, sizeof(offset), "%d", at * 8);
        redis_number("BITFIELD", key, "SET", "i64", offset, "0", NULL);
    }
    rooms_ctx(&ctx, 5000);
    ASSERT_CODE(&ctx, try_hold(&ctx, sale, &(struct purchase_try){.user_id = 1, .count = 2}, &hold), TF_INTERNAL);
    tf_ctx_done(&ctx);
    wait_status(sale, 40, 1, 5000);
    buy_now(sale, &(struct purchase_try){.user_id = 1, .count = 2}, NULL);
    check_agreement(sale);
}

static void nobody_rebuilds_an_unknown_show(void **state)
{
    tf_ctx ctx;

    (void)state;
    rooms_ctx(&ctx, 5000);
    ASSERT_CODE(&ctx, inventory_rebuild(&ctx, 4242), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
}

/* ---- during sales
 * ------------------------------------------------------------------------------------------------------- */

struct seller {
    pthread_t thread;
    const struct sale *sale;
    int64_t user;
    atomic_bool *stop;
    int sold;
};

static void *sell(void *arg)
{
    struct seller *seller = arg;

    while (!atomic_load(seller->stop)) {
        struct purchase_try purchase = {.user_id = seller->user, .count = 1 + seller->sold % 3};
        struct commit_answer answer;
        struct hold hold;
        tf_ctx ctx;

        rooms_ctx(&ctx, 5000);
        if (!try_hold(&ctx, seller->sale, &purchase, &hold) && hold.result == HOLD_TAKEN &&
            !commit_order(&ctx, order_of_hold(&ctx, seller->sale, &purchase, &hold), &answer) &&
            answer.result == COMMIT_OK)
            seller->sold++;
        tf_ctx_done(&ctx);
        sleep_ms(1);
    }
    return NULL;
}

/* Redis emptied and epochs raised while orders run: every order that was answered lives, no place twice, both stores
 * agree. */
static void sales_go_on_over_losses_and_rebuilds(void **state)
{
    enum { SELLERS = 6 };
    struct test_show large = {.rows = 60, .row_places = 40, .account_limit = 1000};
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&large);
    static struct seller sellers[SELLERS];
    atomic_bool stop = false;
    int sold = 0;

    (void)state;
    for (int i = 0; i < SELLERS; i++) {
        sellers[i] = (struct seller){.sale = sale, .user = 1000 + i, .stop = &stop};
        assert_int_equal(pthread_create(&sellers[i].thread, NULL, sell, &sellers[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        sleep_ms(250);
        if (i % 3 == 0)
            redis_number("FLUSHALL", NULL);
        else
            rebuild(sale);
    }
    sleep_ms(500);
    atomic_store(&stop, true);
    for (int i = 0; i < SELLERS; i++) {
        pthread_join(sellers[i].thread, NULL);
        sold += sellers[i].sold;
    }
    print_message("%d orders over 6 losses and rebuilds\n", sold);
    assert_true(sold > 20);
    assert_int_equal(
        sql_number("SELECT count(*) FROM orders WHERE show_id = %lld AND state = 1", (long long)sale->show_id), sold);
    assert_int_equal(sql_number("SELECT count(*) - count(DISTINCT place_no) FROM tickets WHERE show_id = %lld AND live",
                                (long long)sale->show_id),
                     0);
    sleep_ms(2500); /* intents that were never committed end */
    check_agreement(sale);
}

/* From the loss of everything to the next place taken, by buyers who come back every 20 ms; in microseconds. */
static int64_t pause_after_loss(const struct sale *sale, int64_t user)
{
    int64_t began;
    struct hold hold;

    redis_number("FLUSHALL", NULL);
    began = tf_mono_us();
    while (hold_result(sale, &(struct purchase_try){.user_id = user, .count = 1}, &hold) != HOLD_TAKEN) {
        assert_true(tf_mono_us() - began < 30 * (int64_t)TF_US_PER_S);
        sleep_ms(20);
    }
    return tf_mono_us() - began;
}

static void fifty_thousand_places_in_time(void **state)
{
    struct test_show huge = {.rows = 600, .row_places = 84};
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&huge);
    int64_t times[5], pauses[3], live;

    (void)state;
    sql_do("INSERT INTO orders (bucket, order_no, kind, show_id, organiser_id, user_id, request_id, body_hash, state, "
           "created_at, release_at, n_tickets)"
           " SELECT %d, %lld + n, 1, %lld, 11, n %% 9000, 'bulk-' || n, '0123456789abcdef0123456789abcdef', 1 + n %% "
           "2, now(), now() + interval '1 hour', 2"
           " FROM generate_series(1, 22500) n",
           sale->bucket, (long long)sale->show_id, (long long)sale->show_id);
    sql_do("INSERT INTO tickets (bucket, order_no, place_no, ticket_id, show_id, tier, price_minor)"
           " SELECT %d, %lld + 1 + (i - 1) / 2, 32 + 96 * ((i - 1) / 84) + (i - 1) %% 84, %lld + i, %lld, 1, 100 FROM "
           "generate_series(1, 45000) i",
           sale->bucket, (long long)sale->show_id, (long long)sale->show_id, (long long)sale->show_id);
    live = sql_number("SELECT count(*) FROM tickets WHERE show_id = %lld AND live", (long long)sale->show_id);
    assert_int_equal(live, 45000);
    for (size_t i = 0; i < TF_COUNT(times); i++) {
        int64_t began = tf_mono_us();

        rebuild(sale);
        times[i] = tf_mono_us() - began;
        print_message("rebuild of 50,400 places with 45,000 tickets in 22,500 orders: %lld ms\n",
                      (long long)times[i] / 1000);
    }
    check_agreement(sale);
    for (size_t i = 1; i < TF_COUNT(times); i++) /* least of five: other work shares the machine */
        if (times[i] < times[0]) times[0] = times[i];
    for (size_t i = 0; i < TF_COUNT(pauses); i++) {
        pauses[i] = pause_after_loss(sale, 800000 + (int64_t)i);
        print_message("its sales paused %lld ms after a loss of everything\n", (long long)pauses[i] / 1000);
    }
    for (size_t i = 1; i < TF_COUNT(pauses); i++)
        if (pauses[i] < pauses[0]) pauses[0] = pauses[i];
#ifndef TF_SANITIZED
    assert_true(times[0] < TF_US_PER_S);
    assert_true(pauses[0] < 2 * TF_US_PER_S);
#endif
    buy_now(sale, &(struct purchase_try){.user_id = 999999, .count = 2}, NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_lives_comes_back),
        cmocka_unit_test(an_order_past_its_release_is_loaded_and_then_settled),
        cmocka_unit_test(blocks_persons_and_pending_orders_come_back),
        cmocka_unit_test(a_demand_on_a_closed_show_rebuilds_it),
        cmocka_unit_test(a_restarted_redis_is_rebuilt_without_being_asked),
        cmocka_unit_test(other_terms_are_followed),
        cmocka_unit_test(the_sale_state_follows_the_fence),
        cmocka_unit_test(a_lost_word_about_the_sale_state_is_repaired),
        cmocka_unit_test(rebuilds_at_once_are_few),
        cmocka_unit_test(a_raise_left_behind_is_taken_over),
        cmocka_unit_test(an_epoch_behind_redis_is_overtaken),
        cmocka_unit_test(a_map_that_contradicts_itself_is_rebuilt),
        cmocka_unit_test(nobody_rebuilds_an_unknown_show),
        cmocka_unit_test(sales_go_on_over_losses_and_rebuilds),
        cmocka_unit_test(fifty_thousand_places_in_time),
    };

    return cmocka_run_group_tests(tests, rooms_start, rooms_stop);
}
