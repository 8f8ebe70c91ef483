/* The clock guard: when two clocks agree. */
#include "tests/unit/base/unit.h"

#include "common/chassis/clock_guard.h"

static const int64_t s = TF_US_PER_S, ms = TF_US_PER_MS, tolerance = 2 * TF_US_PER_S;

static void agrees_within_the_tolerance(void **state)
{
    static const struct {
        const char *name;
        int64_t own_ahead_ms;
        bool agrees;
    } rows[] = {
        {"the same", 0, true},
        {"just within", 1990, true},
        {"just behind within", -1990, true},
        {"ahead", 2010, false},
        {"behind", -2010, false},
        {"ten minutes ahead", 600000, false},
        {"an hour back", -3600000, false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_clock_fixed own;
        struct tf_clock_guard guard;
        tf_time theirs = 1000000 * s;

        tf_clock_fixed_init(&own, theirs + rows[i].own_ahead_ms * ms);
        own.mono_us = 50 * s;
        tf_clock_guard_init(&guard, &own.clock, tolerance);
        CHECK(rows[i].name, !tf_clock_guard_agrees(&guard)); /* nothing is known */
        tf_clock_guard_learn(&guard, theirs, 50 * s - ms, 50 * s + ms);
        CHECK(rows[i].name, tf_clock_guard_agrees(&guard) == rows[i].agrees);
        CHECK(rows[i].name, tf_clock_guard_offset_us(&guard) == rows[i].own_ahead_ms * ms);
    }
}

/* Without another answer. */
static void a_step_is_seen_at_once(void **state)
{
    struct tf_clock_fixed own;
    struct tf_clock_guard guard;

    (void)state;
    tf_clock_fixed_init(&own, 1000 * s);
    own.mono_us = 7 * s;
    tf_clock_guard_init(&guard, &own.clock, tolerance);
    tf_clock_guard_learn(&guard, 1000 * s, 7 * s, 7 * s);
    assert_true(tf_clock_guard_agrees(&guard));
    own.wall_us += 5000 * s; /* both go on */
    own.mono_us += 5000 * s;
    assert_true(tf_clock_guard_agrees(&guard));
    own.wall_us += 600 * s;
    assert_false(tf_clock_guard_agrees(&guard));
    own.wall_us -= 600 * s + 3600 * s;
    assert_false(tf_clock_guard_agrees(&guard));
    own.wall_us += 3600 * s;
    assert_true(tf_clock_guard_agrees(&guard));
    own.mono_us += 3 * s; /* the wall clock stands still */
    assert_false(tf_clock_guard_agrees(&guard));
}

static void a_slow_answer_teaches_nothing(void **state)
{
    struct tf_clock_fixed own;
    struct tf_clock_guard guard;

    (void)state;
    tf_clock_fixed_init(&own, 1000 * s);
    own.mono_us = 20 * s;
    tf_clock_guard_init(&guard, &own.clock, tolerance);
    tf_clock_guard_learn(&guard, 1000 * s, 15 * s, 20 * s);
    assert_false(tf_clock_guard_agrees(&guard));
    tf_clock_guard_learn(&guard, 1000 * s, 20 * s - 100 * ms, 20 * s);
    assert_true(tf_clock_guard_agrees(&guard));
    tf_clock_guard_learn(&guard, 900 * s, 15 * s, 20 * s); /* nor does it spoil what is known */
    assert_true(tf_clock_guard_agrees(&guard));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_within_the_tolerance),
        cmocka_unit_test(a_step_is_seen_at_once),
        cmocka_unit_test(a_slow_answer_teaches_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
