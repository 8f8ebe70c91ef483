/* The server under pressure and at its end: full queue, waiting calls, drain, start-up errors. */
#include "tests/unit/rpc/echo.h"
#include "tests/unit/rpc/raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct echo_server server;
static tf_rpc_client *client;

static void begin(int workers, int queue_max)
{
    const char *address = server.app.address;

    echo_server_init(&server);
    server.config.workers = workers;
    server.config.queue_max = queue_max;
    echo_server_start(&server);
    client = echo_client("gateway", &address, 1);
}

static void end(void)
{
    tf_rpc_client_free(client);
    echo_server_stop(&server, 2000);
}

static void work_for(struct echo_call *call, int ms)
{
    echo_init(call);
    call->request.work_ms = ms;
}

static void every_worker_starts_and_works(void **state)
{
    struct echo_call calls[8];
    int64_t began;

    (void)state;
    begin(8, 0);
    echo_wait_for(&server.app.workers, 8);
    began = echo_ms();
    for (size_t i = 0; i < TF_COUNT(calls); i++) {
        work_for(&calls[i], 200);
        echo_start(&calls[i], client, &echo_method);
    }
    for (size_t i = 0; i < TF_COUNT(calls); i++) {
        echo_wait(&calls[i]);
        assert_int_equal(calls[i].code, TF_OK);
        echo_done(&calls[i]);
    }
    assert_true(echo_ms() - began < 8 * 200);
    end();
}

static void a_full_queue_refuses_at_once(void **state)
{
    struct echo_call working, waiting, refused;
    int64_t began;

    (void)state;
    begin(1, 1);
    work_for(&working, 500);
    work_for(&waiting, 0);
    work_for(&refused, 0);
    echo_start(&working, client, &echo_method);
    echo_wait_for(&server.app.began, 1);
    echo_start(&waiting, client, &echo_method);
    echo_sleep_ms(100); /* on one connection the order is kept, but let it arrive */
    began = echo_ms();
    assert_int_equal(echo_run(&refused, client, call_echo), TF_OVERLOADED);
    assert_true(echo_ms() - began < 300);
    assert_true(refused.ctx.error.retry_after_ms > 0);
    echo_wait(&working);
    echo_wait(&waiting);
    assert_int_equal(working.code, TF_OK);
    assert_int_equal(waiting.code, TF_OK);
    echo_done(&working);
    echo_done(&waiting);
    echo_done(&refused);
    end();
}

static void a_call_that_waited_too_long_is_not_run(void **state)
{
    struct echo_call working, late;

    (void)state;
    begin(1, 8);
    work_for(&working, 400);
    work_for(&late, 0);
    echo_start(&working, client, &echo_method);
    echo_wait_for(&server.app.began, 1);
    tf_ctx_reset(&late.ctx, 100 * TF_US_PER_MS);
    assert_int_equal(echo_run(&late, client, call_echo), TF_DEADLINE);
    echo_wait(&working);
    echo_done(&late);
    work_for(&late, 0); /* after it, so the late one was looked at */
    assert_int_equal(echo_run(&late, client, call_echo), TF_OK);
    assert_int_equal(atomic_load(&server.app.began), 2);
    echo_done(&working);
    echo_done(&late);
    end();
}

static void a_drain_lets_calls_finish(void **state)
{
    struct echo_call working, waiting, after;

    (void)state;
    begin(1, 8);
    work_for(&working, 300);
    work_for(&waiting, 100);
    echo_start(&working, client, &echo_method);
    echo_wait_for(&server.app.began, 1);
    echo_start(&waiting, client, &echo_method);
    echo_sleep_ms(100);
    echo_server_stop(&server, 5000);
    assert_int_equal(atomic_load(&server.app.ended), 2);
    echo_wait(&working);
    echo_wait(&waiting);
    assert_int_equal(working.code, TF_OK);
    assert_int_equal(waiting.code, TF_OK);
    work_for(&after, 0);
    assert_int_equal(echo_run(&after, client, call_echo_once), TF_STORE_DOWN);
    echo_done(&working);
    echo_done(&waiting);
    echo_done(&after);
    tf_rpc_client_free(client);
}

