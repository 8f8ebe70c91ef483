/* Clocks and RFC 3339 times in UTC. */
#include "tests/unit/base/unit.h"

#include "common/base/civil.h"
#include "common/base/clock.h"

static void times_are_written(void **state)
{
    static const struct {
        tf_time t;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1795373580123000, "2026-11-22T18:53:00.123Z"},
        {1795373580123456, "2026-11-22T18:53:00.123456Z"},
        {1795373580000001, "2026-11-22T18:53:00.000001Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {951782400000000, "2000-02-29T00:00:00.000Z"},
        {-62135596800000000, "0001-01-01T00:00:00.000Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
        {253402300800000000, "+10000-01-01T00:00:00.000Z"},
        {-62135596800000001, "+00000-12-31T23:59:59.999999Z"},
        {INT64_MAX, "+294247-01-10T04:00:54.775807Z"},
        {INT64_MIN, "-290308-12-21T19:59:05.224192Z"},
    };
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 16);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK_TEXT(rows[i].text, tf_time_format(arena, rows[i].t), rows[i].text);
}

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        tf_time t;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"2026-11-22T18:53:00.1Z", 1795373580100000},
        {"2026-11-22T18:53:00.123456Z", 1795373580123456},
        {"2026-11-22T18:53:00.123456000Z", 1795373580123456},
        {"2026-11-23T02:53:00+08:00", 1795373580000000},
        {"2026-11-22T15:23:00-03:30", 1795373580000000},
        {"0001-01-01T00:00:00Z", -62135596800000000},
        {"9999-12-31T23:59:59.999999Z", 253402300799999999},
        {"2024-02-29T23:59:59Z", 1709251199000000},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_time t = 1;

        CHECK(rows[i].text, tf_time_parse(rows[i].text, &t));
        CHECK(rows[i].text, t == rows[i].t);
    }
}

static void faulty_times_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "2026",
        "2026-11-22",
        "2026-11-22T18:53Z",
        "2026-11-22T18:53:00",
        "2026-11-22 18:53:00Z",
        " 2026-11-22T18:53:00Z",
        "2026-11-22T18:53:00Z ",
        "2026-11-22T18:53:00ZZ",
        "0000-01-01T00:00:00Z",
        "2026-00-22T18:53:00Z",
        "2026-13-22T18:53:00Z",
        "2026-11-00T18:53:00Z",
        "2026-11-31T18:53:00Z",
        "2025-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T23:60:00Z",
        "2026-12-31T23:59:60Z",
        "2026-11-22T18:53:00.Z",
        "2026-11-22T18:53:00,5Z",
        "2026-11-22T18:53:00.1234567Z",
        "2026-11-22T18:53:00.0000000000Z",
        "2026-11-22T18:53:00+0800",
        "2026-11-22T18:53:00+08",
        "2026-11-22T18:53:00+24:00",
        "2026-11-22T18:53:00+08:60",
        "2026-11-22T18:53:00+8:00",
        "2026-11-22T18:53:00+08:000",
        "+2026-11-22T18:53:00Z",
        "-2026-11-22T18:53:00Z",
        "20261-11-22T18:53:00Z",
        "2026-1-22T18:53:00Z",
        "2026-11-22T18:53:-1Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    };
    tf_time t = 42;

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i], !tf_time_parse(rows[i], &t));
    assert_false(tf_time_parse(NULL, &t));
    assert_int_equal(t, 42);
}

static void every_day_of_ten_millennia_goes_both_ways(void **state)
{
    int64_t first = tf_days_from_civil(1, 1, 1), last = tf_days_from_civil(9999, 12, 31);
    int64_t expected = first;

    (void)state;
    assert_int_equal(last - first + 1, 3652059);
    for (int64_t year = 1; year <= 9999; year++)
        for (int month = 1; month <= 12; month++)
            for (int day = 1; day <= tf_days_in_month(year, month); day++, expected++) {
                struct tf_civil c;

                if (tf_days_from_civil(year, month, day) != expected) fail_msg("%d-%d-%d", (int)year, month, day);
                c = tf_civil_of_seconds(expected * TF_SECONDS_PER_DAY + 86399);
                if (c.year != year || c.month != month || c.day != day || c.hour != 23 || c.second != 59)
                    fail_msg("%d-%d-%d does not come back", (int)year, month, day);
            }
}

static void clocks_stand_or_go(void **state)
{
    struct tf_clock_fixed fixed;
    int64_t before = tf_mono_us();

    (void)state;
    tf_clock_fixed_init(&fixed, 123);
    assert_int_equal(fixed.clock.wall_us(&fixed.clock), 123);
    fixed.mono_us = 5;
    assert_int_equal(fixed.clock.mono_us(&fixed.clock), 5);
    assert_true(tf_clock_system()->mono_us(tf_clock_system()) >= before);
    assert_true(tf_now_us() > 1700000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written),        cmocka_unit_test(times_are_read),
        cmocka_unit_test(faulty_times_are_refused), cmocka_unit_test(every_day_of_ten_millennia_goes_both_ways),
        cmocka_unit_test(clocks_stand_or_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
