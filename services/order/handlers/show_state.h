/* Pause, resume and withdraw are one change of the fence row; the three handlers name the state. */
#pragma once

#include "ticketflow/order/v1/order.tf.h"

TF_MUSTCHECK tf_code change_sale_state(tf_ctx *ctx, int64_t show_id, SaleState state);
