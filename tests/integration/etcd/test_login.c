/* Registration and watches against an etcd that asks who calls: a private one, with a user that may use our prefix only
 * and tokens that run out after seconds. */
#include "tests/integration/etcd/cluster.h"
#include "tests/integration/etcd/private.h"

#include "common/base/log.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { SOON_MS = 8000, TTL_S = 3 };

#define PASSWORD  "correct \"horse\" battery"
#define TOKEN_TTL "1"

static struct private_etcd server;
static char log_path[] = "/tmp/tf-test-etcd-log-XXXXXX";
static int terminal; /* the error output as it was: the log goes to a file that a test reads */

static tf_etcd *etcd_as(const char *user, const char *password)
{
    char prefix[80];

    snprintf(prefix, sizeof prefix, "/%s", unique_word());
    return tf_etcd_new(
        &(struct tf_etcd_config){.endpoints = server.endpoint, .prefix = prefix, .user = user, .password = password});
}

/* Users root and app; app may read and write below our prefix. */
static void enable(void)
{
    char begin[80], end[80];

    snprintf(begin, sizeof begin, "/%s/", unique_word());
    snprintf(end, sizeof end, "/%s0", unique_word()); /* '0' follows '/' */
    etcd_post(server.endpoint, "auth/user/add", "{\"name\":\"root\",\"password\":\"r\"}");
    etcd_post(server.endpoint, "auth/role/add", "{\"name\":\"root\"}");
    etcd_post(server.endpoint, "auth/user/grant", "{\"user\":\"root\",\"role\":\"root\"}");
    etcd_post(server.endpoint, "auth/user/add", "{\"name\":\"app\",\"password\":\"%s\"}",
              "correct \\\"horse\\\" battery");
    etcd_post(server.endpoint, "auth/role/add", "{\"name\":\"app\"}");
    etcd_post(server.endpoint, "auth/role/grant",
              "{\"name\":\"app\",\"perm\":{\"permType\":\"READWRITE\",\"key\":\"%s\",\"range_end\":\"%s\"}}",
              b64(begin), b64(end));
    etcd_post(server.endpoint, "auth/user/grant", "{\"user\":\"app\",\"role\":\"app\"}");
    etcd_post(server.endpoint, "auth/enable", "{}");
}

static int set_up(void **state)
{
    int fd = mkstemp(log_path);

    (void)state;
    if (fd < 0 || private_etcd_init(&server)) return -1;
    terminal = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
    tf_log_start("test", "debug");
    private_etcd_start(&server, TOKEN_TTL);
    return 0;
}

/* All that was logged; static memory. */
static const char *logged(void)
{
    static char text[256 * 1024];
    FILE *f = fopen(log_path, "re");
    size_t n;

    assert_non_null(f);
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    fputs(logged(), stderr); /* what failed tests said is in there, too */
    return private_etcd_done(&server) | unlink(log_path);
}

/* The processes run before etcd begins to ask: nothing is lost when it does. Then tokens run out, again and again. */
static void test_enabled_under_way_and_tokens_run_out(void **state)
{
    tf_etcd *one = etcd_as("app", PASSWORD), *two = etcd_as("app", PASSWORD), *watching = etcd_as("app", PASSWORD);
    struct watcher watcher = {0};
    int n_told;
    tf_ctx ctx;

    (void)state;
    tf_etcd_watch(watching, "login", watcher_changed, &watcher);
    tf_etcd_register(one, "login", "one", "10.0.0.1:7000", TTL_S, NULL);
    watcher_expect(&watcher, "10.0.0.1:7000", SOON_MS);
    enable();
    tf_etcd_register(two, "login", "two", "10.0.0.2:7000", TTL_S, NULL);
    watcher_expect(&watcher, "10.0.0.1:7000,10.0.0.2:7000", SOON_MS);
    n_told = watcher_n_told(&watcher);

    sleep_ms(3 * TTL_S * 1000); /* lives of leases and of tokens */
    assert_true(tf_etcd_registered(one) && tf_etcd_registered(two));
    assert_int_equal(watcher_n_told(&watcher), n_told); /* nobody was lost meanwhile */

    /* Revoking a lease asks for a token too, and the one there was ran out long ago. */
    ctx_start(&ctx, SOON_MS);
    tf_etcd_deregister(&ctx, two);
    watcher_expect(&watcher, "10.0.0.1:7000", 1000);
    tf_ctx_done(&ctx);

    /* Started again: tokens of before are none, leases still hold. */
    private_etcd_stop(&server, SIGKILL);
    private_etcd_start(&server, TOKEN_TTL);
    expect_registered(one, true, SOON_MS);
    two = (tf_etcd_free(two), etcd_as("app", PASSWORD));
    tf_etcd_register(two, "login", "two", "10.0.0.3:7000", TTL_S, NULL);
    watcher_expect(&watcher, "10.0.0.1:7000,10.0.0.3:7000", SOON_MS);
    tf_etcd_free(one);
    tf_etcd_free(two);
    watcher_expect(&watcher, "", SOON_MS);
    tf_etcd_free(watching);
}

static void test_without_the_password(void **state)
{
    tf_etcd *wrong = etcd_as("app", "wrong"), *nobody = etcd_as(NULL, NULL), *right = etcd_as("app", PASSWORD);
    struct watcher watchers[3] = {0};

    (void)state;
    tf_etcd_register(wrong, "outside", "wrong", "10.0.0.1:7000", TTL_S, NULL);
    tf_etcd_watch(wrong, "outside", watcher_changed, &watchers[0]);
    tf_etcd_register(nobody, "outside", "nobody", "10.0.0.2:7000", TTL_S, NULL);
    tf_etcd_watch(nobody, "outside", watcher_changed, &watchers[1]);
    tf_etcd_watch(right, "outside", watcher_changed, &watchers[2]);
    watcher_expect(&watchers[2], "", SOON_MS);
    sleep_ms(1000);
    assert_false(tf_etcd_registered(wrong) || tf_etcd_registered(nobody));
    assert_int_equal(watcher_n_told(&watchers[0]) + watcher_n_told(&watchers[1]), 0);
    assert_int_equal(watcher_n_told(&watchers[2]), 1);
    tf_etcd_free(wrong);
    tf_etcd_free(nobody);
    tf_etcd_free(right);
}

/* The user's rights end at the prefix. */
static void test_another_prefix(void **state)
{
    tf_etcd *etcd = tf_etcd_new(&(struct tf_etcd_config){
        .endpoints = server.endpoint, .prefix = "/elsewhere", .user = "app", .password = PASSWORD});

    (void)state;
    tf_etcd_register(etcd, "s", "one", "10.0.0.1:7000", TTL_S, NULL);
    sleep_ms(500);
    assert_false(tf_etcd_registered(etcd));
    tf_etcd_free(etcd);
}

/* Last: what the tests before made it say. */
static void test_the_log(void **state)
{
    (void)state;
    tf_log_stop();
    assert_non_null(strstr(logged(), "auth/authenticate: status 400: etcdserver: authentication failed"));
    assert_non_null(strstr(logged(), "user name is empty"));
    assert_non_null(strstr(logged(), "permission denied"));
    assert_null(strstr(logged(), "horse"));
    assert_null(strstr(logged(), "token\""));
    assert_null(strstr(logged(), "Authorization"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enabled_under_way_and_tokens_run_out),
        cmocka_unit_test(test_without_the_password),
        cmocka_unit_test(test_another_prefix),
        cmocka_unit_test(test_the_log),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
