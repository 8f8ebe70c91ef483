/* Refunds: on order's word only, exactly once, until the provider says yes or no. */
#include "tests/integration/pay_service/harness.h"

static int64_t paid(int64_t order_no)
{
    int64_t payment_id;
    char url[WORLD_TEXT];

    payment_id = opened(order_no, url);
    assert_int_equal(press(url), 200);
    wait_for_payment(payment_id, PAYMENT_STATE_SUCCEEDED, 5000);
    return payment_id;
}

/* 'S' SUCCEEDED, 'P' PROCESSING, 'K' PARKED. */
static void wait_for_refund(int64_t refund_id, char state, int timeout_ms)
{
    wait_for_sql(state, timeout_ms,
                 "SELECT ascii(CASE state WHEN 'PARKED' THEN 'K' ELSE left(state, 1) END) FROM refund"
                 " WHERE refund_id = %lld",
                 (long long)refund_id);
}

static void test_once(void **state)
{
    int64_t order_no = order_payable(60000), payment_id = paid(order_no), refund_id = new_refund_id(order_no);

    (void)state;
    sleep_ms(300);
    assert_int_equal(refunded_minor(payment_id), 0); /* never by pay's own judgement */
    for (int i = 0; i < 3; i++)                      /* three events of their own about one refund */
        order_wants_refund(refund_id, payment_id, order_no, AMOUNT_MINOR, "CNY");
    wait_for_refund(refund_id, 'S', 5000);
    order_wants_refund(refund_id, payment_id, order_no, AMOUNT_MINOR, "CNY");
    sleep_ms(500);
    assert_int_equal(refunded_minor(payment_id), AMOUNT_MINOR);
    assert_int_equal(events(order_no, "refund.succeeded"), 1);
    assert_int_equal(sql("SELECT count(*) FROM refund WHERE payment_id = %lld", (long long)payment_id), 1);
}

static void test_provider_down(void **state)
{
    int64_t order_no = order_payable(60000), payment_id = paid(order_no), refund_id = new_refund_id(order_no);

    (void)state;
    sandbox_stop();
    order_wants_refund(refund_id, payment_id, order_no, AMOUNT_MINOR, "CNY");
    wait_for_sql(1, 8000, "SELECT (attempts >= 2)::int FROM refund WHERE refund_id = %lld", (long long)refund_id);
    wait_for_refund(refund_id, 'P', 1000);
    sandbox_start();
    wait_for_refund(refund_id, 'S', 15000);
    assert_int_equal(refunded_minor(payment_id), AMOUNT_MINOR);
    assert_int_equal(events(order_no, "refund.succeeded"), 1);
    assert_int_equal(events(order_no, "refund.failed"), 0);
}

/* The provider's answer was lost after it paid back: the same refund is asked for again and is one refund. */
static void test_answer_lost(void **state)
{
    int64_t order_no = order_payable(60000), payment_id = paid(order_no), refund_id = new_refund_id(order_no);

    (void)state;
    order_wants_refund(refund_id, payment_id, order_no, AMOUNT_MINOR, "CNY");
    wait_for_refund(refund_id, 'S', 5000);
    sql("UPDATE refund SET state = 'PROCESSING', succeeded_at = NULL, next_try_at = now() WHERE refund_id = %lld"
        " RETURNING 0",
        (long long)refund_id);
    wait_for_refund(refund_id, 'S', 5000);
    assert_int_equal(refunded_minor(payment_id), AMOUNT_MINOR);
}

static void test_parked(void **state)
{
    static const struct {
        const char *name;
        int64_t more;
        const char *currency;
        bool known;
    } rows[] = {
        {"more than was paid", 1, "CNY", true},
        {"another currency", 0, "USD", true},
        {"no such payment", 0, "CNY", false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int64_t order_no = order_payable(60000), payment_id = paid(order_no), refund_id = new_refund_id(order_no);

        order_wants_refund(refund_id, rows[i].known ? payment_id : payment_id + 1024, order_no,
                           AMOUNT_MINOR + rows[i].more, rows[i].currency);
        wait_for_refund(refund_id, 'K', 5000);
        if (refunded_minor(payment_id) != 0) fail_msg("%s: paid back", rows[i].name);
        if (events(order_no, "refund.failed") != 1) fail_msg("%s: not told once", rows[i].name);
        if (sql("SELECT (parked_at IS NOT NULL AND cause <> '')::int FROM refund WHERE refund_id = %lld",
                (long long)refund_id) != 1)
            fail_msg("%s: no cause", rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_provider_down),
        cmocka_unit_test(test_answer_lost),
        cmocka_unit_test(test_parked),
    };

    return cmocka_run_group_tests(tests, harness_start, harness_stop);
}
