/* From the map to the stored order: what buyers get, what they are refused, and that a key means one order. */
#include "tests/integration/order/service/harness.h"

#include <pthread.h>
#include <stdatomic.h>

#define PLACES(...) ((const int32_t[]){__VA_ARGS__, 0})

static void test_first_purchase(void **state)
{
    struct fixture_show show = show_on_sale();
    Order *order, *again;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    assert_int_equal(place_status(show.show_id, 34), 1);
    assert_int_equal(place_status(show.show_id, 40), 0);

    as_buyer(&ctx, 7);
    ASSERT_OK(
        &ctx,
        buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(81, 34, 35), .key = "key-first"}, &order));
    assert_int_equal(order->state, ORDER_STATE_PENDING_PAYMENT);
    assert_int_equal(order->total_minor, 2 * 10500 + 6000);
    assert_string_equal(order->currency, "CNY");
    assert_string_equal(order->title, "Swan Lake");
    assert_string_equal(order->venue_name, "Grand Theatre");
    assert_string_equal(order->time_zone, "Asia/Shanghai");
    assert_non_null(strstr(order->local_start, "+08:00"));
    assert_int_equal(order->ticket_count, 3);
    assert_int_equal(order->n_tickets, 3);
    assert_false(order->adjacent);
    assert_true(order->seconds_left > 500 && order->seconds_left <= 570);
    assert_int_equal(order->money_state, MONEY_STATE_NONE);
    assert_int_equal(order->organiser_id, FIXTURE_ORGANISER);
    assert_string_equal(order->places_text, "Stalls, row A, seat 5; Stalls, row A, seat 7; Balcony, 12排, seat 2");
    assert_int_equal(order->tickets[0]->place_no, 34);
    assert_int_equal(order->tickets[0]->state, TICKET_STATE_HELD);
    assert_int_equal(order->tickets[0]->n_price_lines, 2);
    assert_int_equal(order->tickets[0]->price_minor, 10500);
    wait_for_place(show.show_id, 34, 2, 1000); /* readers share an answer for a moment */

    /* The same key, the places in another order: the same order. */
    ASSERT_OK(
        &ctx,
        buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(35, 34, 81), .key = "key-first"}, &again));
    assert_int_equal(again->order_no, order->order_no);
    assert_int_equal(again->tickets[0]->ticket_id, order->tickets[0]->ticket_id);
    /* Another body under it. */
    ASSERT_CODE(&ctx,
                buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(36), .key = "key-first"}, &again),
                TF_KEY_REUSED);
    tf_ctx_done(&ctx);

    /* Another buyer. */
    as_buyer(&ctx, 8);
    assert_int_equal(buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(34, 36, 81)}, &again),
                     TF_PLACES_TAKEN);
    assert_string_equal(error_param(&ctx, "place_nos"), "34,81");
    tf_ctx_done(&ctx);
    assert_int_equal(place_status(show.show_id, 36), 1);
}

static void test_best_available(void **state)
{
    struct fixture_show show = show_on_sale();
    const struct hold_choice choices[] = {{.tier = 1, .count = 3}, {.tier = 3, .count = 2}};
    Order *order;
    tf_ctx ctx;
    int tier1 = 0, tier3 = 0;

    (void)state;
    publish(&show);
    as_buyer(&ctx, 7);
    ASSERT_OK(&ctx, buy(&ctx, &(struct buying){.show_id = show.show_id, .choices = choices, .n_choices = 2}, &order));
    for (size_t i = 0; i < order->n_tickets; i++) {
        tier1 += order->tickets[i]->tier == 1;
        tier3 += order->tickets[i]->tier == 3;
    }
    assert_int_equal(tier1, 3);
    assert_int_equal(tier3, 2);
    assert_true(order->adjacent);
    assert_int_equal(order->total_minor, 3 * 10500 + 2 * 3000);
    tf_ctx_done(&ctx);
}

