/* Time, behind an interface so that tests can set it.
 *
 * Wall time: tf_time, microseconds since the Unix epoch, UTC. Monotonic: microseconds of CLOCK_MONOTONIC, for deadlines
 * and durations only. Rules in domain/ never read a clock: time arrives as an argument. */
#pragma once

#include "common/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

typedef int64_t tf_time;

enum { TF_US_PER_MS = 1000, TF_US_PER_S = 1000000 };

typedef struct tf_clock tf_clock;
struct tf_clock {
    tf_time (*wall_us)(const tf_clock *clock);
    int64_t (*mono_us)(const tf_clock *clock);
};

/* The machine's. Static, thread-safe. */
const tf_clock *tf_clock_system(void);

/* A clock that stands where it is put (tests), also while other threads read it. */
struct tf_clock_fixed {
    tf_clock clock;
    _Atomic tf_time wall_us;
    _Atomic int64_t mono_us;
};
void tf_clock_fixed_init(struct tf_clock_fixed *fixed, tf_time wall_us);

/* Of the system clock. */
tf_time tf_now_us(void);
int64_t tf_mono_us(void);

/* "2026-11-22T18:43:00.123Z" (milliseconds; microseconds when they are not zero). Years outside 0001–9999 are written
 * signed and longer; tf_time_parse does not read them. */
char *tf_time_format(tf_arena *arena, tf_time t);
/* The same into the caller's array. */
enum { TF_TIME_TEXT = 48 };
void tf_time_write(char out[static TF_TIME_TEXT], tf_time t);
/* RFC 3339 with Z or an offset; fractions to microseconds (a seventh to ninth digit must be 0); years 0001–9999, in UTC
 * too. Second 60 is refused. ret_time is untouched on failure. */
bool tf_time_parse(const char *text, tf_time *ret_time);

/* Local time in an IANA zone ("Asia/Shanghai"), "2026-11-22T19:30:00+08:00"; NULL when the zone is not known. Reads the
 * system's zone files (TZif, package tzdata) and keeps them for the life of the process; thread-safe. Whole seconds; an
 * offset that is no whole minute (local mean time before 1900) is cut to minutes, the instant stays exact. */
char *tf_time_format_local(tf_arena *arena, tf_time t, const char *zone);
bool tf_zone_known(const char *zone);
/* Local wall-clock text "2026-11-22T19:30:00" (or "…T19:30") in a zone → UTC. False: malformed, unknown zone, or a
 * local time that the zone skips; of two possible instants the earlier is taken. */
bool tf_time_parse_local(const char *text, const char *zone, tf_time *ret_time);
