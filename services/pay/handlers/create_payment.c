/* CreatePayment: an attempt to pay an order. The amount is the order's; the key makes one attempt. */
#include "common/base/chaos.h"
#include "common/rpc/pb_time.h"
#include "services/pay/handlers/views.h"
#include "ticketflow/order/v1/order.tf.h"

#include <string.h>

enum { KEY_MIN = 8, KEY_MAX = 64 };

static tf_code check_key(tf_ctx *ctx, const char *key)
{
    size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    if (n < KEY_MIN || n > KEY_MAX || key[n])
        return tf_fail_field(ctx, "request_id", "%d to %d characters of A-Z a-z 0-9 _ -", KEY_MIN, KEY_MAX);
    return TF_OK;
}

static tf_code check_payable(tf_ctx *ctx, const GetPayableResponse *order)
{
    if (order->payable) return TF_OK;
    if (order->state == ORDER_STATE_PENDING_PAYMENT) return tf_fail(ctx, TF_HOLD_OVER, "pay_by is over");
    if (order->state == ORDER_STATE_CANCELLED) return tf_fail(ctx, TF_HOLD_OVER, "order cancelled");
    return tf_fail(ctx, TF_STATE_WRONG, "order is not pending");
}

/* What order says of the order: its price, its owner, its time. */
static tf_code ask_order(tf_ctx *ctx, int64_t order_no, GetPayableResponse **ret_order)
{
    GetPayableRequest request = GetPayableRequest_init;

    request.order_no = order_no;
    request.user_id = ctx->identity.user_id;
    return call_get_payable_internal(ctx, tf_app_client(ctx->app, "order"), &request, ret_order);
}

/* Stores the attempt, or finds the one that this key made. */
static tf_code store_attempt(tf_ctx *ctx, const CreatePaymentRequest *request, const struct provider *provider,
                             const GetPayableResponse *order, struct payment *ret_payment)
{
    struct payment p = {
        .order_no = order->order_no,
        .user_id = ctx->identity.user_id,
        .organiser_id = order->organiser_id,
        .amount_minor = order->total_minor,
        .request_id = request->request_id,
        .method = provider->method,
        .currency = order->currency,
        .subject = order->subject,
        .state = PAYMENT_STATE_CREATED,
        .created_at = ctx->clock->wall_us(ctx->clock),
        .expires_at = tf_pb_time_us(order->pay_by_time),
    };
    tf_code code;

    code = tf_app_id(ctx, ctx->app, tf_id_bucket(order->order_no), &p.payment_id);
    if (code) return code;

    return payment_insert(ctx, &p, ret_payment);
}

/* Makes the charge at the provider; repeated by whoever comes with the same key, until it stands. Whatever the provider
 * says is applied like any other word of its books: the charge may have been made, and even paid, by an earlier call
 * whose answer was lost. */
static tf_code open_charge(tf_ctx *ctx, const struct provider *provider, struct payment *p)
{
    struct charge_request charge = {.payment_id = p->payment_id,
                                    .amount_minor = p->amount_minor,
                                    .currency = p->currency,
                                    .subject = p->subject,
                                    .expires_at = p->expires_at};
    struct charge_answer answer;
    struct payment_word word = {.payment_id = p->payment_id, .answer = &answer};
    tf_code code;

    code = provider->create(ctx, &charge, &answer);
    if (code) return code;
    TF_KILL_POINT(pay_charge_made);
    if (answer.outcome == CHARGE_UNKNOWN)
        return tf_fail(ctx, TF_PROVIDER_DOWN, "the provider does not know the charge it was to make");

    return payment_apply(ctx, &word, p);
}

tf_code create_payment(tf_ctx *ctx, const CreatePaymentRequest *request, CreatePaymentResponse *response)
{
    const struct provider *provider = provider_find(request->method);
    GetPayableResponse *order = NULL;
    bool found;
    struct payment p;
    tf_code code;

    code = check_key(ctx, request->request_id);
    if (code) return code;

    code = payment_of_key(ctx, request->order_no, ctx->identity.user_id, request->request_id, &p);
    if (code && code != TF_NOT_FOUND) return code;
    tf_error_clear(ctx);
    found = !code;

    if (found && *request->method && strcmp(p.method, request->method) != 0)
        return tf_fail(ctx, TF_KEY_REUSED, "the key made an attempt by another method");
    if (!provider) return tf_fail_field(ctx, "method", "not a payment method on offer");

    /* No charge is made for an order that is decided or over, by no repetition either. */
    if (!found || p.state == PAYMENT_STATE_CREATED) {
        code = ask_order(ctx, request->order_no, &order);
        if (!code) code = check_payable(ctx, order);
        if (code) return code;
    }
    if (!found) {
        code = store_attempt(ctx, request, provider, order, &p);
        if (code) return code;
        TF_KILL_POINT(pay_attempt_stored);
    }
    if (strcmp(p.method, provider->method) != 0) /* a twin stored the key first */
        return tf_fail(ctx, TF_KEY_REUSED, "the key made an attempt by another method");

    if (p.state == PAYMENT_STATE_CREATED) {
        code = open_charge(ctx, provider, &p);
        if (code) return code;
        TF_KILL_POINT(pay_charge_stored);
    }

    response->payment = view_payment(ctx, &p);
    response->server_time = view_now(ctx);
    return response->payment ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
