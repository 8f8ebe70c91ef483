/* etcd by a host name whose resolution hangs: calls end at their deadlines, and so does the end. This program's own
 * getaddrinfo stands before libc's. */
#include "common/etcd/internal.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

static atomic_bool hangs = true;
static _Atomic int hanging;

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    (void)host, (void)port, (void)hints, (void)ret;
    hanging++;
    while (hangs)
        usleep(1000);
    hanging--;
    return EAI_AGAIN;
}

static void changed(const char *const *addresses, size_t n, void *arg)
{
    (void)addresses, (void)n;
    ++*(_Atomic int *)arg;
}

static void calls_end_at_their_deadlines(void **state)
{
    tf_etcd *etcd = tf_etcd_new(&(struct tf_etcd_config){.endpoints = "hangs.test:2379", .prefix = "/t"});
    tf_cleanup(tf_buf_done) tf_buf body;
    tf_json *answer;
    int64_t began;
    tf_ctx ctx;

    (void)state;
    tf_buf_init(&body, 16);
    tf_buf_puts(&body, "{}");
    tf_ctx_init(&ctx, "test", 200 * TF_US_PER_MS);
    began = tf_mono_us();
    assert_int_equal(tf_etcd_call(&ctx, etcd, "kv/range", &body, &answer), TF_STORE_DOWN);
    assert_in_range(tf_mono_us() - began, 150 * TF_US_PER_MS, 500 * TF_US_PER_MS);
    assert_int_equal(hanging, 1); /* it was left behind */
    tf_ctx_done(&ctx);
    tf_etcd_free(etcd);
}

static void the_end_does_not_wait_for_it(void **state)
{
    tf_etcd *etcd = tf_etcd_new(&(struct tf_etcd_config){.endpoints = "hangs.test:2379", .prefix = "/t"});
    _Atomic int told = 0;
    int64_t began;
    tf_ctx ctx;

    (void)state;
    tf_etcd_register(etcd, "s", "a", "h:1", 3, NULL);
    tf_etcd_watch(etcd, "s", changed, &told);
    usleep(100000);
    tf_ctx_init(&ctx, "test", 200 * TF_US_PER_MS);
    began = tf_mono_us();
    tf_etcd_deregister(&ctx, etcd);
    assert_true(tf_mono_us() - began < 500 * TF_US_PER_MS);
    tf_ctx_done(&ctx);
    tf_etcd_free(etcd);
    assert_true(tf_mono_us() - began < (TF_ETCD_CALL_MS + 500) * TF_US_PER_MS);
    assert_int_equal(told, 0);
}

static int release(void **state)
{
    (void)state;
    hangs = false;
    for (int i = 0; hanging && i < 5000; i++)
        usleep(1000);
    return hanging;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_end_at_their_deadlines),
        cmocka_unit_test(the_end_does_not_wait_for_it),
    };

    return cmocka_run_group_tests_name("etcd resolve", tests, NULL, release);
}
