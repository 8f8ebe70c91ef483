/* protobuf-c messages in arena memory: decoding with the checks that protobuf-c leaves out, and encoding. */
#include "common/rpc/rpc.h"

#include "common/base/text.h"

#include <string.h>

static void *arena_alloc(void *arena, size_t size)
{
    return tf_arena_alloc(arena, size);
}

/* The arena forgets all at once. */
static void arena_free(void *arena TF_UNUSED, void *data TF_UNUSED)
{
}

static bool strings_valid(const ProtobufCMessage *message);

static bool string_valid(const char *s)
{
    return !s || tf_utf8_valid(s, strlen(s));
}

static bool element_valid(const ProtobufCFieldDescriptor *field, const void *element)
{
    const ProtobufCMessage *sub;

    if (field->type == PROTOBUF_C_TYPE_STRING) return string_valid(*(char *const *)element);
    sub = *(ProtobufCMessage *const *)element;
    return !sub || strings_valid(sub);
}

/* proto3 says that strings are UTF-8; protobuf-c does not look, and stores and JSON would trip over it later. Contracts
 * have no recursive messages (the generator refuses them), which bounds the depth here and in protobuf-c. */
static bool strings_valid(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;

    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const char *member = (const char *)message + field->offset;
        const char *quantifier = (const char *)message + field->quantifier_offset;

        if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE) continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)(const void *)quantifier;
            const char *elements = *(char *const *)(const void *)member;

            for (size_t k = 0; k < n; k++)
                if (!element_valid(field, elements + k * sizeof(void *))) return false;
            continue;
        }
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(const uint32_t *)(const void *)quantifier != field->id)
            continue;
        if (!element_valid(field, member)) return false;
    }
    return true;
}

ProtobufCMessage *tf_pb_unpack(tf_arena *arena, const ProtobufCMessageDescriptor *descriptor, const void *data,
                               size_t size)
{
    ProtobufCAllocator allocator = {.alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, size, data);

    if (!message || !strings_valid(message)) return NULL;
    return message;
}

void *tf_pb_pack(tf_arena *arena, const ProtobufCMessage *message, size_t *ret_size)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *out = tf_arena_alloc(arena, size);

    if (!out) return NULL;
    *ret_size = protobuf_c_message_pack(message, out);
    TF_ASSERT(*ret_size == size);
    return out;
}
