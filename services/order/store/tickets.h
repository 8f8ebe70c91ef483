/* One ticket: reading and admitting. */
#pragma once

#include "services/order/store/lists.h"

/* TF_NOT_FOUND for an unknown id. */
TF_MUSTCHECK tf_code ticket_read(tf_ctx *ctx, int64_t ticket_id, struct ticket_of_order *ret_ticket);
/* VALID → USED, once. False in *ret_admitted: it is not VALID (any more); read it to see why. */
TF_MUSTCHECK tf_code ticket_admit(tf_ctx *ctx, int64_t ticket_id, int64_t show_id, int issue, const char *door,
                                  tf_time now, bool *ret_admitted);
