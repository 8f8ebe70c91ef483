/* Reads a descriptor set into the plain model of contracts.h.
 *
 * The set is decoded through protobuf-c's compiled descriptor.proto. Our method options are extensions, which
 * protobuf-c keeps as unknown fields: their bytes are decoded with the compiled messages of the options. */
#include "contracts.h"
#include "contracts_check.h"

#include "google/api/http.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "ticketflow/options/v1/options.pb-c.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__SourceCodeInfo__Location location_proto;
typedef Ticketflow__Options__V1__Method method_option;

enum {
    TAG_HTTP = 72295728,        /* google.api.http */
    TAG_METHOD = 50100,         /* ticketflow.options.v1.method */
    DEADLINE_DEFAULT_MS = 5000, /* as options.proto says */
    PATH_MAX_DEPTH = 32,
};

/* Field numbers that make up paths in SourceCodeInfo. */
enum {
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    FILE_SYNTAX = 12,
    MESSAGE_FIELD = 2,
    MESSAGE_NESTED = 3,
    MESSAGE_ENUM = 4,
    ENUM_VALUE = 2,
    SERVICE_METHOD = 2,
};

struct contract_block {
    struct contract_block *next;
    max_align_t data[];
};

struct path {
    int32_t parts[PATH_MAX_DEPTH];
    size_t n;
};

/* What is read now. */
struct reader {
    struct contracts *contracts;
    struct contract_file *file;
    const file_proto *proto;
    FILE *errors;
    bool failed;
};

static void *keep(struct contracts *contracts, size_t count, size_t size)
{
    struct contract_block *block = calloc(1, sizeof(*block) + count * size);

    if (!block) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    block->next = contracts->blocks;
    contracts->blocks = block;
    return block->data;
}

static char *keep_text(struct contracts *contracts, const char *s, size_t n)
{
    char *copy = keep(contracts, n + 1, 1);

    memcpy(copy, s, n);
    return copy;
}

static char *keep_string(struct contracts *contracts, const char *s)
{
    return keep_text(contracts, s ? s : "", s ? strlen(s) : 0);
}

static char *join(struct contracts *contracts, const char *a, const char *separator, const char *b)
{
    size_t n = strlen(a) + strlen(separator) + strlen(b);
    char *out = keep(contracts, n + 1, 1);

    snprintf(out, n + 1, "%s%s%s", a, separator, b);
    return out;
}

/* "CreateOrder" → "create_order", by the rule of protoc-gen-c so that our names follow its. */
static char *snake_of(struct contracts *contracts, const char *name)
{
    char *out = keep(contracts, 2 * strlen(name) + 1, 1), *o = out;
    bool was_upper = true;

    for (; *name; name++) {
        bool is_upper = isupper((unsigned char)*name) != 0;

        if (is_upper && !was_upper) *o++ = '_';
        *o++ = (char)tolower((unsigned char)*name);
        was_upper = is_upper;
    }
    return out;
}

static struct path path_to(const struct path *path, int32_t field, size_t index)
{
    struct path out = path ? *path : (struct path){.n = 0};

    if (out.n + 2 <= PATH_MAX_DEPTH) {
        out.parts[out.n++] = field;
        out.parts[out.n++] = (int32_t)index;
    }
    return out;
}

/* The comment above (else behind) the element, trimmed; lines joined as written. */
static const char *comment_at(struct reader *r, const int32_t *parts, size_t n)
{
    for (size_t i = 0; r->proto->source_code_info && i < r->proto->source_code_info->n_location; i++) {
        const location_proto *at = r->proto->source_code_info->location[i];
        const char *text =
            at->leading_comments && at->leading_comments[0] ? at->leading_comments : at->trailing_comments;
        size_t size;

        if (at->n_path != n || memcmp(at->path, parts, n * sizeof(*parts)) != 0) continue;
        if (!text) return "";
        while (isspace((unsigned char)*text))
            text++;
        size = strlen(text);
        while (size > 0 && isspace((unsigned char)text[size - 1]))
            size--;
        return keep_text(r->contracts, text, size);
    }
    return "";
}

