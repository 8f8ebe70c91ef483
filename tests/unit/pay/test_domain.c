/* pay's rules: what a provider's word does to a payment. One case a row. */
#include "services/pay/domain/settle.h"
#include "services/pay/providers/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void moves(void **state)
{
    static const struct {
        const char *name;
        PaymentState stored;
        bool over;
        int outcome;
        int64_t amount;
        const char *currency;
        enum payment_move expected;
    } rows[] = {
        {"money for a waiting payment", PAYMENT_STATE_PROCESSING, false, CHARGE_PAID, 500, "CNY", MOVE_SUCCEED},
        {"money before we knew of the charge", PAYMENT_STATE_CREATED, false, CHARGE_PAID, 500, "CNY", MOVE_SUCCEED},
        {"money after the close: still money", PAYMENT_STATE_CLOSED, true, CHARGE_PAID, 500, "CNY", MOVE_SUCCEED},
        {"money after a failure", PAYMENT_STATE_FAILED, true, CHARGE_PAID, 500, "CNY", MOVE_SUCCEED},
        {"the same word again", PAYMENT_STATE_SUCCEEDED, false, CHARGE_PAID, 500, "CNY", MOVE_NONE},
        {"too little money", PAYMENT_STATE_PROCESSING, false, CHARGE_PAID, 499, "CNY", MOVE_MISMATCH},
        {"too much money", PAYMENT_STATE_PROCESSING, false, CHARGE_PAID, 501, "CNY", MOVE_MISMATCH},
        {"another currency", PAYMENT_STATE_PROCESSING, false, CHARGE_PAID, 500, "EUR", MOVE_MISMATCH},
        {"closed without money", PAYMENT_STATE_PROCESSING, true, CHARGE_CLOSED, 0, "", MOVE_CLOSE},
        {"closed after success", PAYMENT_STATE_SUCCEEDED, true, CHARGE_CLOSED, 0, "", MOVE_NONE},
        {"closed twice", PAYMENT_STATE_CLOSED, true, CHARGE_CLOSED, 0, "", MOVE_NONE},
        {"unknown, time left", PAYMENT_STATE_CREATED, false, CHARGE_UNKNOWN, 0, "", MOVE_NONE},
        {"unknown, time over", PAYMENT_STATE_CREATED, true, CHARGE_UNKNOWN, 0, "", MOVE_FAIL},
        {"still open", PAYMENT_STATE_PROCESSING, true, CHARGE_OPEN, 500, "CNY", MOVE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct payment_facts facts = {rows[i].stored, 500, "CNY", rows[i].over};

        if (payment_decide(&facts, rows[i].outcome, rows[i].amount, rows[i].currency) != rows[i].expected)
            fail_msg("%s", rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(moves)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
