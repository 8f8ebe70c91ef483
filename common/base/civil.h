/* The proleptic Gregorian calendar, for this room only: days since 1970-01-01 ↔ year, month, day. Any int64 year that
 * microseconds can reach is fine. */
#pragma once

#include "common/base/clock.h"

#include <stddef.h>

struct tf_civil {
    int64_t year;
    int month, day; /* from 1 */
    int hour, minute, second;
    int us;
};

enum { TF_SECONDS_PER_DAY = 86400 };

/* Rounds towards minus infinity; d > 0. */
int64_t tf_floor_div(int64_t n, int64_t d);
bool tf_leap_year(int64_t year);
int tf_days_in_month(int64_t year, int month);
int64_t tf_days_from_civil(int64_t year, int month, int day);
/* Broken down, of microseconds since the epoch (UTC or local alike). */
struct tf_civil tf_civil_of(int64_t us);
/* The same of seconds; |seconds| at most INT64_MAX / 2. */
struct tf_civil tf_civil_of_seconds(int64_t seconds);
/* Seconds since the epoch; us is not counted. */
int64_t tf_civil_seconds(const struct tf_civil *civil);

/* "2026-11-22T18:43:00"; years outside 0001–9999 are signed and longer (ISO 8601's expanded form). Returns its length.
 */
enum { TF_CIVIL_TEXT = 32 };
size_t tf_civil_write(char out[static TF_CIVIL_TEXT], const struct tf_civil *civil);
/* Reads "YYYY-MM-DD" 'T' "HH:MM" and, if present, ":SS"; checks every range. Returns the first character after it or
 * NULL. */
const char *tf_civil_read(const char *text, struct tf_civil *ret_civil, bool *ret_has_seconds);
