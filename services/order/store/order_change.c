/* Cancel and refund: the CAS of the order's row decides; who comes second is told what the row says. */
#include "services/order/store/order_change.h"

#include "common/base/id.h"
#include "common/chassis/service.h"
#include "services/order/domain/order_state.h"
#include "services/order/events/order_event.h"
#include "services/order/settle/settle.h"
#include "services/order/store/order_read.h"

static const struct tf_pg_stmt update_cancelled = {
    .name = "order_cancel",
    .sql = "UPDATE orders SET state = 5, cancel_reason = $3, cancelled_at = $4"
           " WHERE bucket = $1 AND order_no = $2 AND kind = 1 AND state = 1",
    .writes = true,
};
static const struct tf_pg_stmt update_refunded = {
    .name = "order_refund",
    .sql = "UPDATE orders SET state = 4 WHERE bucket = $1 AND order_no = $2 AND kind = 1 AND state = 2",
    .writes = true,
};
static const struct tf_pg_stmt void_tickets = {
    .name = "order_void_tickets",
    .sql = "UPDATE tickets SET live = false WHERE bucket = $1 AND order_no = $2 AND live AND used_at IS NULL",
    .writes = true,
};
static const struct tf_pg_stmt select_used = {
    .name = "order_used_tickets",
    .sql = "SELECT ticket_id FROM tickets WHERE bucket = $1 AND order_no = $2 AND live ORDER BY place_no",
};
static const struct tf_pg_stmt insert_settle = {
    .name = "settle_later",
    .sql = "INSERT INTO settle_queue (bucket, order_no, show_id) VALUES ($1, $2, $3)"
           " ON CONFLICT (bucket, order_no) DO UPDATE SET created_at = clock_timestamp()",
    .writes = true,
};
static const struct tf_pg_stmt insert_refund = {
    .name = "refund_owe",
    .sql = "INSERT INTO refund_due"
           " (bucket, payment_id, refund_id, order_no, amount_minor, currency, reason, note, state, requested_at)"
           " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '" REFUND_STATE_PROCESSING "', $9)"
           " ON CONFLICT (bucket, payment_id) DO NOTHING",
    .writes = true,
};

struct change {
    int64_t order_no;
    int cancel_reason;
    const char *note;
    tf_time now;
};

static void one_order(tf_pg_params *params, tf_ctx *ctx, int64_t order_no)
{
    tf_pg_params_init(params, ctx);
    tf_pg_int2(params, (int16_t)tf_id_bucket(order_no));
    tf_pg_int8(params, order_no);
}

/* The row was not in the expected state: fine when it is where the change leads, else say where it is. */
static tf_code meet_state(tf_ctx *ctx, const struct order_row *order, int wanted)
{
    tf_code code;

    if (order->state == wanted) return TF_OK;
    code = tf_fail(ctx, TF_STATE_WRONG, "order %lld is %s", (long long)order->order_no, order_state_name(order->state));
    tf_error_param(ctx, "state", "%s", order_state_name(order->state));
    return code;
}

tf_code order_settle_later(tf_pg_conn *conn, tf_ctx *ctx, const struct order_row *order)
{
    tf_pg_params params;

    one_order(&params, ctx, order->order_no);
    tf_pg_int8(&params, order->show_id);
    return tf_pg_exec(conn, ctx, &insert_settle, &params, NULL);
}

tf_code refund_owe(tf_pg_conn *conn, tf_ctx *ctx, const struct owed *owed, tf_time now)
{
    struct refund_request request = {
        .payment_id = owed->payment_id,
        .order_no = owed->order_no,
        .organiser_id = owed->organiser_id,
        .currency = owed->currency,
        .amount_minor = owed->amount_minor,
        .reason = owed->reason,
        .note = owed->note,
    };
    int bucket = tf_id_bucket(owed->order_no);
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    code = tf_app_id(ctx, ctx->app, bucket, &request.refund_id);
    if (code) return code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)bucket);
    tf_pg_int8(&params, owed->payment_id);
    tf_pg_int8(&params, request.refund_id);
    tf_pg_int8(&params, owed->order_no);
    tf_pg_int8(&params, owed->amount_minor);
    tf_pg_text(&params, owed->currency);
    tf_pg_text(&params, owed->reason);
    tf_pg_text(&params, owed->note);
    tf_pg_time(&params, now);
    code = tf_pg_exec(conn, ctx, &insert_refund, &params, &result);
    if (code || tf_pg_affected(result) == 0) return code;

    return refund_event_put(conn, ctx, &request);
}

