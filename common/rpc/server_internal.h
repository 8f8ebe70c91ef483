/* The server's parts, as they see each other. For this room only.
 *
 *   server.c       life: listening, accepting, draining
 *   server_call.c  one unary call, from the accept event to its end
 *   server_queue.c calls that wait for a worker, and the workers
 *   health.c       grpc.health.v1
 *
 * Threads: one poller runs every event; it accepts, sheds, and answers health itself. Workers run handlers. A new kind
 * of call (reflection, streams of our own) is a further object with its own accept event, as health's Watch is. */
#pragma once

#include "common/rpc/core.h"

#include <pthread.h>
#include <stdatomic.h>

struct server_call;
struct server_queue;
struct health;

struct server_method {
    tf_rpc_server *server;
    const struct tf_rpc_binding *binding;
    void *registered; /* the library's handle */
};

/* An answer that is given without looking at the call. */
struct server_refusal {
    tf_code code;
    void *details; /* packed; heap */
    size_t size;
};

struct tf_rpc_server {
    struct tf_rpc_server_config config;
    grpc_server *grpc;
    grpc_completion_queue *cq;
    pthread_t poller;
    struct server_method *methods;
    size_t n_methods;
    struct server_queue *queue;
    struct health *health;
    struct server_refusal overloaded, leaving; /* the queue is full; the server stops */
    _Atomic bool draining;                     /* new calls are refused: their callers go to another instance */
    _Atomic int64_t heard_us;                  /* monotonic: when the last call of a method arrived */
    _Atomic bool cancelled;                    /* the drain is over: calls that still wait are not run */
    bool polling;

    pthread_mutex_t stop_lock; /* protects calls and stopped */
    pthread_cond_t stop_cond;
    size_t calls; /* accepted and not yet forgotten */
    bool stopped; /* the library has closed all connections; after a cancellation calls may outlive them */
    struct tf_rpc_event stop_event;
};

/* ---- server.c ---------------------------------------------------------------------------------------------------- */

/* Every accepted call, of whatever kind, begins and ends once: the queue must not go before the last. */
void server_call_began(tf_rpc_server *server);
void server_call_ended(tf_rpc_server *server);

/* ---- server_call.c ---------------------------------------------------------------------------------------------- */

/* Waits for one more call of the method; false when the server is going down. */
bool server_call_post(struct server_method *method);
/* Waits for one more call of a method that does not exist, to say so. */
bool server_unknown_post(tf_rpc_server *server);
/* On a worker: checks, decodes, runs, answers; both arenas are reset afterwards. spare: for the words of an error,
 * which must get out although the handler used up its memory. */
void server_call_run(struct server_call *call, tf_arena *arena, tf_arena *spare);
enum { SPARE_BYTES = 64 * 1024 };
/* False: no memory. The details are the caller's to free. */
bool server_refusal_pack(tf_code code, int retry_after_ms, struct server_refusal *ret_refusal);

/* Starts the batch that ends a call: initial metadata, the message (NULL: none), the status with its details (NULL:
 * none), and, unless it was started before, the wait for the client's end in *cancelled. The caller keeps message. */
struct server_reply {
    grpc_byte_buffer *message;
    int status;
    const char *text;
    const void *details;
    size_t details_size;
    int *cancelled;    /* NULL: waited for elsewhere */
    bool headers_sent; /* a stream has sent its initial metadata */
    bool not_begun;    /* no handler has seen the call */
};
void server_reply_start(grpc_call *call, const struct server_reply *reply, struct tf_rpc_event *event);

/* ---- server_queue.c --------------------------------------------------------------------------------------------- */

struct server_queue *server_queue_new(tf_rpc_server *server);
/* Starts the workers. */
bool server_queue_start(struct server_queue *queue);
/* Whether a call that is pushed now would wait for a worker (not: be refused), as far as can be told. */
bool server_queue_would_wait(struct server_queue *queue);
/* False: full. */
bool server_queue_push(struct server_queue *queue, struct server_call *call);
/* Workers end when nothing waits any more; joins them. Accepts NULL. */
void server_queue_free(struct server_queue *queue);

/* ---- health.c --------------------------------------------------------------------------------------------------- */

/* Registers Check and Watch; before the server starts. */
struct health *health_new(tf_rpc_server *server);
/* Waits for calls; after the server started. */
void health_start(struct health *health);
void health_set(struct health *health, bool serving);
/* Ends all watches and later ones; the drain would wait for them. */
void health_end(struct health *health);
/* Accepts NULL. */
void health_free(struct health *health);
