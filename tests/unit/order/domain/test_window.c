/* The sale window at its edges, and the offer's state. */
#include "services/order/domain/window.h"
#include "tests/unit/order/fixture.h"

#define S ((tf_time)TF_US_PER_S)

static void test_phase(void **state)
{
    static const struct {
        const char *name;
        tf_time now;
        int64_t error_us;
        enum window_phase phase;
    } rows[] = {
        {"long before", 0, 0, WINDOW_SOON},
        {"a microsecond before", FIXTURE_OPENS_S * S - 1, 0, WINDOW_SOON},
        {"at the opening, exactly known", FIXTURE_OPENS_S * S, 0, WINDOW_OPEN},
        {"at the opening, the clock may be early", FIXTURE_OPENS_S * S, 1, WINDOW_SOON},
        {"surely past the opening", FIXTURE_OPENS_S * S + 5000, 5000, WINDOW_OPEN},
        {"a microsecond before the end", FIXTURE_CLOSES_S * S - 1, 0, WINDOW_OPEN},
        {"at the end", FIXTURE_CLOSES_S * S, 0, WINDOW_ENDED},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, window_at(f->sale, rows[i].now, rows[i].error_us) == rows[i].phase);
}

static void test_retry(void **state)
{
    static const struct {
        const char *name;
        tf_time left;
        int min_ms, max_ms;
    } rows[] = {
        {"past", -5 * S, 0, 200},
        {"now", 0, 0, 200},
        {"in a second", S, 1000, 1250},
        {"in ten seconds", 10 * S, 10000, 12000},
        {"in a week", 7 * 86400 * S, WINDOW_RETRY_MS_MAX - 2000, WINDOW_RETRY_MS_MAX},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        for (uint64_t random = 0; random <= UINT32_MAX; random += UINT32_MAX / 7) {
            int ms = window_retry_ms(rows[i].left, 0, (uint32_t)random);

            CHECK(rows[i].name, ms >= rows[i].min_ms && ms <= rows[i].max_ms);
        }
}

static void test_offer(void **state)
{
    static const struct {
        const char *name;
        enum window_phase phase;
        int sale_state;
        int64_t free, held;
        int state;
    } rows[] = {
        {"open with places", WINDOW_OPEN, SALE_STATE_ON_SALE, 1, 5, OFFER_STATE_ON_SALE},
        {"open, all held or sold", WINDOW_OPEN, SALE_STATE_ON_SALE, 0, 1, OFFER_STATE_NONE_FREE_NOW},
        {"open, all sold", WINDOW_OPEN, SALE_STATE_ON_SALE, 0, 0, OFFER_STATE_SOLD_OUT},
        {"paused", WINDOW_OPEN, SALE_STATE_PAUSED, 1, 0, OFFER_STATE_PAUSED},
        {"withdrawn", WINDOW_OPEN, SALE_STATE_WITHDRAWN, 1, 0, OFFER_STATE_ENDED},
        {"before", WINDOW_SOON, SALE_STATE_ON_SALE, 1, 0, OFFER_STATE_SOON},
        {"paused before the opening", WINDOW_SOON, SALE_STATE_PAUSED, 1, 0, OFFER_STATE_SOON},
        {"after", WINDOW_ENDED, SALE_STATE_ON_SALE, 1, 0, OFFER_STATE_ENDED},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, (int)offer_state(rows[i].phase, (SaleState)rows[i].sale_state,
                                             offer_by_places(rows[i].free, rows[i].held)) == rows[i].state);
}

static void test_over(void **state)
{
    (void)state;
    assert_false(show_over(100 * S, 100 * S));
    assert_false(show_over(100 * S, (100 + SHOW_OVER_AFTER_S) * S - 1));
    assert_true(show_over(100 * S, (100 + SHOW_OVER_AFTER_S) * S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_phase, fixture_setup, fixture_teardown),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_offer),
        cmocka_unit_test(test_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
