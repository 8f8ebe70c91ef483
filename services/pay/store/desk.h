/* Parked money and what operators decide about it, in PostgreSQL. */
#pragma once

#include "services/pay/domain/desk.h"
#include "services/pay/pay.h"

/* A payment (refund_id 0) or a refund that waits for a decision; texts in ctx->arena. */
struct parked_money {
    int64_t payment_id, refund_id, order_no, organiser_id;
    int64_t amount_minor, asked_minor;                      /* in question; asked for by the payment */
    const char *currency, *asked_currency, *method, *cause; /* of the payment: NULL when there is none */
    tf_time parked_at;
    int revision;
    bool confirmed;
};
/* Where a page starts: after this entry. */
struct parked_position {
    tf_time parked_at;
    int64_t id; /* of the refund, else of the payment */
};
/* Up to n entries of the scope (desk_scope), longest parked first. */
TF_MUSTCHECK tf_code desk_parked(tf_ctx *ctx, int64_t scope, const struct parked_position *after, int n,
                                 struct parked_money **ret_parked, size_t *ret_n);

struct money_decision {
    int64_t decision_id, payment_id, refund_id, order_no, organiser_id, amount_minor, user_id;
    DecisionKind kind;
    bool of_refund;
    const char *currency, *cause, *reason, *reference;
    tf_time parked_at, decided_at;
};
/* Up to n decisions of the scope before that id, newest first. */
TF_MUSTCHECK tf_code desk_decisions(tf_ctx *ctx, int64_t scope, int64_t before, int n,
                                    struct money_decision **ret_decisions, size_t *ret_n);

/* The decision that this operator's key made; *ret_found false: none. TF_KEY_REUSED when it was another one. */
TF_MUSTCHECK tf_code desk_find(tf_ctx *ctx, const struct desk_request *request, bool *ret_found,
                               struct money_decision *ret_decision);
/* Decides: the entry as listed (its revision), the refund that goes out, the decision with who and when, and the events
 * in one transaction, under the entry's lock. A repetition answers the first decision. TF_STATE_WRONG (parameters
 * "state", "revision") when the entry is not, or no longer, what the operator saw; TF_NOT_FOUND; TF_KEY_REUSED. */
TF_MUSTCHECK tf_code desk_decide(tf_ctx *ctx, const struct desk_request *request, struct money_decision *ret_decision);
