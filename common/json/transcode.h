/* proto3 JSON ↔ protobuf-c messages, by descriptors.
 *
 * Reading is strict: unknown members, wrong types, duplicates, invalid UTF-8, depth beyond the bound are refused with
 * the field's path. 64-bit integers are read from strings or numbers and written as strings; bytes as base64; enums by
 * name (declared numbers are read too); Timestamp as RFC 3339. Members are read by their proto names (snake_case) and
 * by lowerCamelCase, and written by their proto names, so that documents, contracts and code share one spelling
 * (docs/adr/0004). Fields with default values are written (a client need not guess); absent messages are left out. */
#pragma once

#include "common/base/buf.h"
#include "common/base/ctx.h"

#include <protobuf-c/protobuf-c.h>

struct tf_transcode_limits {
    int depth_max;       /* 16 */
    size_t elements_max; /* of one repeated field: 10,000 */
    size_t string_max;   /* bytes of one string: 65,536 */
};

/* Parses text into a message in ctx->arena. On failure TF_FIELD_INVALID with ctx->error.field as path
 * ("choices[0].tier"), or "" for the document. */
TF_MUSTCHECK tf_code tf_json_to_message(tf_ctx *ctx, const ProtobufCMessageDescriptor *descriptor, const char *text,
                                        size_t size, const struct tf_transcode_limits *limits,
                                        ProtobufCMessage **ret_message);
/* Sets one field (a dotted path) of a message from text as it stands in a URL (path variable or query parameter):
 * scalars, enums, Timestamp; repeated scalars append. TF_FIELD_INVALID names the field; an unknown field is refused. */
TF_MUSTCHECK tf_code tf_message_set_text(tf_ctx *ctx, ProtobufCMessage *message, const char *path, const char *text);
/* A new message with defaults in ctx->arena. */
ProtobufCMessage *tf_message_new(tf_ctx *ctx, const ProtobufCMessageDescriptor *descriptor);
/* Appends the message as JSON. */
void tf_message_to_json(tf_buf *out, const ProtobufCMessage *message);
