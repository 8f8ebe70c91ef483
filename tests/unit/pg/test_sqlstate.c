/* What each SQLSTATE means to the caller. */
#include "tests/unit/with_ctx.h"

#include "common/pg/sqlstate.h"

static void states_have_meanings(void **state)
{
    static const struct {
        const char *sqlstate;
        tf_code code;
        bool retryable, closes, unsure;
    } rows[] = {
        {"40001", TF_ORDER_CHANGED, true, false, false},  /* serialization failure */
        {"40P01", TF_ORDER_CHANGED, true, false, false},  /* deadlock */
        {"40002", TF_INTERNAL, false, false, false},      /* not the whole class */
        {"55P03", TF_ORDER_CHANGED, false, false, false}, /* lock timeout */
        {"23505", TF_ALREADY_EXISTS, false, false, false},
        {"23503", TF_INTERNAL, false, false, false}, /* foreign key: a bug of ours */
        {"23514", TF_INTERNAL, false, false, false},
        {"57014", TF_DEADLINE, false, false, false},
        {"57P01", TF_STORE_DOWN, true, true, true},
        {"57P02", TF_STORE_DOWN, true, true, true},
        {"57P03", TF_STORE_DOWN, false, true, false},
        {"57P04", TF_INTERNAL, false, false, false}, /* database dropped */
        {"25P03", TF_STORE_DOWN, true, true, false},
        {"25P02", TF_INTERNAL, false, false, false}, /* in failed transaction: the caller goes on after an error */
        {"25006", TF_STORE_DOWN, false, true, false},
        {"08006", TF_STORE_DOWN, true, true, true},
        {"53300", TF_STORE_DOWN, false, false, false},
        {"53100", TF_STORE_DOWN, false, false, false},
        {"58030", TF_STORE_DOWN, false, false, false},
        {"42P01", TF_INTERNAL, false, false, false},
        {"22003", TF_INTERNAL, false, false, false},
        {"XX000", TF_INTERNAL, false, false, false},
        {"", TF_INTERNAL, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_pg_meaning meaning = tf_pg_meaning_of(rows[i].sqlstate);

        CHECK(meaning.code == rows[i].code, rows[i].sqlstate);
        CHECK(meaning.retryable == rows[i].retryable, rows[i].sqlstate);
        CHECK(meaning.closes == rows[i].closes, rows[i].sqlstate);
        CHECK(meaning.unsure == rows[i].unsure, rows[i].sqlstate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(states_have_meanings)};

    return cmocka_run_group_tests_name("pg sqlstate", tests, NULL, NULL);
}
