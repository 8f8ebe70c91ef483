/* Local time: rules at the end of zone files, the files themselves, names, and the C library as a second opinion. */
#include "tests/unit/base/unit.h"

#include "common/base/civil.h"
#include "common/base/text.h"
#include "common/base/zone_rule.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void need_zone_files(void)
{
    if (access("/usr/share/zoneinfo/Asia/Shanghai", R_OK) != 0) skip(); /* package tzdata is not installed */
}

static void rules_are_evaluated(void **state)
{
    static const struct {
        const char *rule, *utc;
        int32_t offset_s;
    } rows[] = {
        {"CST-8", "2050-07-01T00:00:00Z", 8 * 3600},
        {"<+08>-8", "2050-07-01T00:00:00Z", 8 * 3600},
        {"<-0330>3:30", "2050-07-01T00:00:00Z", -12600},
        {"UTC0", "2050-07-01T00:00:00Z", 0},
        {"EST5EDT,M3.2.0,M11.1.0", "2040-03-11T06:59:59Z", -5 * 3600},
        {"EST5EDT,M3.2.0,M11.1.0", "2040-03-11T07:00:00Z", -4 * 3600},
        {"EST5EDT,M3.2.0,M11.1.0", "2040-11-04T05:59:59Z", -4 * 3600},
        {"EST5EDT,M3.2.0,M11.1.0", "2040-11-04T06:00:00Z", -5 * 3600},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2040-03-25T00:59:59Z", 3600},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2040-03-25T01:00:00Z", 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2040-10-28T01:00:00Z", 3600},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2040-07-01T00:00:00Z", 3600}, /* Dublin: winter is the exception */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2040-12-31T23:59:59Z", 0},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2041-01-01T00:00:00Z", 0},
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2040-01-01T00:00:00Z", 39600}, /* Lord Howe, half an hour */
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2040-07-01T00:00:00Z", 37800},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2040-03-25T00:59:59Z", -7200}, /* Nuuk, the evening before */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2040-03-25T01:00:00Z", -3600},
        {"IST-2IDT,M3.4.4/26,M10.5.0", "2040-03-22T23:59:59Z", 7200}, /* Jerusalem: Friday after the fourth Thursday */
        {"IST-2IDT,M3.4.4/26,M10.5.0", "2040-03-23T00:00:00Z", 10800},
        {"XXX0YYY,J60,J300", "2040-03-01T01:59:59Z", 0}, /* J60 is 1 March, in leap years too */
        {"XXX0YYY,J60,J300", "2040-03-01T02:00:00Z", 3600},
        {"XXX0YYY,59,299", "2040-02-29T02:00:00Z", 3600}, /* day 59 counts 29 February */
        {"XXX0YYY,59,299", "2041-03-01T01:59:59Z", 0},
        {"XXX0YYY,59,299", "2041-03-01T02:00:00Z", 3600},
        {"XXX3EDT4,0/0,J365/23", "2040-07-01T00:00:00Z", -4 * 3600}, /* all year */
        {"XXX3EDT4,0/0,J365/23", "2041-01-01T03:30:00Z", -4 * 3600},
        {"AAA0BBB,M3.5.0/167,M10.5.0/-167", "2040-03-31T22:59:59Z", 0}, /* nearly a week after 25 March */
        {"AAA0BBB,M3.5.0/167,M10.5.0/-167", "2040-03-31T23:00:00Z", 3600},
        {"AAA0BBB,M3.5.0/167,M10.5.0/-167", "2040-10-20T23:59:59Z",
         3600}, /* 28 October less a week and an hour of DST */
        {"AAA0BBB,M3.5.0/167,M10.5.0/-167", "2040-10-21T00:00:00Z", 0},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_zone_rule rule;
        tf_time t;
        int32_t offset;

        CHECK(rows[i].rule, tf_zone_rule_parse(rows[i].rule, &rule));
        CHECK(rows[i].utc, tf_time_parse(rows[i].utc, &t));
        offset = tf_zone_rule_offset(&rule, t / TF_US_PER_S);
        if (offset != rows[i].offset_s) fail_msg("%s at %s: %d", rows[i].rule, rows[i].utc, (int)offset);
    }
}

static void faulty_rules_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "C",
        "CS-8",
        "CST",
        "CST-25",
        "CST-8:60",
        "CST-8x",
        "CST-8 ",
        "<+0>",
        "<+08-8",
        "<>-8",
        "<a>-8",
        "EST5EDT",
        "EST5EDT,",
        "EST5EDT,M3.2.0",
        "EST5EDT,M3.2.0,",
        "EST5EDT,M0.2.0,M11.1.0",
        "EST5EDT,M13.2.0,M11.1.0",
        "EST5EDT,M3.0.0,M11.1.0",
        "EST5EDT,M3.6.0,M11.1.0",
        "EST5EDT,M3.2.7,M11.1.0",
        "EST5EDT,M3.2,M11.1.0",
        "EST5EDT,J0,J300",
        "EST5EDT,J366,J300",
        "EST5EDT,0,366",
        "EST5EDT,M3.2.0/168,M11.1.0",
        "EST5EDT,M3.2.0,M11.1.0,",
        "EST5EDT,M3.2.0,M11.1.0/",
        "EST99999999999999999999EDT,M3.2.0,M11.1.0",
    };
    struct tf_zone_rule rule;

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i], !tf_zone_rule_parse(rows[i], &rule));
}

