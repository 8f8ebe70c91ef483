/* Pauses between attempts to connect; jittered, so that the processes of a cluster do not return all at once. */
#include "common/redis/backoff.h"

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/text.h"

enum { PAUSE_MIN_US = 100 * TF_US_PER_MS, PAUSE_MAX_US = 2 * TF_US_PER_S };

void tf_redis_backoff_init(struct tf_redis_backoff *backoff)
{
    backoff->pause_us = 0;
    backoff->random = tf_mix64((uint64_t)tf_now_us() ^ (uint64_t)(uintptr_t)backoff);
}

void tf_redis_backoff_clear(struct tf_redis_backoff *backoff)
{
    backoff->pause_us = 0;
}

int64_t tf_redis_backoff_next_us(struct tf_redis_backoff *backoff)
{
    int64_t half;

    backoff->pause_us = TF_MIN(TF_MAX(backoff->pause_us * 2, PAUSE_MIN_US), PAUSE_MAX_US);
    backoff->random = tf_mix64(backoff->random + 1);
    half = backoff->pause_us / 2;
    return half + (int64_t)(backoff->random % (uint64_t)half);
}
