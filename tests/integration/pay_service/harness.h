/* tf-pay and tf-sandbox in a world of their own. order is a stand-in; the gateway's route for notifications is played
 * by the test, which can hold them back. */
#pragma once

#include "tests/integration/pay_service/world.h"
#include "ticketflow/order/v1/events.tf.h"
#include "ticketflow/order/v1/order.tf.h"
#include "ticketflow/pay/v1/pay.tf.h"

enum { BUYER = 7, AMOUNT_MINOR = 10500 };

/* cmocka group fixtures. */
int harness_start(void **state);
int harness_stop(void **state);

/* The provider's process, to be taken away and given back; its books stay. */
void sandbox_stop(void);
void sandbox_start(void);
/* It stands still: it takes connections and answers nothing. */
void sandbox_pause(bool on);
/* tf-pay ends at once, as by a fault of the machine; and serves again. */
void pay_kill(void);
void pay_again(void);
/* A client that speaks to pay as the gateway does. */
tf_rpc_client *pay_client(void);

/* A new order of BUYER over AMOUNT_MINOR CNY, payable for that long. */
int64_t order_payable(int pay_ms);
/* order's answers about it from now on. */
void order_becomes(int64_t order_no, OrderState state);
/* order says so on its topic. */
void order_says(const char *type, int64_t order_no, OrderState state, int64_t payment_id);
void order_wants_refund(int64_t refund_id, int64_t payment_id, int64_t order_no, int64_t amount_minor,
                        const char *currency);
/* A number for a refund, in the bucket of the order. */
int64_t new_refund_id(int64_t order_no);

/* CreatePayment by BUYER. The answer lives in ctx. */
tf_code pay(tf_ctx *ctx, int64_t order_no, const char *key, const char *method, Payment **ret_payment);
/* Opens an attempt, or fails the test; its id. *ret_url (WORLD_TEXT bytes, may be NULL): where the buyer pays. */
int64_t opened(int64_t order_no, char *ret_url);
/* The buyer presses "Pay"; the page's status. */
int press(const char *url);
/* A fault for the next payment of that charge, members in JSON: "\"lose\":true". */
void fault(int64_t payment_id, const char *members);
/* A notification as the provider would send it, signed with its key (or, forged, with another one, or `age_s` ago). */
tf_code notify(tf_ctx *ctx, const char *body, bool forged, int age_s);
/* The same, of this payment and amount. */
tf_code notify_paid(tf_ctx *ctx, int64_t payment_id, int64_t amount_minor);
/* Notifications sent by the provider so far. */
int notified(void);

PaymentState state_of(int64_t payment_id, int64_t order_no);
void wait_for_payment(int64_t payment_id, PaymentState state, int timeout_ms);
/* Events of that type about the order in pay's outbox. */
int64_t events(int64_t order_no, const char *type);
/* Refunds of the charge by the provider's own books, and their sum. */
int64_t refunded_minor(int64_t payment_id);
