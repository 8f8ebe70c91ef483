/* Every fault of a purchase request, and the field it is reported at; and who gets which place. */
#include "services/order/domain/draft.h"
#include "tests/unit/order/fixture.h"

enum { LIST_MAX = 24 };

struct row {
    const char *name;
    int rule;                             /* 0: NONE */
    int32_t places[LIST_MAX];             /* ended by 0 */
    struct hold_choice choices[LIST_MAX]; /* ended by count 0 with tier 0 */
    int64_t attendees[LIST_MAX];
    const char *names[LIST_MAX];
    const char *request_id; /* NULL: a good one */
    bool no_choice;         /* the show does not let buyers choose places */
    tf_code code;
    const char *field;
    int n_tickets;
};

static void build(const struct row *row, tf_arena *arena, CreateOrderRequest *request)
{
    *request = (CreateOrderRequest)CreateOrderRequest_init;
    request->show_id = FIXTURE_SHOW;
    request->request_id = (char *)(row->request_id ? row->request_id : "a-good_key1");
    request->place_nos = (int32_t *)row->places;
    request->attendee_ids = (int64_t *)row->attendees;
    request->names = (char **)row->names;
    request->choices = TF_NEW_ARRAY(arena, TierChoice *, LIST_MAX);
    while (row->places[request->n_place_nos])
        request->n_place_nos++;
    while (row->attendees[request->n_attendee_ids])
        request->n_attendee_ids++;
    while (row->names[request->n_names])
        request->n_names++;
    while (row->choices[request->n_choices].tier || row->choices[request->n_choices].count) {
        const struct hold_choice *choice = &row->choices[request->n_choices];
        TierChoice *made = TF_NEW(arena, TierChoice);

        *made = (TierChoice)TierChoice_init;
        made->tier = choice->tier;
        made->count = choice->count;
        made->allow_split = choice->allow_split;
        request->choices[request->n_choices++] = made;
    }
}

#define LONG_NAME "一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十"

