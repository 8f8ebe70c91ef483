/* Pauses between attempts to connect. */
#include "tests/unit/with_ctx.h"

#include "common/redis/backoff.h"

static void pauses_grow_to_a_ceiling_and_differ(void **state)
{
    static const int64_t pauses_ms[] = {100, 200, 400, 800, 1600, 2000, 2000, 2000};
    struct tf_redis_backoff one, other;
    int differ = 0;

    (void)state;
    tf_redis_backoff_init(&one);
    tf_redis_backoff_init(&other);
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < TF_COUNT(pauses_ms); i++) {
            int64_t pause = tf_redis_backoff_next_us(&one), full = pauses_ms[i] * TF_US_PER_MS;

            assert_in_range(pause, full / 2, full - 1);
            differ += pause != tf_redis_backoff_next_us(&other);
        }
        tf_redis_backoff_clear(&one);
        tf_redis_backoff_clear(&other);
    }
    assert_true(differ > 790); /* two processes hardly ever come back at the same microsecond */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pauses_grow_to_a_ceiling_and_differ)};

    return cmocka_run_group_tests_name("redis backoff", tests, NULL, NULL);
}
