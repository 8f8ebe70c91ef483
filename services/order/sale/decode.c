/* Decodes a sale snapshot and checks every bound and rule of it, so that nothing behind this file has to.
 *
 * Numbers decide memory layouts in Redis (inventory/image.h) and unique keys in PostgreSQL: a snapshot that breaks the
 * contract is refused whole. */
#include "services/order/sale/sale.h"

#include "common/base/id.h"

#include <stdlib.h>
#include <string.h>

enum {
    CELL = 16,
    SALE_ARENA_MAX = 96 << 20,
    STANDING_SEGMENT_MAX = 1024,
    SECTIONS_MAX = 10000,
    PRICE_LINES_MAX = 16,
    ACCOUNT_LIMIT_MAX = 1000,
    HOLD_SECONDS_MAX = 3600
};
static const int64_t PRICE_MINOR_MAX = 1000000000000; /* 10^12: sums of an order stay far from 2^63 */

static tf_code fault(tf_ctx *ctx, const char *what, int64_t at)
{
    return tf_fail(ctx, TF_INTERNAL, "sale snapshot breaks its contract: %s (%lld)", what, (long long)at);
}

/* False when absent or out of tf_time's range. */
static bool time_of(const Timestamp *timestamp, tf_time *ret_time)
{
    static const int64_t seconds_max = 253402300799; /* 9999-12-31T23:59:59Z */

    if (!timestamp || timestamp->seconds < 0 || timestamp->seconds > seconds_max) return false;
    if (timestamp->nanos < 0 || timestamp->nanos > 999999999) return false;

    *ret_time = timestamp->seconds * TF_US_PER_S + timestamp->nanos / 1000;
    return true;
}

static bool currency_valid(const char *currency)
{
    if (strlen(currency) != 3) return false;
    for (int i = 0; i < 3; i++)
        if (currency[i] < 'A' || currency[i] > 'Z') return false;
    return true;
}

static tf_code decode_head(tf_ctx *ctx, struct sale *sale)
{
    const SaleSnapshot *s = sale->snapshot;

    if (s->show_id <= 0) return fault(ctx, "show_id", s->show_id);
    if (s->version <= 0) return fault(ctx, "version", s->version);
    if (s->organiser_id <= 0) return fault(ctx, "organiser_id", s->organiser_id);
    if (s->program_id <= 0) return fault(ctx, "program_id", s->program_id);
    if (!time_of(s->start_time, &sale->start_time)) return fault(ctx, "start_time", 0);
    if (!time_of(s->opens_time, &sale->opens_time)) return fault(ctx, "opens_time", 0);
    if (!time_of(s->closes_time, &sale->closes_time)) return fault(ctx, "closes_time", 0);
    if (sale->closes_time <= sale->opens_time) return fault(ctx, "closes_time is not after opens_time", 0);
    if (!currency_valid(s->currency)) return fault(ctx, "currency", 0);
    if (s->account_limit < 1 || s->account_limit > ACCOUNT_LIMIT_MAX)
        return fault(ctx, "account_limit", s->account_limit);
    if (s->order_limit < 1 || s->order_limit > SALE_ORDER_PLACES_MAX) return fault(ctx, "order_limit", s->order_limit);
    if (s->hold_seconds < 1 || s->hold_seconds > HOLD_SECONDS_MAX) return fault(ctx, "hold_seconds", s->hold_seconds);
    if (s->attendee_rule < ATTENDEE_RULE_NONE || s->attendee_rule > ATTENDEE_RULE_REAL_NAME)
        return fault(ctx, "attendee_rule", s->attendee_rule);
    if (s->n_sections > SECTIONS_MAX) return fault(ctx, "too many sections", (int64_t)s->n_sections);

    sale->show_id = s->show_id;
    sale->organiser_id = s->organiser_id;
    sale->program_id = s->program_id;
    sale->bucket = tf_bucket_of_show(s->show_id);
    sale->terms = s->version;
    sale->account_limit = s->account_limit;
    sale->order_limit = s->order_limit;
    sale->hold_seconds = s->hold_seconds;
    sale->attendee_rule = s->attendee_rule;
    sale->one_pending_order = s->one_pending_order;
    sale->choice_allowed = s->choice_allowed;
    sale->currency = s->currency;
    return TF_OK;
}

