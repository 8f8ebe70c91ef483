/* UTF-8, numbers, hex, base64, hashes. */
#include "tests/unit/base/unit.h"

#include "common/base/text.h"

static void utf8_is_strict(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t n;
        bool valid;
    } rows[] = {
        {"empty", "", 0, true},
        {"ascii", "abc", 3, true},
        {"NUL inside", "a\0b", 3, false},
        {"two bytes", "\xc2\x80", 2, true},
        {"Chinese", "\xe6\xbc\x94\xe5\x94\xb1", 6, true},
        {"last before surrogates", "\xed\x9f\xbf", 3, true},
        {"high surrogate", "\xed\xa0\x80", 3, false},
        {"low surrogate", "\xed\xbf\xbf", 3, false},
        {"first after surrogates", "\xee\x80\x80", 3, true},
        {"four bytes", "\xf0\x9f\x8e\xab", 4, true},
        {"U+10FFFF", "\xf4\x8f\xbf\xbf", 4, true},
        {"U+110000", "\xf4\x90\x80\x80", 4, false},
        {"five-byte lead", "\xf8\x88\x80\x80\x80", 5, false},
        {"overlong slash in two", "\xc0\xaf", 2, false},
        {"overlong in two, C1", "\xc1\xbf", 2, false},
        {"overlong in three", "\xe0\x9f\xbf", 3, false},
        {"overlong in four", "\xf0\x8f\xbf\xbf", 4, false},
        {"lone continuation", "\x80", 1, false},
        {"cut after lead", "\xe6", 1, false},
        {"cut before the last", "\xe6\xbc", 2, false},
        {"cut four", "a\xf0\x9f\x8e", 4, false},
        {"continuation missing",
         "\xe6\xbc"
         "a",
         3, false},
        {"FF", "\xff", 1, false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, tf_utf8_valid(rows[i].bytes, rows[i].n) == rows[i].valid);
    assert_int_equal(tf_utf8_length("a\xe6\xbc\x94\xf0\x9f\x8e\xab"), 3);
    assert_int_equal(tf_utf8_length(""), 0);
}

static void controls_are_found(void **state)
{
    static const struct {
        const char *name, *text;
        bool control;
    } rows[] = {
        {"empty", "", false},
        {"plain", "a b", false},
        {"tab", "a\tb", true},
        {"unit separator", "\x1f", true},
        {"DEL", "\x7f", true},
        {"first C1", "\xc2\x80", true},
        {"last C1", "x\xc2\x9f", true},
        {"no-break space", "\xc2\xa0", false},
        {"A grave, second byte 80", "\xc3\x80", false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, tf_has_control(rows[i].text) == rows[i].control);
}

static void numbers_are_whole_and_fit(void **state)
{
    static const struct {
        const char *text;
        bool signed_ok;
        int64_t value;
        bool unsigned_ok;
        uint64_t unsigned_value;
    } rows[] = {
        {"0", true, 0, true, 0},
        {"-0", true, 0, false, 0},
        {"007", true, 7, true, 7},
        {"9223372036854775807", true, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", false, 0, true, (uint64_t)INT64_MAX + 1},
        {"-9223372036854775808", true, INT64_MIN, false, 0},
        {"-9223372036854775809", false, 0, false, 0},
        {"18446744073709551615", false, 0, true, UINT64_MAX},
        {"18446744073709551616", false, 0, false, 0},
        {"99999999999999999999999999", false, 0, false, 0},
        {"", false, 0, false, 0},
        {"-", false, 0, false, 0},
        {"--1", false, 0, false, 0},
        {"+1", false, 0, false, 0},
        {" 1", false, 0, false, 0},
        {"1 ", false, 0, false, 0},
        {"1.0", false, 0, false, 0},
        {"0x1", false, 0, false, 0},
        {"1e3", false, 0, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int64_t s = 77;
        uint64_t u = 77;

        CHECK(rows[i].text, tf_parse_int64(rows[i].text, &s) == rows[i].signed_ok);
        CHECK(rows[i].text, s == (rows[i].signed_ok ? rows[i].value : 77));
        CHECK(rows[i].text, tf_parse_uint64(rows[i].text, &u) == rows[i].unsigned_ok);
        CHECK(rows[i].text, u == (rows[i].unsigned_ok ? rows[i].unsigned_value : 77));
    }
    assert_false(tf_parse_int64(NULL, &(int64_t){0}));
}

static void hex_goes_both_ways(void **state)
{
    unsigned char bytes[256], back[256];
    char hex[513];

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    tf_hex_encode(bytes, sizeof(bytes), hex);
    assert_memory_equal(hex, "000102", 6);
    assert_string_equal(hex + 506, "fdfeff");
    assert_true(tf_hex_decode(hex, back, sizeof(back)));
    assert_memory_equal(bytes, back, sizeof(bytes));
    assert_true(tf_hex_decode("aBCd", back, 2));
    assert_memory_equal(back, "\xab\xcd", 2);
    assert_false(tf_hex_decode("abc", back, 2));
    assert_false(tf_hex_decode("abcde", back, 2));
    assert_false(tf_hex_decode("abcdef", back, 2));
    assert_false(tf_hex_decode("abcg", back, 2));
    assert_false(tf_hex_decode("", back, 1));
    assert_true(tf_hex_decode("", back, 0));
}

static void base64_matches_rfc4648(void **state)
{
    static const struct {
        const char *data, *plain, *url;
    } rows[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "-__-"},
    };
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 20);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        size_t n = strlen(rows[i].data), size = 99;

        CHECK_TEXT(rows[i].plain, tf_base64_encode(arena, rows[i].data, n, false), rows[i].plain);
        CHECK_TEXT(rows[i].plain, tf_base64_encode(arena, rows[i].data, n, true), rows[i].url);
        CHECK_TEXT(rows[i].plain, tf_base64_decode(arena, rows[i].plain, strlen(rows[i].plain), false, &size),
                   rows[i].data);
        CHECK(rows[i].plain, size == n);
        CHECK_TEXT(rows[i].plain, tf_base64_decode(arena, rows[i].url, strlen(rows[i].url), true, &size), rows[i].data);
        CHECK(rows[i].plain, size == n);
    }
}

