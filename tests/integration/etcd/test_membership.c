/* Registration and watches against a real etcd, through a proxy where faults are wanted. */
#include "tests/integration/etcd/cluster.h"
#include "tests/integration/proxy.h"

#include "common/base/text.h"

#include <stdio.h>

enum { SOON_MS = 3000 };

static const char *real; /* host:port */

static const char *through(const struct proxy *proxy)
{
    static char endpoint[32];

    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", proxy_port(proxy));
    return endpoint;
}

static const char *key_of(const char *service, const char *instance)
{
    static char key[256];

    snprintf(key, sizeof key, "/%s/%s/%s", unique_word(), service, instance);
    return key;
}

/* ---- registration ----------------------------------------------------------------------------- */

static void test_layout(void **state)
{
    tf_etcd *etcd = etcd_at(real);
    const char *answer;
    tf_ctx ctx;

    (void)state;
    assert_false(tf_etcd_registered(etcd));
    tf_etcd_register(etcd, "layout", "one", "10.0.0.1:7000", 10, "{\"lane\":\"blue\"}");
    expect_registered(etcd, true, SOON_MS);
    answer = etcd_post(real, "kv/range", "{\"key\":\"%s\"}", b64(key_of("layout", "one")));
    assert_non_null(strstr(answer, b64("{\"Op\":0,\"Addr\":\"10.0.0.1:7000\",\"Metadata\":{\"lane\":\"blue\"}}")));
    assert_non_null(strstr(answer, "\"lease\":\""));

    ctx_start(&ctx, SOON_MS);
    tf_etcd_deregister(&ctx, etcd);
    assert_false(tf_etcd_registered(etcd));
    answer = etcd_post(real, "kv/range", "{\"key\":\"%s\"}", b64(key_of("layout", "one")));
    assert_null(strstr(answer, "\"kvs\""));
    tf_etcd_deregister(&ctx, etcd); /* again: nothing */
    tf_ctx_done(&ctx);
    tf_etcd_free(etcd);
}

static void test_free_revokes(void **state)
{
    tf_etcd *etcd = etcd_at(real);

    (void)state;
    tf_etcd_register(etcd, "freed", "one", "10.0.0.1:7000", 30, NULL);
    expect_registered(etcd, true, SOON_MS);
    tf_etcd_free(etcd);
    assert_null(strstr(etcd_post(real, "kv/range", "{\"key\":\"%s\"}", b64(key_of("freed", "one"))), "\"kvs\""));
}

/* The lease is revoked behind our back, as if it had run out: the next renewal notices and registers anew. */
static void test_lost_lease(void **state)
{
    tf_etcd *etcd = etcd_at(real);
    struct watcher watcher = {0};
    const char *lease;
    char id[32];

    (void)state;
    tf_etcd_register(etcd, "lost", "one", "10.0.0.1:7000", 2, NULL);
    tf_etcd_watch(etcd, "lost", watcher_changed, &watcher);
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    lease = strstr(etcd_post(real, "kv/range", "{\"key\":\"%s\"}", b64(key_of("lost", "one"))), "\"lease\":\"");
    assert_non_null(lease);
    snprintf(id, sizeof id, "%.*s", (int)strspn(lease + 9, "0123456789"), lease + 9);
    etcd_post(real, "lease/revoke", "{\"ID\":\"%s\"}", id);
    watcher_expect(&watcher, "", SOON_MS);
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    tf_etcd_free(etcd);
}

/* Kept alive well beyond its time to live, and gone soon after it when the process falls silent. */
static void test_keepalive_and_expiry(void **state)
{
    struct proxy *proxy = proxy_start(real);
    tf_etcd *silent = etcd_at(through(proxy)), *other = etcd_at(real);
    struct watcher watcher = {0};

    (void)state;
    tf_etcd_watch(other, "expiry", watcher_changed, &watcher);
    watcher_expect(&watcher, "", SOON_MS);
    tf_etcd_register(silent, "expiry", "one", "10.0.0.1:7000", 2, NULL);
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    sleep_ms(4500);
    assert_true(tf_etcd_registered(silent));
    assert_int_equal(watcher_n_told(&watcher), 2);

    proxy_set(proxy, PROXY_FREEZE);
    watcher_expect(&watcher, "", 6000); /* etcd 3.4 lets a lease live up to twice as long */
    expect_registered(silent, false, SOON_MS);
    proxy_set(proxy, PROXY_PASS);
    watcher_expect(&watcher, "10.0.0.1:7000", 8000);
    expect_registered(silent, true, SOON_MS);
    tf_etcd_free(silent);
    tf_etcd_free(other);
    proxy_stop(proxy);
}

