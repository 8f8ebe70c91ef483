/* The steps of a purchase between the checked request and the stored order (docs/purchase-protocol.md §7–17). */
#pragma once

#include "services/order/clients/attendees.h"
#include "services/order/domain/body_hash.h"
#include "services/order/domain/draft.h"

struct purchase {
    struct sale *sale;
    struct draft draft;
    char body_hash[DRAFT_BODY_HASH_TEXT];
    struct attendee people[SALE_ORDER_PLACES_MAX]; /* REAL_NAME: one per ticket of the draft */
    tf_time asked_at, held_at;                     /* when the request came, when its places were taken */
    struct hold hold;
    bool known;       /* a refusal of Redis said that the buyer has orders in the show */
    int64_t order_no; /* of the stored order */
    bool fresh;       /* stored just now: nothing was paid yet */
};
/* For tf_cleanup; accepts a zeroed one. */
void purchase_done(struct purchase *purchase);

/* The show is on sale at sale time: TF_SALE_NOT_OPEN, TF_SALE_ENDED, or TF_STORE_DOWN while the time is not known. */
TF_MUSTCHECK tf_code purchase_check_window(tf_ctx *ctx, const struct purchase *purchase);
/* What readers see does not refuse a first attempt already; a marked repeat is always let through, for it may have an
 * order. */
TF_MUSTCHECK tf_code purchase_check_offer(tf_ctx *ctx, const struct purchase *purchase);
/* The attendees are the buyer's and verified. */
TF_MUSTCHECK tf_code purchase_check_attendees(tf_ctx *ctx, struct purchase *purchase);
/* Places are held for us, or were for the same key: purchase->hold. TF_ORDER_CHANGED: the terms are not ours. */
TF_MUSTCHECK tf_code purchase_hold(tf_ctx *ctx, struct purchase *purchase);
/* The hold becomes a stored order. TF_ORDER_CHANGED: the terms changed meanwhile; the hold is given back. */
TF_MUSTCHECK tf_code purchase_commit(tf_ctx *ctx, struct purchase *purchase);
/* The order that this key made before, if any: TF_OK with purchase->order_no, TF_KEY_REUSED, or TF_NOT_FOUND (nothing
 * recorded). */
TF_MUSTCHECK tf_code purchase_find_earlier(tf_ctx *ctx, struct purchase *purchase);
