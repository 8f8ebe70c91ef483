/* The connection against a server that does what a script says, on a real socket: how each call ends, and what becomes
 * of the connection. */
#include "tools/load/wire.h"

#include "common/base/clock.h"
#include "common/base/macros.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define REQUEST "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
#define WHOLE   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

enum { TIMEOUT_US = 300000, PATIENCE_US = 10 * TF_US_PER_S, BIG = 900000 };

/* What the server does with the requests of one connection, in order. */
struct step {
    const char *answer;                     /* NULL: nothing */
    enum { KEEP, CLOSE, RESET, HOLD } then; /* HOLD: keeps the connection open, silent, until the test's end */
    size_t request_size;                    /* 0: that of REQUEST */
};
struct script {
    const struct step *steps;
    int n;
};

static int listener;
static struct target server;
static struct loop loop;
static int accepted;

static void read_request(int fd, size_t size)
{
    static char bytes[65536];

    while (size) {
        ssize_t n = read(fd, bytes, TF_MIN(size, sizeof bytes));

        if (n <= 0) return;
        size -= (size_t)n;
        if (size > sizeof bytes) usleep(1000); /* slowly, so that the client finds no room */
    }
}

/* Serves connections one after the other until all steps are done. */
static void *serve(void *arg)
{
    const struct script *script = arg;
    int fd = -1, i = 0;

    while (i < script->n) {
        const struct step *step = &script->steps[i++];

        if (fd < 0) {
            fd = accept(listener, NULL, NULL);
            accepted++;
        }
        read_request(fd, step->request_size ? step->request_size : strlen(REQUEST));
        if (step->answer && write(fd, step->answer, strlen(step->answer)) < 0) abort();
        if (step->then == KEEP) continue;
        if (step->then == HOLD) usleep(2 * TIMEOUT_US);
        if (step->then == RESET)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        close(fd);
        fd = -1;
    }
    if (fd >= 0) close(fd);
    return NULL;
}

struct outcome_seen {
    bool seen;
    enum call_end end;
    int status;
    char body[64];
};

static void on_end(void *arg, const struct wire_end *end)
{
    struct outcome_seen *seen = arg;

    assert_false(seen->seen); /* once */
    seen->seen = true;
    seen->end = end->end;
    seen->status = end->answer ? end->answer->status : 0;
    if (end->answer) snprintf(seen->body, sizeof seen->body, "%.*s", (int)end->answer->body_size, end->body);
    assert_true(end->ended_us >= end->sent_us);
}

static void call_with(struct wire *wire, struct outcome_seen *seen, const char *request, size_t size)
{
    int64_t until_us = tf_mono_us() + PATIENCE_US;

    *seen = (struct outcome_seen){0};
    wire_send(wire, &server, request, size, TIMEOUT_US);
    assert_false(seen->seen); /* never from within */
    assert_true(wire_busy(wire));
    while (!seen->seen && tf_mono_us() < until_us)
        loop_turn(&loop, until_us);
    assert_true(seen->seen);
    assert_false(wire_busy(wire));
}

static void call(struct wire *wire, struct outcome_seen *seen)
{
    call_with(wire, seen, REQUEST, strlen(REQUEST));
}

static void listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char url[64];
    const char *path;

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    assert_true(target_parse(url, &server, &path) && target_resolve(&server));
}

static int set_up(void **state)
{
    (void)state;
    listen_somewhere();
    accepted = 0;
    return loop_open(&loop) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    close(listener);
    loop_close(&loop);
    return 0;
}

