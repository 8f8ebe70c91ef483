/* CancelOrder: gives up what is not paid. Again: the same answer. */
#include "common/base/chaos.h"
#include "common/rpc/pb_time.h"
#include "services/order/domain/order_state.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/settle/settle.h"
#include "services/order/store/order_change.h"
#include "services/order/store/order_read.h"
#include "ticketflow/order/v1/order.server.h"

tf_code cancel_order(tf_ctx *ctx, const CancelOrderRequest *request, CancelOrderResponse *response)
{
    tf_time now = order_now(ctx);
    struct order_row order;
    CancelReason reason;
    tf_code code;

    code = order_read(ctx, request->order_no, ORDER_ROW, &order);
    if (code) return code;
    if (!order_visible(&ctx->identity, order.user_id, order.organiser_id))
        return tf_fail(ctx, TF_NOT_FOUND, "order %lld is another's", (long long)order.order_no);

    reason = ctx->identity.user_id == order.user_id ? CANCEL_REASON_USER : CANCEL_REASON_OPERATOR;
    code = order_cancel(ctx, order.order_no, reason, now);
    if (code) return code;
    TF_KILL_POINT(order_cancel_committed);

    /* Who reads this answer may order again at once, and be told neither of a pending order nor of a limit. */
    settle_now(ctx, order.bucket, order.show_id, order.order_no);
    TF_KILL_POINT(order_cancel_settled);
    response->server_time = tf_pb_time(ctx->arena, now);
    return answer_order(ctx, order.order_no, now, &response->order);
}
