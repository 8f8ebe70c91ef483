/* What program hears and says on the event bus. */
#pragma once

#include "common/chassis/bus.h"

/* Topic "stock": order says what buyers can do with a show. */
tf_code stock_event(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event);

/* Topic "show": this version of the show can be sold. Inside the transaction of the publication; the caller wakes the
 * bus after the commit. */
TF_MUSTCHECK tf_code show_published_put(tf_ctx *ctx, tf_pg_conn *conn, int64_t show_id, int64_t organiser_id,
                                        int32_t version, const unsigned char digest[static 32]);
