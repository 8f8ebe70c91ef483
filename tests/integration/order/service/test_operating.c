/* What operators do: refund, pause, withdraw; and shows that program changes. */
#include "tests/integration/order/service/harness.h"

#include <stdlib.h>

#define PLACES(...) ((const int32_t[]){__VA_ARGS__, 0})

static int64_t payment_ids = 9000;

static tf_code refund(tf_ctx *ctx, int64_t order_no, const char *reason, Order **ret_order)
{
    RefundOrderRequest request = RefundOrderRequest_init;
    RefundOrderResponse *response;
    tf_code code;

    request.order_no = order_no;
    request.reason = (char *)reason;
    code = call_refund_order(ctx, order_client, &request, &response);
    if (!code) *ret_order = response->order;
    return code;
}

static tf_code pause_show_(tf_ctx *ctx, int64_t show_id)
{
    PauseShowRequest request = PauseShowRequest_init;
    PauseShowResponse *response;

    request.show_id = show_id;
    return call_pause_show(ctx, order_client, &request, &response);
}

static tf_code resume_show_(tf_ctx *ctx, int64_t show_id)
{
    ResumeShowRequest request = ResumeShowRequest_init;
    ResumeShowResponse *response;

    request.show_id = show_id;
    return call_resume_show(ctx, order_client, &request, &response);
}

static tf_code withdraw_show_(tf_ctx *ctx, int64_t show_id)
{
    WithdrawShowRequest request = WithdrawShowRequest_init;
    WithdrawShowResponse *response;

    request.show_id = show_id;
    return call_withdraw_show(ctx, order_client, &request, &response);
}

static tf_code try_buy(int64_t user_id, int64_t show_id, int32_t place_no)
{
    int32_t places[] = {place_no, 0};
    Order *order;
    tf_code code;
    tf_ctx ctx;

    as_buyer(&ctx, user_id);
    code = buy(&ctx, &(struct buying){.show_id = show_id, .places = places}, &order);
    tf_ctx_done(&ctx);
    return code;
}