static tf_code cancel_in(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    const struct change *change = arg;
    struct order_row order;
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    one_order(&params, ctx, change->order_no);
    tf_pg_int2(&params, (int16_t)change->cancel_reason);
    tf_pg_time(&params, change->now);
    code = tf_pg_exec(conn, ctx, &update_cancelled, &params, &result);
    if (code) return code;

    code = order_read_in(conn, ctx, change->order_no, &order);
    if (code) return code;
    if (tf_pg_affected(result) == 0) return meet_state(ctx, &order, ORDER_STATE_CANCELLED);

    one_order(&params, ctx, change->order_no);
    code = tf_pg_exec(conn, ctx, &void_tickets, &params, NULL);
    if (code) return code;

    code = order_event_put(conn, ctx, EVENT_ORDER_CANCELLED, &order);
    if (code) return code;

    return order_settle_later(conn, ctx, &order);
}

/* Tickets that were admitted cannot be given back: the refund rolls back whole and names them. */
static tf_code refuse_used(tf_pg_conn *conn, tf_ctx *ctx, int64_t order_no)
{
    const char *list = "";
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    one_order(&params, ctx, order_no);
    code = tf_pg_exec(conn, ctx, &select_used, &params, &rows);
    if (code) return code;
    if (tf_pg_rows(rows) == 0) return TF_OK;

    for (int i = 0; i < tf_pg_rows(rows) && list; i++)
        list = tf_arena_printf(ctx->arena, "%s%s%lld", list, *list ? "," : "", (long long)tf_pg_get_int(rows, i, 0));
    code = tf_fail(ctx, TF_STATE_WRONG, "%d tickets of order %lld are used", tf_pg_rows(rows), (long long)order_no);
    if (list) tf_error_param(ctx, "used_ticket_ids", "%s", list);
    return code;
}

static tf_code refund_in(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    const struct change *change = arg;
    struct order_row order;
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    one_order(&params, ctx, change->order_no);
    code = tf_pg_exec(conn, ctx, &update_refunded, &params, &result);
    if (code) return code;

    code = order_read_in(conn, ctx, change->order_no, &order);
    if (code) return code;
    if (tf_pg_affected(result) == 0) return meet_state(ctx, &order, ORDER_STATE_REFUNDED);

    one_order(&params, ctx, change->order_no);
    code = tf_pg_exec(conn, ctx, &void_tickets, &params, NULL);
    if (code) return code;

    code = refuse_used(conn, ctx, change->order_no);
    if (code) return code;

    code = refund_owe(conn, ctx,
                      &(struct owed){.payment_id = order.payment_id,
                                     .order_no = order.order_no,
                                     .organiser_id = order.organiser_id,
                                     .currency = order.currency,
                                     .amount_minor = order.total_minor,
                                     .reason = REFUND_REASON_OPERATOR,
                                     .note = change->note},
                      change->now);
    if (code) return code;

    code = order_event_put(conn, ctx, EVENT_ORDER_REFUNDED, &order);
    if (code) return code;

    return order_settle_later(conn, ctx, &order);
}

static tf_code run(tf_ctx *ctx, tf_pg_tx_fn fn, struct change *change)
{
    tf_code code = tf_pg_tx(ctx, tf_app_pg(ctx->app), fn, change);

    if (!code) {
        settle_queue_wake();
        tf_bus_wake(tf_app_bus(ctx->app));
    }
    return code;
}

tf_code order_cancel(tf_ctx *ctx, int64_t order_no, int cancel_reason, tf_time now)
{
    return run(ctx, cancel_in, &(struct change){.order_no = order_no, .cancel_reason = cancel_reason, .now = now});
}

tf_code order_refund(tf_ctx *ctx, int64_t order_no, const char *note, tf_time now)
{
    return run(ctx, refund_in, &(struct change){.order_no = order_no, .note = note, .now = now});
}
