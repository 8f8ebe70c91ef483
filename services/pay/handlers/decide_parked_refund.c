/* DecideParkedRefund: an operator decides about a refund that the provider refused, or never answered. A repetition at
 * the provider is the same refund there; money by other means is refused when the provider paid back after all. */
#include "services/pay/handlers/desk_views.h"
#include "services/pay/store/refunds.h"

/* Before other means are recorded: did the provider pay back, unheard? Then that is what happened. */
static tf_code ask_provider(tf_ctx *ctx, const struct refund *refund)
{
    const struct provider *provider = refund->method ? provider_find(refund->method) : NULL;
    enum refund_outcome outcome;
    tf_code code;

    if (!provider) return TF_OK; /* no such payment, or a provider no longer offered: nobody to be asked */
    code = provider->query_refund(ctx, refund->refund_id, &outcome);
    if (code || outcome != REFUND_DONE) return code;
    return refund_succeeded(ctx, refund);
}

tf_code decide_parked_refund(tf_ctx *ctx, const DecideParkedRefundRequest *request,
                             DecideParkedRefundResponse *response)
{
    const struct desk_request asked = {.of_refund = true,
                                       .id = request->refund_id,
                                       .kind = request->kind,
                                       .revision = request->revision,
                                       .reason = request->reason,
                                       .reference = request->reference,
                                       .request_id = request->request_id};
    struct money_decision decision;
    struct refund refund;
    bool found;
    tf_code code;

    code = desk_request_check(ctx, &asked);
    if (code) return code;

    code = refund_find(ctx, request->refund_id, &refund);
    if (code) return code;
    if (!desk_in_scope(desk_scope(&ctx->identity), refund.organiser_id))
        return tf_fail(ctx, TF_NOT_FOUND, "another organiser's refund");

    code = desk_find(ctx, &asked, &found, &decision);
    if (!code && !found && request->kind == DECISION_KIND_SETTLED_ELSEWHERE) code = ask_provider(ctx, &refund);
    if (!code && !found) code = desk_decide(ctx, &asked, &decision);
    if (code) return code;

    tf_periodic_wake(pay_state(ctx)->refunds);
    response->decision = view_decision(ctx, &decision);
    return response->decision ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
