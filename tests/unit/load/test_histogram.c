/* The latency histogram against the values themselves. */
#include "tools/load/histogram.h"

#include "common/base/macros.h"
#include "common/base/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { VALUES = 20000 };

static const double percents[] = {0, 1, 50, 90, 99, 99.9, 100};

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void test_percentiles(void **state)
{
    static struct histogram h;
    static int64_t values[VALUES];

    (void)state;
    for (int i = 0; i < VALUES; i++) {
        /* from microseconds to minutes, spread over all doublings */
        values[i] = (int64_t)(tf_mix64((uint64_t)i) >> (36 + tf_mix64((uint64_t)i + VALUES) % 28));
        histogram_record(&h, values[i]);
    }
    qsort(values, VALUES, sizeof *values, by_value);
    assert_int_equal(h.count, VALUES);
    assert_int_equal(h.max_us, values[VALUES - 1]);
    for (size_t i = 0; i < TF_COUNT(percents); i++) {
        size_t rank = (size_t)ceil(VALUES * percents[i] / 100);
        int64_t exact = values[rank ? rank - 1 : 0];
        uint64_t got = histogram_percentile(&h, percents[i]);

        if (got < (uint64_t)exact || (double)got > (double)exact * 1.01)
            fail_msg("p%.1f: %llu for %lld", percents[i], (unsigned long long)got, (long long)exact);
    }
}

static void test_each_small_value_is_exact(void **state)
{
    (void)state;
    for (int64_t us = 0; us < 256; us++) {
        struct histogram h = {0};

        histogram_record(&h, us);
        histogram_record(&h, 1000000);
        assert_int_equal(histogram_percentile(&h, 50), us);
    }
}

/* Around every power of two a value lands in a step that holds it. */
static void test_borders(void **state)
{
    (void)state;
    for (int bit = 1; bit < 36; bit++)
        for (int64_t us = ((int64_t)1 << bit) - 1; us <= ((int64_t)1 << bit) + 1; us++) {
            struct histogram h = {0};
            uint64_t got;

            histogram_record(&h, us);
            histogram_record(&h, (int64_t)1 << 40);
            got = histogram_percentile(&h, 50);
            if (us >= ((int64_t)1 << 36)) continue;
            if (got < (uint64_t)us || (double)got > (double)us * 1.01 + 1)
                fail_msg("%lld became %llu", (long long)us, (unsigned long long)got);
        }
}

static void test_out_of_range(void **state)
{
    struct histogram h = {0};

    (void)state;
    assert_int_equal(histogram_percentile(&h, 50), 0);
    histogram_record(&h, -5);
    assert_int_equal(histogram_percentile(&h, 100), 0);
    histogram_record(&h, INT64_MAX);
    assert_int_equal(h.count, 2);
    assert_int_equal(histogram_percentile(&h, 100), ((uint64_t)1 << 36) - 1);
}

static void test_add(void **state)
{
    static struct histogram a, b, both;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        histogram_record(i % 3 ? &a : &b, i * 37);
        histogram_record(&both, i * 37);
    }
    histogram_add(&a, &b);
    assert_memory_equal(&a, &both, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles), cmocka_unit_test(test_each_small_value_is_exact),
        cmocka_unit_test(test_borders),     cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_add),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
