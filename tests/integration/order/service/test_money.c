/* Payment, expiry, cancel: money ends in exactly one of a ticket or a refund. */
#include "tests/integration/order/service/harness.h"

#include <stdlib.h>

#define PLACES(...) ((const int32_t[]){__VA_ARGS__, 0})

static int64_t payment_ids = 1000;

static tf_code cancel(tf_ctx *ctx, int64_t order_no, Order **ret_order)
{
    CancelOrderRequest request = CancelOrderRequest_init;
    CancelOrderResponse *response;
    tf_code code;

    request.order_no = order_no;
    code = call_cancel_order(ctx, order_client, &request, &response);
    if (!code) *ret_order = response->order;
    return code;
}

static tf_code payable(int64_t order_no, int64_t user_id, tf_ctx *ctx, GetPayableResponse **ret)
{
    GetPayableRequest request = GetPayableRequest_init;

    as_buyer(ctx, 0);
    ctx->identity = (struct tf_identity){.caller = "pay", .internal = true};
    request.order_no = order_no;
    request.user_id = user_id;
    return call_get_payable_internal(ctx, order_client, &request, ret);
}

static void test_paid(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t order_no, payment_id = ++payment_ids;
    GetPayableResponse *response;
    Order *order;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    order_no = bought(7, show.show_id, PLACES(32, 33));

    ASSERT_OK(&ctx, payable(order_no, 7, &ctx, &response));
    assert_true(response->payable);
    assert_int_equal(response->total_minor, 21000);
    assert_string_equal(response->subject, "Swan Lake × 2");
    assert_int_equal(response->organiser_id, FIXTURE_ORGANISER);
    tf_ctx_done(&ctx);
    assert_int_equal(payable(order_no, 8, &ctx, &response), TF_NOT_FOUND);
    tf_ctx_done(&ctx);

    pay_says("payment.failed", ++payment_ids, order_no, "CNY", 21000);
    pay_says("payment.succeeded", payment_id, order_no, "CNY", 21000);
    wait_for_state(7, order_no, ORDER_STATE_PAID, 5000);
    wait_for_place(show.show_id, 32, 3, 5000);
    pay_says("payment.succeeded", payment_id, order_no, "CNY", 21000); /* told twice */
    pay_says("payment.closed", payment_id, order_no, "CNY", 21000);    /* and wrongly afterwards */
    sleep_ms(500);

    as_buyer(&ctx, 7);
    order = order_of(&ctx, order_no);
    assert_int_equal(order->money_state, MONEY_STATE_PAID);
    assert_non_null(order->paid_time);
    assert_int_equal(order->seconds_left, 0);
    assert_int_equal(order->n_payments, 2);
    assert_int_equal(order->n_refunds, 0);
    assert_int_equal(order->tickets[0]->state, TICKET_STATE_VALID);
    for (size_t i = 0; i < order->n_payments; i++)
        assert_string_equal(order->payments[i]->state,
                            order->payments[i]->payment_id == payment_id ? "SUCCEEDED" : "FAILED");
    ASSERT_CODE(&ctx, cancel(&ctx, order_no, &order), TF_STATE_WRONG);
    tf_ctx_done(&ctx);
    ASSERT_OK(&ctx, payable(order_no, 7, &ctx, &response));
    assert_false(response->payable);
    tf_ctx_done(&ctx);
}

