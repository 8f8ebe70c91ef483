/* GetTicket: one ticket; its code for its owner alone. */
#include "common/rpc/pb_time.h"
#include "services/order/domain/order_state.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/store/tickets.h"
#include "ticketflow/order/v1/order.server.h"

tf_code get_ticket(tf_ctx *ctx, const GetTicketRequest *request, GetTicketResponse *response)
{
    struct ticket_of_order ticket;
    tf_code code;

    code = ticket_read(ctx, request->ticket_id, &ticket);
    if (code) return code;
    if (!order_visible(&ctx->identity, ticket.order.user_id, ticket.order.organiser_id))
        return tf_fail(ctx, TF_NOT_FOUND, "ticket %lld is another's", (long long)request->ticket_id);

    response->server_time = tf_pb_time(ctx->arena, order_now(ctx));
    return view_ticket(ctx, &ticket, ticket.order.user_id == ctx->identity.user_id, &response->ticket);
}
