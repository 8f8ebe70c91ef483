/* Rows of the money desk to messages. */
#include "services/pay/handlers/desk_views.h"

#include "common/rpc/pb_time.h"

MoneyDecision *view_decision(tf_ctx *ctx, const struct money_decision *d)
{
    MoneyDecision *out = TF_NEW(ctx->arena, MoneyDecision);

    if (!out) return NULL;
    *out = (MoneyDecision)MoneyDecision_init;
    out->decision_id = d->decision_id;
    out->kind = d->kind;
    out->payment_id = d->payment_id;
    out->refund_id = d->refund_id;
    out->of_refund = d->of_refund;
    out->order_no = d->order_no;
    out->organiser_id = d->organiser_id;
    out->currency = tf_arena_strdup(ctx->arena, d->currency);
    out->amount_minor = d->amount_minor;
    out->cause = tf_arena_strdup(ctx->arena, d->cause);
    out->parked_time = tf_pb_time(ctx->arena, d->parked_at);
    out->reason = tf_arena_strdup(ctx->arena, d->reason);
    out->reference = tf_arena_strdup(ctx->arena, d->reference);
    out->user_id = d->user_id;
    out->decide_time = tf_pb_time(ctx->arena, d->decided_at);
    return tf_arena_exhausted(ctx->arena) ? NULL : out;
}
