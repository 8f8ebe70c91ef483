/* Orders as operators look for them, and what is known of their course. */
#pragma once

#include "common/chassis/history.h"
#include "services/order/store/rows.h"

/* At most n entries of the order's timeline after a position, the oldest first: order's own part. */
TF_MUSTCHECK tf_code timeline_of_order(tf_ctx *ctx, int64_t order_no, const struct tf_history_position *after, int n,
                                       HistoryEntry ***ret_entries, size_t *ret_n);

/* Numbers of orders below `before`, newest first, at most n; organiser_id 0: of all organisers. */
struct order_numbers {
    int64_t *order_nos;
    size_t n;
};
TF_MUSTCHECK tf_code lookup_user(tf_ctx *ctx, int64_t user_id, int64_t organiser_id, int64_t before, int n,
                                 struct order_numbers *ret_numbers);
/* Who has the place, and who had it. */
TF_MUSTCHECK tf_code lookup_place(tf_ctx *ctx, int64_t show_id, int32_t place_no, int64_t before, int n,
                                  struct order_numbers *ret_numbers);
