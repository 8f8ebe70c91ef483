/* grpc.health.v1 as any client sees it. */
#include "tests/unit/rpc/echo.h"
#include "tests/unit/rpc/raw.h"

#include "grpc/health/v1/health.pb-c.h"

enum { UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN, ENDED = -1 };

static struct echo_server server;

static int start(void **state)
{
    (void)state;
    echo_server_init(&server);
    server.config.workers = 1;
    server.config.queue_max = 0;
    echo_server_start(&server);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (server.rpc) echo_server_stop(&server, 1000);
    return 0;
}

static int check(const char *service, int *ret_status)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    Grpc__Health__V1__HealthCheckResponse *response;
    struct raw_answer answer;
    uint8_t packed[256];
    int state;

    request.service = (char *)(uintptr_t)service;
    raw_call(&(struct raw_request){.address = server.app.address,
                                   .path = "/grpc.health.v1.Health/Check",
                                   .payload = packed,
                                   .payload_size = grpc__health__v1__health_check_request__pack(&request, packed)},
             &answer);
    *ret_status = answer.status;
    if (answer.status) return ENDED;
    response = grpc__health__v1__health_check_response__unpack(NULL, answer.payload_size, (uint8_t *)answer.payload);
    assert_non_null(response);
    state = (int)response->status;
    grpc__health__v1__health_check_response__free_unpacked(response, NULL);
    return state;
}

static void check_needs_no_token(void **state)
{
    static const struct {
        const char *service;
        bool serving;
        int state, status;
    } rows[] = {
        {"", true, SERVING, TF_GRPC_OK},
        {"ticketflow.echo.v1.EchoService", true, SERVING, TF_GRPC_OK},
        {"", false, NOT_SERVING, TF_GRPC_OK},
        {"ticketflow.echo.v1.EchoService", false, NOT_SERVING, TF_GRPC_OK},
        {"ticketflow.order.v1.OrderService", true, ENDED, TF_GRPC_NOT_FOUND},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int status;

        tf_rpc_server_set_serving(server.rpc, rows[i].serving);
        CHECK(rows[i].service, check(rows[i].service, &status) == rows[i].state);
        CHECK(rows[i].service, status == rows[i].status);
    }
}

static void malformed_check(void **state)
{
    struct raw_answer answer;

    (void)state;
    raw_call(&(struct raw_request){.address = server.app.address,
                                   .path = "/grpc.health.v1.Health/Check",
                                   .payload = "\x0a\x7f",
                                   .payload_size = 2},
             &answer);
    assert_int_equal(answer.status, TF_GRPC_INVALID_ARGUMENT);
}

/* The one worker is busy and nothing may wait; health is not work. */
static void a_busy_server_still_answers(void **state)
{
    const char *address = server.app.address;
    tf_rpc_client *client = echo_client("gateway", &address, 1);
    struct echo_call working;
    int status;
    int64_t began;

    (void)state;
    tf_rpc_server_set_serving(server.rpc, true);
    echo_init(&working);
    working.request.work_ms = 1000;
    echo_start(&working, client, &echo_method);
    echo_wait_for(&server.app.began, 1);
    began = echo_ms();
    assert_int_equal(check("", &status), SERVING);
    assert_true(echo_ms() - began < 900);
    echo_wait(&working);
    echo_done(&working);
    tf_rpc_client_free(client);
}

static void watch_tells_every_change(void **state)
{
    struct raw_watch *all, *ours, *unknown;
    int status;

    (void)state;
    tf_rpc_server_set_serving(server.rpc, true);
    all = raw_watch_open(server.app.address, "");
    ours = raw_watch_open(server.app.address, "ticketflow.echo.v1.EchoService");
    unknown = raw_watch_open(server.app.address, "no.such.Service");
    assert_int_equal(raw_watch_next(all, &status), SERVING);
    assert_int_equal(raw_watch_next(ours, &status), SERVING);
    assert_int_equal(raw_watch_next(unknown, &status), SERVICE_UNKNOWN);
    tf_rpc_server_set_serving(server.rpc, true); /* no change, no message */
    tf_rpc_server_set_serving(server.rpc, false);
    assert_int_equal(raw_watch_next(all, &status), NOT_SERVING);
    raw_watch_close(ours); /* a watcher that leaves does not disturb the others */
    tf_rpc_server_set_serving(server.rpc, true);
    assert_int_equal(raw_watch_next(all, &status), SERVING);
    raw_watch_close(all);
    raw_watch_close(unknown);
}

/* A watch is a call that never ends by itself; the drain must not wait for it. */
static void stopping_ends_watches(void **state)
{
    struct raw_watch *watch = raw_watch_open(server.app.address, "");
    int status = TF_GRPC_OK;
    int64_t began;

    (void)state;
    assert_int_equal(raw_watch_next(watch, &status), SERVING);
    began = echo_ms();
    echo_server_stop(&server, 4000);
    assert_true(echo_ms() - began < 2000);
    assert_int_equal(raw_watch_next(watch, &status), NOT_SERVING);
    assert_int_equal(raw_watch_next(watch, &status), ENDED);
    assert_int_equal(status, TF_GRPC_UNAVAILABLE);
    raw_watch_close(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_needs_no_token),        cmocka_unit_test(malformed_check),
        cmocka_unit_test(a_busy_server_still_answers), cmocka_unit_test(watch_tells_every_change),
        cmocka_unit_test(stopping_ends_watches),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
