/* tf_error ↔ google.rpc.Status. */
#include "common/rpc/status.h"

#include "common/base/text.h"
#include "google/rpc/status.pb-c.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

typedef Google__Rpc__ErrorInfo__MetadataEntry entry;

static const char domain[] = "ticketflow";
static const char type_url[] = "type.googleapis.com/google.rpc.ErrorInfo";
static const char param_prefix[] = "param.";

enum {
    ENTRIES_MAX = TF_ERROR_PARAMS_MAX + 3, /* field, detail, retry_after_ms */
    TEXT_MAX = 2048,                       /* bytes of one value */
    TEXTS_MAX = 6 * 1024,                  /* bytes of all: half of what peers accept as metadata is never reached */
};

struct entries {
    entry all[ENTRIES_MAX];
    entry *pointers[ENTRIES_MAX];
    size_t n, bytes;
};

/* Strings of the messages are not const in protobuf-c; they are only read. */
static char *unconst(const char *s)
{
    return (char *)(uintptr_t)s;
}

static void put(struct entries *entries, const char *key, const char *value)
{
    entry *e = &entries->all[entries->n];
    size_t bytes;

    if (!key || !value) return;
    bytes = strlen(key) + strlen(value);
    if (entries->n == ENTRIES_MAX || strlen(value) > TEXT_MAX || entries->bytes + bytes > TEXTS_MAX) return;
    *e = (entry)GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    e->key = unconst(key);
    e->value = unconst(value);
    entries->pointers[entries->n++] = e;
    entries->bytes += bytes;
}

static void put_error(tf_arena *arena, struct entries *entries, const struct tf_error *error)
{
    put(entries, "field", error->field);
    put(entries, "detail", error->detail);
    if (error->retry_after_ms > 0) put(entries, "retry_after_ms", tf_arena_printf(arena, "%d", error->retry_after_ms));
    for (size_t i = 0; i < error->n_params; i++)
        put(entries, tf_arena_printf(arena, "%s%s", param_prefix, error->params[i].name), error->params[i].value);
}

void *tf_status_pack(tf_arena *arena, tf_code code, const struct tf_error *error, size_t *ret_size)
{
    const struct tf_code_info *row = tf_code_info(code);
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    Google__Protobuf__Any detail = GOOGLE__PROTOBUF__ANY__INIT, *details[] = {&detail};
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    struct entries entries = {.n = 0};

    if (error && error->code == code) put_error(arena, &entries, error);
    info.reason = unconst(row->reason);
    info.domain = unconst(domain);
    info.metadata = entries.pointers;
    info.n_metadata = entries.n;

    detail.type_url = unconst(type_url);
    detail.value.data = tf_pb_pack(arena, &info.base, &detail.value.len);
    if (!detail.value.data) return NULL;

    status.code = row->grpc_status;
    status.message = unconst(row->en);
    status.details = details;
    status.n_details = TF_COUNT(details);
    return tf_pb_pack(arena, &status.base, ret_size);
}

static void take_entry(struct tf_error *error, const entry *e)
{
    size_t prefix = sizeof(param_prefix) - 1;
    int64_t number;

    if (!strcmp(e->key, "field")) {
        error->field = e->value;
    } else if (!strcmp(e->key, "detail")) {
        error->detail = e->value;
    } else if (!strcmp(e->key, "retry_after_ms")) {
        if (tf_parse_int64(e->value, &number) && number > 0 && number <= INT_MAX) error->retry_after_ms = (int)number;
    } else if (!strncmp(e->key, param_prefix, prefix) && e->key[prefix] && error->n_params < TF_ERROR_PARAMS_MAX) {
        error->params[error->n_params++] = (struct tf_error_param){e->key + prefix, e->value};
    }
}

bool tf_status_unpack(tf_arena *arena, const void *data, size_t size, struct tf_error *ret_error)
{
    const Google__Rpc__Status *status =
        (Google__Rpc__Status *)tf_pb_unpack(arena, &google__rpc__status__descriptor, data, size);
    struct tf_error error = {.code = TF_OK};

    for (size_t i = 0; status && i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        const Google__Rpc__ErrorInfo *info;

        if (strcmp(any->type_url, type_url) != 0) continue;
        info = (Google__Rpc__ErrorInfo *)tf_pb_unpack(arena, &google__rpc__error_info__descriptor, any->value.data,
                                                      any->value.len);
        if (!info || strcmp(info->domain, domain) != 0) continue;
        error.code = tf_code_by_reason(info->reason);
        if (error.code == TF_OK || strcmp(tf_code_info(error.code)->reason, info->reason) != 0) return false;
        for (size_t k = 0; k < info->n_metadata; k++)
            take_entry(&error, info->metadata[k]);
        *ret_error = error;
        return true;
    }
    return false;
}
