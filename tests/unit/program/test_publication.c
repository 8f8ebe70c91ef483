/* Place numbers, snapshot and seat plan: the rules that order and the maps rely on, on made-up and on the demo
 * catalogue. */
#include "common/base/embedded.h"
#include "common/crypto/crypto.h"
#include "common/rpc/rpc.h"
#include "common/zip/zip.h"
#include "services/program/domain/offered.h"
#include "services/program/domain/texts.h"
#include "stand.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct tf_embedded catalogue_files[];

/* One show made ready. */
struct published {
    struct show_times times;
    struct painting painting;
    struct place_map map;
    struct publication publication;
    SaleSnapshot *snapshot;
};

static void publish(struct stand *s, size_t index, struct published *p)
{
    const struct catalogue_show *show = &s->catalogue.shows[index];
    const struct catalogue_program *program = &s->catalogue.programs[show->program];
    const struct plan *plan;

    if (!stand_show(s, index, &p->times, &p->painting, &plan))
        fail_msg("%s: %s", s->faults.list[0].pointer, s->faults.list[0].detail);
    assert_true(place_map_make(s->arena, plan, &show->show, &p->painting, &p->map));
    p->publication = (struct publication){
        .show_id = 4611686018427387905,
        .program_id = 2,
        .organiser_id = 3,
        .version = 1,
        .title = program->title,
        .venue_name = s->catalogue.venues[0].name,
        .venue_address = s->catalogue.venues[0].address,
        .entry_rule = program->texts[6],
        .picture = program->picture,
        .time_zone = "UTC",
        .show = &show->show,
        .times = &p->times,
        .plan = plan,
        .painting = &p->painting,
        .map = &p->map,
    };
    p->snapshot = snapshot_make(s->arena, &p->publication);
    assert_non_null(p->snapshot);
}

static void read_good(struct stand *s, const char *json)
{
    stand_init(s);
    if (!stand_read(s, json)) fail_msg("%s: %s", s->faults.list[0].pointer, s->faults.list[0].detail);
}

/* The rules of SaleSegment, and that no place is lost or doubled. */
static void snapshot_check(const struct published *p, const char *what)
{
    const SaleSnapshot *s = p->snapshot;
    int32_t free_from = 32, capacities[SHOW_TIERS_MAX] = {0};
    int tier = 1;

    for (size_t i = 0; i < s->n_segments; i++) {
        const SaleSegment *segment = s->segments[i];

        if (segment->first_place_no % 16 != 0 || segment->first_place_no < free_from)
            fail_msg("%s: segment %zu begins at %d", what, i, segment->first_place_no);
        if (segment->count < 1 || (segment->section >= (int)s->n_sections)) fail_msg("%s: segment %zu", what, i);
        if (segment->tier < tier) fail_msg("%s: tier %d after %d", what, segment->tier, tier);
        tier = segment->tier;
        free_from = segment->first_place_no + segment->count + 1;
        capacities[tier - 1] += segment->count;
        if (segment->n_cell_quality != ((size_t)segment->count + 15) / 16) fail_msg("%s: cells of %zu", what, i);
        if (segment->focal < 0 || segment->focal >= segment->count) fail_msg("%s: focal of %zu", what, i);
        if (segment->n_labels ? (int32_t)segment->n_labels != segment->count : segment->label_step == 0)
            fail_msg("%s: labels of %zu", what, i);
        if (*segment->row == '\0' && s->tiers[tier - 1]->kind != TIER_KIND_STANDING)
            fail_msg("%s: row of %zu", what, i);
    }
    for (size_t i = 0; i < s->n_tiers; i++) {
        if (s->tiers[i]->tier != (int)i + 1 || capacities[i] != p->painting.capacities[i] || capacities[i] < 1)
            fail_msg("%s: tier %zu has %d of %d places", what, i + 1, capacities[i], p->painting.capacities[i]);
        if (s->tiers[i]->n_price_lines == 0) fail_msg("%s: price of tier %zu", what, i + 1);
    }
    for (size_t i = 1; i < s->n_blocked_place_nos; i++)
        if (s->blocked_place_nos[i] <= s->blocked_place_nos[i - 1]) fail_msg("%s: blocks", what);
}

