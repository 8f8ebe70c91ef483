/* Rows to messages. Texts come from the newest snapshot of the show, prices from the terms that the order was made on.
 */
#include "services/order/handlers/views.h"

#include "common/rpc/pb_time.h"
#include "services/order/config.h"
#include "services/order/domain/order_state.h"
#include "services/order/domain/ticket_code.h"
#include "services/order/order.h"
#include "services/order/sale/shelf.h"
#include "services/order/store/order_read.h"

#include <string.h>

/* A copy, because a row's or snapshot's text may go before the answer is written; "" for NULL and past the ceiling. */
static char *text(tf_ctx *ctx, const char *s)
{
    char *copy = s ? tf_arena_strdup(ctx->arena, s) : NULL;

    return copy ? copy : (char *)"";
}

static char *local_start(tf_ctx *ctx, const struct sale *sale)
{
    return text(ctx, tf_time_format_local(ctx->arena, sale->start_time, sale->snapshot->time_zone));
}

tf_code view_done(tf_ctx *ctx)
{
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "the answer does not fit") : TF_OK;
}

static tf_code view_lines(tf_ctx *ctx, const struct sale *sale, const struct ticket_row *ticket, OrderTicket *view)
{
    const struct sale_tier *tier = sale_tier(sale, ticket->tier);

    if (!tier) return tf_fail(ctx, TF_INTERNAL, "show %lld has no tier %d", (long long)sale->show_id, ticket->tier);
    view->price_lines = TF_NEW_ARRAY(ctx->arena, PriceLine *, tier->source->n_price_lines);
    if (!view->price_lines) return tf_fail(ctx, TF_INTERNAL, "no memory for price lines");
    for (size_t i = 0; i < tier->source->n_price_lines; i++) {
        PriceLine *line = TF_NEW(ctx->arena, PriceLine);

        if (!line) return tf_fail(ctx, TF_INTERNAL, "no memory for price lines");
        *line = (PriceLine)PriceLine_init;
        line->kind = tier->source->price_lines[i]->kind;
        line->amount_minor = tier->source->price_lines[i]->amount_minor;
        view->price_lines[view->n_price_lines++] = line;
    }
    return TF_OK;
}

static tf_code view_order_ticket(tf_ctx *ctx, const struct sale *sale, const struct sale *priced,
                                 const struct order_row *order, const struct ticket_row *ticket, OrderTicket *view)
{
    struct place_words words;
    tf_code code;

    code = sale_place_words(ctx, sale, ticket->place_no, &words);
    if (code) return code;

    *view = (OrderTicket)OrderTicket_init;
    view->ticket_id = ticket->ticket_id;
    view->place_no = ticket->place_no;
    view->tier = ticket->tier;
    view->tier_name = text(ctx, words.tier_name);
    view->section = text(ctx, words.section);
    view->row = text(ctx, words.row);
    view->seat = text(ctx, words.seat);
    view->place_text = text(ctx, words.text);
    view->entrance = text(ctx, words.entrance);
    view->price_minor = ticket->price_minor;
    view->attendee_id = ticket->attendee_id;
    view->attendee_name = text(ctx, ticket->attendee_name);
    view->attendee_id_masked = text(ctx, ticket->attendee_id_masked);
    view->state = ticket_state(order->state, ticket->live, ticket->used_at != INT64_MIN);
    return view_lines(ctx, priced, ticket, view);
}

/* The terms at which the tickets were sold: the newest as long as their tiers cost the same. */
static tf_code priced_terms(tf_ctx *ctx, struct sale *newest, const struct order_row *order, struct sale **ret_sale)
{
    for (size_t i = 0; i < order->n_loaded; i++) {
        const struct sale_tier *tier = sale_tier(newest, order->tickets[i].tier);

        if (!tier || tier->price_minor != order->tickets[i].price_minor)
            return sale_find_version(ctx, order->show_id, order->terms, ret_sale);
    }
    *ret_sale = sale_ref(newest);
    return TF_OK;
}

