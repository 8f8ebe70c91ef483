/* Who sees an order, what its tickets are, where its money is, what a payment does. */
#include "services/order/domain/order_state.h"
#include "tests/unit/base/unit.h"

enum { BUYER = 7, ORGANISER = 11 };

static void test_visible(void **state)
{
    static const struct {
        const char *name;
        struct tf_identity identity;
        bool sees;
    } rows[] = {
        {"the buyer", {.user_id = BUYER}, true},
        {"another buyer", {.user_id = 8}, false},
        {"nobody", {.user_id = 0}, false},
        {"the platform's operator", {.user_id = 8, .roles = TF_ROLE_PLATFORM_OPERATOR}, true},
        {"the organiser's admin", {.user_id = 8, .roles = TF_ROLE_ORGANISER_ADMIN, .organiser_id = ORGANISER}, true},
        {"another organiser's admin", {.user_id = 8, .roles = TF_ROLE_ORGANISER_ADMIN, .organiser_id = 12}, false},
        {"an admin of no organiser", {.user_id = 8, .roles = TF_ROLE_ORGANISER_ADMIN}, false},
        {"the organiser's scanner", {.user_id = 8, .roles = TF_ROLE_SCANNER, .organiser_id = ORGANISER}, false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, order_visible(&rows[i].identity, BUYER, ORGANISER) == rows[i].sees);
    assert_false(order_visible(&(struct tf_identity){.user_id = 0}, 0, ORGANISER));
    assert_true(operates_for(&(struct tf_identity){.roles = TF_ROLE_SCANNER, .organiser_id = ORGANISER},
                             TF_ROLE_ORGANISER_ADMIN | TF_ROLE_SCANNER, ORGANISER));
}

static void test_ticket(void **state)
{
    static const struct {
        const char *name;
        int order_state;
        bool live, used;
        int state;
    } rows[] = {
        {"held", ORDER_STATE_PENDING_PAYMENT, true, false, TICKET_STATE_HELD},
        {"valid", ORDER_STATE_PAID, true, false, TICKET_STATE_VALID},
        {"used", ORDER_STATE_PAID, true, true, TICKET_STATE_USED},
        {"the rest of a partial refund", ORDER_STATE_PARTIALLY_REFUNDED, true, false, TICKET_STATE_VALID},
        {"refunded of a partial refund", ORDER_STATE_PARTIALLY_REFUNDED, false, false, TICKET_STATE_VOID},
        {"refunded", ORDER_STATE_REFUNDED, false, false, TICKET_STATE_VOID},
        {"cancelled", ORDER_STATE_CANCELLED, false, false, TICKET_STATE_VOID},
        {"of an order that is over, whatever the row says", ORDER_STATE_CANCELLED, true, false, TICKET_STATE_VOID},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, (int)ticket_state(rows[i].order_state, rows[i].live, rows[i].used) == rows[i].state);
}

static void test_money(void **state)
{
    static const struct {
        const char *name;
        int order_state;
        struct refund_counts refunds;
        int state;
    } rows[] = {
        {"nothing paid", ORDER_STATE_PENDING_PAYMENT, {0, 0, 0}, MONEY_STATE_NONE},
        {"ran out unpaid", ORDER_STATE_CANCELLED, {0, 0, 0}, MONEY_STATE_NONE},
        {"paid", ORDER_STATE_PAID, {0, 0, 0}, MONEY_STATE_PAID},
        {"late money on its way back", ORDER_STATE_CANCELLED, {.processing = 1}, MONEY_STATE_REFUNDING},
        {"late money back", ORDER_STATE_CANCELLED, {.succeeded = 1}, MONEY_STATE_REFUNDED},
        {"late money stuck", ORDER_STATE_CANCELLED, {.parked = 1, .succeeded = 1}, MONEY_STATE_PARKED},
        {"paid twice, the second on its way back", ORDER_STATE_PAID, {.processing = 1}, MONEY_STATE_REFUNDING},
        {"paid twice, the second back", ORDER_STATE_PAID, {.succeeded = 1}, MONEY_STATE_PAID},
        {"refunded", ORDER_STATE_REFUNDED, {.succeeded = 1}, MONEY_STATE_REFUNDED},
        {"refund decided", ORDER_STATE_REFUNDED, {.processing = 1}, MONEY_STATE_REFUNDING},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, (int)money_state(rows[i].order_state, rows[i].refunds) == rows[i].state);
}

static void test_payment(void **state)
{
    static const struct {
        const char *name;
        int order_state;
        int64_t order_payment;
        bool amount_right;
        enum payment_effect effect;
        const char *reason;
    } rows[] = {
        {"in time", ORDER_STATE_PENDING_PAYMENT, 0, true, PAYMENT_PAYS, NULL},
        {"wrong amount", ORDER_STATE_PENDING_PAYMENT, 0, false, PAYMENT_WRONG_AMOUNT, "WRONG_AMOUNT"},
        {"told again", ORDER_STATE_PAID, 50, true, PAYMENT_KNOWN, NULL},
        {"told again after the refund", ORDER_STATE_REFUNDED, 50, true, PAYMENT_KNOWN, NULL},
        {"a second payment", ORDER_STATE_PAID, 49, true, PAYMENT_SECOND, "SECOND_PAYMENT"},
        {"a second payment of another amount", ORDER_STATE_PAID, 49, false, PAYMENT_SECOND, "SECOND_PAYMENT"},
        {"after the end", ORDER_STATE_CANCELLED, 0, true, PAYMENT_LATE, "LATE_PAYMENT"},
        {"after the end, wrong amount", ORDER_STATE_CANCELLED, 0, false, PAYMENT_LATE, "LATE_PAYMENT"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        enum payment_effect effect =
            payment_effect(rows[i].order_state, rows[i].order_payment, 50, rows[i].amount_right);

        CHECK(rows[i].name, effect == rows[i].effect);
        if (rows[i].reason)
            CHECK_TEXT(rows[i].name, refund_reason(effect), rows[i].reason);
        else
            CHECK(rows[i].name, refund_reason(effect) == NULL);
    }
}

static void test_seconds_left(void **state)
{
    const tf_time s = TF_US_PER_S;

    (void)state;
    assert_int_equal(seconds_left(ORDER_STATE_PENDING_PAYMENT, 100 * s, 40 * s), 60);
    assert_int_equal(seconds_left(ORDER_STATE_PENDING_PAYMENT, 100 * s, 40 * s + 1), 59);
    assert_int_equal(seconds_left(ORDER_STATE_PENDING_PAYMENT, 100 * s, 100 * s), 0);
    assert_int_equal(seconds_left(ORDER_STATE_PENDING_PAYMENT, INT64_MIN, 100 * s), 0);
    assert_int_equal(seconds_left(ORDER_STATE_PAID, 100 * s, 40 * s), 0);
    assert_int_equal(refund_expected_by(0), 3 * 86400 * s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_visible), cmocka_unit_test(test_ticket),       cmocka_unit_test(test_money),
        cmocka_unit_test(test_payment), cmocka_unit_test(test_seconds_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
