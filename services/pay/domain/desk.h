/* Rules of the money desk: who decides about whose parked money, what may be decided, and what a decision must say.
 * Pure. */
#pragma once

#include "common/base/ctx.h"
#include "ticketflow/pay/v1/pay.tf.h"

enum { DESK_TEXT_MAX = 200, DESK_KEY_MIN = 8, DESK_KEY_MAX = 64 };

/* Whose money an operator sees: an organiser's, or one of these. */
enum { DESK_OF_ALL = 0, DESK_OF_NOBODY = -1 };
int64_t desk_scope(const struct tf_identity *identity);
bool desk_in_scope(int64_t scope, int64_t organiser_id);

/* Whether the kind may be decided on a parked refund (of_refund) or payment of which that much is not given back. */
bool desk_allows(bool of_refund, int64_t amount_minor, DecisionKind kind);

/* An operator's decision as asked for. */
struct desk_request {
    bool of_refund;
    int64_t id; /* of the refund, else of the payment */
    DecisionKind kind;
    int revision;
    const char *reason, *reference, *request_id;
};
/* TF_FIELD_INVALID with the member that is at fault. */
TF_MUSTCHECK tf_code desk_request_check(tf_ctx *ctx, const struct desk_request *request);
