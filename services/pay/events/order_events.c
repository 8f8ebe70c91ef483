/* refund.requested is the only word on which pay gives money back. */
#include "services/pay/events/order_events.h"

#include "services/pay/store/refunds.h"

#include <string.h>

tf_code on_order_event(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    const RefundRequested *request;

    if (strcmp(event->type, "refund.requested") != 0) return TF_OK;
    request =
        (const RefundRequested *)tf_pb_unpack(ctx->arena, &RefundRequested_descriptor, event->payload, event->size);
    if (!request || request->refund_id <= 0 || request->payment_id <= 0 || request->amount_minor <= 0)
        return tf_fail(ctx, TF_INTERNAL, "refund.requested that cannot be read");
    return refund_request(ctx, conn, request);
}
