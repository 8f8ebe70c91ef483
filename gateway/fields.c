/* Body, path variables, query and headers → the request message. */
#include "gateway/fields.h"

#include "common/base/macros.h"
#include "common/json/transcode.h"
#include "gateway/negotiate.h"
#include "ticketflow/http/v1/body.tf.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { QUERY_PAIRS_MAX = 64, RAW_HEADERS_MAX = 32, NAME_SHOWN_MAX = 64 };

static void *field_at(ProtobufCMessage *message, size_t offset)
{
    return (char *)message + offset;
}

static tf_code no_room(tf_ctx *ctx)
{
    return tf_fail(ctx, TF_TOO_LARGE, "the request's memory is used up");
}

bool field_header(const tf_http_request *http, const char *name, const char **ret_value)
{
    struct tf_http_header header;

    *ret_value = NULL;
    for (size_t i = 0; tf_http_header_at(http, i, &header); i++) {
        if (strcasecmp(header.name, name) != 0) continue;
        if (*ret_value) return false;
        *ret_value = header.value;
    }
    return true;
}

/* The value of a header that may stand once. */
static tf_code single_header(tf_ctx *ctx, const tf_http_request *http, const char *name, const char **ret_value)
{
    if (field_header(http, name, ret_value)) return TF_OK;
    return tf_fail_field(ctx, name, "The header stands twice.");
}

/* ---- body ------------------------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool fields_type_is_json(const char *content_type)
{
    static const char json[] = "application/json";
    const char *p = content_type;

    if (!p || strncasecmp(p, json, sizeof json - 1) != 0) return false;
    p += sizeof json - 1;
    while (is_blank(*p))
        p++;
    while (*p == ';') {
        do
            p++;
        while (is_blank(*p));
        if (strncasecmp(p, "charset=", 8) == 0 && strncasecmp(p + 8, "utf-8", 5) != 0 &&
            strncasecmp(p + 8, "\"utf-8\"", 7) != 0)
            return false;
        p += strcspn(p, ";");
    }
    return *p == '\0';
}

static tf_code check_encoding(tf_ctx *ctx, const tf_http_request *http)
{
    const char *encoding;
    tf_code code = single_header(ctx, http, "Content-Encoding", &encoding);

    if (code) return code;
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return tf_fail_field(ctx, "Content-Encoding", "Bodies are taken uncompressed.");
    return TF_OK;
}

static tf_code read_json(tf_ctx *ctx, const struct gateway_route *route, const tf_http_request *http, size_t size_max,
                         ProtobufCMessage **ret_message)
{
    const char *type;
    size_t size;
    const char *body = tf_http_body(http, &size);
    tf_code code;

    if (size == 0) { /* the same as {} */
        *ret_message = tf_message_new(ctx, route->method->request);
        return *ret_message ? TF_OK : no_room(ctx);
    }
    if (size > size_max) return tf_fail(ctx, TF_TOO_LARGE, "a body of %zu bytes", size);
    code = single_header(ctx, http, "Content-Type", &type);
    if (code) return code;
    if (!fields_type_is_json(type))
        return tf_fail_field(ctx, "Content-Type", "The body must be application/json in UTF-8.");
    code = check_encoding(ctx, http);
    if (code) return code;

    return tf_json_to_message(ctx, route->method->request, body, size, NULL, ret_message);
}

/* Credentials stay at the door. */
static bool is_passed(const char *name)
{
    return strcasecmp(name, "authorization") != 0 && strcasecmp(name, "cookie") != 0 &&
           strcasecmp(name, "proxy-authorization") != 0;
}

