/* HTTP client over libcurl: blocking calls with a deadline, connections kept per handle. Used for etcd and payment
 * providers. */
#pragma once

#include "common/base/ctx.h"
#include "common/http/server.h" /* struct tf_http_header */

#include <stdatomic.h>

typedef struct tf_http_client tf_http_client;

/* A pool of connections; thread-safe. */
tf_http_client *tf_http_client_new(void);
void tf_http_client_free(tf_http_client *client);

struct tf_http_call {
    const char *method, *url; /* http:// or https:// */
    const struct tf_http_header *headers;
    size_t n_headers;
    const void *body;
    size_t size;
    size_t answer_max; /* bytes; beyond: failure */
    bool idempotent;   /* unanswered: TF_DEADLINE or TF_STORE_DOWN instead of TF_UNKNOWN_OUTCOME */
};
struct tf_http_answer {
    int status;
    const char *body; /* in ctx->arena, NUL-terminated */
    size_t size;
    const char *content_type;        /* "" when none */
    const char *const *header_lines; /* "name: value", lower-case names, NULL-ended */
};
/* The context's deadline bounds the whole. Codes: TF_STORE_DOWN (not connected), TF_UNKNOWN_OUTCOME, TF_DEADLINE,
 * TF_TOO_LARGE. Any HTTP status is TF_OK. */
TF_MUSTCHECK tf_code tf_http_perform(tf_ctx *ctx, tf_http_client *client, const struct tf_http_call *call,
                                     struct tf_http_answer *ret_answer);

/* An answer that does not end (watch): on_data gets each piece on the calling thread; it returns false to stop. Returns
 * when stopped, when the connection ended, when nothing arrived for idle_ms, or soon after *stop became true. TF_OK:
 * stopped, or ended by the peer after status 200; otherwise TF_STORE_DOWN, TF_DEADLINE (silent too long) or, for calls
 * that are not idempotent, TF_UNKNOWN_OUTCOME. */
typedef bool (*tf_http_on_data)(const void *data, size_t size, void *arg);
TF_MUSTCHECK tf_code tf_http_stream(tf_ctx *ctx, tf_http_client *client, const struct tf_http_call *call, int idle_ms,
                                    const atomic_bool *stop, tf_http_on_data on_data, void *arg);
