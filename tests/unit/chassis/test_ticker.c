/* The ticker: runs at once, after its pause, and when woken; a stop ends it whatever it waits for. */
#include "tests/unit/base/unit.h"

#include "common/base/clock.h"
#include "common/chassis/ticker.h"

#include <stdatomic.h>
#include <time.h>

struct counter {
    atomic_int runs;
    int pause_ms;
};

static int count(void *arg)
{
    struct counter *counter = arg;

    atomic_fetch_add(&counter->runs, 1);
    return counter->pause_ms;
}

/* Waits up to 5 s for so many runs. */
static bool reaches(struct counter *counter, int runs)
{
    for (int i = 0; i < 5000 && atomic_load(&counter->runs) < runs; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return atomic_load(&counter->runs) >= runs;
}

static void test_pauses(void **state)
{
    struct counter counter = {.pause_ms = 5};
    tf_ticker *ticker = tf_ticker_start("a name longer than 15 bytes", count, &counter);

    (void)state;
    assert_true(reaches(&counter, 5));
    tf_ticker_stop(ticker);
}

static void test_wake(void **state)
{
    struct counter counter = {.pause_ms = 3600 * 1000};
    tf_ticker *ticker = tf_ticker_start("test", count, &counter);
    int64_t begun;

    (void)state;
    assert_true(reaches(&counter, 1));
    for (int runs = 2; runs < 10; runs++) {
        tf_ticker_wake(ticker);
        assert_true(reaches(&counter, runs));
    }
    begun = tf_mono_us();
    tf_ticker_stop(ticker);
    assert_true(tf_mono_us() - begun < 2 * TF_US_PER_S);
}

static void test_no_pause(void **state)
{
    struct counter counter = {.pause_ms = 0};
    tf_ticker *ticker = tf_ticker_start("test", count, &counter);

    (void)state;
    assert_true(reaches(&counter, 100));
    tf_ticker_stop(ticker);
    tf_ticker_stop(NULL);
    tf_ticker_wake(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_wake),
        cmocka_unit_test(test_no_pause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
