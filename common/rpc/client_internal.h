/* The client's parts, as they see each other. For this room only.
 *
 *   client.c       life, and the completion queue and poller that all clients of a process share
 *   picker.c       the set of endpoints and the choice among them
 *   breaker.c      what the calls of an endpoint tell of it
 *   watch.c        what an endpoint tells of itself
 *   client_call.c  one call: attempts, their outcome, the answer or the error */
#pragma once

#include "common/rpc/breaker.h"
#include "common/rpc/core.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- watch.c ---------------------------------------------------------------------------------------------------- */

/* A health watch; one of its call and its pause is under way until the watch is over. */
struct watch {
    struct tf_rpc_event heard, ended, paused;
    grpc_call *call; /* NULL: none */
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *message;
    grpc_status_code status;
    grpc_slice text;
    int batches; /* of the call, under way */
    bool closing;
};

struct endpoint;
/* Begins; it holds a reference of the endpoint until it is over, soon after watch_stop. */
void watch_start(struct endpoint *endpoint);
void watch_stop(struct endpoint *endpoint);

/* ---- picker.c --------------------------------------------------------------------------------------------------- */

enum endpoint_health { HEALTH_UNKNOWN, HEALTH_SERVING, HEALTH_NOT_SERVING };

/* An endpoint with its channel. It lives while it is in the set, has calls or is watched. */
struct endpoint {
    char *address; /* "host:port" */
    char *target;  /* as the channel knows it; differs in form from what the library calls a connected peer */
    grpc_channel *channel;
    _Atomic int refs;
    pthread_mutex_t lock; /* protects what follows; taken inside the picker's */
    struct breaker breaker;
    enum endpoint_health health; /* as it said last */
    struct watch watch;
};
void endpoint_unref(struct endpoint *endpoint);

struct picker {
    pthread_mutex_t lock; /* protects endpoints and n */
    struct endpoint **endpoints;
    size_t n;
    size_t message_max;  /* bytes of an answer */
    const char *service; /* for the metrics; borrowed */
};

void picker_init(struct picker *picker, const char *service, size_t message_max);
void picker_done(struct picker *picker);
void picker_set(struct picker *picker, const char *const *addresses, size_t n);
size_t picker_count(struct picker *picker);
/* One attempt's use of an endpoint. */
struct pick {
    struct endpoint *endpoint;
    bool probe; /* it tries an endpoint whose breaker is open */
};
/* The better of two random endpoints, those in `avoid` (n_avoid of them) only when there is no other; counts a call in
 * flight on it. False: there is none at all. */
bool picker_take(struct picker *picker, const struct pick *avoid, size_t n_avoid, struct pick *ret_pick);
/* Whether there is an endpoint that is not among these. */
bool picker_has_other(struct picker *picker, const struct pick *avoid, size_t n_avoid);
/* The attempt is over; the reference stays. */
void picker_judge(struct picker *picker, struct pick *pick, enum breaker_verdict verdict);
/* Drops the reference. */
void picker_release(struct pick *pick);

/* ---- client.c --------------------------------------------------------------------------------------------------- */

struct tf_rpc_client {
    struct tf_rpc_client_config config; /* strings are copies */
    bool gateway;                       /* calls for whoever is logged in, or for nobody, never for itself */
    struct picker picker;
    pthread_mutex_t lock; /* protects calls, credit */
    pthread_cond_t idle;
    size_t calls; /* under way */
    int credit;   /* for repeats: calls earn it, repeats spend it, so that repeats cannot multiply a load */
};

/* The queue on which all clients' calls complete. Valid while a client exists. */
grpc_completion_queue *client_queue(void);
/* Makes the event happen on the poller at once (an empty batch is the only way that the library has). *ret_call is to
 * be unreferenced when it has happened. */
void client_post(struct tf_rpc_event *event, grpc_call **ret_call);
void client_call_began(tf_rpc_client *client);
/* Takes what a repeat costs. False: too many of the last calls were repeated. */
bool client_repeat_afford(tf_rpc_client *client);
void client_call_ended(tf_rpc_client *client);
