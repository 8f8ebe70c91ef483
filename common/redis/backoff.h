/* Jittered pauses between attempts to connect: 100 ms, doubled up to 2 s. For this room only. */
#pragma once

#include <stdint.h>

struct tf_redis_backoff {
    int64_t pause_us; /* 0: the last attempt succeeded */
    uint64_t random;
};

void tf_redis_backoff_init(struct tf_redis_backoff *backoff);
/* The attempt succeeded. */
void tf_redis_backoff_clear(struct tf_redis_backoff *backoff);
/* The attempt failed: how long until the next. */
int64_t tf_redis_backoff_next_us(struct tf_redis_backoff *backoff);