/* Segments as text: "1@32+5 3 1 2 4 6". */
static const char *segments_text(tf_arena *arena, const SaleSnapshot *s)
{
    const char *all = "";

    for (size_t i = 0; i < s->n_segments; i++) {
        const SaleSegment *g = s->segments[i];

        all =
            tf_arena_printf(arena, "%s%s%d@%d+%d %s", all, i ? "; " : "", g->tier, g->first_place_no, g->count, g->row);
        if (g->n_labels == 0) {
            all = tf_arena_printf(arena, "%s(%d,%d)", all, g->label_first, g->label_step);
            continue;
        }
        for (size_t k = 0; k < g->n_labels; k++)
            all = tf_arena_printf(arena, "%s%s%s", all, k ? "," : "(", g->labels[k]);
        all = tf_arena_printf(arena, "%s)", all);
    }
    return all;
}

static void numbers_of_the_good_file(void **state)
{
    static const int32_t blocked[] = {66, 67, 81, 216, 217, 218, 219, 220, 221, 222, 223, 224, 225};
    struct stand s;
    struct published p;

    (void)state;
    read_good(&s, good_file);
    publish(&s, 0, &p);
    snapshot_check(&p, "good file");
    assert_string_equal(segments_text(s.arena, p.snapshot),
                        "1@32+5 A(1,1); 1@48+5 A(6,1); 1@64+5 B(1,1); 1@80+5 B(6,1); 1@96+5 C(1,1); 1@112+5 C(6,1); "
                        "2@128+6 1(1,1); 2@144+8 2(1,1); 3@160+50 (1,1)");
    assert_int_equal(p.snapshot->n_notes, 2);
    assert_int_equal(p.snapshot->notes[1]->place_no, 33);
    assert_string_equal(p.snapshot->notes[1]->attributes[0], "ACCESSIBLE");
    /* B 3, 4, 7; of the pit the last ten. */
    assert_int_equal(p.snapshot->n_blocked_place_nos, 13);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(p.snapshot->blocked_place_nos[i], blocked[i]);
    assert_int_equal(p.snapshot->blocked_place_nos[3], 200);
    assert_int_equal(p.snapshot->blocked_place_nos[12], 209);
    /* The middle of row A lies between seats 5 and 6, on both sides of the aisle. */
    assert_int_equal(p.snapshot->segments[0]->focal, 4);
    assert_int_equal(p.snapshot->segments[1]->focal, 0);
    assert_string_equal(p.snapshot->sections[2]->name->texts[0]->text, "Pit");
    publish(&s, 1, &p);
    snapshot_check(&p, "open form");
    assert_string_equal(segments_text(s.arena, p.snapshot), "1@32+3 1(1,1); 1@48+2 1(4,1)");
    stand_done(&s);
}

