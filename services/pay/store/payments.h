/* Payments in PostgreSQL. State changes are single statements with the expected state in their WHERE, together with
 * their outbox row. */
#pragma once

#include "services/pay/pay.h"
#include "services/pay/providers/provider.h"
#include "ticketflow/pay/v1/pay.server.h"

struct payment {
    int64_t payment_id, order_no, user_id, organiser_id, amount_minor;
    const char *request_id, *method, *currency, *subject, *pay_url, *provider_no, *failure;
    PaymentState state;
    tf_time created_at, expires_at, success_at;
    int queries;
    /* Money that does not fit waits for an operator: how much, since when, and whether the provider's books say so. */
    bool parked, park_confirmed;
    int park_revision;
    tf_time parked_at;
    int64_t received_minor;
    const char *received_currency;
    /* What an operator decided about; currency NULL: nothing. */
    int64_t decided_minor;
    const char *decided_currency;
};

/* Inserts unless the key made one before; *ret_payment is the stored one. TF_LIMIT_EXCEEDED beyond attempts_max. */
TF_MUSTCHECK tf_code payment_insert(tf_ctx *ctx, const struct payment *payment, struct payment *ret_payment);
/* The attempt that a key made; TF_NOT_FOUND when none. */
TF_MUSTCHECK tf_code payment_of_key(tf_ctx *ctx, int64_t order_no, int64_t user_id, const char *request_id,
                                    struct payment *ret_payment);
/* TF_NOT_FOUND unless of that order and user; user_id 0: of anybody. */
TF_MUSTCHECK tf_code payment_find(tf_ctx *ctx, int64_t payment_id, int64_t order_no, int64_t user_id,
                                  struct payment *ret_payment);
TF_MUSTCHECK tf_code payment_list(tf_ctx *ctx, int64_t order_no, int64_t user_id, struct payment **ret_payments,
                                  size_t *ret_n);
/* The row as it is, locked until the end of the transaction; TF_NOT_FOUND. */
TF_MUSTCHECK tf_code payment_lock(tf_ctx *ctx, tf_pg_conn *conn, int64_t payment_id, struct payment *ret_payment);
/* An event of PaymentChanged ("payment.closed") into the outbox, with its entry in the order's history; inside a
 * transaction. */
TF_MUSTCHECK tf_code payment_event_put(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *payment, const char *type,
                                       tf_time at);
/* The order is decided: its attempts that still wait, but for one, are closed at the provider now. Inside the
 * consumer's transaction. */
TF_MUSTCHECK tf_code payment_hurry(tf_ctx *ctx, tf_pg_conn *conn, int64_t order_no, int64_t except_payment_id);

/* A provider's word on a payment: the verified notification that said it (channel, body), or what its books answered
 * when they were asked (channel NULL). */
struct payment_word {
    int64_t payment_id;
    const struct charge_answer *answer;
    const char *channel;
    const void *body;
    size_t size;
};
/* Brings the stored payment in line with the word: state, event and the notification itself in one transaction.
 * *ret_payment is the payment afterwards. TF_NOT_FOUND for an unknown payment, or one of another channel. */
TF_MUSTCHECK tf_code payment_apply(tf_ctx *ctx, const struct payment_word *word, struct payment *ret_payment);

/* Takes up to n payments whose question is due, moving their next question on (a lease for whoever dies). */
TF_MUSTCHECK tf_code payment_claim(tf_ctx *ctx, tf_time now, int n, struct payment **ret_payments, size_t *ret_n);
