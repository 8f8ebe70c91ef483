/* The race of payment against expiry, cancel and other payments is decided here, by one UPDATE of the order's row. */
#include "services/order/store/payment_apply.h"

#include "common/base/chaos.h"
#include "common/base/id.h"
#include "common/base/metrics.h"
#include "services/order/domain/order_state.h"
#include "services/order/events/order_event.h"
#include "services/order/store/order_change.h"
#include "services/order/store/order_read.h"

#include <string.h>

static tf_counter payments_refused = TF_COUNTER("tf_order_payments_refunded_total",
                                                "Payments that no order could take and that are owed back", "reason");

static const struct tf_pg_stmt update_paid = {
    .name = "payment_pays",
    .sql = "UPDATE orders SET state = 2, payment_id = $3, paid_at = $6"
           " WHERE bucket = $1 AND order_no = $2 AND kind = 1 AND state = 1 AND total_minor = $4 AND currency = $5",
    .writes = true,
};
static const struct tf_pg_stmt upsert_payment = {
    .name = "payment_note",
    .sql = "INSERT INTO order_payment AS p (bucket, order_no, payment_id, method, amount_minor, state, at)"
           " VALUES ($1, $2, $3, $4, $5, $6, $7)"
           " ON CONFLICT (bucket, order_no, payment_id) DO UPDATE SET state = excluded.state, at = excluded.at"
           " WHERE p.state <> 'SUCCEEDED'",
    .writes = true,
};
static const struct tf_pg_stmt update_refund_succeeded = {
    .name = "refund_succeeded",
    .sql = "UPDATE refund_due SET state = '" REFUND_STATE_SUCCEEDED "', succeeded_at = $4"
           " WHERE bucket = $1 AND payment_id = $2 AND refund_id = $3",
    .writes = true,
};
static const struct tf_pg_stmt update_refund_parked = {
    .name = "refund_parked",
    .sql = "UPDATE refund_due SET state = '" REFUND_STATE_PARKED "'"
           " WHERE bucket = $1 AND payment_id = $2 AND refund_id = $3 AND state <> '" REFUND_STATE_SUCCEEDED "'",
    .writes = true,
};

/* A second refund of one payment (its books changed after the first) adds to the sum; a repetition changes nothing. */
static const struct tf_pg_stmt upsert_refund_started = {
    .name = "refund_started",
    .sql = "INSERT INTO refund_due AS d (bucket, payment_id, refund_id, order_no, amount_minor, currency, reason, note,"
           " state, requested_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '" REFUND_STATE_PROCESSING "', $9)"
           " ON CONFLICT (bucket, payment_id) DO UPDATE SET refund_id = excluded.refund_id,"
           " state = '" REFUND_STATE_PROCESSING "', succeeded_at = NULL, amount_minor ="
           " d.amount_minor + CASE WHEN d.refund_id = excluded.refund_id THEN 0 ELSE excluded.amount_minor END"
           " WHERE d.refund_id <> excluded.refund_id OR d.state = '" REFUND_STATE_PARKED "'",
    .writes = true,
};

static tf_code note_payment(tf_pg_conn *conn, tf_ctx *ctx, const struct payment_told *payment, const char *state)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_id_bucket(payment->order_no));
    tf_pg_int8(&params, payment->order_no);
    tf_pg_int8(&params, payment->payment_id);
    tf_pg_text(&params, payment->method);
    tf_pg_int8(&params, payment->amount_minor);
    tf_pg_text(&params, state);
    tf_pg_time(&params, payment->at);
    return tf_pg_exec(conn, ctx, &upsert_payment, &params, NULL);
}

static tf_code try_pay(tf_pg_conn *conn, tf_ctx *ctx, const struct payment_told *payment, tf_time now, bool *ret_paid)
{
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_id_bucket(payment->order_no));
    tf_pg_int8(&params, payment->order_no);
    tf_pg_int8(&params, payment->payment_id);
    tf_pg_int8(&params, payment->amount_minor);
    tf_pg_text(&params, payment->currency);
    tf_pg_time(&params, now);
    code = tf_pg_exec(conn, ctx, &update_paid, &params, &result);
    if (code) return code;

    *ret_paid = tf_pg_affected(result) == 1;
    return TF_OK;
}

