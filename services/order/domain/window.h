/* When a show sells, and what buyers can do with it. Pure: sale time arrives as an argument. */
#pragma once

#include "services/order/sale/sale.h"
#include "ticketflow/order/v1/order.tf.h"

enum window_phase { WINDOW_SOON, WINDOW_OPEN, WINDOW_ENDED };

enum {
    WINDOW_RETRY_MS_MAX = 3600 * 1000, /* longest pause we ask a client to keep before the opening */
    SHOW_OVER_AFTER_S = 6 * 3600,      /* a show counts as over so long after its start */
    INVENTORY_WARM_BEFORE_S = 600,     /* inventories are built so long before the opening */
};

/* Never early: the opening counts from the moment at which it has surely passed, error_us being the bound of now's
 * error. */
enum window_phase window_at(const struct sale *sale, tf_time now, int64_t error_us);
/* Milliseconds until a buyer should come again; random spreads them over up to two seconds after the opening. */
int window_retry_ms(tf_time opens, tf_time now, uint32_t random);
bool show_over(tf_time start, tf_time now);

/* By places alone: ON_SALE, NONE_FREE_NOW or SOLD_OUT. */
OfferState offer_by_places(int64_t free, int64_t held);
/* All considered. */
OfferState offer_state(enum window_phase phase, SaleState sale_state, OfferState by_places);
