/* The list of instances. */
#include "common/etcd/members.h"

#include "common/base/macros.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* "key=address" sets, "-key" removes. */
static const struct {
    const char *name;
    const char *steps[6];
    const char *addresses;
} rows[] = {
    {"nothing", {NULL}, ""},
    {"one", {"a=1"}, "1"},
    {"ordered by key", {"b=2", "c=3", "a=1"}, "1,2,3"},
    {"changed address", {"a=1", "b=2", "a=3"}, "3,2"},
    {"removed first", {"a=1", "b=2", "-a"}, "2"},
    {"removed last", {"a=1", "b=2", "-b"}, "1"},
    {"removed all", {"a=1", "-a"}, ""},
    {"removed what was not there", {"a=1", "-b", "-"}, "1"},
    {"two instances at one address", {"a=1", "b=1", "c=2"}, "1,2"},
    {"one of two at one address gone", {"a=1", "b=1", "-a"}, "1"},
};

static void take_step(struct tf_etcd_members *members, const char *step)
{
    char key[16] = "";

    if (*step == '-') {
        tf_etcd_members_remove(members, step + 1);
        return;
    }
    memcpy(key, step, strcspn(step, "="));
    assert_true(tf_etcd_members_set(members, key, strchr(step, '=') + 1));
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_etcd_members members = {0};
        const char **addresses;
        char text[64] = "";
        size_t n;

        for (size_t k = 0; k < TF_COUNT(rows[i].steps) && rows[i].steps[k]; k++)
            take_step(&members, rows[i].steps[k]);
        addresses = tf_etcd_members_addresses(&members, &n);
        for (size_t k = 0; k < n; k++)
            sprintf(text + strlen(text), "%s%s", k ? "," : "", addresses[k]);
        if (strcmp(text, rows[i].addresses) != 0) fail_msg("%s: %s", rows[i].name, text);
        free(addresses);
        tf_etcd_members_done(&members);
    }
}

static void test_bound(void **state)
{
    struct tf_etcd_members members = {0};
    char key[16];

    (void)state;
    for (int i = 0; i < TF_ETCD_MEMBERS_MAX; i++) {
        snprintf(key, sizeof key, "%d", i * 7919 % TF_ETCD_MEMBERS_MAX);
        assert_true(tf_etcd_members_set(&members, key, key));
    }
    assert_int_equal(members.n, TF_ETCD_MEMBERS_MAX);
    assert_false(tf_etcd_members_set(&members, "x", "1"));
    assert_true(tf_etcd_members_set(&members, "5", "changed"));
    for (size_t i = 1; i < members.n; i++)
        assert_true(strcmp(members.members[i - 1].key, members.members[i].key) < 0);
    tf_etcd_members_done(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_bound)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
