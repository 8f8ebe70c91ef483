/* Settling several orders: PostgreSQL first, then Redis. For the settle room alone. */
#pragma once

#include "common/chassis/service.h"

struct settle_item {
    int bucket;
    int64_t show_id, order_no;
    int64_t tag;  /* the caller's */
    bool settled; /* out: Redis follows PostgreSQL; false: keep it and try again */
};
enum { SETTLE_BATCH_MAX = 200 };

/* Set by settle_start for the life of the process. */
extern tf_app *settle_app;

/* Sorts the items. An order may be there twice. The code is that of the first step that failed; items whose steps
 * succeeded are marked all the same. */
TF_MUSTCHECK tf_code settle_batch(tf_ctx *ctx, struct settle_item *items, size_t n);
