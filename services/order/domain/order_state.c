/* The tables behind an order's states. */
#include "services/order/domain/order_state.h"

bool operates_for(const struct tf_identity *identity, uint32_t roles, int64_t organiser_id)
{
    if (identity->roles & TF_ROLE_PLATFORM_OPERATOR) return true;
    return (identity->roles & roles) && identity->organiser_id > 0 && identity->organiser_id == organiser_id;
}

bool order_visible(const struct tf_identity *identity, int64_t user_id, int64_t organiser_id)
{
    if (identity->user_id > 0 && identity->user_id == user_id) return true;
    return operates_for(identity, TF_ROLE_ORGANISER_ADMIN, organiser_id);
}

const char *order_state_name(int order_state)
{
    static const char *const names[] = {[ORDER_STATE_PENDING_PAYMENT] = "PENDING_PAYMENT",
                                        [ORDER_STATE_PAID] = "PAID",
                                        [ORDER_STATE_PARTIALLY_REFUNDED] = "PARTIALLY_REFUNDED",
                                        [ORDER_STATE_REFUNDED] = "REFUNDED",
                                        [ORDER_STATE_CANCELLED] = "CANCELLED"};

    return order_state > 0 && (size_t)order_state < TF_COUNT(names) ? names[order_state] : "UNKNOWN";
}

const char *cancel_reason_name(int cancel_reason)
{
    static const char *const names[] = {[CANCEL_REASON_USER] = "USER",
                                        [CANCEL_REASON_EXPIRED] = "EXPIRED",
                                        [CANCEL_REASON_OPERATOR] = "OPERATOR",
                                        [CANCEL_REASON_CONFLICT] = "CONFLICT"};

    return cancel_reason > 0 && (size_t)cancel_reason < TF_COUNT(names) ? names[cancel_reason] : "UNKNOWN";
}

bool order_admits(int order_state)
{
    return order_state == ORDER_STATE_PAID || order_state == ORDER_STATE_PARTIALLY_REFUNDED;
}

TicketState ticket_state(int order_state, bool live, bool used)
{
    if (!live) return TICKET_STATE_VOID;
    if (order_state == ORDER_STATE_PENDING_PAYMENT) return TICKET_STATE_HELD;
    if (!order_admits(order_state)) return TICKET_STATE_VOID;
    return used ? TICKET_STATE_USED : TICKET_STATE_VALID;
}

MoneyState money_state(int order_state, struct refund_counts refunds)
{
    if (refunds.parked) return MONEY_STATE_PARKED;
    if (refunds.processing) return MONEY_STATE_REFUNDING;
    if (order_admits(order_state)) return MONEY_STATE_PAID;
    return refunds.succeeded ? MONEY_STATE_REFUNDED : MONEY_STATE_NONE;
}

tf_time refund_expected_by(tf_time requested)
{
    return requested + (tf_time)REFUND_EXPECTED_DAYS * 24 * 3600 * TF_US_PER_S;
}

enum payment_effect payment_effect(int order_state, int64_t order_payment_id, int64_t payment_id, bool amount_right)
{
    if (order_payment_id == payment_id) return PAYMENT_KNOWN;
    if (order_payment_id > 0) return PAYMENT_SECOND;
    if (order_state != ORDER_STATE_PENDING_PAYMENT) return PAYMENT_LATE;
    return amount_right ? PAYMENT_PAYS : PAYMENT_WRONG_AMOUNT;
}

const char *refund_reason(enum payment_effect effect)
{
    switch (effect) {
    case PAYMENT_LATE:
        return REFUND_REASON_LATE;
    case PAYMENT_SECOND:
        return REFUND_REASON_SECOND;
    case PAYMENT_WRONG_AMOUNT:
        return REFUND_REASON_WRONG_AMOUNT;
    case PAYMENT_PAYS:
    case PAYMENT_KNOWN:
        return NULL;
    }
    return NULL;
}

int seconds_left(int order_state, tf_time pay_by, tf_time now)
{
    if (order_state != ORDER_STATE_PENDING_PAYMENT || pay_by <= now) return 0;
    return (int)((pay_by - now) / TF_US_PER_S);
}
