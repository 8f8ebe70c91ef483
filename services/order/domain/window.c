/* The sale window and the offer's state. */
#include "services/order/domain/window.h"

enum { SPREAD_MS_MAX = 2000, SPREAD_MS_MIN = 200 };

enum window_phase window_at(const struct sale *sale, tf_time now, int64_t error_us)
{
    if (now - error_us < sale->opens_time) return WINDOW_SOON;
    return now < sale->closes_time ? WINDOW_OPEN : WINDOW_ENDED;
}

int window_retry_ms(tf_time opens, tf_time now, uint32_t random)
{
    int64_t left_ms = opens > now ? (opens - now + TF_US_PER_MS - 1) / TF_US_PER_MS : 0;
    int64_t spread_ms = TF_MAX(SPREAD_MS_MIN, TF_MIN(left_ms / 4, SPREAD_MS_MAX));

    left_ms = TF_MIN(left_ms, WINDOW_RETRY_MS_MAX - SPREAD_MS_MAX);
    return (int)(left_ms + random % spread_ms);
}

bool show_over(tf_time start, tf_time now)
{
    return now >= start + (tf_time)SHOW_OVER_AFTER_S * TF_US_PER_S;
}

OfferState offer_by_places(int64_t free, int64_t held)
{
    if (free > 0) return OFFER_STATE_ON_SALE;
    return held > 0 ? OFFER_STATE_NONE_FREE_NOW : OFFER_STATE_SOLD_OUT;
}

OfferState offer_state(enum window_phase phase, SaleState sale_state, OfferState by_places)
{
    if (phase == WINDOW_ENDED || sale_state == SALE_STATE_WITHDRAWN) return OFFER_STATE_ENDED;
    if (phase == WINDOW_SOON) return OFFER_STATE_SOON;
    if (sale_state == SALE_STATE_PAUSED) return OFFER_STATE_PAUSED;
    return by_places;
}