static void local_times_are_written(void **state)
{
    static const struct {
        const char *utc, *zone, *local;
    } rows[] = {
        {"2026-11-22T11:30:00Z", "Asia/Shanghai", "2026-11-22T19:30:00+08:00"},
        {"1990-07-01T00:00:00Z", "Asia/Shanghai", "1990-07-01T09:00:00+09:00"}, /* summer time 1986–1991 */
        {"2026-11-22T11:30:00.999Z", "Asia/Kathmandu", "2026-11-22T17:15:00+05:45"},
        {"2026-11-22T11:30:00Z", "America/New_York", "2026-11-22T06:30:00-05:00"},
        {"2026-07-22T11:30:00Z", "America/New_York", "2026-07-22T07:30:00-04:00"},
        {"2300-07-22T11:30:00Z", "America/New_York", "2300-07-22T07:30:00-04:00"},
        {"2026-07-22T23:30:00Z", "America/St_Johns", "2026-07-22T21:00:00-02:30"},
        {"2026-11-22T11:30:00Z", "UTC", "2026-11-22T11:30:00+00:00"},
        {"2026-11-22T11:30:00Z", "Etc/GMT+5", "2026-11-22T06:30:00-05:00"},
        {"1890-01-01T00:00:00Z", "Asia/Shanghai", "1890-01-01T08:05:00+08:05"}, /* local mean time, cut to minutes */
        {"2011-12-30T09:59:59Z", "Pacific/Apia", "2011-12-29T23:59:59-10:00"},  /* the next day does not exist */
        {"2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-31T00:00:00+14:00"},
    };
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 16);

    (void)state;
    need_zone_files();
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_time t;

        CHECK(rows[i].utc, tf_time_parse(rows[i].utc, &t));
        CHECK_TEXT(rows[i].zone, tf_time_format_local(arena, t, rows[i].zone), rows[i].local);
    }
    assert_non_null(tf_time_format_local(arena, INT64_MAX, "America/New_York"));
    assert_non_null(tf_time_format_local(arena, INT64_MIN, "America/New_York"));
}

static void zone_names_are_checked(void **state)
{
    static const char *const rows[] = {
        "",
        "/etc/passwd",
        "../../../etc/passwd",
        "Asia/../Asia/Shanghai",
        "Asia//Shanghai",
        "Asia/",
        "Asia",
        "Asia/Nowhere",
        "Asia/Shanghai ",
        "Asia\\Shanghai",
        "zone.tab",
        "tzdata.zi",
        "leapseconds",
        "posix/Asia/Shanghai",
        "right/Asia/Shanghai",
        "Asia/Shang\nhai",
        ".",
        "./UTC",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 16);
    tf_time t = 42;

    (void)state;
    need_zone_files();
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        CHECK(rows[i], !tf_zone_known(rows[i]));
        CHECK(rows[i], tf_time_format_local(arena, 0, rows[i]) == NULL);
        CHECK(rows[i], !tf_time_parse_local("2026-01-01T00:00", rows[i], &t));
    }
    assert_false(tf_zone_known(NULL));
    assert_int_equal(t, 42);
    assert_true(tf_zone_known("America/Argentina/Buenos_Aires"));
}

