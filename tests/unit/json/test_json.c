/* JSON values: what is refused and where, typed reads, canonical text, and the writer. */
#include "common/json/json.h"

#include "common/base/macros.h"

#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { ARENA_BYTES = 1 << 20 };

#define TEXT(s) s, sizeof(s) - 1

static const struct {
    const char *name, *text;
    size_t size;
    const char *error; /* part of it */
} bad[] = {
    {"nothing", TEXT(""), "line 1"},
    {"blanks only", TEXT(" \n "), ""},
    {"trailing bytes", TEXT("{} x"), "line 1, column 4"},
    {"two values", TEXT("1 2"), ""},
    {"trailing comma in an object", TEXT("{\"a\":1,}"), ""},
    {"trailing comma in an array", TEXT("[1,]"), ""},
    {"missing comma", TEXT("[1 2]"), ""},
    {"missing colon", TEXT("{\"a\" 1}"), ""},
    {"name without quotes", TEXT("{a:1}"), ""},
    {"single quotes", TEXT("{'a':1}"), ""},
    {"comment", TEXT("[1/*x*/]"), ""},
    {"unclosed object", TEXT("{\"a\":1"), ""},
    {"unclosed array", TEXT("[1"), ""},
    {"unclosed string", TEXT("\"abc"), ""},
    {"string ends in a backslash", TEXT("\"abc\\"), ""},
    {"wrong bracket", TEXT("[1}"), ""},
    {"closing only", TEXT("}"), ""},
    {"duplicate member", TEXT("{\"a\":1,\n\"a\":1}"), "line 2, column 3: duplicate"},
    {"duplicate member by escape", TEXT("{\"a\":1,\"\\u0061\":1}"), "duplicate"},
    {"NaN", TEXT("NaN"), ""},
    {"Infinity", TEXT("[Infinity]"), ""},
    {"minus alone", TEXT("-"), ""},
    {"plus", TEXT("+1"), ""},
    {"leading zero", TEXT("01"), ""},
    {"hexadecimal", TEXT("0x1"), ""},
    {"point without digits", TEXT("1."), ""},
    {"digits missing before the point", TEXT(".5"), ""},
    {"exponent without digits", TEXT("1e"), ""},
    {"2^63", TEXT("9223372036854775808"), "too big integer"},
    {"-2^63 - 1", TEXT("-9223372036854775809"), "too big negative integer"},
    {"real out of range", TEXT("1e999"), ""},
    {"True", TEXT("True"), ""},
    {"truex", TEXT("truex"), ""},
    {"NUL byte outside", TEXT("[1\0]"), ""},
    {"NUL byte in a string", TEXT("\"a\0b\""), ""},
    {"NUL by escape", TEXT("\"a\\u0000b\""), ""},
    {"NUL in a name", TEXT("{\"a\\u0000\":1}"), ""},
    {"raw line feed in a string", TEXT("\"a\nb\""), ""},
    {"unknown escape", TEXT("\"\\x41\""), ""},
    {"short escape", TEXT("\"\\u12\""), ""},
    {"lone high surrogate", TEXT("\"\\ud800\""), ""},
    {"lone low surrogate", TEXT("\"\\udc00\""), ""},
    {"high surrogate, then a letter", TEXT("\"\\ud800a\""), ""},
    {"two high surrogates", TEXT("\"\\ud800\\ud800\""), ""},
    {"surrogate in UTF-8", TEXT("\"\xed\xa0\x80\""), "UTF-8"},
    {"overlong UTF-8", TEXT("\"\xc0\xaf\""), "UTF-8"},
    {"cut UTF-8", TEXT("\"\xe4\xbd\""), "UTF-8"},
    {"lone continuation byte", TEXT("\"\x80\""), "UTF-8"},
    {"beyond U+10FFFF", TEXT("\"\xf4\x90\x80\x80\""), "UTF-8"},
    {"Latin-1", TEXT("\"\xe9t\xe9\""), "UTF-8"},
    {"invalid UTF-8 in a name", TEXT("{\"\xff\":1}"), "UTF-8"},
    {"byte order mark", TEXT("\xef\xbb\xbf{}"), ""},
    {"UTF-16", TEXT("{\0}\0"), ""},
};

static void test_bad(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ARENA_BYTES);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(bad); i++) {
        const char *error = NULL;
        tf_json *json = tf_json_parse(arena, bad[i].text, bad[i].size, 0, &error);

        if (json) fail_msg("%s: accepted", bad[i].name);
        if (!error || !strstr(error, bad[i].error)) fail_msg("%s: %s", bad[i].name, error);
    }
}

