/* proto3 JSON to protobuf-c messages, strictly, with the path of what is wrong. */
#include "common/json/transcode.h"

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/json/jansson_value.h"
#include "common/json/message.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum {
    DEPTH_MAX = 16,
    ELEMENTS_MAX = 10000,
    STRING_MAX = 65536,
    TEXT_ELEMENTS_MAX = 100,  /* of a repeated field in a URL: each append copies the list */
    PATH_BYTES_MAX = 512,     /* of a path in an error */
    PATH_NAME_BYTES_MAX = 64, /* of one name in it; a client's longer names are cut */
};

static const struct tf_transcode_limits default_limits = {DEPTH_MAX, ELEMENTS_MAX, STRING_MAX};

/* Where we are in the document, from the inside out; made text only when something is wrong. */
struct where {
    const struct where *parent;
    const char *name; /* as the client wrote it; NULL: element `index` of the parent */
    size_t index;
};

struct reader {
    tf_ctx *ctx;
    const struct tf_transcode_limits *limits;
    bool for_blame; /* the document has too large an integer: all integers are read as reals, only to find where */
};

static tf_code read_message(struct reader *r, const struct where *where, const json_t *json,
                            const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret_message);

/* ---- errors ---------------------------------------------------------------------------------- */

/* The name, cut between characters. */
static void put_name(tf_buf *path, const char *name)
{
    size_t n = strnlen(name, PATH_NAME_BYTES_MAX + 1);

    if (n > PATH_NAME_BYTES_MAX)
        while (((unsigned char)name[--n] & 0xc0) == 0x80)
            ;
    tf_buf_append(path, name, n);
}

static void put_path(tf_buf *path, const struct where *where)
{
    char text[32];

    if (!where) return;
    put_path(path, where->parent);
    if (where->name) {
        if (path->size) tf_buf_putc(path, '.');
        put_name(path, where->name);
    } else {
        snprintf(text, sizeof text, "[%zu]", where->index);
        tf_buf_puts(path, text);
    }
}

static tf_code fail_at(struct reader *r, const struct where *where, const char *detail)
{
    tf_cleanup(tf_buf_done) tf_buf path;

    tf_buf_init(&path, PATH_BYTES_MAX);
    put_path(&path, where);
    return tf_fail_field(r->ctx, path.data ? path.data : "", "%s", detail);
}

static tf_code fail_room(tf_ctx *ctx)
{
    return tf_fail(ctx, TF_TOO_LARGE, "a request's message does not fit the arena");
}

/* ---- fields by name -------------------------------------------------------------------------- */

/* "show_id" as "showId". */
static bool is_camel_of(const char *camel, const char *name)
{
    for (; *name; name++) {
        char c = *name;

        if (c == '_') {
            c = *++name;
            if (!c) return !*camel;
            if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        }
        if (*camel++ != c) return false;
    }
    return !*camel;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor, const char *name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(descriptor, name);

    if (field) return field;
    for (unsigned i = 0; i < descriptor->n_fields; i++)
        if (is_camel_of(name, descriptor->fields[i].name)) return &descriptor->fields[i];
    return NULL;
}

/* ---- scalars --------------------------------------------------------------------------------- */

static bool is_signed_32(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_SINT32 || type == PROTOBUF_C_TYPE_SFIXED32;
}

static bool is_unsigned_32(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_UINT32 || type == PROTOBUF_C_TYPE_FIXED32;
}

static bool is_unsigned_64(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_UINT64 || type == PROTOBUF_C_TYPE_FIXED64;
}

static tf_code store_int(struct reader *r, const struct where *where, ProtobufCType type, int64_t number, void *out)
{
    if (is_signed_32(type)) {
        if (number < INT32_MIN || number > INT32_MAX) return fail_at(r, where, "must fit 32 bits");
        *(int32_t *)out = (int32_t)number;
    } else if (is_unsigned_32(type)) {
        if (number < 0 || number > UINT32_MAX) return fail_at(r, where, "must be 0 to 4294967295");
        *(uint32_t *)out = (uint32_t)number;
    } else if (is_unsigned_64(type) && number < 0) {
        return fail_at(r, where, "must not be negative");
    } else {
        *(int64_t *)out = number;
    }
    return TF_OK;
}

static tf_code int_from_text(struct reader *r, const struct where *where, ProtobufCType type, const char *text,
                             void *out)
{
    int64_t number;

    if (is_unsigned_64(type)) {
        if (tf_parse_uint64(text, out)) return TF_OK;
        return fail_at(r, where, "must be a decimal integer of at most 64 bits, not negative");
    }
    if (!tf_parse_int64(text, &number)) return fail_at(r, where, "must be a decimal integer of at most 64 bits");
    return store_int(r, where, type, number, out);
}

