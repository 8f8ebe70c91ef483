/* Answers that a healthy etcd gives only in rare moments, from a server of ours that follows a script. */
#include "common/etcd/etcd.h"

#include "common/base/macros.h"
#include "common/base/text.h"
#include "common/http/server.h"

#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { WAIT_MS = 5000, STEPS_MAX = 8 };

struct step {
    const char *path; /* "/v3/…"; what is asked for; after a blank the token that comes with it */
    const char *body; /* part of the request's body, decoded where base64 does not matter */
    int status;
    const char *answer;
};

static struct {
    pthread_mutex_t lock;
    const struct step *steps; /* ended by a NULL path; then 503 */
    size_t at;
    char wrong[512]; /* the first request that was not the expected one */
} script = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
    char told[STEPS_MAX][128];
    int n;
} heard;

static tf_http_server *server;
static char endpoint[32];

static void answer(tf_http_request *request, void *arg)
{
    const struct step *step;
    const char *body, *token = tf_http_header_of(request, "authorization");
    char path[256];
    size_t size;

    (void)arg;
    body = tf_http_body(request, &size);
    snprintf(path, sizeof path, "%s%s%s", tf_http_path(request), token ? " " : "", token ? token : "");
    pthread_mutex_lock(&script.lock);
    step = &script.steps[script.at];
    if (step->path) {
        script.at++;
        if (!script.wrong[0] && (strcmp(path, step->path) != 0 || !memmem(body, size, step->body, strlen(step->body))))
            snprintf(script.wrong, sizeof script.wrong, "step %zu: %s %.*s", script.at, path, (int)size, body);
    }
    pthread_mutex_unlock(&script.lock);
    if (step->path)
        tf_http_respond(request, step->status, NULL, 0, step->answer, strlen(step->answer));
    else
        tf_http_respond(request, 503, NULL, 0, NULL, 0);
}

static int set_up(void **state)
{
    const struct tf_http_server_config config = {
        .address = "127.0.0.1:0",
        .loops = 1,
        .header_max = 4096,
        .body_max = 65536,
        .header_timeout_ms = 1000,
        .body_timeout_ms = 1000,
        .idle_timeout_ms = 1000,
        .connections_max = 100,
        .handler = answer,
    };
    const char *error;

    (void)state;
    if (tf_http_server_start(&config, &server, &error)) return -1;
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", tf_http_server_port(server));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tf_http_server_stop(server, 1000);
    return 0;
}

static void changed(const char *const *addresses, size_t n, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&script.lock);
    if (heard.n < STEPS_MAX) {
        heard.told[heard.n][0] = '\0';
        for (size_t i = 0; i < n; i++)
            sprintf(heard.told[heard.n] + strlen(heard.told[heard.n]), "%s%s", i ? "," : "", addresses[i]);
        heard.n++;
    }
    pthread_mutex_unlock(&script.lock);
}

static void play(const struct step *steps)
{
    pthread_mutex_lock(&script.lock);
    script.steps = steps;
    script.at = 0;
    script.wrong[0] = '\0';
    heard.n = 0;
    pthread_mutex_unlock(&script.lock);
}

static void wait_for_end(void)
{
    bool ended = false;

    for (int i = 0; i < WAIT_MS && !ended; i++) {
        pthread_mutex_lock(&script.lock);
        ended = !script.steps[script.at].path;
        pthread_mutex_unlock(&script.lock);
        usleep(1000);
    }
    usleep(20000); /* the last answer is read */
    assert_true(ended);
    assert_string_equal(script.wrong, "");
}

/* Watches until the script ends; a user logs in. */
static void watch_script(const struct step *steps, const char *user)
{
    tf_etcd *etcd;

    play(steps);
    etcd = tf_etcd_new(&(struct tf_etcd_config){
        .endpoints = endpoint, .prefix = "/t", .user = user, .password = user ? "se\"cret" : NULL});
    tf_etcd_watch(etcd, "s", changed, NULL);
    wait_for_end();
    tf_etcd_free(etcd);
}

