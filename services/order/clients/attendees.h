/* The people for whom a buyer buys, from user-service, through a short-lived bounded cache: a sale asks for the same
 * ones again and again, and must not hang on user-service each time. */
#pragma once

#include "common/base/ctx.h"
#include "services/order/sale/sale.h"

struct attendee {
    int64_t attendee_id;
    const char *name, *id_masked, *person;
    bool verified;
};

struct attendee_cache;
struct attendee_cache *attendee_cache_new(void); /* NULL: no memory */
void attendee_cache_free(struct attendee_cache *cache);

/* The named attendees in their order; strings in ctx->arena. Codes: TF_NOT_FOUND with field "attendee_ids[i]" when one
 * is not the user's; TF_FIELD_INVALID with that field when one is not verified, or two are the same person. */
TF_MUSTCHECK tf_code attendees_resolve(tf_ctx *ctx, struct attendee_cache *cache, int64_t user_id, const int64_t *ids,
                                       int n, struct attendee ret_attendees[static SALE_ORDER_PLACES_MAX]);
