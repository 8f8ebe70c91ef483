/* What a buyer can do with a show now: the clock, the sale window, and what order last said. Pure. */
#pragma once

#include "common/base/clock.h"
#include "ticketflow/order/v1/events.tf.h"
#include "ticketflow/program/v1/program.tf.h"

struct offer_facts {
    tf_time opens, closes, ends;
    OfferState places;    /* by places alone; UNSPECIFIED: order has not spoken yet */
    SaleState sale_state; /* UNSPECIFIED: the same */
};

/* A withdrawn show is hidden before anybody asks for its state. */
bool offer_hidden(const struct offer_facts *facts);
OfferState offer_state(const struct offer_facts *facts, tf_time now);
/* The state of a programme from those of its shows: the one that gives a buyer most. */
OfferState offer_better(OfferState a, OfferState b);
