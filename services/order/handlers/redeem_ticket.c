/* RedeemTicket: admits the bearer of a code once. */
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/rpc/pb_time.h"
#include "services/order/config.h"
#include "services/order/domain/order_state.h"
#include "services/order/domain/ticket_code.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/store/show_store.h"
#include "services/order/store/tickets.h"
#include "ticketflow/order/v1/order.server.h"

#include <string.h>

enum { DOOR_LENGTH_MAX = 100 };

static tf_code check_request(tf_ctx *ctx, const RedeemTicketRequest *request)
{
    if (!*request->code) return tf_fail_field(ctx, "code", "a ticket's code is needed");
    if (strlen(request->code) > TICKET_CODE_LENGTH_MAX)
        return tf_fail_field(ctx, "code", "at most %d characters", TICKET_CODE_LENGTH_MAX);
    if (!tf_utf8_valid(request->door, strlen(request->door)) || tf_has_control(request->door))
        return tf_fail_field(ctx, "door", "not plain text");
    if (tf_utf8_length(request->door) > DOOR_LENGTH_MAX)
        return tf_fail_field(ctx, "door", "at most %d characters", DOOR_LENGTH_MAX);
    return TF_OK;
}

/* The door's answer does not depend on whether its refusal could be noted. */
static void note_refusal(tf_ctx *ctx, const struct scan *scan, tf_code refusal)
{
    if (ticket_refused(ctx, scan, refusal)) {
        tf_log(TF_LOG_WARN, "a refused scan was not noted", "request_id", ctx->request_id, "cause", ctx->error.internal,
               NULL);
        tf_error_clear(ctx);
    }
}

/* Why a genuine code does not admit. */
static tf_code refuse(tf_ctx *ctx, const struct ticket_of_order *ticket, const struct scan *scan)
{
    bool used = ticket->ticket.used_at != INT64_MIN;
    char time[TF_TIME_TEXT];
    tf_code code;

    note_refusal(ctx, scan, used && ticket->ticket.issue == scan->issue ? TF_TICKET_USED : TF_TICKET_VOID);
    if (!used || ticket->ticket.issue != scan->issue)
        return tf_fail(ctx, TF_TICKET_VOID, "ticket %lld is not valid", (long long)ticket->ticket.ticket_id);
    code = tf_fail(ctx, TF_TICKET_USED, "ticket %lld is used", (long long)ticket->ticket.ticket_id);
    tf_time_write(time, ticket->ticket.used_at);
    tf_error_param(ctx, "used_time", "%s", time);
    if (ticket->used_door) tf_error_param(ctx, "door", "%s", ticket->used_door);
    return code;
}

tf_code redeem_ticket(tf_ctx *ctx, const RedeemTicketRequest *request, RedeemTicketResponse *response)
{
    const struct order_process *process = order_process(ctx);
    struct ticket_of_order ticket;
    tf_time now = order_now(ctx);
    struct ticket_claims claims;
    struct scan scan;
    struct show_row show;
    bool admitted;
    tf_code code;

    code = check_request(ctx, request);
    if (code) return code;

    code = show_read(ctx, request->show_id, &show);
    if (code) return code;
    if (!operates_for(&ctx->identity, TF_ROLE_ORGANISER_ADMIN | TF_ROLE_SCANNER, show.organiser_id))
        return tf_fail(ctx, TF_NOT_FOUND, "show %lld is another organiser's", (long long)show.show_id);

    if (!ticket_code_read(ctx->arena, request->code, (int)order_config.ticket_key_id, &process->ticket_public, &claims))
        return tf_fail(ctx, TF_TICKET_FORGED, "the code's signature is not ours");
    scan = (struct scan){claims.ticket_id, request->show_id, claims.issue, request->door, now};
    if (claims.show_id != request->show_id) {
        note_refusal(ctx, &scan, TF_TICKET_OTHER_SHOW);
        return tf_fail(ctx, TF_TICKET_OTHER_SHOW, "the code is for show %lld", (long long)claims.show_id);
    }

    code = ticket_admit(ctx, &scan, &admitted);
    if (code) return code;

    code = ticket_read(ctx, claims.ticket_id, &ticket);
    if (code) return code;
    if (!admitted) return refuse(ctx, &ticket, &scan);

    response->server_time = tf_pb_time(ctx->arena, now);
    return view_ticket(ctx, &ticket, false, &response->ticket);
}
