/* Parses pay's events and hands them to store/payment_apply.h. */
#include "common/base/chaos.h"
#include "common/chassis/service.h"
#include "common/rpc/pb_time.h"
#include "common/rpc/rpc.h"
#include "services/order/domain/order_state.h"
#include "services/order/events/events.h"
#include "services/order/order.h"
#include "services/order/settle/settle.h"
#include "services/order/store/payment_apply.h"
#include "ticketflow/pay/v1/events.tf.h"

#include <string.h>

static tf_time time_or(const Google__Protobuf__Timestamp *time, tf_time fallback)
{
    return time ? tf_pb_time_us(time) : fallback;
}

static tf_code parse_payment(tf_ctx *ctx, const struct tf_received *event, struct payment_told *ret_payment)
{
    const PaymentChanged *payment =
        (const PaymentChanged *)tf_pb_unpack(ctx->arena, &PaymentChanged_descriptor, event->payload, event->size);

    if (!payment || payment->payment_id <= 0 || payment->order_no <= 0 || payment->amount_minor < 0)
        return tf_fail(ctx, TF_INTERNAL, "a malformed %s", event->type);
    *ret_payment = (struct payment_told){.payment_id = payment->payment_id,
                                         .order_no = payment->order_no,
                                         .organiser_id = event->organiser_id,
                                         .method = payment->method,
                                         .currency = payment->currency,
                                         .amount_minor = payment->amount_minor,
                                         .at = time_or(payment->time, event->occurred)};
    return TF_OK;
}

static tf_code on_succeeded(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    struct payment_told payment;
    tf_code code = parse_payment(ctx, event, &payment);

    return code ? code : payment_succeeded(conn, ctx, &payment, order_now(ctx));
}

static tf_code on_failed(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    struct payment_told payment;
    tf_code code = parse_payment(ctx, event, &payment);

    return code ? code : payment_ended(conn, ctx, &payment, "FAILED");
}

static tf_code on_closed(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    struct payment_told payment;
    tf_code code = parse_payment(ctx, event, &payment);

    return code ? code : payment_ended(conn, ctx, &payment, "CLOSED");
}

/* Odd money waits for an operator's decision, or turned out to be none. */
static tf_code on_parked(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    struct payment_told payment;
    tf_code code = parse_payment(ctx, event, &payment);

    return code ? code : payment_ended(conn, ctx, &payment, ATTEMPT_PARKED);
}

static tf_code on_waiting(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    struct payment_told payment;
    tf_code code = parse_payment(ctx, event, &payment);

    return code ? code : payment_ended(conn, ctx, &payment, "WAITING");
}

static tf_code parse_refund(tf_ctx *ctx, const struct tf_received *event, struct refund_told *ret_refund)
{
    const RefundChanged *refund =
        (const RefundChanged *)tf_pb_unpack(ctx->arena, &RefundChanged_descriptor, event->payload, event->size);

    if (!refund || refund->refund_id <= 0 || refund->payment_id <= 0 || refund->order_no <= 0)
        return tf_fail(ctx, TF_INTERNAL, "a malformed %s", event->type);
    *ret_refund = (struct refund_told){.refund_id = refund->refund_id,
                                       .payment_id = refund->payment_id,
                                       .order_no = refund->order_no,
                                       .amount_minor = refund->amount_minor,
                                       .currency = refund->currency,
                                       .reason = refund->reason,
                                       .note = refund->note,
                                       .at = time_or(refund->time, event->occurred)};
    return TF_OK;
}

static tf_code on_refund_succeeded(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    struct refund_told refund;
    tf_code code = parse_refund(ctx, event, &refund);

    return code ? code : refund_succeeded(conn, ctx, &refund);
}

static tf_code on_refund_failed(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    struct refund_told refund;
    tf_code code = parse_refund(ctx, event, &refund);

    return code ? code : refund_failed(conn, ctx, &refund);
}

static tf_code on_refund_started(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    struct refund_told refund;
    tf_code code = parse_refund(ctx, event, &refund);

    return code ? code : refund_started(conn, ctx, &refund);
}

static const struct {
    const char *type;
    tf_event_handler handler;
} types[] = {
    {"payment.succeeded", on_succeeded}, {"payment.failed", on_failed},
    {"payment.closed", on_closed},       {"payment.parked", on_parked},
    {"payment.waiting", on_waiting},     {"refund.succeeded", on_refund_succeeded},
    {"refund.failed", on_refund_failed}, {"refund.started", on_refund_started},
};

tf_code payment_event(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    for (size_t i = 0; i < TF_COUNT(types); i++)
        if (strcmp(types[i].type, event->type) == 0) return types[i].handler(conn, ctx, event);
    return TF_OK;
}

void payment_events_committed(struct tf_app *app)
{
    TF_KILL_POINT(order_payment_committed);
    settle_queue_wake();
    tf_bus_wake(tf_app_bus(app));
}
