/* Shows as order keeps them: the fence row and the stored snapshots. Whatever changes the fence row waits for the
 * batches that run and refuses the later ones that were decided on the old row. */
#pragma once

#include "common/pg/pg.h"
#include "services/order/sale/sale.h"

struct show_row {
    int bucket;
    int64_t show_id, organiser_id;
    int32_t terms;
    int sale_state; /* SaleState */
    int64_t offer_sequence;
    int offer_places, offer_sale_state; /* as last told; 0: never */
};

/* TF_NOT_FOUND for a show that was never published. */
TF_MUSTCHECK tf_code show_read(tf_ctx *ctx, int64_t show_id, struct show_row *ret_show);
/* ON_SALE, PAUSED or WITHDRAWN. Withdrawn is for ever: TF_STATE_WRONG. Again: TF_OK. */
TF_MUSTCHECK tf_code show_set_state(tf_ctx *ctx, int64_t show_id, int sale_state);

/* The terms in force; 0 when the show is new. Inside a transaction. */
TF_MUSTCHECK tf_code show_terms_in(tf_pg_conn *conn, tf_ctx *ctx, int64_t show_id, int32_t *ret_terms);
/* Stores a snapshot and makes it the show's terms, inside a transaction. before: the version in force; NULL for a new
 * show. A changed place map while tickets live is TF_INTERNAL: seats that were sold would mean others. */
TF_MUSTCHECK tf_code show_publish_in(tf_pg_conn *conn, tf_ctx *ctx, const struct sale *before, const struct sale *sale,
                                     const void *data, size_t size, const void *digest, size_t digest_size);

/* Shows of which buyers should hear: those on sale or about to be at `now`, and those whose state was not told yet;
 * after (bucket, show), at most n. */
TF_MUSTCHECK tf_code shows_to_tell(tf_ctx *ctx, tf_time now, int after_bucket, int64_t after_show, int n,
                                   struct show_row **ret_shows, size_t *ret_n);
/* Notes what is told with the next sequence number, inside a transaction. TF_ORDER_CHANGED when the row is not as read.
 */
TF_MUSTCHECK tf_code show_told_in(tf_pg_conn *conn, tf_ctx *ctx, const struct show_row *show, int offer_places,
                                  int64_t *ret_sequence);
