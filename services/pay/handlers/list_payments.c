/* ListPayments: the caller's attempts for an order, and the methods on offer. */
#include "services/pay/handlers/views.h"

#include <string.h>

enum { METHODS_MAX = 8 };

static tf_code put_methods(tf_ctx *ctx, ListPaymentsResponse *response)
{
    const struct provider *p;
    bool chinese = strncmp(ctx->language, "zh", 2) == 0;

    response->methods = TF_NEW_ARRAY(ctx->arena, PaymentMethod *, METHODS_MAX);
    for (size_t i = 0; response->methods && i < METHODS_MAX && (p = provider_at(i)); i++) {
        PaymentMethod *m = TF_NEW(ctx->arena, PaymentMethod);

        if (!m) break;
        *m = (PaymentMethod)PaymentMethod_init;
        m->method = tf_arena_strdup(ctx->arena, p->method);
        m->name = tf_arena_strdup(ctx->arena, chinese ? p->name_zh : p->name_en);
        response->methods[response->n_methods++] = m;
    }
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
}

tf_code list_payments(tf_ctx *ctx, const ListPaymentsRequest *request, ListPaymentsResponse *response)
{
    struct payment *rows;
    size_t n;
    tf_code code;

    code = payment_list(ctx, request->order_no, ctx->identity.user_id, &rows, &n);
    if (code) return code;

    response->payments = TF_NEW_ARRAY(ctx->arena, Payment *, n);
    for (size_t i = 0; i < n && response->payments; i++)
        response->payments[response->n_payments++] = view_payment(ctx, &rows[i]);
    return put_methods(ctx, response);
}
