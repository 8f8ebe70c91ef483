/* Money, times, texts, offers: tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/program/domain/money.h"
#include "services/program/domain/names.h"
#include "services/program/domain/offer.h"
#include "services/program/domain/show_time.h"
#include "services/program/domain/texts.h"

#include <inttypes.h>
#include <string.h>

static void amounts(void **state)
{
    static const struct {
        const char *text;
        int decimals;
        bool good;
        int64_t minor;
    } rows[] = {
        {"580", 2, true, 58000},      {"79.9", 2, true, 7990},   {"79.90", 2, true, 7990},
        {"0.01", 2, true, 1},         {"-12.5", 2, true, -1250}, {"0", 2, true, 0},
        {"1000", 0, true, 1000},      {"1.234", 3, true, 1234},  {"9999999999", 2, true, 999999999900},
        {"99999999999", 2, false, 0}, {"", 2, false, 0},         {"-", 2, false, 0},
        {".5", 2, false, 0},          {"5.", 2, false, 0},       {"1.2.3", 2, false, 0},
        {"1.234", 2, false, 0},       {"1.0", 0, false, 0},      {"1e3", 2, false, 0},
        {" 1", 2, false, 0},          {"+1", 2, false, 0},       {"99999999999999999999", 2, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int64_t minor = 0;

        if (money_parse(rows[i].text, rows[i].decimals, &minor) != rows[i].good || minor != rows[i].minor)
            fail_msg("\"%s\": %" PRId64, rows[i].text, minor);
    }
}

static void amounts_of_numbers(void **state)
{
    static const struct {
        double value;
        int decimals;
        bool good;
        int64_t minor;
    } rows[] = {
        {79.9, 2, true, 7990}, {4.85, 2, true, 485},  {0.1, 2, true, 10},  {1.15, 2, true, 115},   {2.675, 2, false, 0},
        {0.5, 0, false, 0},    {-0.25, 2, true, -25}, {1e13, 2, false, 0}, {19.99, 2, true, 1999},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int64_t minor = 0;

        if (money_of_real(rows[i].value, rows[i].decimals, &minor) != rows[i].good || minor != rows[i].minor)
            fail_msg("%g: %" PRId64, rows[i].value, minor);
    }
}

static void currencies(void **state)
{
    static const struct {
        const char *code;
        int decimals;
    } rows[] = {{"CNY", 2},  {"JPY", 0}, {"KWD", 3},   {"GBP", 2}, {"ZWG", 2}, {"cny", -1},
                {"XXX", -1}, {"CN", -1}, {"CNYY", -1}, {"", -1},   {"Y C", -1}};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        if (currency_decimals(rows[i].code) != rows[i].decimals) fail_msg("%s", rows[i].code);
}

static void times(void **state)
{
    /* Now: 2026-11-22T18:30:00.5Z; in Shanghai it is the 23rd. */
    static const tf_time now = INT64_C(1795372200500000);
    static const struct {
        const char *text, *zone, *expected; /* NULL: refused */
    } rows[] = {
        {"2026-12-24T19:30", "Asia/Shanghai", "2026-12-24T11:30:00.000Z"},
        {"2026-12-24 19:30", "Asia/Shanghai", "2026-12-24T11:30:00.000Z"},
        {"2026-12-24T19:30:15", "Europe/London", "2026-12-24T19:30:15.000Z"},
        {"2026-12-24T19:30:00+08:00", "Europe/London", "2026-12-24T11:30:00.000Z"},
        {"2026-12-24T19:30:00-05:00", "Europe/London", "2026-12-25T00:30:00.000Z"},
        {"2026-12-24T11:30:00Z", "Asia/Shanghai", "2026-12-24T11:30:00.000Z"},
        {"today+14 19:30", "Asia/Shanghai", "2026-12-07T11:30:00.000Z"},
        {"today+14 19:30", "Europe/London", "2026-12-06T19:30:00.000Z"},
        {"today 10:00", "America/New_York", "2026-11-22T15:00:00.000Z"},
        {"today-1T00:00", "UTC", "2026-11-21T00:00:00.000Z"},
        {"today+126 02:30", "Europe/London", "2027-03-28T01:30:00.000Z"},
        {"now", "UTC", "2026-11-22T18:30:00.000Z"},
        {"now+90s", "UTC", "2026-11-22T18:31:30.000Z"},
        {"now-5m", "UTC", "2026-11-22T18:25:00.000Z"},
        {"now+2h", "UTC", "2026-11-22T20:30:00.000Z"},
        {"now+3d", "UTC", "2026-11-25T18:30:00.000Z"},
        {"today+126 01:30", "Europe/London", NULL}, /* skipped by the zone */
        {"2026-03-29T01:30", "Europe/London", NULL},
        {"2026-13-01T10:00", "UTC", NULL},
        {"2026-12-24", "UTC", NULL},
        {"today", "UTC", NULL},
        {"today+ 10:00", "UTC", NULL},
        {"today+1 25:00", "UTC", NULL},
        {"today+99999 10:00", "UTC", NULL},
        {"now+", "UTC", NULL},
        {"now+5", "UTC", NULL},
        {"now+5y", "UTC", NULL},
        {"now+999999999d", "UTC", NULL},
        {"nowhere", "UTC", NULL},
        {"", "UTC", NULL},
        {"2026-12-24T19:30", "Nowhere/City", NULL},
    };
    tf_arena *arena = tf_arena_new(1024 * 1024);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_time t = 0;
        bool good = show_time_parse(arena, rows[i].text, rows[i].zone, now, &t);

        if (good != (rows[i].expected != NULL)) fail_msg("\"%s\" in %s", rows[i].text, rows[i].zone);
        if (good && strcmp(tf_time_format(arena, t), rows[i].expected) != 0)
            fail_msg("\"%s\" in %s: %s", rows[i].text, rows[i].zone, tf_time_format(arena, t));
    }
    assert_true(show_time_is_relative("today+1 10:00"));
    assert_false(show_time_is_relative("2026-12-24T19:30"));
    assert_string_equal(local_date(arena, now, "Asia/Shanghai"), "2026-11-23");
    assert_null(local_date(arena, now, "Nowhere/City"));
    tf_arena_free(arena);
}

