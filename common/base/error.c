/* The table of codes, made from codes.def, and look-ups in it. */
#include "common/base/error.h"

#include "common/base/macros.h"

#include <string.h>

static const struct tf_code_info infos[TF_CODES] = {
    [TF_OK] = {"OK", TF_GRPC_OK, 200, TF_RETRY_NO, "OK", "成功"},
#define TF_CODE(reason, grpc, http, retry, en, zh)                                                                     \
    [TF_##reason] = {#reason, TF_GRPC_##grpc, http, TF_RETRY_##retry, en, zh},
#include "common/base/codes.def"
#undef TF_CODE
};

const struct tf_code_info *tf_code_info(tf_code code)
{
    return (unsigned)code < TF_CODES ? &infos[code] : &infos[TF_INTERNAL];
}

tf_code tf_code_by_reason(const char *reason)
{
    if (!reason) return TF_INTERNAL;
    for (int code = 0; code < TF_CODES; code++)
        if (strcmp(infos[code].reason, reason) == 0) return (tf_code)code;
    return TF_INTERNAL;
}

tf_code tf_code_by_grpc_status(int grpc_status)
{
    static const tf_code codes[] = {
        [TF_GRPC_OK] = TF_OK,
        [TF_GRPC_CANCELLED] = TF_CANCELLED,
        [TF_GRPC_UNKNOWN] = TF_INTERNAL,
        [TF_GRPC_INVALID_ARGUMENT] = TF_FIELD_INVALID,
        [TF_GRPC_DEADLINE_EXCEEDED] = TF_DEADLINE,
        [TF_GRPC_NOT_FOUND] = TF_NOT_FOUND,
        [TF_GRPC_ALREADY_EXISTS] = TF_ALREADY_EXISTS,
        [TF_GRPC_PERMISSION_DENIED] = TF_FORBIDDEN,
        [TF_GRPC_RESOURCE_EXHAUSTED] = TF_OVERLOADED,
        [TF_GRPC_FAILED_PRECONDITION] = TF_STATE_WRONG,
        [TF_GRPC_ABORTED] = TF_ORDER_CHANGED,
        [TF_GRPC_OUT_OF_RANGE] = TF_FIELD_INVALID,
        [TF_GRPC_UNIMPLEMENTED] = TF_METHOD_UNKNOWN,
        [TF_GRPC_INTERNAL] = TF_INTERNAL,
        [TF_GRPC_UNAVAILABLE] = TF_STORE_DOWN,
        [TF_GRPC_DATA_LOSS] = TF_INTERNAL,
        [TF_GRPC_UNAUTHENTICATED] = TF_UNAUTHENTICATED,
    };

    return grpc_status >= 0 && grpc_status < (int)TF_COUNT(codes) ? codes[grpc_status] : TF_INTERNAL;
}
