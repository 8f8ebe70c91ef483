/* Rules of an order's life: who may see it, what its tickets are, where its money is, what a payment does to it. Pure.
 */
#pragma once

#include "common/base/ctx.h"
#include "ticketflow/order/v1/order.tf.h"

enum { ORDER_STATE_TOMBSTONE = 9, ORDER_KIND_SALE = 1, REFUND_EXPECTED_DAYS = 3 };

/* ---- who ----------------------------------------------------------------------------------------------------------
 */

/* The operator acts for that organiser: the platform for all, an organiser's roles (of `roles`) for its own. */
bool operates_for(const struct tf_identity *identity, uint32_t roles, int64_t organiser_id);
/* The buyer, or an operator of the organiser. Others get the answer of an unknown order. */
bool order_visible(const struct tf_identity *identity, int64_t user_id, int64_t organiser_id);

/* ---- what ----------------------------------------------------------------------------------------------------------
 */

/* "PENDING_PAYMENT", "EXPIRED": the names of the contract without their prefix; "UNKNOWN". */
const char *order_state_name(int order_state);
const char *cancel_reason_name(int cancel_reason);
/* Live and not refunded as a whole: tickets admit. */
bool order_admits(int order_state);
TicketState ticket_state(int order_state, bool live, bool used);

/* ---- money ---------------------------------------------------------------------------------------------------------
 */

#define REFUND_STATE_PROCESSING "PROCESSING"
#define REFUND_STATE_SUCCEEDED  "SUCCEEDED"
#define REFUND_STATE_PARKED     "PARKED"

/* Of a payment: its money is not what was asked for, and waits for an operator. */
#define ATTEMPT_PARKED "PARKED"

#define REFUND_REASON_LATE         "LATE_PAYMENT"
#define REFUND_REASON_SECOND       "SECOND_PAYMENT"
#define REFUND_REASON_WRONG_AMOUNT "WRONG_AMOUNT"
#define REFUND_REASON_OPERATOR     "OPERATOR"

/* How many refunds of an order are in each state; a payment whose odd money is parked counts as one that is. */
struct refund_counts {
    int processing, succeeded, parked;
};
/* What is unfinished comes first. */
MoneyState money_state(int order_state, struct refund_counts refunds);
tf_time refund_expected_by(tf_time requested);

/* What a successful payment means for the order's row as it is. The state decides, never a clock. */
enum payment_effect {
    PAYMENT_PAYS,         /* pending, amount and currency right */
    PAYMENT_KNOWN,        /* the order was paid by this very payment */
    PAYMENT_LATE,         /* over before any payment */
    PAYMENT_SECOND,       /* another payment was there first */
    PAYMENT_WRONG_AMOUNT, /* pending, but this is not its price */
};
enum payment_effect payment_effect(int order_state, int64_t order_payment_id, int64_t payment_id, bool amount_right);
/* The reason on the refund; NULL when the effect needs none. */
const char *refund_reason(enum payment_effect effect);

/* Whole seconds left until pay_by; 0 when over or when the order waits for nothing. */
int seconds_left(int order_state, tf_time pay_by, tf_time now);