static void test_limits(void **state)
{
    struct fixture_show show = show_on_sale();
    GetAllowanceRequest request = GetAllowanceRequest_init;
    GetAllowanceResponse *allowance;
    Order *order;
    int64_t first;
    tf_ctx ctx;

    (void)state;
    show.account_limit = 3;
    publish(&show);
    first = bought(7, show.show_id, PLACES(32, 33));

    as_buyer(&ctx, 7);
    assert_int_equal(buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(48, 49)}, &order),
                     TF_LIMIT_EXCEEDED);
    assert_string_equal(error_param(&ctx, "limit_of"), "ACCOUNT");
    assert_string_equal(error_param(&ctx, "limit"), "3");
    assert_string_equal(error_param(&ctx, "left"), "1");
    tf_error_clear(&ctx);
    request.show_id = show.show_id;
    ASSERT_OK(&ctx, call_get_allowance(&ctx, order_client, &request, &allowance));
    assert_int_equal(allowance->account_limit, 3);
    assert_int_equal(allowance->used, 2);
    assert_int_equal(allowance->left, 1);
    assert_int_equal(allowance->pending_order_no, 0);
    tf_ctx_done(&ctx);
    assert_true(first > 0);

    /* One unpaid order at a time, where the show says so. */
    show = show_on_sale();
    show.one_pending_order = true;
    publish(&show);
    first = bought(7, show.show_id, PLACES(32));
    as_buyer(&ctx, 7);
    assert_int_equal(buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(48)}, &order),
                     TF_PENDING_ORDER);
    assert_int_equal(strtoll(error_param(&ctx, "order_no"), NULL, 10), first);
    tf_error_clear(&ctx);
    request.show_id = show.show_id;
    ASSERT_OK(&ctx, call_get_allowance(&ctx, order_client, &request, &allowance));
    assert_int_equal(allowance->pending_order_no, first);
    tf_ctx_done(&ctx);
}

static void test_real_names(void **state)
{
    const struct {
        const char *name;
        int64_t user_id;
        const int32_t *places;
        int64_t attendees[4];
        tf_code code;
        const char *field;
    } rows[] = {
        {"two of one's own", 70, PLACES(32, 33), {702, 701}, TF_OK, NULL},
        {"another's attendee", 71, PLACES(48, 49), {711, 721}, TF_NOT_FOUND, "attendee_ids[1]"},
        {"not verified", 71, PLACES(48), {719}, TF_FIELD_INVALID, "attendee_ids[0]"},
        {"a person who has a ticket by another account",
         71,
         PLACES(48, 49),
         {713, 711},
         TF_LIMIT_EXCEEDED,
         "attendee_ids[1]"},
        {"fewer than places", 71, PLACES(48, 49), {713}, TF_FIELD_INVALID, "attendee_ids"},
        {"somebody without a ticket", 71, PLACES(48), {713}, TF_OK, NULL},
    };
    struct fixture_show show = show_on_sale();

    (void)state;
    show.rule = ATTENDEE_RULE_REAL_NAME;
    publish(&show);
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        Order *order;
        tf_ctx ctx;
        tf_code code;

        as_buyer(&ctx, rows[i].user_id);
        code = buy(&ctx,
                   &(struct buying){.show_id = show.show_id, .places = rows[i].places, .attendees = rows[i].attendees},
                   &order);
        CHECK_TEXT(rows[i].name, tf_code_info(code)->reason, tf_code_info(rows[i].code)->reason);
        if (rows[i].field) CHECK_TEXT(rows[i].name, ctx.error.field, rows[i].field);
        if (i == 0) { /* attendee 702 asked for place 32 */
            assert_int_equal(order->tickets[0]->place_no, 32);
            assert_int_equal(order->tickets[0]->attendee_id, 702);
            assert_string_equal(order->tickets[0]->attendee_name, "Person 2");
            assert_string_equal(order->tickets[0]->attendee_id_masked, "1101**********1234");
        }
        tf_ctx_done(&ctx);
    }
}

static void test_window(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t now_s = tf_now_us() / TF_US_PER_S;
    Order *order;
    tf_ctx ctx;

    (void)state;
    show.opens_s = now_s + 3;
    publish(&show);
    as_buyer(&ctx, 7);
    assert_int_equal(
        buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(32), .key = "early-bird"}, &order),
        TF_SALE_NOT_OPEN);
    assert_non_null(error_param(&ctx, "opens_time"));
    assert_non_null(error_param(&ctx, "server_time"));
    assert_true(ctx.error.retry_after_ms > 0 && ctx.error.retry_after_ms < 6000);
    tf_error_clear(&ctx);
    sleep_ms((int)TF_MAX(0, show.opens_s * 1000 - tf_now_us() / 1000) + 100);
    ASSERT_OK(&ctx,
              buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(32), .key = "early-bird"}, &order));
    tf_ctx_done(&ctx);

    show = show_on_sale();
    show.closes_s = now_s + 4;
    publish(&show);
    as_buyer(&ctx, 7);
    ASSERT_OK(&ctx,
              buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(32), .key = "in-time-1"}, &order));
    sleep_ms((int)TF_MAX(0, show.closes_s * 1000 - tf_now_us() / 1000) + 100);
    ASSERT_CODE(&ctx, buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(33)}, &order),
                TF_SALE_ENDED);
    ASSERT_OK(&ctx,
              buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(32), .key = "in-time-1"}, &order));
    tf_ctx_done(&ctx);
}

