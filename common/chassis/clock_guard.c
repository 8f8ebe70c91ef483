/* The comparison of two clocks over an answer. */
#include "common/chassis/clock_guard.h"

#include "common/base/macros.h"

void tf_clock_guard_init(struct tf_clock_guard *guard, const tf_clock *clock, int64_t tolerance_us)
{
    guard->clock = clock;
    guard->tolerance_us = tolerance_us;
    atomic_store(&guard->base_us, INT64_MIN);
}

void tf_clock_guard_learn(struct tf_clock_guard *guard, tf_time theirs, int64_t sent_us, int64_t heard_us)
{
    int64_t error_us = (heard_us - sent_us) / 2;

    if (error_us > guard->tolerance_us / 4) return;
    atomic_store(&guard->base_us, theirs - (sent_us + error_us));
}

int64_t tf_clock_guard_offset_us(const struct tf_clock_guard *guard)
{
    int64_t base_us = atomic_load(&guard->base_us);

    if (base_us == INT64_MIN) return 0;
    return guard->clock->wall_us(guard->clock) - guard->clock->mono_us(guard->clock) - base_us;
}

bool tf_clock_guard_agrees(const struct tf_clock_guard *guard)
{
    int64_t offset_us = tf_clock_guard_offset_us(guard);

    return atomic_load(&guard->base_us) != INT64_MIN && offset_us <= guard->tolerance_us &&
           offset_us >= -guard->tolerance_us;
}
