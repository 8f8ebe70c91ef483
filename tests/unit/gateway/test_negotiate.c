/* What clients say that they accept. */
#include "tests/unit/base/unit.h"

#include "common/base/macros.h"
#include "gateway/negotiate.h"

static void languages(void **state)
{
    static const struct {
        const char *name, *header, *want;
    } rows[] = {
        {"no header", NULL, "zh-CN"},
        {"empty", "", "zh-CN"},
        {"English", "en", "en"},
        {"a region of English", "en-US", "en"},
        {"upper case", "EN-gb", "en"},
        {"Chinese", "zh", "zh-CN"},
        {"a script of Chinese", "zh-Hans-CN", "zh-CN"},
        {"a word that begins alike", "ent", "zh-CN"},
        {"order decides between equals", "en, zh", "en"},
        {"weight decides", "en;q=0.5, zh;q=0.9", "zh-CN"},
        {"weight with blanks", "zh ; q=0.1 ,\ten ; q=0.25", "en"},
        {"a language that we do not have", "fr, de;q=0.8", "zh-CN"},
        {"the next best", "fr, en;q=0.3", "en"},
        {"anything", "fr, *;q=0.1", "zh-CN"},
        {"refused", "en;q=0", "zh-CN"},
        {"refused in three digits", "en;q=0.000", "zh-CN"},
        {"a weight above one", "en;q=1.9, zh", "en"},
        {"a weight that is none", "en;q=x", "zh-CN"},
        {"too many digits", "en;q=0.1234", "zh-CN"},
        {"only commas", ",,, ,", "zh-CN"},
        {"a stray semicolon", "en;", "zh-CN"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK_TEXT(rows[i].name, gateway_language(rows[i].header, "zh-CN"), rows[i].want);
    CHECK_TEXT("another default", gateway_language("fr", "en"), "en");
    CHECK_TEXT("Chinese asked of an English default", gateway_language("zh-TW", "en"), "zh-CN");
}

static void encodings(void **state)
{
    static const struct {
        const char *name, *header;
        bool gzip;
    } rows[] = {
        {"no header", NULL, false},
        {"empty", "", false},
        {"gzip", "gzip", true},
        {"a browser", "gzip, deflate, br, zstd", true},
        {"old name", "x-gzip", true},
        {"anything", "*", true},
        {"anything but gzip", "*, gzip;q=0", false},
        {"gzip but nothing else", "gzip, *;q=0", true},
        {"identity", "identity", false},
        {"weight 0", "gzip;q=0", false},
        {"little weight", "gzip;q=0.001", true},
        {"a longer name", "gzipped", false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, gateway_accepts_gzip(rows[i].header) == rows[i].gzip);
}

static void entity_tags(void **state)
{
    static const struct {
        const char *name, *header, *etag;
        bool same;
    } rows[] = {
        {"no header", NULL, "\"a\"", false},
        {"no tag", "\"a\"", "", false},
        {"the tag", "\"a\"", "\"a\"", true},
        {"another", "\"b\"", "\"a\"", false},
        {"one of several", "\"b\", \"a\"", "\"a\"", true},
        {"weak from the client", "W/\"a\"", "\"a\"", true},
        {"weak from us", "\"a\"", "W/\"a\"", true},
        {"all", "*", "\"a\"", true},
        {"a prefix", "\"a\"", "\"ab\"", false},
        {"a longer one", "\"ab\"", "\"a\"", false},
        {"without quotes", "a", "\"a\"", false},
        {"an open quote", "\"a", "\"a\"", false},
        {"a comma inside", "\"x,y\"", "\"x,y\"", true},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, gateway_etag_matches(rows[i].header, rows[i].etag) == rows[i].same);
}

static void origins(void **state)
{
    static const struct {
        const char *name, *list, *origin;
        bool allowed;
    } rows[] = {
        {"none is allowed", "", "https://a.example", false},
        {"the one", "https://a.example", "https://a.example", true},
        {"one of two", "https://a.example, https://b.example", "https://b.example", true},
        {"another scheme", "https://a.example", "http://a.example", false},
        {"a longer name", "https://a.example", "https://a.example.evil", false},
        {"a part", "https://a.example", "https://a", false},
        {"the empty origin", ",", "", false},
        {"null is an origin only by name", "https://a.example", "null", false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, gateway_origin_allowed(rows[i].list, rows[i].origin) == rows[i].allowed);
}

static void made_up_ids(void **state)
{
    static const char long_64[] = "0123456789012345678901234567890123456789012345678901234567890123";
    static const struct {
        const char *name, *text;
        bool valid;
    } rows[] = {
        {"eight", "abcDEF09", true}, {"seven", "abcdefg", false},         {"dash and line", "a-b_c-d_e", true},
        {"64", long_64, true},       {"a blank", "abcdefg h", false},     {"not ASCII", "abcdefg票", false},
        {"empty", "", false},        {"a line end", "abcdefgh\n", false},
    };
    char longer[sizeof long_64 + 1];

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, gateway_key_valid(rows[i].text) == rows[i].valid);
    memcpy(longer, long_64, sizeof long_64);
    strcat(longer, "4");
    assert_false(gateway_key_valid(longer));
}

static void traces(void **state)
{
    static const struct {
        const char *name, *text;
        bool valid;
    } rows[] = {
        {"as in the standard", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
        {"upper case", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01", false},
        {"another version", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        {"trace of zeros", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
        {"span of zeros", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
        {"short", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", false},
        {"long", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011", false},
        {"empty", "", false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, gateway_traceparent_valid(rows[i].text) == rows[i].valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages), cmocka_unit_test(encodings),   cmocka_unit_test(entity_tags),
        cmocka_unit_test(origins),   cmocka_unit_test(made_up_ids), cmocka_unit_test(traces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
