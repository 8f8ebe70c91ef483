/* One call of commit_orders for a batch of entries. For the commit room alone. */
#pragma once

#include "common/pg/pg.h"
#include "services/order/commit/entry.h"

struct batch_answer {
    enum commit_result result;
    int64_t order_no;
    int64_t release_ms; /* end of the hold of an order that waits for payment; 0: none */
};

/* Sorts the entries as the function wants them. */
void batch_sort(struct commit_entry **entries, size_t n);
/* The call; entries sorted. answers[i] belongs to entries[i]. *ret_clock: PostgreSQL's time somewhere between call and
 * return. */
TF_MUSTCHECK tf_code batch_commit(tf_ctx *ctx, tf_pg_conn *conn, struct commit_entry *const *entries, size_t n,
                                  struct batch_answer *answers, tf_time *ret_clock);