static void test_depth(void **state)
{
    static const struct {
        const char *name, *text;
        int depth;
        bool accepted;
    } rows[] = {
        {"at the bound", "[[[1]]]", 3, true},
        {"beyond", "[[[[1]]]]", 3, false},
        {"objects", "{\"a\":{\"a\":{\"a\":{}}}}", 3, false},
        {"mixed, many side by side", "[[],[],[],{},{\"a\":[]}]", 3, true},
        {"brackets in strings", "\"[[[[[[\"", 1, true},
        {"brackets after an escaped quote", "[\"\\\"[[[[\"]", 1, true},
        {"brackets after an escaped backslash", "[\"\\\\\",[[1]]]", 2, false},
        {"default", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1", 0, false},
    };
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ARENA_BYTES);
    char *deep = malloc(1 << 20);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const char *error = NULL;
        tf_json *json = tf_json_parse(arena, rows[i].text, strlen(rows[i].text), rows[i].depth, &error);

        if ((json != NULL) != rows[i].accepted) fail_msg("%s: %s", rows[i].name, error ? error : "accepted");
        if (!json && !strstr(error, "nested deeper than")) fail_msg("%s: %s", rows[i].name, error);
        tf_json_free(json);
    }
    memset(deep, '[', 1 << 20); /* the scan stops before anything recurses */
    assert_null(tf_json_parse(arena, deep, 1 << 20, 0, &(const char *){NULL}));
    free(deep);
}

static void test_members_bound(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ARENA_BYTES);

    (void)state;
    for (int n = TF_JSON_MEMBERS_MAX; n <= TF_JSON_MEMBERS_MAX + 1; n++) {
        tf_buf text;
        tf_json_writer w = {.out = &text};
        const char *error, *name;
        const tf_json *value;
        tf_json *json;
        char key[16];

        tf_buf_init(&text, ARENA_BYTES);
        tf_json_begin_object(&w);
        for (int i = 0; i < n; i++) {
            snprintf(key, sizeof key, "m%d", i);
            tf_json_key(&w, key);
            tf_json_put_int(&w, i);
        }
        tf_json_end_object(&w);
        json = tf_json_parse(arena, text.data, text.size, 0, &error);
        assert_int_equal(json != NULL, n == TF_JSON_MEMBERS_MAX);
        if (json) {
            name = tf_json_member(json, 1234, &value); /* in the file's order */
            assert_string_equal(name, "m1234");
            assert_int_equal(tf_json_int(value, 0), 1234);
            assert_null(tf_json_member(json, (size_t)n, &value));
        }
        tf_json_free(json);
        tf_buf_done(&text);
    }
}

static void test_reads(void **state)
{
    static const char text[] = "{\"z\":null,\"b\":true,\"i\":-9223372036854775808,\"r\":1.5,\"s\":\"\\ud83c\\udfab\","
                               "\"a\":[1,\"2\"],\"o\":{}}";
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ARENA_BYTES);
    tf_cleanup(tf_json_freep) tf_json *json = NULL;
    const tf_json *value;
    const char *error;

    (void)state;
    json = tf_json_parse(arena, text, sizeof text - 1, 0, &error);
    assert_non_null(json);
    assert_int_equal(tf_json_type(json), TF_JSON_OBJECT);
    assert_int_equal(tf_json_size(json), 7);
    assert_int_equal(tf_json_type(tf_json_get(json, "z")), TF_JSON_NULL);
    assert_int_equal(tf_json_type(tf_json_get(json, "b")), TF_JSON_BOOL);
    assert_true(tf_json_bool(tf_json_get(json, "b"), false));
    assert_int_equal(tf_json_type(tf_json_get(json, "i")), TF_JSON_INT);
    assert_true(tf_json_int(tf_json_get(json, "i"), 0) == INT64_MIN);
    assert_int_equal(tf_json_type(tf_json_get(json, "r")), TF_JSON_REAL);
    assert_true(tf_json_real(tf_json_get(json, "r"), 0) == 1.5);
    assert_int_equal(tf_json_type(tf_json_get(json, "s")), TF_JSON_STRING);
    assert_string_equal(tf_json_string(tf_json_get(json, "s"), ""), "🎫");
    value = tf_json_get(json, "a");
    assert_int_equal(tf_json_type(value), TF_JSON_ARRAY);
    assert_int_equal(tf_json_size(value), 2);
    assert_true(tf_json_real(tf_json_at(value, 0), 0) == 1);
    assert_null(tf_json_at(value, 2));
    assert_int_equal(tf_json_type(tf_json_get(json, "o")), TF_JSON_OBJECT);
    /* Of another type, or absent. */
    assert_null(tf_json_get(value, "x"));
    assert_null(tf_json_at(json, 0));
    assert_int_equal(tf_json_int(tf_json_at(value, 1), 7), 7);
    assert_int_equal(tf_json_int(tf_json_get(json, "r"), 7), 7);
    assert_string_equal(tf_json_string(tf_json_get(json, "i"), "f"), "f");
    assert_true(tf_json_bool(tf_json_get(json, "absent"), true));
    assert_int_equal(tf_json_size(tf_json_get(json, "s")), 0);
    assert_int_equal(tf_json_type(NULL), TF_JSON_NULL);
    assert_null(tf_json_get(NULL, "x"));
    assert_null(tf_json_member(value, 0, &value));
}

