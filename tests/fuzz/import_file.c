/* An organiser's file: what is accepted is painted, numbered and published without a crash; what is refused is refused
 * by a pointer and a detail in valid UTF-8. */
#include "tests/fuzz/fuzz.h"

#include "common/base/text.h"
#include "services/program/domain/catalogue.h"
#include "services/program/domain/offered.h"

#include <string.h>

/* 2026-11-22T10:00:00Z */
#define FUZZ_NOW INT64_C(1795341600000000)
enum { ARENA_BYTES = 256 * 1024 * 1024 };

const char *const fuzz_seeds[] = {
    "{\"format\":\"ticketflow-catalogue/1\",\"organisers\":[{\"ref\":\"o\",\"name\":{\"zh-CN\":\"北\",\"en\":\"N\"}}],"
    "\"venues\":[{\"ref\":\"v\",\"name\":\"H\",\"city\":\"C\",\"address\":\"A\",\"time_zone\":\"Europe/London\"}],"
    "\"plans\":[{\"ref\":\"p\",\"venue\":\"v\",\"stage\":{\"x\":1,\"y\":0.5},\"sections\":[{\"section\":\"S\",\"rows\":"
    "[\"A-C\",7],\"skip_rows\":[\"B\"],\"seats_per_row\":[4,5,6],\"numbering\":\"odd-even\",\"aisle_after\":[2],"
    "\"tier\":"
    "\"a\",\"entrance\":\"E\",\"quality\":1,\"position\":{\"x\":3,\"y\":4},\"rotation\":30},{\"section\":\"S\","
    "\"rows\":"
    "\"1-3\",\"seats_per_row\":3,\"numbering\":{\"start\":2,\"step\":2,\"reverse\":true},\"tier\":\"b\"}],\"areas\":[{"
    "\"area\":\"P\",\"capacity\":1100,\"tier\":\"c\",\"size\":{\"width\":9,\"height\":9}}],\"notes\":[{\"section\":"
    "\"S\","
    "\"rows\":\"A\",\"seats\":\"1-2\",\"attributes\":[\"ACCESSIBLE\"]}]}],\"programs\":[{\"ref\":\"g\",\"title\":\"T\","
    "\"texts\":{\"detail\":\"d\"},\"shows\":[{\"ref\":\"s\",\"plan\":\"p\",\"start\":\"today+14 19:30\",\"opens\":"
    "\"now-5m\",\"closes\":\"today+14 18:00\",\"end\":\"today+14 "
    "23:00\",\"currency\":\"GBP\",\"tiers\":[{\"ref\":\"a\","
    "\"price\":{\"face\":\"48.50\",\"fee\":4.85,\"discount\":-1},\"color\":\"#abc\",\"places\":[{\"category\":\"a\"},{"
    "\"section\":\"S\",\"rows\":[\"2-3\"],\"seats\":[\"2-4\"]}]},{\"ref\":\"b\",\"price\":1},{\"ref\":\"c\",\"price\":"
    "2}],"
    "\"blocked\":[{\"area\":\"P\",\"count\":10},{\"section\":\"S\",\"rows\":\"C\"}]}]}]}",
    "{\"format\":\"ticketflow-catalogue/1\",\"organisers\":[{\"ref\":\"o\",\"name\":\"N\"}],\"venues\":[{\"ref\":\"v\","
    "\"name\":\"H\",\"city\":\"C\",\"address\":\"A\",\"time_zone\":\"UTC\"}],\"plans\":[{\"ref\":\"p\",\"venue\":\"v\","
    "\"zones\":{\"Z\":{\"quality\":2}},\"seating_plan\":{\"name\":\"n\",\"size\":{\"width\":90,\"height\":80},"
    "\"categories\":[{\"name\":\"x\",\"color\":\"#aabbcc\"}],\"zones\":[{\"name\":\"Z\",\"position\":{\"x\":1,\"y\":2},"
    "\"areas\":[{\"shape\":\"polygon\",\"polygon\":{\"points\":[{\"x\":0,\"y\":0},{\"x\":1,\"y\":0},{\"x\":1,\"y\":1}]}"
    ","
    "\"position\":{\"x\":0,\"y\":0},\"text\":{\"text\":\"t\",\"position\":{\"x\":0,\"y\":0}}}],\"rows\":[{\"row_"
    "number\":"
    "\"1\",\"row_label\":\"R %s\",\"seat_label\":\"%s\",\"seats\":[{\"seat_guid\":\"g1\",\"seat_number\":\"1\","
    "\"position\":{\"x\":0,\"y\":0},\"category\":\"x\"},{\"seat_guid\":\"g2\",\"seat_number\":\"2\",\"position\":{"
    "\"x\":20,"
    "\"y\":0},\"category\":\"x\",\"radius\":3,\"start_direction\":\"<\"}]}]}]}}],\"programs\":[{\"ref\":\"g\","
    "\"title\":"
    "\"T\",\"shows\":[{\"ref\":\"s\",\"plan\":\"p\",\"start\":\"2026-12-24T19:30\",\"tiers\":[{\"ref\":\"x\","
    "\"currency\":"
    "\"JPY\",\"price\":5}],\"not_on_sale\":[{\"guids\":[\"g2\"]}],\"attendee_rule\":\"NAME\",\"publish\":true}]}]}",
    NULL,
};
const char *const fuzz_words[] = {
    "\"A-ZZ\"",
    "\"1-1000\"",
    "\"-\"",
    "\"--\"",
    "\"A-\"",
    "\"%s%s\"",
    "\"today+3660 23:59\"",
    "\"now-1d\"",
    "1e300",
    "-1e300",
    "0.1",
    "100000",
    "1000",
    "-2147483648",
    "2147483647",
    "{}",
    "[]",
    "null",
    "true",
    "\"reverse\"",
    "\"101..\"",
    "\"S\"",
    "\"P\"",
    "\"category\"",
    "\"section\"",
    "\"guids\"",
    "\"\\u5317~1/0\"",
    NULL,
};