static void test_cancelled(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t order_no, late = ++payment_ids, refund_id;
    Order *order;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    order_no = bought(7, show.show_id, PLACES(32));

    as_buyer(&ctx, 8);
    ASSERT_CODE(&ctx, cancel(&ctx, order_no, &order), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
    for (int i = 0; i < 2; i++) { /* again: the same answer */
        as_buyer(&ctx, 7);
        ASSERT_OK(&ctx, cancel(&ctx, order_no, &order));
        assert_int_equal(order->state, ORDER_STATE_CANCELLED);
        assert_int_equal(order->cancel_reason, CANCEL_REASON_USER);
        assert_int_equal(order->tickets[0]->state, TICKET_STATE_VOID);
        tf_ctx_done(&ctx);
    }
    wait_for_place(show.show_id, 32, 1, 5000);

    /* Money that comes afterwards goes back, once. */
    for (int i = 0; i < 2; i++)
        pay_says("payment.succeeded", late, order_no, "CNY", 10500);
    sleep_ms(800);
    as_buyer(&ctx, 7);
    order = order_of(&ctx, order_no);
    assert_int_equal(order->state, ORDER_STATE_CANCELLED);
    assert_int_equal(order->n_refunds, 1);
    assert_string_equal(order->refunds[0]->reason, "LATE_PAYMENT");
    assert_string_equal(order->refunds[0]->state, "PROCESSING");
    assert_int_equal(order->refunds[0]->amount_minor, 10500);
    assert_non_null(order->refunds[0]->expected_by_time);
    assert_int_equal(order->money_state, MONEY_STATE_REFUNDING);
    refund_id = order->refunds[0]->refund_id;
    tf_ctx_done(&ctx);
    assert_int_equal(db_number("SELECT count(*) FROM outbox WHERE aggregate_id = $1 AND envelope::text LIKE '%'"
                               " || encode('refund.requested', 'hex') || '%'",
                               order_no),
                     1);

    pay_says_refund("refund.failed", refund_id, late, order_no);
    sleep_ms(500);
    as_buyer(&ctx, 7);
    assert_int_equal(order_of(&ctx, order_no)->money_state, MONEY_STATE_PARKED);
    tf_ctx_done(&ctx);
    pay_says_refund("refund.succeeded", refund_id, late, order_no);
    sleep_ms(500);
    as_buyer(&ctx, 7);
    order = order_of(&ctx, order_no);
    assert_int_equal(order->money_state, MONEY_STATE_REFUNDED);
    assert_non_null(order->refunds[0]->success_time);
    tf_ctx_done(&ctx);
}

static void test_odd_money(void **state)
{
    static const struct {
        const char *name, *currency;
        int64_t amount_minor;
        bool paid_before;
        const char *reason;
        int state;
    } rows[] = {
        {"too little", "CNY", 10499, false, "WRONG_AMOUNT", ORDER_STATE_PENDING_PAYMENT},
        {"too much", "CNY", 10501, false, "WRONG_AMOUNT", ORDER_STATE_PENDING_PAYMENT},
        {"another currency", "USD", 10500, false, "WRONG_AMOUNT", ORDER_STATE_PENDING_PAYMENT},
        {"a second payment", "CNY", 10500, true, "SECOND_PAYMENT", ORDER_STATE_PAID},
    };
    struct fixture_show show = show_on_sale();

    (void)state;
    publish(&show);
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int64_t user = 20 + (int64_t)i, order_no, payment_id;
        const int32_t *places = (const int32_t[]){48 + (int32_t)i, 0};
        Order *order;
        tf_ctx ctx;

        order_no =
            rows[i].paid_before ? paid(user, show.show_id, places, ++payment_ids) : bought(user, show.show_id, places);
        payment_id = ++payment_ids;
        pay_says("payment.succeeded", payment_id, order_no, rows[i].currency, rows[i].amount_minor);
        for (int wait = 0; wait < 50; wait++) {
            as_buyer(&ctx, user);
            order = order_of(&ctx, order_no);
            if (order->n_refunds || wait == 49) break;
            tf_ctx_done(&ctx);
            sleep_ms(100);
        }
        CHECK(rows[i].name, order->n_refunds == 1);
        CHECK_TEXT(rows[i].name, order->refunds[0]->reason, rows[i].reason);
        CHECK(rows[i].name, order->refunds[0]->payment_id == payment_id);
        CHECK(rows[i].name, order->refunds[0]->amount_minor == rows[i].amount_minor);
        CHECK(rows[i].name, (int)order->state == rows[i].state);
        tf_ctx_done(&ctx);
    }
}

static void test_unknown_order(void **state)
{
    int64_t payment_id = ++payment_ids, order_no = 0x12345678900000 + payment_id;

    (void)state;
    pay_says("payment.succeeded", payment_id, order_no, "CNY", 500);
    for (int i = 0; i < 50; i++) {
        if (db_number("SELECT count(*) FROM refund_due WHERE payment_id = $1", payment_id) == 1) return;
        sleep_ms(100);
    }
    fail_msg("the money of an unknown order was kept");
}

static void test_expired(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t order_no, release_ms, cancelled_ms;
    Order *order;
    tf_ctx ctx;

    (void)state;
    show.hold_seconds = 2;
    publish(&show);
    order_no = bought(7, show.show_id, PLACES(32));
    release_ms =
        db_number("SELECT (extract(epoch FROM release_at) * 1000)::int8 FROM orders WHERE order_no = $1", order_no);
    wait_for_state(7, order_no, ORDER_STATE_CANCELLED, 6000);
    cancelled_ms = tf_now_us() / 1000;
    assert_true(cancelled_ms >= release_ms);
    assert_true(cancelled_ms - release_ms <= 2000);
    wait_for_place(show.show_id, 32, 1, 2000);
    as_buyer(&ctx, 7);
    order = order_of(&ctx, order_no);
    assert_int_equal(order->cancel_reason, CANCEL_REASON_EXPIRED);
    assert_non_null(order->cancel_time);
    tf_ctx_done(&ctx);
}

