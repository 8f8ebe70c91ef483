/* The gateway's routes: what the contracts declare, and which of them a request means.
 *
 * The table is generated at build time (tools/gen/routegen.c) from the google.api.http options, the more specific
 * routes first. A path is compared segment by segment, percent-decoded, so that %2F belongs to a segment's text; empty
 * and dot segments match nothing. An unencoded ':' in the last segment begins the custom verb. */
#pragma once

#include "common/base/ctx.h"
#include "common/rpc/rpc.h"

#include <stdbool.h>
#include <stddef.h>

enum { GATEWAY_SEGMENTS_MAX = 8, GATEWAY_ALLOW_BYTES = 80 };

enum gateway_type { GATEWAY_INT32, GATEWAY_INT64, GATEWAY_STRING };

struct gateway_segment {
    const char *literal; /* NULL: a variable, with the rest */
    const char *name;    /* the request's field */
    enum gateway_type type;
    size_t offset; /* of the field in the request's struct */
};

/* A field of the request that the query may set. */
struct gateway_parameter {
    const char *name, *json_name;
    bool repeated;
};

enum gateway_body {
    GATEWAY_BODY_NONE,
    GATEWAY_BODY_JSON, /* the whole request */
    GATEWAY_BODY_RAW,  /* into the RawBody at body_offset */
};

struct gateway_route {
    const char *verb; /* "POST" */
    const char *path; /* "/v1/orders/{order_no}:cancel" */
    const char *name; /* verb and path: in logs and metrics */
    const struct gateway_segment *segments;
    size_t n_segments;
    const char *custom; /* "cancel", or NULL */
    const struct gateway_parameter *parameters;
    size_t n_parameters;
    enum gateway_body body;
    size_t body_offset;
    bool answers_raw; /* the answer is the RawBody at answer_offset */
    size_t answer_offset;
    bool needs_key; /* Idempotency-Key fills the string at key_offset (request_id) */
    size_t key_offset;
    const struct tf_rpc_method *method;
};

extern const struct gateway_route gateway_routes[];
extern const size_t gateway_n_routes;

struct gateway_match {
    const struct gateway_route *route;
    const char *values[GATEWAY_SEGMENTS_MAX]; /* decoded text of every segment, in the arena */
    char allow[GATEWAY_ALLOW_BYTES]; /* "GET, HEAD, OPTIONS": what the path offers; "" when there is no such path */
};

/* The route of a request; HEAD is looked up as GET. TF_METHOD_UNKNOWN, TF_METHOD_NOT_ALLOWED (match->allow is filled),
 * or TF_FIELD_INVALID for a path with malformed encoding. With TF_OK match->allow is filled too. */
TF_MUSTCHECK tf_code gateway_route_find(tf_ctx *ctx, const struct gateway_route *routes, size_t n_routes,
                                        const char *verb, const char *path, struct gateway_match *ret_match);
/* What the server as a whole offers: ret_match->allow has every verb of the table. */
void gateway_route_verbs(const struct gateway_route *routes, size_t n_routes, struct gateway_match *ret_match);
