/* GetPayable: what an order costs and whether it may be paid now; for pay, in the buyer's name. */
#include "common/rpc/pb_time.h"
#include "services/order/domain/order_state.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/store/order_read.h"
#include "ticketflow/order/v1/order.server.h"

tf_code get_payable(tf_ctx *ctx, const GetPayableRequest *request, GetPayableResponse *response)
{
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    tf_time now = order_now(ctx);
    struct order_row order;
    char *subject;
    tf_code code;

    code = order_read(ctx, request->order_no, ORDER_ROW, &order);
    if (code) return code;
    if (order.user_id != request->user_id)
        return tf_fail(ctx, TF_NOT_FOUND, "order %lld is another's", (long long)order.order_no);

    code = sale_find(ctx, order.show_id, &sale);
    if (code) return code;

    subject = tf_arena_printf(ctx->arena, "%s × %d", sale_text(ctx, sale->snapshot->title), order.n_tickets);
    if (!subject) return view_done(ctx);
    response->order_no = order.order_no;
    response->organiser_id = order.organiser_id;
    response->state = (OrderState)order.state;
    response->currency = (char *)order.currency;
    response->total_minor = order.total_minor;
    response->pay_by_time = tf_pb_time(ctx->arena, order.pay_by_at);
    response->subject = subject;
    response->payable = order.state == ORDER_STATE_PENDING_PAYMENT && order.pay_by_at > now;
    return view_done(ctx);
}
