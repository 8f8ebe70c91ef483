/* What places cost and how they lie: pure sums over the sale snapshot. */
#pragma once

#include "services/order/sale/sale.h"

/* Sum of the places' prices. False on a place that is none, or past int64. */
TF_MUSTCHECK bool price_total(const struct sale *sale, const int32_t *place_nos, int n, int64_t *ret_total_minor);
/* All seated places are side by side in one row; standing places have no neighbours and do not count. */
bool places_adjacent(const struct sale *sale, const int32_t *place_nos, int n);
