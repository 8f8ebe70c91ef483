/* Naming places of a plan in words: {"section": "Stalls", "rows": "A-F", "seats": ["1-10", "24"]}, {"area": "Pit"},
 * {"category": "B"}, {"guids": […]}. The same words everywhere: painting of tiers, blocked places, attributes. */
#pragma once

#include "services/program/domain/plan.h"

enum {
    SELECTOR_LABELS_MAX = 200,
    SELECTOR_GUIDS_MAX = 20000,
    SELECTORS_MAX = 2000,
    SELECTOR_WORK_MAX = 100000000, /* of a show's selectors or a plan's notes together: labels and places looked at */
};

/* How closely a selector looks; where two claim a place, the closer one has it. */
enum selector_grade { SELECTS_CATEGORY, SELECTS_SECTION, SELECTS_ROWS, SELECTS_SEATS };

/* One row or seat, or a run of them: "7", "A-F". */
struct label_range {
    const char *text;      /* as written; a label of that very text wins over a range */
    const char *from, *to; /* NULL: no range */
    int64_t low, high;     /* both ends are numbers: numeric */
    bool numeric;
};

struct selector {
    enum selector_grade grade;
    const char *category, *section, *area;
    size_t n_rows, n_seats, n_guids;
    const struct label_range *rows, *seats;
    const char **guids;
    int64_t count; /* of an area's places; 0: all */
};

/* Which members beyond the place words an object with a selector may have. */
enum selector_use {
    SELECTOR_PAINTS, /* no count */
    SELECTOR_BLOCKS, /* an area needs not be taken whole: "count" */
    SELECTOR_NOTES,  /* seats only, and "attributes" */
};

/* Reads the words; does not know the plan yet. */
bool selector_read(struct reading *r, const struct path *at, const tf_json *value, enum selector_use use,
                   struct selector *ret_selector);

/* What a selector takes. Exactly one of seat and area is ≥ 0. */
typedef void (*selector_visit)(void *arg, int seat, int area);
/* Visits each place that the selector takes. Names that the plan does not have, and ranges that take nothing, are
 * faults at the member's pointer; then false. *work_left (at first SELECTOR_WORK_MAX) is used up by looking; where it
 * ends is a fault too. */
bool selector_match(struct faults *faults, const struct path *at, const struct plan *plan,
                    const struct selector *selector, int64_t *work_left, selector_visit visit, void *arg);
