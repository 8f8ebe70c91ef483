/* The server from outside: what all connections together may take, and what is said when it is taken. */
#include "common/http/server.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/metrics.h"
#include "common/http/budget.h"
#include "tests/unit/http/fixture.h"
#include "tests/unit/http/raw.h"

#include <poll.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum {
    HOG_BYTES = 64000, /* each below BODY_MAX, all together far beyond BUFFER_MAX */
    HOGS = 8,
    HOGS_REFUSED_MIN = HOGS - 5,
    QUIET_MS = 400, /* no further answer in this time: the others are kept */
};

/* ---- the count itself ------------------------------------------------------------------------ */

static void test_shares(void **state)
{
    enum { SMALL = TF_HTTP_SMALL_BYTES };
    struct tf_http_budget *budget = tf_http_budget_new(1000);
    size_t a = 0, b = 0;

    (void)state;
    assert_true(tf_http_budget_set(budget, &a, SMALL));
    assert_int_equal(a, 0);
    assert_true(tf_http_budget_set(budget, &a, SMALL + 600));
    assert_int_equal(a, 600);
    assert_false(tf_http_budget_set(budget, &b, SMALL + 401));
    assert_int_equal(b, 0);
    assert_true(tf_http_budget_set(budget, &b, SMALL + 400));
    assert_int_equal(tf_http_budget_in_use(), 1000);
    assert_false(tf_http_budget_set(budget, &a, SIZE_MAX));
    assert_int_equal(a, 600);
    assert_true(tf_http_budget_set(budget, &a, SMALL + 100)); /* less always */
    assert_true(tf_http_budget_set(budget, &b, SMALL + 900));
    tf_http_budget_return(budget, &a);
    tf_http_budget_return(budget, &b);
    assert_int_equal(a + b + tf_http_budget_in_use(), 0);
    tf_http_budget_unref(budget);

    budget = tf_http_budget_new(0);
    assert_true(tf_http_budget_set(budget, &a, SIZE_MAX));
    tf_http_budget_return(budget, &a);
    tf_http_budget_unref(budget);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void await_use(size_t least, size_t most)
{
    for (int i = 0; i < WAIT_MS && (tf_http_budget_in_use() < least || tf_http_budget_in_use() > most); i++)
        usleep(1000);
    assert_in_range(tf_http_budget_in_use(), least, most);
}

static int status_of(int own_port, const char *request)
{
    int fd = raw_connect(own_port), status;

    raw_send(fd, request);
    status = raw_status(raw_read(fd, 1, WAIT_MS), 0);
    close(fd);
    return status;
}

/* The next that has an answer and was not told of; -1: none for so long. */
static int next_answered(const int fds[static HOGS], const bool told[static HOGS], int wait_ms)
{
    struct pollfd polled[HOGS];

    for (int i = 0; i < HOGS; i++)
        polled[i] = (struct pollfd){.fd = told[i] ? -1 : fds[i], .events = POLLIN};
    if (poll(polled, HOGS, wait_ms) <= 0) return -1;
    for (int i = 0; i < HOGS; i++)
        if (polled[i].revents) return i;
    return -1;
}

/* Most of a body each, never the end: a few are kept, the others refused while they are read. Returns how many were
 * refused; *ret_kept is one of the others. */
static int hog(int own_port, int fds[static HOGS], bool chunked, int *ret_kept)
{
    static char body[HOG_BYTES];
    bool told[HOGS] = {false};
    int refused = 0, i;

    memset(body, 'h', sizeof body);
    for (i = 0; i < HOGS; i++) {
        fds[i] = raw_connect(own_port);
        raw_send(fds[i], chunked ? "POST /hog HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nffff\r\n"
                                 : "POST /hog HTTP/1.1\r\n" HOST "Content-Length: 65000\r\n\r\n");
        raw_send_bytes(fds[i], body, sizeof body);
    }
    while ((i = next_answered(fds, told, refused < HOGS_REFUSED_MIN ? WAIT_MS : QUIET_MS)) >= 0) {
        const char *answer = raw_read(fds[i], 1, WAIT_MS);

        told[i] = true;
        refused++;
        assert_int_equal(raw_status(answer, 0), 503);
        assert_string_equal(raw_body(answer, 0), "declined 503 /hog, 0 bytes");
        assert_non_null(strstr(answer, "Connection: close"));
        assert_true(raw_ends(fds[i], WAIT_MS));
    }
    for (i = 0; i < HOGS; i++)
        if (!told[i]) *ret_kept = fds[i];
    return refused;
}

static void test_bodies(void **state)
{
    tf_http_server *own = start_with_budget(2);
    int own_port = tf_http_server_port(own), fds[HOGS], refused, kept = -1;
    static char end[65000 - HOG_BYTES];

    (void)state;
    for (int chunked = 0; chunked < 2; chunked++) {
        refused = hog(own_port, fds, chunked, &kept);
        assert_in_range(refused, HOGS_REFUSED_MIN, HOGS - 1);
        assert_in_range(tf_http_budget_in_use(), BUFFER_MAX / 2, BUFFER_MAX);
        /* Small ones go on all the while. */
        assert_int_equal(status_of(own_port, "GET /a HTTP/1.1\r\n" HOST "\r\n"), 200);
        assert_int_equal(status_of(own_port, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"), 200);
        if (!chunked) { /* whom there was room for is served after all */
            raw_send_bytes(kept, end, sizeof end);
            assert_int_equal(raw_status(raw_read(kept, 1, WAIT_MS), 0), 200);
        }
        for (int i = 0; i < HOGS; i++)
            close(fds[i]);
        await_use(0, 0);
        assert_in_range(hog(own_port, fds, chunked, &kept), HOGS_REFUSED_MIN, HOGS - 1);
        /* Slow ones are cut, and with them goes what they had. */
        await_use(0, 0);
        for (int i = 0; i < HOGS; i++)
            close(fds[i]);
    }
    tf_http_server_stop(own, 1000);
}

/* A kept request holds its memory until it is answered, also when its client and its server have gone. */
static void test_memory_of_a_kept_request(void **state)
{
    tf_http_server *own = start_with_budget(1);
    static char body[60000];
    tf_http_request *request;
    int fd = raw_connect(tf_http_server_port(own));

    (void)state;
    raw_send(fd, "POST /keep HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n");
    raw_send_bytes(fd, body, sizeof body);
    request = wait_kept();
    assert_true(tf_http_budget_in_use() > 50000);
    assert_true(tf_http_reserve(request, 100000));
    assert_true(tf_http_budget_in_use() > 140000);
    assert_false(tf_http_reserve(request, BUFFER_MAX));
    close(fd);
    tf_http_server_stop(own, 50);
    assert_true(tf_http_budget_in_use() > 140000);
    respond_text(request, 200, "to nobody");
    assert_int_equal(tf_http_budget_in_use(), 0);
}

/* What is declined by bound or by admission is said in the same way. */
static void test_words(void **state)
{
    static const struct {
        const char *name, *request;
        int status;
        const char *body;
    } rows[] = {
        {"unwanted", "POST /unwanted HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 403,
         "declined 403 /unwanted, 0 bytes"},
        {"too large", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\nabc", 413, "declined 413 /a, 0 bytes"},
        {"too large for this one", "POST /small HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n", 413,
         "declined 413 /small, 0 bytes"},
        {"a chunk too large", "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10001\r\n",
         413, "declined 413 /a, 0 bytes"},
        {"broken chunks", "POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nz\r\n", 400, ""},
        {"a length that is no number", "POST /a HTTP/1.1\r\n" HOST "Content-Length: z\r\n\r\n", 400, ""},
    };
    tf_http_server *own = start_with_budget(1);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int fd = raw_connect(tf_http_server_port(own));
        const char *answer;

        raw_send(fd, rows[i].request);
        answer = raw_read(fd, 1, WAIT_MS);
        if (raw_status(answer, 0) != rows[i].status || strcmp(raw_body(answer, 0), rows[i].body) != 0)
            fail_msg("%s: %s", rows[i].name, answer);
        if (!raw_ends(fd, WAIT_MS)) fail_msg("%s: the connection stays", rows[i].name);
        close(fd);
    }
    tf_http_server_stop(own, 1000);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* What one request has reserved the others lack; small answers go on. */
static void test_answers(void **state)
{
    tf_http_server *own = start_with_budget(2);
    int own_port = tf_http_server_port(own), keeper = raw_connect(own_port), fd = raw_connect(own_port);
    tf_http_request *request;

    (void)state;
    raw_send(fd, "GET /long?262144 HTTP/1.1\r\n" HOST "\r\n"); /* at the budget */
    assert_int_equal(raw_status(raw_read(fd, 1, WAIT_MS), 0), 200);
    raw_send(fd, "GET /long?300000 HTTP/1.1\r\n" HOST "\r\n"); /* beyond: in words, and the connection goes on */
    assert_int_equal(raw_status(raw_read(fd, 1, WAIT_MS), 0), 503);

    raw_send(keeper, "GET /keep HTTP/1.1\r\n" HOST "\r\n");
    request = wait_kept();
    assert_true(tf_http_reserve(request, BUFFER_MAX));
    raw_send(fd, "GET /long?100000 HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(raw_body(raw_read(fd, 1, WAIT_MS), 0), "no room");
    raw_send(fd, "GET /long?8000 HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(raw_status(raw_read(fd, 1, WAIT_MS), 0), 200);
    respond_text(request, 200, "small"); /* less than was reserved */
    assert_int_equal(raw_status(raw_read(keeper, 1, WAIT_MS), 0), 200);
    raw_send(fd, "GET /long?100000 HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(raw_status(raw_read(fd, 1, WAIT_MS), 0), 200);

    raw_send(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n"); /* nothing reserved, and no room: bare, and the end */
    assert_int_equal(raw_status(raw_read(fd, 1, WAIT_MS), 0), 503);
    assert_true(raw_ends(fd, WAIT_MS));
    close(fd);
    fd = raw_connect(own_port);
    raw_send(fd, "HEAD /long?300000 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"); /* nothing to hold */
    assert_int_equal(raw_status(raw_read(fd, 2, WAIT_MS), 0), 200);
    close(fd);
    close(keeper);
    tf_http_server_stop(own, 1000);
}

/* Whoever asks and never reads makes the server hold one answer for each connection, within the budget, and not for
 * long. */
static void test_silent_readers(void **state)
{
    enum { READERS = 10, LONG_BYTES = 100000 };
    static char request[] = "GET /long?100000 HTTP/1.1\r\n" HOST "\r\n";
    tf_http_server *own = start_with_budget(2);
    int own_port = tf_http_server_port(own), fds[READERS];

    (void)state;
    for (int i = 0; i < READERS; i++) {
        fds[i] = raw_connect(own_port);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
        for (int k = 0; k < 100; k++) /* pipelined: ten megabytes are more than the socket's own buffers take */
            raw_send(fds[i], request);
    }
    await_use(LONG_BYTES - TF_HTTP_SMALL_BYTES, BUFFER_MAX);
    for (int i = 0; i < 50; i++) {
        assert_true(tf_http_budget_in_use() <= BUFFER_MAX);
        assert_int_equal(status_of(own_port, "GET /a HTTP/1.1\r\n" HOST "\r\n"), 200);
    }
    await_use(0, 0);
    assert_int_equal(status_of(own_port, request), 200);
    for (int i = 0; i < READERS; i++)
        close(fds[i]);
    tf_http_server_stop(own, 1000);
}

/* Reads a little, again and again, but less than WRITE's 64 KiB in the time: not for ever. */
static void test_dripping_reader(void **state)
{
    int fd = raw_connect(port);
    int64_t since_us = tf_mono_us();
    static char piece[1024];
    size_t got = 0;
    ssize_t n = 1;

    (void)state;
    raw_send(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    while (n > 0 && tf_mono_us() - since_us < 3 * BODY_MS * TF_US_PER_MS) {
        n = recv(fd, piece, sizeof piece, 0);
        got += n > 0 ? (size_t)n : 0;
        usleep(50000);
    }
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0) /* what the kernel had */
        got += (size_t)n;
    assert_true(got < BIG_BYTES);
    close(fd);
}

/* ---- metrics --------------------------------------------------------------------------------- */

static void test_metrics(void **state)
{
    tf_buf text;

    (void)state;
    usleep(100000); /* a tick */
    tf_buf_init(&text, 1 << 20);
    tf_metrics_render(&text);
    assert_false(text.broken);
    tf_buf_putc(&text, 0);
    assert_non_null(strstr(text.data, "tf_http_buffered_bytes 0\n"));
    assert_non_null(strstr(text.data, "tf_http_refused_total{status=\"503\"}"));
    assert_non_null(strstr(text.data, "tf_http_refused_total{status=\"413\"}"));
    tf_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_memory_of_a_kept_request),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_silent_readers),
        cmocka_unit_test(test_dripping_reader),
        cmocka_unit_test(test_metrics),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
