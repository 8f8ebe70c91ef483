/* protobuf-c messages to proto3 JSON, straight into a buffer. */
#include "common/json/transcode.h"

#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/json/message.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void write_message(tf_json_writer *w, const ProtobufCMessage *message);

static void write_base64(tf_json_writer *w, const ProtobufCBinaryData *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { GROUPS = 256 };
    char text[GROUPS * 4];
    size_t used = 0;

    tf_json_put_raw(w, "\"", 1);
    for (size_t i = 0; i < bytes->len; i += 3) {
        size_t left = bytes->len - i;
        uint32_t group = (uint32_t)bytes->data[i] << 16;

        if (left > 1) group |= (uint32_t)bytes->data[i + 1] << 8;
        if (left > 2) group |= bytes->data[i + 2];
        text[used++] = digits[group >> 18];
        text[used++] = digits[group >> 12 & 63];
        text[used++] = left > 1 ? digits[group >> 6 & 63] : '=';
        text[used++] = left > 2 ? digits[group & 63] : '=';
        if (used == sizeof text) {
            tf_buf_append(w->out, text, used);
            used = 0;
        }
    }
    tf_buf_append(w->out, text, used);
    tf_buf_putc(w->out, '"');
}

/* Microseconds: what our times have. A time beyond their range has no RFC 3339 form: null. */
static void write_timestamp(tf_json_writer *w, const ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *fields = message->descriptor->fields; /* seconds, nanos: by number */
    int64_t us = 0;
    char text[TF_TIME_TEXT];

    if (__builtin_mul_overflow(*(int64_t *)tf_member_at(message, fields[0].offset), (int64_t)TF_US_PER_S, &us) ||
        __builtin_add_overflow(us, *(int32_t *)tf_member_at(message, fields[1].offset) / 1000, &us)) {
        tf_json_put_null(w);
        return;
    }
    tf_time_write(text, us);
    tf_json_put_string(w, text);
}

static void write_double(tf_json_writer *w, double value)
{
    if (isfinite(value))
        tf_json_put_real(w, value);
    else
        tf_json_put_string(w, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
}

static void write_enum(tf_json_writer *w, const ProtobufCEnumDescriptor *descriptor, int number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);

    if (value)
        tf_json_put_string(w, value->name);
    else
        tf_json_put_int(w, number);
}

static void write_value(tf_json_writer *w, const ProtobufCFieldDescriptor *field, const void *value)
{
    const char *string;
    char text[24];

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        tf_json_put_int(w, *(const int32_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        tf_json_put_int(w, *(const uint32_t *)value);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        tf_json_put_int_string(w, *(const int64_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        snprintf(text, sizeof text, "%" PRIu64, *(const uint64_t *)value);
        tf_json_put_string(w, text);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        write_double(w, (double)*(const float *)value);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        write_double(w, *(const double *)value);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        tf_json_put_bool(w, *(const protobuf_c_boolean *)value);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(w, field->descriptor, *(const int *)value);
        break;
    case PROTOBUF_C_TYPE_STRING:
        string = *(char *const *)value;
        tf_json_put_string(w, string ? string : "");
        break;
    case PROTOBUF_C_TYPE_BYTES:
        write_base64(w, value);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        write_message(w, *(ProtobufCMessage *const *)value);
        break;
    }
}

static void write_repeated(tf_json_writer *w, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *values = *(char *const *)tf_member_at(message, field->offset);
    size_t n = *tf_field_count(message, field);

    tf_json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        write_value(w, field, values + i * tf_value_size(field));
    tf_json_end_array(w);
}

static bool is_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (tf_in_oneof(field)) return *tf_oneof_case(message, field) == field->id;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(ProtobufCMessage *const *)tf_member_at(message, field->offset) != NULL;
    if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING)
        return *(const protobuf_c_boolean *)tf_member_at(message, field->quantifier_offset);
    return true;
}

static void write_message(tf_json_writer *w, const ProtobufCMessage *message)
{
    if (!message) { /* an empty oneof member or element: cannot be told from the default */
        tf_json_put_null(w);
        return;
    }
    if (tf_is_timestamp(message->descriptor)) {
        write_timestamp(w, message);
        return;
    }
    tf_json_begin_object(w);
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            tf_json_key(w, field->name);
            write_repeated(w, message, field);
        } else if (is_present(message, field)) {
            tf_json_key(w, field->name);
            write_value(w, field, tf_member_at(message, field->offset));
        }
    }
    tf_json_end_object(w);
}

void tf_message_to_json(tf_buf *out, const ProtobufCMessage *message)
{
    tf_json_writer w = {.out = out};

    write_message(&w, message);
}
