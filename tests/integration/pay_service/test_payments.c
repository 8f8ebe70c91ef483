/* Payments: one attempt a key, every word of the provider applied once, an end for each attempt. */
#include "tests/integration/pay_service/harness.h"

#include <stdio.h>

static void test_key(void **state)
{
    int64_t order_no = order_payable(60000), first;
    Payment *payment;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, BUYER);
    ASSERT_OK(&ctx, pay(&ctx, order_no, "key-of-one-attempt", "sandbox", &payment));
    first = payment->payment_id;
    assert_int_equal(payment->state, PAYMENT_STATE_PROCESSING);
    assert_int_equal(payment->amount_minor, AMOUNT_MINOR);
    assert_string_equal(payment->currency, "CNY");
    ASSERT_OK(&ctx, pay(&ctx, order_no, "key-of-one-attempt", "sandbox", &payment));
    assert_int_equal(payment->payment_id, first);
    ASSERT_OK(&ctx, pay(&ctx, order_no, "key-of-one-attempt", "", &payment)); /* the default is the same method */
    assert_int_equal(payment->payment_id, first);
    ASSERT_CODE(&ctx, pay(&ctx, order_no, "key-of-one-attempt", "barter", &payment), TF_KEY_REUSED);
    ASSERT_CODE(&ctx, pay(&ctx, order_no, "another-key", "barter", &payment), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, pay(&ctx, order_no, "short", "sandbox", &payment), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, pay(&ctx, order_no, "a key with blanks", "sandbox", &payment), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, pay(&ctx, order_no + 1024, "key-of-no-order", "sandbox", &payment), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
    assert_int_equal(sql("SELECT count(*) FROM payment WHERE order_no = %lld", (long long)order_no), 1);

    as_user(&ctx, BUYER + 1); /* somebody else's order */
    ASSERT_CODE(&ctx, pay(&ctx, order_no, "key-of-one-attempt", "sandbox", &payment), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
}

static void test_attempts_have_a_bound(void **state)
{
    int64_t order_no = order_payable(60000);
    Payment *payment;
    tf_ctx ctx;

    (void)state;
    for (int i = 0; i < 5; i++)
        opened(order_no, NULL);
    as_user(&ctx, BUYER);
    ASSERT_CODE(&ctx, pay(&ctx, order_no, "one-too-many", "sandbox", &payment), TF_LIMIT_EXCEEDED);
    tf_ctx_done(&ctx);
}

static void test_not_payable(void **state)
{
    static const struct {
        const char *name;
        int pay_ms;
        OrderState state;
        tf_code code;
    } rows[] = {
        {"over", -1000, ORDER_STATE_PENDING_PAYMENT, TF_HOLD_OVER},
        {"cancelled", 60000, ORDER_STATE_CANCELLED, TF_HOLD_OVER},
        {"paid", 60000, ORDER_STATE_PAID, TF_STATE_WRONG},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int64_t order_no = order_payable(rows[i].pay_ms);
        Payment *payment;
        tf_code code;
        tf_ctx ctx;

        order_becomes(order_no, rows[i].state);
        as_user(&ctx, BUYER);
        code = pay(&ctx, order_no, "key-of-a-late-buyer", "sandbox", &payment);
        if (code != rows[i].code) fail_msg("%s: %s", rows[i].name, tf_code_info(code)->reason);
        tf_ctx_done(&ctx);
        assert_int_equal(sql("SELECT count(*) FROM payment WHERE order_no = %lld", (long long)order_no), 0);
    }
}

/* The provider is away while the attempt is made: the same key makes it when it is back, unless the order is decided.
 */
static void test_provider_down(void **state)
{
    int64_t order_no = order_payable(60000), cancelled = order_payable(60000), over = order_payable(1500);
    Payment *payment;
    tf_ctx ctx;

    (void)state;
    sandbox_stop();
    as_user(&ctx, BUYER);
    ASSERT_CODE(&ctx, pay(&ctx, order_no, "key-of-patience", "sandbox", &payment), TF_PROVIDER_DOWN);
    ASSERT_CODE(&ctx, pay(&ctx, order_no, "key-of-patience", "sandbox", &payment), TF_PROVIDER_DOWN);
    ASSERT_CODE(&ctx, pay(&ctx, cancelled, "key-of-regret", "sandbox", &payment), TF_PROVIDER_DOWN);
    ASSERT_CODE(&ctx, pay(&ctx, over, "key-of-nobody", "sandbox", &payment), TF_PROVIDER_DOWN);
    tf_ctx_done(&ctx);
    order_becomes(cancelled, ORDER_STATE_CANCELLED);
    sandbox_start();

    as_user(&ctx, BUYER);
    ASSERT_OK(&ctx, pay(&ctx, order_no, "key-of-patience", "sandbox", &payment));
    assert_int_equal(payment->state, PAYMENT_STATE_PROCESSING);
    ASSERT_CODE(&ctx, pay(&ctx, cancelled, "key-of-regret", "sandbox", &payment), TF_HOLD_OVER);
    tf_ctx_done(&ctx);
    assert_int_equal(sql("SELECT count(*) FROM payment WHERE order_no = %lld", (long long)order_no), 1);

    /* Nobody came back: the row does not stay CREATED for ever. */
    wait_for_sql(PAYMENT_STATE_FAILED, 5000, "SELECT state FROM payment WHERE order_no = %lld", (long long)over);
    assert_int_equal(events(over, "payment.failed"), 1);
    order_says("order.cancelled", cancelled, ORDER_STATE_CANCELLED, 0);
    wait_for_sql(PAYMENT_STATE_FAILED, 5000, "SELECT state FROM payment WHERE order_no = %lld", (long long)cancelled);
}

/* The charge was made, the answer was lost: the worker finds it and its page. */
static void test_charge_found(void **state)
{
    int64_t order_no = order_payable(60000), payment_id = opened(order_no, NULL);

    (void)state;
    sql("UPDATE payment SET state = 1, pay_url = NULL, provider_no = NULL, next_query_at = now()"
        " WHERE payment_id = %lld RETURNING 0",
        (long long)payment_id);
    wait_for_payment(payment_id, PAYMENT_STATE_PROCESSING, 5000);
    assert_int_equal(sql("SELECT count(pay_url)::int FROM payment WHERE payment_id = %lld", (long long)payment_id), 1);
}

static void test_notifications(void **state)
{
    int64_t order_no = order_payable(60000), payment_id, before;
    char url[WORLD_TEXT], body[200];
    tf_ctx ctx;

    (void)state;
    payment_id = opened(order_no, url);
    as_user(&ctx, 0);

    snprintf(body, sizeof(body),
             "{\"type\":\"charge.succeeded\",\"charge_id\":\"%lld\",\"amount_minor\":%d,\"currency\":\"CNY\"}",
             (long long)payment_id, AMOUNT_MINOR);
    ASSERT_CODE(&ctx, notify(&ctx, body, true, 0), TF_UNAUTHENTICATED);
    ASSERT_CODE(&ctx, notify(&ctx, body, false, 301), TF_UNAUTHENTICATED); /* signed rightly, too long ago */
    ASSERT_CODE(&ctx, notify(&ctx, "{}", false, 0), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, notify(&ctx, "not JSON", false, 0), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, notify_paid(&ctx, 12345, AMOUNT_MINOR), TF_NOT_FOUND);
    assert_int_equal(state_of(payment_id, order_no), PAYMENT_STATE_PROCESSING);
    assert_int_equal(sql("SELECT count(*) FROM notification WHERE payment_id = %lld", (long long)payment_id), 0);

    /* Forged first, wrong amount, then right, and three times more: one success. */
    before = notified();
    fault(payment_id, "\"forge\":true,\"wrong_amount\":true,\"copies\":3");
    assert_int_equal(press(url), 200);
    wait_for_payment(payment_id, PAYMENT_STATE_SUCCEEDED, 5000);
    for (int i = 0; i < 100 && notified() - before < 6; i++)
        sleep_ms(50);
    assert_int_equal(notified() - before, 6);
    assert_int_equal(events(order_no, "payment.succeeded"), 1);
    assert_int_equal(sql("SELECT parked::int FROM payment WHERE payment_id = %lld", (long long)payment_id), 0);
    assert_int_equal(sql("SELECT count(*) FROM notification WHERE payment_id = %lld AND outcome = 'MISMATCH'",
                         (long long)payment_id),
                     1);

    /* Our own repetition changes nothing either. */
    ASSERT_OK(&ctx, notify_paid(&ctx, payment_id, AMOUNT_MINOR));
    assert_int_equal(events(order_no, "payment.succeeded"), 1);
    tf_ctx_done(&ctx);
}

/* A signed notification of another amount parks the payment until the books were asked; they know of no money. */
static void test_wrong_amount(void **state)
{
    int64_t order_no = order_payable(4000), payment_id = opened(order_no, NULL);
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    ASSERT_OK(&ctx, notify_paid(&ctx, payment_id, AMOUNT_MINOR + 1));
    tf_ctx_done(&ctx);
    assert_int_equal(sql("SELECT count(*) FROM notification WHERE payment_id = %lld AND outcome = 'MISMATCH'",
                         (long long)payment_id),
                     1);
    wait_for_sql(0, 3000, "SELECT parked::int FROM payment WHERE payment_id = %lld", (long long)payment_id);
    assert_int_equal(state_of(payment_id, order_no), PAYMENT_STATE_PROCESSING);
    assert_int_equal(events(order_no, "payment.succeeded"), 0);

    /* Again after the end: denied again, and nothing is asked for ever. */
    wait_for_payment(payment_id, PAYMENT_STATE_CLOSED, 8000);
    as_user(&ctx, 0);
    ASSERT_OK(&ctx, notify_paid(&ctx, payment_id, AMOUNT_MINOR + 2));
    tf_ctx_done(&ctx);
    wait_for_sql(1, 3000, "SELECT (NOT parked AND next_query_at IS NULL)::int FROM payment WHERE payment_id = %lld",
                 (long long)payment_id);
}

/* Old notifications leave with their partition; young ones and the payments stay. */
static void test_notifications_leave_by_age(void **state)
{
    const int64_t month_us = (int64_t)30 * 86400 * TF_US_PER_S, id_epoch_s = 1735689600;
    int64_t old_id = ((tf_now_us() - month_us) / TF_US_PER_MS - id_epoch_s * 1000) / 32 << 28, payment_id;
    char url[WORLD_TEXT];

    (void)state;
    payment_id = opened(order_payable(60000), url);
    assert_int_equal(press(url), 200);
    wait_for_payment(payment_id, PAYMENT_STATE_SUCCEEDED, 5000);
    /* Of a month ago: one in a partition of its own, one that has none, one that came late and is young. */
    sql("CREATE TABLE notification_old PARTITION OF notification FOR VALUES FROM (%lld) TO (%lld)",
        (long long)(old_id - 1000), (long long)(old_id + 1000));
    for (int i = 0; i < 3; i++)
        sql("INSERT INTO notification VALUES (1, %lld, 'digest', 'sandbox', 'body', 'APPLIED', 1, now() - interval '%d "
            "day')"
            " RETURNING 0",
            (long long)(old_id + i * 2000), i == 2 ? 0 : 30);
    wait_for_sql(0, 5000, "SELECT count(*) FROM notification WHERE received_at < now() - interval '1 day'");
    wait_for_sql(0, 5000, "SELECT count(*) FROM pg_class WHERE relname = 'notification_old'");
    assert_int_equal(sql("SELECT count(*) FROM notification WHERE payment_id = %lld", (long long)(old_id + 4000)), 1);
    assert_int_equal(sql("SELECT count(*) FROM notification WHERE payment_id = %lld", (long long)payment_id), 1);
    assert_int_equal(sql("SELECT count(*) FROM notification_default WHERE payment_id = %lld", (long long)payment_id),
                     0);
}

static void test_lost_notification(void **state)
{
    int64_t order_no = order_payable(60000), payment_id;
    char url[WORLD_TEXT];

    (void)state;
    payment_id = opened(order_no, url);
    fault(payment_id, "\"lose\":true");
    assert_int_equal(press(url), 200);
    wait_for_payment(payment_id, PAYMENT_STATE_SUCCEEDED, 5000);
    assert_int_equal(events(order_no, "payment.succeeded"), 1);
    assert_int_equal(sql("SELECT count(*) FROM notification WHERE payment_id = %lld", (long long)payment_id), 0);
}

static void test_close_at_the_end(void **state)
{
    int64_t order_no = order_payable(1500), payment_id;
    char url[WORLD_TEXT];
    tf_ctx ctx;

    (void)state;
    payment_id = opened(order_no, url);
    wait_for_payment(payment_id, PAYMENT_STATE_CLOSED, 6000);
    assert_int_equal(events(order_no, "payment.closed"), 1);
    assert_int_equal(press(url), 409); /* the provider takes no money any more */

    /* Late money is money. */
    for (int i = 0; i < 2; i++) {
        as_user(&ctx, 0);
        ASSERT_OK(&ctx, notify_paid(&ctx, payment_id, AMOUNT_MINOR));
        tf_ctx_done(&ctx);
    }
    assert_int_equal(state_of(payment_id, order_no), PAYMENT_STATE_SUCCEEDED);
    assert_int_equal(events(order_no, "payment.succeeded"), 1);
}

/* Money under way at the end: it cannot be closed, and it is not forgotten. */
static void test_money_in_flight_at_the_end(void **state)
{
    int64_t order_no = order_payable(1500), payment_id;
    char url[WORLD_TEXT], members[100];

    (void)state;
    payment_id = opened(order_no, url);
    snprintf(members, sizeof(members), "\"settle_at_ms\":%lld", (long long)(tf_now_us() / TF_US_PER_MS + 3000));
    fault(payment_id, members);
    assert_int_equal(press(url), 200);
    sleep_ms(2300);
    assert_int_equal(state_of(payment_id, order_no), PAYMENT_STATE_PROCESSING);
    wait_for_payment(payment_id, PAYMENT_STATE_SUCCEEDED, 5000);
    assert_int_equal(events(order_no, "payment.succeeded"), 1);
    assert_int_equal(events(order_no, "payment.closed"), 0);
}

/* Two attempts are open; the order is paid by one: the other is closed at the provider at once. */
static void test_order_decided(void **state)
{
    int64_t order_no = order_payable(60000), paid, other;
    char url[WORLD_TEXT], other_url[WORLD_TEXT];

    (void)state;
    paid = opened(order_no, url);
    other = opened(order_no, other_url);
    assert_int_equal(press(url), 200);
    wait_for_payment(paid, PAYMENT_STATE_SUCCEEDED, 5000);
    order_becomes(order_no, ORDER_STATE_PAID);
    order_says("order.paid", order_no, ORDER_STATE_PAID, paid);
    wait_for_payment(other, PAYMENT_STATE_CLOSED, 5000);
    assert_int_equal(press(other_url), 409);
    assert_int_equal(state_of(paid, order_no), PAYMENT_STATE_SUCCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_attempts_have_a_bound),
        cmocka_unit_test(test_not_payable),
        cmocka_unit_test(test_provider_down),
        cmocka_unit_test(test_charge_found),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_wrong_amount),
        cmocka_unit_test(test_notifications_leave_by_age),
        cmocka_unit_test(test_lost_notification),
        cmocka_unit_test(test_close_at_the_end),
        cmocka_unit_test(test_money_in_flight_at_the_end),
        cmocka_unit_test(test_order_decided),
    };

    return cmocka_run_group_tests(tests, harness_start, harness_stop);
}