static void show_check(struct reading *r, const struct catalogue *c, const struct catalogue_show *s)
{
    tf_cleanup(tf_buf_done) tf_buf json = {0};
    struct show_times times;
    struct painting painting;
    struct place_map map;
    struct publication p = {.show_id = 1,
                            .version = 1,
                            .time_zone = "UTC",
                            .picture = "",
                            .show = &s->show,
                            .times = &times,
                            .painting = &painting,
                            .map = &map};
    const SaleSnapshot *snapshot;
    int32_t places = 0, free_from = PLACE_NO_FIRST;

    for (size_t i = 0; i < c->n_plans; i++)
        if (strcmp(c->plans[i].object.ref, s->show.plan_ref) == 0) p.plan = c->plans[i].plan;
    if (!p.plan || !show_times_set(r, NULL, &s->show, "Europe/London", FUZZ_NOW, NULL, &times)) return;
    if (!painting_make(r, NULL, &s->show, p.plan, &painting)) return;
    if (!place_map_make(r->arena, p.plan, &s->show, &painting, &map)) return;
    snapshot = snapshot_make(r->arena, &p);
    if (!snapshot) return;
    for (size_t i = 0; i < snapshot->n_segments; i++) {
        TF_ASSERT(snapshot->segments[i]->first_place_no % PLACE_CELL == 0);
        TF_ASSERT(snapshot->segments[i]->first_place_no >= free_from);
        free_from = snapshot->segments[i]->first_place_no + snapshot->segments[i]->count + 1;
        places += snapshot->segments[i]->count;
    }
    TF_ASSERT(places > 0 && places <= p.plan->n_places);
    TF_ASSERT(offered_write(r->arena, &p) || tf_arena_exhausted(r->arena));
    tf_buf_init(&json, ARENA_BYTES);
    seat_plan_write(&json, &p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tf_arena *arena = tf_arena_new(ARENA_BYTES);
    struct catalogue catalogue;
    struct faults faults;
    struct reading r = {.arena = arena, .faults = &faults};
    const char *error = NULL;
    tf_json *document;

    faults_init(&faults, arena);
    document = tf_json_parse(arena, (const char *)data, size, 0, &error);
    if (document && catalogue_read(&r, document, 120, &catalogue))
        for (size_t i = 0; i < catalogue.n_shows; i++)
            show_check(&r, &catalogue, &catalogue.shows[i]);
    else
        TF_ASSERT(!document || faults.n > 0);
    for (size_t i = 0; i < faults.n; i++) {
        TF_ASSERT(tf_utf8_valid(faults.list[i].pointer, strlen(faults.list[i].pointer)));
        TF_ASSERT(tf_utf8_valid(faults.list[i].detail, strlen(faults.list[i].detail)));
    }
    tf_json_free(document);
    tf_arena_free(arena);
    return 0;
}
