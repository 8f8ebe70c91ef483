/* WithdrawShow: no new holds for ever; paid orders stay as they are. */
#include "services/order/handlers/show_state.h"
#include "ticketflow/order/v1/order.server.h"

tf_code withdraw_show(tf_ctx *ctx, const WithdrawShowRequest *request, WithdrawShowResponse *response)
{
    response->sale_state = SALE_STATE_WITHDRAWN;
    return change_sale_state(ctx, request->show_id, SALE_STATE_WITHDRAWN);
}
