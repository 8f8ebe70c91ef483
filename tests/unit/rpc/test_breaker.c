/* The circuit breaker: what it counts, when it opens, how it closes. */
#include "tests/unit/base/unit.h"

#include "common/base/clock.h"
#include "common/rpc/breaker.h"

static const int64_t ms = TF_US_PER_MS;

/* A call that takes no time. */
static bool call(struct breaker *breaker, enum breaker_verdict verdict, int64_t now_us)
{
    bool probe = breaker_begin(breaker, now_us);

    return breaker_end(breaker, probe, verdict, now_us, 0);
}

static void opens_after_failures_in_a_row(void **state)
{
    struct breaker breaker = {0};

    (void)state;
    for (int i = 0; i < BREAKER_FAILURES - 1; i++)
        assert_false(call(&breaker, BREAKER_BAD, 1000));
    assert_false(call(&breaker, BREAKER_GOOD, 1000)); /* an answer between them: from the beginning */
    for (int i = 0; i < BREAKER_FAILURES - 1; i++)
        assert_false(call(&breaker, BREAKER_BAD, 1000));
    assert_false(call(&breaker, BREAKER_NEITHER, 1000)); /* says nothing */
    assert_true(breaker_welcomes(&breaker, 1000));
    assert_true(call(&breaker, BREAKER_BAD, 1000));
    assert_false(breaker_welcomes(&breaker, 1000));
    assert_false(call(&breaker, BREAKER_BAD, 1000)); /* what came when there was no other: told once */
}

static void opened(struct breaker *breaker, int64_t now_us)
{
    *breaker = (struct breaker){0};
    for (int i = 0; i < BREAKER_FAILURES; i++)
        call(breaker, BREAKER_BAD, now_us);
}

static void one_call_tries(void **state)
{
    const int64_t later = 2L * BREAKER_OPEN_MS * ms;
    struct breaker breaker;
    bool probe;

    (void)state;
    opened(&breaker, 0);
    assert_false(breaker_welcomes(&breaker, BREAKER_OPEN_MS / 2 * ms));
    assert_true(breaker_welcomes(&breaker, later));
    probe = breaker_begin(&breaker, later);
    assert_true(probe);
    assert_false(breaker_welcomes(&breaker, later)); /* the others wait for what comes of it */
    assert_false(breaker_begin(&breaker, later));
    breaker_end(&breaker, false, BREAKER_BAD, later, 0);
    assert_false(breaker_welcomes(&breaker, later)); /* not the one */
    breaker_end(&breaker, probe, BREAKER_GOOD, later, 0);
    assert_true(breaker_welcomes(&breaker, later));

    /* One that was cancelled leaves the try to another. */
    opened(&breaker, 0);
    assert_true(breaker_begin(&breaker, later));
    breaker_end(&breaker, true, BREAKER_NEITHER, later, 0);
    assert_true(breaker_begin(&breaker, later));
}

static void a_failed_try_opens_for_longer(void **state)
{
    struct breaker breaker;
    int64_t now = 0, before = 0;

    (void)state;
    opened(&breaker, now);
    for (int i = 0; i < 10; i++) {
        int64_t open_us = breaker.open_until_us - now;

        assert_true(open_us >= before);
        assert_true(open_us <= (int64_t)BREAKER_OPEN_MS_MAX * ms);
        before = open_us;
        now = breaker.open_until_us;
        call(&breaker, BREAKER_BAD, now);
    }
    assert_true(before > 4L * BREAKER_OPEN_MS * ms);
    now = breaker.open_until_us;
    call(&breaker, BREAKER_GOOD, now);
    for (int i = 0; i < BREAKER_FAILURES; i++)
        call(&breaker, BREAKER_BAD, now);
    assert_true(breaker.open_until_us - now <= 5L * BREAKER_OPEN_MS / 4 * ms); /* as at first */
}

static void the_time_is_jittered(void **state)
{
    int64_t least = INT64_MAX, most = 0;

    (void)state;
    for (uint64_t dice = 1; dice < 1000; dice++) {
        struct breaker breaker = {.failures = BREAKER_FAILURES};
        int64_t open_us;

        breaker_begin(&breaker, 0);
        breaker_end(&breaker, false, BREAKER_BAD, 0, dice * 7919 * 31);
        open_us = breaker.open_until_us;
        if (open_us < least) least = open_us;
        if (open_us > most) most = open_us;
    }
    assert_true(least >= 3L * BREAKER_OPEN_MS * ms / 4);
    assert_true(most <= 5L * BREAKER_OPEN_MS * ms / 4);
    assert_true(most - least > BREAKER_OPEN_MS * ms / 4);
}

static void silence_is_avoided_before_a_time_out(void **state)
{
    const int64_t silent = (BREAKER_SILENT_MS + 1) * ms;
    struct breaker breaker = {0};

    (void)state;
    assert_true(breaker_welcomes(&breaker, silent)); /* it owes nothing */
    breaker_begin(&breaker, silent);
    breaker_begin(&breaker, silent);
    assert_true(breaker_welcomes(&breaker, silent + BREAKER_SILENT_MS * ms));
    assert_false(breaker_welcomes(&breaker, 2 * silent));
    breaker_end(&breaker, false, BREAKER_GOOD, 2 * silent, 0); /* it speaks: the other may take its time */
    assert_true(breaker_welcomes(&breaker, 2 * silent));
    assert_false(breaker_welcomes(&breaker, 3 * silent + 1));
    breaker_end(&breaker, false, BREAKER_NEITHER, 3 * silent, 0); /* owes nothing again */
    assert_true(breaker_welcomes(&breaker, 4 * silent));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_after_failures_in_a_row),        cmocka_unit_test(one_call_tries),
        cmocka_unit_test(a_failed_try_opens_for_longer),        cmocka_unit_test(the_time_is_jittered),
        cmocka_unit_test(silence_is_avoided_before_a_time_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
