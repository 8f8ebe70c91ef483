/* Plans from both forms: labels, numbers, neighbours, coordinates; selectors on them. */
#include "services/program/domain/selector.h"
#include "stand.h"

#include <stdio.h>
#include <stdlib.h>

/* The rows as text: "Stalls/A: 3 1 2 4 | 6 8" (| is an aisle). */
static const char *rows_text(tf_arena *arena, const struct plan *plan)
{
    const char *all = "";

    for (int i = 0; i < plan->n_rows; i++) {
        const struct plan_row *row = &plan->rows[i];

        all = tf_arena_printf(arena, "%s%s%s/%s:", all, i ? "; " : "", plan->sections[row->section].key, row->label);
        for (int k = row->first; k < row->first + row->count; k++)
            all = tf_arena_printf(arena, "%s %s%s", all, plan->seats[k].label, plan->seats[k].gap_after ? " |" : "");
    }
    return all;
}

static void rows_in_words(void **state)
{
    static const struct {
        const char *what, *group, *expected;
    } rows[] = {
        {"runs of capitals", "\"rows\": \"A-C\", \"seats_per_row\": 2", "S/A: 1 2; S/B: 1 2; S/C: 1 2"},
        {"capitals past Z", "\"rows\": \"Y-AB\", \"seats_per_row\": 1", "S/Y: 1; S/Z: 1; S/AA: 1; S/AB: 1"},
        {"runs of numbers", "\"rows\": \"9-11\", \"seats_per_row\": 1", "S/9: 1; S/10: 1; S/11: 1"},
        {"a number", "\"rows\": 7, \"seats_per_row\": 1", "S/7: 1"},
        {"a list", "\"rows\": [\"A-B\", \"X\", 3], \"seats_per_row\": 1", "S/A: 1; S/B: 1; S/X: 1; S/3: 1"},
        {"a label with a dash", "\"rows\": \"Box-1\", \"seats_per_row\": 1", "S/Box-1: 1"},
        {"skipped letters", "\"rows\": \"H-K\", \"skip_rows\": [\"I\"], \"seats_per_row\": 1",
         "S/H: 1; S/J: 1; S/K: 1"},
        {"counts by row", "\"rows\": \"A-B\", \"seats_per_row\": [1, 3]", "S/A: 1; S/B: 1 2 3"},
        {"aisles", "\"rows\": \"A\", \"seats_per_row\": 6, \"aisle_after\": [2, 4]", "S/A: 1 2 | 3 4 | 5 6"},
        {"an aisle that a short row does not reach",
         "\"rows\": \"A-B\", \"seats_per_row\": [2, 4], \"aisle_after\": [3]", "S/A: 1 2; S/B: 1 2 3 | 4"},
        {"odd and even", "\"rows\": \"A-B\", \"seats_per_row\": [6, 5], \"numbering\": \"odd-even\"",
         "S/A: 5 3 1 2 4 6; S/B: 5 3 1 2 4"},
        {"from the right", "\"rows\": \"A\", \"seats_per_row\": 3, \"numbering\": \"reverse\"", "S/A: 3 2 1"},
        {"another first number", "\"rows\": \"A\", \"seats_per_row\": 3, \"numbering\": \"101..\"", "S/A: 101 102 103"},
        {"start and step",
         "\"rows\": \"A\", \"seats_per_row\": 3, \"numbering\": {\"start\": 2, \"step\": 2, \"reverse\": true}",
         "S/A: 6 4 2"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct stand s;
        struct plan *plan;

        stand_init(&s);
        plan = stand_plan(
            &s, tf_arena_printf(s.arena, "{\"sections\": [{\"section\": \"S\", \"tier\": \"t\", %s}]}", rows[i].group));
        if (!plan) fail_msg("%s: %s %s", rows[i].what, s.faults.list[0].pointer, s.faults.list[0].detail);
        if (strcmp(rows_text(s.arena, plan), rows[i].expected) != 0)
            fail_msg("%s: %s", rows[i].what, rows_text(s.arena, plan));
        stand_done(&s);
    }
}

/* Groups of one section stand together, whatever stands between them in the file. */
static void rows_are_sorted_by_section(void **state)
{
    struct stand s;
    const struct plan *plan;

    (void)state;
    stand_init(&s);
    plan = stand_plan(&s, "{\"sections\": ["
                          "{\"section\": \"S\", \"rows\": \"A\", \"seats_per_row\": 1, \"tier\": \"t\"},"
                          "{\"section\": \"B\", \"rows\": \"A\", \"seats_per_row\": 1, \"tier\": \"u\"},"
                          "{\"section\": \"S\", \"rows\": \"B\", \"seats_per_row\": 2, \"tier\": \"u\"}]}");
    assert_non_null(plan);
    assert_string_equal(rows_text(s.arena, plan), "S/A: 1; S/B: 1 2; B/A: 1");
    assert_int_equal(plan->sections[0].n_rows, 2);
    assert_int_equal(plan->sections[1].first_row, 2);
    assert_int_equal(plan->n_categories, 2);
    assert_int_equal(plan->categories[1].n_places, 3);
    stand_done(&s);
}

/* Centred rows behind one another, all inside the drawing; the front is better than the back, the middle than the side.
 */
static void words_are_drawn(void **state)
{
    struct stand s;
    const struct plan *plan;
    const struct plan_seat *seats;

    (void)state;
    stand_init(&s);
    plan = stand_plan(&s, "{\"areas\": [{\"area\": \"Pit\", \"capacity\": 9, \"tier\": \"p\"}], \"sections\": ["
                          "{\"section\": \"S\", \"rows\": \"A-B\", \"seats_per_row\": 5, \"tier\": \"t\"},"
                          "{\"section\": \"L\", \"rows\": \"1\", \"seats_per_row\": 3, \"tier\": \"t\", "
                          "\"position\": {\"x\": -20, \"y\": 10}, \"rotation\": 90, \"quality\": 1}]}");
    assert_non_null(plan);
    seats = plan->seats;
    assert_int_equal(seats[1].x - seats[0].x, PLAN_SEAT_PITCH);
    assert_int_equal(seats[2].x, plan->stage_x);
    assert_true(seats[5].y > seats[0].y && seats[0].y > plan->stage_y);
    assert_true(seats[0].y >= plan->areas[0].y + plan->areas[0].height);
    assert_true(seats[2].quality < seats[0].quality && seats[2].quality < seats[7].quality);
    /* Turned by a quarter: the row runs away from the stage. */
    assert_int_equal(seats[10].x, seats[11].x);
    assert_int_equal(seats[11].y - seats[10].y, PLAN_SEAT_PITCH);
    assert_true(seats[10].quality > seats[9].quality);
    for (int i = 0; i < plan->n_seats; i++)
        assert_true(seats[i].x >= 0 && seats[i].y >= 0 && seats[i].x < plan->width && seats[i].y < plan->height);
    stand_done(&s);
}

/* Seats at the given distances from the left; expected: rows_text. */
static void aisles_of_the_open_form(void **state)
{
    static const struct {
        const char *what;
        int rows[3][10]; /* positions, 0-ended after the first */
        const char *expected;
    } cases[] = {
        {"even", {{0, 20, 40, 60, 80}}, "Z/1: 1 2 3 4 5"},
        {"an aisle of two pitches", {{0, 20, 40, 80, 100}}, "Z/1: 1 2 3 | 4 5"},
        {"a gap that is no aisle", {{0, 20, 40, 71, 91}}, "Z/1: 1 2 3 4 5"},
        {"just an aisle", {{0, 20, 40, 73, 93}}, "Z/1: 1 2 3 | 4 5"},
        {"pairs in a short row", {{0, 20, 40, 60, 80, 100}, {0, 60}}, "Z/1: 1 2 3 4 5 6; Z/2: 1 | 2"},
        {"a wide row beside narrow ones",
         {{0, 20, 40, 60, 80, 100}, {0, 50, 100, 150, 200}},
         "Z/1: 1 2 3 4 5 6; Z/2: 1 2 3 4 5"},
        {"from the right", {{100, 80, 60, 20, 1}}, "Z/1: 1 2 3 | 4 5"},
    };

    (void)state;
    for (size_t c = 0; c < TF_COUNT(cases); c++) {
        struct stand s;
        const struct plan *plan;
        const char *rows = "", *json;

        stand_init(&s);
        for (int i = 0; i < 3 && cases[c].rows[i][1]; i++) {
            rows = tf_arena_printf(s.arena, "%s%s{\"row_number\": \"%d\", \"seats\": [", rows, i ? "," : "", i + 1);
            for (int k = 0; k < 10 && (k == 0 || cases[c].rows[i][k]); k++)
                rows = tf_arena_printf(s.arena,
                                       "%s%s{\"seat_guid\": \"%d-%d\", \"seat_number\": \"%d\", \"category\": \"x\", "
                                       "\"position\": {\"x\": %d, \"y\": 0}}",
                                       rows, k ? "," : "", i, k, k + 1, cases[c].rows[i][k]);
            rows = tf_arena_printf(s.arena, "%s]}", rows);
        }
        json =
            tf_arena_printf(s.arena,
                            "{\"seating_plan\": {\"name\": \"n\", \"size\": {\"width\": 500, \"height\": 500}, "
                            "\"categories\": [{\"name\": \"x\"}], \"zones\": [{\"name\": \"Z\", \"position\": {\"x\": "
                            "5, \"y\": 5}, \"rows\": [%s]}]}}",
                            rows);
        plan = stand_plan(&s, json);
        if (!plan) fail_msg("%s: %s %s", cases[c].what, s.faults.list[0].pointer, s.faults.list[0].detail);
        if (strcmp(rows_text(s.arena, plan), cases[c].expected) != 0)
            fail_msg("%s: %s", cases[c].what, rows_text(s.arena, plan));
        stand_done(&s);
    }
}

static void open_form_members(void **state)
{
    struct stand s;
    const struct plan *plan;

    (void)state;
    stand_init(&s);
    plan = stand_plan(
        &s,
        "{\"zones\": {\"z1\": {\"name\": {\"en\": \"Stalls\"}, \"entrance\": \"East\", \"quality\": 3}},"
        "\"areas\": [{\"area\": \"Pit\", \"capacity\": 20, \"tier\": \"x\"}],"
        "\"seating_plan\": {\"name\": \"n\", \"size\": {\"width\": 100, \"height\": 80}, "
        "\"categories\": [{\"name\": \"x\", \"color\": \"#ABC\"}], \"zones\": ["
        "{\"name\": \"drawing\", \"position\": {\"x\": 7, \"y\": 8}, \"rows\": [], \"areas\": [{\"shape\": "
        "\"polygon\", "
        "\"polygon\": {\"points\": [{\"x\": 0, \"y\": 0}, {\"x\": 5, \"y\": 0}, {\"x\": 5.4, \"y\": 5}]}, "
        "\"position\": {\"x\": 1, \"y\": 1}, \"rotation\": 10, \"color\": \"#112233\", \"uuid\": \"u\"}]},"
        "{\"name\": \"\", \"zone_id\": \"z1\", \"uuid\": \"u\", \"position\": {\"x\": 10, \"y\": 20}, \"rows\": ["
        "{\"row_number\": \"5\", \"row_label\": \"Row %s\", \"seat_label\": \"No. %s\", \"row_number_position\": null, "
        "\"position\": {\"x\": 100, \"y\": 200}, \"seats\": [{\"seat_guid\": \"g\", \"seat_number\": \"7\", "
        "\"category\": \"x\", \"radius\": 8, \"start_direction\": \"<>\", \"position\": {\"x\": 1000, \"y\": "
        "2000}}]}]}]}}");
    if (!plan) fail_msg("%s %s", s.faults.list[0].pointer, s.faults.list[0].detail);
    assert_int_equal(plan->n_sections, 1);
    assert_string_equal(plan->sections[0].key, "z1");
    assert_string_equal(plan->sections[0].name->texts[0]->text, "Stalls");
    assert_string_equal(plan->sections[0].entrance->texts[0]->text, "East");
    assert_string_equal(plan->rows[0].label, "Row 5");
    assert_string_equal(plan->rows[0].number, "5");
    assert_string_equal(plan->seats[0].label, "No. 7");
    assert_int_equal(plan->seats[0].x, 1110);
    assert_int_equal(plan->seats[0].y, 2220);
    assert_int_equal(plan->seats[0].quality / 1000000, 3);
    assert_string_equal(plan->categories[0].color, "#aabbcc");
    assert_int_equal(plan->categories[0].n_places, 21);
    assert_int_equal(plan->n_shapes, 1);
    assert_int_equal(plan->shapes[0].x, 8);
    assert_int_equal(plan->shapes[0].points[4], 5);
    assert_true(plan->areas[0].y >= 80 && plan->height > plan->areas[0].y);
    stand_done(&s);
}

struct taken {
    int n;
    char text[400];
    const struct plan *plan;
};

static void take(void *arg, int seat, int area)
{
    struct taken *t = arg;
    size_t used = strlen(t->text);

    t->n++;
    if (seat >= 0)
        snprintf(t->text + used, sizeof(t->text) - used, "%s%s", used ? " " : "", t->plan->seats[seat].label);
    else
        snprintf(t->text + used, sizeof(t->text) - used, "%s[%s]", used ? " " : "", t->plan->areas[area].key);
}

static void selectors(void **state)
{
    static const struct {
        const char *selector, *expected; /* NULL: refused */
    } rows[] = {
        {"{\"section\": \"S\", \"rows\": \"A\"}", "5 3 1 2 4 6"},
        {"{\"section\": \"S\", \"rows\": \"A\", \"seats\": \"1-4\"}", "3 1 2 4"},
        {"{\"section\": \"S\", \"rows\": \"A\", \"seats\": [\"6\", 5]}", "5 6"},
        {"{\"section\": \"S\", \"rows\": [\"A\", \"C\"], \"seats\": \"1\"}", "1 1"},
        {"{\"section\": \"S\", \"rows\": \"A-C\", \"seats\": \"6\"}", "6 6 6"},
        {"{\"section\": \"S\", \"rows\": \"C-A\", \"seats\": \"6\"}", "6 6 6"},
        {"{\"section\": \"N\", \"rows\": \"2-3\", \"seats\": \"1\"}", "1 1"},
        {"{\"section\": \"N\", \"rows\": [3, 1], \"seats\": 1}", "1 1"},
        {"{\"section\": \"N\"}", "1 1 1"},
        {"{\"area\": \"Pit\"}", "[Pit]"},
        {"{\"category\": \"p\"}", "[Pit] [Deck]"},
        {"{\"category\": \"n\"}", "1 1 1"},
        {"{\"section\": \"N\", \"rows\": \"4-9\"}", NULL},
        {"{\"section\": \"S\", \"rows\": \"A-Z\"}", NULL},
        {"{\"section\": \"S\", \"rows\": \"B-\"}", NULL},
        {"{\"section\": \"S\", \"rows\": \"A\", \"seats\": \"9-7\"}", NULL},
        {"{\"section\": \"S\", \"rows\": []}", NULL},
        {"{\"section\": \"s\"}", NULL},
        {"{\"rows\": \"A\"}", NULL},
        {"{\"area\": \"Pit\", \"rows\": \"A\"}", NULL},
        {"{}", NULL},
        {"[]", NULL},
    };
    struct stand s;
    const struct plan *plan;

    (void)state;
    stand_init(&s);
    plan = stand_plan(&s, "{\"areas\": [{\"area\": \"Pit\", \"capacity\": 5, \"tier\": \"p\"}, {\"area\": \"Deck\", "
                          "\"capacity\": 5, \"tier\": \"p\"}], \"sections\": ["
                          "{\"section\": \"S\", \"rows\": \"A-C\", \"seats_per_row\": 6, \"numbering\": \"odd-even\", "
                          "\"tier\": \"t\"},"
                          "{\"section\": \"N\", \"rows\": \"1-3\", \"seats_per_row\": 1, \"tier\": \"n\"}]}");
    assert_non_null(plan);
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const char *error;
        tf_json *json = tf_json_parse(s.arena, rows[i].selector, strlen(rows[i].selector), 0, &error);
        struct taken taken = {.plan = plan};
        int64_t work_left = SELECTOR_WORK_MAX;
        struct selector selector;
        bool good;

        assert_non_null(json);
        good = selector_read(&s.r, NULL, json, SELECTOR_PAINTS, &selector) &&
               selector_match(&s.faults, NULL, plan, &selector, &work_left, take, &taken);
        if (good != (rows[i].expected != NULL)) fail_msg("%s", rows[i].selector);
        if (good && strcmp(taken.text, rows[i].expected) != 0) fail_msg("%s: %s", rows[i].selector, taken.text);
        tf_json_free(json);
    }
    stand_done(&s);
}

