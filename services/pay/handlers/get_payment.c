/* GetPayment: one attempt of the caller. */
#include "services/pay/handlers/views.h"

tf_code get_payment(tf_ctx *ctx, const GetPaymentRequest *request, GetPaymentResponse *response)
{
    struct payment p;
    tf_code code;

    code = payment_find(ctx, request->payment_id, request->order_no, ctx->identity.user_id, &p);
    if (code) return code;

    response->payment = view_payment(ctx, &p);
    response->server_time = view_now(ctx);
    return response->payment ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
