/* Refunds in PostgreSQL: asked for by order's event or an operator's decision, carried out by the refund worker. */
#pragma once

#include "services/pay/pay.h"
#include "ticketflow/order/v1/events.tf.h"

struct refund {
    int64_t refund_id, payment_id, order_no, organiser_id, amount_minor;
    const char *currency;
    const char *method, *payment_currency; /* of the payment and of its money; NULL: there is none */
    int attempts;
};

/* Inside the consumer's transaction; a second request of the same refund does nothing. */
TF_MUSTCHECK tf_code refund_request(tf_ctx *ctx, tf_pg_conn *conn, const RefundRequested *request);
/* Takes up to n due refunds, moving their next try on. */
TF_MUSTCHECK tf_code refund_claim(tf_ctx *ctx, tf_time now, int n, struct refund **ret_refunds, size_t *ret_n);
/* TF_NOT_FOUND. */
TF_MUSTCHECK tf_code refund_find(tf_ctx *ctx, int64_t refund_id, struct refund *ret_refund);
/* PROCESSING or PARKED → SUCCEEDED with its event. */
TF_MUSTCHECK tf_code refund_succeeded(tf_ctx *ctx, const struct refund *refund);
/* PROCESSING → PARKED with its event: an operator decides. */
TF_MUSTCHECK tf_code refund_park(tf_ctx *ctx, const struct refund *refund, const char *cause);

/* What is told about a refund. */
struct refund_news {
    const char *type;          /* "refund.succeeded" */
    const char *cause;         /* of refund.failed */
    const char *reason, *note; /* of refund.started */
};
/* The event into the outbox, with its entry in the order's history; inside a transaction. */
TF_MUSTCHECK tf_code refund_event_put(tf_ctx *ctx, tf_pg_conn *conn, const struct refund *refund,
                                      const struct refund_news *news, tf_time now);
