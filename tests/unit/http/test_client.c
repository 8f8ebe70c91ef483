/* The client against our own server, and against peers that misbehave: outcomes must be told apart. */
#include "common/http/client.h"

#include "common/base/macros.h"
#include "tests/unit/http/fixture.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static tf_http_client *client;
static tf_ctx ctx;

static int each_set_up(void **state)
{
    (void)state;
    client = tf_http_client_new();
    tf_ctx_init(&ctx, "test", WAIT_MS * TF_US_PER_MS);
    return 0;
}

static int each_tear_down(void **state)
{
    (void)state;
    tf_http_client_free(client);
    tf_ctx_done(&ctx);
    return 0;
}

static const char *url(int to, const char *path)
{
    return tf_arena_printf(ctx.arena, "http://127.0.0.1:%d%s", to, path);
}

/* ---- a peer with one answer ------------------------------------------------------------------- */

/* Takes connections one after the other; to each it sends `answer` after the first bytes, then ends it. */
struct peer {
    int listener, port;
    const char *answer; /* NULL: nothing, ended at once; "": nothing, kept open */
    int n_connections;  /* read after the join */
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct peer *peer = arg;
    char request[65536];
    int kept[64];

    for (;;) {
        int fd = accept(peer->listener, NULL, NULL);

        if (fd < 0) break;
        kept[peer->n_connections++ % 64] = fd;
        if (recv(fd, request, sizeof request, 0) <= 0 || !peer->answer) {
            close(fd);
        } else if (*peer->answer) {
            send(fd, peer->answer, strlen(peer->answer), MSG_NOSIGNAL);
            close(fd);
        }
    }
    if (peer->answer && !*peer->answer)
        for (int i = 0; i < peer->n_connections; i++)
            close(kept[i]);
    return NULL;
}

static void peer_start(struct peer *peer, const char *answer)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;

    *peer = (struct peer){.listener = socket(AF_INET, SOCK_STREAM, 0), .answer = answer};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    TF_ASSERT(bind(peer->listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(peer->listener, 16) == 0);
    TF_ASSERT(getsockname(peer->listener, (struct sockaddr *)&at, &size) == 0);
    peer->port = ntohs(at.sin_port);
    TF_ASSERT(pthread_create(&peer->thread, NULL, serve, peer) == 0);
}

static void peer_stop(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}

/* ---- calls ------------------------------------------------------------------------------------ */

static void test_calls(void **state)
{
    static const struct {
        const char *name, *method, *path, *body;
        int status;
        const char *contains;
    } rows[] = {
        {"get", "GET", "/a?b=c", NULL, 200, "GET /a ? b=c [m] 127.0.0.1 "},
        {"post", "POST", "/a", "hello", 200, "POST /a ?  [m] 127.0.0.1 hello"},
        {"post, empty", "POST", "/a", NULL, 200, "POST /a "},
        {"put", "PUT", "/a", "x", 200, "PUT /a "},
        {"delete", "DELETE", "/a", NULL, 200, "DELETE /a "},
        {"from another thread", "POST", "/later", "hello", 200, " hello"},
        {"no content", "GET", "/empty", NULL, 204, ""},
        {"connection closed", "GET", "/last", NULL, 200, "bye"},
        {"head", "HEAD", "/a", NULL, 200, ""},
    };
    const struct tf_http_header headers[] = {{"X-Mark", "m"}, {"X-Empty", ""}};

    (void)state;
    for (size_t i = 0; i < 2 * TF_COUNT(rows); i++) {
        size_t row = i / 2;
        struct tf_http_call call = {
            .method = rows[row].method,
            .url = url(port, rows[row].path),
            .headers = headers,
            .n_headers = TF_COUNT(headers),
            .body = rows[row].body,
            .size = rows[row].body ? strlen(rows[row].body) : 0,
            .answer_max = 4096,
            .idempotent = i % 2,
        };
        struct tf_http_answer answer;

        if (tf_http_perform(&ctx, client, &call, &answer)) fail_msg("%s: %s", rows[row].name, ctx.error.internal);
        if (answer.status != rows[row].status || !strstr(answer.body, rows[row].contains))
            fail_msg("%s: %d %s", rows[row].name, answer.status, answer.body);
        assert_int_equal(answer.size, strlen(answer.body));
    }
}

static void test_large_body_and_answer(void **state)
{
    struct tf_http_answer answer;
    char *body = calloc(1, BODY_MAX);
    struct tf_http_call call = {"POST", url(port, "/x"), NULL, 0, body, BODY_MAX, 2 * BODY_MAX, true};

    (void)state;
    memset(body, 'x', BODY_MAX);
    assert_int_equal(tf_http_perform(&ctx, client, &call, &answer), TF_OK);
    assert_true(answer.size > BODY_MAX);
    call.answer_max = BODY_MAX;
    assert_int_equal(tf_http_perform(&ctx, client, &call, &answer), TF_TOO_LARGE);
    free(body);
}

