/* What a provider's word does to a payment. Pure. */
#pragma once

#include "ticketflow/pay/v1/pay.tf.h"

#include <stdbool.h>
#include <stdint.h>

enum payment_move {
    MOVE_NONE,    /* nothing new */
    MOVE_SUCCEED, /* money: from any state but SUCCEEDED; late money too */
    MOVE_CLOSE,   /* ended without money */
    MOVE_FAIL,    /* the provider never made it and the time is over */
    MOVE_MISMATCH /* money of another amount or currency: parked, an operator decides */
};

/* The payment as stored, and as the provider says. outcome: enum charge_outcome of providers/provider.h. */
struct payment_facts {
    PaymentState state;
    int64_t amount_minor;
    const char *currency;
    bool over; /* its time to pay has ended */
};
enum payment_move payment_decide(const struct payment_facts *stored, int outcome, int64_t amount_minor,
                                 const char *currency);
