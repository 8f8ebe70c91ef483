/* CheckPayment: asks the provider now and settles what it says. */
#include "services/pay/handlers/views.h"

tf_code check_payment(tf_ctx *ctx, const CheckPaymentRequest *request, CheckPaymentResponse *response)
{
    const struct provider *provider;
    struct charge_answer answer;
    struct payment_word word = {.payment_id = request->payment_id, .answer = &answer};
    struct payment p;
    tf_code code;

    code = payment_find(ctx, request->payment_id, request->order_no, ctx->identity.user_id, &p);
    if (code) return code;

    provider = provider_find(p.method);
    if (p.state != PAYMENT_STATE_SUCCEEDED && provider) {
        code = provider->query(ctx, p.payment_id, &answer);
        if (code) return code;

        code = payment_apply(ctx, &word, &p);
        if (code) return code;
    }
    response->payment = view_payment(ctx, &p);
    response->server_time = view_now(ctx);
    return response->payment ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