static void test_header_lines(void **state)
{
    struct tf_http_call call = {"GET", url(port, "/x"), NULL, 0, NULL, 0, 4096, true};
    struct tf_http_answer answer;
    bool has_length = false;

    (void)state;
    assert_int_equal(tf_http_perform(&ctx, client, &call, &answer), TF_OK);
    assert_string_equal(answer.content_type, "text/plain");
    for (size_t i = 0; answer.header_lines[i]; i++)
        has_length |= strncmp(answer.header_lines[i], "content-length: ", 16) == 0;
    assert_true(has_length);
    call.url = url(port, "/empty");
    assert_int_equal(tf_http_perform(&ctx, client, &call, &answer), TF_OK);
    assert_string_equal(answer.content_type, "");
    assert_string_equal(answer.body, "");
}

/* ---- outcomes --------------------------------------------------------------------------------- */

static void test_outcomes(void **state)
{
    static const struct {
        const char *name, *answer; /* the peer's; NULL: nothing */
        tf_code once, idempotent;
    } rows[] = {
        {"ended without an answer", NULL, TF_UNKNOWN_OUTCOME, TF_STORE_DOWN},
        {"silent", "", TF_UNKNOWN_OUTCOME, TF_DEADLINE},
        {"cut in the header", "HTTP/1.1 200 OK\r\nContent-", TF_UNKNOWN_OUTCOME, TF_STORE_DOWN},
        {"cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", TF_UNKNOWN_OUTCOME, TF_STORE_DOWN},
        {"not HTTP", "220 mail ESMTP\r\n", TF_UNKNOWN_OUTCOME, TF_STORE_DOWN},
        {"redirect is not followed", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
         TF_OK, TF_OK},
        {"interim answer first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", TF_OK,
         TF_OK},
    };

    (void)state;
    for (size_t i = 0; i < 2 * TF_COUNT(rows); i++) {
        bool idempotent = i % 2;
        tf_code expected = idempotent ? rows[i / 2].idempotent : rows[i / 2].once, code;
        struct tf_http_call call = {"POST", NULL, NULL, 0, "x", 1, 4096, idempotent};
        struct tf_http_answer answer;
        struct peer peer;

        peer_start(&peer, rows[i / 2].answer);
        tf_ctx_reset(&ctx, 300 * TF_US_PER_MS);
        call.url = url(peer.port, "/");
        code = tf_http_perform(&ctx, client, &call, &answer);
        peer_stop(&peer);
        if (code != expected)
            fail_msg("%s (%d): %s, %s", rows[i / 2].name, idempotent, tf_code_info(code)->reason, ctx.error.internal);
    }
}

static void test_not_sent(void **state)
{
    static const struct {
        const char *name, *url;
        tf_code code;
    } rows[] = {
        {"refused", "http://127.0.0.1:1/", TF_STORE_DOWN},
        {"no such host", "http://nowhere.invalid/", TF_STORE_DOWN},
        {"not a URL", "http://", TF_INTERNAL},
        {"other protocol", "file:///etc/passwd", TF_INTERNAL},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_http_call call = {"POST", rows[i].url, NULL, 0, "x", 1, 4096, false};
        struct tf_http_answer answer;
        tf_code code;

        tf_ctx_reset(&ctx, 500 * TF_US_PER_MS);
        code = tf_http_perform(&ctx, client, &call, &answer);
        if (code != rows[i].code) fail_msg("%s: %s, %s", rows[i].name, tf_code_info(code)->reason, ctx.error.internal);
    }
    tf_ctx_reset(&ctx, 1);
    usleep(1000);
    assert_int_equal(tf_http_perform(&ctx, client,
                                     &(struct tf_http_call){"GET", "http://127.0.0.1:1/", NULL, 0, NULL, 0, 1, true},
                                     &(struct tf_http_answer){0}),
                     TF_DEADLINE);
}

/* A kept connection that the peer has closed meanwhile: a repeatable call goes out again on a new one; one that must
 * not be repeated never used the old one. */
static void test_stale_connection(void **state)
{
    struct tf_http_answer answer;
    struct peer peer;

    (void)state;
    peer_start(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); /* says keep-alive, and ends */
    for (int i = 0; i < 6; i++) {
        struct tf_http_call call = {"POST", url(peer.port, "/"), NULL, 0, "x", 1, 4096, i % 2};

        assert_int_equal(tf_http_perform(&ctx, client, &call, &answer), TF_OK);
    }
    peer_stop(&peer);
    assert_int_equal(peer.n_connections, 6);
}

