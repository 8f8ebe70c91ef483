/* What pay's events do to orders. Each runs inside the transaction of its event and may be repeated. */
#pragma once

#include "common/pg/pg.h"

struct payment_told {
    int64_t payment_id, order_no, organiser_id;
    const char *method, *currency;
    int64_t amount_minor;
    tf_time at;
};

/* The money came: the order becomes PAID, or the payment is owed back. */
TF_MUSTCHECK tf_code payment_succeeded(tf_pg_conn *conn, tf_ctx *ctx, const struct payment_told *payment, tf_time now);
/* The attempt ended without money, or brought none that pays; state: "FAILED", "CLOSED", ATTEMPT_PARKED, or "WAITING"
 * when it is not parked after all. Never undoes a success. */
TF_MUSTCHECK tf_code payment_ended(tf_pg_conn *conn, tf_ctx *ctx, const struct payment_told *payment,
                                   const char *state);

struct refund_told {
    int64_t refund_id, payment_id, order_no, amount_minor;
    const char *currency, *reason, *note; /* of a refund that was started */
    tf_time at;
};
TF_MUSTCHECK tf_code refund_succeeded(tf_pg_conn *conn, tf_ctx *ctx, const struct refund_told *refund);
/* An operator's decision sends money back: of a payment that paid no order, or once more of a refund that was parked.
 */
TF_MUSTCHECK tf_code refund_started(tf_pg_conn *conn, tf_ctx *ctx, const struct refund_told *refund);
/* Parked: an operator decides. Never undoes a success. */
TF_MUSTCHECK tf_code refund_failed(tf_pg_conn *conn, tf_ctx *ctx, const struct refund_told *refund);
