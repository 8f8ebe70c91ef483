/* Each result of hold: the reason and the parameters that a client acts on. */
#include "services/order/domain/refusal.h"
#include "tests/unit/order/fixture.h"

#include <stdlib.h>

#define NOW ((tf_time)1500 * TF_US_PER_S)

static const char *param(const tf_ctx *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->error.n_params; i++)
        if (strcmp(ctx->error.params[i].name, name) == 0) return ctx->error.params[i].value;
    return NULL;
}

static void test_holds(void **state)
{
    static const struct {
        const char *name;
        struct hold hold;
        tf_code code;
        struct {
            const char *name, *value;
        } params[4];
        const char *field;
        bool retry;
    } rows[] = {
        {"another body", {.result = HOLD_KEY_REUSED}, TF_KEY_REUSED, {{0}}, NULL, false},
        {"closed", {.result = HOLD_CLOSED}, TF_REBUILDING, {{0}}, NULL, true},
        {"paused", {.result = HOLD_PAUSED}, TF_SALE_PAUSED, {{0}}, NULL, true},
        {"withdrawn", {.result = HOLD_WITHDRAWN}, TF_SALE_ENDED, {{0}}, NULL, false},
        {"account limit",
         {.result = HOLD_ACCOUNT_LIMIT, .left = 2},
         TF_LIMIT_EXCEEDED,
         {{"limit_of", "ACCOUNT"}, {"limit", "6"}, {"left", "2"}},
         NULL,
         false},
        {"person limit",
         {.result = HOLD_PERSON, .person_index = 1},
         TF_LIMIT_EXCEEDED,
         {{"limit_of", "PERSON"}, {"limit", "1"}, {"left", "0"}},
         "attendee_ids[1]",
         false},
        {"taken",
         {.result = HOLD_PLACES_TAKEN, .taken = {33, 80}, .n_taken = 2, .version = 17},
         TF_PLACES_TAKEN,
         {{"place_nos", "33,80"}, {"version", "17"}},
         NULL,
         false},
        {"no block left",
         {.result = HOLD_NO_ADJACENT, .tier = 2, .free = 9},
         TF_NO_ADJACENT,
         {{"tier", "2"}, {"free", "9"}},
         NULL,
         false},
        {"too few left, none held",
         {.result = HOLD_NONE_FREE, .tier = 2, .free = 1},
         TF_NONE_FREE_NOW,
         {{"free", "1"}, {"held", "0"}},
         NULL,
         false},
        {"all held, end known",
         {.result = HOLD_NONE_FREE, .tier = 1, .held = 5, .next_release_ms = 1560000},
         TF_NONE_FREE_NOW,
         {{"tier", "1"}, {"held", "5"}, {"next_release_time", "1970-01-01T00:26:00.000Z"}},
         NULL,
         true},
        {"all held, end unknown",
         {.result = HOLD_NONE_FREE, .tier = 1, .held = 5},
         TF_NONE_FREE_NOW,
         {{"held", "5"}, {"next_release_time", NULL}},
         NULL,
         true},
        {"sold out", {.result = HOLD_SOLD_OUT, .tier = 3}, TF_SOLD_OUT, {{"tier", "3"}}, NULL, false},
        {"unpaid order",
         {.result = HOLD_PENDING_ORDER, .pending_order_no = 1234567890123},
         TF_PENDING_ORDER,
         {{"order_no", "1234567890123"}},
         NULL,
         false},
        {"what is no refusal", {.result = HOLD_TAKEN}, TF_INTERNAL, {{0}}, NULL, false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        fixture_reset(f);
        CHECK_TEXT(rows[i].name, tf_code_info(refusal_of_hold(&f->ctx, f->sale, &rows[i].hold, NOW, 123456789))->reason,
                   tf_code_info(rows[i].code)->reason);
        CHECK(rows[i].name, f->ctx.error.code == rows[i].code);
        CHECK(rows[i].name, (f->ctx.error.retry_after_ms > 0) == rows[i].retry);
        for (size_t p = 0; p < TF_COUNT(rows[i].params) && rows[i].params[p].name; p++) {
            const char *value = param(&f->ctx, rows[i].params[p].name);

            if (rows[i].params[p].value)
                CHECK_TEXT(rows[i].name, value, rows[i].params[p].value);
            else
                CHECK(rows[i].name, value == NULL);
        }
        if (rows[i].field) CHECK_TEXT(rows[i].name, f->ctx.error.field, rows[i].field);
    }
}

static void test_not_open(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(refuse_not_open(&f->ctx, f->sale, (tf_time)990 * TF_US_PER_S, 0), TF_SALE_NOT_OPEN);
    assert_string_equal(param(&f->ctx, "opens_time"), "1970-01-01T00:16:40.000Z");
    assert_string_equal(param(&f->ctx, "server_time"), "1970-01-01T00:16:30.000Z");
    assert_int_equal(f->ctx.error.retry_after_ms, 10000);
}

/* The fixture's tiers: 1 has 30 places, 2 of them blocked; 2 has 12; 3 (standing) has 100. */
static void test_foreseen(void **state)
{
    enum { FREE, HELD, SOLD, BLOCKED };
    static const struct {
        const char *name;
        int sale_state;
        int tiers[2][4]; /* of tiers 1 and 2: free, held, sold, blocked */
        int32_t places[4];
        int choices[3];
        bool refused;
        enum hold_result result;
        int tier, n_taken;
    } rows[] = {
        {"places are left", SALE_STATE_ON_SALE, {{28, 0, 0, 2}, {12}}, {0}, {1, 2}, false, 0, 0, 0},
        {"paused", SALE_STATE_PAUSED, {{28, 0, 0, 2}, {12}}, {0}, {1}, true, HOLD_PAUSED, 0, 0},
        {"withdrawn", SALE_STATE_WITHDRAWN, {{28, 0, 0, 2}, {12}}, {32}, {0}, true, HOLD_WITHDRAWN, 0, 0},
        {"the only tier asked for is sold out",
         SALE_STATE_ON_SALE,
         {{28, 0, 0, 2}, {0, 0, 12, 0}},
         {0},
         {2},
         true,
         HOLD_SOLD_OUT,
         2,
         0},
        {"one of two tiers is",
         SALE_STATE_ON_SALE,
         {{28, 0, 0, 2}, {0, 0, 12, 0}},
         {0},
         {1, 2},
         true,
         HOLD_SOLD_OUT,
         2,
         0},
        {"another tier is", SALE_STATE_ON_SALE, {{28, 0, 0, 2}, {0, 0, 12, 0}}, {0}, {1}, false, 0, 0, 0},
        {"sold and blocked", SALE_STATE_ON_SALE, {{0, 0, 28, 2}, {12}}, {0}, {1}, true, HOLD_SOLD_OUT, 1, 0},
        {"one is held and may return", SALE_STATE_ON_SALE, {{0, 1, 27, 2}, {12}}, {0}, {1}, false, 0, 0, 0},
        {"one is free", SALE_STATE_ON_SALE, {{1, 0, 27, 2}, {12}}, {0}, {1}, false, 0, 0, 0},
        {"numbers that do not add up", SALE_STATE_ON_SALE, {{0, 0, 27, 2}, {12}}, {0}, {1}, false, 0, 0, 0},
        {"chosen places of a sold out tier",
         SALE_STATE_ON_SALE,
         {{0, 0, 28, 2}, {12}},
         {33, 48},
         {0},
         true,
         HOLD_PLACES_TAKEN,
         0,
         2},
        {"chosen places of which some may be free",
         SALE_STATE_ON_SALE,
         {{0, 0, 28, 2}, {12}},
         {33, 80},
         {0},
         false,
         0,
         0,
         0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct availability seen = {.sale_state = rows[i].sale_state, .version = 17, .tiers[2] = {.free = 100}};
        struct draft draft = {.place_nos = rows[i].places[0] ? rows[i].places : NULL};
        struct hold hold = {.n_taken = -1};

        for (int t = 0; t < 2; t++) {
            seen.tiers[t].free = rows[i].tiers[t][FREE];
            seen.tiers[t].held = rows[i].tiers[t][HELD];
            seen.tiers[t].sold = rows[i].tiers[t][SOLD];
            seen.tiers[t].blocked = rows[i].tiers[t][BLOCKED];
        }
        for (int k = 0; rows[i].places[k]; k++)
            draft.n_tickets++;
        for (int k = 0; rows[i].choices[k]; k++) {
            draft.choices[draft.n_choices++] = (struct hold_choice){.tier = rows[i].choices[k], .count = 1};
            draft.n_tickets++;
        }
        CHECK(rows[i].name, refusal_foreseen(f->sale, &draft, &seen, &hold) == rows[i].refused);
        if (!rows[i].refused) {
            CHECK(rows[i].name, hold.n_taken == -1); /* untouched */
            continue;
        }
        CHECK(rows[i].name, hold.result == rows[i].result);
        CHECK(rows[i].name, hold.tier == rows[i].tier && hold.free == 0 && !hold.known);
        CHECK(rows[i].name, hold.n_taken == rows[i].n_taken);
        if (hold.n_taken) CHECK(rows[i].name, hold.version == 17 && hold.taken[1] == 48);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_holds, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_foreseen, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_not_open, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
