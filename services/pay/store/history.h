/* What happened to an order's money, read for its timeline. */
#pragma once

#include "common/chassis/history.h"

/* At most n entries after a position, the oldest first: the history and the notifications as they came. */
TF_MUSTCHECK tf_code history_of_order(tf_ctx *ctx, int64_t order_no, const struct tf_history_position *after, int n,
                                      HistoryEntry ***ret_entries, size_t *ret_n);
/* Orders whose payments have that number at the provider, newest first. */
TF_MUSTCHECK tf_code orders_of_provider_no(tf_ctx *ctx, const char *provider_no, int n, int64_t **ret_order_nos,
                                           size_t *ret_n);
