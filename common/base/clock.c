/* Clocks, and times as RFC 3339 text in UTC. */
#include "common/base/civil.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    int r = clock_gettime(id, &now);

    TF_ASSERT(r == 0);
    return (int64_t)now.tv_sec * TF_US_PER_S + now.tv_nsec / 1000;
}

static tf_time system_wall_us(TF_UNUSED const tf_clock *clock)
{
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono_us(TF_UNUSED const tf_clock *clock)
{
    return read_clock(CLOCK_MONOTONIC);
}

const tf_clock *tf_clock_system(void)
{
    static const tf_clock system_clock = {system_wall_us, system_mono_us};

    return &system_clock;
}

static tf_time fixed_wall_us(const tf_clock *clock)
{
    return ((const struct tf_clock_fixed *)clock)->wall_us;
}

static int64_t fixed_mono_us(const tf_clock *clock)
{
    return ((const struct tf_clock_fixed *)clock)->mono_us;
}

void tf_clock_fixed_init(struct tf_clock_fixed *fixed, tf_time wall_us)
{
    *fixed = (struct tf_clock_fixed){{fixed_wall_us, fixed_mono_us}, wall_us, wall_us};
}

tf_time tf_now_us(void)
{
    return system_wall_us(NULL);
}

int64_t tf_mono_us(void)
{
    return system_mono_us(NULL);
}

void tf_time_write(char out[static TF_TIME_TEXT], tf_time t)
{
    struct tf_civil civil = tf_civil_of(t);
    char day[TF_CIVIL_TEXT];

    tf_civil_write(day, &civil);
    if (civil.us % TF_US_PER_MS)
        snprintf(out, TF_TIME_TEXT, "%s.%06dZ", day, civil.us);
    else
        snprintf(out, TF_TIME_TEXT, "%s.%03dZ", day, civil.us / TF_US_PER_MS);
}

char *tf_time_format(tf_arena *arena, tf_time t)
{
    char text[TF_TIME_TEXT];

    tf_time_write(text, t);
    return tf_arena_strdup(arena, text);
}

/* ".123" … up to nine digits → microseconds. NULL when malformed or finer than a microsecond. */
static const char *read_fraction(const char *s, int *ret_us)
{
    int us = 0, digits = 0;

    for (s++; *s >= '0' && *s <= '9'; s++, digits++) {
        if (digits < 6)
            us = us * 10 + (*s - '0');
        else if (digits >= 9 || *s != '0')
            return NULL;
    }
    if (!digits) return NULL;
    for (; digits < 6; digits++)
        us *= 10;
    *ret_us = us;
    return s;
}

static bool two_digits(const char *s, int max, int *ret_value)
{
    if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9') return false;
    *ret_value = (s[0] - '0') * 10 + (s[1] - '0');
    return *ret_value <= max;
}

/* "Z", "+08:00", "-03:30", and nothing after it. */
static bool read_offset(const char *s, int *ret_seconds)
{
    int hours, minutes;

    if ((s[0] == 'Z' || s[0] == 'z') && s[1] == '\0') {
        *ret_seconds = 0;
        return true;
    }
    if (s[0] != '+' && s[0] != '-') return false;
    if (!two_digits(s + 1, 23, &hours) || s[3] != ':') return false;
    if (!two_digits(s + 4, 59, &minutes) || s[6] != '\0') return false;
    *ret_seconds = (hours * 60 + minutes) * 60 * (s[0] == '-' ? -1 : 1);
    return true;
}

bool tf_time_parse(const char *text, tf_time *ret_time)
{
    struct tf_civil civil;
    bool has_seconds;
    int offset, us = 0;
    int64_t seconds;
    const char *s = tf_civil_read(text, &civil, &has_seconds);

    if (!s || !has_seconds) return false;
    if (*s == '.' && !(s = read_fraction(s, &us))) return false;
    if (!read_offset(s, &offset)) return false;
    seconds = tf_civil_seconds(&civil) - offset;
    if (seconds < tf_days_from_civil(1, 1, 1) * TF_SECONDS_PER_DAY) return false;
    if (seconds >= tf_days_from_civil(10000, 1, 1) * TF_SECONDS_PER_DAY) return false;
    *ret_time = seconds * TF_US_PER_S + us;
    return true;
}
