/* The server from outside: too large, too slow, too many. */
#include "common/http/server.h"

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "tests/unit/http/fixture.h"
#include "tests/unit/http/raw.h"

#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- bounds ---------------------------------------------------------------------------------- */

static void test_header_too_large(void **state)
{
    char *request = calloc(1, 3 * HEADER_MAX);
    int fd = raw_connect(port);

    (void)state;
    memset(request, 'a', 3 * HEADER_MAX - 1);
    memcpy(request, "GET /", 5);
    raw_send(fd, request);
    assert_int_equal(raw_status(raw_read(fd, 1, WAIT_MS), 0), 431);
    assert_true(raw_ends(fd, WAIT_MS));
    close(fd);
    memcpy(request, "GET / HTTP/1.1\r\n" HOST "X: ", 28);
    fd = raw_connect(port);
    raw_send(fd, request);
    assert_int_equal(raw_status(raw_read(fd, 1, WAIT_MS), 0), 431);
    close(fd);
    free(request);
}

/* The client sees the refusal although it goes on sending. */
static void test_body_too_large_and_still_coming(void **state)
{
    char *body = calloc(1, 4 * BODY_MAX);
    int fd = raw_connect(port);

    (void)state;
    raw_send(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 262144\r\n\r\n");
    raw_send_bytes(fd, body, 4 * BODY_MAX);
    assert_int_equal(raw_status(raw_read(fd, 1, WAIT_MS), 0), 413);
    assert_true(raw_ends(fd, WAIT_MS));
    close(fd);
    free(body);
}

/* The handler's side says how much, before the body has come. */
static void test_admission(void **state)
{
    static const struct {
        const char *name, *head, *body;
        int status;
    } rows[] = {
        {"unwanted", "POST /unwanted HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", "", 403},
        {"too large for this one", "POST /small HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n", "", 413},
        {"at its bound", "POST /small HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n", "0123456789", 200},
        {"a chunk too large", "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nb\r\n", "", 413},
        {"chunks that grow", "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n6\r\n",
         "012345\r\n6\r\n", 413},
        {"chunks at the bound", "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n6\r\n",
         "012345\r\n4\r\n6789\r\n0\r\n\r\n", 200},
        {"refused instead of awaited",
         "POST /small HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n", "", 413},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int fd = raw_connect(port);
        const char *answer;

        raw_send(fd, rows[i].head);
        usleep(50000); /* the header alone is read first */
        raw_send(fd, rows[i].body);
        answer = raw_read(fd, 1, WAIT_MS);
        if (raw_status(answer, 0) != rows[i].status) fail_msg("%s: %s", rows[i].name, answer);
        if (rows[i].status == 200) { /* the bound was for that request alone */
            raw_send(fd, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 20\r\n\r\n");
            usleep(50000);
            raw_send(fd, "01234567890123456789");
            if (raw_status(raw_read(fd, 1, WAIT_MS), 0) != 200) fail_msg("%s: the next is refused", rows[i].name);
        }
        close(fd);
    }
}

static void test_body_at_the_bound(void **state)
{
    char *body = malloc(BODY_MAX);
    int fd = raw_connect(port);
    const char *answer;

    (void)state;
    memset(body, 'x', BODY_MAX);
    raw_send(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 65536\r\n\r\n");
    raw_send_bytes(fd, body, BODY_MAX);
    answer = raw_read(fd, 1, WAIT_MS);
    assert_int_equal(raw_status(answer, 0), 200);
    assert_int_equal(strlen(raw_body(answer, 0)), strlen("POST / ?  [] 127.0.0.1 ") + BODY_MAX);
    close(fd);
    free(body);
}

/* ---- slow clients ---------------------------------------------------------------------------- */

/* Sends the bytes one each 20 ms until the connection ends; returns after how many ms, -1 when it does not. */
static int drip(int fd, const char *bytes, int ms_max, int *ret_status)
{
    int64_t since_us = tf_mono_us();
    const char *answer;

    for (; (tf_mono_us() - since_us) / 1000 < ms_max; bytes += bytes[1] ? 1 : 0) {
        raw_send_bytes(fd, bytes, 1);
        answer = raw_read(fd, 1, 20);
        if (!*answer) continue;
        *ret_status = raw_status(answer, 0);
        return (int)((tf_mono_us() - since_us) / 1000);
    }
    return -1;
}

static void test_slow_header(void **state)
{
    int fd = raw_connect(port), status = 0;
    int ms = drip(fd, "GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaa", WAIT_MS, &status);

    (void)state;
    assert_int_equal(status, 408);
    assert_in_range(ms, HEADER_MS - 50, HEADER_MS + 1500);
    assert_true(raw_ends(fd, WAIT_MS));
    close(fd);
}

static void test_slow_body(void **state)
{
    int fd = raw_connect(port), status = 0, ms;

    (void)state;
    raw_send(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n");
    ms = drip(fd, "aaaaaaaa", WAIT_MS, &status);
    assert_int_equal(status, 408);
    assert_in_range(ms, BODY_MS - 50, BODY_MS + 1500);
    close(fd);
}

static void test_silent_and_idle(void **state)
{
    int silent = raw_connect(port), idle = raw_connect(port);
    int64_t since_us = tf_mono_us();

    (void)state;
    raw_send(idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(raw_status(raw_read(idle, 1, WAIT_MS), 0), 200);
    assert_true(raw_ends(silent, WAIT_MS));
    assert_in_range((tf_mono_us() - since_us) / 1000, HEADER_MS - 50, HEADER_MS + 1500);
    assert_true(raw_ends(idle, WAIT_MS));
    assert_in_range((tf_mono_us() - since_us) / 1000, IDLE_MS - 50, IDLE_MS + 1500);
    close(silent);
    close(idle);
}

/* Whoever does not read a large answer is cut; whoever reads it slowly but steadily is not. */
static void test_slow_reader(void **state)
{
    int stalled = raw_connect(port), steady = raw_connect(port);
    static char piece[256 * 1024];
    size_t got = 0;
    ssize_t n;

    (void)state;
    raw_send(stalled, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    raw_send(steady, "GET /big HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    for (int i = 0; i < 1000; i++) {
        n = recv(steady, piece, sizeof piece, 0);
        if (n <= 0) break;
        got += (size_t)n;
        usleep(20000);
    }
    assert_true(got > BIG_BYTES);
    usleep((BODY_MS + 300) * 1000);
    for (got = 0; (n = recv(stalled, piece, sizeof piece, 0)) > 0;)
        got += (size_t)n;
    assert_true(got < BIG_BYTES);
    close(stalled);
    close(steady);
}

/* ---- many ------------------------------------------------------------------------------------ */

static void test_many_idle(void **state)
{
    enum { MANY = 1000 };
    static int fds[MANY];
    struct rlimit limit = {8192, 8192};
    int64_t since_us;

    (void)state;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < MANY; i++) {
        fds[i] = raw_connect(port);
        raw_send(fds[i], "GET / HTTP/1.1\r\n" HOST "\r\n");
    }
    for (int i = 0; i < MANY; i++)
        assert_int_equal(raw_status(raw_read(fds[i], 1, WAIT_MS), 0), 200);
    since_us = tf_mono_us();
    for (int i = 0; i < 200; i++) { /* the rest stays idle beside them */
        raw_send(fds[i], "GET /later HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(raw_status(raw_read(fds[i], 1, WAIT_MS), 0), 200);
    }
    assert_true(tf_mono_us() - since_us < 2 * TF_US_PER_S);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
}

static void test_too_many(void **state)
{
    static int fds[CONNECTIONS_MAX + 50];
    int ended = 0;

    (void)state;
    usleep(300000); /* earlier tests' connections end */
    for (size_t i = 0; i < TF_COUNT(fds); i++)
        fds[i] = raw_connect(port);
    for (size_t i = 0; i < TF_COUNT(fds); i++) {
        char byte;

        usleep(i ? 0 : 100000);
        ended += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0;
    }
    assert_in_range(ended, 50, 60);
    for (size_t i = 0; i < TF_COUNT(fds); i++)
        close(fds[i]);
    usleep(100000);
    fds[0] = raw_connect(port);
    raw_send(fds[0], "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(raw_status(raw_read(fds[0], 1, WAIT_MS), 0), 200);
    close(fds[0]);
}

struct client {
    pthread_t thread;
    int n_right;
};

static void *call_often(void *arg)
{
    struct client *client = arg;
    char request[128], answer[1024], expected[64];
    int fd = raw_connect(port);

    for (int i = 0; i < 500; i++) {
        ssize_t n;
        bool body;

        snprintf(request, sizeof request, "GET /later?%p-%d HTTP/1.1\r\n" HOST "\r\n", arg, i);
        snprintf(expected, sizeof expected, "? %p-%d ", arg, i);
        raw_send(fd, request);
        n = recv(fd, answer, sizeof answer - 1, 0);
        answer[n > 0 ? n : 0] = '\0';
        body = strstr(answer, expected) != NULL;
        client->n_right += body;
    }
    close(fd);
    return NULL;
}

static void test_many_threads(void **state)
{
    struct client clients[8] = {0};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(clients); i++)
        TF_ASSERT(pthread_create(&clients[i].thread, NULL, call_often, &clients[i]) == 0);
    for (size_t i = 0; i < TF_COUNT(clients); i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].n_right, 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_too_large),  cmocka_unit_test(test_body_too_large_and_still_coming),
        cmocka_unit_test(test_admission),         cmocka_unit_test(test_slow_header),
        cmocka_unit_test(test_body_at_the_bound), cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_silent_and_idle),   cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_many_idle),         cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_many_threads),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