static void a_drain_ends(void **state)
{
    struct echo_call working, waiting;
    int64_t began;

    (void)state;
    begin(1, 8);
    work_for(&working, 4000);
    work_for(&waiting, 4000);
    echo_start(&working, client, &echo_once_method);
    echo_wait_for(&server.app.began, 1);
    echo_start(&waiting, client, &echo_once_method);
    echo_sleep_ms(100);
    began = echo_ms();
    echo_server_stop(&server, 100);
    assert_true(echo_ms() - began < 3000);
    assert_true(atomic_load(&server.app.saw_cancel));
    assert_int_equal(atomic_load(&server.app.began), 1); /* the waiting one never ran */
    echo_wait(&working);
    echo_wait(&waiting);
    assert_int_equal(working.code, TF_UNKNOWN_OUTCOME);
    assert_int_not_equal(waiting.code, TF_OK);
    echo_done(&working);
    echo_done(&waiting);
    tf_rpc_client_free(client);
}

static void a_caller_that_goes_away_is_seen(void **state)
{
    struct echo_call call;

    (void)state;
    begin(1, 8);
    work_for(&call, 4000);
    tf_ctx_reset(&call.ctx, 200 * TF_US_PER_MS);
    assert_int_equal(echo_run(&call, client, call_echo), TF_DEADLINE);
    echo_wait_for(&server.app.ended, 1);
    echo_done(&call);
    end();
}

/* A request of the Echo method from one who may call it. */
static struct raw_request echo_request(tf_arena *arena)
{
    static const struct tf_identity who = {.caller = "gateway", .user_id = 7};
    struct raw_request request = {.address = server.app.address, .path = echo_method.path};

    request.token = tf_identity_seal(arena, &echo_key, &who, "echo", tf_now_us(), &request.token_size);
    return request;
}

/* Its deadline is far; only its cancellation says that nobody waits. */
static void a_caller_that_goes_away_while_it_waits_is_not_served(void **state)
{
    tf_arena *arena = tf_arena_new(65536);
    struct echo_call working, next;
    struct raw_request request;
    struct raw_answer answer;

    (void)state;
    begin(1, 8);
    work_for(&working, 600);
    echo_start(&working, client, &echo_method);
    echo_wait_for(&server.app.began, 1);
    request = echo_request(arena);
    request.cancel_ms = 200;
    raw_call(&request, &answer);
    assert_int_equal(answer.status, TF_GRPC_CANCELLED);
    assert_true(answer.took_ms < 500); /* the worker was busy yet */
    echo_wait(&working);
    work_for(&next, 0); /* comes after the cancelled one */
    assert_int_equal(echo_run(&next, client, call_echo), TF_OK);
    assert_int_equal(atomic_load(&server.app.began), 2);
    echo_done(&working);
    echo_done(&next);
    end();
    tf_arena_free(arena);
}

/* What needs no worker waits for none. */
static void unknown_methods_are_refused_while_all_workers_are_busy(void **state)
{
    struct echo_call working, waiting;
    struct raw_answer answer;

    (void)state;
    begin(1, 1);
    work_for(&working, 1500);
    work_for(&waiting, 0);
    echo_start(&working, client, &echo_method);
    echo_wait_for(&server.app.began, 1);
    echo_start(&waiting, client, &echo_method);
    echo_sleep_ms(100);
    for (int i = 0; i < 50; i++) {
        raw_call(&(struct raw_request){.address = server.app.address, .path = "/ticketflow.echo.v1.EchoService/None"},
                 &answer);
        assert_int_equal(answer.status, TF_GRPC_UNIMPLEMENTED);
    }
    assert_int_equal(atomic_load(&server.app.ended), 0); /* still busy with the first */
    echo_wait(&working);
    echo_wait(&waiting);
    assert_int_equal(waiting.code, TF_OK);
    echo_done(&working);
    echo_done(&waiting);
    end();
}

static void metadata_is_bounded(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        int status;
    } rows[] = {
        {"much", 12 * 1024, TF_GRPC_OK},
        {"too much", 20 * 1024, TF_GRPC_RESOURCE_EXHAUSTED},
        {"far too much", 1024 * 1024, TF_GRPC_RESOURCE_EXHAUSTED},
        {"much, after that", 12 * 1024, TF_GRPC_OK},
    };
    tf_arena *arena = tf_arena_new(65536);

    (void)state;
    begin(1, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct raw_request request = echo_request(arena);
        char *value = malloc(rows[i].size + 1);
        struct raw_answer answer;

        memset(value, 'a', rows[i].size);
        value[rows[i].size] = '\0';
        request.extra_name = "x-padding";
        request.extra_value = value;
        raw_call(&request, &answer);
        if (answer.status != rows[i].status) fail_msg("%s: %d", rows[i].name, answer.status);
        free(value);
    }
    assert_int_equal(atomic_load(&server.app.began), 2);
    end();
    tf_arena_free(arena);
}

