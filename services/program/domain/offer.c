/* Offer states. */
#include "services/program/domain/offer.h"

bool offer_hidden(const struct offer_facts *facts)
{
    return facts->sale_state == SALE_STATE_WITHDRAWN;
}

OfferState offer_state(const struct offer_facts *facts, tf_time now)
{
    if (now >= facts->closes || now >= facts->ends) return OFFER_STATE_ENDED;
    if (now < facts->opens) return OFFER_STATE_SOON;
    if (facts->sale_state == SALE_STATE_PAUSED) return OFFER_STATE_PAUSED;
    if (facts->places == OFFER_STATE_SOLD_OUT || facts->places == OFFER_STATE_NONE_FREE_NOW) return facts->places;
    return OFFER_STATE_ON_SALE;
}

OfferState offer_better(OfferState a, OfferState b)
{
    static const int ranks[] = {
        [OFFER_STATE_UNSPECIFIED] = 0, [OFFER_STATE_ENDED] = 1, [OFFER_STATE_SOLD_OUT] = 2,
        [OFFER_STATE_PAUSED] = 3,      [OFFER_STATE_SOON] = 4,  [OFFER_STATE_NONE_FREE_NOW] = 5,
        [OFFER_STATE_ON_SALE] = 6,
    };

    return ranks[a] >= ranks[b] ? a : b;
}
