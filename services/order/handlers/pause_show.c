/* PauseShow: no new holds; pending orders may still pay. */
#include "services/order/handlers/show_state.h"
#include "ticketflow/order/v1/order.server.h"

tf_code pause_show(tf_ctx *ctx, const PauseShowRequest *request, PauseShowResponse *response)
{
    response->sale_state = SALE_STATE_PAUSED;
    return change_sale_state(ctx, request->show_id, SALE_STATE_PAUSED);
}
