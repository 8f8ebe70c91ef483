/* The contracts as data: a descriptor set (protoc --include_imports --include_source_info) read into plain structs,
 * with our options (google.api.http, ticketflow.options.v1.method) and the comments, and checked against the house's
 * rules. The generators of this room work on this model only.
 *
 * Everything lives until contracts_free. Strings are never NULL unless said otherwise; names have no leading dot. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct contract_file;
struct contract_message;

/* As in FieldDescriptorProto.Type. */
enum contract_type {
    CONTRACT_DOUBLE = 1,
    CONTRACT_FLOAT = 2,
    CONTRACT_INT64 = 3,
    CONTRACT_UINT64 = 4,
    CONTRACT_INT32 = 5,
    CONTRACT_FIXED64 = 6,
    CONTRACT_FIXED32 = 7,
    CONTRACT_BOOL = 8,
    CONTRACT_STRING = 9,
    CONTRACT_GROUP = 10,
    CONTRACT_MESSAGE = 11,
    CONTRACT_BYTES = 12,
    CONTRACT_UINT32 = 13,
    CONTRACT_ENUM = 14,
    CONTRACT_SFIXED32 = 15,
    CONTRACT_SFIXED64 = 16,
    CONTRACT_SINT32 = 17,
    CONTRACT_SINT64 = 18,
};

struct contract_value {
    const char *name; /* "ORDER_STATE_PAID" */
    int32_t number;
    const char *comment;
};

struct contract_enum {
    const struct contract_file *file;
    const char *full_name; /* "ticketflow.program.v1.ImportedObject.Outcome" */
    const char *alias;     /* "ImportedObject_Outcome" */
    const char *comment;
    const struct contract_value *values;
    size_t n_values;
};

struct contract_field {
    const char *name;      /* "show_id" */
    const char *json_name; /* "showId" */
    int32_t number;
    enum contract_type type;
    const char *type_name;                   /* of CONTRACT_MESSAGE and CONTRACT_ENUM, else NULL */
    const struct contract_message *message;  /* of CONTRACT_MESSAGE, else NULL */
    const struct contract_enum *enumeration; /* of CONTRACT_ENUM, else NULL */
    bool repeated;                           /* maps too: then message->map_entry */
    const char *oneof;                       /* the oneof that it belongs to, or NULL */
    const char *comment;
};

struct contract_message {
    const struct contract_file *file;
    const char *full_name; /* "ticketflow.order.v1.CreateOrderRequest" */
    const char *alias;     /* "CreateOrderRequest", nested "Outer_Inner" */
    const char *comment;
    bool map_entry;                /* made by protoc for a map field: key = 1, value = 2 */
    struct contract_field *fields; /* in order of declaration */
    size_t n_fields;
};

struct contract_http {
    const char *verb;          /* "GET"; NULL: the RPC has no HTTP mapping */
    const char *path;          /* "/v1/orders/{order_no}:cancel" */
    const char *body;          /* "", "*" or a field of the request */
    const char *response_body; /* "" or a field of the response */
};

struct contract_method {
    const char *name;  /* "CreateOrder" */
    const char *snake; /* "create_order" */
    const char *path;  /* "/ticketflow.order.v1.OrderService/CreateOrder" */
    const char *comment;
    const struct contract_message *request, *response;
    bool client_streaming, server_streaming;
    struct contract_http http;
    uint32_t access; /* bit 1 << (n - 1) for the n of ticketflow.options.v1.Access; equals enum tf_access of
                        common/rpc/rpc.h */
    uint32_t roles;  /* the same for ticketflow.options.v1.Role; equals enum tf_role of common/base/ctx.h */
    bool idempotent;
    bool needs_key;
    int32_t deadline_ms; /* the default is filled in; never 0 */
};

/* Bits of contract_method.access. */
enum { CONTRACT_PUBLIC = 1 << 0, CONTRACT_BUYER = 1 << 1, CONTRACT_INTERNAL = 1 << 2, CONTRACT_OPERATOR = 1 << 3 };

struct contract_service {
    const char *name;      /* "OrderService" */
    const char *snake;     /* "order_service" */
    const char *full_name; /* "ticketflow.order.v1.OrderService" */
    const char *process;   /* "order": second part of the package */
    const char *comment;
    const struct contract_method *methods;
    size_t n_methods;
};

struct contract_file {
    const char *path;                     /* "ticketflow/order/v1/order.proto" */
    const char *package;                  /* "ticketflow.order.v1" */
    const char *comment;                  /* what the file opens with */
    bool ours;                            /* package begins with "ticketflow." */
    const struct contract_file **imports; /* all of them, as declared */
    size_t n_imports;
    struct contract_message *messages; /* nested ones too, outer before inner */
    size_t n_messages;
    struct contract_enum *enums; /* nested ones too */
    size_t n_enums;
    const struct contract_service *services;
    size_t n_services;
};

struct contracts {
    struct contract_file *files; /* a file comes after its imports */
    size_t n_files;
    struct contract_block *blocks; /* memory of all of it */
};

/* Reads and checks. False: a message for people was written to `errors` (one line per offence), nothing is to be freed.
 * Refused: an RPC of ours without an access declaration, roles without ACCESS_OPERATOR or the reverse, a path on an RPC
 * that is internal only, a recursive message (decoding has no depth limit), a name that occurs twice among all
 * messages, enums, enum values and RPCs of ours (they share one flat namespace in C), a json_name of its own. */
bool contracts_read(const char *descriptor_set_path, FILE *errors, struct contracts *ret_contracts);
void contracts_free(struct contracts *contracts);

/* NULL when there is none of that full name. */
const struct contract_message *contracts_message(const struct contracts *contracts, const char *full_name);
const struct contract_enum *contracts_enum(const struct contracts *contracts, const char *full_name);
const struct contract_field *contract_message_field(const struct contract_message *message, const char *name);

/* Where a field of an RPC's request comes from when the call comes over HTTP. */
enum contract_source {
    CONTRACT_FROM_NOWHERE, /* it cannot be given: no HTTP path, or a message beside the body */
    CONTRACT_FROM_PATH,    /* {field} */
    CONTRACT_FROM_HEADER,  /* request_id, from Idempotency-Key */
    CONTRACT_FROM_BODY,    /* a member of the JSON body */
    CONTRACT_IS_BODY,      /* the body as it came (RawBody) */
    CONTRACT_FROM_QUERY,
};
enum contract_source contract_field_source(const struct contract_method *method, const struct contract_field *field);
