/* Times of a show in the venue's words. */
#include "services/program/domain/show_time.h"

#include "common/base/text.h"

#include <string.h>

enum {
    DATE_LENGTH = 10, /* "2026-12-24" */
    DAYS_MAX = 3660,
};
static const int64_t US_PER_DAY = INT64_C(86400) * TF_US_PER_S;

bool show_time_is_relative(const char *text)
{
    return strncmp(text, "today", 5) == 0 || strncmp(text, "now", 3) == 0;
}

const char *local_date(tf_arena *arena, tf_time t, const char *zone)
{
    char *text = tf_time_format_local(arena, t, zone);

    if (!text || strlen(text) < DATE_LENGTH) return NULL;
    text[DATE_LENGTH] = '\0';
    return text;
}

/* Midnight UTC of the date. */
static bool date_time(const char *date, tf_time *ret_time)
{
    char text[DATE_LENGTH + sizeof("T00:00:00Z")];

    if (strlen(date) != DATE_LENGTH || date[4] != '-' || date[7] != '-') return false;
    memcpy(text, date, DATE_LENGTH);
    memcpy(text + DATE_LENGTH, "T00:00:00Z", sizeof("T00:00:00Z"));
    return tf_time_parse(text, ret_time);
}

bool date_valid(const char *date)
{
    tf_time ignored;

    return date_time(date, &ignored);
}

const char *date_weekday(const char *date)
{
    /* 1970-01-01 was a Thursday. */
    static const char *const names[] = {"THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY"};
    tf_time t;
    int64_t day;

    if (!date_time(date, &t)) return "";
    day = t / US_PER_DAY % 7;
    return names[day < 0 ? day + 7 : day];
}

/* A signed number after a word: "+14" → 14, "" → 0. Stops at the first other character. */
static bool offset_read(const char **text, int64_t *ret_offset)
{
    bool negative = **text == '-';
    int64_t value = 0;
    int digits = 0;

    *ret_offset = 0;
    if (**text != '+' && **text != '-') return true;
    for ((*text)++; **text >= '0' && **text <= '9' && digits < 9; (*text)++, digits++)
        value = value * 10 + (**text - '0');
    *ret_offset = negative ? -value : value;
    return digits > 0;
}

/* After "today": "+14 19:30". */
static bool today_parse(tf_arena *arena, const char *text, const char *zone, tf_time now, tf_time *ret_time)
{
    const char *date = local_date(arena, now, zone), *local;
    int64_t days;
    tf_time noon;

    if (!date || !offset_read(&text, &days) || days < -DAYS_MAX || days > DAYS_MAX) return false;
    if (*text != ' ' && *text != 'T') return false;
    if (!date_time(date, &noon)) return false;
    /* Days are counted on the calendar, not in hours of the zone: noon UTC of the date is the date in UTC. */
    noon += US_PER_DAY / 2 + days * US_PER_DAY;
    local = tf_arena_printf(arena, "%.*sT%s", DATE_LENGTH, tf_time_format(arena, noon), text + 1);
    return local && tf_time_parse_local(local, zone, ret_time);
}

/* After "now": "+90s". */
static bool now_parse(const char *text, tf_time now, tf_time *ret_time)
{
    int64_t offset, unit_s;

    if (*text == '\0') {
        *ret_time = now / TF_US_PER_S * TF_US_PER_S;
        return true;
    }
    if (!offset_read(&text, &offset) || offset < -86400 * DAYS_MAX || offset > 86400 * DAYS_MAX) return false;
    switch (*text) {
    case 's':
        unit_s = 1;
        break;
    case 'm':
        unit_s = 60;
        break;
    case 'h':
        unit_s = 3600;
        break;
    case 'd':
        unit_s = 86400;
        break;
    default:
        return false;
    }
    if (text[1] != '\0' || offset > INT64_C(86400) * DAYS_MAX / unit_s || offset < -INT64_C(86400) * DAYS_MAX / unit_s)
        return false;
    *ret_time = now / TF_US_PER_S * TF_US_PER_S + offset * unit_s * TF_US_PER_S;
    return true;
}

bool show_time_parse(tf_arena *arena, const char *text, const char *zone, tf_time now, tf_time *ret_time)
{
    size_t n = strlen(text);
    char *local;

    if (strncmp(text, "today", 5) == 0) return today_parse(arena, text + 5, zone, now, ret_time);
    if (strncmp(text, "now", 3) == 0) return now_parse(text + 3, now, ret_time);
    if (n < DATE_LENGTH + 1) return false;
    local = tf_arena_strdup(arena, text);
    if (!local) return false;
    if (local[DATE_LENGTH] == ' ') local[DATE_LENGTH] = 'T';
    if (local[n - 1] == 'Z' || strpbrk(local + DATE_LENGTH, "+-")) return tf_time_parse(local, ret_time);
    return tf_time_parse_local(local, zone, ret_time);
}
