/* ResumeShow: holds again. A withdrawn show stays withdrawn. */
#include "services/order/handlers/show_state.h"
#include "ticketflow/order/v1/order.server.h"

tf_code resume_show(tf_ctx *ctx, const ResumeShowRequest *request, ResumeShowResponse *response)
{
    response->sale_state = SALE_STATE_ON_SALE;
    return change_sale_state(ctx, request->show_id, SALE_STATE_ON_SALE);
}
