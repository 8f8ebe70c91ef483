/* Servers and clients of the test contract, with defaults that a test changes as it needs. */
#pragma once

#include "tests/unit/base/unit.h"

#include "common/base/ctx.h"
#include "common/rpc/rpc.h"
#include "ticketflow/echo/v1/echo.server.h"
#include "ticketflow/echo/v1/echo.tf.h"

#include <stdatomic.h>

extern const struct tf_identity_key echo_key;

/* What the handlers of one server did. */
struct echo_app {
    char address[32];
    _Atomic int began, ended; /* handlers */
    _Atomic int workers;      /* that started */
    _Atomic bool saw_cancel;
};

struct echo_server {
    struct echo_app app;
    struct tf_rpc_server_config config;
    tf_rpc_server *rpc;
};

/* A free port of 127.0.0.1. */
int echo_free_port(void);
/* Fills the config; nothing listens yet. */
void echo_server_init(struct echo_server *server);
/* Starts and says that it serves. */
void echo_server_start(struct echo_server *server);
void echo_server_stop(struct echo_server *server, int drain_ms);

/* A client of the named process ("gateway", "order") with these endpoints. */
tf_rpc_client *echo_client(const char *caller, const char *const *addresses, size_t n);

/* A call in a fresh context, left for looking at; echo_done ends it. */
struct echo_call {
    tf_ctx ctx;
    EchoRequest request;
    EchoResponse *response; /* NULL after a failure */
    tf_code code;
    _Atomic bool over; /* asynchronous form */
};
void echo_init(struct echo_call *call);
typedef tf_code (*echo_caller)(tf_ctx *ctx, tf_rpc_client *client, const EchoRequest *request, EchoResponse **ret);
tf_code echo_run(struct echo_call *call, tf_rpc_client *client, echo_caller method);
/* Returns at once. */
void echo_start(struct echo_call *call, tf_rpc_client *client, const struct tf_rpc_method *method);
void echo_wait(struct echo_call *call);
void echo_done(struct echo_call *call);

/* Waits until the counter is at least n; fails the test after five seconds. */
void echo_wait_for(_Atomic int *counter, int n);
int64_t echo_ms(void); /* monotonic */
void echo_sleep_ms(int ms);