static tf_code view_tickets(tf_ctx *ctx, struct sale *sale, const struct order_row *order, Order *view)
{
    const char *joint = strncmp(ctx->language, "zh", 2) == 0 ? "；" : "; ";
    tf_cleanup(sale_unrefp) struct sale *priced = NULL;
    const char *places = "";
    tf_code code;

    code = priced_terms(ctx, sale, order, &priced);
    if (code) return code;

    view->tickets = TF_NEW_ARRAY(ctx->arena, OrderTicket *, order->n_loaded);
    if (!view->tickets) return tf_fail(ctx, TF_INTERNAL, "no memory for tickets");
    for (size_t i = 0; i < order->n_loaded; i++) {
        OrderTicket *ticket = TF_NEW(ctx->arena, OrderTicket);

        if (!ticket) return tf_fail(ctx, TF_INTERNAL, "no memory for tickets");
        code = view_order_ticket(ctx, sale, priced, order, &order->tickets[i], ticket);
        if (code) return code;

        view->tickets[view->n_tickets++] = ticket;
        places = text(ctx, tf_arena_printf(ctx->arena, "%s%s%s", places, *places ? joint : "", ticket->place_text));
    }
    view->places_text = (char *)places;
    return TF_OK;
}

static tf_code view_money(tf_ctx *ctx, const struct order_row *order, Order *view)
{
    struct refund_counts counts = {0};

    view->payments = TF_NEW_ARRAY(ctx->arena, OrderPayment *, order->n_payments);
    view->refunds = TF_NEW_ARRAY(ctx->arena, OrderRefund *, order->n_refunds);
    if (!view->payments || !view->refunds) return tf_fail(ctx, TF_INTERNAL, "no memory for payments");
    for (size_t i = 0; i < order->n_payments; i++) {
        const struct payment_row *row = &order->payments[i];
        OrderPayment *payment = TF_NEW(ctx->arena, OrderPayment);

        if (!payment) return tf_fail(ctx, TF_INTERNAL, "no memory for payments");
        *payment = (OrderPayment)OrderPayment_init;
        payment->payment_id = row->payment_id;
        payment->method = text(ctx, row->method);
        payment->amount_minor = row->amount_minor;
        payment->state = text(ctx, row->state);
        payment->time = tf_pb_time(ctx->arena, row->at);
        if (strcmp(row->state, ATTEMPT_PARKED) == 0) counts.parked++;
        view->payments[view->n_payments++] = payment;
    }
    for (size_t i = 0; i < order->n_refunds; i++) {
        const struct refund_row *row = &order->refunds[i];
        OrderRefund *refund = TF_NEW(ctx->arena, OrderRefund);

        if (!refund) return tf_fail(ctx, TF_INTERNAL, "no memory for refunds");
        *refund = (OrderRefund)OrderRefund_init;
        refund->refund_id = row->refund_id;
        refund->payment_id = row->payment_id;
        refund->amount_minor = row->amount_minor;
        refund->state = text(ctx, row->state);
        refund->reason = text(ctx, row->reason);
        refund->note = text(ctx, row->note);
        refund->request_time = tf_pb_time(ctx->arena, row->requested_at);
        refund->success_time = tf_pb_time(ctx->arena, row->succeeded_at);
        refund->expected_by_time = tf_pb_time(ctx->arena, refund_expected_by(row->requested_at));
        view->refunds[view->n_refunds++] = refund;

        if (strcmp(row->state, REFUND_STATE_PROCESSING) == 0) counts.processing++;
        if (strcmp(row->state, REFUND_STATE_SUCCEEDED) == 0) counts.succeeded++;
        if (strcmp(row->state, REFUND_STATE_PARKED) == 0) counts.parked++;
    }
    view->money_state = money_state(order->state, counts);
    return TF_OK;
}

tf_code view_order(tf_ctx *ctx, const struct order_row *order, tf_time now, Order **ret_order)
{
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    Order *view = TF_NEW(ctx->arena, Order);
    tf_code code;

    if (!view) return tf_fail(ctx, TF_INTERNAL, "no memory for an order");
    code = sale_find(ctx, order->show_id, &sale);
    if (code) return code;

    *view = (Order)Order_init;
    view->order_no = order->order_no;
    view->state = (OrderState)order->state;
    view->cancel_reason = (CancelReason)order->cancel_reason;
    view->show_id = order->show_id;
    view->organiser_id = order->organiser_id;
    view->program_id = sale->program_id;
    view->title = text(ctx, sale_text(ctx, sale->snapshot->title));
    view->picture = text(ctx, sale->snapshot->picture);
    view->venue_name = text(ctx, sale_text(ctx, sale->snapshot->venue_name));
    view->venue_address = text(ctx, sale_text(ctx, sale->snapshot->venue_address));
    view->start_time = tf_pb_time(ctx->arena, sale->start_time);
    view->time_zone = text(ctx, sale->snapshot->time_zone);
    view->local_start = local_start(ctx, sale);
    view->currency = text(ctx, order->currency);
    view->total_minor = order->total_minor;
    view->create_time = tf_pb_time(ctx->arena, order->created_at);
    view->pay_by_time = tf_pb_time(ctx->arena, order->pay_by_at);
    view->seconds_left = seconds_left(order->state, order->pay_by_at, now);
    view->paid_time = tf_pb_time(ctx->arena, order->paid_at);
    view->cancel_time = tf_pb_time(ctx->arena, order->cancelled_at);
    view->adjacent = order->adjacent;
    view->ticket_count = order->n_tickets;

    code = view_tickets(ctx, sale, order, view);
    if (code) return code;

    code = view_money(ctx, order, view);
    if (code) return code;

    *ret_order = view;
    return view_done(ctx);
}

