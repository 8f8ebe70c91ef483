/* Host names, with a system resolver that hangs when told to: this program's own getaddrinfo stands before libc's. */
#include "tests/unit/base/unit.h"

#include "common/base/clock.h"
#include "common/base/resolve.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static atomic_bool hangs, is_away;
static _Atomic int asked, asking;

/* Names below "test": 127.0.0.9, once nothing hangs; "nowhere.test" is none. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    int error;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    asked++;
    asking++;
    while (hangs)
        usleep(1000);
    error = is_away ? EAI_AGAIN : strcmp(host, "nowhere.test") == 0 ? EAI_NONAME : real("127.0.0.9", port, hints, ret);
    asking--;
    return error;
}

static int64_t in_ms(int ms)
{
    return tf_mono_us() + ms * TF_US_PER_MS;
}

static void numeric_addresses_ask_nobody(void **state)
{
    static const char *const rows[] = {"127.0.0.1", "::1", "2001:db8::7"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct tf_addresses addresses;

        assert_int_equal(tf_resolve_wait(rows[i], 0, &addresses), TF_OK);
        assert_int_equal(addresses.n, 1);
        assert_string_equal(addresses.text[0], rows[i]);
    }
    assert_int_equal(asked, 0);
}

static void names_are_bounded(void **state)
{
    struct tf_addresses addresses;
    char name[TF_RESOLVE_HOST_MAX + 2];

    (void)state;
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(tf_resolve_wait("", in_ms(100), &addresses), TF_FIELD_INVALID);
    assert_int_equal(tf_resolve_wait(name, in_ms(100), &addresses), TF_FIELD_INVALID);
    assert_int_equal(asked, 0);
}

static void what_is_not_there_says_so(void **state)
{
    struct tf_addresses addresses;

    (void)state;
    assert_int_equal(tf_resolve_wait("nowhere.test", in_ms(5000), &addresses), TF_NOT_FOUND);
    is_away = true;
    assert_int_equal(tf_resolve_wait("away.test", in_ms(5000), &addresses), TF_STORE_DOWN);
    is_away = false;
    assert_int_equal(tf_resolve_wait("away.test", in_ms(5000), &addresses), TF_OK);
}

/* One search, however many ask; its late answer is there for whoever asks next. */
static void waiting_has_an_end(void **state)
{
    struct tf_addresses addresses;
    int before = asked;
    int64_t began;

    (void)state;
    hangs = true;
    began = tf_mono_us();
    assert_int_equal(tf_resolve_wait("late.test", began, &addresses), TF_DEADLINE);
    assert_true(tf_mono_us() - began < 100 * TF_US_PER_MS);
    assert_int_equal(tf_resolve_wait("late.test", in_ms(100), &addresses), TF_DEADLINE);
    assert_in_range(tf_mono_us() - began, 100 * TF_US_PER_MS, 500 * TF_US_PER_MS);
    assert_int_equal(asked, before + 1);
    hangs = false;
    assert_int_equal(tf_resolve_wait("late.test", in_ms(5000), &addresses), TF_OK);
    assert_int_equal(addresses.n, 1);
    assert_string_equal(addresses.text[0], "127.0.0.9");
    assert_int_equal(tf_resolve_wait("late.test", 0, &addresses), TF_OK); /* known for a while */
    assert_int_equal(asked, before + 1);
}

/* Searches that hang are bounded in number; afterwards others are possible again. */
static void the_table_has_an_end(void **state)
{
    struct tf_addresses addresses;
    char name[32];
    int full = 0;

    (void)state;
    hangs = true;
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "n%d.test", i);
        full += tf_resolve_wait(name, 0, &addresses) == TF_OVERLOADED;
    }
    assert_in_range(full, 1, 99);
    hangs = false;
    for (int i = 0; asking > 0; i++) {
        assert_true(i < 5000);
        usleep(1000);
    }
    assert_int_equal(tf_resolve_wait("n99.test", in_ms(5000), &addresses), TF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numeric_addresses_ask_nobody), cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(what_is_not_there_says_so),    cmocka_unit_test(waiting_has_an_end),
        cmocka_unit_test(the_table_has_an_end),
    };

    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
