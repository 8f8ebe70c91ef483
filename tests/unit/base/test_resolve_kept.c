/* Answers that are kept, by a name server that is this test: what serves while it is slow or away, and what does not.
 */
#include "common/base/clock.h"
#include "common/base/resolve.h"
#include "tests/unit/base/unit.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static atomic_int asked, delay_ms, failure, last_byte;

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

int getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict ret)
{
    int status = atomic_load(&failure), n = strncmp(host, "many", 4) == 0 ? 20 : 2;

    (void)service;
    atomic_fetch_add(&asked, 1);
    sleep_ms(atomic_load(&delay_ms));
    if (status) return status;
    *ret = NULL;
    for (int i = n - 1; i >= 0; i--) {
        struct addrinfo *info = calloc(1, sizeof(*info));
        struct sockaddr_in *at = calloc(1, sizeof(*at));

        at->sin_family = AF_INET;
        at->sin_addr.s_addr = htonl(0xc0000200u + (unsigned)(atomic_load(&last_byte) + i));
        *info = (struct addrinfo){.ai_family = AF_INET,
                                  .ai_socktype = hints->ai_socktype,
                                  .ai_addr = (struct sockaddr *)at,
                                  .ai_addrlen = sizeof(*at),
                                  .ai_next = *ret};
        *ret = info;
    }
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info) {
        struct addrinfo *next = info->ai_next;

        free(info->ai_addr);
        free(info);
        info = next;
    }
}

static void server_is(int delay, int status, int byte)
{
    atomic_store(&delay_ms, delay);
    atomic_store(&failure, status);
    atomic_store(&last_byte, byte);
}

static int64_t in_ms(int ms)
{
    return tf_mono_us() + (int64_t)ms * TF_US_PER_MS;
}

static void test_answer_is_kept(void **state)
{
    struct tf_addresses addresses;
    int before = atomic_load(&asked);

    (void)state;
    server_is(0, 0, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tf_resolve_wait("kept.test", in_ms(5000), &addresses), TF_OK);
        assert_int_equal(addresses.n, 2);
        assert_string_equal(addresses.text[0], "192.0.2.1");
        assert_string_equal(addresses.text[1], "192.0.2.2");
    }
    assert_int_equal(atomic_load(&asked), before + 1);
    assert_int_equal(tf_resolve_wait("many.test", in_ms(5000), &addresses), TF_OK);
    assert_int_equal(addresses.n, TF_RESOLVE_ADDRESSES_MAX);
}

static void test_failures_are_not_kept(void **state)
{
    static const struct {
        const char *host;
        int status;
        tf_code code;
    } rows[] = {
        {"none.test", EAI_NONAME, TF_NOT_FOUND},    {"no-data.test", EAI_NODATA, TF_NOT_FOUND},
        {"again.test", EAI_AGAIN, TF_STORE_DOWN},   {"fail.test", EAI_FAIL, TF_STORE_DOWN},
        {"system.test", EAI_SYSTEM, TF_STORE_DOWN},
    };
    struct tf_addresses addresses;

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        server_is(0, rows[i].status, 1);
        CHECK(rows[i].host, tf_resolve_wait(rows[i].host, in_ms(5000), &addresses) == rows[i].code);
        server_is(0, 0, 1);
        CHECK(rows[i].host, tf_resolve_wait(rows[i].host, in_ms(5000), &addresses) == TF_OK);
    }
}

/* Asked anew, an old answer serves while the server is slow or cannot tell, not when the name is gone. */
static void test_old_answer(void **state)
{
    struct tf_addresses addresses;
    int64_t begun;

    (void)state;
    server_is(0, 0, 1);
    assert_int_equal(tf_resolve_wait("old.test", in_ms(5000), &addresses), TF_OK);
    sleep_ms(TF_RESOLVE_FRESH_S * 1000 + 100);

    server_is(0, EAI_AGAIN, 0);
    assert_int_equal(tf_resolve_wait("old.test", in_ms(5000), &addresses), TF_OK);
    assert_string_equal(addresses.text[0], "192.0.2.1");

    server_is(1500, 0, 9);
    begun = tf_mono_us();
    assert_int_equal(tf_resolve_wait("old.test", in_ms(5000), &addresses), TF_OK);
    assert_string_equal(addresses.text[0], "192.0.2.1");
    assert_in_range(tf_mono_us() - begun, 150 * TF_US_PER_MS, 1200 * TF_US_PER_MS);
    sleep_ms(2500);
    server_is(0, EAI_NONAME, 0);
    assert_int_equal(tf_resolve_wait("old.test", in_ms(5000), &addresses), TF_OK); /* learnt meanwhile */
    assert_string_equal(addresses.text[0], "192.0.2.9");

    sleep_ms(TF_RESOLVE_FRESH_S * 1000 + 100);
    assert_int_equal(tf_resolve_wait("old.test", in_ms(5000), &addresses), TF_NOT_FOUND);
}

static void *resolver(void *arg)
{
    char host[64];

    for (int i = 0; i < 200; i++) { /* more names than the table holds */
        struct tf_addresses addresses;

        snprintf(host, sizeof(host), "host-%d.test", (i * 7 + *(int *)arg) % 100);
        if (tf_resolve_wait(host, in_ms(10000), &addresses) != TF_OK || addresses.n != 2) return arg;
    }
    return NULL;
}

static void test_many_at_once(void **state)
{
    pthread_t threads[8];
    int numbers[8];

    (void)state;
    server_is(0, 0, 1);
    for (size_t i = 0; i < TF_COUNT(threads); i++) {
        numbers[i] = (int)i;
        pthread_create(&threads[i], NULL, resolver, &numbers[i]);
    }
    for (size_t i = 0; i < TF_COUNT(threads); i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_is_kept),
        cmocka_unit_test(test_failures_are_not_kept),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_old_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