static tf_code enum_from_text(struct reader *r, const struct where *where, const ProtobufCEnumDescriptor *descriptor,
                              const char *text, void *out)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(descriptor, text);

    if (!value) return fail_at(r, where, "is not one of the names that the contract declares");
    *(int *)out = value->value;
    return TF_OK;
}

static tf_code enum_from_int(struct reader *r, const struct where *where, const ProtobufCEnumDescriptor *descriptor,
                             int64_t number, void *out)
{
    if (number < INT32_MIN || number > INT32_MAX || !protobuf_c_enum_descriptor_get_value(descriptor, (int)number))
        return fail_at(r, where, "is not one of the numbers that the contract declares");
    *(int *)out = (int)number;
    return TF_OK;
}

static tf_code store_real(struct reader *r, const struct where *where, ProtobufCType type, double number, void *out)
{
    if (type == PROTOBUF_C_TYPE_DOUBLE) {
        *(double *)out = number;
        return TF_OK;
    }
    if (fabs(number) > (double)FLT_MAX) return fail_at(r, where, "is too large a number");
    *(float *)out = (float)number;
    return TF_OK;
}

static tf_code string_from_text(struct reader *r, const struct where *where, const char *text, size_t size, void *out)
{
    char *copy;

    if (size > r->limits->string_max) return fail_at(r, where, "is too long");

    copy = tf_arena_strndup(r->ctx->arena, text, size);
    if (!copy) return fail_room(r->ctx);
    *(char **)out = copy;
    return TF_OK;
}

static tf_code bytes_from_text(struct reader *r, const struct where *where, const char *text, size_t size, bool url,
                               void *out)
{
    ProtobufCBinaryData *bytes = out;
    void *data;
    size_t n;

    if (size > r->limits->string_max) return fail_at(r, where, "is too long");

    data = tf_base64_decode(r->ctx->arena, text, size, url, &n);
    if (!data && tf_arena_exhausted(r->ctx->arena)) return fail_room(r->ctx);
    if (!data) return fail_at(r, where, url ? "must be base64url without padding" : "must be base64 with padding");
    *bytes = (ProtobufCBinaryData){n, data};
    return TF_OK;
}

static tf_code timestamp_from_text(struct reader *r, const struct where *where,
                                   const ProtobufCMessageDescriptor *descriptor, const char *text, void *out)
{
    ProtobufCMessage *message;
    tf_time us, part;

    if (!tf_time_parse(text, &us)) return fail_at(r, where, "must be a time such as 2026-11-22T18:43:00Z");

    message = tf_message_new(r->ctx, descriptor);
    if (!message) return fail_room(r->ctx);

    part = us % TF_US_PER_S;
    if (part < 0) part += TF_US_PER_S; /* nanos count forward, before 1970 too */
    *(int64_t *)tf_member_at(message, descriptor->fields[0].offset) = (us - part) / TF_US_PER_S;
    *(int32_t *)tf_member_at(message, descriptor->fields[1].offset) = (int32_t)part * 1000;
    *(ProtobufCMessage **)out = message;
    return TF_OK;
}

/* ---- one value of a document ----------------------------------------------------------------- */

static tf_code read_int(struct reader *r, const struct where *where, ProtobufCType type, const json_t *json, void *out)
{
    if (json_is_integer(json)) return store_int(r, where, type, json_integer_value(json), out);
    if (r->for_blame && json_is_real(json)) {
        if (fabs(json_real_value(json)) < 0x1p63) return TF_OK;
        return fail_at(r, where, "must be a decimal integer of at most 64 bits");
    }
    if (json_is_string(json)) return int_from_text(r, where, type, json_string_value(json), out);
    return fail_at(r, where, "must be an integer or a string of decimal digits");
}

static tf_code read_value(struct reader *r, const struct where *where, const ProtobufCFieldDescriptor *field,
                          const json_t *json, void *out)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        if (!json_is_number(json)) return fail_at(r, where, "must be a number");
        return store_real(r, where, field->type, json_number_value(json), out);
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_is_boolean(json)) return fail_at(r, where, "must be true or false");
        *(protobuf_c_boolean *)out = json_is_true(json);
        return TF_OK;
    case PROTOBUF_C_TYPE_ENUM:
        if (json_is_integer(json)) return enum_from_int(r, where, field->descriptor, json_integer_value(json), out);
        if (r->for_blame && json_is_real(json)) return TF_OK;
        if (!json_is_string(json)) return fail_at(r, where, "must be one of the contract's names");
        return enum_from_text(r, where, field->descriptor, json_string_value(json), out);
    case PROTOBUF_C_TYPE_STRING:
        if (!json_is_string(json)) return fail_at(r, where, "must be a string");
        return string_from_text(r, where, json_string_value(json), json_string_length(json), out);
    case PROTOBUF_C_TYPE_BYTES:
        if (!json_is_string(json)) return fail_at(r, where, "must be a string of base64");
        return bytes_from_text(r, where, json_string_value(json), json_string_length(json), false, out);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (!tf_is_timestamp(field->descriptor)) return read_message(r, where, json, field->descriptor, out);
        if (!json_is_string(json)) return fail_at(r, where, "must be a string such as 2026-11-22T18:43:00Z");
        return timestamp_from_text(r, where, field->descriptor, json_string_value(json), out);
    default:
        return read_int(r, where, field->type, json, out);
    }
}

