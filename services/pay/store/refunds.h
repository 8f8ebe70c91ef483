/* Refunds in PostgreSQL: asked for by order's event, carried out by the refund worker. */
#pragma once

#include "services/pay/pay.h"
#include "ticketflow/order/v1/events.tf.h"

struct refund {
    int64_t refund_id, payment_id, order_no, organiser_id, amount_minor;
    const char *currency;
    const char *method, *payment_currency; /* of the payment; NULL: there is none */
    int attempts;
};

/* Inside the consumer's transaction; a second request of the same refund does nothing. */
TF_MUSTCHECK tf_code refund_request(tf_ctx *ctx, tf_pg_conn *conn, const RefundRequested *request);
/* Takes up to n due refunds, moving their next try on. */
TF_MUSTCHECK tf_code refund_claim(tf_ctx *ctx, tf_time now, int n, struct refund **ret_refunds, size_t *ret_n);
/* PROCESSING → SUCCEEDED with its event. */
TF_MUSTCHECK tf_code refund_succeeded(tf_ctx *ctx, const struct refund *refund);
/* PROCESSING → PARKED with its event: an operator decides. */
TF_MUSTCHECK tf_code refund_park(tf_ctx *ctx, const struct refund *refund, const char *cause);
