/* The money desk's rules. */
#include "services/pay/domain/desk.h"

#include "common/base/text.h"

#include <string.h>

int64_t desk_scope(const struct tf_identity *identity)
{
    if (identity->roles & TF_ROLE_PLATFORM_OPERATOR) return DESK_OF_ALL;
    if ((identity->roles & TF_ROLE_ORGANISER_ADMIN) && identity->organiser_id > 0) return identity->organiser_id;
    return DESK_OF_NOBODY;
}

bool desk_in_scope(int64_t scope, int64_t organiser_id)
{
    return scope == DESK_OF_ALL || scope == organiser_id;
}

bool desk_allows(bool of_refund, int64_t amount_minor, DecisionKind kind)
{
    switch (kind) {
    case DECISION_KIND_REFUND:
        return !of_refund && amount_minor > 0;
    case DECISION_KIND_RETRY:
        return of_refund;
    case DECISION_KIND_SETTLED_ELSEWHERE:
        return true;
    default:
        return false;
    }
}

static tf_code check_text(tf_ctx *ctx, const char *field, const char *text)
{
    if (!tf_utf8_valid(text, strlen(text)) || tf_has_control(text)) return tf_fail_field(ctx, field, "not plain text");
    if (!*text || tf_utf8_length(text) > DESK_TEXT_MAX)
        return tf_fail_field(ctx, field, "1 to %d characters", DESK_TEXT_MAX);
    return TF_OK;
}

tf_code desk_request_check(tf_ctx *ctx, const struct desk_request *request)
{
    size_t key = strlen(request->request_id);
    tf_code code;

    if (key < DESK_KEY_MIN || key > DESK_KEY_MAX || tf_has_control(request->request_id) ||
        !tf_utf8_valid(request->request_id, key))
        return tf_fail_field(ctx, "request_id", "%d to %d bytes of plain text", DESK_KEY_MIN, DESK_KEY_MAX);
    if (!desk_allows(request->of_refund, INT64_MAX, request->kind))
        return tf_fail_field(ctx, "kind",
                             request->of_refund ? "RETRY or SETTLED_ELSEWHERE" : "REFUND or SETTLED_ELSEWHERE");
    if (request->revision <= 0) return tf_fail_field(ctx, "revision", "that of the entry as listed");
    code = check_text(ctx, "reason", request->reason);
    if (code) return code;

    if (request->kind == DECISION_KIND_SETTLED_ELSEWHERE) return check_text(ctx, "reference", request->reference);
    if (*request->reference) return tf_fail_field(ctx, "reference", "of SETTLED_ELSEWHERE only");
    return TF_OK;
}