/* Connections on which nothing is said: they hinder nobody, and the server closes them by itself. */
static void silent_connections_are_closed(void **state)
{
    enum { CONNECTIONS = 500, CLOSED_MS = 30000 };
    static int fds[CONNECTIONS];
    struct rlimit files = {4 * CONNECTIONS, 4 * CONNECTIONS};
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct echo_call call;
    int64_t began;
    int left = CONNECTIONS;

    (void)state;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    begin(2, 8);
    work_for(&call, 0);
    assert_int_equal(echo_run(&call, client, call_echo), TF_OK); /* connected before them */
    echo_done(&call);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)atoi(strchr(server.app.address, ':') + 1));
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&at, sizeof at), 0);
    }
    work_for(&call, 0);
    began = echo_ms();
    assert_int_equal(echo_run(&call, client, call_echo), TF_OK);
    echo_done(&call);

    while (left > 0 && echo_ms() - began < CLOSED_MS) {
        left = 0;
        for (int i = 0; i < CONNECTIONS; i++) {
            char bytes[256];
            ssize_t n = -1;

            while (fds[i] >= 0 && (n = recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
                ; /* the server's settings come first */
            if (fds[i] >= 0 && (n == 0 || errno == ECONNRESET)) {
                close(fds[i]);
                fds[i] = -1;
            }
            left += fds[i] >= 0;
        }
        echo_sleep_ms(100);
    }
    assert_int_equal(left, 0);
    work_for(&call, 0);
    assert_int_equal(echo_run(&call, client, call_echo), TF_OK);
    echo_done(&call);
    end();
}

static void a_port_in_use_is_an_error(void **state)
{
    tf_rpc_server *second = NULL;
    const char *error = NULL;

    (void)state;
    begin(1, 1);
    assert_int_not_equal(tf_rpc_server_start(&server.config, &second, &error), TF_OK);
    assert_null(second);
    assert_non_null(strstr(error, server.app.address));
    end();
    free((char *)(uintptr_t)error);
}

static void addresses_that_are_none(void **state)
{
    static const char *const rows[] = {
        "127.0.0.1:0", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "", "192.0.2.1:17999"};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_rpc_server *rpc = NULL;
        const char *error = NULL;

        echo_server_init(&server);
        server.config.address = rows[i];
        CHECK(rows[i], tf_rpc_server_start(&server.config, &rpc, &error) != TF_OK);
        CHECK(rows[i], error && strstr(error, rows[i]));
        free((char *)(uintptr_t)error);
    }
}

static void a_server_starts_again_on_its_port(void **state)
{
    const char *address = server.app.address;

    (void)state;
    begin(1, 1);
    for (int i = 0; i < 3; i++) {
        struct echo_call call;

        work_for(&call, 0);
        assert_int_equal(echo_run(&call, client, call_echo), TF_OK);
        assert_string_equal(call.response->address, address);
        echo_done(&call);
        echo_server_stop(&server, 1000);
        echo_server_start(&server);
        echo_sleep_ms(300); /* the channel finds it again within its backoff */
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_worker_starts_and_works),
        cmocka_unit_test(a_full_queue_refuses_at_once),
        cmocka_unit_test(a_call_that_waited_too_long_is_not_run),
        cmocka_unit_test(a_drain_lets_calls_finish),
        cmocka_unit_test(a_drain_ends),
        cmocka_unit_test(a_caller_that_goes_away_is_seen),
        cmocka_unit_test(a_caller_that_goes_away_while_it_waits_is_not_served),
        cmocka_unit_test(unknown_methods_are_refused_while_all_workers_are_busy),
        cmocka_unit_test(metadata_is_bounded),
        cmocka_unit_test(silent_connections_are_closed),
        cmocka_unit_test(a_port_in_use_is_an_error),
        cmocka_unit_test(addresses_that_are_none),
        cmocka_unit_test(a_server_starts_again_on_its_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
