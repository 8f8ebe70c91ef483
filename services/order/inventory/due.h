/* Due orders and their settling in Redis: what the settle room needs of the inventory. */
#pragma once

#include "services/order/inventory/inventory.h"

struct due_order {
    int64_t show_id, order_no;
};
enum { DUE_BATCH_MAX = 200 };

/* Moves what is due by now_ms in every partition on by the lease and returns it: at most DUE_BATCH_MAX per partition
 * (more: *ret_more). Shows that are closed are rebuilt; their orders come due again. In ctx->arena. */
TF_MUSTCHECK tf_code inventory_claim(tf_ctx *ctx, int64_t now_ms, struct due_order **ret_orders, size_t *ret_n,
                                     bool *ret_more);

/* What PostgreSQL said of an order. */
struct settle_entry {
    int64_t order_no;
    char state;          /* 'H' waits for payment, 'S' sold, 'B' blocked; without live places any */
    int64_t due_ms;      /* H */
    const int64_t *live; /* places */
    size_t n_live;
};
enum settle_result {
    SETTLE_OK,
    SETTLE_STALE, /* this server's inventory is older than what was read: keep, the rebuild was started */
    SETTLE_CLOSED /* likewise */
};
/* One call for orders of one show read in one snapshot. May be repeated. */
TF_MUSTCHECK tf_code inventory_settle(tf_ctx *ctx, int64_t show_id, int64_t epoch_read,
                                      const struct settle_entry *entries, size_t n, enum settle_result *ret_result);
