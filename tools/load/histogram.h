/* Latencies by a histogram of fixed size: microseconds, each value kept to within 1 % (128 steps per doubling), up to
 * 19 hours. Recording is one increment, so that counting costs nothing beside the calls, and histograms add up. */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_STEP_BITS = 7, HISTOGRAM_DOUBLINGS = 29 };

struct histogram {
    uint64_t count, max_us;
    uint64_t steps[(HISTOGRAM_DOUBLINGS + 1) << HISTOGRAM_STEP_BITS];
};

/* Negative values count as 0, those beyond the range as its end. Zeroed memory is an empty histogram. */
void histogram_record(struct histogram *histogram, int64_t us);
void histogram_add(struct histogram *histogram, const struct histogram *other);
/* The least value that `percent` (0–100) of the recorded ones do not exceed, rounded up to its step and never above the
 * greatest one; 0 when empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);
