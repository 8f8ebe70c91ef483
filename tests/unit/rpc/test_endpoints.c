/* Several endpoints of one service: who gets a call, and what happens to it when that one goes, is full or stops. */
#include "tests/unit/rpc/echo.h"

#include <pthread.h>
#include <stdio.h>

enum { SERVERS = 2, THREADS = 8 };

static struct echo_server servers[SERVERS];
static const char *const addresses[SERVERS] = {servers[0].app.address, servers[1].app.address};

static int start(void **state)
{
    (void)state;
    for (int i = 0; i < SERVERS; i++) {
        echo_server_init(&servers[i]);
        echo_server_start(&servers[i]);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < SERVERS; i++)
        if (servers[i].rpc) echo_server_stop(&servers[i], 1000);
    return 0;
}

static int served(int server)
{
    return atomic_load(&servers[server].app.ended);
}

static tf_code one(tf_rpc_client *client, echo_caller method, int work_ms)
{
    struct echo_call call;
    tf_code code;

    echo_init(&call);
    call.request.work_ms = work_ms;
    code = echo_run(&call, client, method);
    if (code && code != TF_OVERLOADED) printf("%s\n", call.ctx.error.internal ? call.ctx.error.internal : "-");
    echo_done(&call);
    return code;
}

/* ---- a load of threads ------------------------------------------------------------------------------------------- */

static struct {
    tf_rpc_client *client;
    _Atomic bool over;
    _Atomic int answered, failed;
    int work_ms;
    pthread_t threads[THREADS];
} load;

static void *call_often(void *arg TF_UNUSED)
{
    while (!atomic_load(&load.over))
        atomic_fetch_add(one(load.client, call_echo_once, load.work_ms) ? &load.failed : &load.answered, 1);
    return NULL;
}

static void load_start(tf_rpc_client *client, int work_ms)
{
    load.client = client;
    load.work_ms = work_ms;
    atomic_store(&load.over, false);
    atomic_store(&load.answered, 0);
    atomic_store(&load.failed, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&load.threads[i], NULL, call_often, NULL), 0);
}

