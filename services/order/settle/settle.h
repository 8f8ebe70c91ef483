/* Settle: bring Redis in line with what PostgreSQL says of an order. The only code that frees a place.
 *
 * Due orders are claimed from the partitions' due sets, travel as events of a Redis Stream read by a consumer group,
 * and are settled in batches; a safety net reads PostgreSQL every 30 s; rows of settle_queue (cancel, refund, payment)
 * are worked off until Redis answered OK. */
#pragma once

#include "common/base/ctx.h"

/* Settles one order now (after TERMS, PAUSED, PERSON, TOMB, DUPLICATE with another number; after a cancel or a refund),
 * within ctx's time and a second; a failure leaves it to its due time or to its row of settle_queue. */
void settle_now(tf_ctx *ctx, int bucket, int64_t show_id, int64_t order_no);
/* The worker of settle_queue looks at once: call after committing a transaction that wrote rows there. */
void settle_queue_wake(void);

struct tf_app;
TF_MUSTCHECK tf_code settle_start(struct tf_app *app);
void settle_stop(void);