static void dates(void **state)
{
    static const struct {
        const char *date, *weekday;
    } rows[] = {{"2026-12-24", "THURSDAY"},
                {"1970-01-01", "THURSDAY"},
                {"1969-12-31", "WEDNESDAY"},
                {"2026-11-22", "SUNDAY"},
                {"2024-02-29", "THURSDAY"}};
    static const char *const bad[] = {"2026-02-30", "2026-1-01",  "20261201",  "2026-12-24T00:00",
                                      "",           "2026/12/24", "abcd-ef-gh"};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        if (!date_valid(rows[i].date) || strcmp(date_weekday(rows[i].date), rows[i].weekday) != 0)
            fail_msg("%s: %s", rows[i].date, date_weekday(rows[i].date));
    for (size_t i = 0; i < TF_COUNT(bad); i++)
        if (date_valid(bad[i])) fail_msg("%s is no date", bad[i]);
}

static void texts(void **state)
{
    static const struct {
        const char *json, *language, *expected;
    } rows[] = {
        {"{\"en\": \"e\", \"zh-CN\": \"z\"}", "en", "e"},
        {"{\"en\": \"e\", \"zh-CN\": \"z\"}", "zh-CN", "z"},
        {"{\"en\": \"e\", \"zh-CN\": \"z\"}", "fr", "z"},
        {"{\"en-GB\": \"g\", \"de\": \"d\"}", "en", "g"},
        {"{\"de\": \"d\", \"en-GB\": \"g\"}", "en-US", "g"},
        {"{\"fr\": \"f\", \"de\": \"d\"}", "en", "d"},
        {"{\"und\": \"u\"}", "en", "u"},
        {"{\"EN\": \"e\"}", "en", "e"},
        {"{}", "en", ""},
        {"[]", "en", ""},
        {"nonsense", "en", ""},
    };
    tf_arena *arena = tf_arena_new(1024 * 1024);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        LocalizedTexts *t = texts_from_json(arena, rows[i].json);
        LocalizedTexts *again = texts_from_json(arena, texts_to_json(arena, t));

        assert_string_equal(texts_pick(t, rows[i].language), rows[i].expected);
        assert_true(texts_equal(t, again));
    }
    assert_string_equal(texts_pick(NULL, "en"), "");
    tf_arena_free(arena);
}