static tf_code read_repeated(struct reader *r, const struct where *where, const ProtobufCFieldDescriptor *field,
                             const json_t *json, ProtobufCMessage *message)
{
    size_t n = json_array_size(json), size = tf_value_size(field);
    char *values;

    if (!json_is_array(json)) return fail_at(r, where, "must be an array");
    if (n > r->limits->elements_max) return fail_at(r, where, "has too many elements");
    if (n == 0) return TF_OK;

    values = tf_arena_calloc(r->ctx->arena, n, size);
    if (!values) return fail_room(r->ctx);

    for (size_t i = 0; i < n; i++) {
        struct where element = {.parent = where, .index = i};
        tf_code code = read_value(r, &element, field, json_array_get(json, i), values + i * size);

        if (code) return code;
    }
    *(char **)tf_member_at(message, field->offset) = values;
    *tf_field_count(message, field) = n;
    return TF_OK;
}

/* Says in the struct that a singular field is there. */
static void mark_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (tf_in_oneof(field))
        *tf_oneof_case(message, field) = field->id;
    else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING &&
             field->type != PROTOBUF_C_TYPE_MESSAGE)
        *(protobuf_c_boolean *)tf_member_at(message, field->quantifier_offset) = true;
}

static tf_code read_member(struct reader *r, const struct where *where, const ProtobufCFieldDescriptor *field,
                           const json_t *json, ProtobufCMessage *message)
{
    tf_code code;

    if (json_is_null(json)) return TF_OK; /* proto3 JSON: the same as absent */
    if (field->label == PROTOBUF_C_LABEL_REPEATED) return read_repeated(r, where, field, json, message);
    if (tf_in_oneof(field) && *tf_oneof_case(message, field))
        return fail_at(r, where, "excludes another member that is given too");

    code = read_value(r, where, field, json, tf_member_at(message, field->offset));
    if (code) return code;

    mark_present(message, field);
    return TF_OK;
}

static tf_code read_message(struct reader *r, const struct where *where, const json_t *json,
                            const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret_message)
{
    ProtobufCMessage *message;
    json_t *object = (json_t *)(uintptr_t)json; /* iterators take it so and change nothing */
    bool *seen;

    if (!json_is_object(json)) return fail_at(r, where, where ? "must be an object" : "must be a JSON object");

    message = tf_message_new(r->ctx, descriptor);
    seen = TF_NEW_ARRAY(r->ctx->arena, bool, descriptor->n_fields);
    if (!message || !seen) return fail_room(r->ctx);

    for (void *member = json_object_iter(object); member; member = json_object_iter_next(object, member)) {
        struct where inner = {.parent = where, .name = json_object_iter_key(member)};
        const ProtobufCFieldDescriptor *field = find_field(descriptor, inner.name);
        tf_code code;

        if (!field) return fail_at(r, &inner, "is not known here");
        if (seen[field - descriptor->fields]) return fail_at(r, &inner, "is given twice, in two spellings");
        seen[field - descriptor->fields] = true;

        code = read_member(r, &inner, field, json_object_iter_value(member), message);
        if (code) return code;
    }
    *ret_message = message;
    return TF_OK;
}

/* ---- the three doors ------------------------------------------------------------------------- */

ProtobufCMessage *tf_message_new(tf_ctx *ctx, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = tf_arena_alloc(ctx->arena, descriptor->sizeof_message);

    if (message) descriptor->message_init(message);
    return message;
}

/* The document is not valid. When that is because an integer has more than 64 bits, the field that has it is named. */
static tf_code fail_document(tf_ctx *ctx, const ProtobufCMessageDescriptor *descriptor, const char *text, size_t size,
                             const struct tf_transcode_limits *limits, const char *error)
{
    struct reader r = {ctx, limits, true};
    tf_cleanup(tf_json_freep) tf_json *document = NULL;
    ProtobufCMessage *message;
    tf_code code = TF_OK;

    if (strstr(error, "too big"))
        document = tf_json_of_jansson(json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL));
    if (document) code = read_message(&r, NULL, tf_json_to_jansson(document), descriptor, &message);
    return code ? code : tf_fail_field(ctx, "", "The document is not valid: %s", error);
}

