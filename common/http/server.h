/* HTTP/1.1 server, our own interface over libevent: N loops, each with its own listening socket on the same port.
 *
 * The layer bounds everything below a parsed request by itself: header bytes (431), body bytes (413), an absolute
 * deadline for the whole header (a slow sender is cut), for the body, idle time of a kept connection, connections in
 * all. Ambiguous framing (two Content-Length headers, Content-Length with Transfer-Encoding, malformed numbers) is
 * answered 400 and the connection closed. What the layer answers by itself has no body. An answer must keep leaving, 64
 * KiB in each body_timeout_ms, or the connection is cut. Pipelined requests are served one at a time.
 *
 * Memory: each connection may take three times TF_HTTP_SMALL_BYTES (a request, what is pipelined behind it, an answer);
 * all that is larger comes out of one budget, buffer_max. Where it does not suffice, a request is refused with 503
 * before more of it is read, and a large answer is not given; small ones go on. */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TF_HTTP_SMALL_BYTES = 8192 }; /* of a request, or of an answer's body: always taken */

typedef struct tf_http_server tf_http_server;
typedef struct tf_http_request tf_http_request;

struct tf_http_header {
    const char *name, *value;
};

/* Called on a loop's thread; must not block. Must lead to exactly one tf_http_respond, now or later, from any thread.
 */
typedef void (*tf_http_handler)(tf_http_request *request, void *arg);

/* Called on a loop's thread when the header is whole and the body is still to come, so that a large body is only taken
 * from whom it is wanted; must not block. Returns 0 to go on, and may lower *body_max then; or the status to refuse
 * with. */
typedef int (*tf_http_admit)(const tf_http_request *request, void *arg, size_t *body_max);

/* Called on a loop's thread for a request whose header is good and whose body is not taken, to say so in the server's
 * own words: 413 (too large), 503 (no memory left for it), or what `admit` returned. The request has no body. As a
 * handler it must not block and must lead to exactly one tf_http_respond; the connection closes with that. */
typedef void (*tf_http_decline)(tf_http_request *request, int status, void *arg);

struct tf_http_server_config {
    const char *address; /* "127.0.0.1:8080" */
    int loops;
    size_t header_max, body_max;
    int header_timeout_ms, body_timeout_ms, idle_timeout_ms;
    size_t buffer_max;   /* bytes of large requests and answers over all connections; 0: no bound but the others */
    int connections_max; /* over all loops; a new connection beyond it is closed at once */
    tf_http_handler handler;
    tf_http_admit admit;     /* or NULL: body_max is for all */
    tf_http_decline decline; /* or NULL: refused without a body */
    void *arg;               /* of all three */
};

/* On failure TF_STORE_DOWN, and *ret_error says which address and why (valid until the thread's next call). */
TF_MUSTCHECK tf_code tf_http_server_start(const struct tf_http_server_config *config, tf_http_server **ret_server,
                                          const char **ret_error);
/* The port that is listened on (the kernel's choice when the address said 0). */
int tf_http_server_port(const tf_http_server *server);
/* Closes the listeners, answers what is under way (Connection: close) up to drain_ms, joins, frees. Idle connections
 * may ask once more for half a second, so that no request meets a closing one. Requests that the handler still keeps
 * stay valid until their tf_http_respond, which then only releases them. */
void tf_http_server_stop(tf_http_server *server, int drain_ms);

/* ---- the request: borrowed strings, valid until tf_http_respond ------------------------------ */

const char *tf_http_method(const tf_http_request *request); /* "GET" */
const char *tf_http_path(const tf_http_request *request);   /* as sent, still percent-encoded, without the query */
const char *tf_http_query(const tf_http_request *request);  /* after '?', still encoded; "" when none */
const char *tf_http_header_of(const tf_http_request *request, const char *name); /* case-insensitive; first; NULL */
/* i-th header; false past the end. */
bool tf_http_header_at(const tf_http_request *request, size_t i, struct tf_http_header *ret_header);
const char *tf_http_body(const tf_http_request *request, size_t *ret_size);
const char *tf_http_peer(const tf_http_request *request); /* "127.0.0.1" */
/* True when the client has gone, or at least will send nothing more (which nearly always is the same): the answer need
 * not be worked out, though it is still sent if it can be. Any thread. */
bool tf_http_gone(const tf_http_request *request);
/* Asks to be called when tf_http_gone becomes true, at once if it is; once, on any thread. It must not block nor call
 * this layer. Not called after tf_http_respond, nor after another call of this function, which replaces the wish; NULL
 * takes it back. */
void tf_http_on_gone(tf_http_request *request, void (*gone)(void *arg), void *arg);
/* For the handler's own use, freed by the handler's owner. */
void tf_http_set_context(tf_http_request *request, void *context);
void *tf_http_context(const tf_http_request *request);

/* Takes room for an answer's body of so many bytes, instead of what was taken before. False: there is none left; answer
 * something small. Any thread; for a request that is with the handler. */
TF_MUSTCHECK bool tf_http_reserve(tf_http_request *request, size_t size);
/* Answers and ends the request. Headers and body are copied. A body for which there is no room (see tf_http_reserve)
 * becomes a bare 503. Any thread; exactly once. HEAD gets no body. Date,
 * Content-Length and Connection are the layer's and ignored when given, but "Connection: close" is heeded. Control
 * characters in values become blanks. */
void tf_http_respond(tf_http_request *request, int status, const struct tf_http_header *headers, size_t n_headers,
                     const void *body, size_t size);

/* Percent-decodes one path segment or query value ('+' is a blank in a query). In the arena; NULL when malformed or
 * when it decodes to a NUL byte or invalid UTF-8. */
struct tf_arena;
char *tf_url_decode(struct tf_arena *arena, const char *text, size_t size, bool query);
