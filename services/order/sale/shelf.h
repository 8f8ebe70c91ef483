/* The shelf's second entrance: older versions of a show, for orders made on earlier terms. sale.h has the first. */
#pragma once

#include "services/order/sale/sale.h"

/* That version exactly, with a reference for the caller. TF_NOT_FOUND when it was never stored. */
TF_MUSTCHECK tf_code sale_find_version(tf_ctx *ctx, int64_t show_id, int32_t terms, struct sale **ret_sale);
