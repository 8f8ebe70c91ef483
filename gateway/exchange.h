/* One HTTP request on its way through the gateway, from the parsed header to the access log.
 *
 * It belongs to one thread at a time: a loop's, then perhaps the key thread's, then the rpc client's poller, then
 * perhaps a worker. Exactly one answer_… call ends it. */
#pragma once

#include "common/base/ctx.h"
#include "common/http/server.h"
#include "gateway/gateway.h"
#include "gateway/routes.h"

enum { EXCHANGE_ID_BYTES = 65 };

struct exchange {
    struct gateway_waiter waiter;     /* first: resume finds the exchange by it */
    struct gateway_job job;           /* when a worker writes the answer */
    const ProtobufCMessage *response; /* then; in the arena */
    struct gateway *gateway;
    tf_http_request *http;
    tf_rpc_pending *pending; /* the call under way; NULL: none */
    tf_ctx ctx;              /* arena of the exchange's own */
    char request_id[EXCHANGE_ID_BYTES];
    int64_t began_us;
    struct gateway_match match;
    const char *origin;    /* of a page that may call, or NULL */
    int declined;          /* status for which the body was not taken; 0: the request is whole */
    bool waited;           /* for keys, once */
    bool token_bad;        /* a token was given and refused */
    struct exchange *next; /* in the pool */
};

struct exchange_pool *exchange_pool_new(void);
void exchange_pool_free(struct exchange_pool *pool); /* accepts NULL */

/* tf_http_handler; arg: the gateway. */
void exchange_begin(tf_http_request *http, void *arg);
/* tf_http_decline: the refusal in words, or what else is wrong with the request. */
void exchange_decline(tf_http_request *http, int status, void *arg);
/* tf_http_admit: large bodies are taken for routes of files and from those who may call them only. */
int exchange_admit(const tf_http_request *http, void *arg, size_t *body_max);
/* After the answer was given: counts, and gives the memory back. */
void exchange_end(struct exchange *x);
