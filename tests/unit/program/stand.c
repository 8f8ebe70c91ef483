/* A file for tests and what is done with it. */
#include "stand.h"

const char good_file[] =
    "{\"format\": \"ticketflow-catalogue/1\","
    "\"organisers\": [{\"ref\": \"o\", \"name\": {\"zh-CN\": \"北方\", \"en\": \"North\"}}],"
    "\"venues\": [{\"ref\": \"v\", \"name\": \"Hall\", \"city\": {\"en\": \"London\"}, \"address\": \"1 Road\","
    " \"time_zone\": \"Europe/London\"}],"
    "\"plans\": ["
    "{\"ref\": \"words\", \"venue\": \"v\", \"sections\": ["
    "{\"section\": \"Stalls\", \"rows\": \"A-C\", \"seats_per_row\": 10, \"aisle_after\": [5], \"tier\": \"a\"},"
    "{\"section\": \"Balcony\", \"rows\": [1, 2], \"seats_per_row\": [6, 8], \"tier\": \"b\", \"quality\": 1}],"
    " \"areas\": [{\"area\": \"Pit\", \"capacity\": 50, \"tier\": \"p\"}],"
    " \"notes\": [{\"section\": \"Stalls\", \"rows\": \"A\", \"seats\": \"1-2\", \"attributes\": [\"ACCESSIBLE\"]}]},"
    "{\"ref\": \"open\", \"venue\": \"v\", \"zones\": {\"Z1\": {\"entrance\": \"East\"}}, \"seating_plan\": {"
    "\"name\": \"Open\", \"size\": {\"width\": 400, \"height\": 300}, \"categories\": [{\"name\": \"x\", \"color\": "
    "\"#fff\"}],"
    "\"zones\": [{\"name\": \"Z1\", \"position\": {\"x\": 10, \"y\": 20}, \"areas\": [{\"shape\": \"circle\", "
    "\"circle\": {\"radius\": 5}, \"position\": {\"x\": 0, \"y\": 0}, \"text\": {\"text\": \"Bar\", \"position\": "
    "{\"x\": 1, \"y\": 1}}}],"
    "\"rows\": [{\"row_number\": \"1\", \"position\": {\"x\": 0, \"y\": 0}, \"seats\": ["
    "{\"seat_guid\": \"g1\", \"seat_number\": \"1\", \"position\": {\"x\": 0, \"y\": 0}, \"category\": \"x\"},"
    "{\"seat_guid\": \"g2\", \"seat_number\": \"2\", \"position\": {\"x\": 20, \"y\": 0}, \"category\": \"x\"},"
    "{\"seat_guid\": \"g3\", \"seat_number\": \"3\", \"position\": {\"x\": 40, \"y\": 0}, \"category\": \"x\"},"
    "{\"seat_guid\": \"g4\", \"seat_number\": \"4\", \"position\": {\"x\": 73, \"y\": 0}, \"category\": \"x\"},"
    "{\"seat_guid\": \"g5\", \"seat_number\": \"5\", \"position\": {\"x\": 93, \"y\": 0}, \"category\": \"x\"}]}]}]}}],"
    "\"programs\": [{\"ref\": \"p\", \"title\": {\"en\": \"Swan Lake\"}, \"picture\": \"/p.svg\", \"texts\": "
    "{\"detail\": \"Long.\\nLonger.\"}, \"shows\": ["
    "{\"ref\": \"s1\", \"plan\": \"words\", \"start\": \"2026-12-24T19:30\", \"end\": \"2026-12-24T22:00\", "
    "\"opens\": \"2026-12-01T10:00\", \"closes\": \"2026-12-24T19:00\", \"currency\": \"GBP\", \"tiers\": ["
    "{\"ref\": \"a\", \"name\": \"First\", \"price\": {\"face\": \"48.50\", \"fee\": 4.85}, \"color\": \"#a0b1c2\"},"
    "{\"ref\": \"b\", \"price\": {\"face\": 20, \"discount\": -5}},"
    "{\"ref\": \"p\", \"price\": 30}],"
    " \"blocked\": [{\"section\": \"Stalls\", \"rows\": \"B\", \"seats\": [\"3-4\", \"7\"]}, {\"area\": \"Pit\", "
    "\"count\": 10}]},"
    "{\"ref\": \"s2\", \"plan\": \"open\", \"start\": \"today+14 19:30\", \"hold_seconds\": 600, "
    "\"attendee_rule\": \"REAL_NAME\", \"tiers\": [{\"ref\": \"t\", \"currency\": \"EUR\", \"price\": 10, "
    "\"places\": [{\"category\": \"x\"}]}]}]}]}";

char *replaced(tf_arena *arena, const char *text, const char *find, const char *with)
{
    const char *at = strstr(text, find);

    if (!at) fail_msg("the file has no %s", find);
    return tf_arena_printf(arena, "%.*s%s%s", (int)(at - text), text, with, at + strlen(find));
}

void stand_init(struct stand *s)
{
    *s = (struct stand){.arena = tf_arena_new((size_t)512 * 1024 * 1024)};
    assert_non_null(s->arena);
    faults_init(&s->faults, s->arena);
    s->r = (struct reading){.arena = s->arena, .faults = &s->faults};
}

void stand_done(struct stand *s)
{
    tf_json_free(s->document);
    tf_arena_free(s->arena);
}

static const struct catalogue_plan *plan_of(const struct catalogue *c, const char *ref)
{
    for (size_t i = 0; i < c->n_plans; i++)
        if (strcmp(c->plans[i].object.ref, ref) == 0) return &c->plans[i];
    return NULL;
}

static const char *zone_of(const struct catalogue *c, const char *venue_ref)
{
    for (size_t i = 0; i < c->n_venues; i++)
        if (strcmp(c->venues[i].object.ref, venue_ref) == 0) return c->venues[i].time_zone;
    return "UTC";
}

bool stand_show(struct stand *s, size_t index, struct show_times *times, struct painting *painting,
                const struct plan **ret_plan)
{
    const struct catalogue_show *show = &s->catalogue.shows[index];
    const struct catalogue_plan *plan = plan_of(&s->catalogue, show->show.plan_ref);
    const struct path *programs = PATH_MEMBER(NULL, "programs");
    const struct path *shows = PATH_MEMBER(PATH_INDEX(programs, show->program), "shows");
    const struct path *at = PATH_INDEX(shows, show->index);

    if (!plan) return fault_add(&s->faults, PATH_MEMBER(at, "plan"), "there is none");
    *ret_plan = plan->plan;
    return show_times_set(&s->r, at, &show->show, zone_of(&s->catalogue, plan->venue_ref), STAND_NOW, NULL, times) &&
           painting_make(&s->r, at, &show->show, plan->plan, painting);
}

bool stand_read(struct stand *s, const char *json)
{
    const char *error = NULL;

    s->document = tf_json_parse(s->arena, json, strlen(json), 0, &error);
    if (!s->document) fail_msg("not JSON: %s", error);
    if (!catalogue_read(&s->r, s->document, 120, &s->catalogue)) return false;
    for (size_t i = 0; i < s->catalogue.n_shows; i++) {
        struct show_times times;
        struct painting painting;
        const struct plan *plan;

        stand_show(s, i, &times, &painting, &plan);
    }
    return s->faults.n == 0;
}

struct plan *stand_plan(struct stand *s, const char *json)
{
    const char *error = NULL;

    s->document = tf_json_parse(s->arena, json, strlen(json), 0, &error);
    if (!s->document) fail_msg("not JSON: %s", error);
    return plan_read(&s->r, NULL, s->document);
}
