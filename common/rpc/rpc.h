/* gRPC over the core C API: methods as declared by the contracts, the server, the client.
 *
 * Generated code (tools/gen/rpcgen) makes one `struct tf_rpc_method` per RPC, one `struct tf_rpc_service` per service
 * with the handlers bound, and a typed call function per RPC; nobody writes these tables by hand. Handlers hold
 * business only: the layer below decodes into the context's arena, checks the access declaration against the caller's
 * identity, counts, times, logs once, and encodes the answer or the error. */
#pragma once

#include "common/base/ctx.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- contracts ------------------------------------------------------------------------------------------------ */

/* Who may call; from option (ticketflow.options.v1.access). Several may be set; any one suffices. */
enum tf_access {
    TF_ACCESS_PUBLIC = 1 << 0,   /* anybody, through the gateway */
    TF_ACCESS_BUYER = 1 << 1,    /* a logged-in user; ownership of the resource is the handler's to check */
    TF_ACCESS_INTERNAL = 1 << 2, /* other services; never routed by the gateway */
    TF_ACCESS_OPERATOR = 1 << 3, /* a user with one of `roles`; the handler filters by organiser */
};

struct tf_rpc_method {
    const char *path;    /* "/ticketflow.order.v1.OrderService/CreateOrder" */
    const char *service; /* "order": the process that serves it, its name in etcd */
    const char *name;    /* "CreateOrder" */
    const ProtobufCMessageDescriptor *request, *response;
    uint32_t access; /* enum tf_access, never 0 */
    uint32_t roles;  /* enum tf_role that satisfy TF_ACCESS_OPERATOR */
    bool idempotent; /* may be repeated on another endpoint after an unknown outcome */
    int deadline_ms; /* default of the caller when its context has none, and the server's ceiling */
};

typedef tf_code (*tf_rpc_handler)(tf_ctx *ctx, const ProtobufCMessage *request, ProtobufCMessage *response);

struct tf_rpc_binding {
    const struct tf_rpc_method *method;
    tf_rpc_handler handler;
};
struct tf_rpc_service {
    const char *full_name; /* "ticketflow.order.v1.OrderService", as health and reflection name it */
    const struct tf_rpc_binding *bindings;
    size_t n_bindings;
};

/* Decoding into the arena. NULL: malformed, or past the arena's ceiling. */
ProtobufCMessage *tf_pb_unpack(tf_arena *arena, const ProtobufCMessageDescriptor *descriptor, const void *data,
                               size_t size);
/* Packs into the arena; NULL past the ceiling. */
void *tf_pb_pack(tf_arena *arena, const ProtobufCMessage *message, size_t *ret_size);

/* ---- identity ------------------------------------------------------------------------------------------------- */

/* The short signed internal token in metadata "tf-identity-bin": protobuf ticketflow.options.v1.Identity, then
 * HMAC-SHA-256 over it with the installation's internal key. Bound to an audience (service) and an expiry (30 s, with
 * 5 s of tolerance both ways). A server refuses calls without one (health and reflection apart). */
struct tf_identity_key {
    unsigned char secret[64];
    size_t size;
};
/* Bytes in the arena. */
void *tf_identity_seal(tf_arena *arena, const struct tf_identity_key *key, const struct tf_identity *identity,
                       const char *audience, tf_time now, size_t *ret_size);
/* Strings in the arena. TF_UNAUTHENTICATED when malformed, forged, expired or for another audience. */
TF_MUSTCHECK tf_code tf_identity_open(tf_arena *arena, const struct tf_identity_key *key, const void *token,
                                      size_t size, const char *audience, tf_time now, struct tf_identity *ret_identity);

/* ---- server --------------------------------------------------------------------------------------------------- */

typedef struct tf_rpc_server tf_rpc_server;

struct tf_rpc_server_config {
    const char *address; /* "127.0.0.1:17101"; port 0 is not allowed; a port in use is an error (no reuse) */
    const char *service; /* audience of identity tokens: "order" */
    const struct tf_rpc_service *const *services; /* NULL-ended */
    const struct tf_identity_key *identity_key;   /* borrowed */
    const tf_clock *clock;
    void *app;          /* becomes ctx->app */
    int workers;        /* threads that run handlers */
    int queue_max;      /* calls that wait for a worker; beyond: RESOURCE_EXHAUSTED/OVERLOADED at once */
    size_t message_max; /* bytes of a request; beyond: RESOURCE_EXHAUSTED by the library */
    size_t arena_max;   /* ceiling of one call's memory */
    void (*worker_start)(void *app, int worker); /* in the worker's thread; may be NULL */
    /* Asked before each call; false: the process cannot judge calls now (its clock is off, say), and this one is
     * refused unseen, for another instance to answer. Any thread, must not block; may be NULL. */
    bool (*fit)(void *app);
};

/* Starts listening and serving; health answers NOT_SERVING until tf_rpc_server_set_serving. On failure *ret_error has a
 * sentence that names the address (static or leaked once at start-up). */
