/* The server from outside: requests and answers, their order, start and stop. */
#include "common/http/server.h"

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "tests/unit/http/fixture.h"
#include "tests/unit/http/raw.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- one request ----------------------------------------------------------------------------- */

static const struct {
    const char *name, *request;
    int status;
    bool ends; /* the connection */
    const char *contains;
} rows[] = {
    {"get", "GET /a?b=c HTTP/1.1\r\n" HOST "X-Mark: m\r\n\r\n", 200, false, "GET /a ? b=c [m] 127.0.0.1 "},
    {"post", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 200, false, " hello"},
    {"chunked", "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200,
     false, " hello"},
    {"from another thread", "POST /later HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 200, false, " hello"},
    {"date", "GET / HTTP/1.1\r\n" HOST "\r\n", 200, false, " GMT\r\n"},
    {"close", "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 200, true, "Connection: close\r\n"},
    {"close by the handler", "GET /last HTTP/1.1\r\n" HOST "\r\n", 200, true, "Connection: close\r\n"},
    {"1.0", "GET / HTTP/1.0\r\n\r\n", 200, true, "Connection: close\r\n"},
    {"1.0 kept", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, false, "Connection: keep-alive\r\n"},
    {"no content", "GET /empty HTTP/1.1\r\n" HOST "\r\n", 204, false, "HTTP/1.1 204 No Content\r\n"},
    {"no line of its own from a value", "GET /headers HTTP/1.1\r\n" HOST "\r\n", 200, false,
     "X-Echo: a  Injected: b\r\n"},
    {"own length", "GET /headers HTTP/1.1\r\n" HOST "\r\n", 200, false, "Content-Length: 2\r\n"},
    {"malformed", "GET\r\n\r\n", 400, true, "Content-Length: 0\r\n"},
    {"no host", "GET / HTTP/1.1\r\n\r\n", 400, true, ""},
    {"two lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400, true, ""},
    {"two equal lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, true,
     ""},
    {"length and encoding",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, true, ""},
    {"encoding and length",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, true, ""},
    {"body announced too large", "POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n", 413, true, ""},
    {"chunk announced too large", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n10001\r\n", 413, true,
     ""},
    {"expectation unknown", "POST / HTTP/1.1\r\n" HOST "Expect: more\r\nContent-Length: 1\r\n\r\n", 417, true, ""},
    {"encoding unknown", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501, true, ""},
    {"version unknown", "GET / HTTP/3.0\r\n" HOST "\r\n", 505, true, ""},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int fd = raw_connect(port);
        const char *answer;

        raw_send(fd, rows[i].request);
        answer = raw_read(fd, 1, WAIT_MS);
        if (raw_status(answer, 0) != rows[i].status || !strstr(answer, rows[i].contains))
            fail_msg("%s: %s", rows[i].name, answer);
        if (rows[i].ends) {
            if (!raw_ends(fd, WAIT_MS)) fail_msg("%s: the connection stays", rows[i].name);
        } else {
            raw_send(fd, "GET /again HTTP/1.1\r\n" HOST "\r\n");
            if (!strstr(raw_read(fd, 1, WAIT_MS), "/again")) fail_msg("%s: the connection is gone", rows[i].name);
        }
        close(fd);
    }
}

static void test_byte_by_byte(void **state)
{
    static const char request[] =
        "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    int fd = raw_connect(port);

    (void)state;
    for (size_t i = 0; i < sizeof request - 1; i++) {
        raw_send_bytes(fd, request + i, 1);
        usleep(500);
    }
    assert_non_null(strstr(raw_read(fd, 1, WAIT_MS), " hello"));
    close(fd);
}

static void test_head(void **state)
{
    int fd = raw_connect(port);
    const char *answer;

    (void)state;
    raw_send(fd, "HEAD /abc HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    answer = raw_read(fd, 2, WAIT_MS);
    assert_int_equal(raw_status(answer, 0), 200);
    assert_null(strstr(answer, "Content-Length: 0"));
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    close(fd);
}

static void test_continue(void **state)
{
    int fd = raw_connect(port);
    const char *answer;

    (void)state;
    raw_send(fd, "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    answer = raw_read(fd, 1, WAIT_MS);
    assert_int_equal(raw_status(answer, 0), 100);
    raw_send(fd, "hello");
    assert_non_null(strstr(raw_read(fd, 1, WAIT_MS), " hello"));
    /* A client that does not wait gets no interim answer. */
    raw_send(fd, "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(raw_status(raw_read(fd, 1, WAIT_MS), 0), 200);
    close(fd);
}

/* ---- order and ends -------------------------------------------------------------------------- */

static void test_pipelining(void **state)
{
    int fd = raw_connect(port);
    char request[256], expected[64];
    const char *answers;

    (void)state;
    for (int i = 0; i < 500; i++) {
        snprintf(request, sizeof request, "POST %s?%d HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
                 i % 3 ? "/x" : "/later", i);
        raw_send(fd, request);
    }
    answers = raw_read(fd, 500, WAIT_MS);
    for (int i = 0; i < 500; i++) { /* each from the end of the one before */
        snprintf(expected, sizeof expected, "POST %s ? %d [] 127.0.0.1 abc", i % 3 ? "/x" : "/later", i);
        assert_int_equal(raw_status(answers, 0), 200);
        answers = raw_body(answers, 0);
        assert_memory_equal(answers, expected, strlen(expected));
        answers += strlen(expected);
    }
    assert_string_equal(answers, "");
    close(fd);
}

/* More than the server takes ahead waits in the socket while the first request is with the handler. */
static void test_pipelining_far_ahead(void **state)
{
    int fd = raw_connect(port), n = 0;
    static const char request[] = "GET /x HTTP/1.1\r\n" HOST "\r\n";
    tf_http_request *first;
    const char *answers;

    (void)state;
    raw_send(fd, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    first = wait_kept();
    for (size_t sent = 0; sent < 100000; sent += sizeof request - 1, n++)
        raw_send(fd, request);
    usleep(50000);
    assert_false(tf_http_gone(first));
    respond_text(first, 200, "first");
    answers = raw_read(fd, n + 1, WAIT_MS);
    assert_memory_equal(raw_body(answers, 0), "first", 5);
    assert_int_equal(raw_status(answers, n), 200);
    close(fd);
}

static void test_half_close(void **state)
{
    int fd = raw_connect(port);
    const char *answers;

    (void)state;
    raw_send(fd, "GET /slow HTTP/1.1\r\n" HOST "\r\nGET /second HTTP/1.1\r\n" HOST "\r\n");
    shutdown(fd, SHUT_WR);
    answers = raw_read(fd, 3, WAIT_MS);
    assert_int_equal(raw_status(answers, 0), 200);
    assert_int_equal(raw_status(answers, 1), 200);
    assert_non_null(strstr(answers, "/second"));
    close(fd);
}

static void test_gone(void **state)
{
    int fd = raw_connect(port);
    tf_http_request *request;

    (void)state;
    raw_send(fd, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    request = wait_kept();
    assert_false(tf_http_gone(request));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(fd); /* a reset */
    for (int i = 0; i < WAIT_MS && !tf_http_gone(request); i++)
        usleep(1000);
    assert_true(tf_http_gone(request));
    assert_string_equal(tf_http_path(request), "/keep"); /* still valid */
    respond_text(request, 200, "to nobody");
}

static void count_gone(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void await_gone(_Atomic int *counter, int n)
{
    for (int i = 0; i < WAIT_MS && atomic_load(counter) < n; i++)
        usleep(1000);
    assert_int_equal(atomic_load(counter), n);
}

/* Whoever asked is told once, when the client resets, closes or only ends its side; whoever took it back is not. */
static void test_told_of_the_gone(void **state)
{
    static _Atomic int told, untold;
    tf_http_request *request;
    int fd;

    (void)state;
    for (int how = 0; how < 4; how++) {
        fd = raw_connect(port);
        raw_send(fd, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
        request = wait_kept();
        tf_http_on_gone(request, count_gone, &untold);
        if (how < 3)
            tf_http_on_gone(request, count_gone, &told); /* in its place */
        else
            tf_http_on_gone(request, NULL, NULL);
        if (how == 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        if (how == 1)
            shutdown(fd, SHUT_WR);
        else
            close(fd);
        await_gone(&told, how < 3 ? how + 1 : 4);
        if (how == 2) tf_http_on_gone(request, count_gone, &told); /* asked too late: told at once */
        respond_text(request, 200, "still answered");
        if (how != 1) continue;
        assert_memory_equal(raw_body(raw_read(fd, 1, WAIT_MS), 0), "still answered", 14);
        close(fd);
    }
    usleep(50000);
    assert_int_equal(atomic_load(&told), 4);
    assert_int_equal(atomic_load(&untold), 0);
}

/* ---- start and stop -------------------------------------------------------------------------- */

static void test_address_errors(void **state)
{
    char taken[32];
    const struct {
        const char *name, *address;
    } wrong[] = {{"port in use", taken},
                 {"no port", "127.0.0.1"},
                 {"not an address", "256.0.0.1:80"},
                 {"port too large", "127.0.0.1:65536"},
                 {"another machine's", "192.0.2.1:0"}};

    (void)state;
    snprintf(taken, sizeof taken, "127.0.0.1:%d", port);
    for (size_t i = 0; i < TF_COUNT(wrong); i++) {
        struct tf_http_server_config config = {
            .address = wrong[i].address,
            .loops = 2,
            .header_max = 1024,
            .header_timeout_ms = 1000,
            .body_timeout_ms = 1000,
            .idle_timeout_ms = 1000,
            .connections_max = 10,
            .handler = handle,
        };
        tf_http_server *other;
        const char *error = NULL;

        if (!tf_http_server_start(&config, &other, &error)) fail_msg("%s: started", wrong[i].name);
        assert_non_null(strstr(error, wrong[i].address));
    }
}

/* Connections that the first server ended linger in the kernel; its successor gets the port all the same. */
static void test_restart(void **state)
{
    tf_http_server *own = start(2);
    char address[32];
    struct tf_http_server_config config = {
        .address = address,
        .loops = 2,
        .header_max = 1024,
        .header_timeout_ms = 1000,
        .body_timeout_ms = 1000,
        .idle_timeout_ms = 1000,
        .connections_max = 10,
        .handler = handle,
    };
    const char *error = "";

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%d", tf_http_server_port(own));
    for (int i = 0; i < 2; i++) {
        int fd = raw_connect(tf_http_server_port(own));

        raw_send(fd, "GET /last HTTP/1.1\r\n" HOST "\r\n");
        assert_true(raw_ends(fd, WAIT_MS));
        close(fd);
        tf_http_server_stop(own, 1000);
        if (tf_http_server_start(&config, &own, &error)) fail_msg("%s", error);
    }
    tf_http_server_stop(own, 1000);
}

static void *stop_it(void *arg)
{
    tf_http_server_stop(arg, 2000);
    return NULL;
}

/* What is under way is answered; idle connections and new ones are not waited for. */
static void test_drain(void **state)
{
    tf_http_server *own = start(2);
    int own_port = tf_http_server_port(own);
    int slow = raw_connect(own_port), sending = raw_connect(own_port), idle = raw_connect(own_port);
    int64_t since_us = tf_mono_us();
    const char *answer;
    pthread_t stopper;

    (void)state;
    raw_send(idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(raw_status(raw_read(idle, 1, WAIT_MS), 0), 200);
    raw_send(slow, "GET /slow HTTP/1.1\r\n" HOST "\r\n");
    raw_send(sending, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na");
    usleep(50000);
    TF_ASSERT(pthread_create(&stopper, NULL, stop_it, own) == 0);
    usleep(50000);
    raw_send(sending, "b");
    answer = raw_read(sending, 1, WAIT_MS);
    assert_int_equal(raw_status(answer, 0), 200);
    assert_non_null(strstr(answer, "Connection: close"));
    close(sending);
    answer = raw_read(slow, 1, WAIT_MS);
    assert_int_equal(raw_status(answer, 0), 200);
    assert_non_null(strstr(answer, "Connection: close"));
    close(slow);
    assert_true(raw_ends(idle, WAIT_MS));
    close(idle);
    pthread_join(stopper, NULL);
    assert_true(tf_mono_us() - since_us < 1900 * TF_US_PER_MS);
}

enum { DRAIN_CLIENTS = 16 };

static struct {
    int port;
    _Atomic int answered, told, lost; /* told: by Connection: close, that they are to go */
} drained;

/* A client that asks one thing after another on its connection until it is told to go. */
static void *ask_until_told(void *arg)
{
    static const char ask[] = "GET /a HTTP/1.1\r\n" HOST "\r\n";
    int pause_us = (int)(intptr_t)arg, fd = raw_connect(drained.port);
    char answer[4096];
    ssize_t n;

    for (;;) {
        if (send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) < 0) break;
        n = recv(fd, answer, sizeof answer - 1, 0);
        if (n <= 0) break;
        answer[n] = '\0';
        atomic_fetch_add(&drained.answered, 1);
        if (strstr(answer, "Connection: close")) {
            atomic_fetch_add(&drained.told, 1);
            close(fd);
            return NULL;
        }
        usleep((useconds_t)pause_us);
    }
    atomic_fetch_add(&drained.lost, 1);
    close(fd);
    return NULL;
}

/* Nobody's request meets a closing connection: each is told by its last answer. */
static void test_drain_loses_no_answer(void **state)
{
    pthread_t clients[DRAIN_CLIENTS];
    tf_http_server *own;

    (void)state;
    for (int round = 0; round < 10; round++) {
        own = start(2);
        drained.port = tf_http_server_port(own);
        atomic_store(&drained.answered, 0);
        atomic_store(&drained.told, 0);
        for (int i = 0; i < DRAIN_CLIENTS; i++)
            TF_ASSERT(pthread_create(&clients[i], NULL, ask_until_told, (void *)(intptr_t)(i * 2000)) == 0);
        for (int i = 0; i < WAIT_MS && atomic_load(&drained.answered) < 20 * DRAIN_CLIENTS; i++)
            usleep(1000);
        tf_http_server_stop(own, 2000);
        for (int i = 0; i < DRAIN_CLIENTS; i++)
            pthread_join(clients[i], NULL);
        assert_int_equal(atomic_load(&drained.lost), 0);
        assert_int_equal(atomic_load(&drained.told), DRAIN_CLIENTS);
    }
}

/* A handler that never answers in time does not hold the stop, and may still answer into nothing afterwards. */
static void test_stop_with_a_kept_request(void **state)
{
    tf_http_server *own = start(1);
    int fd = raw_connect(tf_http_server_port(own));
    int64_t since_us;
    tf_http_request *request;

    (void)state;
    raw_send(fd, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    request = wait_kept();
    since_us = tf_mono_us();
    tf_http_server_stop(own, 100);
    assert_in_range((tf_mono_us() - since_us) / 1000, 90, 1500);
    assert_true(tf_http_gone(request));
    assert_true(raw_ends(fd, WAIT_MS));
    respond_text(request, 200, "too late");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_pipelining_far_ahead),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_told_of_the_gone),
        cmocka_unit_test(test_address_errors),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_loses_no_answer),
        cmocka_unit_test(test_stop_with_a_kept_request),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
