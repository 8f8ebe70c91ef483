/* Painting a plan with a show's tiers. */
#include "services/program/domain/show.h"

#include <string.h>

/* Who claims a place, and how closely. */
struct claim {
    uint8_t tier;  /* 0: not on sale */
    uint8_t grade; /* enum selector_grade + 1; 0: nobody yet */
};

struct brush {
    struct reading *r;
    const struct path *at; /* of the selector at work */
    const struct show *show;
    const struct plan *plan;
    struct claim *seats, *areas;
    struct claim claim; /* of the selector at work */
    bool good;
    int64_t work_left; /* for selectors */
};

static void claim_place(void *arg, int seat, int area)
{
    struct brush *b = arg;
    struct claim *claim = seat >= 0 ? &b->seats[seat] : &b->areas[area];

    if (claim->grade > b->claim.grade) return;
    if (claim->grade == b->claim.grade && claim->tier != b->claim.tier) {
        if (b->good)
            b->good = fault_add(b->r->faults, b->at, "takes places that %s%s%s takes too",
                                claim->tier ? "tier \"" : "not_on_sale",
                                claim->tier ? b->show->tiers[claim->tier - 1].ref : "", claim->tier ? "\"" : "");
        return;
    }
    *claim = b->claim;
}

static bool selectors_paint(struct brush *b, const struct path *list, const struct selectors *selectors, uint8_t tier)
{
    bool good = true;

    for (size_t i = 0; i < selectors->n; i++) {
        b->at = PATH_INDEX(list, i);
        b->claim = (struct claim){tier, (uint8_t)(selectors->list[i].grade + 1)};
        b->good = true;
        if (!selector_match(b->r->faults, b->at, b->plan, &selectors->list[i], &b->work_left, claim_place, b) ||
            !b->good)
            good = false;
    }
    return good;
}

/* A tier without "places" takes the category of its ref. */
static bool tier_paint(struct brush *b, const struct path *at, const struct show_tier *tier, uint8_t number)
{
    const struct selector by_ref = {.grade = SELECTS_CATEGORY, .category = tier->ref};
    bool known = false;

    if (tier->places.n > 0) return selectors_paint(b, PATH_MEMBER(at, "places"), &tier->places, number);
    for (int i = 0; i < b->plan->n_categories && !known; i++)
        known = strcmp(b->plan->categories[i].name, tier->ref) == 0;
    if (!known)
        return fault_add(b->r->faults, PATH_MEMBER(at, "ref"),
                         "no place of the plan names \"%s\": correct it, or say which places in \"places\"", tier->ref);
    b->at = at;
    b->claim = (struct claim){number, SELECTS_CATEGORY + 1};
    b->good = true;
    return selector_match(b->r->faults, at, b->plan, &by_ref, &b->work_left, claim_place, b) && b->good;
}

/* Every place is in a tier or said to be not on sale. */
static bool claims_complete(struct brush *b, const struct path *at)
{
    int *left = TF_NEW_ARRAY(b->r->arena, int, (size_t)b->plan->n_categories);
    bool good = true;

    if (!left) return fault_add(b->r->faults, at, "takes too much memory");
    for (int i = 0; i < b->plan->n_seats; i++)
        if (b->seats[i].grade == 0) left[b->plan->seats[i].category]++;
    for (int i = 0; i < b->plan->n_areas; i++)
        if (b->areas[i].grade == 0) left[b->plan->areas[i].category] += b->plan->areas[i].capacity;
    for (int i = 0; i < b->plan->n_categories; i++)
        if (left[i] > 0)
            good = fault_add(b->r->faults, PATH_MEMBER(at, "tiers"),
                             "no tier takes %d places of category \"%s\"; a place that is not to be sold is named in "
                             "\"not_on_sale\"",
                             left[i], b->plan->categories[i].name);
    return good;
}