static void load_stop(void)
{
    atomic_store(&load.over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(load.threads[i], NULL);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void calls_spread_evenly(void **state)
{
    tf_rpc_client *client = echo_client("order", addresses, SERVERS);
    double share;

    (void)state;
    load_start(client, 2);
    echo_wait_for(&load.answered, 1000);
    load_stop();
    assert_int_equal(atomic_load(&load.failed), 0);
    share = (double)served(0) / (served(0) + served(1));
    if (share < 0.4 || share > 0.6) fail_msg("one of two has %.2f of the calls", share);
    tf_rpc_client_free(client);
}

/* Registered or not: who says that it does not serve gets no new calls. */
static void not_serving_is_believed(void **state)
{
    tf_rpc_client *client = echo_client("order", addresses, SERVERS);
    int before;

    (void)state;
    for (int round = 0; round < 3; round++) {
        int off = round % SERVERS, on = 1 - off;

        tf_rpc_server_set_serving(servers[off].rpc, false);
        tf_rpc_server_set_serving(servers[on].rpc, true);
        echo_sleep_ms(300);
        before = served(off);
        for (int i = 0; i < 200; i++)
            assert_int_equal(one(client, call_echo_once, 0), TF_OK);
        assert_int_equal(served(off), before);
    }
    /* When none serves, somebody still answers. */
    tf_rpc_server_set_serving(servers[0].rpc, false);
    tf_rpc_server_set_serving(servers[1].rpc, false);
    echo_sleep_ms(300);
    assert_int_equal(one(client, call_echo_once, 0), TF_OK);
    /* And who serves again is used again. */
    before = served(0);
    tf_rpc_server_set_serving(servers[0].rpc, true);
    for (int i = 0; i < 1000 && served(0) < before + 20; i++)
        assert_int_equal(one(client, call_echo_once, 1), TF_OK);
    assert_true(served(0) >= before + 20);
    tf_rpc_client_free(client);
}

/* The server is stopped and started again at the same address, each in turn, under calls that must not be repeated. */
static void a_rolling_restart_loses_no_call(void **state)
{
    tf_rpc_client *client = echo_client("order", addresses, SERVERS);

    (void)state;
    load_start(client, 5);
    for (int round = 0; round < 6; round++) {
        struct echo_server *server = &servers[round % SERVERS];
        int before = served(round % SERVERS);

        echo_sleep_ms(200);
        echo_server_stop(server, 3000);
        echo_sleep_ms(100);
        echo_server_start(server);
        for (int i = 0; i < 400 && served(round % SERVERS) < before + 20; i++)
            echo_sleep_ms(10);
        assert_true(served(round % SERVERS) >= before + 20); /* it is found again */
    }
    load_stop();
    assert_true(atomic_load(&load.answered) > 200);
    assert_int_equal(atomic_load(&load.failed), 0);
    tf_rpc_client_free(client);
}

static void a_full_one_sends_on(void **state)
{
    struct echo_call slow[2];
    tf_rpc_client *client, *both;

    (void)state;
    for (int i = 0; i < SERVERS; i++) {
        echo_server_stop(&servers[i], 1000);
        servers[i].config.workers = i ? 4 : 1;
        servers[i].config.queue_max = i ? 64 : 0;
        echo_server_start(&servers[i]);
    }
    client = echo_client("order", addresses, 1);
    both = echo_client("order", addresses, SERVERS);
    echo_init(&slow[0]);
    slow[0].request.work_ms = 1500;
    echo_start(&slow[0], client, &echo_once_method);
    echo_wait_for(&servers[0].app.began, 1);
    assert_int_equal(one(client, call_echo_once, 0), TF_OVERLOADED); /* there is no other */
    for (int i = 0; i < 50; i++)
        assert_int_equal(one(both, call_echo_once, 0), TF_OK);
    assert_int_equal(atomic_load(&servers[0].app.began), 1);
    assert_int_equal(atomic_load(&servers[1].app.began), 50);
    echo_wait(&slow[0]);
    assert_int_equal(slow[0].code, TF_OK);
    echo_done(&slow[0]);
    tf_rpc_client_free(both);
    tf_rpc_client_free(client);
}

/* What a handler refuses, it has looked at: it is not asked elsewhere. */
static void a_handlers_refusal_stands(void **state)
{
    tf_rpc_client *client = echo_client("order", addresses, SERVERS);
    struct echo_call call;

    (void)state;
    for (int i = 0; i < 2; i++) {
        echo_init(&call);
        call.request.reason = (char *)(uintptr_t)(i ? "STORE_DOWN" : "OVERLOADED");
        assert_int_equal(echo_run(&call, client, call_echo), i ? TF_STORE_DOWN : TF_OVERLOADED);
        assert_int_equal(served(0) + served(1), i + 1);
        echo_done(&call);
    }
    tf_rpc_client_free(client);
}

static void note(tf_ctx *ctx TF_UNUSED, tf_code code, ProtobufCMessage *response TF_UNUSED, void *arg)
{
    struct echo_call *call = arg;

    call->code = code;
    atomic_store(&call->over, true);
}

/* A caller that lost its interest: the handler that runs is told, what waits in the queue never begins. */
static void a_cancelled_call_stops_its_work(void **state)
{
    tf_rpc_client *client = echo_client("gateway", addresses, 1);
    enum { CALLS = 6 };
    struct echo_call calls[CALLS];
    tf_rpc_pending *pending[CALLS];
    int64_t began;

    (void)state;
    for (int i = 0; i < CALLS; i++) { /* two workers */
        echo_init(&calls[i]);
        calls[i].request.work_ms = 3000;
        pending[i] = tf_rpc_pending_new(&calls[i].ctx, client, &echo_once_method, note, &calls[i]);
        tf_rpc_pending_start(pending[i], &calls[i].request.base);
    }
    echo_wait_for(&servers[0].app.began, 2);
    echo_sleep_ms(50);
    began = echo_ms();
    for (int i = 0; i < CALLS; i++)
        tf_rpc_pending_cancel(pending[i]);
    for (int i = 0; i < CALLS; i++) {
        echo_wait(&calls[i]);
        assert_int_equal(calls[i].code, TF_CANCELLED);
        tf_rpc_pending_cancel(pending[i]); /* too late does not hurt */
        tf_rpc_pending_release(pending[i]);
        echo_done(&calls[i]);
    }
    echo_wait_for(&servers[0].app.ended, 2);
    assert_true(echo_ms() - began < 1000);
    assert_true(atomic_load(&servers[0].app.saw_cancel));
    assert_int_equal(one(client, call_echo_once, 0), TF_OK);
    assert_int_equal(atomic_load(&servers[0].app.began), 3); /* those that waited were dropped */
    tf_rpc_client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_spread_evenly, start, stop),
        cmocka_unit_test_setup_teardown(not_serving_is_believed, start, stop),
        cmocka_unit_test_setup_teardown(a_rolling_restart_loses_no_call, start, stop),
        cmocka_unit_test_setup_teardown(a_full_one_sends_on, start, stop),
        cmocka_unit_test_setup_teardown(a_handlers_refusal_stands, start, stop),
        cmocka_unit_test_setup_teardown(a_cancelled_call_stops_its_work, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
