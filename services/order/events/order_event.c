/* Events of orders and refunds, packed and put into the outbox. */
#include "services/order/events/order_event.h"

#include "common/base/id.h"
#include "common/chassis/history.h"
#include "common/chassis/service.h"
#include "common/rpc/pb_time.h"
#include "services/order/domain/order_state.h"
#include "services/order/order.h"
#include "ticketflow/order/v1/events.tf.h"

static const char topic[] = "order";

static tf_code describe(tf_ctx *ctx, const char *type, int64_t order_no, int64_t organiser_id,
                        const ProtobufCMessage *message, struct tf_event *ret_event)
{
    struct tf_event event = {
        .bucket = tf_id_bucket(order_no),
        .topic = topic,
        .type = type,
        .version = 1,
        .aggregate_id = order_no,
        .organiser_id = organiser_id,
    };
    tf_code code;

    code = tf_app_id(ctx, ctx->app, event.bucket, &event.event_id);
    if (code) return code;

    event.payload = tf_pb_pack(ctx->arena, message, &event.size);
    if (!event.payload) return tf_fail(ctx, TF_INTERNAL, "no memory for event %s", type);
    *ret_event = event;
    return TF_OK;
}

static OrderChanged changed_of(tf_ctx *ctx, const struct order_row *order)
{
    OrderChanged changed = OrderChanged_init;

    changed.order_no = order->order_no;
    changed.show_id = order->show_id;
    changed.user_id = order->user_id;
    changed.organiser_id = order->organiser_id;
    changed.state = (OrderState)order->state;
    changed.cancel_reason = (CancelReason)order->cancel_reason;
    changed.currency = (char *)order->currency;
    changed.total_minor = order->total_minor;
    changed.payment_id = order->payment_id;
    changed.pay_by_time = tf_pb_time(ctx->arena, order->pay_by_at);
    return changed;
}

/* The event's entry in the order's history. */
static tf_code note(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_event *event, const char *const *facts)
{
    return tf_history_put(ctx, conn,
                          &(struct tf_history){.order_no = event->aggregate_id,
                                               .event_id = event->event_id,
                                               .told = true,
                                               .kind = event->type,
                                               .at = order_now(ctx),
                                               .facts = facts});
}

/* Who asked for it: nobody when pay's event or a timer did. */
static const char *asker(tf_ctx *ctx)
{
    return ctx->identity.user_id ? tf_history_int(ctx, ctx->identity.user_id) : NULL;
}

static tf_code note_change(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_event *event, const struct order_row *order)
{
    bool cancelled = order->state == ORDER_STATE_CANCELLED;
    const char *facts[] = {"reason",
                           cancelled ? cancel_reason_name(order->cancel_reason) : NULL,
                           "payment_id",
                           order->payment_id ? tf_history_int(ctx, order->payment_id) : NULL,
                           "amount_minor",
                           cancelled ? NULL : tf_history_int(ctx, order->total_minor),
                           "currency",
                           cancelled ? NULL : order->currency,
                           "by_user_id",
                           asker(ctx),
                           NULL};

    return note(conn, ctx, event, facts);
}

tf_code order_event_put(tf_pg_conn *conn, tf_ctx *ctx, const char *type, const struct order_row *order)
{
    OrderChanged changed = changed_of(ctx, order);
    struct tf_event event;
    tf_code code;

    code = describe(ctx, type, order->order_no, order->organiser_id, &changed.base, &event);
    if (code) return code;

    code = tf_outbox_put(ctx, conn, &event);
    return code ? code : note_change(conn, ctx, &event, order);
}

static tf_code pack(tf_ctx *ctx, const char *type, const struct order_row *order, tf_time now, int64_t *ret_event_id,
                    struct tf_pg_bytes *ret_envelope)
{
    OrderChanged changed = changed_of(ctx, order);
    struct tf_event event;
    tf_code code;

    code = describe(ctx, type, order->order_no, order->organiser_id, &changed.base, &event);
    if (code) return code;

    *ret_event_id = event.event_id;
    return tf_event_pack(ctx, &event, now, ret_envelope);
}

tf_code order_event_created(tf_ctx *ctx, const struct order_row *order, tf_time now, int64_t *ret_event_id,
                            struct tf_pg_bytes *ret_envelope)
{
    return pack(ctx, EVENT_ORDER_CREATED, order, now, ret_event_id, ret_envelope);
}

tf_code order_event_cancelled(tf_ctx *ctx, const struct order_row *order, tf_time now, int64_t *ret_event_id,
                              struct tf_pg_bytes *ret_envelope)
{
    return pack(ctx, EVENT_ORDER_CANCELLED, order, now, ret_event_id, ret_envelope);
}

static tf_code note_refund(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_event *event,
                           const struct refund_request *refund)
{
    const char *facts[] = {"refund_id",
                           tf_history_int(ctx, refund->refund_id),
                           "payment_id",
                           tf_history_int(ctx, refund->payment_id),
                           "amount_minor",
                           tf_history_int(ctx, refund->amount_minor),
                           "currency",
                           refund->currency,
                           "reason",
                           refund->reason,
                           "note",
                           refund->note,
                           "by_user_id",
                           asker(ctx),
                           NULL};

    return note(conn, ctx, event, facts);
}

tf_code refund_event_put(tf_pg_conn *conn, tf_ctx *ctx, const struct refund_request *refund)
{
    RefundRequested requested = RefundRequested_init;
    struct tf_event event;
    tf_code code;

    requested.refund_id = refund->refund_id;
    requested.payment_id = refund->payment_id;
    requested.order_no = refund->order_no;
    requested.organiser_id = refund->organiser_id;
    requested.currency = (char *)refund->currency;
    requested.amount_minor = refund->amount_minor;
    requested.reason = (char *)refund->reason;

    code = describe(ctx, "refund.requested", refund->order_no, refund->organiser_id, &requested.base, &event);
    if (code) return code;

    code = tf_outbox_put(ctx, conn, &event);
    return code ? code : note_refund(conn, ctx, &event, refund);
}
