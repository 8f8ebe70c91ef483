/* A buyer's lists, page by page. Read through the index on user, over all buckets. */
#pragma once

#include "common/pg/pg.h"
#include "services/order/store/rows.h"
#include "ticketflow/order/v1/order.tf.h"

/* Numbers of the user's orders below `before`, newest first, at most n. over_before: shows that began before it are
 * over. */
TF_MUSTCHECK tf_code orders_of_user(tf_ctx *ctx, int64_t user_id, OrderFilter filter, int64_t before,
                                    tf_time over_before, int n, const int64_t **ret_order_nos, size_t *ret_n);

/* A ticket with its order. */
struct ticket_of_order {
    struct ticket_row ticket;
    struct order_row order; /* the row alone */
    const char *used_door;  /* NULL: not said */
    /* Its place in the list. */
    bool over;
    int64_t rank;
};
/* Where a page starts: after this ticket. Zeroed: from the beginning. */
struct ticket_position {
    bool started, over;
    int64_t rank, ticket_id;
};
/* Live tickets of paid orders: those of coming shows first, the soonest first; then those that are over, the latest
 * first. At most n. */
TF_MUSTCHECK tf_code tickets_of_user(tf_ctx *ctx, int64_t user_id, const struct ticket_position *after,
                                     tf_time over_before, int n, struct ticket_of_order **ret_tickets, size_t *ret_n);