static void offers(void **state)
{
    static const struct {
        const char *what;
        struct offer_facts facts;
        tf_time now;
        OfferState expected;
    } rows[] = {
        {"before the opening", {100, 200, 300, 0, 0}, 99, OFFER_STATE_SOON},
        {"at the opening", {100, 200, 300, 0, 0}, 100, OFFER_STATE_ON_SALE},
        {"just before it closes", {100, 200, 300, OFFER_STATE_ON_SALE, SALE_STATE_ON_SALE}, 199, OFFER_STATE_ON_SALE},
        {"at the close", {100, 200, 300, OFFER_STATE_ON_SALE, SALE_STATE_ON_SALE}, 200, OFFER_STATE_ENDED},
        {"the show is over", {100, 400, 300, OFFER_STATE_ON_SALE, 0}, 300, OFFER_STATE_ENDED},
        {"all held", {100, 200, 300, OFFER_STATE_NONE_FREE_NOW, SALE_STATE_ON_SALE}, 150, OFFER_STATE_NONE_FREE_NOW},
        {"all sold", {100, 200, 300, OFFER_STATE_SOLD_OUT, SALE_STATE_ON_SALE}, 150, OFFER_STATE_SOLD_OUT},
        {"paused", {100, 200, 300, OFFER_STATE_SOLD_OUT, SALE_STATE_PAUSED}, 150, OFFER_STATE_PAUSED},
        {"paused before the opening", {100, 200, 300, 0, SALE_STATE_PAUSED}, 50, OFFER_STATE_SOON},
        {"paused and over", {100, 200, 300, 0, SALE_STATE_PAUSED}, 250, OFFER_STATE_ENDED},
        {"sold out and over", {100, 200, 300, OFFER_STATE_SOLD_OUT, 0}, 250, OFFER_STATE_ENDED},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        if (offer_state(&rows[i].facts, rows[i].now) != rows[i].expected)
            fail_msg("%s: %d", rows[i].what, (int)offer_state(&rows[i].facts, rows[i].now));
    assert_true(offer_hidden(&(struct offer_facts){.sale_state = SALE_STATE_WITHDRAWN}));
    assert_false(offer_hidden(&(struct offer_facts){.sale_state = SALE_STATE_PAUSED}));
    assert_int_equal(offer_better(OFFER_STATE_SOLD_OUT, OFFER_STATE_ON_SALE), OFFER_STATE_ON_SALE);
    assert_int_equal(offer_better(OFFER_STATE_SOON, OFFER_STATE_ENDED), OFFER_STATE_SOON);
    assert_int_equal(offer_better(OFFER_STATE_UNSPECIFIED, OFFER_STATE_ENDED), OFFER_STATE_ENDED);
}

static void name_sets(void **state)
{
    tf_arena *arena = tf_arena_new(16 * 1024 * 1024);
    struct names names;

    (void)state;
    names_init(&names, arena);
    assert_int_equal(names_find(&names, "x"), -1);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(names_add(&names, tf_arena_printf(arena, "name-%d", i), i), -1);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(names_find(&names, tf_arena_printf(arena, "name-%d", i)), i);
    assert_int_equal(names_add(&names, "name-17", 9), 17);
    assert_int_equal(names_find(&names, "name-17"), 17);
    assert_int_equal(names_find(&names, "name"), -1);
    tf_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts),    cmocka_unit_test(amounts_of_numbers),
        cmocka_unit_test(currencies), cmocka_unit_test(times),
        cmocka_unit_test(dates),      cmocka_unit_test(texts),
        cmocka_unit_test(offers),     cmocka_unit_test(name_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
