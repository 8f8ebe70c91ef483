/* RefundOrder: an operator gives a whole paid order back. Again: the same answer. */
#include "common/base/chaos.h"
#include "common/base/text.h"
#include "services/order/domain/order_state.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/settle/settle.h"
#include "services/order/store/order_change.h"
#include "services/order/store/order_read.h"
#include "ticketflow/order/v1/order.server.h"

#include <string.h>

enum { REASON_LENGTH_MAX = 200 };

static tf_code check_reason(tf_ctx *ctx, const char *reason)
{
    if (!tf_utf8_valid(reason, strlen(reason)) || tf_has_control(reason))
        return tf_fail_field(ctx, "reason", "not plain text");
    if (!*reason || tf_utf8_length(reason) > REASON_LENGTH_MAX)
        return tf_fail_field(ctx, "reason", "1 to %d characters", REASON_LENGTH_MAX);
    return TF_OK;
}

tf_code refund_order(tf_ctx *ctx, const RefundOrderRequest *request, RefundOrderResponse *response)
{
    tf_time now = order_now(ctx);
    struct order_row order;
    tf_code code;

    code = check_reason(ctx, request->reason);
    if (code) return code;

    code = order_read(ctx, request->order_no, ORDER_ROW, &order);
    if (code) return code;
    if (!operates_for(&ctx->identity, TF_ROLE_ORGANISER_ADMIN, order.organiser_id))
        return tf_fail(ctx, TF_NOT_FOUND, "order %lld is another organiser's", (long long)order.order_no);

    code = order_refund(ctx, order.order_no, request->reason, now);
    if (code) return code;
    TF_KILL_POINT(order_refund_committed);

    settle_now(ctx, order.bucket, order.show_id, order.order_no); /* the places are free when this is answered */
    TF_KILL_POINT(order_refund_settled);

    return answer_order(ctx, order.order_no, now, &response->order);
}
