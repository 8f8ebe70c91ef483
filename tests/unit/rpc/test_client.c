/* The client when endpoints fail, die or change. */
#include "tests/unit/rpc/echo.h"
#include "tests/unit/rpc/raw.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const char *address_of(char out[32], int port)
{
    snprintf(out, 32, "127.0.0.1:%d", port);
    return out;
}

static tf_code one(tf_rpc_client *client, echo_caller method)
{
    struct echo_call call;
    tf_code code;

    echo_init(&call);
    code = echo_run(&call, client, method);
    echo_done(&call);
    return code;
}

static void nothing_listens(void **state)
{
    char text[32];
    const char *address = address_of(text, echo_free_port());
    tf_rpc_client *client = echo_client("order", &address, 1);
    int64_t began = echo_ms();

    (void)state;
    assert_int_equal(one(client, call_echo), TF_STORE_DOWN);
    assert_int_equal(one(client, call_echo_once), TF_STORE_DOWN);
    assert_true(echo_ms() - began < 3000);
    tf_rpc_client_free(client);
}

static void no_endpoints_at_all(void **state)
{
    tf_rpc_client *client = echo_client("order", NULL, 0);
    struct echo_call call;

    (void)state;
    assert_int_equal(tf_rpc_client_n_endpoints(client), 0);
    assert_int_equal(one(client, call_echo), TF_STORE_DOWN);
    echo_init(&call);
    echo_start(&call, client, &echo_method);
    echo_wait(&call);
    assert_int_equal(call.code, TF_STORE_DOWN);
    assert_int_equal(call.ctx.error.code, TF_STORE_DOWN);
    assert_null(call.response);
    echo_done(&call);
    tf_rpc_client_free(client);
}

/* The request was taken and no answer came: what happened is not known, whatever the method. */
static void lost_midway(void **state)
{
    char text[32];
    int port = echo_free_port();
    const char *address = address_of(text, port);
    struct raw_dying *dying = raw_dying_start(port);
    tf_rpc_client *client = echo_client("order", &address, 1);

    (void)state;
    assert_int_equal(one(client, call_echo_once), TF_UNKNOWN_OUTCOME);
    assert_int_equal(raw_dying_requests(dying), 1); /* not sent twice */
    assert_int_equal(one(client, call_echo), TF_UNKNOWN_OUTCOME);
    assert_true(raw_dying_requests(dying) >= 2);
    tf_rpc_client_free(client);
    raw_dying_stop(dying);
}

/* As which attempt the callee saw it that answered. */
static int answered_attempt(tf_rpc_client *client)
{
    struct echo_call call;
    int attempt;

    echo_init(&call);
    assert_int_equal(echo_run(&call, client, call_echo), TF_OK);
    attempt = call.response->attempt;
    echo_done(&call);
    return attempt;
}

static void an_idempotent_call_is_sent_to_another(void **state)
{
    struct echo_server server;
    char text[32];
    int port = echo_free_port();
    struct raw_dying *dying = raw_dying_start(port);
    const char *addresses[] = {address_of(text, port), server.app.address};
    tf_rpc_client *client;
    int unknown = 0, repeats = 0;

    (void)state;
    echo_server_init(&server);
    echo_server_start(&server);
    client = echo_client("order", addresses, 2);
    for (int i = 0; i < 50; i++) {
        repeats += answered_attempt(client) == 2;
        echo_sleep_ms(10);
    }
    assert_true(raw_dying_requests(dying) > 0);
    assert_int_equal(repeats, raw_dying_requests(dying)); /* whoever may have done it once is told */
    for (int i = 0; i < 50; i++) {
        tf_code code = one(client, call_echo_once);

        assert_true(code == TF_OK || code == TF_UNKNOWN_OUTCOME);
        if (code) unknown++;
        echo_sleep_ms(10);
    }
    assert_true(unknown < 50);
    tf_rpc_client_free(client);
    raw_dying_stop(dying);
    echo_server_stop(&server, 1000);
}

/* The first attempt may have done it, so the second one's "nothing was done" is not the answer. */
static void a_refusal_after_a_loss_is_not_told_as_one(void **state)
{
    struct echo_server server;
    char text[32];
    int port = echo_free_port(), unknown = 0;
    struct raw_dying *dying = raw_dying_start(port);
    const char *addresses[] = {address_of(text, port), server.app.address};
    tf_rpc_client *client;

    (void)state;
    echo_server_init(&server);
    echo_server_start(&server);
    client = echo_client("order", addresses, 2);
    for (int i = 0; i < 50; i++) {
        struct echo_call call;
        tf_code code;

        echo_init(&call);
        call.request.reason = (char *)(uintptr_t) "OVERLOADED";
        code = echo_run(&call, client, call_echo);
        assert_true(code == TF_OVERLOADED || code == TF_UNKNOWN_OUTCOME);
        assert_int_equal(call.ctx.error.code, code);
        unknown += code == TF_UNKNOWN_OUTCOME;
        echo_done(&call);
        echo_sleep_ms(10);
    }
    assert_true(raw_dying_requests(dying) > 0);
    assert_int_equal(unknown, raw_dying_requests(dying));
    tf_rpc_client_free(client);
    raw_dying_stop(dying);
    echo_server_stop(&server, 1000);
}