static void test_lists(void **state)
{
    enum { ORDERS = 5 };
    static const struct {
        const char *name;
        int filter, n;
    } rows[] = {
        {"all", ORDER_FILTER_UNSPECIFIED, 5},   {"pending", ORDER_FILTER_PENDING, 2},
        {"upcoming", ORDER_FILTER_UPCOMING, 1}, {"past", ORDER_FILTER_PAST, 1},
        {"refunded", ORDER_FILTER_REFUNDED, 0}, {"cancelled", ORDER_FILTER_CANCELLED, 1},
    };
    struct fixture_show coming = show_on_sale(), over = show_on_sale();
    const int64_t user = 55;
    int64_t orders[ORDERS];
    ListOrdersRequest request = ListOrdersRequest_init;
    ListOrdersResponse *response;
    ListTicketsRequest tickets_request = ListTicketsRequest_init;
    ListTicketsResponse *tickets;
    char *token = (char *)"";
    Order *order;
    size_t seen = 0;
    tf_ctx ctx;

    (void)state;
    over.start_s = tf_now_us() / TF_US_PER_S - 7 * 3600;
    publish(&coming);
    publish(&over);
    orders[0] = bought(user, coming.show_id, PLACES(32));
    orders[1] = paid(user, coming.show_id, PLACES(33), ++payment_ids);
    orders[2] = paid(user, over.show_id, PLACES(33), ++payment_ids);
    orders[3] = bought(user, coming.show_id, PLACES(34));
    orders[4] = bought(user, coming.show_id, PLACES(35));
    as_buyer(&ctx, user);
    ASSERT_OK(&ctx, cancel(&ctx, orders[4], &order));

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        request.filter = (OrderFilter)rows[i].filter;
        ASSERT_OK(&ctx, call_list_orders(&ctx, order_client, &request, &response));
        CHECK(rows[i].name, (int)response->n_orders == rows[i].n);
    }

    /* Page by page, newest first, none twice. */
    request.filter = ORDER_FILTER_UNSPECIFIED;
    request.page_size = 2;
    do {
        request.page_token = token;
        ASSERT_OK(&ctx, call_list_orders(&ctx, order_client, &request, &response));
        for (size_t i = 0; i < response->n_orders; i++, seen++) {
            assert_true(seen < ORDERS);
            assert_int_equal(response->orders[i]->order_no, orders[ORDERS - 1 - seen]);
            assert_true(*response->orders[i]->places_text && *response->orders[i]->local_start);
        }
        token = response->next_page_token;
    } while (*token);
    assert_int_equal(seen, ORDERS);
    request.page_token = (char *)"nonsense";
    ASSERT_CODE(&ctx, call_list_orders(&ctx, order_client, &request, &response), TF_FIELD_INVALID);
    request.page_token = (char *)"";
    request.page_size = 51;
    ASSERT_CODE(&ctx, call_list_orders(&ctx, order_client, &request, &response), TF_FIELD_INVALID);

    /* Tickets of paid orders: the coming show first. */
    tickets_request.page_size = 1;
    ASSERT_OK(&ctx, call_list_tickets(&ctx, order_client, &tickets_request, &tickets));
    assert_int_equal(tickets->n_tickets, 1);
    assert_int_equal(tickets->tickets[0]->order_no, orders[1]);
    tickets_request.page_token = tickets->next_page_token;
    ASSERT_OK(&ctx, call_list_tickets(&ctx, order_client, &tickets_request, &tickets));
    assert_int_equal(tickets->n_tickets, 1);
    assert_int_equal(tickets->tickets[0]->order_no, orders[2]);
    assert_string_equal(tickets->next_page_token, "");
    tf_ctx_done(&ctx);

    as_buyer(&ctx, user + 1);
    request.page_size = 0;
    ASSERT_OK(&ctx, call_list_orders(&ctx, order_client, &request, &response));
    assert_int_equal(response->n_orders, 0);
    tf_ctx_done(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paid),          cmocka_unit_test(test_cancelled), cmocka_unit_test(test_odd_money),
        cmocka_unit_test(test_unknown_order), cmocka_unit_test(test_expired),   cmocka_unit_test(test_lists),
    };

    return cmocka_run_group_tests(tests, harness_start, harness_stop);
}
