/* Parser and evaluation of POSIX TZ rules: "EST5EDT,M3.2.0,M11.1.0", "<+08>-8", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0". */
#include "common/base/zone_rule.h"

#include "common/base/civil.h"

/* Digits up to max; NULL when there are none or too much. */
static const char *read_number(const char *s, int max, int *ret_value)
{
    int value = 0;

    if (*s < '0' || *s > '9') return NULL;
    for (; *s >= '0' && *s <= '9'; s++) {
        value = value * 10 + (*s - '0');
        if (value > max) return NULL;
    }
    *ret_value = value;
    return s;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Three letters or more, or <…> of letters, digits, '+', '-'. The name itself is of no use to us. */
static const char *skip_name(const char *s)
{
    const char *start = s;

    if (*s != '<') {
        while (is_letter(*s))
            s++;
        return s - start >= 3 ? s : NULL;
    }
    for (s++; is_letter(*s) || (*s >= '0' && *s <= '9') || *s == '+' || *s == '-'; s++) {
    }
    return *s == '>' && s - start > 3 ? s + 1 : NULL;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static const char *read_time(const char *s, int max_hours, int32_t *ret_seconds)
{
    bool negative = *s == '-';
    int hours, minutes = 0, seconds = 0;

    if (*s == '-' || *s == '+') s++;
    if (!(s = read_number(s, max_hours, &hours))) return NULL;
    if (*s == ':' && !(s = read_number(s + 1, 59, &minutes))) return NULL;
    if (*s == ':' && !(s = read_number(s + 1, 59, &seconds))) return NULL;
    *ret_seconds = (hours * 3600 + minutes * 60 + seconds) * (negative ? -1 : 1);
    return s;
}

/* ",M3.2.0/2" and the like. */
static const char *read_day(const char *s, struct tf_zone_day *ret_day)
{
    struct tf_zone_day day = {.time_s = 2 * 3600};

    if (*s++ != ',') return NULL;
    if (*s == 'M') {
        day.kind = TF_ZONE_DAY_MONTH;
        if (!(s = read_number(s + 1, 12, &day.month)) || day.month < 1 || *s != '.') return NULL;
        if (!(s = read_number(s + 1, 5, &day.week)) || day.week < 1 || *s != '.') return NULL;
        if (!(s = read_number(s + 1, 6, &day.weekday))) return NULL;
    } else if (*s == 'J') {
        day.kind = TF_ZONE_DAY_JULIAN;
        if (!(s = read_number(s + 1, 365, &day.n)) || day.n < 1) return NULL;
    } else {
        day.kind = TF_ZONE_DAY_ZERO_BASED;
        if (!(s = read_number(s, 365, &day.n))) return NULL;
    }
    if (*s == '/' && !(s = read_time(s + 1, 167, &day.time_s))) return NULL;
    *ret_day = day;
    return s;
}

bool tf_zone_rule_parse(const char *text, struct tf_zone_rule *ret_rule)
{
    struct tf_zone_rule rule = {0};
    int32_t west;
    const char *s = skip_name(text);

    if (!s || !(s = read_time(s, 24, &west))) return false;
    rule.std_offset_s = -west; /* POSIX counts west of Greenwich */
    if (*s) {
        if (!(s = skip_name(s))) return false;
        rule.has_dst = true;
        rule.dst_offset_s = rule.std_offset_s + 3600;
        if (*s != ',') {
            if (!(s = read_time(s, 24, &west))) return false;
            rule.dst_offset_s = -west;
        }
        if (!(s = read_day(s, &rule.dst_start))) return false;
        if (!(s = read_day(s, &rule.dst_end))) return false;
    }
    if (*s) return false;
    *ret_rule = rule;
    return true;
}

/* Seconds since the epoch of the change in that year, as if local time were UTC. */
static int64_t change_of_year(const struct tf_zone_day *day, int64_t year)
{
    int64_t days = tf_days_from_civil(year, 1, 1);

    switch (day->kind) {
    case TF_ZONE_DAY_JULIAN:
        days += day->n - 1 + (tf_leap_year(year) && day->n >= 60);
        break;
    case TF_ZONE_DAY_ZERO_BASED:
        days += day->n;
        break;
    case TF_ZONE_DAY_MONTH: {
        int64_t first = tf_days_from_civil(year, day->month, 1);
        int64_t weekday = first + 4 - tf_floor_div(first + 4, 7) * 7; /* 1970-01-01 was a Thursday */
        int64_t dom = (day->weekday - weekday + 7) % 7 + (day->week - 1) * 7;

        if (dom >= tf_days_in_month(year, day->month)) dom -= 7;
        days = first + dom;
        break;
    }
    }
    return days * TF_SECONDS_PER_DAY + day->time_s;
}

/* The latest change at or before t decides. Changes may lie up to a week outside their year, so three years are looked
 * at. Where an end and a start fall together, daylight time goes on ("all year" rules). */
int32_t tf_zone_rule_offset(const struct tf_zone_rule *rule, int64_t t)
{
    int64_t year, latest = INT64_MIN;
    int32_t offset = rule->std_offset_s;

    if (!rule->has_dst) return rule->std_offset_s;
    year = tf_civil_of_seconds(t + rule->std_offset_s).year;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t end = change_of_year(&rule->dst_end, y) - rule->dst_offset_s;
        int64_t start = change_of_year(&rule->dst_start, y) - rule->std_offset_s;

        if (end <= t && end > latest) {
            latest = end;
            offset = rule->std_offset_s;
        }
        if (start <= t && start >= latest) {
            latest = start;
            offset = rule->dst_offset_s;
        }
    }
    return offset;
}