static void test_deregister_is_bounded(void **state)
{
    struct proxy *proxy = proxy_start(real);
    tf_etcd *etcd = etcd_at(through(proxy));
    int64_t since_us;
    tf_ctx ctx;

    (void)state;
    tf_etcd_register(etcd, "bounded", "one", "10.0.0.1:7000", 5, NULL);
    expect_registered(etcd, true, SOON_MS);
    proxy_set(proxy, PROXY_FREEZE);
    ctx_start(&ctx, 300);
    since_us = tf_mono_us();
    tf_etcd_deregister(&ctx, etcd);
    assert_in_range((tf_mono_us() - since_us) / 1000, 0, 500);
    tf_ctx_done(&ctx);
    tf_etcd_free(etcd);
    proxy_stop(proxy);
}

/* ---- watches ---------------------------------------------------------------------------------- */

static void test_instances_come_and_go(void **state)
{
    tf_etcd *watching = etcd_at(real), *instances[3];
    struct watcher watcher = {0}, other = {0};
    char name[16], address[32];

    (void)state;
    tf_etcd_watch(watching, "many", watcher_changed, &watcher);
    tf_etcd_watch(watching, "man", watcher_changed, &other); /* a name that begins the other's */
    watcher_expect(&watcher, "", SOON_MS);
    for (int i = 0; i < 3; i++) {
        instances[i] = etcd_at(real);
        snprintf(name, sizeof name, "i%d", i);
        snprintf(address, sizeof address, "10.0.0.%d:7000", i);
        tf_etcd_register(instances[i], "many", name, address, 10, NULL);
        expect_registered(instances[i], true, SOON_MS);
    }
    watcher_expect(&watcher, "10.0.0.0:7000,10.0.0.1:7000,10.0.0.2:7000", SOON_MS);
    tf_etcd_free(instances[1]);
    watcher_expect(&watcher, "10.0.0.0:7000,10.0.0.2:7000", SOON_MS);
    tf_etcd_free(instances[0]);
    tf_etcd_free(instances[2]);
    watcher_expect(&watcher, "", SOON_MS);
    assert_int_equal(watcher_n_told(&watcher), 7);
    watcher_expect(&other, "", SOON_MS);
    assert_int_equal(watcher_n_told(&other), 1);
    tf_etcd_free(watching);
}

/* What others write under our prefix does no harm, and an address that changes is told. */
static void test_foreign_keys(void **state)
{
    static const char *const values[] = {"not json", "[]", "{}", "{\"Addr\":7}", "{\"Addr\":\"\"}", "\xff"};
    tf_etcd *etcd = etcd_at(real);
    struct watcher watcher = {0};
    char key[32];

    (void)state;
    tf_etcd_watch(etcd, "foreign", watcher_changed, &watcher);
    watcher_expect(&watcher, "", SOON_MS);
    for (size_t i = 0; i < TF_COUNT(values); i++) {
        snprintf(key, sizeof key, "bad%zu", i);
        etcd_post(real, "kv/put", "{\"key\":\"%s\",\"value\":\"%s\"}", b64(key_of("foreign", key)), b64(values[i]));
    }
    etcd_post(real, "kv/put", "{\"key\":\"%s\",\"value\":\"%s\"}", b64(key_of("foreign", "x")),
              b64("{\"Addr\":\"a:1\"}"));
    watcher_expect(&watcher, "a:1", SOON_MS);
    etcd_post(real, "kv/put", "{\"key\":\"%s\",\"value\":\"%s\"}", b64(key_of("foreign", "y")),
              b64("{\"Addr\":\"a:1\"}"));
    etcd_post(real, "kv/put", "{\"key\":\"%s\",\"value\":\"%s\"}", b64(key_of("foreign", "x")),
              b64("{\"Addr\":\"a:2\"}"));
    watcher_expect(&watcher, "a:2,a:1", SOON_MS);
    etcd_post(real, "kv/put", "{\"key\":\"%s\",\"value\":\"%s\"}", b64(key_of("foreign", "x")), b64("spoilt"));
    watcher_expect(&watcher, "a:1", SOON_MS);
    tf_etcd_free(etcd);
}