static void segments_end_where_they_must(void **state)
{
    static const struct {
        const char *what, *rows, *tiers, *expected;
    } cases[] = {
        {"fifteen take sixteen", "\"rows\": \"A-B\", \"seats_per_row\": 15, \"tier\": \"t\"",
         "{\"ref\": \"t\", \"price\": 1}", "1@32+15 A(1,1); 1@48+15 B(1,1)"},
        {"sixteen take thirty-two", "\"rows\": \"A-B\", \"seats_per_row\": 16, \"tier\": \"t\"",
         "{\"ref\": \"t\", \"price\": 1}", "1@32+16 A(1,1); 1@64+16 B(1,1)"},
        {"a change of tier in a row", "\"rows\": \"A-B\", \"seats_per_row\": 5, \"tier\": \"t\"",
         "{\"ref\": \"u\", \"price\": 1, \"places\": [{\"section\": \"S\", \"rows\": \"B\", \"seats\": \"2-3\"}]}, "
         "{\"ref\": \"t\", \"price\": 1}",
         "1@32+2 B(2,1); 2@48+5 A(1,1); 2@64+1 B(1,1); 2@80+2 B(4,1)"},
        {"labels that jump", "\"rows\": \"A\", \"seats_per_row\": 5, \"numbering\": \"odd-even\", \"tier\": \"t\"",
         "{\"ref\": \"t\", \"price\": 1}", "1@32+5 A(5,3,1,2,4)"},
        {"labels that go down", "\"rows\": \"A\", \"seats_per_row\": 3, \"numbering\": \"reverse\", \"tier\": \"t\"",
         "{\"ref\": \"t\", \"price\": 1}", "1@32+3 A(3,-1)"},
        {"labels that go in twos",
         "\"rows\": \"A\", \"seats_per_row\": 3, \"numbering\": {\"start\": 2, \"step\": 2}, \"tier\": \"t\"",
         "{\"ref\": \"t\", \"price\": 1}", "1@32+3 A(2,2)"},
        {"places that are not on sale have no number", "\"rows\": \"A-B\", \"seats_per_row\": 4, \"tier\": \"t\"",
         "{\"ref\": \"t\", \"price\": 1}], \"not_on_sale\": [{\"section\": \"S\", \"rows\": \"A\", \"seats\": \"2\"}",
         "1@32+1 A(1,1); 1@48+2 A(3,1); 1@64+4 B(1,1)"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        tf_arena *arena = tf_arena_new(1024 * 1024);
        struct stand s;
        struct published p;

        read_good(&s,
                  tf_arena_printf(
                      arena,
                      "{\"format\": \"ticketflow-catalogue/1\", \"organisers\": [{\"ref\": \"o\", \"name\": \"O\"}], "
                      "\"venues\": [{\"ref\": \"v\", \"name\": \"V\", \"city\": \"C\", \"address\": \"A\", "
                      "\"time_zone\": \"UTC\"}], \"plans\": [{\"ref\": \"p\", \"venue\": \"v\", \"sections\": "
                      "[{\"section\": \"S\", %s}]}], \"programs\": [{\"ref\": \"g\", \"title\": \"T\", \"shows\": "
                      "[{\"ref\": \"s\", \"plan\": \"p\", \"start\": \"today+1 10:00\", \"currency\": \"CNY\", "
                      "\"tiers\": [%s]}]}]}",
                      cases[i].rows, cases[i].tiers));
        publish(&s, 0, &p);
        snapshot_check(&p, cases[i].what);
        if (strcmp(segments_text(s.arena, p.snapshot), cases[i].expected) != 0)
            fail_msg("%s: %s", cases[i].what, segments_text(s.arena, p.snapshot));
        stand_done(&s);
        tf_arena_free(arena);
    }
}

static void standing_places_come_in_chunks(void **state)
{
    struct stand s;
    struct published p;
    const SaleSegment *last;

    (void)state;
    stand_init(&s);
    assert_true(stand_read(&s, replaced(s.arena, good_file, "\"capacity\": 50", "\"capacity\": 2500")));
    publish(&s, 0, &p);
    snapshot_check(&p, "standing");
    assert_int_equal(p.snapshot->n_segments, 11);
    last = p.snapshot->segments[10];
    assert_int_equal(p.snapshot->segments[8]->count, 1024);
    assert_int_equal(p.snapshot->segments[9]->first_place_no, 160 + 1024 + 16);
    assert_int_equal(last->count, 2500 - 2048);
    assert_int_equal(last->label_first, 2049);
    /* In the order of their numbers, across chunks. */
    assert_int_equal(last->cell_quality[0], 128);
    /* Blocked: the last ten of the area. */
    assert_int_equal(p.snapshot->blocked_place_nos[12], last->first_place_no + last->count - 1);
    stand_done(&s);
}

/* Numbers stand in tickets: whoever changes them breaks every sold place. */
static void numbers_never_change(void **state)
{
    static const char expected[] = "50354f3aa8d5f89fe82a3c48e625d7ced18d82926131dc11d7ad2f135f57c01d";
    unsigned char digest[TF_SHA256_BYTES];
    char hex[2 * TF_SHA256_BYTES + 1];
    struct stand s;
    struct published p;
    size_t size;
    void *data;

    (void)state;
    read_good(&s, good_file);
    publish(&s, 0, &p);
    data = tf_pb_pack(s.arena, &snapshot_map_part(s.arena, p.snapshot)->base, &size);
    assert_non_null(data);
    tf_sha256(data, size, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, expected);
    stand_done(&s);
}

static void what_is_unsaid_does_not_change_the_snapshot(void **state)
{
    static const struct {
        const char *what, *find, *with;
        bool same, same_map;
    } rows[] = {
        {"nothing", "\"ref\": \"s1\"", "\"ref\": \"s1\"", true, true},
        {"a rule that order does not know", "Long.", "Longest.", true, true},
        {"a price", "\"face\": 20", "\"face\": 21", false, true},
        {"the opening", "2026-12-01T10:00", "2026-12-01T11:00", false, true},
        {"a color", "#a0b1c2", "#a0b1c3", false, true},
        {"a block", "\"count\": 10", "\"count\": 11", false, false},
        {"the tier of a row", "{\"ref\": \"b\", ",
         "{\"ref\": \"b\", \"places\": [{\"category\": \"b\"}, {\"section\": \"Stalls\", \"rows\": \"C\"}], ", false,
         false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct stand s[2];
        void *whole[2], *map[2];
        size_t whole_size[2], map_size[2];

        for (int k = 0; k < 2; k++) {
            struct published p;

            stand_init(&s[k]);
            assert_true(stand_read(&s[k], k ? replaced(s[k].arena, good_file, rows[i].find, rows[i].with) : good_file));
            publish(&s[k], 0, &p);
            whole[k] = tf_pb_pack(s[k].arena, &p.snapshot->base, &whole_size[k]);
            map[k] = tf_pb_pack(s[k].arena, &snapshot_map_part(s[k].arena, p.snapshot)->base, &map_size[k]);
        }
        if ((whole_size[0] == whole_size[1] && memcmp(whole[0], whole[1], whole_size[0]) == 0) != rows[i].same)
            fail_msg("%s: the snapshot", rows[i].what);
        if ((map_size[0] == map_size[1] && memcmp(map[0], map[1], map_size[0]) == 0) != rows[i].same_map)
            fail_msg("%s: the map", rows[i].what);
        stand_done(&s[0]);
        stand_done(&s[1]);
    }
}

/* ---- the seat plan says the same as the snapshot ----------------------------------------------------------------- */

static const SaleSegment *segment_at(const SaleSnapshot *s, int64_t first)
{
    for (size_t i = 0; i < s->n_segments; i++)
        if (s->segments[i]->first_place_no == first) return s->segments[i];
    fail_msg("no segment at %d", (int)first);
    abort(); /* never reached: fail_msg jumps away, which the compiler does not know */
}

static int64_t get_int(const tf_json *object, const char *name)
{
    return tf_json_int(tf_json_get(object, name), -1);
}

/* A run of the plan against its segment; returns its places. */
static int32_t run_check(const SaleSnapshot *s, const tf_json *run, const char *row, int section)
{
    const SaleSegment *segment;
    const tf_json *labels = tf_json_get(run, "labels");

    if (!tf_json_get(run, "place_no")) return 0; /* not on sale */
    segment = segment_at(s, get_int(run, "place_no"));
    assert_int_equal(get_int(run, "count"), segment->count);
    assert_int_equal(segment->section, section);
    assert_string_equal(segment->row, row);
    if (tf_json_get(run, "tier")) assert_int_equal(get_int(run, "tier"), segment->tier);
    assert_int_equal(tf_json_size(labels), segment->n_labels);
    for (size_t i = 0; i < segment->n_labels; i++)
        assert_string_equal(tf_json_string(tf_json_at(labels, i), ""), segment->labels[i]);
    if (!labels) assert_int_equal(get_int(run, "label_first"), segment->label_first);
    if (tf_json_get(run, "label_step")) assert_int_equal(get_int(run, "label_step"), segment->label_step);
    if (*row) assert_true(tf_json_get(run, "xy") || (tf_json_get(run, "x") && tf_json_get(run, "y")));
    return segment->count;
}

static void seat_plan_check(struct stand *s, const struct published *p)
{
    const struct tf_json *sections, *areas;
    const char *error;
    int32_t places = 0, expected = 0;
    size_t n_sections, gzip_size, plain_size;
    tf_buf json = {0};
    tf_json *plan;
    void *gzip, *plain;

    tf_buf_init(&json, (size_t)64 * 1024 * 1024);
    seat_plan_write(&json, &p->publication);
    assert_false(json.broken);
    plan = tf_json_parse(s->arena, json.data, json.size, 0, &error);
    if (!plan) fail_msg("%s", error);
    assert_string_equal(tf_json_string(tf_json_get(plan, "show_id"), ""), "4611686018427387905");
    sections = tf_json_get(plan, "sections");
    n_sections = tf_json_size(sections);
    for (size_t i = 0; i < n_sections; i++) {
        const tf_json *rows = tf_json_get(tf_json_at(sections, i), "rows");

        for (size_t r = 0; r < tf_json_size(rows); r++) {
            const tf_json *row = tf_json_at(rows, r), *runs = tf_json_get(row, "runs");

            for (size_t k = 0; k < tf_json_size(runs); k++)
                places +=
                    run_check(p->snapshot, tf_json_at(runs, k), tf_json_string(tf_json_get(row, "row"), "?"), (int)i);
        }
    }
    areas = tf_json_get(plan, "areas");
    for (size_t i = 0; i < tf_json_size(areas); i++) {
        const tf_json *runs = tf_json_get(tf_json_at(areas, i), "runs");

        for (size_t k = 0; k < tf_json_size(runs); k++)
            places += run_check(p->snapshot, tf_json_at(runs, k), "", (int)(n_sections + i));
    }
    for (size_t i = 0; i < p->snapshot->n_segments; i++)
        expected += p->snapshot->segments[i]->count;
    assert_int_equal(places, expected);
    assert_int_equal(tf_json_size(tf_json_get(plan, "tiers")), p->snapshot->n_tiers);

    gzip = tf_gzip(s->arena, json.data, json.size, TF_GZIP_BEST, &gzip_size);
    plain = tf_gunzip(s->arena, gzip, gzip_size, json.size, &plain_size);
    assert_true(plain && plain_size == json.size && memcmp(plain, json.data, json.size) == 0);
    assert_null(tf_gunzip(s->arena, gzip, gzip_size, json.size - 1, &plain_size));
    assert_null(tf_gunzip(s->arena, gzip, gzip_size - 1, json.size, &plain_size));
    tf_json_free(plan);
    tf_buf_done(&json);
}

static void seat_plan_and_snapshot_agree(void **state)
{
    struct stand s;
    struct published p;

    (void)state;
    read_good(&s, good_file);
    for (size_t i = 0; i < s.catalogue.n_shows; i++) {
        publish(&s, i, &p);
        seat_plan_check(&s, &p);
    }
    stand_done(&s);
}

static void page_facts_come_back(void **state)
{
    struct stand s;
    struct published p;
    Show show = Show_init;

    (void)state;
    read_good(&s, good_file);
    publish(&s, 0, &p);
    assert_true(offered_read(s.arena, offered_write(s.arena, &p.publication), "en", "GBP", &show));
    assert_int_equal(show.n_tiers, 3);
    assert_string_equal(show.tiers[0]->name, "First");
    assert_string_equal(show.tiers[0]->color, "#a0b1c2");
    assert_int_equal(show.tiers[0]->price->amount_minor, 5335);
    assert_string_equal(show.tiers[0]->price->currency, "GBP");
    assert_int_equal(show.tiers[1]->n_price_lines, 2);
    assert_int_equal(show.tiers[1]->price->amount_minor, 1500);
    assert_int_equal(show.tiers[2]->kind, TIER_KIND_STANDING);
    assert_int_equal(show.tiers[2]->capacity, 50);
    assert_int_equal(show.account_limit, 6);
    assert_int_equal(show.attendee_rule, ATTENDEE_RULE_NONE);
    assert_true(show.choice_allowed);
    assert_false(offered_read(s.arena, "nonsense", "en", "GBP", &show));
    stand_done(&s);
}

/* Every text of the demo catalogue is there in both languages; every show sells; the seat plans agree. */
static void demo_catalogue(void **state)
{
    int programs = 0, standing = 0, real_name = 0, soon = 0, largest = 0, unlisted = 0;

    (void)state;
    for (const struct tf_embedded *file = catalogue_files; file->name; file++) {
        struct stand s;

        read_good(&s, (const char *)file->data);
        for (size_t i = 0; i < s.catalogue.n_programs; i++) {
            const struct catalogue_program *program = &s.catalogue.programs[i];

            programs++;
            for (size_t k = 0; k < PROGRAM_TEXTS; k++)
                if (!program->texts[k] || !*texts_pick(program->texts[k], "en") || program->texts[k]->n_texts != 2)
                    fail_msg("%s: %s", program->object.ref, program_text_names[k]);
            assert_non_null(program->picture);
            assert_non_null(program->category);
        }
        for (size_t i = 0; i < s.catalogue.n_shows; i++) {
            struct published p;

            publish(&s, i, &p);
            snapshot_check(&p, s.catalogue.shows[i].show.ref);
            seat_plan_check(&s, &p);
            standing += p.painting.kinds[0] == TIER_KIND_STANDING;
            real_name += s.catalogue.shows[i].show.attendee_rule == ATTENDEE_RULE_REAL_NAME;
            unlisted += s.catalogue.shows[i].show.unlisted;
            soon += p.times.opens > STAND_NOW;
            largest = TF_MAX(largest, p.publication.plan->n_places);
            assert_true(s.catalogue.shows[i].show.publish && s.catalogue.shows[i].show.name);
        }
        stand_done(&s);
    }
    assert_true(programs >= 9 && standing >= 2 && real_name >= 1 && soon == 1 && unlisted == 1);
    assert_true(largest >= 12000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_the_good_file),
        cmocka_unit_test(segments_end_where_they_must),
        cmocka_unit_test(standing_places_come_in_chunks),
        cmocka_unit_test(numbers_never_change),
        cmocka_unit_test(what_is_unsaid_does_not_change_the_snapshot),
        cmocka_unit_test(seat_plan_and_snapshot_agree),
        cmocka_unit_test(page_facts_come_back),
        cmocka_unit_test(demo_catalogue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