static tf_code read_raw_headers(tf_ctx *ctx, const tf_http_request *http, RawBody *raw)
{
    struct tf_http_header header;

    raw->headers = TF_NEW_ARRAY(ctx->arena, Header *, RAW_HEADERS_MAX);
    if (!raw->headers) return no_room(ctx);
    for (size_t i = 0; raw->n_headers < RAW_HEADERS_MAX && tf_http_header_at(http, i, &header); i++) {
        Header *copy;

        if (!is_passed(header.name)) continue;
        copy = TF_NEW(ctx->arena, Header);
        if (!copy) return no_room(ctx);
        *copy = (Header)Header_init;
        copy->name = tf_arena_strdup(ctx->arena, header.name);
        copy->value = tf_arena_strdup(ctx->arena, header.value);
        if (!copy->name || !copy->value) return no_room(ctx);
        for (char *c = copy->name; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        raw->headers[raw->n_headers++] = copy;
    }
    return TF_OK;
}

static tf_code read_raw(tf_ctx *ctx, const struct gateway_route *route, const tf_http_request *http,
                        const struct fields_limits *limits, ProtobufCMessage **ret_message)
{
    RawBody *raw = TF_NEW(ctx->arena, RawBody);
    const char *type = tf_http_header_of(http, "Content-Type");
    size_t size, size_max = route->method->access & TF_ACCESS_PUBLIC ? limits->json_max : limits->file_max;
    const char *body = tf_http_body(http, &size);

    if (size > size_max) return tf_fail(ctx, TF_TOO_LARGE, "a body of %zu bytes", size);
    *ret_message = tf_message_new(ctx, route->method->request);
    if (!raw || !*ret_message) return no_room(ctx);
    *raw = (RawBody)RawBody_init;
    raw->data = (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)body};
    if (type) raw->content_type = (char *)(uintptr_t)type;
    *(RawBody **)field_at(*ret_message, route->body_offset) = raw;
    return read_raw_headers(ctx, http, raw);
}

static tf_code read_body(tf_ctx *ctx, const struct gateway_route *route, const tf_http_request *http,
                         const struct fields_limits *limits, ProtobufCMessage **ret_message)
{
    size_t size;

    switch (route->body) {
    case GATEWAY_BODY_JSON:
        return read_json(ctx, route, http, limits->json_max, ret_message);
    case GATEWAY_BODY_RAW:
        return read_raw(ctx, route, http, limits, ret_message);
    case GATEWAY_BODY_NONE:
        break;
    }
    tf_http_body(http, &size);
    if (size) return tf_fail_field(ctx, "", "This call takes no body.");
    *ret_message = tf_message_new(ctx, route->method->request);
    return *ret_message ? TF_OK : no_room(ctx);
}

/* ---- path ------------------------------------------------------------------------------------------------------- */

/* A body may repeat what the path says, but not contradict it. The default value counts as not given, as everywhere in
 * proto3. */
static tf_code set_variable(tf_ctx *ctx, const struct gateway_segment *segment, const char *text,
                            ProtobufCMessage *message)
{
    void *at = field_at(message, segment->offset);
    const char *string = segment->type == GATEWAY_STRING ? *(char **)at : "";
    int64_t number = segment->type == GATEWAY_INT64   ? *(int64_t *)at
                     : segment->type == GATEWAY_INT32 ? *(int32_t *)at
                                                      : 0;
    bool same;
    tf_code code;

    code = tf_message_set_text(ctx, message, segment->name, text);
    if (code) return code;

    switch (segment->type) {
    case GATEWAY_INT64:
        same = number == *(int64_t *)at;
        break;
    case GATEWAY_INT32:
        same = number == *(int32_t *)at;
        break;
    case GATEWAY_STRING:
        same = strcmp(string, *(char **)at) == 0;
        break;
    default:
        same = false;
    }
    if (same || (!number && !*string)) return TF_OK;
    return tf_fail_field(ctx, segment->name, "The body says otherwise than the path.");
}

tf_code fields_set_path(tf_ctx *ctx, const struct gateway_match *match, ProtobufCMessage *message)
{
    for (size_t i = 0; i < match->route->n_segments; i++) {
        const struct gateway_segment *segment = &match->route->segments[i];
        tf_code code;

        if (segment->literal) continue;
        code = set_variable(ctx, segment, match->values[i], message);
        if (code) return code;
    }
    return TF_OK;
}

/* ---- query ------------------------------------------------------------------------------------------------------ */

