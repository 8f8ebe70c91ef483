/* Percent-decoding by a table. */
#include "common/http/server.h"

#include "common/base/arena.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *name, *text;
    bool query;
    const char *decoded; /* NULL: refused */
} rows[] = {
    {"empty", "", false, ""},
    {"plain", "abc-_.~", false, "abc-_.~"},
    {"escape", "a%20b", false, "a b"},
    {"lower-case digits", "%e4%bd%a0", false, "你"},
    {"upper-case digits", "%E4%BD%A0", false, "你"},
    {"escape at the end", "a%41", false, "aA"},
    {"slash", "a%2Fb", false, "a/b"},
    {"percent", "%2541", false, "%41"},
    {"plus in a path", "a+b", false, "a+b"},
    {"plus in a query", "a+b", true, "a b"},
    {"escaped plus in a query", "a%2Bb", true, "a+b"},
    {"percent at the end", "a%", false, NULL},
    {"one digit", "a%4", false, NULL},
    {"not digits", "%zz", false, NULL},
    {"second not a digit", "%4g", false, NULL},
    {"signed", "%-1", false, NULL},
    {"NUL", "a%00b", false, NULL},
    {"invalid UTF-8", "%ff", false, NULL},
    {"cut UTF-8", "%e4%bd", false, NULL},
    {"overlong slash", "%c0%af", false, NULL},
    {"surrogate", "%ed%a0%80", false, NULL},
    {"raw invalid byte", "\xff", false, NULL},
};

static void test_rows(void **state)
{
    tf_arena *arena = tf_arena_new(65536);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        char *decoded = tf_url_decode(arena, rows[i].text, strlen(rows[i].text), rows[i].query);

        if (!decoded != !rows[i].decoded) fail_msg("%s: %s", rows[i].name, decoded ? decoded : "refused");
        if (decoded) assert_string_equal(decoded, rows[i].decoded);
    }
    assert_string_equal(tf_url_decode(arena, "ab%41cd", 5, false), "abA"); /* no further than told */
    assert_null(tf_url_decode(arena, "ab%41", 4, false));
    tf_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
