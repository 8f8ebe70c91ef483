/* A small show for order's tests. Places: 32–41 row A and 48–67 row B (tier 1, 100.00 + 5.00 each), 80–91 row 12 with
 * labels of its own (tier 2, 60.00), 96–195 standing (tier 3, 30.00). 40 and 41 are blocked. Sold from 1000 s to 2000 s
 * after the epoch. */
#pragma once

#include "services/order/sale/sale.h"
#include "tests/unit/base/unit.h"

enum {
    FIXTURE_SHOW = 4711,
    FIXTURE_ORGANISER = 11,
    FIXTURE_OPENS_S = 1000,
    FIXTURE_CLOSES_S = 2000,
    FIXTURE_START_S = 3000
};

/* What tests vary. */
struct fixture_show {
    int64_t show_id;
    int32_t version;
    int64_t opens_s, closes_s, start_s; /* since the epoch */
    int rule;                           /* AttendeeRule */
    int hold_seconds, account_limit;
    bool one_pending_order;
    int64_t face_minor; /* of tier 1 */
    int row_a;          /* places of row A, up to 15 */
};
extern const struct fixture_show fixture_show_default;
/* The packed snapshot, in the arena. */
void *fixture_pack(tf_arena *arena, const struct fixture_show *show, size_t *ret_size);

/* cmocka fixtures: *state is a struct fixture. */
struct fixture {
    tf_ctx ctx;        /* user 7, language "en" */
    struct sale *sale; /* rule NONE, 6 an order, choice allowed; tests may change its numbers */
};
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Forgets the error and the memory of the row before. */
void fixture_reset(struct fixture *fixture);