static void assert_told(const char *const *told, size_t n)
{
    assert_int_equal(heard.n, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(heard.told[i], told[i]);
}

/* Keys /t/s/a and /t/s/b at a:1 and b:1, in base64. */
#define KEY_A               "L3Qvcy9h"
#define KEY_B               "L3Qvcy9i"
#define AT_A                "eyJBZGRyIjoiYToxIn0="
#define AT_B                "eyJBZGRyIjoiYjoxIn0="
#define KV(key, value)      "{\"key\":\"" key "\",\"value\":\"" value "\"}"
#define LIST(revision, kvs) "{\"header\":{\"revision\":\"" revision "\"},\"kvs\":[" kvs "]}"

static void test_watch(void **state)
{
    static const struct step steps[] = {
        {"/v3/kv/range", "\"key\":\"L3Qvcy8=\",\"range_end\":\"L3QvczA=\"", 200, LIST("7", KV(KEY_A, AT_A))},
        /* several messages in one piece, a blank one in between, an event without kv */
        {"/v3/watch", "\"start_revision\":\"8\"", 200,
         "{\"result\":{\"created\":true}}\n{\"result\":{\"events\":[{\"kv\":" KV(
             KEY_B, AT_B) "}]}}\n"
                          "{\"result\":{\"header\":{\"revision\":\"9\"}}}\n{\"result\":{\"events\":[{},{\"type\":"
                          "\"DELETE\",\"kv\":{\"key\":\"" KEY_A "\"}}]}}\n"},
        /* the stream ended: list again; then compaction */
        {"/v3/kv/range", "", 200, LIST("20", KV(KEY_B, AT_B))},
        {"/v3/watch", "\"start_revision\":\"21\"", 200,
         "{\"result\":{\"canceled\":true,\"compact_revision\":\"30\"}}\n"},
        {"/v3/kv/range", "", 200, LIST("31", KV(KEY_A, AT_A) "," KV(KEY_B, AT_B))},
        {"/v3/watch", "\"start_revision\":\"32\"", 200, "{\"error\":{\"grpc_code\":14}}\n"},
        {"/v3/kv/range", "", 200, "{\"header\":{\"revision\":\"33\"}}"},
        {NULL, NULL, 0, NULL},
    };
    static const char *const told[] = {"a:1", "a:1,b:1", "b:1", "a:1,b:1", ""};

    (void)state;
    watch_script(steps, NULL);
    assert_told(told, TF_COUNT(told));
}

static void test_watch_of_nonsense(void **state)
{
    static const struct step steps[] = {
        {"/v3/kv/range", "", 200, "not json"},
        {"/v3/kv/range", "", 200, LIST("7", "7,[],{\"key\":\"****\"},{\"key\":\"" KEY_A "\"}," KV(KEY_B, "bm8="))},
        {"/v3/watch", "", 200, "nonsense\n"},
        {"/v3/kv/range", "", 200, LIST("7", KV(KEY_A, AT_A))},
        {"/v3/watch", "", 500, "{}"},
        {"/v3/kv/range", "", 500, "{\"error\":\"x\",\"code\":2}"},
        {NULL, NULL, 0, NULL},
    };
    static const char *const told[] = {"", "a:1"};

    (void)state;
    watch_script(steps, NULL);
    assert_told(told, TF_COUNT(told));
}

static void test_registration(void **state)
{
    static const struct step steps[] = {
        {"/v3/lease/grant", "{\"TTL\":\"1\"}", 200, "{\"TTL\":\"1\"}"}, /* no lease in it */
        {"/v3/lease/grant", "", 200, "{\"ID\":\"5\",\"TTL\":\"1\"}"},
        {"/v3/kv/put", "\"lease\":\"5\"", 404, "{\"error\":\"etcdserver: requested lease not found\",\"code\":5}"},
        {"/v3/lease/grant", "", 200, "{\"ID\":\"6\",\"TTL\":\"1\"}"},
        {"/v3/kv/put",
         "{\"key\":\"" KEY_A "\",\"value\":\"eyJPcCI6MCwiQWRkciI6Img6MSIsIk1ldGFkYXRhIjpudWxsfQ==\",\"lease\":\"6\"}",
         200, "{}"},
        {"/v3/lease/keepalive", "{\"ID\":\"6\"}", 200, "{\"result\":{\"ID\":\"6\",\"TTL\":\"1\"}}"},
        {"/v3/lease/keepalive", "{\"ID\":\"6\"}", 503, ""}, /* may be alive yet: asked again */
        {"/v3/lease/keepalive", "{\"ID\":\"6\"}", 200, "{\"result\":{\"ID\":\"6\"}}"}, /* gone */
        {"/v3/lease/grant", "", 200, "{\"ID\":\"7\",\"TTL\":\"60\"}"},
        {"/v3/kv/put", "\"lease\":\"7\"", 200, "{}"},
        {"/v3/lease/keepalive", "{\"ID\":\"7\"}", 200, "{\"result\":{\"TTL\":\"60\"}}"},
        {"/v3/lease/revoke", "{\"ID\":\"7\"}", 200, "{}"},
        {NULL, NULL, 0, NULL},
    };
    tf_etcd *etcd;
    tf_ctx ctx;
    bool last = false;

    (void)state;
    play(steps);
    etcd = tf_etcd_new(&(struct tf_etcd_config){.endpoints = endpoint, .prefix = "/t"});
    tf_etcd_register(etcd, "s", "a", "h:1", 1, NULL);
    for (int i = 0; i < WAIT_MS && !last; i++) {
        pthread_mutex_lock(&script.lock);
        last = strcmp(script.steps[script.at].path, "/v3/lease/revoke") == 0;
        pthread_mutex_unlock(&script.lock);
        usleep(1000);
    }
    assert_true(tf_etcd_registered(etcd));
    tf_ctx_init(&ctx, "test", TF_US_PER_S);
    tf_etcd_deregister(&ctx, etcd);
    tf_ctx_done(&ctx);
    assert_false(tf_etcd_registered(etcd));
    wait_for_end();
    tf_etcd_free(etcd);
}

/* ---- logging in ------------------------------------------------------------------------------- */

#define LOG_IN       "/v3/auth/authenticate", "{\"name\":\"app\",\"password\":\"se\\\"cret\"}"
#define TOKEN(token) "{\"header\":{},\"token\":\"" token "\"}"
#define NO_TOKEN     "{\"error\":\"etcdserver: user name is empty\",\"code\":3}"
#define BAD_TOKEN    "{\"error\":\"etcdserver: invalid auth token\",\"code\":16}"
#define OLD_TOKEN    "{\"error\":\"etcdserver: revision of auth store is old\",\"code\":3}"
#define BAD_PASSWORD "{\"error\":\"etcdserver: authentication failed, invalid user ID or password\",\"code\":3}"
#define NO_AUTH      "{\"error\":\"etcdserver: authentication is not enabled\",\"code\":9}"
#define CANCELED     "{\"result\":{\"canceled\":true,\"cancel_reason\":\"invalid auth token\"}}\n"

/* A token that etcd no longer takes, in each of its words for it, is followed by another, and the call by itself. */
static void test_a_token_that_ran_out(void **state)
{
    static const struct step steps[] = {
        {LOG_IN, 200, TOKEN("one.1")},
        {"/v3/kv/range one.1", "", 200, LIST("7", KV(KEY_A, AT_A))},
        {"/v3/watch one.1", "", 200, CANCELED},
        {"/v3/kv/range one.1", "", 401, BAD_TOKEN},
        {LOG_IN, 200, TOKEN("two.2")},
        {"/v3/kv/range two.2", "", 200, LIST("7", KV(KEY_A, AT_A))},
        {"/v3/watch two.2", "", 200, CANCELED},
        {"/v3/kv/range two.2", "", 400, OLD_TOKEN},
        {LOG_IN, 200, TOKEN("three.3")},
        {"/v3/kv/range three.3", "", 200, LIST("9", KV(KEY_B, AT_B))},
        {NULL, NULL, 0, NULL},
    };

    (void)state;
    watch_script(steps, "app");
    assert_int_equal(heard.n, 2);
    assert_string_equal(heard.told[0], "a:1");
    assert_string_equal(heard.told[1], "b:1");
}

/* An etcd that asks nobody is used without a token, until it begins to ask. */
static void test_auth_enabled_later(void **state)
{
    static const struct step steps[] = {
        {LOG_IN, 412, NO_AUTH},
        {"/v3/kv/range", "", 200, LIST("7", KV(KEY_A, AT_A))},
        {"/v3/watch", "", 200, CANCELED},
        {"/v3/kv/range", "", 400, NO_TOKEN},
        {LOG_IN, 200, TOKEN("one.1")},
        {"/v3/kv/range one.1", "", 200, LIST("7", KV(KEY_B, AT_B))},
        {NULL, NULL, 0, NULL},
    };

    (void)state;
    watch_script(steps, "app");
    assert_int_equal(heard.n, 2);
    assert_string_equal(heard.told[1], "b:1");
}

/* No password, no calls; and what is no token is not sent as one. A fresh token that is refused too is not asked for a
 * third time at once. */
static void test_no_way_in(void **state)
{
    static const struct step steps[] = {
        {LOG_IN, 400, BAD_PASSWORD},
        {LOG_IN, 200, "{}"},
        {LOG_IN, 200, TOKEN("")},
        {LOG_IN, 200, TOKEN("a\\r\\nb: c")},
        {LOG_IN, 200, TOKEN("one.1")},
        {"/v3/kv/range one.1", "", 401, BAD_TOKEN},
        {LOG_IN, 200, TOKEN("two.2")},
        {"/v3/kv/range two.2", "", 401, BAD_TOKEN},
        {LOG_IN, 200, TOKEN("three.3")}, /* after a pause */
        {"/v3/kv/range three.3", "", 200, LIST("7", KV(KEY_A, AT_A))},
        {NULL, NULL, 0, NULL},
    };

    (void)state;
    watch_script(steps, "app");
    assert_int_equal(heard.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_watch_of_nonsense),
        cmocka_unit_test(test_registration),
        cmocka_unit_test(test_a_token_that_ran_out),
        cmocka_unit_test(test_auth_enabled_later),
        cmocka_unit_test(test_no_way_in),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