TF_MUSTCHECK tf_code tf_rpc_server_start(const struct tf_rpc_server_config *config, tf_rpc_server **ret_server,
                                         const char **ret_error);
/* grpc.health.v1 (Check and Watch), for "" and every service's full name. */
void tf_rpc_server_set_serving(tf_rpc_server *server, bool serving);
/* Health NOT_SERVING, GOAWAY, calls in flight finish up to drain_ms, the rest is cancelled; joins all threads; frees.
 */
void tf_rpc_server_stop(tf_rpc_server *server, int drain_ms);

/* True when the caller has gone (cancelled or its connection died): long handlers poll it. False outside a call. */
bool tf_rpc_cancelled(const tf_ctx *ctx);

/* ---- client --------------------------------------------------------------------------------------------------- */

/* A client for one service: a channel per endpoint, and for each call the better of two random endpoints by calls in
 * flight. Avoided while there is a better one: endpoints that cannot be reached, that say NOT_SERVING by grpc.health.v1
 * (watched on every channel), that lost calls or let them run out of time several times in a row (circuit breaker, half
 * open again after a jittered while), and that owe answers and have been silent for a second. Endpoints come from
 * tf_rpc_client_set_endpoints (fed by etcd, or fixed). Thread-safe. */
typedef struct tf_rpc_client tf_rpc_client;

struct tf_rpc_client_config {
    const char *service;                        /* callee, audience of the identity token */
    const char *caller;                         /* own process name */
    const struct tf_identity_key *identity_key; /* borrowed */
    const tf_clock *clock;
    size_t message_max; /* bytes of an answer */
};

tf_rpc_client *tf_rpc_client_new(const struct tf_rpc_client_config *config);
void tf_rpc_client_free(tf_rpc_client *client);
/* Replaces the set; "host:port" each. Connections to endpoints that stay are not touched; a removed endpoint's channel
 * goes when its last call ends. An empty set is ignored: the last known membership stays in use. */
void tf_rpc_client_set_endpoints(tf_rpc_client *client, const char *const *endpoints, size_t n);
size_t tf_rpc_client_n_endpoints(tf_rpc_client *client);

/* Blocking unary call in the context of ctx: its deadline (or the method's default, whichever is sooner) travels;
 * request id, language, attempt, traceparent and identity too. With ctx->identity.user_id == 0 and no gateway identity
 * the call goes out as the calling service itself (internal); so does a call of a method that only services may make. A
 * client whose caller is "gateway" never does. The answer lives in ctx->arena.
 *
 * Attempts: up to three, each on another endpoint where there is one. A call that was never sent, or whose callee said
 * that no handler has seen it (it stops, or its queue is full), is tried again whatever the method; a lost one only
 * when the method is idempotent, and then an attempt gets half of the time left, so that a frozen instance leaves some
 * to another. Repeats are bounded to a share of the calls.
 *
 * Errors: the callee's reason, field and parameters are recorded in ctx; no endpoint or connection refused:
 * TF_STORE_DOWN; lost midway: TF_UNKNOWN_OUTCOME; TF_DEADLINE. */
TF_MUSTCHECK tf_code tf_rpc_call(tf_ctx *ctx, tf_rpc_client *client, const struct tf_rpc_method *method,
                                 const ProtobufCMessage *request, ProtobufCMessage **ret_response);
/* The same call, as the calling service itself whatever ctx->identity says (a service acting on its own behalf). */
TF_MUSTCHECK tf_code tf_rpc_call_internal(tf_ctx *ctx, tf_rpc_client *client, const struct tf_rpc_method *method,
                                          const ProtobufCMessage *request, ProtobufCMessage **ret_response);

/* Asynchronous form for the gateway: `done` runs once on the client's poller thread (it must not block), also on
 * failure. ctx stays the caller's and must live until then; on success response is in ctx->arena. Never fails
 * synchronously. */
typedef void (*tf_rpc_done)(tf_ctx *ctx, tf_code code, ProtobufCMessage *response, void *arg);
void tf_rpc_start(tf_ctx *ctx, tf_rpc_client *client, const struct tf_rpc_method *method,
                  const ProtobufCMessage *request, tf_rpc_done done, void *arg);
/* The same, for a caller that may lose its interest: made, started once, released once (before or after `done`). */
typedef struct client_call tf_rpc_pending;
tf_rpc_pending *tf_rpc_pending_new(tf_ctx *ctx, tf_rpc_client *client, const struct tf_rpc_method *method,
                                   tf_rpc_done done, void *arg);
void tf_rpc_pending_start(tf_rpc_pending *pending, const ProtobufCMessage *request);
/* Nobody waits any more: the callee is told, and `done` comes soon, with TF_CANCELLED unless an answer was faster. Any
 * thread; before the start, after `done`, and any number of times. */
void tf_rpc_pending_cancel(tf_rpc_pending *pending);
void tf_rpc_pending_release(tf_rpc_pending *pending);
