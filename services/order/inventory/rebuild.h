/* One rebuild of one show's inventory from PostgreSQL (docs/purchase-protocol.md, "Rebuild"). For the inventory room
 * alone. */
#pragma once

#include "services/order/inventory/inventory.h"

/* Brings the show to an open generation that matches the fence row; does nothing when it is there already, unless
 * `anew`. *epoch_raised: the epoch that this process raised for the show last (0: none), kept by the caller between
 * runs: what was begun under it is our own and waited for by nobody. ctx needs room for all of the show's live tickets.
 * TF_NOT_FOUND: no such show. Everything else may be tried again. */
TF_MUSTCHECK tf_code rebuild_show(tf_ctx *ctx, int64_t show_id, bool anew, int64_t *epoch_raised);

/* What PostgreSQL says of a show's fence row. */
struct fence {
    int64_t epoch;
    int32_t terms;
    int sale_state;
};
TF_MUSTCHECK tf_code fence_read(tf_ctx *ctx, int64_t show_id, struct fence *ret_fence);
/* Makes the header's sale state the fence's, also when both change meanwhile. A closed show is TF_OK. */
TF_MUSTCHECK tf_code fence_follow(tf_ctx *ctx, int64_t show_id, int sale_state);