static const char *comment_of(struct reader *r, const struct path *path)
{
    return comment_at(r, path->parts, path->n);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

/* Payload of a length-delimited unknown field, whose stored bytes begin with the length. */
static const uint8_t *payload_of(const ProtobufCMessageUnknownField *field, size_t *ret_size)
{
    size_t at = 0;

    while (at < field->len && (field->data[at] & 0x80))
        at++;
    if (at < field->len) at++;
    *ret_size = field->len - at;
    return field->data + at;
}

/* A message-typed extension: occurrences concatenated, which is how protobuf merges them. NULL when absent. */
static uint8_t *extension_of(struct reader *r, const ProtobufCMessage *options, uint32_t tag, size_t *ret_size)
{
    uint8_t *bytes = NULL;
    size_t total = 0;

    for (unsigned i = 0; options && i < options->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field = &options->unknown_fields[i];
        const uint8_t *payload;
        uint8_t *grown;
        size_t size;

        if (field->tag != tag || field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) continue;
        payload = payload_of(field, &size);
        grown = keep(r->contracts, total + size + 1, 1);
        if (total) memcpy(grown, bytes, total);
        memcpy(grown + total, payload, size);
        bytes = grown;
        total += size;
    }
    *ret_size = total;
    return bytes;
}

static void read_http(struct reader *r, const ProtobufCMessage *options, struct contract_method *method)
{
    size_t size;
    uint8_t *bytes = extension_of(r, options, TAG_HTTP, &size);
    Google__Api__HttpRule *rule;

    method->http = (struct contract_http){NULL, "", "", ""};
    if (!bytes) return;
    rule = google__api__http_rule__unpack(NULL, size, bytes);
    if (!rule) {
        contracts_complain(r->errors, &r->failed, "%s: option google.api.http cannot be read", method->path);
        return;
    }
    switch (rule->pattern_case) {
    case GOOGLE__API__HTTP_RULE__PATTERN_GET:
        method->http.verb = "GET";
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_PUT:
        method->http.verb = "PUT";
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_POST:
        method->http.verb = "POST";
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_DELETE:
        method->http.verb = "DELETE";
        break;
    case GOOGLE__API__HTTP_RULE__PATTERN_PATCH:
        method->http.verb = "PATCH";
        break;
    default:
        contracts_complain(r->errors, &r->failed, "%s: option google.api.http has no verb", method->path);
    }
    /* All members of the oneof are strings in the same place. */
    if (method->http.verb) method->http.path = keep_string(r->contracts, rule->get);
    method->http.body = keep_string(r->contracts, rule->body);
    method->http.response_body = keep_string(r->contracts, rule->response_body);
    google__api__http_rule__free_unpacked(rule, NULL);
}

static void read_method_option(struct reader *r, const ProtobufCMessage *options, struct contract_method *method)
{
    size_t size;
    uint8_t *bytes = extension_of(r, options, TAG_METHOD, &size);
    method_option *option;

    method->deadline_ms = DEADLINE_DEFAULT_MS;
    if (!bytes) return;
    option = ticketflow__options__v1__method__unpack(NULL, size, bytes);
    if (!option) {
        contracts_complain(r->errors, &r->failed, "%s: option ticketflow.options.v1.method cannot be read",
                           method->path);
        return;
    }
    for (size_t i = 0; i < option->n_access; i++) {
        if (option->access[i] < 1 || option->access[i] > TICKETFLOW__OPTIONS__V1__ACCESS__ACCESS_OPERATOR)
            contracts_complain(r->errors, &r->failed, "%s: access %d is not known", method->path,
                               (int)option->access[i]);
        else
            method->access |= UINT32_C(1) << (option->access[i] - 1);
    }
    for (size_t i = 0; i < option->n_roles; i++) {
        if (option->roles[i] < 1 || option->roles[i] > TICKETFLOW__OPTIONS__V1__ROLE__ROLE_SCANNER)
            contracts_complain(r->errors, &r->failed, "%s: role %d is not known", method->path, (int)option->roles[i]);
        else
            method->roles |= UINT32_C(1) << (option->roles[i] - 1);
    }
    method->idempotent = option->idempotent;
    method->needs_key = option->needs_key;
    if (option->deadline_ms < 0)
        contracts_complain(r->errors, &r->failed, "%s: deadline_ms is negative", method->path);
    else if (option->deadline_ms > 0)
        method->deadline_ms = option->deadline_ms;
    ticketflow__options__v1__method__free_unpacked(option, NULL);
}

/* ---- messages, enums, services ---------------------------------------------------------------------------------- */

static size_t count_messages(message_proto **messages, size_t n)
{
    size_t total = n;

    for (size_t i = 0; i < n; i++)
        total += count_messages(messages[i]->nested_type, messages[i]->n_nested_type);
    return total;
}

static size_t count_enums(message_proto **messages, size_t n)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += messages[i]->n_enum_type + count_enums(messages[i]->nested_type, messages[i]->n_nested_type);
    return total;
}