static const struct {
    const char *name;
    struct step step;
    enum call_end end;
    bool kept; /* the connection serves the next call too */
} rows[] = {
    {"whole answer", {WHOLE, KEEP, 0}, CALL_ANSWERED, true},
    {"goodbye", {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", KEEP, 0}, CALL_ANSWERED, false},
    {"bytes beyond the answer", {WHOLE "HTTP/1.1 200", KEEP, 0}, CALL_ANSWERED, false},
    {"nothing, then the end", {NULL, CLOSE, 0}, CALL_LOST, false},
    {"nothing, then a reset", {NULL, RESET, 0}, CALL_LOST, false},
    {"end in the head", {"HTTP/1.1 200 OK\r\nContent-Le", CLOSE, 0}, CALL_LOST, false},
    {"end in the body", {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", CLOSE, 0}, CALL_LOST, false},
    {"body until the end", {"HTTP/1.1 200 OK\r\n\r\nhello", CLOSE, 0}, CALL_BROKEN, false},
    {"no HTTP", {"hello\r\n", HOLD, 0}, CALL_BROKEN, false},
    {"silence", {NULL, HOLD, 0}, CALL_LATE, false},
    {"silence in the body", {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", HOLD, 0}, CALL_LATE, false},
};

/* After each end the same wire makes its next call, and that is answered. */
static void test_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct step steps[] = {rows[i].step, {WHOLE, CLOSE, 0}};
        struct script script = {steps, 2};
        struct outcome_seen seen;
        struct wire wire;
        pthread_t thread;

        accepted = 0;
        if (!rows[i].kept && steps[0].then == KEEP) steps[0].then = CLOSE;
        assert_int_equal(pthread_create(&thread, NULL, serve, &script), 0);
        wire_init(&wire, &loop, on_end, &seen);
        call(&wire, &seen);
        if (seen.end != rows[i].end) fail_msg("%s: ended as %d", rows[i].name, seen.end);
        assert_int_equal(seen.status, seen.end == CALL_ANSWERED ? 200 : 0);
        if (steps[0].then == HOLD) usleep(2 * TIMEOUT_US);
        call(&wire, &seen);
        if (seen.end != CALL_ANSWERED || strcmp(seen.body, "hello") != 0)
            fail_msg("%s: the next call ended as %d, '%s'", rows[i].name, seen.end, seen.body);
        pthread_join(thread, NULL);
        assert_int_equal(accepted, rows[i].kept ? 1 : 2);
        assert_int_equal(wire.connects, accepted);
        wire_free(&wire);
    }
}

/* The server goes while nobody asks it: no call is lost by that. */
static void test_end_between_calls(void **state)
{
    static const struct step steps[] = {{WHOLE, CLOSE, 0}, {WHOLE, CLOSE, 0}};
    struct script script = {steps, 2};
    struct outcome_seen seen;
    struct wire wire;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, serve, &script), 0);
    wire_init(&wire, &loop, on_end, &seen);
    call(&wire, &seen);
    assert_int_equal(seen.end, CALL_ANSWERED);
    for (int64_t until_us = tf_mono_us() + PATIENCE_US; wire.fd >= 0 && tf_mono_us() < until_us;)
        loop_turn(&loop, until_us);
    assert_true(wire.fd < 0);
    call(&wire, &seen);
    assert_int_equal(seen.end, CALL_ANSWERED);
    pthread_join(thread, NULL);
    wire_free(&wire);
}

static void test_nobody_listens(void **state)
{
    struct outcome_seen seen;
    struct wire wire;

    (void)state;
    close(listener);
    wire_init(&wire, &loop, on_end, &seen);
    for (int i = 0; i < 3; i++) {
        call(&wire, &seen);
        assert_int_equal(seen.end, CALL_UNCONNECTED);
    }
    wire_free(&wire);
    listen_somewhere();
}

/* A target whose name has no address. */
static void test_no_address(void **state)
{
    struct target resolved = server;
    struct outcome_seen seen;
    struct wire wire;

    (void)state;
    server.address_size = 0;
    wire_init(&wire, &loop, on_end, &seen);
    call(&wire, &seen);
    assert_int_equal(seen.end, CALL_UNCONNECTED);
    wire_free(&wire);
    server = resolved;
}

/* More than the socket takes at once, to a slow reader. */
static void test_big_request(void **state)
{
    static const struct step steps[] = {{WHOLE, CLOSE, BIG}};
    struct script script = {steps, 1};
    struct outcome_seen seen;
    char *request = malloc(BIG);
    struct wire wire;
    pthread_t thread;

    (void)state;
    assert_non_null(request);
    memset(request, 'x', BIG);
    assert_int_equal(pthread_create(&thread, NULL, serve, &script), 0);
    wire_init(&wire, &loop, on_end, &seen);
    call_with(&wire, &seen, request, BIG);
    assert_int_equal(seen.end, CALL_ANSWERED);
    pthread_join(thread, NULL);
    wire_free(&wire);
    free(request);
}

/* An answer before the request was read whole: what is left of it must not stand before the next request. */
static void test_answer_before_the_request_is_sent(void **state)
{
    static const struct step steps[] = {{WHOLE, HOLD, 1000}};
    struct script script = {steps, 1};
    struct outcome_seen seen;
    char *request = malloc(16 * BIG);
    struct wire wire;
    pthread_t thread;

    (void)state;
    assert_non_null(request);
    memset(request, 'x', 16 * BIG);
    assert_int_equal(pthread_create(&thread, NULL, serve, &script), 0);
    wire_init(&wire, &loop, on_end, &seen);
    call_with(&wire, &seen, request, 16 * BIG);
    assert_int_equal(seen.end, CALL_ANSWERED);
    assert_true(wire.sent < wire.out.size);
    assert_true(wire.fd < 0);
    pthread_join(thread, NULL);
    wire_free(&wire);
    free(request);
}

static void test_give_up(void **state)
{
    static const struct step steps[] = {{NULL, HOLD, 0}};
    struct script script = {steps, 1};
    struct outcome_seen seen = {0};
    struct wire wire;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, serve, &script), 0);
    wire_init(&wire, &loop, on_end, &seen);
    wire_give_up(&wire); /* nothing is under way */
    assert_false(seen.seen);
    wire_send(&wire, &server, REQUEST, strlen(REQUEST), PATIENCE_US);
    while (wire.state == WIRE_CONNECTING)
        loop_turn(&loop, tf_mono_us() + TIMEOUT_US);
    wire_give_up(&wire);
    assert_true(seen.seen && seen.end == CALL_LATE);
    pthread_join(thread, NULL);
    wire_free(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_between_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_listens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_big_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answer_before_the_request_is_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_give_up, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
