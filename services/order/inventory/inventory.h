/* The inventory of shows in Redis: what is free, held, sold; decided by one atomic function per call.
 *
 * The protocol is docs/purchase-protocol.md (the fence, the generation token, settle). This room speaks with Redis
 * only; it never decides what PostgreSQL must (commit/, settle/). Keys of a show carry the tag of its partition: bucket
 * mod 64. */
#pragma once

#include "services/order/sale/sale.h"

enum { INVENTORY_PARTITIONS = 64, LEASE_MS = 10000 };

static inline int inventory_partition(int bucket)
{
    return bucket % INVENTORY_PARTITIONS;
}

/* One tier's part of a best-available request. */
struct hold_choice {
    int tier, count;
    bool allow_split;
};

struct hold_request {
    int64_t order_no; /* new for every call */
    int64_t user_id;
    const char *request_id;
    const char *body_hash;    /* hex, 32 characters */
    const int32_t *place_nos; /* chosen; or NULL with choices */
    int n_places;
    const struct hold_choice *choices;
    int n_choices;
    const char *const *persons; /* REAL_NAME: one per place; else NULL */
    int n_persons;
    int64_t now_ms; /* sale time */
};

enum hold_result {
    HOLD_TAKEN, /* places are ours until the intent's due time */
    HOLD_AGAIN, /* this key was decided before: order_no and places of that decision */
    HOLD_KEY_REUSED,
    HOLD_CLOSED, /* not this generation: rebuild */
    HOLD_TERMS,  /* other terms: reload the snapshot */
    HOLD_PAUSED,
    HOLD_WITHDRAWN,
    HOLD_ACCOUNT_LIMIT, /* left: how many more */
    HOLD_PERSON,        /* person_index: who has a ticket already */
    HOLD_PLACES_TAKEN,  /* taken[] */
    HOLD_NO_ADJACENT,   /* tier: enough places, not side by side */
    HOLD_NONE_FREE,     /* tier: fewer free than asked (free tells how many); held > 0: some may return */
    HOLD_SOLD_OUT,      /* tier: nothing is free and nothing is held */
    HOLD_PENDING_ORDER  /* pending_order_no */
};

struct hold {
    enum hold_result result;
    int64_t order_no;
    int64_t epoch;
    int32_t place_nos[SALE_ORDER_PLACES_MAX];
    int n_places;
    bool known; /* on a refusal: the user has orders in the show; look into PostgreSQL first */
    int left, person_index, tier;
    int32_t free, held;      /* places of the tier */
    int64_t next_release_ms; /* earliest moment at which a held place may return; 0: unknown */
    int32_t taken[SALE_ORDER_PLACES_MAX];
    int n_taken;
    int64_t pending_order_no;
    int64_t version; /* of availability */
};

/* Runs the hold function. An unknown reply is repeated with a new number under the same key by the caller. Codes: TF_OK
 * (see result), TF_STORE_DOWN, TF_UNKNOWN_OUTCOME, TF_OVERLOADED. */
TF_MUSTCHECK tf_code inventory_hold(tf_ctx *ctx, const struct sale *sale, const struct hold_request *request,
                                    struct hold *ret_hold);

/* Due times of committed orders, one call per show of the batch; a speed-up only, failures are ignored by callers. */
struct confirm_entry {
    int64_t show_id, order_no, release_at_ms;
    int bucket;
};
void inventory_confirm(const struct confirm_entry *entries, size_t n);

/* The whole picture for readers. places: packed as in GetAvailabilityResponse, (npos + 3) / 4 bytes in ctx->arena. */
struct availability {
    int64_t epoch, version;
    int32_t terms;
    int sale_state; /* SaleState */
    struct {
        int32_t free, held, sold, blocked;
    } tiers[SALE_TIERS_MAX];
    unsigned char *places;
    size_t places_size;
    int64_t next_release_ms; /* 0: none held */
};
/* TF_REBUILDING when the show is CLOSED (and a rebuild was started); TF_STORE_DOWN when Redis is away or does not
 * answer within a second. Reads are shared: at most one Redis read per show and 100 ms. */
TF_MUSTCHECK tf_code inventory_availability(tf_ctx *ctx, const struct sale *sale,
                                            struct availability *ret_availability);
/* The same without places, from memory alone: what readers share now, at most 100 ms old. False when there is nothing.
 * Never waits. */
bool inventory_glance(const struct sale *sale, struct availability *ret_availability);
/* What was read before now is shown to nobody any more: this process has changed the sale's state. */
void inventory_availability_forget(int64_t show_id);
/* Tickets of the user in the show (held and paid) as the limit counts them. TF_STORE_DOWN as above. */
TF_MUSTCHECK tf_code inventory_used(tf_ctx *ctx, const struct sale *sale, int64_t user_id, int *ret_used);

/* Starts a rebuild of the show unless one runs in this process (single-flight); returns at once. */
void inventory_rebuild_soon(int64_t show_id);
/* Instances of another version of the function library sell: this one rebuilds and settles nothing and is not ready. */
bool inventory_superseded(void);
/* Rebuilds now and waits (publication, start-up, tests). */
TF_MUSTCHECK tf_code inventory_rebuild(tf_ctx *ctx, int64_t show_id);
/* Puts sale_state (after the fence row changed) into the header, within a second. TF_OK also when CLOSED: the rebuild
 * reads it from the fence. */
TF_MUSTCHECK tf_code inventory_set_sale_state(tf_ctx *ctx, int64_t show_id, int sale_state);

struct tf_app;
TF_MUSTCHECK tf_code inventory_start(struct tf_app *app);
void inventory_stop(void);