/* Outer NULL: at the top of the file. */
static void name_of(struct reader *r, const struct contract_message *outer, const char *name, const char **ret_full,
                    const char **ret_alias)
{
    const char *scope = outer ? outer->full_name : r->file->package;

    *ret_full = scope[0] ? join(r->contracts, scope, ".", name) : keep_string(r->contracts, name);
    *ret_alias = outer ? join(r->contracts, outer->alias, "_", name) : keep_string(r->contracts, name);
}

static void read_enum(struct reader *r, const struct contract_message *outer, const enum_proto *proto, struct path path)
{
    struct contract_enum *e = &r->file->enums[r->file->n_enums++];
    struct contract_value *values = keep(r->contracts, proto->n_value, sizeof(*values));

    e->file = r->file;
    name_of(r, outer, proto->name, &e->full_name, &e->alias);
    e->comment = comment_of(r, &path);
    e->values = values;
    e->n_values = proto->n_value;
    for (size_t i = 0; i < proto->n_value; i++) {
        struct path at = path_to(&path, ENUM_VALUE, i);

        values[i].name = keep_string(r->contracts, proto->value[i]->name);
        values[i].number = proto->value[i]->number;
        values[i].comment = comment_of(r, &at);
    }
}

static void read_fields(struct reader *r, struct contract_message *message, const message_proto *proto,
                        const struct path *path)
{
    message->fields = keep(r->contracts, proto->n_field, sizeof(*message->fields));
    message->n_fields = proto->n_field;
    for (size_t i = 0; i < proto->n_field; i++) {
        const Google__Protobuf__FieldDescriptorProto *from = proto->field[i];
        struct contract_field *to = &message->fields[i];
        struct path at = path_to(path, MESSAGE_FIELD, i);

        to->name = keep_string(r->contracts, from->name);
        to->json_name = keep_string(r->contracts, from->json_name);
        to->number = from->number;
        to->type = (enum contract_type)from->type;
        if (from->type_name) to->type_name = keep_string(r->contracts, from->type_name + (from->type_name[0] == '.'));
        to->repeated = from->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
        if (from->has_oneof_index && from->oneof_index >= 0 && (size_t)from->oneof_index < proto->n_oneof_decl)
            to->oneof = keep_string(r->contracts, proto->oneof_decl[from->oneof_index]->name);
        to->comment = comment_of(r, &at);
    }
}

static void read_message(struct reader *r, const struct contract_message *outer, const message_proto *proto,
                         struct path path)
{
    struct contract_message *message = &r->file->messages[r->file->n_messages++];

    message->file = r->file;
    name_of(r, outer, proto->name, &message->full_name, &message->alias);
    message->comment = comment_of(r, &path);
    message->map_entry = proto->options && proto->options->map_entry;
    read_fields(r, message, proto, &path);
    for (size_t i = 0; i < proto->n_enum_type; i++)
        read_enum(r, message, proto->enum_type[i], path_to(&path, MESSAGE_ENUM, i));
    for (size_t i = 0; i < proto->n_nested_type; i++)
        read_message(r, message, proto->nested_type[i], path_to(&path, MESSAGE_NESTED, i));
}

static const struct contract_message *message_named(struct reader *r, const char *dotted, const char *where)
{
    const struct contract_message *message = contracts_message(r->contracts, dotted + (dotted[0] == '.'));

    if (!message) contracts_complain(r->errors, &r->failed, "%s: type %s is not in the set", where, dotted);
    return message;
}

static void read_method(struct reader *r, const struct contract_service *service,
                        const Google__Protobuf__MethodDescriptorProto *proto, const struct path *path,
                        struct contract_method *method)
{
    const ProtobufCMessage *options = proto->options ? &proto->options->base : NULL;

