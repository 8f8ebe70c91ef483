/* Registration and watches while a whole etcd stops, restarts, freezes and loses its data: on a private one. */
#include "tests/integration/etcd/cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOON_MS = 8000, TTL_S = 2 };

static struct {
    pid_t pid;
    char endpoint[32], client_url[48], peer_url[48], cluster[64];
    char home[64], data[80];
} server;

static bool answers(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), status;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)atoi(strchr(server.endpoint, ':') + 1));
    status = connect(fd, (struct sockaddr *)&at, sizeof at);
    close(fd);
    return status == 0;
}

static void start_server(void)
{
    server.pid = fork();
    if (server.pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, 1);
        dup2(null, 2);
        execlp("etcd", "etcd", "--data-dir", server.data, "--listen-client-urls", server.client_url,
               "--advertise-client-urls", server.client_url, "--listen-peer-urls", server.peer_url,
               "--initial-advertise-peer-urls", server.peer_url, "--initial-cluster", server.cluster,
               "--heartbeat-interval", "50", "--election-timeout", "250", (char *)NULL);
        _exit(127);
    }
    for (int waited = 0; !answers(); waited += 20) {
        if (waited > SOON_MS) fail_msg("etcd does not start");
        sleep_ms(20);
    }
}

static void stop_server(int signal_number)
{
    if (!server.pid) return;
    kill(server.pid, signal_number);
    waitpid(server.pid, NULL, 0);
    server.pid = 0;
}

static void wipe(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", server.data);
    assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(server.home, sizeof server.home, "/tmp/tf-etcd-XXXXXX");
    if (!mkdtemp(server.home)) return -1;
    snprintf(server.data, sizeof server.data, "%s/data", server.home);
    snprintf(server.endpoint, sizeof server.endpoint, "127.0.0.1:%d", free_port());
    snprintf(server.client_url, sizeof server.client_url, "http://%s", server.endpoint);
    snprintf(server.peer_url, sizeof server.peer_url, "http://127.0.0.1:%d", free_port());
    snprintf(server.cluster, sizeof server.cluster, "default=%s", server.peer_url);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_server(SIGKILL);
    wipe();
    return rmdir(server.home);
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
    start_server();
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    expect_registered(etcd, true, SOON_MS);

    /* Killed and started again with its data. Longer away than the lease: told is not taken back. */
    stop_server(SIGKILL);
    expect_registered(etcd, false, SOON_MS);
    n_told = watcher_n_told(&watcher);
    start_server();
    expect_registered(etcd, true, SOON_MS);
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    assert_in_range(watcher_n_told(&watcher), n_told, n_told + 2);

    /* Back with nothing: revisions begin anew, below ours. */
    stop_server(SIGKILL);
    wipe();
    start_server();
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
    stop_server(SIGTERM);
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
