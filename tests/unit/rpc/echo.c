/* The test contract's handlers and fixtures. */
#include "tests/unit/rpc/echo.h"

#include "common/crypto/crypto.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const struct tf_identity_key echo_key = {.secret = "a key that only the tests know..", .size = 32};

/* ---- handlers --------------------------------------------------------------------------------------------------- */

static tf_code work(tf_ctx *ctx, struct echo_app *app, int ms)
{
    int64_t end = echo_ms() + ms;

    while (echo_ms() < end) {
        if (tf_rpc_cancelled(ctx)) {
            atomic_store(&app->saw_cancel, true);
            return tf_fail(ctx, TF_CANCELLED, "the caller has gone");
        }
        if (tf_ctx_check(ctx)) return TF_DEADLINE;
        echo_sleep_ms(5);
    }
    return TF_OK;
}

static tf_code refuse(tf_ctx *ctx, const EchoRequest *request)
{
    tf_code code = tf_fail(ctx, tf_code_by_reason(request->reason), "as the test asked: secret of the log");

    if (request->field[0]) ctx->error.field = request->field;
    if (request->detail[0]) ctx->error.detail = request->detail;
    for (size_t i = 0; i < request->n_params; i++)
        tf_error_param(ctx, request->params[i]->key, "%s", request->params[i]->value);
    tf_error_retry_after(ctx, request->retry_after_ms);
    return code;
}

static tf_code answer(tf_ctx *ctx, const EchoRequest *request, EchoResponse *response)
{
    struct echo_app *app = ctx->app;
    int64_t left_us = ctx->deadline_us == INT64_MAX ? -1 : tf_ctx_left_us(ctx);
    tf_code code = work(ctx, app, request->work_ms);

    if (code) return code;
    if (request->use_bytes) tf_arena_alloc(ctx->arena, (size_t)request->use_bytes);
    if (request->reason[0]) return refuse(ctx, request);
    response->text = request->text;
    response->caller = tf_arena_strdup(ctx->arena, ctx->identity.caller);
    response->user_id = ctx->identity.user_id;
    response->organiser_id = ctx->identity.organiser_id;
    response->internal = ctx->identity.internal;
    response->roles = (int32_t)ctx->identity.roles;
    response->request_id = tf_arena_strdup(ctx->arena, ctx->request_id);
    response->language = tf_arena_strdup(ctx->arena, ctx->language);
    response->attempt = ctx->attempt;
    response->traceparent = tf_arena_strdup(ctx->arena, ctx->traceparent);
    response->left_us = left_us;
    response->address = app->address;
    return TF_OK;
}

static tf_code counted(tf_ctx *ctx, const EchoRequest *request, EchoResponse *response)
{
    struct echo_app *app = ctx->app;
    tf_code code;

    atomic_fetch_add(&app->began, 1);
    code = answer(ctx, request, response);
    atomic_fetch_add(&app->ended, 1);
    return code;
}

tf_code echo(tf_ctx *ctx, const EchoRequest *request, EchoResponse *response)
{
    return counted(ctx, request, response);
}

tf_code echo_once(tf_ctx *ctx, const EchoRequest *request, EchoResponse *response)
{
    return counted(ctx, request, response);
}

tf_code echo_buyer(tf_ctx *ctx, const EchoRequest *request, EchoResponse *response)
{
    return counted(ctx, request, response);
}

tf_code echo_process(tf_ctx *ctx, const EchoRequest *request, EchoResponse *response)
{
    return counted(ctx, request, response);
}

tf_code echo_operator(tf_ctx *ctx, const EchoRequest *request, EchoResponse *response)
{
    return counted(ctx, request, response);
}

tf_code echo_buyer_or_process(tf_ctx *ctx, const EchoRequest *request, EchoResponse *response)
{
    return counted(ctx, request, response);
}

tf_code echo_short(tf_ctx *ctx, const EchoRequest *request, EchoResponse *response)
{
    return counted(ctx, request, response);
}

/* ---- servers ---------------------------------------------------------------------------------------------------- */

int echo_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_not_equal(fd, -1);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void count_worker(void *app, int worker TF_UNUSED)
{
    atomic_fetch_add(&((struct echo_app *)app)->workers, 1);
}

void echo_server_init(struct echo_server *server)
{
    static const struct tf_rpc_service *const services[] = {&echo_service, NULL};

    assert_true(tf_crypto_init());
    *server = (struct echo_server){.rpc = NULL};
    snprintf(server->app.address, sizeof(server->app.address), "127.0.0.1:%d", echo_free_port());
    server->config = (struct tf_rpc_server_config){
        .address = server->app.address,
        .service = "echo",
        .services = services,
        .identity_key = &echo_key,
        .clock = tf_clock_system(),
        .app = &server->app,
        .workers = 2,
        .queue_max = 64,
        .message_max = 1024 * 1024,
        .arena_max = 8 * 1024 * 1024,
        .worker_start = count_worker,
    };
}

void echo_server_start(struct echo_server *server)
{
    const char *error = NULL;

    if (tf_rpc_server_start(&server->config, &server->rpc, &error)) fail_msg("server: %s", error);
    tf_rpc_server_set_serving(server->rpc, true);
}

void echo_server_stop(struct echo_server *server, int drain_ms)
{
    tf_rpc_server_stop(server->rpc, drain_ms);
    server->rpc = NULL;
}

/* ---- clients ---------------------------------------------------------------------------------------------------- */

tf_rpc_client *echo_client(const char *caller, const char *const *addresses, size_t n)
{
    tf_rpc_client *client = tf_rpc_client_new(&(struct tf_rpc_client_config){
        .service = "echo",
        .caller = caller,
        .identity_key = &echo_key,
        .clock = tf_clock_system(),
        .message_max = 1024 * 1024,
    });

    assert_non_null(client);
    tf_rpc_client_set_endpoints(client, addresses, n);
    return client;
}

void echo_init(struct echo_call *call)
{
    *call = (struct echo_call){.code = TF_OK};
    tf_ctx_init(&call->ctx, "request-of-a-test", 5 * TF_US_PER_S);
    call->ctx.identity.caller = "gateway";
    call->request = (EchoRequest)EchoRequest_init;
}

tf_code echo_run(struct echo_call *call, tf_rpc_client *client, echo_caller method)
{
    call->code = method(&call->ctx, client, &call->request, &call->response);
    return call->code;
}

static void note(tf_ctx *ctx TF_UNUSED, tf_code code, ProtobufCMessage *response, void *arg)
{
    struct echo_call *call = arg;

    call->code = code;
    call->response = (EchoResponse *)response;
    atomic_store(&call->over, true);
}

void echo_start(struct echo_call *call, tf_rpc_client *client, const struct tf_rpc_method *method)
{
    tf_rpc_start(&call->ctx, client, method, &call->request.base, note, call);
}

void echo_wait(struct echo_call *call)
{
    for (int i = 0; i < 2000 && !atomic_load(&call->over); i++)
        echo_sleep_ms(5);
    assert_true(atomic_load(&call->over));
}

void echo_done(struct echo_call *call)
{
    tf_ctx_done(&call->ctx);
}

void echo_wait_for(_Atomic int *counter, int n)
{
    for (int i = 0; i < 1000 && atomic_load(counter) < n; i++)
        echo_sleep_ms(5);
    assert_true(atomic_load(counter) >= n);
}

int64_t echo_ms(void)
{
    return tf_mono_us() / TF_US_PER_MS;
}

void echo_sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}
