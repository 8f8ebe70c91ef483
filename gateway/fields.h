/* From an HTTP request to the request message of an RPC: body, path variables, query, headers. */
#pragma once

#include "common/http/server.h"
#include "gateway/routes.h"

struct fields_limits {
    size_t json_max; /* bytes of a body */
    size_t file_max; /* bytes of a raw body that an operator sends */
};

/* The request message in ctx->arena; a raw body is borrowed from the HTTP request. TF_FIELD_INVALID names the field,
 * the query parameter or the header as the client wrote it; TF_TOO_LARGE. */
TF_MUSTCHECK tf_code fields_read(tf_ctx *ctx, const struct gateway_match *match, const tf_http_request *http,
                                 const struct fields_limits *limits, ProtobufCMessage **ret_message);
/* The parts of it that need no HTTP request. */
TF_MUSTCHECK tf_code fields_set_path(tf_ctx *ctx, const struct gateway_match *match, ProtobufCMessage *message);
TF_MUSTCHECK tf_code fields_set_query(tf_ctx *ctx, const struct gateway_route *route, const char *query,
                                      ProtobufCMessage *message);
/* key: the header's value, or NULL. */
TF_MUSTCHECK tf_code fields_set_key(tf_ctx *ctx, const struct gateway_route *route, const char *key,
                                    ProtobufCMessage *message);
/* Whether a Content-Type says JSON in UTF-8. */
bool fields_type_is_json(const char *content_type);
/* A header that may stand once: *ret_value is NULL when it is absent. False: it stands twice. */
bool field_header(const tf_http_request *http, const char *name, const char **ret_value);