tf_code answer_order_parts(tf_ctx *ctx, int64_t order_no, unsigned parts, tf_time now, Order **ret_order)
{
    struct order_row order;
    tf_code code;

    code = order_read(ctx, order_no, parts, &order);
    if (!code) code = view_order(ctx, &order, now, ret_order);
    if (code != TF_OVERLOADED) return code;

    tf_error_clear(ctx); /* it would say that the call did nothing */
    return tf_fail(ctx, TF_UNKNOWN_OUTCOME, "order %lld stands and cannot be read now", (long long)order_no);
}

tf_code answer_order(tf_ctx *ctx, int64_t order_no, tf_time now, Order **ret_order)
{
    return answer_order_parts(ctx, order_no, ORDER_WHOLE, now, ret_order);
}

static char *code_of(tf_ctx *ctx, const struct ticket_of_order *ticket)
{
    const struct ticket_claims claims = {.key_id = (int)order_config.ticket_key_id,
                                         .issue = ticket->ticket.issue,
                                         .ticket_id = ticket->ticket.ticket_id,
                                         .show_id = ticket->order.show_id};

    return text(ctx, ticket_code_make(ctx->arena, &order_process(ctx)->ticket_key, &claims));
}

tf_code view_ticket(tf_ctx *ctx, const struct ticket_of_order *ticket, bool with_code, Ticket **ret_ticket)
{
    const struct ticket_row *row = &ticket->ticket;
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    Ticket *view = TF_NEW(ctx->arena, Ticket);
    struct place_words words;
    tf_code code;

    if (!view) return tf_fail(ctx, TF_INTERNAL, "no memory for a ticket");
    code = sale_find(ctx, ticket->order.show_id, &sale);
    if (code) return code;

    code = sale_place_words(ctx, sale, row->place_no, &words);
    if (code) return code;

    *view = (Ticket)Ticket_init;
    view->ticket_id = row->ticket_id;
    view->order_no = ticket->order.order_no;
    view->show_id = ticket->order.show_id;
    view->title = text(ctx, sale_text(ctx, sale->snapshot->title));
    view->picture = text(ctx, sale->snapshot->picture);
    view->venue_name = text(ctx, sale_text(ctx, sale->snapshot->venue_name));
    view->venue_address = text(ctx, sale_text(ctx, sale->snapshot->venue_address));
    view->entrance = text(ctx, words.entrance);
    view->section = text(ctx, words.section);
    view->row = text(ctx, words.row);
    view->seat = text(ctx, words.seat);
    view->place_text = text(ctx, words.text);
    view->tier_name = text(ctx, words.tier_name);
    view->start_time = tf_pb_time(ctx->arena, sale->start_time);
    view->time_zone = text(ctx, sale->snapshot->time_zone);
    view->local_start = local_start(ctx, sale);
    view->attendee_name = text(ctx, row->attendee_name);
    view->attendee_id_masked = text(ctx, row->attendee_id_masked);
    view->currency = text(ctx, ticket->order.currency);
    view->price_minor = row->price_minor;
    view->state = ticket_state(ticket->order.state, row->live, row->used_at != INT64_MIN);
    view->used_time = tf_pb_time(ctx->arena, row->used_at);
    view->entry_rule = text(ctx, sale_text(ctx, sale->snapshot->entry_rule));
    if (with_code && (view->state == TICKET_STATE_VALID || view->state == TICKET_STATE_USED))
        view->code = code_of(ctx, ticket);

    *ret_ticket = view;
    return view_done(ctx);
}