static tf_code decode_tiers(tf_ctx *ctx, struct sale *sale)
{
    const SaleSnapshot *s = sale->snapshot;

    if (s->n_tiers < 1 || s->n_tiers > SALE_TIERS_MAX) return fault(ctx, "number of tiers", (int64_t)s->n_tiers);

    sale->n_tiers = (int)s->n_tiers;
    for (int i = 0; i < sale->n_tiers; i++) {
        const SaleTier *source = s->tiers[i];
        struct sale_tier *tier = &sale->tiers[i];

        if (source->tier != i + 1) return fault(ctx, "tiers are not dense and in order", source->tier);
        if (source->kind != TIER_KIND_SEATED && source->kind != TIER_KIND_STANDING)
            return fault(ctx, "kind of tier", source->tier);
        if (source->n_price_lines > PRICE_LINES_MAX) return fault(ctx, "too many price lines in tier", source->tier);

        tier->tier = source->tier;
        tier->standing = source->kind == TIER_KIND_STANDING;
        tier->source = source;
        for (size_t k = 0; k < source->n_price_lines; k++) {
            int64_t amount = source->price_lines[k]->amount_minor;

            if (amount < -PRICE_MINOR_MAX || amount > PRICE_MINOR_MAX)
                return fault(ctx, "price line of tier", source->tier);
            tier->price_minor += amount;
        }
        if (tier->price_minor < 0 || tier->price_minor > PRICE_MINOR_MAX)
            return fault(ctx, "price of tier", source->tier);
    }
    return TF_OK;
}

static tf_code decode_segment(tf_ctx *ctx, struct sale *sale, const SaleSegment *segment)
{
    const SaleSnapshot *s = sale->snapshot;
    int32_t first = segment->first_place_no;
    struct sale_tier *tier;

    if (segment->tier < 1 || segment->tier > sale->n_tiers) return fault(ctx, "tier of segment", first);
    if (first % CELL != 0) return fault(ctx, "segment does not start at a multiple of 16", first);
    /* npos is one past the pad behind the segment before; for the first segment it is the first number. */
    if (first < sale->npos) return fault(ctx, "segment is not behind the one before with a pad between", first);
    if (segment->count < 1 || segment->count > SALE_PLACES_MAX - sale->n_places)
        return fault(ctx, "count of segment", first);
    if (first > SALE_NUMBERS_MAX - segment->count - CELL) return fault(ctx, "number of segment", first);

    tier = &sale->tiers[segment->tier - 1];
    if (tier->standing && segment->count > STANDING_SEGMENT_MAX)
        return fault(ctx, "standing segment is too long", first);
    if (segment->section < 0 || (size_t)segment->section >= s->n_sections)
        return fault(ctx, "section of segment", first);
    if (segment->n_labels != 0 && segment->n_labels != (size_t)segment->count)
        return fault(ctx, "labels of segment", first);
    if (segment->n_cell_quality != (size_t)(segment->count + CELL - 1) / CELL)
        return fault(ctx, "cell_quality of segment", first);
    if (segment->focal < 0 || segment->focal >= segment->count) return fault(ctx, "focal of segment", first);

    tier->capacity += segment->count;
    sale->n_places += segment->count;
    sale->npos = (first + segment->count + CELL) / CELL * CELL;
    return TF_OK;
}

