/* Prices by integers; every sum is checked. */
#include "services/order/domain/price.h"

bool price_total(const struct sale *sale, const int32_t *place_nos, int n, int64_t *ret_total_minor)
{
    int64_t total = 0;

    for (int i = 0; i < n; i++) {
        const struct sale_tier *tier = sale_tier_of(sale, place_nos[i]);

        if (!tier || __builtin_add_overflow(total, tier->price_minor, &total)) return false;
    }
    *ret_total_minor = total;
    return true;
}

bool places_adjacent(const struct sale *sale, const int32_t *place_nos, int n)
{
    const SaleSegment *row = NULL;
    int32_t low = INT32_MAX, high = INT32_MIN;
    int seated = 0;

    for (int i = 0; i < n; i++) {
        const SaleSegment *segment = sale_segment_of(sale, place_nos[i]);
        const struct sale_tier *tier = sale_tier_of(sale, place_nos[i]);

        if (!segment || !tier) return false;
        if (tier->standing) continue;
        if (row && row != segment) return false;
        row = segment;
        low = TF_MIN(low, place_nos[i]);
        high = TF_MAX(high, place_nos[i]);
        seated++;
    }
    /* Places of an order are distinct, so as many as the span has numbers fill it. */
    return seated == 0 || high - low == seated - 1;
}