static tf_code owe_back(tf_pg_conn *conn, tf_ctx *ctx, const struct payment_told *payment, const char *reason,
                        tf_time now)
{
    struct owed owed = {.payment_id = payment->payment_id,
                        .order_no = payment->order_no,
                        .organiser_id = payment->organiser_id,
                        .currency = payment->currency,
                        .amount_minor = payment->amount_minor,
                        .reason = reason};

    tf_counter_add_label(&payments_refused, reason, 1);
    return refund_owe(conn, ctx, &owed, now);
}

tf_code payment_succeeded(tf_pg_conn *conn, tf_ctx *ctx, const struct payment_told *payment, tf_time now)
{
    enum payment_effect effect;
    struct order_row order;
    bool paid, amount_right;
    tf_code code;

    code = try_pay(conn, ctx, payment, now, &paid);
    if (code) return code;

    code = note_payment(conn, ctx, payment, "SUCCEEDED");
    if (code) return code;

    code = order_read_in(conn, ctx, payment->order_no, &order);
    if (code == TF_NOT_FOUND) { /* no such order, whatever pay believed: the money goes back */
        tf_error_clear(ctx);
        return owe_back(conn, ctx, payment, REFUND_REASON_LATE, now);
    }
    if (code) return code;

    if (paid) {
        code = order_event_put(conn, ctx, EVENT_ORDER_PAID, &order);
        if (!code) code = order_settle_later(conn, ctx, &order);
        TF_KILL_POINT(order_payment_written);
        return code;
    }

    amount_right = order.total_minor == payment->amount_minor && strcmp(order.currency, payment->currency) == 0;
    effect = payment_effect(order.state, order.payment_id, payment->payment_id, amount_right);
    if (effect == PAYMENT_PAYS) /* the row changed under us, which only a retry can sort out */
        return tf_fail(ctx, TF_ORDER_CHANGED, "order %lld changed during payment", (long long)order.order_no);
    if (effect == PAYMENT_KNOWN) return TF_OK;
    return owe_back(conn, ctx, payment, refund_reason(effect), now);
}

tf_code payment_ended(tf_pg_conn *conn, tf_ctx *ctx, const struct payment_told *payment, const char *state)
{
    return note_payment(conn, ctx, payment, state);
}

static tf_code change_refund(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_pg_stmt *stmt,
                             const struct refund_told *refund, bool succeeded)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_id_bucket(refund->order_no));
    tf_pg_int8(&params, refund->payment_id);
    tf_pg_int8(&params, refund->refund_id);
    if (succeeded) tf_pg_time(&params, refund->at);
    return tf_pg_exec(conn, ctx, stmt, &params, NULL);
}

tf_code refund_succeeded(tf_pg_conn *conn, tf_ctx *ctx, const struct refund_told *refund)
{
    return change_refund(conn, ctx, &update_refund_succeeded, refund, true);
}

tf_code refund_started(tf_pg_conn *conn, tf_ctx *ctx, const struct refund_told *refund)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_id_bucket(refund->order_no));
    tf_pg_int8(&params, refund->payment_id);
    tf_pg_int8(&params, refund->refund_id);
    tf_pg_int8(&params, refund->order_no);
    tf_pg_int8(&params, refund->amount_minor);
    tf_pg_text(&params, refund->currency);
    tf_pg_text(&params, refund->reason);
    tf_pg_text(&params, *refund->note ? refund->note : NULL);
    tf_pg_time(&params, refund->at);
    return tf_pg_exec(conn, ctx, &upsert_refund_started, &params, NULL);
}

tf_code refund_failed(tf_pg_conn *conn, tf_ctx *ctx, const struct refund_told *refund)
{
    return change_refund(conn, ctx, &update_refund_parked, refund, false);
}