static const struct gateway_parameter *parameter_named(const struct gateway_route *route, const char *name)
{
    for (size_t i = 0; i < route->n_parameters; i++)
        if (strcmp(route->parameters[i].name, name) == 0 || strcmp(route->parameters[i].json_name, name) == 0)
            return &route->parameters[i];
    return NULL;
}

/* The name as the client wrote it, within bounds. */
static const char *shown(tf_ctx *ctx, const char *name)
{
    const char *cut = tf_arena_strndup(ctx->arena, name, strnlen(name, NAME_SHOWN_MAX));

    return cut ? cut : "query";
}

static tf_code set_parameter(tf_ctx *ctx, const struct gateway_route *route, const char *pair, size_t size,
                             uint64_t *given, ProtobufCMessage *message)
{
    const char *equals = memchr(pair, '=', size);
    size_t n_name = equals ? (size_t)(equals - pair) : size;
    const char *name = tf_url_decode(ctx->arena, pair, n_name, true), *value = "";
    const struct gateway_parameter *parameter;
    uint64_t bit;

    if (!name)
        return tf_arena_exhausted(ctx->arena) ? no_room(ctx)
                                              : tf_fail_field(ctx, "query", "The encoding is malformed.");
    parameter = parameter_named(route, name);
    if (!parameter) return tf_fail_field(ctx, shown(ctx, name), "There is no such query parameter here.");
    bit = UINT64_C(1) << (parameter - route->parameters);
    if (*given & bit && !parameter->repeated)
        return tf_fail_field(ctx, shown(ctx, name), "The parameter stands twice.");
    *given |= bit;
    if (equals) value = tf_url_decode(ctx->arena, equals + 1, size - n_name - 1, true);
    if (!value)
        return tf_arena_exhausted(ctx->arena) ? no_room(ctx)
                                              : tf_fail_field(ctx, shown(ctx, name), "The encoding is malformed.");
    return tf_message_set_text(ctx, message, parameter->name, value);
}

tf_code fields_set_query(tf_ctx *ctx, const struct gateway_route *route, const char *query, ProtobufCMessage *message)
{
    uint64_t given = 0;
    int n = 0;

    TF_ASSERT(route->n_parameters <= 64);
    while (*query) {
        size_t size = strcspn(query, "&");
        tf_code code;

        if (size) {
            if (++n > QUERY_PAIRS_MAX) return tf_fail_field(ctx, "query", "At most %d parameters.", QUERY_PAIRS_MAX);
            code = set_parameter(ctx, route, query, size, &given, message);
            if (code) return code;
        }
        query += size + (query[size] == '&');
    }
    return TF_OK;
}

/* ---- headers ---------------------------------------------------------------------------------------------------- */

tf_code fields_set_key(tf_ctx *ctx, const struct gateway_route *route, const char *key, ProtobufCMessage *message)
{
    static const char header[] = "Idempotency-Key";
    char **at = field_at(message, route->key_offset);

    if (!route->needs_key) return TF_OK;
    /* As an unknown member would be: the default is one string for all, so a member that was given is another pointer.
     */
    if (*at != protobuf_c_empty_string)
        return tf_fail_field(ctx, "request_id", "is not known here: the header Idempotency-Key carries it");
    if (!key) return tf_fail_field(ctx, header, "This call needs the header Idempotency-Key.");
    if (!gateway_key_valid(key)) return tf_fail_field(ctx, header, "8 to 64 characters of [A-Za-z0-9_-].");
    *at = tf_arena_strdup(ctx->arena, key);
    return *at ? TF_OK : no_room(ctx);
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

tf_code fields_read(tf_ctx *ctx, const struct gateway_match *match, const tf_http_request *http,
                    const struct fields_limits *limits, ProtobufCMessage **ret_message)
{
    const struct gateway_route *route = match->route;
    const char *key;
    tf_code code;

    code = read_body(ctx, route, http, limits, ret_message);
    if (code) return code;

    code = fields_set_path(ctx, match, *ret_message);
    if (code) return code;

    code = fields_set_query(ctx, route, tf_http_query(http), *ret_message);
    if (code) return code;

    code = single_header(ctx, http, "Idempotency-Key", &key);
    if (code) return code;

    return fields_set_key(ctx, route, key, *ret_message);
}
