/* DecideParkedPayment: an operator decides about money that is not what was asked for. The provider's books have the
 * word before: what they correct or deny by now is no longer parked, and is not decided. */
#include "services/pay/handlers/desk_views.h"

static tf_code ask_books(tf_ctx *ctx, const struct payment *payment, DecisionKind kind)
{
    const struct provider *provider = provider_find(payment->method);
    struct charge_answer answer;
    struct payment_word word = {.payment_id = payment->payment_id, .answer = &answer};
    struct payment after;
    tf_code code;

    /* One that is no longer offered can be asked nothing; what was settled elsewhere is still recorded. */
    if (!provider)
        return kind == DECISION_KIND_SETTLED_ELSEWHERE
                   ? TF_OK
                   : tf_fail(ctx, TF_PROVIDER_DOWN, "the provider is no longer offered");
    code = provider->query(ctx, payment->payment_id, &answer);
    return code ? code : payment_apply(ctx, &word, &after);
}

tf_code decide_parked_payment(tf_ctx *ctx, const DecideParkedPaymentRequest *request,
                              DecideParkedPaymentResponse *response)
{
    const struct desk_request asked = {.id = request->payment_id,
                                       .kind = request->kind,
                                       .revision = request->revision,
                                       .reason = request->reason,
                                       .reference = request->reference,
                                       .request_id = request->request_id};
    struct money_decision decision;
    struct payment payment;
    bool found;
    tf_code code;

    code = desk_request_check(ctx, &asked);
    if (code) return code;

    code = payment_find(ctx, request->payment_id, 0, 0, &payment);
    if (code) return code;
    if (!desk_in_scope(desk_scope(&ctx->identity), payment.organiser_id))
        return tf_fail(ctx, TF_NOT_FOUND, "another organiser's payment");

    code = desk_find(ctx, &asked, &found, &decision);
    if (!code && !found) code = ask_books(ctx, &payment, request->kind);
    if (!code && !found) code = desk_decide(ctx, &asked, &decision);
    if (code) return code;

    tf_periodic_wake(pay_state(ctx)->refunds);
    response->decision = view_decision(ctx, &decision);
    return response->decision ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
