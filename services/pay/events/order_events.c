/* On order's refund.requested pay gives money back (and on an operator's decision about parked money: store/desk.c). A
 * decided order (paid, cancelled) ends the attempts that still wait, so that a second or late payment is rare. */
#include "services/pay/events/order_events.h"

#include "services/pay/store/payments.h"
#include "services/pay/store/refunds.h"
#include "ticketflow/order/v1/events.tf.h"

#include <string.h>

static tf_code on_refund_requested(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    const RefundRequested *request =
        (const RefundRequested *)tf_pb_unpack(ctx->arena, &RefundRequested_descriptor, event->payload, event->size);

    if (!request || request->refund_id <= 0 || request->payment_id <= 0 || request->amount_minor <= 0)
        return tf_fail(ctx, TF_INTERNAL, "refund.requested that cannot be read");
    return refund_request(ctx, conn, request);
}

static tf_code on_order_decided(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    const OrderChanged *order =
        (const OrderChanged *)tf_pb_unpack(ctx->arena, &OrderChanged_descriptor, event->payload, event->size);

    if (!order || order->order_no <= 0) return tf_fail(ctx, TF_INTERNAL, "%s that cannot be read", event->type);
    return payment_hurry(ctx, conn, order->order_no, order->payment_id);
}

tf_code on_order_event(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    if (strcmp(event->type, "refund.requested") == 0) return on_refund_requested(conn, ctx, event);
    if (strcmp(event->type, "order.paid") == 0 || strcmp(event->type, "order.cancelled") == 0)
        return on_order_decided(conn, ctx, event);
    return TF_OK;
}
