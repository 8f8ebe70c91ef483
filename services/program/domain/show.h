/* A show as its organiser describes it: times, limits, tiers with prices, which places belong to which tier. */
#pragma once

#include "common/base/clock.h"
#include "services/program/domain/selector.h"

enum {
    SHOW_TIERS_MAX = 32,
    SHOW_ORDER_PLACES_MAX = 20,
    SHOW_ACCOUNT_PLACES_MAX = 1000,
    SHOW_HOLD_S_MAX = 3600,
    SHOW_HOLD_S_DEFAULT = 600,
    SHOW_LIMIT_DEFAULT = 6,
    PRICE_LINES_MAX = 4,
};

/* A list of selectors in the file: its member's name and what it holds. */
struct selectors {
    size_t n;
    struct selector *list;
};

struct show_tier {
    const char *ref;
    const LocalizedTexts *name;
    const char *color;    /* NULL: the plan's category's, else one of ours */
    const char *currency; /* NULL: the show's */
    size_t n_lines;
    PriceLine lines[PRICE_LINES_MAX];
    int64_t price_minor;     /* sum of the lines */
    struct selectors places; /* n 0: the plan's places that name this ref */
};

struct show {
    const char *ref, *plan_ref;
    const LocalizedTexts *name;               /* NULL: none */
    const char *start, *end, *opens, *closes; /* as written; all but start may be NULL */
    const char *currency;
    size_t n_tiers;
    struct show_tier tiers[SHOW_TIERS_MAX];
    struct selectors not_on_sale, blocked;
    int64_t account_limit, order_limit, hold_seconds;
    AttendeeRule attendee_rule;
    bool choice_allowed, one_pending_order, unlisted, publish;
};

/* The members of a show in a file. */
extern const struct member show_members[];

/* Reads an element of "shows"; what it needs of plan and venue is checked later. hold_floor_s: shortest hold allowed.
 */
bool show_read(struct reading *r, const struct path *at, const tf_json *value, int64_t hold_floor_s,
               struct show *ret_show);

/* When a show is. */
struct show_times {
    tf_time start, end, opens, closes;
    const char *local_date; /* of the start, at the venue */
};
/* Places the show's words in time. before: its stored times, which relative words leave as they are; NULL: it is new.
 */
bool show_times_set(struct reading *r, const struct path *at, const struct show *show, const char *zone, tf_time now,
                    const struct show_times *before, struct show_times *ret_times);

/* Which places of the plan belong to which tier, and which are not for sale from the start. */
struct painting {
    uint8_t *seat_tiers, *area_tiers; /* 1 … n_tiers; 0: not on sale */
    bool *seat_blocked;
    int32_t *area_blocked; /* how many of the area's places; the last ones */
    TierKind kinds[SHOW_TIERS_MAX];
    int32_t capacities[SHOW_TIERS_MAX];
};
/* Paints the plan. Faults: a category that no tier takes, a place that two tiers claim with the same closeness, a tier
 * without places or with both seats and standing places, a block of places that no tier has. */
bool painting_make(struct reading *r, const struct path *at, const struct show *show, const struct plan *plan,
                   struct painting *ret_painting);