/* ---- streams ---------------------------------------------------------------------------------- */

struct heard {
    char text[256];
    size_t size, stop_at;
};

static bool on_data(const void *data, size_t size, void *arg)
{
    struct heard *heard = arg;

    size = TF_MIN(size, sizeof heard->text - 1 - heard->size);
    memcpy(heard->text + heard->size, data, size);
    heard->size += size;
    return !heard->stop_at || heard->size < heard->stop_at;
}

static void *raise_flag(void *arg)
{
    usleep(150000);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void test_streams(void **state)
{
    static const struct {
        const char *name, *answer;
        size_t stop_at;
        bool flag; /* raised after 150 ms */
        tf_code code;
        const char *text;
    } rows[] = {
        {"ended by the peer", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 0, false, TF_OK, "abc"},
        {"ended without length", "HTTP/1.1 200 OK\r\n\r\nabc", 0, false, TF_OK, "abc"},
        {"stopped by the receiver", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", 1, false, TF_OK, "abc"},
        {"cut", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", 0, false, TF_STORE_DOWN, "abc"},
        {"silent", "", 0, false, TF_DEADLINE, ""},
        {"stopped by the flag", "", 0, true, TF_OK, ""},
        {"other status", "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc", 0, false, TF_STORE_DOWN, ""},
    };
    atomic_bool never = false;

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct heard heard = {.stop_at = rows[i].stop_at};
        struct tf_http_call call = {"POST", NULL, NULL, 0, "{}", 2, 0, true};
        atomic_bool stop = false;
        pthread_t raiser;
        struct peer peer;
        tf_code code;

        peer_start(&peer, rows[i].answer);
        tf_ctx_reset(&ctx, 0);
        call.url = url(peer.port, "/");
        if (rows[i].flag) TF_ASSERT(pthread_create(&raiser, NULL, raise_flag, &stop) == 0);
        code = tf_http_stream(&ctx, client, &call, 400, &stop, on_data, &heard);
        if (rows[i].flag) pthread_join(raiser, NULL);
        peer_stop(&peer);
        if (code != rows[i].code || strcmp(heard.text, rows[i].text) != 0)
            fail_msg("%s: %s, \"%s\", %s", rows[i].name, tf_code_info(code)->reason, heard.text, ctx.error.internal);
    }
    assert_int_equal(tf_http_stream(&ctx, client,
                                    &(struct tf_http_call){"GET", "http://127.0.0.1:1/", NULL, 0, NULL, 0, 0, true},
                                    400, &never, on_data, &(struct heard){.size = 0}),
                     TF_STORE_DOWN);
}

/* ---- many at once ----------------------------------------------------------------------------- */

static void *call_often(void *arg)
{
    tf_ctx own;
    int *n_right = arg;

    tf_ctx_init(&own, "test", 0);
    for (int i = 0; i < 200; i++) {
        struct tf_http_answer answer;
        struct tf_http_call call = {.method = "GET", .answer_max = 4096, .idempotent = true};
        char mark[64];

        tf_ctx_reset(&own, WAIT_MS * TF_US_PER_MS);
        snprintf(mark, sizeof mark, "?%p-%d", arg, i);
        call.url = tf_arena_printf(own.arena, "http://127.0.0.1:%d/later%s", port, mark);
        *n_right += !tf_http_perform(&own, client, &call, &answer) && strstr(answer.body, mark + 1);
    }
    tf_ctx_done(&own);
    return NULL;
}

static void test_many_threads(void **state)
{
    pthread_t threads[8];
    int n_right[8] = {0};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(threads); i++)
        TF_ASSERT(pthread_create(&threads[i], NULL, call_often, &n_right[i]) == 0);
    for (size_t i = 0; i < TF_COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(n_right[i], 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_calls, each_set_up, each_tear_down),
        cmocka_unit_test_setup_teardown(test_large_body_and_answer, each_set_up, each_tear_down),
        cmocka_unit_test_setup_teardown(test_header_lines, each_set_up, each_tear_down),
        cmocka_unit_test_setup_teardown(test_outcomes, each_set_up, each_tear_down),
        cmocka_unit_test_setup_teardown(test_not_sent, each_set_up, each_tear_down),
        cmocka_unit_test_setup_teardown(test_stale_connection, each_set_up, each_tear_down),
        cmocka_unit_test_setup_teardown(test_streams, each_set_up, each_tear_down),
        cmocka_unit_test_setup_teardown(test_many_threads, each_set_up, each_tear_down),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