static void local_times_are_read(void **state)
{
    static const struct {
        const char *local, *zone, *utc; /* utc NULL: refused */
    } rows[] = {
        {"2026-11-22T19:30:00", "Asia/Shanghai", "2026-11-22T11:30:00.000Z"},
        {"2026-11-22T19:30", "Asia/Shanghai", "2026-11-22T11:30:00.000Z"},
        {"2026-03-08T01:59:59", "America/New_York", "2026-03-08T06:59:59.000Z"},
        {"2026-03-08T02:00:00", "America/New_York", NULL}, /* skipped */
        {"2026-03-08T02:59:59", "America/New_York", NULL},
        {"2026-03-08T03:00:00", "America/New_York", "2026-03-08T07:00:00.000Z"},
        {"2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00.000Z"}, /* twice: the earlier */
        {"2026-11-01T02:00:00", "America/New_York", "2026-11-01T07:00:00.000Z"},
        {"2200-11-02T01:30:00", "America/New_York", "2200-11-02T05:30:00.000Z"}, /* by the rule */
        {"2200-03-09T02:30:00", "America/New_York", NULL},
        {"2011-12-30T12:00:00", "Pacific/Apia", NULL}, /* a whole day */
        {"2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00.000Z"},
        {"2026-04-05T01:45:00", "Australia/Lord_Howe", "2026-04-04T14:45:00.000Z"},
        {"2026-11-22", "Asia/Shanghai", NULL},
        {"2026-11-22T19", "Asia/Shanghai", NULL},
        {"2026-11-22T19:30:00Z", "Asia/Shanghai", NULL},
        {"2026-11-22T19:30:00.5", "Asia/Shanghai", NULL},
        {"2026-11-22T19:30:00+08:00", "Asia/Shanghai", NULL},
        {"2026-02-30T19:30:00", "Asia/Shanghai", NULL},
        {"2026-11-22 19:30:00", "Asia/Shanghai", NULL},
        {"", "Asia/Shanghai", NULL},
    };
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 16);

    (void)state;
    need_zone_files();
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_time t = 42;
        bool ok = tf_time_parse_local(rows[i].local, rows[i].zone, &t);

        CHECK(rows[i].local, ok == (rows[i].utc != NULL));
        if (ok)
            CHECK_TEXT(rows[i].local, tf_time_format(arena, t), rows[i].utc);
        else
            CHECK(rows[i].local, t == 42);
    }
    assert_false(tf_time_parse_local(NULL, "Asia/Shanghai", &(tf_time){0}));
}

static const char *const sample_zones[] = {
    "Asia/Shanghai",     "Asia/Tokyo",       "Asia/Kolkata",     "Asia/Tehran",         "Asia/Jerusalem",
    "Asia/Gaza",         "Europe/London",    "Europe/Dublin",    "Europe/Berlin",       "Europe/Lisbon",
    "Africa/Casablanca", "Africa/Cairo",     "America/New_York", "America/Los_Angeles", "America/Sao_Paulo",
    "America/Santiago",  "America/Nuuk",     "America/Havana",   "Australia/Sydney",    "Australia/Lord_Howe",
    "Pacific/Apia",      "Pacific/Auckland", "Pacific/Chatham",  "Antarctica/Troll",    "UTC",
};

/* Random times from 1901 to 2400, each zone: our offset is the C library's, and reading goes back to an instant with
 * the same local time, not later than the one it came from. */
static void the_c_library_agrees(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 20);
    uint64_t seed = 20261122;

    (void)state;
    need_zone_files();
    for (size_t i = 0; i < TF_COUNT(sample_zones); i++) {
        setenv("TZ", sample_zones[i], 1);
        tzset();
        for (int k = 0; k < 2000; k++) {
            int64_t span = 499 * 365 * (int64_t)86400;
            time_t s = (time_t)(-2177452800 + (int64_t)(tf_mix64(seed++) % (uint64_t)span));
            struct tm tm;
            char want[64], *got;
            long minutes;
            tf_time back;

            tf_arena_reset(arena);
            localtime_r(&s, &tm);
            if (tm.tm_gmtoff % 60) continue; /* we cut those to minutes */
            minutes = tm.tm_gmtoff / 60;
            snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d%c%02ld:%02ld", tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, minutes < 0 ? '-' : '+', labs(minutes) / 60,
                     labs(minutes) % 60);
            got = tf_time_format_local(arena, s * (tf_time)TF_US_PER_S, sample_zones[i]);
            CHECK_TEXT(sample_zones[i], got, want);
            got[19] = '\0';
            CHECK(sample_zones[i], tf_time_parse_local(got, sample_zones[i], &back));
            CHECK(want, back <= s * (tf_time)TF_US_PER_S);
            want[19] = '\0';
            got = tf_time_format_local(arena, back, sample_zones[i]);
            got[19] = '\0';
            CHECK_TEXT(sample_zones[i], got, want);
        }
    }
    unsetenv("TZ");
    tzset();
}

static void *load_all(void *arg)
{
    for (int round = 0; round < 200; round++)
        for (size_t i = 0; i < TF_COUNT(sample_zones); i++)
            if (!tf_zone_known(sample_zones[i])) return arg; /* missing */
    return NULL;
}

static void threads_share_the_zones(void **state)
{
    pthread_t threads[4];

    (void)state;
    need_zone_files();
    for (size_t i = 0; i < TF_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_all, threads), 0);
    for (size_t i = 0; i < TF_COUNT(threads); i++) {
        void *missing;

        pthread_join(threads[i], &missing);
        assert_null(missing);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_the_zones), /* first, while nothing is loaded */
        cmocka_unit_test(rules_are_evaluated),     cmocka_unit_test(faulty_rules_are_refused),
        cmocka_unit_test(local_times_are_written), cmocka_unit_test(zone_names_are_checked),
        cmocka_unit_test(local_times_are_read),    cmocka_unit_test(the_c_library_agrees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
