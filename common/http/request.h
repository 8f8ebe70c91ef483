/* A request between its connection, the handler and the loop that sends the answer. For this room only.
 *
 * The loop's thread owns everything but a request that is with the handler; the answer comes back through the loop's
 * mailbox from any thread. A request outlives its connection, and the loop too, until its tf_http_respond. */
#pragma once

#include "common/http/budget.h"
#include "common/http/parser.h"
#include "common/http/reply.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

struct tf_http_bytes {
    char *data;
    size_t size, capacity;
    size_t share; /* of the budget */
};

/* Room for so many bytes in all, at least as many as before. False: no memory, or not so much of it. */
bool tf_http_bytes_grow(struct tf_http_budget *budget, struct tf_http_bytes *bytes, size_t capacity);
void tf_http_bytes_free(struct tf_http_budget *budget, struct tf_http_bytes *bytes);

/* Where answers wait for the loop. Counted: a request that is with the handler keeps it. */
struct tf_http_mailbox {
    pthread_mutex_t lock; /* protects first, last, closed */
    tf_http_request *first, *last;
    bool closed;           /* nobody will look again: an answer only releases its request */
    int wake;              /* eventfd, written when the list was empty */
    _Atomic bool draining; /* answers say Connection: close */
    atomic_int refs;
    struct tf_http_budget *budget; /* counted */
    pthread_t thread;              /* the loop's; set before the first request */
    tf_http_request *dispatching;  /* loop's thread only: the handler runs for it and has not answered */
};

struct tf_http_request {
    struct tf_http_connection *connection; /* loop's thread only; NULL: gone, the answer goes nowhere */
    struct tf_http_mailbox *mailbox;       /* counted */
    tf_http_request *next;                 /* in the mailbox */
    struct tf_http_parser parser;
    size_t body_max;            /* of the server; the parser's own may be lowered for one request */
    struct tf_http_bytes bytes; /* header and body; the parser's offsets point into it */
    size_t answer_share;        /* of the budget, taken before the answer */
    struct tf_http_reply reply;
    bool with_handler, answered;
    _Atomic bool gone;
    void (*on_gone)(void *arg); /* with its argument under the mailbox's lock */
    void *on_gone_arg;
    void *context;
    char peer[INET6_ADDRSTRLEN];
};

/* The client has gone: tells whoever asked to know. Loop's thread. */
void tf_http_request_gone(tf_http_request *request);

/* Counts what the layer refused by itself. Any thread. */
void tf_http_count_refusal(int status);

struct tf_http_mailbox *tf_http_mailbox_new(struct tf_http_budget *budget);
void tf_http_mailbox_unref(struct tf_http_mailbox *mailbox);
/* Takes all answered requests, oldest first, linked by next. */
tf_http_request *tf_http_mailbox_take(struct tf_http_mailbox *mailbox);
/* From now on answers only release their requests. Returns what had come before. */
tf_http_request *tf_http_mailbox_close(struct tf_http_mailbox *mailbox);
void tf_http_mailbox_wake(struct tf_http_mailbox *mailbox);

tf_http_request *tf_http_request_new(struct tf_http_mailbox *mailbox, const char *peer, size_t header_max,
                                     size_t body_max);
/* Ready for the connection's next request; keeps modest memory. */
void tf_http_request_reset(tf_http_request *request);
void tf_http_request_free(tf_http_request *request);
