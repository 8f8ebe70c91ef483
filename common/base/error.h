/* Error codes: one enum made from codes.def, the error record that a request carries, and look-ups by table.
 *
 * A function that can fail returns tf_code; TF_OK is 0. The detail is recorded once, at the source, in the request's
 * context (tf_fail… in ctx.h): the first error wins, later ones are ignored. Library code does not log above debug. */
#pragma once

#include <stddef.h>

typedef enum tf_code {
    TF_OK = 0,
#define TF_CODE(reason, grpc, http, retry, en, zh) TF_##reason,
#include "common/base/codes.def"
#undef TF_CODE
    TF_CODES /* how many, TF_OK included */
} tf_code;

/* gRPC's canonical status numbers (the wire's, stable). */
enum tf_grpc_status {
    TF_GRPC_OK = 0,
    TF_GRPC_CANCELLED = 1,
    TF_GRPC_UNKNOWN = 2,
    TF_GRPC_INVALID_ARGUMENT = 3,
    TF_GRPC_DEADLINE_EXCEEDED = 4,
    TF_GRPC_NOT_FOUND = 5,
    TF_GRPC_ALREADY_EXISTS = 6,
    TF_GRPC_PERMISSION_DENIED = 7,
    TF_GRPC_RESOURCE_EXHAUSTED = 8,
    TF_GRPC_FAILED_PRECONDITION = 9,
    TF_GRPC_ABORTED = 10,
    TF_GRPC_OUT_OF_RANGE = 11,
    TF_GRPC_UNIMPLEMENTED = 12,
    TF_GRPC_INTERNAL = 13,
    TF_GRPC_UNAVAILABLE = 14,
    TF_GRPC_DATA_LOSS = 15,
    TF_GRPC_UNAUTHENTICATED = 16,
};

/* What the caller does next with the same request. */
enum tf_retry { TF_RETRY_NO, TF_RETRY_AFTER, TF_RETRY_SAME };

struct tf_code_info {
    const char *reason; /* "SOLD_OUT"; stable, part of the API */
    int grpc_status;    /* enum tf_grpc_status */
    int http_status;
    enum tf_retry retry;
    const char *en, *zh; /* sentences for people */
};

/* Never NULL: an unknown code gives the row of TF_INTERNAL. TF_OK gives reason "OK". */
const struct tf_code_info *tf_code_info(tf_code code);

/* The code with that reason; TF_INTERNAL when there is none. */
tf_code tf_code_by_reason(const char *reason);

/* The nearest code for a bare gRPC status without details (a proxy's, or the library's own). */
tf_code tf_code_by_grpc_status(int grpc_status);

/* A parameter of an error ("opens_time" → "2026-…"), shown to the client as a member of the problem document. */
struct tf_error_param {
    const char *name, *value;
};

enum { TF_ERROR_PARAMS_MAX = 12 };

/* All strings live in the request's arena (or are literals). */
struct tf_error {
    tf_code code;
    const char *field;    /* path of the field at fault as the client wrote it ("places[1]"), or NULL */
    const char *detail;   /* for people who develop clients; English; never secret; may be NULL */
    const char *internal; /* for the log only; may be NULL */
    struct tf_error_param params[TF_ERROR_PARAMS_MAX];
    size_t n_params;
    int retry_after_ms; /* 0: not said */
};