static void test_unknown_show(void **state)
{
    Order *order;
    tf_ctx ctx;

    (void)state;
    as_buyer(&ctx, 7);
    ASSERT_CODE(&ctx, buy(&ctx, &(struct buying){.show_id = new_show_id(), .places = PLACES(32)}, &order),
                TF_NOT_FOUND);
    ASSERT_CODE(&ctx, buy(&ctx, &(struct buying){.show_id = -1, .places = PLACES(32)}, &order), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
}

/* ---- together -------------------------------------------------------------------------------------------------------
 */

enum { CROWD = 24 };

struct member {
    int64_t show_id, user_id;
    const char *key;
    const int32_t *places;
    tf_code code;
    int64_t order_no;
};

static void *run_member(void *arg)
{
    struct member *member = arg;
    Order *order;
    tf_ctx ctx;

    as_buyer(&ctx, member->user_id);
    member->code =
        buy(&ctx, &(struct buying){.show_id = member->show_id, .places = member->places, .key = member->key}, &order);
    if (!member->code) member->order_no = order->order_no;
    tf_ctx_done(&ctx);
    return NULL;
}

static void run_crowd(struct member *members)
{
    pthread_t threads[CROWD];

    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_member, &members[i]), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
}

static void test_one_key_many_connections(void **state)
{
    static const int32_t pair[] = {50, 51, 0};
    struct fixture_show show = show_on_sale();
    struct member members[CROWD];

    (void)state;
    publish(&show);
    for (int i = 0; i < CROWD; i++)
        members[i] = (struct member){.show_id = show.show_id, .user_id = 7, .key = "one-key-for-all", .places = pair};
    run_crowd(members);
    for (int i = 0; i < CROWD; i++) {
        CHECK_TEXT("member", tf_code_info(members[i].code)->reason, "OK");
        assert_int_equal(members[i].order_no, members[0].order_no);
    }
    assert_int_equal(db_number("SELECT count(*) FROM orders WHERE show_id = $1 AND state = 1", show.show_id), 1);
}

static void test_same_places(void **state)
{
    static const int32_t there[] = {32, 80, 0}, back[] = {80, 32, 0};
    struct fixture_show show = show_on_sale();
    struct member members[CROWD];
    int won = 0;

    (void)state;
    publish(&show);
    for (int i = 0; i < CROWD; i++)
        members[i] = (struct member){.show_id = show.show_id, .user_id = 100 + i, .places = i % 2 ? there : back};
    run_crowd(members);
    for (int i = 0; i < CROWD; i++) {
        won += members[i].code == TF_OK;
        if (members[i].code) CHECK_TEXT("loser", tf_code_info(members[i].code)->reason, "PLACES_TAKEN");
    }
    assert_int_equal(won, 1);
    assert_int_equal(db_number("SELECT count(*) FROM tickets WHERE show_id = $1 AND live", show.show_id), 2);
}

static void test_redis_loses_everything(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t order_no;
    Order *order;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    as_buyer(&ctx, 7);
    ASSERT_OK(&ctx,
              buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(32), .key = "before-loss"}, &order));
    order_no = order->order_no;
    tf_ctx_done(&ctx);

    harness_restart_redis();
    wait_for_place(show.show_id, 32, 2, 10000);

    as_buyer(&ctx, 7);
    ASSERT_OK(&ctx,
              buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(32), .key = "before-loss"}, &order));
    assert_int_equal(order->order_no, order_no);
    ASSERT_OK(&ctx, buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(33)}, &order));
    tf_ctx_done(&ctx);
    as_buyer(&ctx, 8);
    ASSERT_CODE(&ctx, buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(32)}, &order),
                TF_PLACES_TAKEN);
    tf_ctx_done(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_purchase),
        cmocka_unit_test(test_best_available),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_real_names),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_unknown_show),
        cmocka_unit_test(test_same_places),
        cmocka_unit_test(test_one_key_many_connections),
        cmocka_unit_test(test_redis_loses_everything),
    };

    return cmocka_run_group_tests(tests, harness_start, harness_stop);
}
