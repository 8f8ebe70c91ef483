/* GetOrder: the stored row, to those who may see it. */
#include "common/rpc/pb_time.h"
#include "services/order/domain/order_state.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/store/order_read.h"
#include "ticketflow/order/v1/order.server.h"

tf_code get_order(tf_ctx *ctx, const GetOrderRequest *request, GetOrderResponse *response)
{
    tf_time now = order_now(ctx);
    struct order_row order;
    tf_code code;

    code = order_read(ctx, request->order_no, ORDER_WHOLE, &order);
    if (code) return code;
    if (!order_visible(&ctx->identity, order.user_id, order.organiser_id))
        return tf_fail(ctx, TF_NOT_FOUND, "order %lld is another's", (long long)order.order_no);

    response->server_time = tf_pb_time(ctx->arena, now);
    return view_order(ctx, &order, now, &response->order);
}
