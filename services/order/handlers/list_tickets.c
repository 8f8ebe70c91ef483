/* ListTickets: the caller's tickets of paid orders, the soonest show first, shows that are over last. */
#include "common/base/page_token.h"
#include "services/order/domain/window.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "ticketflow/order/v1/order.server.h"

enum { PAGE_SIZE = 50, PAGE_SIZE_MAX = 100, TOKEN_KIND = 2 };

/* What counts as over is fixed by the first page, or a show that ends meanwhile would move between pages. */
enum { TOKEN_OVER_BEFORE, TOKEN_OVER, TOKEN_RANK, TOKEN_TICKET, TOKEN_VALUES };

static tf_code read_token(tf_ctx *ctx, const char *token, struct ticket_position *ret_after, tf_time *ret_over_before)
{
    int64_t values[TOKEN_VALUES];
    tf_code code;

    *ret_after = (struct ticket_position){0};
    *ret_over_before = order_now(ctx) - (tf_time)SHOW_OVER_AFTER_S * TF_US_PER_S;
    if (!*token) return TF_OK;
    code = tf_page_token_read(ctx, token, TOKEN_KIND, values, TOKEN_VALUES);
    if (code) return code;
    if (values[TOKEN_OVER_BEFORE] < 0 || values[TOKEN_OVER_BEFORE] > *ret_over_before)
        return tf_fail_field(ctx, "page_token", "not a token of this list");

    *ret_over_before = values[TOKEN_OVER_BEFORE];
    *ret_after = (struct ticket_position){.started = true,
                                          .over = values[TOKEN_OVER] != 0,
                                          .rank = values[TOKEN_RANK],
                                          .ticket_id = values[TOKEN_TICKET]};
    return TF_OK;
}

tf_code list_tickets(tf_ctx *ctx, const ListTicketsRequest *request, ListTicketsResponse *response)
{
    struct ticket_of_order *tickets;
    struct ticket_position after;
    tf_time over_before;
    size_t n;
    int size;
    tf_code code;

    code = tf_page_size_read(ctx, request->page_size, PAGE_SIZE, PAGE_SIZE_MAX, &size);
    if (code) return code;

    code = read_token(ctx, request->page_token, &after, &over_before);
    if (code) return code;

    code = tickets_of_user(ctx, ctx->identity.user_id, &after, over_before, size + 1, &tickets, &n);
    if (code) return code;

    if (n > (size_t)size) { /* there is more */
        const struct ticket_of_order *last = &tickets[size - 1];
        const int64_t values[TOKEN_VALUES] = {[TOKEN_OVER_BEFORE] = over_before,
                                              [TOKEN_OVER] = last->over,
                                              [TOKEN_RANK] = last->rank,
                                              [TOKEN_TICKET] = last->ticket.ticket_id};

        n = (size_t)size;
        response->next_page_token = tf_page_token_make(ctx->arena, TOKEN_KIND, values, TOKEN_VALUES);
        if (!response->next_page_token) return view_done(ctx);
    }

    response->tickets = TF_NEW_ARRAY(ctx->arena, Ticket *, n);
    if (!response->tickets) return view_done(ctx);
    for (size_t i = 0; i < n; i++) {
        code = view_ticket(ctx, &tickets[i], true, &response->tickets[i]);
        if (code) return code;

        response->n_tickets = i + 1;
    }
    return TF_OK;
}