/* Never sent means that nothing can have happened: such a call may go elsewhere whatever the method. */
static void a_dead_endpoint_does_not_hurt(void **state)
{
    struct echo_server server;
    char text[32];
    const char *addresses[] = {address_of(text, echo_free_port()), server.app.address};
    tf_rpc_client *client;

    (void)state;
    echo_server_init(&server);
    echo_server_start(&server);
    client = echo_client("order", addresses, 2);
    assert_int_equal(tf_rpc_client_n_endpoints(client), 2);
    for (int i = 0; i < 100; i++)
        assert_int_equal(one(client, call_echo_once), TF_OK);
    tf_rpc_client_free(client);
    echo_server_stop(&server, 1000);
}

static void an_endpoint_that_stops_does_not_hurt(void **state)
{
    struct echo_server servers[2];
    const char *addresses[] = {servers[0].app.address, servers[1].app.address};
    tf_rpc_client *client;

    (void)state;
    for (int i = 0; i < 2; i++) {
        echo_server_init(&servers[i]);
        echo_server_start(&servers[i]);
    }
    client = echo_client("order", addresses, 2);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(one(client, call_echo), TF_OK);
        if (i == 100) echo_server_stop(&servers[0], 1000);
    }
    assert_true(atomic_load(&servers[0].app.ended) > 10); /* both had their share */
    assert_true(atomic_load(&servers[1].app.ended) > 100);
    tf_rpc_client_free(client);
    echo_server_stop(&servers[1], 1000);
}

