/* Registration and watches while a whole etcd stops, restarts, freezes and loses its data: on a private one. */
#include "tests/integration/etcd/cluster.h"
#include "tests/integration/etcd/private.h"

#include <signal.h>

enum { SOON_MS = 8000, TTL_S = 2 };

static struct private_etcd server;

static int set_up(void **state)
{
    (void)state;
    return private_etcd_init(&server);
}

static int tear_down(void **state)
{
    (void)state;
    return private_etcd_done(&server);
}

/* Everything begins before etcd does. */
static void test_outages(void **state)
{
    tf_etcd *etcd = etcd_at(server.endpoint);
    struct watcher watcher = {0};
    int n_told;
    tf_ctx ctx;

    (void)state;
    tf_etcd_register(etcd, "out", "one", "10.0.0.1:7000", TTL_S, NULL);
    tf_etcd_watch(etcd, "out", watcher_changed, &watcher);
    sleep_ms(300);
    assert_false(tf_etcd_registered(etcd));
    assert_int_equal(watcher_n_told(&watcher), 0);
    private_etcd_start(&server, "");
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    expect_registered(etcd, true, SOON_MS);

    /* Killed and started again with its data. Longer away than the lease: told is not taken back. */
    private_etcd_stop(&server, SIGKILL);
    expect_registered(etcd, false, SOON_MS);
    n_told = watcher_n_told(&watcher);
    private_etcd_start(&server, "");
    expect_registered(etcd, true, SOON_MS);
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    assert_in_range(watcher_n_told(&watcher), n_told, n_told + 2);

    /* Back with nothing: revisions begin anew, below ours. */
    private_etcd_stop(&server, SIGKILL);
    private_etcd_wipe(&server);
    private_etcd_start(&server, "");
    expect_registered(etcd, true, SOON_MS);
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    sleep_ms(1500);
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    assert_true(tf_etcd_registered(etcd));

    /* A change after the wipe is heard: the watch is not waiting for a revision of the past. */
    etcd_post(server.endpoint, "kv/put", "{\"key\":\"%s\",\"value\":\"%s\"}",
              b64(tf_arena_printf((ctx_start(&ctx, SOON_MS), ctx.arena), "/%s/out/two", unique_word())),
              b64("{\"Addr\":\"b:2\"}"));
    watcher_expect(&watcher, "10.0.0.1:7000,b:2", SOON_MS);

    /* Frozen and thawed. */
    kill(server.pid, SIGSTOP);
    expect_registered(etcd, false, SOON_MS);
    n_told = watcher_n_told(&watcher);
    sleep_ms(500);
    assert_int_equal(watcher_n_told(&watcher), n_told);
    kill(server.pid, SIGCONT);
    expect_registered(etcd, true, SOON_MS);
    watcher_expect(&watcher, "10.0.0.1:7000,b:2", SOON_MS);

    tf_etcd_deregister(&ctx, etcd);
    watcher_expect(&watcher, "b:2", SOON_MS);
    tf_ctx_done(&ctx);
    tf_etcd_free(etcd);
}

/* The end does not wait for an etcd that is not there. */
static void test_free_without_server(void **state)
{
    tf_etcd *etcd = etcd_at(server.endpoint);
    struct watcher watcher = {0};
    int64_t since_us;

    (void)state;
    private_etcd_stop(&server, SIGTERM);
    tf_etcd_register(etcd, "out", "one", "10.0.0.1:7000", TTL_S, NULL);
    tf_etcd_watch(etcd, "out", watcher_changed, &watcher);
    sleep_ms(200);
    since_us = tf_mono_us();
    tf_etcd_free(etcd);
    assert_in_range((tf_mono_us() - since_us) / 1000, 0, 1000);
    assert_int_equal(watcher.n_told, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outages),
        cmocka_unit_test(test_free_without_server),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
