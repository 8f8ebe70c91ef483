/* For this room only: what reading and writing of messages share about protobuf-c's layout. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <string.h>

/* google.protobuf.Timestamp, known by its name: our rooms do not see generated headers. */
static inline bool tf_is_timestamp(const ProtobufCMessageDescriptor *descriptor)
{
    return strcmp(descriptor->name, "google.protobuf.Timestamp") == 0;
}

static inline void *tf_member_at(const ProtobufCMessage *message, unsigned offset)
{
    return (char *)(uintptr_t)message + offset;
}

/* The count of a repeated field. */
static inline size_t *tf_field_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return tf_member_at(message, field->quantifier_offset);
}

/* The number of the field that a oneof holds; 0 when none. */
static inline uint32_t *tf_oneof_case(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return tf_member_at(message, field->quantifier_offset);
}

static inline bool tf_in_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* Bytes of one value as the struct holds it. */
static inline size_t tf_value_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return sizeof(uint32_t);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_FLOAT:
        return sizeof(float);
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(double);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(ProtobufCMessage *);
    }
    return 0;
}
