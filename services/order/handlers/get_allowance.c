/* GetAllowance: how many tickets of a show the caller may still buy. */
#include "common/rpc/pb_time.h"
#include "services/order/inventory/inventory.h"
#include "services/order/order.h"
#include "services/order/store/order_read.h"
#include "ticketflow/order/v1/order.server.h"

/* As the limit counts; while Redis cannot say, what is committed. */
static tf_code count_used(tf_ctx *ctx, const struct sale *sale, int *ret_used)
{
    if (inventory_used(ctx, sale, ctx->identity.user_id, ret_used) == TF_OK) return TF_OK;
    tf_error_clear(ctx);
    return order_count_used(ctx, sale->show_id, ctx->identity.user_id, ret_used);
}

tf_code get_allowance(tf_ctx *ctx, const GetAllowanceRequest *request, GetAllowanceResponse *response)
{
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    int used;
    tf_code code;

    code = sale_find(ctx, request->show_id, &sale);
    if (code) return code;

    code = count_used(ctx, sale, &used);
    if (code) return code;

    if (sale->one_pending_order)
        code = order_find_pending(ctx, sale->show_id, ctx->identity.user_id, &response->pending_order_no);
    if (code) return code;

    response->account_limit = sale->account_limit;
    response->order_limit = sale->order_limit;
    response->used = used;
    response->left = TF_MAX(0, sale->account_limit - used);
    response->server_time = tf_pb_time(ctx->arena, order_now(ctx));
    return TF_OK;
}
