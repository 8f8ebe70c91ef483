/* Log-linear counting: below 128 µs each value has its own step, above each doubling is cut into 128. */
#include "tools/load/histogram.h"

#include "common/base/macros.h"

#include <math.h>

enum { STEPS = 1 << HISTOGRAM_STEP_BITS };

static const uint64_t value_max = ((uint64_t)1 << (HISTOGRAM_STEP_BITS + HISTOGRAM_DOUBLINGS)) - 1;

static unsigned doublings_of(uint64_t value)
{
    return value < STEPS ? 0 : 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS + 1;
}

static size_t step_of(uint64_t value)
{
    unsigned d = doublings_of(value);

    return d == 0 ? (size_t)value : ((size_t)d << HISTOGRAM_STEP_BITS) + (size_t)(value >> (d - 1)) - STEPS;
}

/* The greatest value of a step. */
static uint64_t step_end(size_t step)
{
    unsigned d = (unsigned)(step >> HISTOGRAM_STEP_BITS);
    uint64_t within = step & (STEPS - 1);

    return d == 0 ? within : ((within + STEPS + 1) << (d - 1)) - 1;
}

void histogram_record(struct histogram *h, int64_t us)
{
    uint64_t value = us < 0 ? 0 : TF_MIN((uint64_t)us, value_max);

    h->steps[step_of(value)]++;
    h->count++;
    if (value > h->max_us) h->max_us = value;
}

void histogram_add(struct histogram *h, const struct histogram *other)
{
    for (size_t i = 0; i < TF_COUNT(h->steps); i++)
        h->steps[i] += other->steps[i];
    h->count += other->count;
    h->max_us = TF_MAX(h->max_us, other->max_us);
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t wanted = (uint64_t)ceil((double)h->count * percent / 100), seen = 0;

    if (wanted == 0) wanted = 1;
    for (size_t i = 0; i < TF_COUNT(h->steps); i++) {
        seen += h->steps[i];
        if (seen >= wanted) return TF_MIN(step_end(i), h->max_us);
    }
    return h->max_us;
}
