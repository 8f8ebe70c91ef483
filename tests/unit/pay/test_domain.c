/* pay's rules: what a provider's word does to a payment. One case a row. */
#include "services/pay/domain/settle.h"
#include "services/pay/providers/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void moves(void **state)
{
    enum {
        CREATED = PAYMENT_STATE_CREATED,
        PROCESSING = PAYMENT_STATE_PROCESSING,
        SUCCEEDED = PAYMENT_STATE_SUCCEEDED,
        FAILED = PAYMENT_STATE_FAILED,
        CLOSED = PAYMENT_STATE_CLOSED,
        TOLD = WORD_OF_NOTIFICATION,
        BOOKS = WORD_OF_BOOKS
    };
    static const struct {
        const char *name;
        int stored;
        bool over, parked;
        int source, outcome;
        int64_t amount;
        const char *currency;
        enum payment_move expected;
    } rows[] = {
        {"money for a waiting payment", PROCESSING, false, false, TOLD, CHARGE_PAID, 500, "CNY", MOVE_SUCCEED},
        {"money before we knew of the charge", CREATED, false, false, TOLD, CHARGE_PAID, 500, "CNY", MOVE_SUCCEED},
        {"money after the close: still money", CLOSED, true, false, TOLD, CHARGE_PAID, 500, "CNY", MOVE_SUCCEED},
        {"money after a failure", FAILED, true, false, TOLD, CHARGE_PAID, 500, "CNY", MOVE_SUCCEED},
        {"money after parking", PROCESSING, false, true, BOOKS, CHARGE_PAID, 500, "CNY", MOVE_SUCCEED},
        {"the same word again", SUCCEEDED, false, false, TOLD, CHARGE_PAID, 500, "CNY", MOVE_NONE},
        {"other money after the right one", SUCCEEDED, false, false, TOLD, CHARGE_PAID, 499, "CNY", MOVE_NONE},
        {"too little money", PROCESSING, false, false, TOLD, CHARGE_PAID, 499, "CNY", MOVE_MISMATCH},
        {"too much money", PROCESSING, false, false, TOLD, CHARGE_PAID, 501, "CNY", MOVE_MISMATCH},
        {"another currency", PROCESSING, false, false, TOLD, CHARGE_PAID, 500, "EUR", MOVE_MISMATCH},
        {"other money, by the books", PROCESSING, false, true, BOOKS, CHARGE_PAID, 499, "CNY", MOVE_MISMATCH},
        {"closed without money", PROCESSING, true, false, BOOKS, CHARGE_CLOSED, 0, "", MOVE_CLOSE},
        {"closed before it was known", CREATED, true, false, BOOKS, CHARGE_CLOSED, 0, "", MOVE_CLOSE},
        {"closed after success", SUCCEEDED, true, false, BOOKS, CHARGE_CLOSED, 0, "", MOVE_NONE},
        {"closed twice", CLOSED, true, false, BOOKS, CHARGE_CLOSED, 0, "", MOVE_NONE},
        {"closed and parked: the books deny", CLOSED, true, true, BOOKS, CHARGE_CLOSED, 0, "", MOVE_CLEAR},
        {"failed and parked: the books deny", FAILED, true, true, BOOKS, CHARGE_UNKNOWN, 0, "", MOVE_CLEAR},
        {"waiting and parked: the books deny", PROCESSING, false, true, BOOKS, CHARGE_OPEN, 500, "CNY", MOVE_CLEAR},
        {"unknown, time left", CREATED, false, false, BOOKS, CHARGE_UNKNOWN, 0, "", MOVE_NONE},
        {"unknown, time over", CREATED, true, false, BOOKS, CHARGE_UNKNOWN, 0, "", MOVE_FAIL},
        {"the charge stands after all", CREATED, false, false, BOOKS, CHARGE_OPEN, 500, "CNY", MOVE_OPEN},
        {"still open", PROCESSING, true, false, BOOKS, CHARGE_OPEN, 500, "CNY", MOVE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct payment_facts facts = {(PaymentState)rows[i].stored, 500, "CNY", rows[i].over, rows[i].parked};
        enum payment_move got =
            payment_decide(&facts, (enum word_source)rows[i].source, rows[i].outcome, rows[i].amount, rows[i].currency);

        if (got != rows[i].expected) fail_msg("%s: move %d", rows[i].name, (int)got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(moves)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