static tf_code decode_segments(tf_ctx *ctx, struct sale *sale)
{
    const SaleSnapshot *s = sale->snapshot;
    int tier = 0;

    if (s->n_segments < 1) return fault(ctx, "no segments", 0);
    if (s->segments[0]->first_place_no != SALE_FIRST_PLACE_NO)
        return fault(ctx, "first place", s->segments[0]->first_place_no);

    sale->npos = SALE_FIRST_PLACE_NO;
    for (size_t i = 0; i < s->n_segments; i++) {
        const SaleSegment *segment = s->segments[i];
        tf_code code;

        if (segment->tier != tier && segment->tier >= 1 && segment->tier <= sale->n_tiers &&
            sale->tiers[segment->tier - 1].capacity > 0)
            return fault(ctx, "segments of a tier are not together", segment->first_place_no);
        tier = segment->tier;

        code = decode_segment(ctx, sale, segment);
        if (code) return code;
    }
    return TF_OK;
}

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static tf_code decode_places(tf_ctx *ctx, struct sale *sale)
{
    const SaleSnapshot *s = sale->snapshot;

    if (s->n_blocked_place_nos > (size_t)sale->n_places) return fault(ctx, "too many blocked places", 0);

    /* The message is ours: sorted in place, so that sale_is_blocked can search. */
    if (s->n_blocked_place_nos) qsort(s->blocked_place_nos, s->n_blocked_place_nos, sizeof(int32_t), by_number);
    for (size_t i = 0; i < s->n_blocked_place_nos; i++) {
        int32_t place = s->blocked_place_nos[i];

        if (!sale_segment_of(sale, place)) return fault(ctx, "blocked place does not exist", place);
        if (i > 0 && place == s->blocked_place_nos[i - 1]) return fault(ctx, "blocked place twice", place);
    }
    for (size_t i = 0; i < s->n_notes; i++)
        if (!sale_segment_of(sale, s->notes[i]->place_no))
            return fault(ctx, "note on a place that does not exist", s->notes[i]->place_no);
    return TF_OK;
}

tf_code sale_decode(tf_ctx *ctx, const void *data, size_t size, struct sale **ret_sale)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(SALE_ARENA_MAX);
    struct sale *sale;
    tf_code code;

    if (!arena) return tf_fail(ctx, TF_OVERLOADED, "no memory for a sale snapshot");

    sale = TF_NEW(arena, struct sale);
    if (!sale) return tf_fail(ctx, TF_OVERLOADED, "no memory for a sale snapshot");

    sale->snapshot = (const SaleSnapshot *)tf_pb_unpack(arena, &SaleSnapshot_descriptor, data, size);
    if (!sale->snapshot) return tf_fail(ctx, TF_INTERNAL, "sale snapshot of %zu bytes cannot be decoded", size);

    code = decode_head(ctx, sale);
    if (code) return code;

    code = decode_tiers(ctx, sale);
    if (code) return code;

    code = decode_segments(ctx, sale);
    if (code) return code;

    code = decode_places(ctx, sale);
    if (code) return code;

    atomic_init(&sale->references, 1);
    sale->arena = TF_TAKE(arena);
    *ret_sale = sale;
    return TF_OK;
}

struct sale *sale_ref(struct sale *sale)
{
    atomic_fetch_add_explicit(&sale->references, 1, memory_order_relaxed);
    return sale;
}

void sale_unref(struct sale *sale)
{
    if (!sale) return;
    if (atomic_fetch_sub_explicit(&sale->references, 1, memory_order_acq_rel) != 1) return;

    tf_arena_free(sale->arena); /* the sale itself lives there */
}

void sale_unrefp(struct sale **sale)
{
    sale_unref(*sale);
}

const SaleSegment *sale_segment_of(const struct sale *sale, int32_t place_no)
{
    size_t low = 0, high = sale->snapshot->n_segments;

    while (low < high) { /* the last segment that starts at or before the place is in [low - 1, high) */
        size_t middle = low + (high - low) / 2;

        if (sale->snapshot->segments[middle]->first_place_no <= place_no)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return NULL;

    const SaleSegment *segment = sale->snapshot->segments[low - 1];
    return place_no - segment->first_place_no < segment->count ? segment : NULL;
}

const struct sale_tier *sale_tier_of(const struct sale *sale, int32_t place_no)
{
    const SaleSegment *segment = sale_segment_of(sale, place_no);

    return segment ? sale_tier(sale, segment->tier) : NULL;
}

const struct sale_tier *sale_tier(const struct sale *sale, int tier)
{
    return tier >= 1 && tier <= sale->n_tiers ? &sale->tiers[tier - 1] : NULL;
}

bool sale_is_blocked(const struct sale *sale, int32_t place_no)
{
    const SaleSnapshot *s = sale->snapshot;

    return s->n_blocked_place_nos &&
           bsearch(&place_no, s->blocked_place_nos, s->n_blocked_place_nos, sizeof(int32_t), by_number) != NULL;
}
