/* The client's parts, as they see each other. For this room only.
 *
 *   client.c       life, and the completion queue and poller that all clients of a process share
 *   picker.c       the set of endpoints and the choice among them
 *   client_call.c  one call: attempts, their outcome, the answer or the error */
#pragma once

#include "common/rpc/core.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- picker.c --------------------------------------------------------------------------------------------------- */

/* An endpoint with its channel. It lives while it is in the set or has calls. */
struct endpoint {
    char *address; /* "host:port" */
    char *target;  /* as the channel knows it; differs in form from what the library calls a connected peer */
    grpc_channel *channel;
    _Atomic int refs;
    _Atomic int in_flight;
};

struct picker {
    pthread_mutex_t lock; /* protects endpoints and n */
    struct endpoint **endpoints;
    size_t n;
    size_t message_max; /* bytes of an answer */
};

void picker_init(struct picker *picker, size_t message_max);
void picker_done(struct picker *picker);
void picker_set(struct picker *picker, const char *const *addresses, size_t n);
size_t picker_count(struct picker *picker);
/* The better of two random endpoints, `avoid` (may be NULL) only when there is no other; counts a call in flight on it.
 * NULL: there is none. */
struct endpoint *picker_take(struct picker *picker, const struct endpoint *avoid);
/* The call is over. */
void picker_release(struct endpoint *endpoint);

/* ---- client.c --------------------------------------------------------------------------------------------------- */

struct tf_rpc_client {
    struct tf_rpc_client_config config; /* strings are copies */
    bool gateway;                       /* calls for whoever is logged in, or for nobody, never for itself */
    struct picker picker;
    pthread_mutex_t lock; /* protects calls */
    pthread_cond_t idle;
    size_t calls; /* under way */
};

/* The queue on which all clients' calls complete. Valid while a client exists. */
grpc_completion_queue *client_queue(void);
/* Makes the event happen on the poller at once (an empty batch is the only way that the library has). *ret_call is to
 * be unreferenced when it has happened. */
void client_post(struct tf_rpc_event *event, grpc_call **ret_call);
void client_call_began(tf_rpc_client *client);
void client_call_ended(tf_rpc_client *client);