    method->name = keep_string(r->contracts, proto->name);
    method->snake = snake_of(r->contracts, proto->name);
    method->path = join(r->contracts, join(r->contracts, "/", "", service->full_name), "/", proto->name);
    method->comment = comment_of(r, path);
    method->request = message_named(r, proto->input_type, method->path);
    method->response = message_named(r, proto->output_type, method->path);
    method->client_streaming = proto->client_streaming;
    method->server_streaming = proto->server_streaming;
    read_http(r, options, method);
    read_method_option(r, options, method);
}

static const char *process_of(struct contracts *contracts, const char *package)
{
    const char *start = strchr(package, '.'), *end;

    if (!start) return "";
    end = strchr(++start, '.');
    return keep_text(contracts, start, end ? (size_t)(end - start) : strlen(start));
}

static void read_services(struct reader *r)
{
    struct contract_service *services = keep(r->contracts, r->proto->n_service, sizeof(*services));

    for (size_t i = 0; i < r->proto->n_service; i++) {
        const Google__Protobuf__ServiceDescriptorProto *proto = r->proto->service[i];
        struct contract_method *methods = keep(r->contracts, proto->n_method, sizeof(*methods));
        struct path path = path_to(NULL, FILE_SERVICE, i);

        services[i].name = keep_string(r->contracts, proto->name);
        services[i].snake = snake_of(r->contracts, proto->name);
        services[i].full_name = join(r->contracts, r->file->package, ".", proto->name);
        services[i].process = process_of(r->contracts, r->file->package);
        services[i].comment = comment_of(r, &path);
        for (size_t m = 0; m < proto->n_method; m++) {
            struct path at = path_to(&path, SERVICE_METHOD, m);

            read_method(r, &services[i], proto->method[m], &at, &methods[m]);
        }
        services[i].methods = methods;
        services[i].n_methods = proto->n_method;
    }
    r->file->services = services;
    r->file->n_services = r->proto->n_service;
}

/* protoc writes a file after its imports, so every type named here is known by now, save those of the file itself. */
static void resolve_types(struct reader *r)
{
    for (size_t i = 0; i < r->file->n_messages; i++) {
        const struct contract_message *message = &r->file->messages[i];

        for (size_t k = 0; k < message->n_fields; k++) {
            struct contract_field *field = &message->fields[k];

            if (field->type == CONTRACT_MESSAGE || field->type == CONTRACT_GROUP)
                field->message = message_named(r, field->type_name, message->full_name);
            else if (field->type == CONTRACT_ENUM) {
                field->enumeration = contracts_enum(r->contracts, field->type_name);
                if (!field->enumeration)
                    contracts_complain(r->errors, &r->failed, "%s: type %s is not in the set", message->full_name,
                                       field->type_name);
            }
        }
    }
}

static void read_imports(struct reader *r)
{
    r->file->imports = keep(r->contracts, r->proto->n_dependency, sizeof(*r->file->imports));
    for (size_t i = 0; i < r->proto->n_dependency; i++)
        for (size_t k = 0; k < r->contracts->n_files; k++)
            if (!strcmp(r->contracts->files[k].path, r->proto->dependency[i]))
                r->file->imports[r->file->n_imports++] = &r->contracts->files[k];
}

static void read_file(struct reader *r)
{
    static const char ours[] = "ticketflow.";
    const int32_t syntax = FILE_SYNTAX;
    size_t n_messages = count_messages(r->proto->message_type, r->proto->n_message_type);
    size_t n_enums = r->proto->n_enum_type + count_enums(r->proto->message_type, r->proto->n_message_type);

    r->file->path = keep_string(r->contracts, r->proto->name);
    r->file->package = keep_string(r->contracts, r->proto->package);
    r->file->comment = comment_at(r, &syntax, 1);
    r->file->ours = !strncmp(r->file->package, ours, sizeof(ours) - 1);
    read_imports(r);
    r->contracts->n_files++; /* look-ups see the file from here on */

    r->file->messages = keep(r->contracts, n_messages, sizeof(*r->file->messages));
    r->file->enums = keep(r->contracts, n_enums, sizeof(*r->file->enums));
    for (size_t i = 0; i < r->proto->n_enum_type; i++)
        read_enum(r, NULL, r->proto->enum_type[i], path_to(NULL, FILE_ENUM, i));
    for (size_t i = 0; i < r->proto->n_message_type; i++)
        read_message(r, NULL, r->proto->message_type[i], path_to(NULL, FILE_MESSAGE, i));
    resolve_types(r);
    read_services(r);
}

