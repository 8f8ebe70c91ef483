/* The decision table, a row each. */
#include "tools/load/retry.h"

#include "common/base/error.h"
#include "common/base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { TRIES = 10 };

static const struct {
    const char *name;
    enum call_end end;
    int status;
    const char *reason;
    int64_t retry_after_ms;
    int attempt;
    /* expected */
    enum outcome outcome;
    const char *says;
    bool again;
    int64_t wait_ms;
} rows[] = {
    {"acknowledged", CALL_ANSWERED, 200, NULL, 0, 1, OUTCOME_OK, "", false, 0},
    {"acknowledged at the last try", CALL_ANSWERED, 204, NULL, 0, TRIES, OUTCOME_OK, "", false, 0},
    {"not sent", CALL_UNCONNECTED, 0, NULL, 0, 1, OUTCOME_UNKNOWN, "UNCONNECTED", true, 0},
    {"connection lost", CALL_LOST, 0, NULL, 0, 1, OUTCOME_UNKNOWN, "LOST", true, 0},
    {"too late", CALL_LATE, 0, NULL, 0, 1, OUTCOME_UNKNOWN, "LATE", true, 0},
    {"not understood", CALL_BROKEN, 200, NULL, 0, 1, OUTCOME_UNKNOWN, "BROKEN", true, 0},
    {"second time", CALL_LOST, 0, NULL, 0, 2, OUTCOME_UNKNOWN, "LOST", true, 100},
    {"third time", CALL_LOST, 0, NULL, 0, 3, OUTCOME_UNKNOWN, "LOST", true, 200},
    {"sixth time", CALL_LOST, 0, NULL, 0, 6, OUTCOME_UNKNOWN, "LOST", true, 1600},
    {"ninth time", CALL_LOST, 0, NULL, 0, 9, OUTCOME_UNKNOWN, "LOST", true, RETRY_WAIT_MAX_MS},
    {"last time", CALL_LOST, 0, NULL, 0, TRIES, OUTCOME_UNKNOWN, "LOST", false, 0},
    {"sold out", CALL_ANSWERED, 409, "SOLD_OUT", 0, 1, OUTCOME_REFUSED, "SOLD_OUT", false, 0},
    {"not yet open", CALL_ANSWERED, 409, "SALE_NOT_OPEN", 700, 1, OUTCOME_REFUSED, "SALE_NOT_OPEN", false, 700},
    {"paused for long", CALL_ANSWERED, 409, "SALE_PAUSED", 90000, 1, OUTCOME_REFUSED, "SALE_PAUSED", false,
     RETRY_WAIT_MAX_MS},
    {"not logged in", CALL_ANSWERED, 401, "UNAUTHENTICATED", 0, 1, OUTCOME_REFUSED, "UNAUTHENTICATED", false, 0},
    {"key reused", CALL_ANSWERED, 422, "KEY_REUSED", 0, 1, OUTCOME_REFUSED, "KEY_REUSED", false, 0},
    {"overloaded", CALL_ANSWERED, 503, "OVERLOADED", 1000, 1, OUTCOME_REFUSED, "OVERLOADED", true, 1000},
    {"rate limited", CALL_ANSWERED, 429, "RATE_LIMITED", 50, 3, OUTCOME_REFUSED, "RATE_LIMITED", true, 200},
    {"a proxy's limit", CALL_ANSWERED, 429, NULL, 0, 1, OUTCOME_REFUSED, "HTTP_4xx", true, 0},
    {"overloaded at the last try", CALL_ANSWERED, 503, "OVERLOADED", 1000, TRIES, OUTCOME_REFUSED, "OVERLOADED", false,
     1000},
    {"store down", CALL_ANSWERED, 503, "STORE_DOWN", 0, 1, OUTCOME_UNKNOWN, "STORE_DOWN", true, 0},
    {"rebuilding", CALL_ANSWERED, 503, "REBUILDING", 500, 1, OUTCOME_UNKNOWN, "REBUILDING", true, 500},
    {"unknown outcome", CALL_ANSWERED, 503, "UNKNOWN_OUTCOME", 0, 1, OUTCOME_UNKNOWN, "UNKNOWN_OUTCOME", true, 0},
    {"deadline", CALL_ANSWERED, 504, "DEADLINE", 0, 1, OUTCOME_UNKNOWN, "DEADLINE", true, 0},
    {"cancelled", CALL_ANSWERED, 499, "CANCELLED", 0, 1, OUTCOME_UNKNOWN, "CANCELLED", true, 0},
    {"our fault", CALL_ANSWERED, 500, "INTERNAL", 0, 1, OUTCOME_UNKNOWN, "INTERNAL", true, 0},
    {"changed meanwhile", CALL_ANSWERED, 409, "ORDER_CHANGED", 0, 1, OUTCOME_UNKNOWN, "ORDER_CHANGED", true, 0},
    {"a proxy's 502", CALL_ANSWERED, 502, NULL, 0, 1, OUTCOME_UNKNOWN, "HTTP_5xx", true, 0},
    {"request timeout", CALL_ANSWERED, 408, NULL, 0, 1, OUTCOME_UNKNOWN, "HTTP_4xx", true, 0},
    {"redirected", CALL_ANSWERED, 302, NULL, 0, 1, OUTCOME_REFUSED, "HTTP_3xx", false, 0},
    {"reason of nobody's", CALL_ANSWERED, 409, "\"},{\"", 0, 1, OUTCOME_REFUSED, "HTTP_4xx", false, 0},
    {"reason that contradicts the status", CALL_ANSWERED, 500, "SOLD_OUT", 0, 1, OUTCOME_UNKNOWN, "SOLD_OUT", true, 0},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct verdict v =
            retry_judge(rows[i].end, rows[i].status, rows[i].reason, rows[i].retry_after_ms, rows[i].attempt, TRIES);

        if (v.outcome != rows[i].outcome || strcmp(v.reason, rows[i].says) != 0 || v.again != rows[i].again ||
            v.wait_ms != rows[i].wait_ms)
            fail_msg("%s: %s %s, again %d after %lld ms", rows[i].name, outcome_name(v.outcome), v.reason, v.again,
                     (long long)v.wait_ms);
    }
}

/* Every reason of codes.def, with its own status: nothing but a 2xx is acknowledged, what may have happened is tried
 * again and is never called refused. */
static void test_every_reason(void **state)
{
    (void)state;
    for (int code = 1; code < TF_CODES; code++) {
        const struct tf_code_info *info = tf_code_info((tf_code)code);
        struct verdict v = retry_judge(CALL_ANSWERED, info->http_status, info->reason, 0, 1, TRIES);

        assert_string_equal(v.reason, info->reason);
        assert_int_not_equal(v.outcome, OUTCOME_OK);
        if (info->retry == TF_RETRY_SAME) assert_int_equal(v.outcome, OUTCOME_UNKNOWN);
        if (v.outcome == OUTCOME_UNKNOWN) assert_true(v.again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_every_reason)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
