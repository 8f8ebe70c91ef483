/* Sums of places, and when places are side by side. */
#include "services/order/domain/price.h"
#include "tests/unit/order/fixture.h"

static void test_total(void **state)
{
    static const struct {
        const char *name;
        int32_t places[8];
        int n;
        bool fits;
        int64_t total;
        bool adjacent;
    } rows[] = {
        {"one place with a fee", {32}, 1, true, 10500, true},
        {"a pair", {33, 32}, 2, true, 21000, true},
        {"three with a gap", {32, 33, 35}, 3, true, 31500, false},
        {"two rows", {41, 48}, 2, true, 21000, false},
        {"a row's end and the next row", {67, 80}, 2, true, 16500, false},
        {"two tiers", {32, 33, 80, 81}, 4, true, 33000, false},
        {"standing only", {96, 195}, 2, true, 6000, true},
        {"a seat and standing", {32, 150}, 2, true, 13500, true},
        {"nothing", {0}, 0, true, 0, true},
        {"no place of the show", {32, 42}, 2, false, 0, false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int64_t total = 0;

        CHECK(rows[i].name, price_total(f->sale, rows[i].places, rows[i].n, &total) == rows[i].fits);
        CHECK(rows[i].name, total == rows[i].total);
        CHECK(rows[i].name, places_adjacent(f->sale, rows[i].places, rows[i].n) == rows[i].adjacent);
    }
}

static void test_overflow(void **state)
{
    static const int32_t places[] = {32, 33};
    struct fixture *f = *state;
    int64_t total = 1;

    f->sale->tiers[0].price_minor = INT64_MAX / 2 + 1;
    assert_false(price_total(f->sale, places, 2, &total));
    assert_int_equal(total, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_total, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_overflow, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