/* While etcd is away the last list stays; what changed meanwhile, compaction included, is there afterwards. */
static void test_away_and_back(void **state)
{
    struct proxy *proxy = proxy_start(real);
    tf_etcd *etcd = etcd_at(through(proxy));
    struct watcher watcher = {0};
    static const enum proxy_mode modes[] = {PROXY_REFUSE, PROXY_FREEZE, PROXY_MUTE};
    char address[32], value[64];

    (void)state;
    tf_etcd_watch(etcd, "away", watcher_changed, &watcher);
    watcher_expect(&watcher, "", SOON_MS);
    for (size_t i = 0; i < TF_COUNT(modes); i++) {
        const char *revision;
        int n_told;

        proxy_set(proxy, modes[i]);
        n_told = watcher_n_told(&watcher);
        for (int k = 0; k < 20; k++) {
            snprintf(value, sizeof value, "{\"Addr\":\"b:%zu%02d\"}", i, k);
            etcd_post(real, "kv/put", "{\"key\":\"%s\",\"value\":\"%s\"}", b64(key_of("away", "x")), b64(value));
        }
        snprintf(address, sizeof address, "b:%zu19", i);
        revision = strstr(etcd_post(real, "kv/range", "{\"key\":\"%s\"}", b64("none")), "\"revision\":\"") + 12;
        etcd_post(real, "kv/compaction", "{\"revision\":\"%.*s\"}", (int)strspn(revision, "0123456789"), revision);
        sleep_ms(300);
        assert_int_equal(watcher_n_told(&watcher), n_told);
        proxy_cut(proxy);
        proxy_set(proxy, PROXY_PASS);
        watcher_expect(&watcher, address, 8000);
    }
    tf_etcd_free(etcd);
    proxy_stop(proxy);
}

static void test_second_endpoint(void **state)
{
    struct proxy *proxy = proxy_start(real);
    struct watcher watcher = {0};
    char endpoints[128];
    tf_etcd *etcd;

    (void)state;
    snprintf(endpoints, sizeof endpoints, "127.0.0.1:1, http://%s/,%s", through(proxy), real);
    etcd = etcd_at(endpoints);
    tf_etcd_register(etcd, "endpoints", "one", "10.0.0.1:7000", 3, NULL);
    tf_etcd_watch(etcd, "endpoints", watcher_changed, &watcher);
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    proxy_set(proxy, PROXY_REFUSE);
    etcd_post(real, "kv/put", "{\"key\":\"%s\",\"value\":\"%s\"}", b64(key_of("endpoints", "two")),
              b64("{\"Addr\":\"b:2\"}"));
    watcher_expect(&watcher, "10.0.0.1:7000,b:2", SOON_MS);
    sleep_ms(3500); /* longer than the lease without renewal */
    assert_true(tf_etcd_registered(etcd));
    tf_etcd_free(etcd);
    proxy_stop(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_free_revokes),
        cmocka_unit_test(test_lost_lease),
        cmocka_unit_test(test_keepalive_and_expiry),
        cmocka_unit_test(test_deregister_is_bounded),
        cmocka_unit_test(test_instances_come_and_go),
        cmocka_unit_test(test_foreign_keys),
        cmocka_unit_test(test_away_and_back),
        cmocka_unit_test(test_second_endpoint),
    };

    real = env_or_fail("TF_TEST_ETCD", "host:port");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
