/* The heap of timers against a plain list: they fire in order, once each, and cleared ones not at all. */
#include "tools/load/loop.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

enum { TIMERS = 1000 };

static struct loop loop;
static struct probe {
    struct timer timer;
    int fired;
} probes[TIMERS];
static int64_t last_us;

static void on_fire(void *arg)
{
    struct probe *probe = arg;

    assert_true(probe->timer.at_us >= last_us);
    assert_true(probe->timer.at_us <= tf_mono_us());
    last_us = probe->timer.at_us;
    probe->fired++;
}

static void test_timers_fire_in_order(void **state)
{
    int64_t now_us = tf_mono_us();

    (void)state;
    assert_true(loop_open(&loop));
    for (uint64_t i = 0; i < TIMERS; i++) {
        probes[i].timer = (struct timer){.fire = on_fire, .arg = &probes[i]};
        loop_timer_set(&loop, &probes[i].timer, now_us + (int64_t)(tf_mix64(i) % 50000));
    }
    for (uint64_t i = 0; i < TIMERS; i += 3) /* moved, nearer or farther */
        loop_timer_set(&loop, &probes[i].timer, now_us + (int64_t)(tf_mix64(i + TIMERS) % 50000));
    for (int i = 0; i < TIMERS; i += 5)
        loop_timer_clear(&loop, &probes[i].timer);
    loop_timer_clear(&loop, &probes[0].timer); /* again does nothing */
    while (tf_mono_us() < now_us + 60000)
        loop_turn(&loop, now_us + 60000);
    for (int i = 0; i < TIMERS; i++)
        assert_int_equal(probes[i].fired, i % 5 != 0);
    assert_int_equal(loop.n_timers, 0);
    loop_close(&loop);
}

static struct timer ever;
static int rounds;

static void set_again(void *arg)
{
    (void)arg;
    if (++rounds < 3) loop_timer_set(&loop, &ever, 0);
}

/* A timer may set itself from within; what is past fires in this turn or the next, and a turn ends when it should. */
static void test_timer_sets_itself(void **state)
{
    int64_t now_us = tf_mono_us();

    (void)state;
    assert_true(loop_open(&loop));
    ever = (struct timer){.fire = set_again};
    loop_timer_set(&loop, &ever, now_us + 1000);
    while (tf_mono_us() < now_us + 20000)
        loop_turn(&loop, now_us + 20000);
    assert_int_equal(rounds, 3);
    assert_true(tf_mono_us() < now_us + 10 * TF_US_PER_S);
    loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_timers_fire_in_order),
                                       cmocka_unit_test(test_timer_sets_itself)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
