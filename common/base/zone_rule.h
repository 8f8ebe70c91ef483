/* The rule at the end of a TZif file (a POSIX TZ string as in RFC 8536 §3.3.1), for times after the last transition.
 * For this room only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct tf_zone_day {
    enum { TF_ZONE_DAY_JULIAN, TF_ZONE_DAY_ZERO_BASED, TF_ZONE_DAY_MONTH } kind; /* Jn, n, Mm.w.d */
    int n;                    /* Jn: 1–365, 29 February never counted; n: 0–365 */
    int month, week, weekday; /* week 5: the last; weekday 0: Sunday */
    int32_t time_s;           /* local time of the change, −167 h … 167 h */
};

struct tf_zone_rule {
    int32_t std_offset_s, dst_offset_s; /* east of UTC is positive */
    bool has_dst;
    struct tf_zone_day dst_start, dst_end;
};

/* The whole string; false when malformed. */
bool tf_zone_rule_parse(const char *text, struct tf_zone_rule *ret_rule);
/* Offset of local time at t (seconds since the epoch). */
int32_t tf_zone_rule_offset(const struct tf_zone_rule *rule, int64_t t);