static void base64_refuses_what_is_not_canonical(void **state)
{
    static const struct {
        const char *name, *text;
        bool url;
    } rows[] = {
        {"padding missing", "Zg", false},
        {"padding in the URL form", "Zg==", true},
        {"padding alone", "====", false},
        {"padding of three", "Z===", false},
        {"padding inside", "Zg==Zg==", false},
        {"padding before the end", "Z=g=", false},
        {"one digit left", "Zm9vY", true},
        {"left-over bits in one byte", "Zh==", false},
        {"left-over bits in two bytes", "Zm9=", false},
        {"left-over bits, URL form", "Zh", true},
        {"URL digit in the plain form", "-__-", false},
        {"plain digit in the URL form", "+//+", true},
        {"newline", "Zm9v\n", true},
        {"blank", "Zm 9", false},
        {"letter outside", "Zm\xc3\xa9", false},
    };
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 16);
    size_t size = 99;

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, tf_base64_decode(arena, rows[i].text, strlen(rows[i].text), rows[i].url, &size) == NULL);
    assert_int_equal(size, 99);
}

static void base64_goes_both_ways_at_every_length(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 20);
    unsigned char data[200];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)tf_mix64(i);
    for (size_t n = 0; n <= sizeof(data); n++)
        for (int url = 0; url < 2; url++) {
            char *text = tf_base64_encode(arena, data, n, url);
            size_t size;
            void *back = tf_base64_decode(arena, text, strlen(text), url, &size);

            assert_non_null(back);
            assert_int_equal(size, n);
            assert_memory_equal(back, data, n);
        }
}

static void hashes_are_fixed(void **state)
{
    (void)state;
    assert_true(tf_hash64("", 0) == 0xcbf29ce484222325u);
    assert_true(tf_hash64("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(tf_hash64("foobar", 6) == 0x85944171f73967e8u);
    assert_true(tf_mix64(0) == 0);
    assert_true(tf_mix64(1) == 0x5692161d100b05e5u);
    /* The finaliser of splitmix64 with seed 0: its first output is the mix of the golden ratio's constant. */
    assert_true(tf_mix64(0x9e3779b97f4a7c15u) == 0xe220a8397b1dcdafu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(controls_are_found),
        cmocka_unit_test(numbers_are_whole_and_fit),
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(base64_matches_rfc4648),
        cmocka_unit_test(base64_refuses_what_is_not_canonical),
        cmocka_unit_test(base64_goes_both_ways_at_every_length),
        cmocka_unit_test(hashes_are_fixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
