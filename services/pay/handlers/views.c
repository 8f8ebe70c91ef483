/* Rows to messages. */
#include "services/pay/handlers/views.h"

#include "common/rpc/pb_time.h"

Payment *view_payment(tf_ctx *ctx, const struct payment *p)
{
    Payment *out = TF_NEW(ctx->arena, Payment);

    if (!out) return NULL;
    *out = (Payment)Payment_init;
    out->payment_id = p->payment_id;
    out->order_no = p->order_no;
    out->method = tf_arena_strdup(ctx->arena, p->method);
    out->currency = tf_arena_strdup(ctx->arena, p->currency);
    out->amount_minor = p->amount_minor;
    out->state = p->state;
    out->pay_url = tf_arena_strdup(ctx->arena, p->pay_url ? p->pay_url : "");
    out->create_time = tf_pb_time(ctx->arena, p->created_at);
    out->success_time = tf_pb_time(ctx->arena, p->success_at);
    out->expire_time = tf_pb_time(ctx->arena, p->expires_at);
    out->provider_no = tf_arena_strdup(ctx->arena, p->provider_no ? p->provider_no : "");
    out->failure = tf_arena_strdup(ctx->arena, p->failure ? p->failure : "");
    return tf_arena_exhausted(ctx->arena) ? NULL : out;
}

Timestamp *view_now(tf_ctx *ctx)
{
    return tf_pb_time(ctx->arena, ctx->clock->wall_us(ctx->clock));
}