static bool kinds_set(struct brush *b, const struct path *at, struct painting *p)
{
    const struct path *tiers = PATH_MEMBER(at, "tiers");
    bool good = true;

    for (int i = 0; i < b->plan->n_seats; i++) {
        p->seat_tiers[i] = b->seats[i].tier;
        if (p->seat_tiers[i]) p->capacities[p->seat_tiers[i] - 1]++;
    }
    for (size_t i = 0; i < b->show->n_tiers; i++)
        p->kinds[i] = p->capacities[i] > 0 ? TIER_KIND_SEATED : TIER_KIND_UNSPECIFIED;
    for (int i = 0; i < b->plan->n_areas; i++) {
        int tier = b->areas[i].tier;

        p->area_tiers[i] = b->areas[i].tier;
        if (!tier) continue;
        if (p->kinds[tier - 1] == TIER_KIND_SEATED) {
            good = fault_add(b->r->faults, PATH_INDEX(tiers, (size_t)tier - 1),
                             "has seats and the standing area \"%s\"; a tier has one kind", b->plan->areas[i].key);
            continue;
        }
        p->kinds[tier - 1] = TIER_KIND_STANDING;
        p->capacities[tier - 1] += b->plan->areas[i].capacity;
    }
    for (size_t i = 0; i < b->show->n_tiers; i++)
        if (p->kinds[i] == TIER_KIND_UNSPECIFIED)
            good = fault_add(b->r->faults, PATH_INDEX(tiers, i), "has no place: others take all that it names");
    return good;
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

struct block_visit {
    struct brush *brush;
    struct painting *painting;
    const struct path *at;
    int64_t count;
    int unsold; /* places that no tier has */
};

static void block_place(void *arg, int seat, int area)
{
    struct block_visit *v = arg;
    const struct plan *plan = v->brush->plan;

    if (seat >= 0) {
        if (!v->painting->seat_tiers[seat])
            v->unsold++;
        else
            v->painting->seat_blocked[seat] = true;
        return;
    }
    if (!v->painting->area_tiers[area]) {
        v->unsold++;
        return;
    }
    v->painting->area_blocked[area] += v->count > 0 ? (int32_t)v->count : plan->areas[area].capacity;
    if (v->painting->area_blocked[area] > plan->areas[area].capacity)
        v->brush->good = fault_add(v->brush->r->faults, v->at, "blocks more than the %d places of area \"%s\"",
                                   plan->areas[area].capacity, plan->areas[area].key);
}

static bool blocks_set(struct brush *b, const struct path *at, struct painting *p)
{
    const struct path *list = PATH_MEMBER(at, "blocked");
    bool good = true;

    for (size_t i = 0; i < b->show->blocked.n; i++) {
        const struct selector *s = &b->show->blocked.list[i];
        const struct path *here = PATH_INDEX(list, i);
        struct block_visit visit = {.brush = b, .painting = p, .at = here, .count = s->count};

        b->good = true;
        if (!selector_match(b->r->faults, here, b->plan, s, &b->work_left, block_place, &visit) || !b->good)
            good = false;
        else if (visit.unsold > 0)
            good = fault_add(b->r->faults, here, "blocks places that no tier has");
    }
    return good;
}

bool painting_make(struct reading *r, const struct path *at, const struct show *show, const struct plan *plan,
                   struct painting *ret_painting)
{
    struct brush b = {.r = r, .show = show, .plan = plan, .work_left = SELECTOR_WORK_MAX};
    struct painting *p = ret_painting;
    size_t n_seats = (size_t)plan->n_seats, n_areas = (size_t)plan->n_areas;
    bool good = true;

    *p = (struct painting){0};
    b.seats = TF_NEW_ARRAY(r->arena, struct claim, n_seats);
    b.areas = TF_NEW_ARRAY(r->arena, struct claim, n_areas);
    p->seat_tiers = TF_NEW_ARRAY(r->arena, uint8_t, n_seats);
    p->area_tiers = TF_NEW_ARRAY(r->arena, uint8_t, n_areas);
    p->seat_blocked = TF_NEW_ARRAY(r->arena, bool, n_seats);
    p->area_blocked = TF_NEW_ARRAY(r->arena, int32_t, n_areas);
    if (tf_arena_exhausted(r->arena)) return fault_add(r->faults, at, "takes too much memory");

    for (size_t i = 0; i < show->n_tiers; i++)
        if (!tier_paint(&b, PATH_INDEX(PATH_MEMBER(at, "tiers"), i), &show->tiers[i], (uint8_t)(i + 1))) good = false;
    if (!selectors_paint(&b, PATH_MEMBER(at, "not_on_sale"), &show->not_on_sale, 0)) good = false;
    return good && claims_complete(&b, at) && kinds_set(&b, at, p) && blocks_set(&b, at, p);
}
