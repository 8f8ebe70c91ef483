/* An order's transitions, each one transaction: the row by its expected state, its tickets, the money owed, the events,
 * and the row that makes Redis follow (settle_queue). Lock order: order, tickets, the rest. */
#pragma once

#include "common/pg/pg.h"
#include "services/order/store/rows.h"

/* Puts the order into settle_queue, inside a transaction; call settle_queue_wake after its commit. */
TF_MUSTCHECK tf_code order_settle_later(tf_pg_conn *conn, tf_ctx *ctx, const struct order_row *order);

/* PENDING → CANCELLED. An order cancelled before, for whatever reason, is TF_OK; TF_STATE_WRONG (parameter "state") for
 * any other; TF_NOT_FOUND. */
TF_MUSTCHECK tf_code order_cancel(tf_ctx *ctx, int64_t order_no, int cancel_reason, tf_time now);
/* PAID → REFUNDED, the whole order; note: the operator's words. An order refunded before is TF_OK; TF_STATE_WRONG
 * (parameter "state", or "used_ticket_ids" when tickets were admitted); TF_NOT_FOUND. */
TF_MUSTCHECK tf_code order_refund(tf_ctx *ctx, int64_t order_no, const char *note, tf_time now);

/* Owes a payment back, once: a second call for the same payment does nothing. Inside a transaction. */
struct owed {
    int64_t payment_id, order_no, organiser_id;
    const char *currency;
    int64_t amount_minor;
    const char *reason, *note; /* note: NULL: none */
};
TF_MUSTCHECK tf_code refund_owe(tf_pg_conn *conn, tf_ctx *ctx, const struct owed *owed, tf_time now);
