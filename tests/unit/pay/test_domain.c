/* pay's rules: what a provider's word does to a payment. One case a row. */
#include "services/pay/domain/desk.h"
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
        struct payment_facts facts = {.state = (PaymentState)rows[i].stored,
                                      .amount_minor = 500,
                                      .currency = "CNY",
                                      .over = rows[i].over,
                                      .parked = rows[i].parked};
        enum payment_move got =
            payment_decide(&facts, (enum word_source)rows[i].source, rows[i].outcome, rows[i].amount, rows[i].currency);

        if (got != rows[i].expected) fail_msg("%s: move %d", rows[i].name, (int)got);
    }
}

/* An operator decided about 499 CNY where 500 were asked for. */
static void moves_after_a_decision(void **state)
{
    static const struct {
        const char *name;
        bool parked;
        int source, outcome;
        int64_t amount;
        const char *currency;
        enum payment_move expected;
    } rows[] = {
        {"the same word again", false, WORD_OF_NOTIFICATION, CHARGE_PAID, 499, "CNY", MOVE_NONE},
        {"the books as before", false, WORD_OF_BOOKS, CHARGE_PAID, 499, "CNY", MOVE_NONE},
        {"the books deny what was told besides", true, WORD_OF_BOOKS, CHARGE_PAID, 499, "CNY", MOVE_CLEAR},
        {"what was asked for, too late", false, WORD_OF_BOOKS, CHARGE_PAID, 500, "CNY", MOVE_MISMATCH},
        {"another currency", false, WORD_OF_BOOKS, CHARGE_PAID, 499, "EUR", MOVE_MISMATCH},
        {"closed", false, WORD_OF_BOOKS, CHARGE_CLOSED, 0, "", MOVE_NONE},
        {"never heard of", false, WORD_OF_BOOKS, CHARGE_UNKNOWN, 0, "", MOVE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct payment_facts facts = {.state = PAYMENT_STATE_FAILED,
                                      .amount_minor = 500,
                                      .currency = "CNY",
                                      .over = true,
                                      .parked = rows[i].parked,
                                      .decided_minor = 499,
                                      .decided_currency = "CNY"};
        enum payment_move got =
            payment_decide(&facts, (enum word_source)rows[i].source, rows[i].outcome, rows[i].amount, rows[i].currency);

        if (got != rows[i].expected) fail_msg("%s: move %d", rows[i].name, (int)got);
    }
}

static void scopes(void **state)
{
    static const struct {
        const char *name;
        uint32_t roles;
        int64_t organiser_id, scope;
        bool sees_5;
    } rows[] = {
        {"the platform", TF_ROLE_PLATFORM_OPERATOR, 0, DESK_OF_ALL, true},
        {"the platform, who is an organiser too", TF_ROLE_PLATFORM_OPERATOR | TF_ROLE_ORGANISER_ADMIN, 6, DESK_OF_ALL,
         true},
        {"the organiser", TF_ROLE_ORGANISER_ADMIN, 5, 5, true},
        {"another", TF_ROLE_ORGANISER_ADMIN, 6, 6, false},
        {"an admin of nothing", TF_ROLE_ORGANISER_ADMIN, 0, DESK_OF_NOBODY, false},
        {"a scanner", TF_ROLE_SCANNER, 5, DESK_OF_NOBODY, false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_identity identity = {.roles = rows[i].roles, .organiser_id = rows[i].organiser_id};
        int64_t scope = desk_scope(&identity);

        if (scope != rows[i].scope || desk_in_scope(scope, 5) != rows[i].sees_5) fail_msg("%s", rows[i].name);
    }
}

static void choices(void **state)
{
    static const struct {
        bool of_refund;
        int64_t amount;
        bool refund, retry, elsewhere;
    } rows[] = {{false, 1, true, false, true},
                {false, 0, false, false, true},
                {false, -1, false, false, true},
                {true, 1, false, true, true}};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        assert_int_equal(desk_allows(rows[i].of_refund, rows[i].amount, DECISION_KIND_REFUND), rows[i].refund);
        assert_int_equal(desk_allows(rows[i].of_refund, rows[i].amount, DECISION_KIND_RETRY), rows[i].retry);
        assert_int_equal(desk_allows(rows[i].of_refund, rows[i].amount, DECISION_KIND_SETTLED_ELSEWHERE),
                         rows[i].elsewhere);
        assert_false(desk_allows(rows[i].of_refund, rows[i].amount, DECISION_KIND_UNSPECIFIED));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(moves), cmocka_unit_test(moves_after_a_decision),
                                       cmocka_unit_test(scopes), cmocka_unit_test(choices)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
