/* What a provider's word does to a payment. Pure. */
#pragma once

#include "ticketflow/pay/v1/pay.tf.h"

#include <stdbool.h>
#include <stdint.h>

enum payment_move {
    MOVE_NONE,     /* nothing new */
    MOVE_OPEN,     /* the provider has the charge, which we did not know yet */
    MOVE_SUCCEED,  /* money: from any state but SUCCEEDED; late money too */
    MOVE_CLOSE,    /* ended without money */
    MOVE_FAIL,     /* the provider never made it and the time is over */
    MOVE_MISMATCH, /* money of another amount or currency (or of another than an operator decided about): parked, the
                    * books are asked, then an operator decides */
    MOVE_CLEAR     /* the books know of no money after all: nothing is parked */
};

/* Who speaks: a notification tells what may be a fault of its own; the provider's books are its last word. */
enum word_source { WORD_OF_NOTIFICATION, WORD_OF_BOOKS };

/* The payment as stored. */
struct payment_facts {
    PaymentState state;
    int64_t amount_minor;
    const char *currency;
    bool over;   /* its time to pay has ended */
    bool parked; /* money that does not fit was notified */
    /* The money that an operator decided about; currency NULL: none. It pays no order any more, not even when it fits.
     */
    int64_t decided_minor;
    const char *decided_currency;
};

/* outcome: enum charge_outcome of providers/provider.h. */
enum payment_move payment_decide(const struct payment_facts *stored, enum word_source source, int outcome,
                                 int64_t amount_minor, const char *currency);
/* Whether money of this amount and currency is what the payment asked for. */
bool payment_fits(const struct payment_facts *stored, int64_t amount_minor, const char *currency);