static const struct row rows[] = {
    {.name = "one chosen place", .places = {32}, .n_tickets = 1},
    {.name = "places in several rows and tiers", .places = {100, 32, 80, 67}, .n_tickets = 4},
    {.name = "as many as the limit", .places = {32, 33, 34, 35, 36, 37}, .n_tickets = 6},
    {.name = "best available in two tiers", .choices = {{2, 2, false}, {1, 4, true}}, .n_tickets = 6},
    {.name = "neither places nor choices", .code = TF_FIELD_INVALID, .field = "place_nos"},
    {.name = "both places and choices",
     .places = {32},
     .choices = {{1, 1, false}},
     .code = TF_FIELD_INVALID,
     .field = "choices"},
    {.name = "the same place twice", .places = {32, 33, 32}, .code = TF_FIELD_INVALID, .field = "place_nos[2]"},
    {.name = "a number in the padding", .places = {32, 42}, .code = TF_FIELD_INVALID, .field = "place_nos[1]"},
    {.name = "a negative place", .places = {-5}, .code = TF_FIELD_INVALID, .field = "place_nos[0]"},
    {.name = "beyond the last place", .places = {100000}, .code = TF_FIELD_INVALID, .field = "place_nos[0]"},
    {.name = "more places than the limit",
     .places = {32, 33, 34, 35, 36, 37, 38},
     .code = TF_FIELD_INVALID,
     .field = "place_nos"},
    {.name = "far more places than any order",
     .places = {32, 33, 34, 35, 36, 37, 38, 39, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61},
     .code = TF_FIELD_INVALID,
     .field = "place_nos"},
    {.name = "a blocked place", .places = {39, 40}, .code = TF_PLACES_TAKEN},
    {.name = "choosing where it is not offered",
     .places = {32},
     .no_choice = true,
     .code = TF_FIELD_INVALID,
     .field = "place_nos"},
    {.name = "an unknown tier", .choices = {{4, 1, false}}, .code = TF_FIELD_INVALID, .field = "choices[0].tier"},
    {.name = "tier zero", .choices = {{0, 1, false}}, .code = TF_FIELD_INVALID, .field = "choices[0].tier"},
    {.name = "a tier twice",
     .choices = {{1, 1, false}, {1, 1, false}},
     .code = TF_FIELD_INVALID,
     .field = "choices[1].tier"},
    {.name = "a count of zero", .choices = {{1, 0, false}}, .code = TF_FIELD_INVALID, .field = "choices[0].count"},
    {.name = "a negative count",
     .choices = {{1, 1, false}, {2, -1, false}},
     .code = TF_FIELD_INVALID,
     .field = "choices[1].count"},
    {.name = "counts beyond the limit together",
     .choices = {{1, 4, false}, {2, 3, false}},
     .code = TF_FIELD_INVALID,
     .field = "choices[1].count"},
    {.name = "a huge count", .choices = {{1, INT32_MAX, false}}, .code = TF_FIELD_INVALID, .field = "choices[0].count"},
    {.name = "a short key", .places = {32}, .request_id = "short_7", .code = TF_FIELD_INVALID, .field = "request_id"},
    {.name = "an empty key", .places = {32}, .request_id = "", .code = TF_FIELD_INVALID, .field = "request_id"},
    {.name = "a key with a blank",
     .places = {32},
     .request_id = "nine char",
     .code = TF_FIELD_INVALID,
     .field = "request_id"},
    {.name = "a key of 65 characters",
     .places = {32},
     .request_id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     .code = TF_FIELD_INVALID,
     .field = "request_id"},
    {.name = "a key of 64 characters",
     .places = {32},
     .request_id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     .n_tickets = 1},
    {.name = "attendees where none are taken",
     .places = {32},
     .attendees = {5},
     .code = TF_FIELD_INVALID,
     .field = "attendee_ids"},
    {.name = "names where none are taken", .places = {32}, .names = {"Li"}, .code = TF_FIELD_INVALID, .field = "names"},
    {.name = "an attendee for each place",
     .rule = ATTENDEE_RULE_REAL_NAME,
     .places = {32, 33},
     .attendees = {5, 6},
     .n_tickets = 2},
    {.name = "fewer attendees than places",
     .rule = ATTENDEE_RULE_REAL_NAME,
     .places = {32, 33},
     .attendees = {5},
     .code = TF_FIELD_INVALID,
     .field = "attendee_ids"},
    {.name = "more attendees than places",
     .rule = ATTENDEE_RULE_REAL_NAME,
     .places = {32},
     .attendees = {5, 6},
     .code = TF_FIELD_INVALID,
     .field = "attendee_ids"},
    {.name = "an attendee twice",
     .rule = ATTENDEE_RULE_REAL_NAME,
     .places = {32, 33},
     .attendees = {5, 5},
     .code = TF_FIELD_INVALID,
     .field = "attendee_ids[1]"},
    {.name = "a negative attendee",
     .rule = ATTENDEE_RULE_REAL_NAME,
     .places = {32},
     .attendees = {-5},
     .code = TF_FIELD_INVALID,
     .field = "attendee_ids[0]"},
    {.name = "names beside attendees",
     .rule = ATTENDEE_RULE_REAL_NAME,
     .places = {32},
     .attendees = {5},
     .names = {"Li"},
     .code = TF_FIELD_INVALID,
     .field = "names"},
    {.name = "a name for each place",
     .rule = ATTENDEE_RULE_NAME,
     .choices = {{1, 2, false}},
     .names = {"Li Lei", "Li Lei"},
     .n_tickets = 2},
    {.name = "no names where they are needed",
     .rule = ATTENDEE_RULE_NAME,
     .places = {32},
     .code = TF_FIELD_INVALID,
     .field = "names"},
    {.name = "an empty name",
     .rule = ATTENDEE_RULE_NAME,
     .places = {32},
     .names = {""},
     .code = TF_FIELD_INVALID,
     .field = "names[0]"},
    {.name = "a blank name",
     .rule = ATTENDEE_RULE_NAME,
     .places = {32, 33},
     .names = {"Li", "  "},
     .code = TF_FIELD_INVALID,
     .field = "names[1]"},
    {.name = "a name of 50 characters",
     .rule = ATTENDEE_RULE_NAME,
     .places = {32},
     .names = {LONG_NAME},
     .n_tickets = 1},
    {.name = "a name of 51 characters",
     .rule = ATTENDEE_RULE_NAME,
     .places = {32},
     .names = {LONG_NAME "x"},
     .code = TF_FIELD_INVALID,
     .field = "names[0]"},
    {.name = "a name with a line feed",
     .rule = ATTENDEE_RULE_NAME,
     .places = {32},
     .names = {"Li\nLei"},
     .code = TF_FIELD_INVALID,
     .field = "names[0]"},
    {.name = "a name that is no UTF-8",
     .rule = ATTENDEE_RULE_NAME,
     .places = {32},
     .names = {"\xff\xfe"},
     .code = TF_FIELD_INVALID,
     .field = "names[0]"},
};

