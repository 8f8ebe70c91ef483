/* Whether the own wall clock agrees with the database's: times of ids, tokens and answers hang on it, so a process
 * whose clock does not agree makes none of them and is NOT_SERVING until it does.
 *
 * PostgreSQL's time is learnt from answers, as an offset to the monotonic clock, with half the round trip as its error;
 * between answers the monotonic clock carries it on. So a step is seen at the next look at the clock, not only at the
 * next answer, and a database that is away does not matter. Thread-safe. */
#pragma once

#include "common/base/clock.h"

#include <stdatomic.h>

struct tf_clock_guard {
    const tf_clock *clock;
    int64_t tolerance_us;
    _Atomic int64_t base_us; /* PostgreSQL's time at monotonic 0; INT64_MIN: not known yet */
};

void tf_clock_guard_init(struct tf_clock_guard *guard, const tf_clock *clock, int64_t tolerance_us);
/* PostgreSQL answered with its time; sent and heard are monotonic. An answer that took so long that its error matters
 * teaches nothing. */
void tf_clock_guard_learn(struct tf_clock_guard *guard, tf_time theirs, int64_t sent_us, int64_t heard_us);
/* False as well while nothing was learnt. */
bool tf_clock_guard_agrees(const struct tf_clock_guard *guard);
/* How far the own clock is ahead; 0 while nothing was learnt. */
int64_t tf_clock_guard_offset_us(const struct tf_clock_guard *guard);