static void the_idle_endpoint_is_preferred(void **state)
{
    struct echo_server servers[2];
    const char *addresses[] = {servers[0].app.address, servers[1].app.address};
    struct echo_call slow[4];
    tf_rpc_client *client;

    (void)state;
    for (int i = 0; i < 2; i++) {
        echo_server_init(&servers[i]);
        servers[i].config.workers = 8;
        echo_server_start(&servers[i]);
    }
    client = echo_client("order", &addresses[0], 1);
    for (size_t i = 0; i < TF_COUNT(slow); i++) {
        echo_init(&slow[i]);
        slow[i].request.work_ms = 1000;
        echo_start(&slow[i], client, &echo_method);
    }
    echo_wait_for(&servers[0].app.began, (int)TF_COUNT(slow));
    tf_rpc_client_set_endpoints(client, addresses, 2); /* the first stays connected, with its calls */
    for (int i = 0; i < 100 && atomic_load(&servers[1].app.ended) == 0; i++)
        assert_int_equal(one(client, call_echo), TF_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(one(client, call_echo), TF_OK);
    assert_true(atomic_load(&servers[1].app.ended) >= 20);
    for (size_t i = 0; i < TF_COUNT(slow); i++) {
        echo_wait(&slow[i]);
        assert_int_equal(slow[i].code, TF_OK);
        echo_done(&slow[i]);
    }
    tf_rpc_client_free(client);
    for (int i = 0; i < 2; i++)
        echo_server_stop(&servers[i], 1000);
}

static void a_removed_endpoint_finishes_its_calls(void **state)
{
    struct echo_server servers[2];
    const char *addresses[] = {servers[0].app.address, servers[1].app.address};
    struct echo_call slow;
    tf_rpc_client *client;

    (void)state;
    for (int i = 0; i < 2; i++) {
        echo_server_init(&servers[i]);
        echo_server_start(&servers[i]);
    }
    client = echo_client("order", &addresses[0], 1);
    echo_init(&slow);
    slow.request.work_ms = 400;
    echo_start(&slow, client, &echo_method);
    echo_wait_for(&servers[0].app.began, 1);
    tf_rpc_client_set_endpoints(client, &addresses[1], 1);
    tf_rpc_client_set_endpoints(client, NULL, 0); /* ignored */
    assert_int_equal(tf_rpc_client_n_endpoints(client), 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(one(client, call_echo), TF_OK);
    assert_int_equal(atomic_load(&servers[0].app.began), 1);
    echo_wait(&slow);
    assert_int_equal(slow.code, TF_OK);
    assert_string_equal(slow.response->address, addresses[0]);
    echo_done(&slow);
    tf_rpc_client_free(client);
    for (int i = 0; i < 2; i++)
        echo_server_stop(&servers[i], 1000);
}

/* Endpoints by name, and IPv6 ones; and what was not sent is told from what is unknown with them, too. */
static void endpoints_of_every_form(void **state)
{
    static const struct {
        const char *listen, *form;
        tf_code code;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", TF_OK}, {"127.0.0.1", "localhost", TF_OK},
        {"[::1]", "[::1]", TF_OK},         {NULL, "localhost", TF_STORE_DOWN},
        {NULL, "[::1]", TF_STORE_DOWN},    {NULL, "no-such-host.invalid", TF_STORE_DOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct echo_server server;
        char address[64];
        const char *addresses[] = {address};
        tf_rpc_client *client;
        tf_code code;
        int port;

        echo_server_init(&server);
        port = atoi(strrchr(server.app.address, ':') + 1);
        if (rows[i].listen) {
            snprintf(server.app.address, sizeof server.app.address, "%s:%d", rows[i].listen, port);
            echo_server_start(&server);
        }
        snprintf(address, sizeof address, "%s:%d", rows[i].form, port);
        client = echo_client("order", addresses, 1);
        code = one(client, call_echo_once);
        if (code != rows[i].code) fail_msg("%s: %s", address, tf_code_info(code)->reason);
        tf_rpc_client_free(client);
        if (rows[i].listen) echo_server_stop(&server, 1000);
    }
}

static void the_same_address_twice_counts_once(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:9", "127.0.0.1:9", "127.0.0.1:10"};
    tf_rpc_client *client = echo_client("order", addresses, 3);

    (void)state;
    assert_int_equal(tf_rpc_client_n_endpoints(client), 2);
    tf_rpc_client_free(client);
}

static void freeing_waits_for_calls(void **state)
{
    struct echo_server server;
    const char *address = server.app.address;
    struct echo_call call;
    tf_rpc_client *client;

    (void)state;
    echo_server_init(&server);
    echo_server_start(&server);
    client = echo_client("order", &address, 1);
    echo_init(&call);
    call.request.work_ms = 200;
    echo_start(&call, client, &echo_method);
    tf_rpc_client_free(client);
    assert_true(atomic_load(&call.over));
    assert_int_equal(call.code, TF_OK);
    echo_done(&call);
    echo_server_stop(&server, 1000);
}

/* ---- many at once: what the sanitizers look at ------------------------------------------------------------------ */

enum { THREADS = 6, CALLS = 60 };

struct crowd {
    tf_rpc_client *client;
    _Atomic int failed;
    _Atomic bool over;
};

static void *call_often(void *arg)
{
    struct crowd *crowd = arg;

    for (int i = 0; i < CALLS; i++) {
        struct echo_call call;
        char text[32];

        echo_init(&call);
        call.request.text = text;
        snprintf(text, sizeof(text), "%d of %p", i, (void *)&call);
        if (echo_run(&call, crowd->client, call_echo) || strcmp(call.response->text, text) != 0)
            atomic_fetch_add(&crowd->failed, 1);
        echo_done(&call);
    }
    return NULL;
}

static void many_threads_and_a_changing_membership(void **state)
{
    struct echo_server servers[3];
    const char *addresses[] = {servers[0].app.address, servers[1].app.address, servers[2].app.address};
    struct crowd crowd = {.client = NULL};
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < 3; i++) {
        echo_server_init(&servers[i]);
        echo_server_start(&servers[i]);
    }
    crowd.client = echo_client("order", addresses, 3);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &crowd), 0);
    for (size_t i = 0; i < 20; i++) {
        tf_rpc_client_set_endpoints(crowd.client, &addresses[i % 3], 3 - i % 3);
        echo_sleep_ms(5);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&crowd.failed), 0);
    tf_rpc_client_free(crowd.client);
    for (int i = 0; i < 3; i++)
        echo_server_stop(&servers[i], 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_listens),
        cmocka_unit_test(no_endpoints_at_all),
        cmocka_unit_test(lost_midway),
        cmocka_unit_test(an_idempotent_call_is_sent_to_another),
        cmocka_unit_test(a_refusal_after_a_loss_is_not_told_as_one),
        cmocka_unit_test(a_dead_endpoint_does_not_hurt),
        cmocka_unit_test(an_endpoint_that_stops_does_not_hurt),
        cmocka_unit_test(the_idle_endpoint_is_preferred),
        cmocka_unit_test(a_removed_endpoint_finishes_its_calls),
        cmocka_unit_test(endpoints_of_every_form),
        cmocka_unit_test(the_same_address_twice_counts_once),
        cmocka_unit_test(freeing_waits_for_calls),
        cmocka_unit_test(many_threads_and_a_changing_membership),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
