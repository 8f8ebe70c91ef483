/* user's rules: log-in names, id documents, throttling. One case a row. */
#include "services/user/domain/id_document.h"
#include "services/user/domain/login.h"
#include "services/user/domain/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static tf_arena *arena;

static void same(const char *input, const char *got, const char *expected)
{
    if ((got == NULL) != (expected == NULL) || (got && strcmp(got, expected) != 0))
        fail_msg("\"%s\": \"%s\" instead of \"%s\"", input, got ? got : "(refused)", expected ? expected : "(refused)");
}

static void mobiles(void **state)
{
    static const char *const rows[][2] = {
        {"13812345678", "+8613812345678"},
        {"138 1234 5678", "+8613812345678"},
        {"+86-138-1234-5678", "+8613812345678"},
        {"+447911123456", "+447911123456"},
        {"+12025550123", "+12025550123"},
        {"12812345678", NULL},
        {"1381234567", NULL},
        {"138123456789", NULL},
        {"+8612345678901", NULL},
        {"+861381234567", NULL},
        {"+0123456789", NULL},
        {"", NULL},
        {"+", NULL},
        {"-13812345678", NULL},
        {"13812345678-", NULL},
        {"138a2345678", NULL},
        {"+1234567890123456789012345678", NULL},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        same(rows[i][0], login_mobile(arena, rows[i][0]), rows[i][1]);
}

static void emails(void **state)
{
    static const char *const rows[][2] = {
        {"me@example.org", "me@example.org"},
        {"Me.And+You@Example.ORG", "me.and+you@example.org"},
        {"me@localhost", NULL},
        {"@example.org", NULL},
        {"me@", NULL},
        {"me@@example.org", NULL},
        {".me@example.org", NULL},
        {"me.@example.org", NULL},
        {"m..e@example.org", NULL},
        {"me@-example.org", NULL},
        {"me@example-.org", NULL},
        {"me@example..org", NULL},
        {"me you@example.org", NULL},
        {"me@exam ple.org", NULL},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        same(rows[i][0], login_email(arena, rows[i][0]), rows[i][1]);
}

static void masks(void **state)
{
    (void)state;
    same("mobile", login_mobile_mask(arena, "+8613812345678"), "138****5678");
    same("foreign mobile", login_mobile_mask(arena, "+447911123456"), "+44*******456");
    same("email", login_email_mask(arena, "alice@example.org"), "a***@example.org");
    same("resident", id_document_mask(arena, ID_TYPE_CN_RESIDENT, "11010519491231002X"), "1101**********002X");
    same("passport", id_document_mask(arena, ID_TYPE_PASSPORT, "E12345678"), "E******78");
}

static void documents(void **state)
{
    static const struct {
        IdType type;
        const char *input, *expected;
    } rows[] = {
        {ID_TYPE_CN_RESIDENT, "11010519491231002X", "11010519491231002X"}, /* the standard's own example */
        {ID_TYPE_CN_RESIDENT, "11010519491231002x", "11010519491231002X"},
        {ID_TYPE_CN_RESIDENT, "440524188001010014", "440524188001010014"},
        {ID_TYPE_CN_RESIDENT, "110105194912310021", NULL}, /* wrong check character */
        {ID_TYPE_CN_RESIDENT, "11010519491231002", NULL},  /* 17 */
        {ID_TYPE_CN_RESIDENT, "11010519491331002X", NULL}, /* month 13 */
        {ID_TYPE_CN_RESIDENT, "11010519490229002X", NULL}, /* no leap year */
        {ID_TYPE_CN_RESIDENT, "01010519491231002X", NULL}, /* no region */
        {ID_TYPE_CN_RESIDENT, "1101051949123100AX", NULL}, /* a letter inside */
        {ID_TYPE_CN_RESIDENT, "", NULL},
        {ID_TYPE_PASSPORT, "e12345678", "E12345678"},
        {ID_TYPE_PASSPORT, "E123 45678", "E12345678"},
        {ID_TYPE_PASSPORT, "E123", NULL},
        {ID_TYPE_PASSPORT, "E12345678901234567890", NULL},
        {ID_TYPE_PASSPORT, "E123-5678", NULL},
        {ID_TYPE_UNSPECIFIED, "E12345678", NULL},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        same(rows[i].input, id_document_normal(arena, rows[i].type, rows[i].input), rows[i].expected);
}

static void throttle(void **state)
{
    static const int rows[][2] = {{0, 0}, {4, 0}, {5, 1}, {6, 2}, {12, 128}, {13, 256}, {14, 300}, {1000000, 300}};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        assert_int_equal(login_wait_s(rows[i][0], 5), rows[i][1]);
}

static void networks(void **state)
{
    static const char *const rows[][2] = {
        {"203.0.113.7", "203.0.113.7"},
        {"::ffff:203.0.113.7", "203.0.113.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        {"2001:db8:1:2::", "2001:db8:1:2::"},
        {"::1", "::"},
        {"203.0.113", NULL},
        {"203.0.113.7:80", NULL},
        {"", NULL},
    };
    char network[THROTTLE_NETWORK_TEXT];

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        same(rows[i][0], throttle_network(rows[i][0], network) ? network : NULL, rows[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mobiles),   cmocka_unit_test(emails),   cmocka_unit_test(masks),
        cmocka_unit_test(documents), cmocka_unit_test(throttle), cmocka_unit_test(networks),
    };
    int failed;

    arena = tf_arena_new(1 << 20);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tf_arena_free(arena);
    return failed;
}