static void test_parse(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        CreateOrderRequest request;
        struct draft draft;
        tf_code code;

        fixture_reset(f);
        build(row, f->ctx.arena, &request);
        f->sale->attendee_rule = row->rule ? (AttendeeRule)row->rule : (AttendeeRule)ATTENDEE_RULE_NONE;
        f->sale->choice_allowed = !row->no_choice;
        code = draft_parse(&f->ctx, f->sale, &request, &draft);
        CHECK_TEXT(row->name, tf_code_info(code)->reason, tf_code_info(row->code)->reason);
        if (row->field) CHECK_TEXT(row->name, f->ctx.error.field, row->field);
        if (code) continue;
        CHECK(row->name, draft.n_tickets == row->n_tickets);
        CHECK(row->name, draft.user_id == 7 && draft.show_id == FIXTURE_SHOW);
        CHECK(row->name, (draft.place_nos != NULL) == (row->places[0] != 0));
    }
}

static void test_blocked_named(void **state)
{
    struct fixture *f = *state;
    const struct row row = {.places = {39, 41, 40}};
    CreateOrderRequest request;
    struct draft draft;

    build(&row, f->ctx.arena, &request);
    assert_int_equal(draft_parse(&f->ctx, f->sale, &request, &draft), TF_PLACES_TAKEN);
    assert_int_equal(f->ctx.error.n_params, 1);
    assert_string_equal(f->ctx.error.params[0].name, "place_nos");
    assert_string_equal(f->ctx.error.params[0].value, "41,40");
}

static void test_assign(void **state)
{
    static const int32_t chosen[] = {80, 32, 33};
    static const struct {
        const char *name;
        struct draft draft;
        int32_t places[LIST_MAX]; /* as held */
        int n;
        bool fits;
        int32_t want[LIST_MAX];
    } cases[] = {
        {"chosen, in another order", {.place_nos = chosen, .n_tickets = 3}, {32, 33, 80}, 3, true, {80, 32, 33}},
        {"chosen, another place", {.place_nos = chosen, .n_tickets = 3}, {32, 34, 80}, 3, false, {0}},
        {"chosen, one too few", {.place_nos = chosen, .n_tickets = 3}, {32, 80}, 2, false, {0}},
        {"best, tiers in the request's order",
         {.choices = {{.tier = 2, .count = 1}, {.tier = 1, .count = 2}}, .n_choices = 2, .n_tickets = 3},
         {34, 33, 81},
         3,
         true,
         {81, 33, 34}},
        {"best, of another tier",
         {.choices = {{.tier = 2, .count = 2}}, .n_choices = 1, .n_tickets = 2},
         {33, 81},
         2,
         false,
         {0}},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        int32_t got[SALE_ORDER_PLACES_MAX];

        CHECK(cases[i].name, draft_assign(&cases[i].draft, f->sale, cases[i].places, cases[i].n, got) == cases[i].fits);
        for (int t = 0; cases[i].fits && t < cases[i].n; t++)
            CHECK(cases[i].name, got[t] == cases[i].want[t]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parse, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_blocked_named, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_assign, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
