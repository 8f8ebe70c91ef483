/* tf_time ↔ google.protobuf.Timestamp, for every service's answers and events. */
#pragma once

#include "common/base/arena.h"
#include "common/base/clock.h"

#include "google/protobuf/timestamp.pb-c.h"

/* In the arena; NULL (absent) when t is INT64_MIN or the arena is exhausted. */
static inline Google__Protobuf__Timestamp *tf_pb_time(tf_arena *arena, tf_time t)
{
    Google__Protobuf__Timestamp *out = t == INT64_MIN ? NULL : TF_NEW(arena, Google__Protobuf__Timestamp);
    int64_t us;

    if (!out) return NULL;
    google__protobuf__timestamp__init(out);
    us = t % TF_US_PER_S;
    if (us < 0) us += TF_US_PER_S;
    out->seconds = (t - us) / TF_US_PER_S;
    out->nanos = (int32_t)us * 1000;
    return out;
}

/* INT64_MIN when absent. */
static inline tf_time tf_pb_time_us(const Google__Protobuf__Timestamp *time)
{
    return time ? time->seconds * TF_US_PER_S + time->nanos / 1000 : INT64_MIN;
}