static void test_refund(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t order_no, pending, refund_id = 0;
    Order *order;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    order_no = paid(7, show.show_id, PLACES(32, 33), ++payment_ids);
    pending = bought(7, show.show_id, PLACES(48));
    wait_for_place(show.show_id, 32, 3, 5000);

    as_operator(&ctx, TF_ROLE_ORGANISER_ADMIN, FIXTURE_ORGANISER + 1);
    ASSERT_CODE(&ctx, refund(&ctx, order_no, "not mine", &order), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
    as_operator(&ctx, TF_ROLE_ORGANISER_ADMIN, FIXTURE_ORGANISER);
    ASSERT_CODE(&ctx, refund(&ctx, order_no, "", &order), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, refund(&ctx, pending, "unpaid", &order), TF_STATE_WRONG);
    for (int i = 0; i < 2; i++) { /* again: the same answer */
        ASSERT_OK(&ctx, refund(&ctx, order_no, "the buyer is ill", &order));
        assert_int_equal(order->state, ORDER_STATE_REFUNDED);
        assert_int_equal(order->n_refunds, 1);
        assert_string_equal(order->refunds[0]->reason, "OPERATOR");
        assert_string_equal(order->refunds[0]->note, "the buyer is ill");
        assert_int_equal(order->refunds[0]->amount_minor, 21000);
        assert_true(i == 0 || refund_id == order->refunds[0]->refund_id);
        refund_id = order->refunds[0]->refund_id;
        assert_int_equal(order->tickets[1]->state, TICKET_STATE_VOID);
        assert_int_equal(order->money_state, MONEY_STATE_REFUNDING);
    }
    tf_ctx_done(&ctx);
    wait_for_place(show.show_id, 32, 1, 5000);
    wait_for_place(show.show_id, 33, 1, 5000);
    assert_int_equal(try_buy(8, show.show_id, 32), TF_OK);
}

static void test_pause(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t pending;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    pending = bought(7, show.show_id, PLACES(32));

    as_operator(&ctx, TF_ROLE_ORGANISER_ADMIN, FIXTURE_ORGANISER + 1);
    ASSERT_CODE(&ctx, pause_show_(&ctx, show.show_id), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
    as_operator(&ctx, TF_ROLE_ORGANISER_ADMIN, FIXTURE_ORGANISER);
    ASSERT_OK(&ctx, pause_show_(&ctx, show.show_id));
    ASSERT_OK(&ctx, pause_show_(&ctx, show.show_id));
    assert_int_equal(try_buy(8, show.show_id, 33), TF_SALE_PAUSED);
    pay_says("payment.succeeded", ++payment_ids, pending, "CNY", 10500); /* pending orders may still pay */
    wait_for_state(7, pending, ORDER_STATE_PAID, 5000);
    ASSERT_OK(&ctx, resume_show_(&ctx, show.show_id));
    assert_int_equal(try_buy(8, show.show_id, 33), TF_OK);

    ASSERT_OK(&ctx, withdraw_show_(&ctx, show.show_id));
    assert_int_equal(try_buy(9, show.show_id, 34), TF_SALE_ENDED);
    ASSERT_CODE(&ctx, resume_show_(&ctx, show.show_id), TF_STATE_WRONG);
    ASSERT_OK(&ctx, withdraw_show_(&ctx, show.show_id));
    tf_ctx_done(&ctx);
    as_buyer(&ctx, 7);
    assert_int_equal(order_of(&ctx, pending)->state, ORDER_STATE_PAID);
    tf_ctx_done(&ctx);
}

static void wait_for_terms(int64_t show_id, int terms)
{
    for (int i = 0; i < 100; i++) {
        if (db_number("SELECT terms FROM inventory WHERE show_id = $1", show_id) == terms) return;
        sleep_ms(50);
    }
    fail_msg("version %d of the show did not arrive", terms);
}

static void test_new_price(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t before, after;
    Order *order;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    before = bought(7, show.show_id, PLACES(32));
    show.version = 2;
    show.face_minor = 20000;
    announce(&show, "show.changed");
    wait_for_terms(show.show_id, 2);
    for (int i = 0; i < 100 && (after = try_buy(8, show.show_id, 33)) == TF_REBUILDING; i++)
        sleep_ms(50);
    assert_int_equal(after, TF_OK);

    /* The old order keeps its price, line by line. */
    as_buyer(&ctx, 7);
    order = order_of(&ctx, before);
    assert_int_equal(order->total_minor, 10500);
    assert_int_equal(order->tickets[0]->price_lines[0]->amount_minor, 10000);
    tf_ctx_done(&ctx);
    assert_int_equal(db_number("SELECT max(total_minor) FROM orders WHERE show_id = $1", show.show_id), 20500);
}

static void test_changed_places(void **state)
{
    struct fixture_show show = show_on_sale();

    (void)state;
    publish(&show);
    bought(7, show.show_id, PLACES(32));
    show.version = 2;
    show.row_a = 11;
    announce(&show, "show.changed");
    for (int i = 0; i < 200; i++) {
        if (db_number("SELECT count(*) FROM dead_letter WHERE type = 'show.changed' AND $1 > 0", 1) == 1) break;
        sleep_ms(50);
    }
    assert_int_equal(db_number("SELECT count(*) FROM dead_letter WHERE type = 'show.changed' AND $1 > 0", 1), 1);
    assert_int_equal(db_number("SELECT terms FROM inventory WHERE show_id = $1", show.show_id), 1);
    assert_int_equal(try_buy(8, show.show_id, 33), TF_OK);
}

static void test_offer_told(void **state)
{
    struct fixture_show show = show_on_sale();
    tf_ctx ctx;

    (void)state;
    publish(&show);
    for (int i = 0; i < 100; i++) {
        if (db_number("SELECT offer_places FROM inventory WHERE show_id = $1", show.show_id) == OFFER_STATE_ON_SALE)
            break;
        sleep_ms(50);
    }
    as_operator(&ctx, TF_ROLE_PLATFORM_OPERATOR, 0);
    ASSERT_OK(&ctx, pause_show_(&ctx, show.show_id));
    tf_ctx_done(&ctx);
    for (int i = 0; i < 60; i++) {
        if (db_number("SELECT offer_sequence FROM inventory WHERE show_id = $1", show.show_id) == 2) break;
        sleep_ms(50);
    }
    assert_int_equal(db_number("SELECT offer_sequence FROM inventory WHERE show_id = $1", show.show_id), 2);
    assert_int_equal(db_number("SELECT offer_sale_state FROM inventory WHERE show_id = $1", show.show_id),
                     SALE_STATE_PAUSED);
    assert_int_equal(db_number("SELECT count(*) FROM outbox WHERE topic = 'stock' AND aggregate_id = $1", show.show_id),
                     2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refund),         cmocka_unit_test(test_pause),      cmocka_unit_test(test_new_price),
        cmocka_unit_test(test_changed_places), cmocka_unit_test(test_offer_told),
    };

    return cmocka_run_group_tests(tests, harness_start, harness_stop);
}