/* ---- entrance --------------------------------------------------------------------------------------------------- */

static uint8_t *slurp(const char *path, FILE *errors, size_t *ret_size)
{
    FILE *in = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;

    if (!in) {
        fprintf(errors, "%s: %s\n", path, strerror(errno));
        return NULL;
    }
    if (fseek(in, 0, SEEK_END) == 0 && (size = ftell(in)) >= 0 && fseek(in, 0, SEEK_SET) == 0) {
        data = malloc((size_t)size + 1);
        if (data && fread(data, 1, (size_t)size, in) != (size_t)size) {
            free(data);
            data = NULL;
        } else
            *ret_size = (size_t)size;
    }
    if (!data) fprintf(errors, "%s: cannot be read\n", path);
    fclose(in);
    return data;
}

bool contracts_read(const char *descriptor_set_path, FILE *errors, struct contracts *ret_contracts)
{
    struct contracts contracts = {0};
    Google__Protobuf__FileDescriptorSet *set;
    size_t size = 0;
    uint8_t *data = slurp(descriptor_set_path, errors, &size);
    bool failed = false;

    if (!data) return false;
    set = google__protobuf__file_descriptor_set__unpack(NULL, size, data);
    free(data);
    if (!set) {
        fprintf(errors, "%s: not a descriptor set\n", descriptor_set_path);
        return false;
    }
    contracts.files = keep(&contracts, set->n_file, sizeof(*contracts.files));
    for (size_t i = 0; i < set->n_file; i++) {
        struct reader r = {
            .contracts = &contracts, .file = &contracts.files[i], .proto = set->file[i], .errors = errors};

        read_file(&r);
        failed |= r.failed;
    }
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
    if (failed || !contracts_check(&contracts, errors)) {
        contracts_free(&contracts);
        return false;
    }
    *ret_contracts = contracts;
    return true;
}

void contracts_free(struct contracts *contracts)
{
    while (contracts->blocks) {
        struct contract_block *block = contracts->blocks;

        contracts->blocks = block->next;
        free(block);
    }
    contracts->files = NULL;
    contracts->n_files = 0;
}

const struct contract_message *contracts_message(const struct contracts *contracts, const char *full_name)
{
    for (size_t i = 0; i < contracts->n_files; i++)
        for (size_t k = 0; k < contracts->files[i].n_messages; k++)
            if (!strcmp(contracts->files[i].messages[k].full_name, full_name)) return &contracts->files[i].messages[k];
    return NULL;
}

const struct contract_enum *contracts_enum(const struct contracts *contracts, const char *full_name)
{
    for (size_t i = 0; i < contracts->n_files; i++)
        for (size_t k = 0; k < contracts->files[i].n_enums; k++)
            if (!strcmp(contracts->files[i].enums[k].full_name, full_name)) return &contracts->files[i].enums[k];
    return NULL;
}

const struct contract_field *contract_message_field(const struct contract_message *message, const char *name)
{
    for (size_t i = 0; i < message->n_fields; i++)
        if (!strcmp(message->fields[i].name, name)) return &message->fields[i];
    return NULL;
}

static bool path_names(const char *path, const char *name)
{
    size_t n = strlen(name);

    for (const char *s = strchr(path, '{'); s; s = strchr(s + 1, '{'))
        if (!strncmp(s + 1, name, n) && s[1 + n] == '}') return true;
    return false;
}

enum contract_source contract_field_source(const struct contract_method *method, const struct contract_field *field)
{
    if (!method->http.verb) return CONTRACT_FROM_NOWHERE;
    if (path_names(method->http.path, field->name)) return CONTRACT_FROM_PATH;
    if (method->needs_key && !strcmp(field->name, "request_id")) return CONTRACT_FROM_HEADER;
    if (!strcmp(method->http.body, "*")) return CONTRACT_FROM_BODY;
    if (!strcmp(method->http.body, field->name)) return CONTRACT_IS_BODY;
    if (field->message && strcmp(field->message->full_name, "google.protobuf.Timestamp") != 0)
        return CONTRACT_FROM_NOWHERE; /* no way to write it */
    return CONTRACT_FROM_QUERY;
}