/* The largest plan of the open form, in bounded time and memory. */
static void fifty_thousand_seats(void **state)
{
    tf_buf json = {0};
    struct stand s;
    const struct plan *plan;

    (void)state;
    stand_init(&s);
    tf_buf_init(&json, (size_t)16 * 1024 * 1024);
    tf_buf_puts(&json, "{\"seating_plan\": {\"name\": \"n\", \"size\": {\"width\": 9000, \"height\": 9000}, "
                       "\"categories\": [{\"name\": \"x\"}], \"zones\": [{\"name\": \"Z\", \"position\": {\"x\": 0, "
                       "\"y\": 0}, \"rows\": [");
    for (int row = 0; row < 500; row++) {
        tf_buf_printf(&json, "%s{\"row_number\": \"%d\", \"position\": {\"x\": 0, \"y\": %d}, \"seats\": [",
                      row ? "," : "", row + 1, 30 * row);
        for (int seat = 0; seat < 100; seat++)
            tf_buf_printf(&json,
                          "%s{\"seat_guid\": \"guid-%d-%d\", \"seat_number\": \"%d\", \"category\": \"x\", "
                          "\"position\": {\"x\": %d, \"y\": 0}}",
                          seat ? "," : "", row, seat, seat + 1, 20 * seat);
        tf_buf_puts(&json, "]}");
    }
    tf_buf_puts(&json, "]}]}}");
    assert_false(json.broken);
    plan = stand_plan(&s, json.data);
    assert_non_null(plan);
    assert_int_equal(plan->n_places, 50000);
    tf_buf_done(&json);
    stand_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_in_words),        cmocka_unit_test(rows_are_sorted_by_section),
        cmocka_unit_test(words_are_drawn),      cmocka_unit_test(aisles_of_the_open_form),
        cmocka_unit_test(open_form_members),    cmocka_unit_test(selectors),
        cmocka_unit_test(fifty_thousand_seats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
