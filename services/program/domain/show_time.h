/* Times of a show as organisers write them, in the venue's zone; and dates of lists. Pure: now arrives as an argument.
 *
 *   "2026-12-24T19:30"            wall time at the venue (a blank instead of T is fine, seconds too)
 *   "2026-12-24T11:30:00Z"        an instant (RFC 3339), with any offset
 *   "today+14 19:30", "today 10:00", "today-1 00:00"   days from the day of the import, in the venue's zone
 *   "now", "now+90s", "now-5m", "now+2h"               from the moment of the import */
#pragma once

#include "common/base/clock.h"

/* True for the forms that depend on the moment of the import. */
bool show_time_is_relative(const char *text);
/* False: malformed, or a wall time that the zone skips. Relative forms are counted from now. */
bool show_time_parse(tf_arena *arena, const char *text, const char *zone, tf_time now, tf_time *ret_time);

/* "2026-12-24" of the instant at the venue; NULL without memory or for an unknown zone. */
const char *local_date(tf_arena *arena, tf_time t, const char *zone);
/* "THURSDAY" of such a date. */
const char *date_weekday(const char *date);
/* A date of the calendar in exactly that form. */
bool date_valid(const char *date);
