/* Calendar arithmetic after Howard Hinnant's "days from civil": years begin in March, eras of 400 years. */
#include "common/base/civil.h"

#include <stdio.h>

enum { DAYS_PER_ERA = 146097, DAYS_TO_1970 = 719468 };

int64_t tf_floor_div(int64_t n, int64_t d)
{
    return n / d - (n % d < 0);
}

bool tf_leap_year(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int tf_days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && tf_leap_year(year));
}

int64_t tf_days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = tf_floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

struct tf_civil tf_civil_of(int64_t us)
{
    int64_t seconds = tf_floor_div(us, TF_US_PER_S);
    struct tf_civil civil = tf_civil_of_seconds(seconds);

    civil.us = (int)(us % TF_US_PER_S);
    if (civil.us < 0) civil.us += TF_US_PER_S;
    return civil;
}

struct tf_civil tf_civil_of_seconds(int64_t seconds)
{
    int64_t days = tf_floor_div(seconds, TF_SECONDS_PER_DAY);
    int second_of_day = (int)(seconds - days * TF_SECONDS_PER_DAY);
    int64_t z = days + DAYS_TO_1970;
    int64_t era = tf_floor_div(z, DAYS_PER_ERA);
    int64_t day_of_era = z - era * DAYS_PER_ERA;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int mp = (int)((5 * day_of_year + 2) / 153);
    struct tf_civil civil;

    civil.day = (int)(day_of_year - (153 * mp + 2) / 5 + 1);
    civil.month = mp < 10 ? mp + 3 : mp - 9;
    civil.year = year_of_era + era * 400 + (civil.month <= 2);
    civil.hour = second_of_day / 3600;
    civil.minute = second_of_day / 60 % 60;
    civil.second = second_of_day % 60;
    civil.us = 0;
    return civil;
}

int64_t tf_civil_seconds(const struct tf_civil *civil)
{
    return tf_days_from_civil(civil->year, civil->month, civil->day) * TF_SECONDS_PER_DAY + civil->hour * 3600 +
           civil->minute * 60 + civil->second;
}

size_t tf_civil_write(char out[static TF_CIVIL_TEXT], const struct tf_civil *civil)
{
    bool plain = civil->year >= 1 && civil->year <= 9999;
    int year = snprintf(out, TF_CIVIL_TEXT, plain ? "%04lld" : "%+06lld", (long long)civil->year);
    int rest = snprintf(out + year, (size_t)(TF_CIVIL_TEXT - year), "-%02d-%02dT%02d:%02d:%02d", civil->month,
                        civil->day, civil->hour, civil->minute, civil->second);

    TF_ASSERT(rest > 0 && year + rest < TF_CIVIL_TEXT);
    return (size_t)(year + rest);
}

/* Exactly `digits` digits, or NULL. */
static const char *read_digits(const char *s, int digits, int *ret_value)
{
    int value = 0;

    for (int i = 0; i < digits; i++, s++) {
        if (*s < '0' || *s > '9') return NULL;
        value = value * 10 + (*s - '0');
    }
    *ret_value = value;
    return s;
}

const char *tf_civil_read(const char *text, struct tf_civil *ret_civil, bool *ret_has_seconds)
{
    struct tf_civil c = {0};
    bool has_seconds = false;
    int year;
    const char *s = text;

    if (!s) return NULL;
    if (!(s = read_digits(s, 4, &year)) || *s++ != '-') return NULL;
    if (!(s = read_digits(s, 2, &c.month)) || *s++ != '-') return NULL;
    if (!(s = read_digits(s, 2, &c.day)) || (*s != 'T' && *s != 't')) return NULL;
    if (!(s = read_digits(s + 1, 2, &c.hour)) || *s++ != ':') return NULL;
    if (!(s = read_digits(s, 2, &c.minute))) return NULL;
    if (*s == ':') {
        if (!(s = read_digits(s + 1, 2, &c.second))) return NULL;
        has_seconds = true;
    }
    c.year = year;
    if (year < 1 || c.month < 1 || c.month > 12 || c.day < 1 || c.day > tf_days_in_month(year, c.month)) return NULL;
    if (c.hour > 23 || c.minute > 59 || c.second > 59) return NULL; /* POSIX time has no leap second */
    *ret_civil = c;
    *ret_has_seconds = has_seconds;
    return s;
}
