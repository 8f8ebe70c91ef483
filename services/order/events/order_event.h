/* What order tells the others: topic "order" (proto/ticketflow/order/v1/events.proto). */
#pragma once

#include "common/chassis/bus.h"
#include "services/order/store/rows.h"

#define EVENT_ORDER_CREATED   "order.created"
#define EVENT_ORDER_PAID      "order.paid"
#define EVENT_ORDER_CANCELLED "order.cancelled"
#define EVENT_ORDER_REFUNDED  "order.refunded"

/* Of the order as it is after the change, with its entry in the history; inside the change's transaction. */
TF_MUSTCHECK tf_code order_event_put(tf_pg_conn *conn, tf_ctx *ctx, const char *type, const struct order_row *order);
/* order.created, packed for the group commit, with its own id. */
TF_MUSTCHECK tf_code order_event_created(tf_ctx *ctx, const struct order_row *order, tf_time now, int64_t *ret_event_id,
                                         struct tf_pg_bytes *ret_envelope);

/* order.cancelled, packed for settling (the end of a hold), with its own id. */
TF_MUSTCHECK tf_code order_event_cancelled(tf_ctx *ctx, const struct order_row *order, tf_time now,
                                           int64_t *ret_event_id, struct tf_pg_bytes *ret_envelope);

struct refund_request {
    int64_t refund_id, payment_id, order_no, organiser_id;
    const char *currency;
    int64_t amount_minor;
    const char *reason;
    const char *note; /* the operator's words, for the history; NULL: none */
};
/* On this word pay refunds (and on an operator's decision about parked money); with its entry in the history. */
TF_MUSTCHECK tf_code refund_event_put(tf_pg_conn *conn, tf_ctx *ctx, const struct refund_request *refund);
