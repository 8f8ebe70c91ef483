/* A small show for order's tests. Places: 32–41 row A and 48–67 row B (tier 1, 100.00 + 5.00 each), 80–91 row 12 with labels of
 * its own (tier 2, 60.00), 96–195 standing (tier 3, 30.00). 40 and 41 are blocked. Sold from 1000 s to 2000 s after the epoch. */
#pragma once

#include "services/order/sale/sale.h"
#include "tests/unit/base/unit.h"

enum { FIXTURE_SHOW = 4711, FIXTURE_OPENS_S = 1000, FIXTURE_CLOSES_S = 2000, FIXTURE_START_S = 3000 };

/* cmocka fixtures: *state is a struct fixture. */
struct fixture {
    tf_ctx ctx; /* user 7, language "en" */
    struct sale *sale; /* rule NONE, 6 an order, choice allowed; tests may change its numbers */
};
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Forgets the error and the memory of the row before. */
void fixture_reset(struct fixture *fixture);