tf_code tf_json_to_message(tf_ctx *ctx, const ProtobufCMessageDescriptor *descriptor, const char *text, size_t size,
                           const struct tf_transcode_limits *limits, ProtobufCMessage **ret_message)
{
    struct reader r = {ctx, limits ? limits : &default_limits, false};
    tf_cleanup(tf_json_freep) tf_json *document = NULL;
    const char *error;

    document = tf_json_parse(ctx->arena, text, size, r.limits->depth_max, &error);
    if (!document) return fail_document(ctx, descriptor, text, size, r.limits, error);

    return read_message(&r, NULL, tf_json_to_jansson(document), descriptor, ret_message);
}

static tf_code read_text(struct reader *r, const struct where *where, const ProtobufCFieldDescriptor *field,
                         const char *text, void *out)
{
    size_t size = strlen(text);
    int64_t number;

    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE: {
        tf_cleanup(tf_json_freep) tf_json *value = NULL;
        const char *error;

        value = tf_json_parse(r->ctx->arena, text, size, 1, &error); /* JSON's grammar of numbers */
        return read_value(r, where, field, tf_json_to_jansson(value), out);
    }
    case PROTOBUF_C_TYPE_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) return fail_at(r, where, "must be true or false");
        *(protobuf_c_boolean *)out = *text == 't';
        return TF_OK;
    case PROTOBUF_C_TYPE_ENUM:
        if (tf_parse_int64(text, &number)) return enum_from_int(r, where, field->descriptor, number, out);
        return enum_from_text(r, where, field->descriptor, text, out);
    case PROTOBUF_C_TYPE_STRING:
        if (!tf_utf8_valid(text, size)) return fail_at(r, where, "must be valid UTF-8");
        return string_from_text(r, where, text, size, out);
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_from_text(r, where, text, size, true, out);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (!tf_is_timestamp(field->descriptor)) return fail_at(r, where, "has members: name one of them");
        return timestamp_from_text(r, where, field->descriptor, text, out);
    default:
        return int_from_text(r, where, field->type, text, out);
    }
}

static tf_code append_text(struct reader *r, const struct where *where, const ProtobufCFieldDescriptor *field,
                           const char *text, ProtobufCMessage *message)
{
    size_t *n = tf_field_count(message, field), size = tf_value_size(field);
    char **values = tf_member_at(message, field->offset);
    char *longer;
    tf_code code;

    if (*n >= TEXT_ELEMENTS_MAX) return fail_at(r, where, "has too many elements");

    longer = tf_arena_calloc(r->ctx->arena, *n + 1, size);
    if (!longer) return fail_room(r->ctx);

    code = read_text(r, where, field, text, longer + *n * size);
    if (code) return code;

    if (*n) memcpy(longer, *values, *n * size);
    *values = longer;
    ++*n;
    return TF_OK;
}

/* The member of `message` that leads on along the path, made when absent. */
static tf_code enter_member(struct reader *r, const struct where *where, const ProtobufCFieldDescriptor *field,
                            ProtobufCMessage *message, ProtobufCMessage **ret_member)
{
    ProtobufCMessage **member = tf_member_at(message, field->offset);
    bool held = !tf_in_oneof(field) || *tf_oneof_case(message, field) == field->id;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED ||
        tf_is_timestamp(field->descriptor))
        return fail_at(r, where, "is not known here");
    if (!held && *tf_oneof_case(message, field)) return fail_at(r, where, "excludes another member that is given too");
    if (!held || !*member) {
        *member = tf_message_new(r->ctx, field->descriptor);
        if (!*member) return fail_room(r->ctx);
        mark_present(message, field);
    }
    *ret_member = *member;
    return TF_OK;
}

tf_code tf_message_set_text(tf_ctx *ctx, ProtobufCMessage *message, const char *path, const char *text)
{
    struct reader r = {ctx, &default_limits, false};
    struct where where = {.name = path}; /* the whole path, whichever part of it is wrong */
    const ProtobufCFieldDescriptor *field;
    char name[64];
    tf_code code;

    for (;;) {
        size_t size = strcspn(path, ".");

        if (size >= sizeof name) return fail_at(&r, &where, "is not known here");
        memcpy(name, path, size);
        name[size] = '\0';
        field = find_field(message->descriptor, name);
        if (!field) return fail_at(&r, &where, "is not known here");
        if (!path[size]) break;

        code = enter_member(&r, &where, field, message, &message);
        if (code) return code;
        path += size + 1;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) return append_text(&r, &where, field, text, message);
    if (tf_in_oneof(field) && *tf_oneof_case(message, field) && *tf_oneof_case(message, field) != field->id)
        return fail_at(&r, &where, "excludes another member that is given too");

    code = read_text(&r, &where, field, text, tf_member_at(message, field->offset));
    if (code) return code;

    mark_present(message, field);
    return TF_OK;
}