static void test_canonical(void **state)
{
    static const struct {
        const char *name, *text, *canonical;
    } rows[] = {
        {"order and blanks", " { \"b\" : 1 , \"a\" : { \"d\" : [ ] , \"c\" : null } } ",
         "{\"a\":{\"c\":null,\"d\":[]},\"b\":1}"},
        {"escapes", "\"\\u4f60\\n\\/\\u0001\"", "\"你\\n/\\u0001\""},
        {"scalar", "true", "true"},
        {"arrays keep their order", "[3,1,2]", "[3,1,2]"},
    };
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ARENA_BYTES);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_cleanup(tf_json_freep) tf_json *json = NULL;
        const char *error, *text;
        size_t size;

        json = tf_json_parse(arena, rows[i].text, strlen(rows[i].text), 0, &error);
        text = tf_json_canonical(arena, json, &size);
        assert_string_equal(text, rows[i].canonical);
        assert_int_equal(size, strlen(text));
    }
}

static void test_writer(void **state)
{
    tf_cleanup(tf_buf_done) tf_buf out;
    tf_json_writer w = {.out = &out};

    (void)state;
    tf_buf_init(&out, 4096);
    tf_json_begin_object(&w);
    tf_json_key(&w, "a");
    tf_json_begin_array(&w);
    tf_json_put_int(&w, INT64_MIN);
    tf_json_put_int(&w, 0);
    tf_json_put_int_string(&w, INT64_MAX);
    tf_json_begin_object(&w);
    tf_json_end_object(&w);
    tf_json_begin_array(&w);
    tf_json_end_array(&w);
    tf_json_put_bool(&w, true);
    tf_json_put_null(&w);
    tf_json_put_string(&w, NULL);
    tf_json_end_array(&w);
    tf_json_key(&w, "q\"");
    tf_json_put_raw(&w, "{}", 2);
    tf_json_key(&w, "r");
    tf_json_put_real(&w, 0.1);
    tf_json_end_object(&w);
    assert_string_equal(out.data, "{\"a\":[-9223372036854775808,0,\"9223372036854775807\",{},[],true,null,null],"
                                  "\"q\\\"\":{},\"r\":0.1}");
}

static void test_writer_strings(void **state)
{
    static const struct {
        const char *name, *in, *out;
    } rows[] = {
        {"empty", "", "\"\""},
        {"plain", "abc", "\"abc\""},
        {"quotes and backslash", "a\"b\\c", "\"a\\\"b\\\\c\""},
        {"control characters", "\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\""},
        {"characters of two to four bytes", "é你🎫", "\"é你🎫\""},
        {"invalid byte",
         "a\xff"
         "b",
         "\"a\xef\xbf\xbd"
         "b\""},
        {"cut character at the end", "a\xe4\xbd", "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
        {"overlong", "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"no script end from a browser's view", "</script>", "\"</script>\""},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_cleanup(tf_buf_done) tf_buf out;
        tf_json_writer w = {.out = &out};

        tf_buf_init(&out, 4096);
        tf_json_put_string(&w, rows[i].in);
        if (strcmp(out.data, rows[i].out) != 0) fail_msg("%s: %s", rows[i].name, out.data);
    }
}

static void test_writer_reals(void **state)
{
    static const struct {
        double value;
        const char *out;
    } rows[] = {
        {0, "0"},          {-1.5, "-1.5"}, {0.1 + 0.2, "0.30000000000000004"},
        {1e300, "1e+300"}, {NAN, "null"},  {INFINITY, "null"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_cleanup(tf_buf_done) tf_buf out;
        tf_json_writer w = {.out = &out};

        tf_buf_init(&out, 4096);
        tf_json_put_real(&w, rows[i].value);
        assert_string_equal(out.data, rows[i].out);
    }
}

/* A full buffer breaks and stays broken; nothing is written past it. */
static void test_writer_ceiling(void **state)
{
    tf_cleanup(tf_buf_done) tf_buf out;
    tf_json_writer w = {.out = &out};

    (void)state;
    tf_buf_init(&out, 10);
    tf_json_begin_array(&w);
    for (int i = 0; i < 100; i++)
        tf_json_put_string(&w, "abc");
    tf_json_end_array(&w);
    assert_true(out.broken);
    assert_in_range(out.size, 1, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_members_bound),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_writer_strings),
        cmocka_unit_test(test_writer_reals),
        cmocka_unit_test(test_writer_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
