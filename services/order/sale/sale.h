/* A show as order sells it: the decoded sale snapshot, immutable, shared by reference count.
 *
 * Kept in memory per show at its newest stored version (`terms`); replaced as a whole when program publishes a new one.
 */
#pragma once

#include "common/base/ctx.h"
#include "ticketflow/program/v1/sale.tf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    SALE_TIERS_MAX = 32,
    SALE_PLACES_MAX = 100000,
    SALE_NUMBERS_MAX = 1 << 21,
    SALE_FIRST_PLACE_NO = 32,
    SALE_ORDER_PLACES_MAX = 20
};

struct sale_tier {
    int tier; /* 1 … 32 */
    bool standing;
    int32_t capacity; /* places, blocked ones included */
    int64_t price_minor;
    const SaleTier *source; /* names, price lines */
};

struct sale {
    _Atomic int references;
    int64_t show_id, organiser_id, program_id;
    int bucket;                                  /* tf_bucket_of_show */
    int32_t terms;                               /* = snapshot version */
    tf_time start_time, opens_time, closes_time; /* microseconds */
    int account_limit, order_limit, hold_seconds;
    AttendeeRule attendee_rule;
    bool one_pending_order, choice_allowed;
    const char *currency;
    int n_tiers;
    struct sale_tier tiers[SALE_TIERS_MAX]; /* by tier, dense: tiers[tier - 1] */
    int32_t npos;                           /* place numbers are below it */
    int32_t n_places;
    const SaleSnapshot *snapshot; /* segments by first_place_no ascending */
    tf_arena *arena;              /* owns all of the above */
};

/* Checks every bound and rule of the snapshot (see SaleSegment's comment): numbers, overlaps, tiers, padding. Decodes
 * into a new sale with one reference. TF_INTERNAL with the fault when the snapshot breaks the contract. */
TF_MUSTCHECK tf_code sale_decode(tf_ctx *ctx, const void *data, size_t size, struct sale **ret_sale);
struct sale *sale_ref(struct sale *sale);
void sale_unref(struct sale *sale); /* accepts NULL */
void sale_unrefp(struct sale **sale);

/* The segment that holds the place; NULL when the number is no place. Binary search. */
const SaleSegment *sale_segment_of(const struct sale *sale, int32_t place_no);
/* The tier of a place; NULL when it is no place. */
const struct sale_tier *sale_tier_of(const struct sale *sale, int32_t place_no);
const struct sale_tier *sale_tier(const struct sale *sale, int tier); /* NULL when there is none */
bool sale_is_blocked(const struct sale *sale, int32_t place_no);

/* ---- the shelf: shows known to this process ---------------------------------------------------------------------- */

/* The newest version, with a reference for the caller: from memory, else from the database (sale_snapshot).
 * TF_NOT_FOUND for an unknown show. */
TF_MUSTCHECK tf_code sale_find(tf_ctx *ctx, int64_t show_id, struct sale **ret_sale);
/* The same for those who only look: for half a second it may still say TF_NOT_FOUND of a show that another instance
 * published. */
TF_MUSTCHECK tf_code sale_look(tf_ctx *ctx, int64_t show_id, struct sale **ret_sale);
/* Forgets the show's version in memory so that the next sale_find reads the database (terms changed). */
void sale_forget(int64_t show_id);
/* A place in words. Strings in ctx->arena, in ctx->language. */
struct place_words {
    const char *section, *row, *seat, *text, *entrance, *tier_name;
};
TF_MUSTCHECK tf_code sale_place_words(tf_ctx *ctx, const struct sale *sale, int32_t place_no,
                                      struct place_words *ret_words);
/* The place that sale_place_words calls so, in English or Chinese; 0: none. */
TF_MUSTCHECK tf_code sale_place_find(tf_ctx *ctx, const struct sale *sale, const char *text, int32_t *ret_place_no);
/* Picks the text in ctx->language, else the first; "" when there is none. */
const char *sale_text(const tf_ctx *ctx, const LocalizedTexts *texts);
