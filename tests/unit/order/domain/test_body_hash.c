/* Which purchases are the same and which are not. */
#include "services/order/domain/body_hash.h"
#include "tests/unit/order/fixture.h"

static const int32_t ab[] = {32, 33}, ba[] = {33, 32}, ac[] = {32, 34};
static const int64_t p12[] = {1, 2}, p21[] = {2, 1};
static const char *const n12[] = {"Li", "Wang"}, *const n21[] = {"Wang", "Li"}, *const joined[] = {"Li n4:Wang", ""},
                         *const apart[] = {"Li", "n4:Wang"};

static void test_same(void **state)
{
    static const struct {
        const char *name;
        struct draft a, b;
        bool same;
    } rows[] = {
        {"the same places", {.place_nos = ab, .n_tickets = 2}, {.place_nos = ab, .n_tickets = 2}, true},
        {"places in another order", {.place_nos = ab, .n_tickets = 2}, {.place_nos = ba, .n_tickets = 2}, true},
        {"other places", {.place_nos = ab, .n_tickets = 2}, {.place_nos = ac, .n_tickets = 2}, false},
        {"one place less", {.place_nos = ab, .n_tickets = 2}, {.place_nos = ab, .n_tickets = 1}, false},
        {"another show",
         {.show_id = 1, .place_nos = ab, .n_tickets = 2},
         {.show_id = 2, .place_nos = ab, .n_tickets = 2},
         false},
        {"another key or buyer is no other body",
         {.user_id = 1, .request_id = "a", .place_nos = ab, .n_tickets = 2},
         {.user_id = 2, .request_id = "b", .place_nos = ab, .n_tickets = 2},
         true},
        {"places and attendees turned together",
         {.place_nos = ab, .n_tickets = 2, .attendee_ids = p12},
         {.place_nos = ba, .n_tickets = 2, .attendee_ids = p21},
         true},
        {"attendees swapped",
         {.place_nos = ab, .n_tickets = 2, .attendee_ids = p12},
         {.place_nos = ab, .n_tickets = 2, .attendee_ids = p21},
         false},
        {"names swapped",
         {.place_nos = ab, .n_tickets = 2, .names = n12},
         {.place_nos = ab, .n_tickets = 2, .names = n21},
         false},
        {"names that run together",
         {.place_nos = ab, .n_tickets = 2, .names = joined},
         {.place_nos = ab, .n_tickets = 2, .names = apart},
         false},
        {"tiers in another order",
         {.choices = {{1, 2, false}, {2, 1, true}}, .n_choices = 2, .n_tickets = 3},
         {.choices = {{2, 1, true}, {1, 2, false}}, .n_choices = 2, .n_tickets = 3},
         true},
        {"another count",
         {.choices = {{1, 2, false}}, .n_choices = 1, .n_tickets = 2},
         {.choices = {{1, 3, false}}, .n_choices = 1, .n_tickets = 3},
         false},
        {"a split allowed",
         {.choices = {{1, 2, false}}, .n_choices = 1, .n_tickets = 2},
         {.choices = {{1, 2, true}}, .n_choices = 1, .n_tickets = 2},
         false},
        {"place 32 is not tier 32",
         {.place_nos = ab, .n_tickets = 1},
         {.choices = {{32, 1, false}}, .n_choices = 1, .n_tickets = 1},
         false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        char a[DRAFT_BODY_HASH_TEXT], b[DRAFT_BODY_HASH_TEXT];

        body_hash(&rows[i].a, a);
        body_hash(&rows[i].b, b);
        CHECK(rows[i].name, strlen(a) == 32 && strspn(a, "0123456789abcdef") == 32);
        CHECK(rows[i].name, (strcmp(a, b) == 0) == rows[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
