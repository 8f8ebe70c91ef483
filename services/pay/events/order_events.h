/* What pay hears from order. */
#pragma once

#include "common/chassis/bus.h"

/* Topic "order": refund.requested is carried out; order.paid and order.cancelled end the order's waiting attempts;
 * everything else is not pay's. */
TF_MUSTCHECK tf_code on_order_event(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event);
