/* Faulty files, each with one fault, refused by the pointer of the place. One case, one row. */
#include "stand.h"

struct faulty {
    const char *what, *find, *with, *pointer;
};

static const struct faulty cases[] = {
    /* the file */
    {"another format", "catalogue/1", "catalogue/2", "/format"},
    {"no format", "\"format\": \"ticketflow-catalogue/1\",", "", "/format"},
    {"unknown member of the file", "\"organisers\"", "\"organizers\"", "/organizers"},
    {"venues are no list",
     "\"venues\": [{\"ref\": \"v\", \"name\": \"Hall\", \"city\": {\"en\": \"London\"}, \"address\": \"1 Road\","
     " \"time_zone\": \"Europe/London\"}]",
     "\"venues\": {}", "/venues"},
    {"a name with a slash in it", "\"city\"", "\"a/b~c\": 1, \"city\"", "/venues/0/a~1b~0c"},
    /* organisers, venues */
    {"organiser without a name", ", \"name\": {\"zh-CN\": \"北方\", \"en\": \"North\"}", "", "/organisers/0/name"},
    {"empty text", "\"en\": \"North\"", "\"en\": \"\"", "/organisers/0/name/en"},
    {"no language tag", "\"en\": \"North\"", "\"english!\": \"North\"", "/organisers/0/name/english!"},
    {"text of another type", "\"en\": \"North\"", "\"en\": 7", "/organisers/0/name/en"},
    {"ref of another type", "\"ref\": \"o\"", "\"ref\": 7", "/organisers/0/ref"},
    {"unknown zone", "Europe/London", "Europe/Londinium", "/venues/0/time_zone"},
    {"missing address", "\"address\": \"1 Road\",", "", "/venues/0/address"},
    {"control character", "\"1 Road\"", "\"1\\u0001Road\"", "/venues/0/address"},
    {"blank at the end", "\"1 Road\"", "\"1 Road \"", "/venues/0/address"},
    /* rows in words */
    {"same plan ref twice", "\"ref\": \"open\"", "\"ref\": \"words\"", "/plans/1/ref"},
    {"rows run backwards", "\"A-C\"", "\"C-A\"", "/plans/0/sections/0/rows"},
    {"no seats", "\"seats_per_row\": 10", "\"seats_per_row\": 0", "/plans/0/sections/0/seats_per_row"},
    {"counts do not match rows", "[6, 8]", "[6]", "/plans/0/sections/1/seats_per_row"},
    {"aisle behind the last seat", "\"aisle_after\": [5]", "\"aisle_after\": [5, 10]",
     "/plans/0/sections/0/aisle_after/1"},
    {"unknown numbering", "\"aisle_after\": [5]", "\"numbering\": \"spiral\"", "/plans/0/sections/0/numbering"},
    {"row twice in a section", "\"rows\": [1, 2]", "\"rows\": [1, 1]", "/plans/0/sections/1/rows"},
    {"capacity of nothing", "\"capacity\": 50", "\"capacity\": 0", "/plans/0/areas/0/capacity"},
    {"area named like a section", "\"area\": \"Pit\", \"capacity\"", "\"area\": \"Stalls\", \"capacity\"",
     "/plans/0/areas/0/area"},
    {"too many places", "\"capacity\": 50", "\"capacity\": 100000", "/plans/0"},
    {"unknown attribute", "\"ACCESSIBLE\"", "\"COMFORTABLE\"", "/plans/0/notes/0/attributes/0"},
    {"note of a row that is not there", "\"rows\": \"A\", \"seats\": \"1-2\"", "\"rows\": \"Q\", \"seats\": \"1-2\"",
     "/plans/0/notes/0/rows"},
    {"note of seats that are not there", "\"seats\": \"1-2\"", "\"seats\": [\"1-2\", \"40-41\"]",
     "/plans/0/notes/0/seats/1"},
    {"two forms in one plan", "\"zones\": {\"Z1\"", "\"sections\": [], \"zones\": {\"Z1\"", "/plans/1/seating_plan"},
    /* the open form */
    {"seat guid twice", "\"g2\"", "\"g1\"", "/plans/1/seating_plan/zones/0/rows/0/seats/1/seat_guid"},
    {"guid with a blank", "\"g2\"", "\" g2\"", "/plans/1/seating_plan/zones/0/rows/0/seats/1/seat_guid"},
    {"unknown category", "\"category\": \"x\"}", "\"category\": \"y\"}",
     "/plans/1/seating_plan/zones/0/rows/0/seats/0/category"},
    {"unknown member of a seat", "\"seat_guid\": \"g3\"", "\"seat_guid\": \"g3\", \"price\": 1",
     "/plans/1/seating_plan/zones/0/rows/0/seats/2/price"},
    {"seat without a number", "\"seat_number\": \"3\", ", "",
     "/plans/1/seating_plan/zones/0/rows/0/seats/2/seat_number"},
    {"absurd size", "\"width\": 400", "\"width\": 400000000", "/plans/1/seating_plan/size/width"},
    {"absurd position", "{\"x\": 73", "{\"x\": 1e300", "/plans/1/seating_plan/zones/0/rows/0/seats/3/position/x"},
    {"category twice", "\"color\": \"#fff\"}", "\"color\": \"#fff\"}, {\"name\": \"x\"}",
     "/plans/1/seating_plan/categories/1/name"},
    {"no color", "\"#fff\"", "\"white\"", "/plans/1/seating_plan/categories/0/color"},
    {"unknown shape", "\"shape\": \"circle\"", "\"shape\": \"star\"", "/plans/1/seating_plan/zones/0/areas/0/shape"},
    {"shape without geometry", "\"circle\": {\"radius\": 5}, ", "", "/plans/1/seating_plan/zones/0/areas/0/circle"},
    {"words for a zone that is not there", "{\"Z1\": {\"entrance\"", "{\"Z9\": {\"entrance\"", "/plans/1/zones/Z9"},
    /* programmes */
    {"picture of another scheme", "\"/p.svg\"", "\"javascript:alert(1)\"", "/programs/0/picture"},
    {"unknown text", "\"detail\"", "\"details\"", "/programs/0/texts/details"},
    {"no title", "\"title\": {\"en\": \"Swan Lake\"},", "", "/programs/0/title"},
    /* shows */
    {"same show ref twice", "\"ref\": \"s2\"", "\"ref\": \"s1\"", "/programs/0/shows/1/ref"},
    {"unknown plan", "\"plan\": \"open\"", "\"plan\": \"closed\"", "/programs/0/shows/1/plan"},
    {"end before start", "2026-12-24T22:00", "2026-12-24T19:00", "/programs/0/shows/0/end"},
    {"sale closes after the end", "2026-12-24T19:00\"", "2026-12-25T19:00\"", "/programs/0/shows/0/closes"},
    {"sale opens after it closes", "2026-12-01T10:00", "2026-12-24T19:15", "/programs/0/shows/0/opens"},
    {"no time", "2026-12-24T19:30", "24 December", "/programs/0/shows/0/start"},
    {"a wall time that the zone skips", "2026-12-01T10:00", "2026-03-29T01:30", "/programs/0/shows/0/opens"},
    {"a day that is not in the calendar", "2026-12-24T19:30", "2026-02-30T19:30", "/programs/0/shows/0/start"},
    {"relative time without a clock time", "today+14 19:30", "today+14", "/programs/0/shows/1/start"},
    {"hold too short", "\"hold_seconds\": 600", "\"hold_seconds\": 60", "/programs/0/shows/1/hold_seconds"},
    {"hold too long", "\"hold_seconds\": 600", "\"hold_seconds\": 3601", "/programs/0/shows/1/hold_seconds"},
    {"hold of another type", "\"hold_seconds\": 600", "\"hold_seconds\": \"600\"", "/programs/0/shows/1/hold_seconds"},
    {"unknown rule", "REAL_NAME", "REALNAME", "/programs/0/shows/1/attendee_rule"},
    {"order limit above the account's", "\"hold_seconds\": 600", "\"account_limit\": 2, \"order_limit\": 3",
     "/programs/0/shows/1/order_limit"},
    {"account limit of nothing", "\"hold_seconds\": 600", "\"account_limit\": 0", "/programs/0/shows/1/account_limit"},
    {"publish is no boolean", "\"hold_seconds\": 600", "\"publish\": \"yes\"", "/programs/0/shows/1/publish"},
    {"no tiers",
     "\"tiers\": [{\"ref\": \"t\", \"currency\": \"EUR\", \"price\": 10, \"places\": [{\"category\": \"x\"}]}]",
     "\"tiers\": []", "/programs/0/shows/1/tiers"},
    /* tiers */
    {"same tier ref twice", "{\"ref\": \"b\", \"price\"", "{\"ref\": \"a\", \"price\"",
     "/programs/0/shows/0/tiers/1/ref"},
    {"no currency", "\"currency\": \"EUR\", ", "", "/programs/0/shows/1/tiers/0/currency"},
    {"unknown currency", "\"EUR\"", "\"EUX\"", "/programs/0/shows/1/tiers/0/currency"},
    {"two currencies", "{\"ref\": \"b\",", "{\"ref\": \"b\", \"currency\": \"USD\",",
     "/programs/0/shows/0/tiers/1/currency"},
    {"negative face", "\"face\": 20", "\"face\": -20", "/programs/0/shows/0/tiers/1/price/face"},
    {"negative sum", "\"discount\": -5", "\"discount\": -25", "/programs/0/shows/0/tiers/1/price"},
    {"nothing to pay", "\"discount\": -5", "\"discount\": -20", "/programs/0/shows/0/tiers/1/price"},
    {"positive discount", "\"discount\": -5", "\"discount\": 5", "/programs/0/shows/0/tiers/1/price/discount"},
    {"a third decimal", "\"48.50\"", "\"48.505\"", "/programs/0/shows/0/tiers/0/price/face"},
    {"a third decimal of a number", "4.85", "4.855", "/programs/0/shows/0/tiers/0/price/fee"},
    {"an amount beyond reason", "\"48.50\"", "\"99999999999.00\"", "/programs/0/shows/0/tiers/0/price/face"},
    {"unknown price line", "\"fee\"", "\"tip\"", "/programs/0/shows/0/tiers/0/price/tip"},
    {"tier of no category", "{\"ref\": \"b\", \"price\"", "{\"ref\": \"c\", \"price\"",
     "/programs/0/shows/0/tiers/1/ref"},
    {"category without tier", ",{\"ref\": \"p\", \"price\": 30}]", "]", "/programs/0/shows/0/tiers"},
    {"two tiers claim a place", "{\"ref\": \"b\", \"price\"",
     "{\"ref\": \"b\", \"places\": [{\"category\": \"b\"}, {\"category\": \"a\"}], \"price\"",
     "/programs/0/shows/0/tiers/1/places/1"},
    {"a tier of seats and standing places", "{\"ref\": \"p\", \"price\": 30}",
     "{\"ref\": \"p\", \"price\": 30, \"places\": [{\"category\": \"p\"}, {\"section\": \"Stalls\", \"rows\": \"C\"}]}",
     "/programs/0/shows/0/tiers/2"},
    {"a tier that others leave nothing", "{\"ref\": \"p\", \"price\": 30}",
     "{\"ref\": \"p\", \"price\": 30}, {\"ref\": \"q\", \"price\": 3, \"places\": [{\"section\": \"Balcony\"}]}",
     "/programs/0/shows/0/tiers/1"},
    /* selectors and blocks */
    {"two ways to name places", "[{\"category\": \"x\"}]", "[{\"category\": \"x\", \"section\": \"Z1\"}]",
     "/programs/0/shows/1/tiers/0/places/0"},
    {"unknown section", "{\"section\": \"Stalls\", \"rows\": \"B\"", "{\"section\": \"Stools\", \"rows\": \"B\"",
     "/programs/0/shows/0/blocked/0/section"},
    {"unknown row", "\"rows\": \"B\"", "\"rows\": [\"B\", \"X-Z\"]", "/programs/0/shows/0/blocked/0/rows/1"},
    {"unknown seat", "[\"3-4\", \"7\"]", "[\"3-4\", \"17\"]", "/programs/0/shows/0/blocked/0/seats/1"},
    {"unknown area", "{\"area\": \"Pit\", \"count\"", "{\"area\": \"Pot\", \"count\"",
     "/programs/0/shows/0/blocked/1/area"},
    {"more blocked than there is", "\"count\": 10", "\"count\": 51", "/programs/0/shows/0/blocked/1"},
    {"seats without rows", "\"rows\": \"B\", ", "", "/programs/0/shows/0/blocked/0/seats"},
    {"count of seats", "\"rows\": \"B\", \"seats\": [\"3-4\", \"7\"]", "\"count\": 3",
     "/programs/0/shows/0/blocked/0/count"},
    {"unknown guid", "[{\"category\": \"x\"}]", "[{\"category\": \"x\"}, {\"guids\": [\"g1\", \"g9\"]}]",
     "/programs/0/shows/1/tiers/0/places/1/guids/1"},
    {"block of what no tier has", "\"tiers\": [{\"ref\": \"t\"",
     "\"not_on_sale\": [{\"section\": \"Z1\", \"rows\": \"1\", \"seats\": \"5\"}], \"blocked\": [{\"section\": "
     "\"Z1\"}], "
     "\"tiers\": [{\"ref\": \"t\"",
     "/programs/0/shows/1/blocked/0"},
};

static void faulty_files_are_refused_by_pointer(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        const struct faulty *c = &cases[i];
        struct stand s;
        const char *text;

        stand_init(&s);
        text = replaced(s.arena, good_file, c->find, c->with);
        if (stand_read(&s, text)) fail_msg("%s: accepted", c->what);
        if (strcmp(s.faults.list[0].pointer, c->pointer) != 0)
            fail_msg("%s: at \"%s\" (%s) instead of \"%s\"", c->what, s.faults.list[0].pointer, s.faults.list[0].detail,
                     c->pointer);
        assert_true(strlen(s.faults.list[0].detail) > 5);
        stand_done(&s);
    }
}

static void good_file_has_no_fault(void **state)
{
    struct stand s;

    (void)state;
    stand_init(&s);
    if (!stand_read(&s, good_file)) fail_msg("%s: %s", s.faults.list[0].pointer, s.faults.list[0].detail);
    assert_int_equal(s.catalogue.n_shows, 2);
    stand_done(&s);
}

static void several_faults_are_told_at_once(void **state)
{
    struct stand s;
    const char *text;

    (void)state;
    stand_init(&s);
    text = replaced(s.arena, good_file, "Europe/London", "Nowhere");
    text = replaced(s.arena, text, "\"capacity\": 50", "\"capacity\": 0");
    text = replaced(s.arena, text, "\"face\": 20", "\"face\": -20");
    assert_false(stand_read(&s, text));
    assert_int_equal(s.faults.n, 3);
    assert_string_equal(s.faults.list[0].pointer, "/venues/0/time_zone");
    assert_string_equal(s.faults.list[1].pointer, "/plans/0/areas/0/capacity");
    assert_string_equal(s.faults.list[2].pointer, "/programs/0/shows/0/tiers/1/price/face");
    stand_done(&s);
}

/* A group of rows with so many labels to skip. */
static const char *skipping(tf_arena *arena, int n)
{
    const char *list = "";

    for (int i = 0; i < n; i++)
        list = tf_arena_printf(arena, "%s%s\"%d\"", list, i ? "," : "", i + 1);
    return tf_arena_printf(arena, "\"rows\": \"A-C\", \"skip_rows\": [%s]", list);
}

/* A show whose selectors look at each seat label of a large section again and again. */
static const char *looking(tf_arena *arena, int n)
{
    const char *list = "";

    for (int i = 0; i < n; i++)
        list = tf_arena_printf(arena, "%s%s{\"section\": \"Stalls\", \"rows\": \"1-1000\", \"seats\": \"9\"}", list,
                               i ? "," : "");
    return tf_arena_printf(arena, "\"blocked\": [%s,", list);
}

/* What would take memory or time out of proportion is refused, at the place where it is too much. */
static void too_much_is_refused_by_pointer(void **state)
{
    static const char stalls[] = "\"rows\": \"A-C\", \"seats_per_row\": 10, \"aisle_after\": [5]";
    static const char large[] = "\"rows\": \"1-1000\", \"seats_per_row\": 90";
    struct stand s;
    const char *text, *plans = "";

    (void)state;
    stand_init(&s);
    text = replaced(s.arena, good_file, "\"rows\": \"A-C\"", skipping(s.arena, 101));
    assert_false(stand_read(&s, text));
    assert_string_equal(s.faults.list[0].pointer, "/plans/0/sections/0/skip_rows");
    stand_done(&s);

    stand_init(&s);
    for (int i = 0; i < 6; i++)
        plans = tf_arena_printf(s.arena,
                                "%s{\"ref\": \"%d\", \"venue\": \"v\", \"areas\": [{\"area\": \"Pit\", "
                                "\"capacity\": 100000, \"tier\": \"p\"}]},",
                                plans, i);
    assert_false(stand_read(
        &s, replaced(s.arena, good_file, "\"plans\": [", tf_arena_printf(s.arena, "\"plans\": [%s", plans))));
    assert_int_equal(s.faults.n, 1);
    assert_string_equal(s.faults.list[0].pointer, "/plans/5");
    stand_done(&s);

    for (int n = 100; n <= 1000; n += 900) {
        stand_init(&s);
        text = replaced(s.arena, good_file, stalls, large);
        text = replaced(s.arena, text, "\"rows\": \"A\", \"seats\": \"1-2\"", "\"rows\": \"1\", \"seats\": \"1-2\"");
        text = replaced(s.arena, text, "{\"section\": \"Stalls\", \"rows\": \"B\", \"seats\": [\"3-4\", \"7\"]}, ", "");
        text = replaced(s.arena, text, "\"blocked\": [", looking(s.arena, n));
        if (n == 100) {
            if (!stand_read(&s, text)) fail_msg("%s %s", s.faults.list[0].pointer, s.faults.list[0].detail);
        } else {
            assert_false(stand_read(&s, text));
            assert_memory_equal(s.faults.list[0].pointer, "/programs/0/shows/0/blocked/", 28);
        }
        stand_done(&s);
    }
}

/* Commas and brackets count, but not those within strings. */
static void values_are_counted_unparsed(void **state)
{
    size_t size = CATALOGUE_VALUES_MAX + 100;
    char *text = malloc(size);

    (void)state;
    assert_non_null(text);
    memset(text, ',', size);
    assert_true(catalogue_values_few(text, CATALOGUE_VALUES_MAX - 1));
    assert_false(catalogue_values_few(text, CATALOGUE_VALUES_MAX));
    text[0] = '"';
    assert_true(catalogue_values_few(text, size));
    text[1] = '"';
    assert_false(catalogue_values_few(text, size));
    memcpy(text + 1, "\\\"", 2); /* a quote within */
    assert_true(catalogue_values_few(text, size));
    text[size - 1] = '\\';
    assert_true(catalogue_values_few(text, size));
    assert_true(catalogue_values_few(text, 0));
    free(text);
}

static void faults_are_bounded(void **state)
{
    tf_arena *arena = tf_arena_new(1024 * 1024);
    struct faults faults;

    (void)state;
    faults_init(&faults, arena);
    for (size_t i = 0; i < 100; i++)
        assert_false(fault_add(&faults, PATH_INDEX(PATH_MEMBER(NULL, "a/b~"), i), "x"));
    assert_int_equal(faults.n, FAULTS_MAX);
    assert_string_equal(faults.list[3].pointer, "/a~1b~0/3");
    assert_string_equal(path_pointer(arena, NULL), "");
    tf_arena_free(arena);
}

/* The digest sees content only: order of members, blanks and "publish" do not count. */
static void digests_see_content_only(void **state)
{
    static const struct {
        const char *what, *find, *with;
        bool same_show, same_program;
    } rows[] = {
        {"nothing", "\"tiers\"", "\"tiers\"", true, true},
        {"blanks", "\"plan\": \"open\"", "\"plan\"   :   \"open\"", true, true},
        {"publish", "\"plan\": \"open\"", "\"publish\": true, \"plan\": \"open\"", true, true},
        {"order of members", "\"currency\": \"EUR\", \"price\": 10", "\"price\": 10, \"currency\": \"EUR\"", true,
         true},
        {"a price", "\"price\": 10,", "\"price\": 11,", false, true},
        {"the title", "Swan Lake", "Swan Pond", true, false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct stand a, b;

        stand_init(&a);
        stand_init(&b);
        assert_true(stand_read(&a, good_file));
        assert_true(stand_read(&b, replaced(b.arena, good_file, rows[i].find, rows[i].with)));
        if ((memcmp(a.catalogue.shows[1].object.digest, b.catalogue.shows[1].object.digest, CATALOGUE_DIGEST) == 0) !=
            rows[i].same_show)
            fail_msg("%s: digest of the show", rows[i].what);
        if ((memcmp(a.catalogue.programs[0].object.digest, b.catalogue.programs[0].object.digest, CATALOGUE_DIGEST) ==
             0) != rows[i].same_program)
            fail_msg("%s: digest of the programme", rows[i].what);
        stand_done(&a);
        stand_done(&b);
    }
}

static void stored_documents_read_again(void **state)
{
    struct stand s;
    tf_json *json;
    struct plan *plan;
    struct show show;

    (void)state;
    stand_init(&s);
    assert_true(stand_read(&s, good_file));
    for (size_t i = 0; i < s.catalogue.n_plans; i++) {
        assert_true(stored_plan_read(&s.r, s.catalogue.plans[i].object.document, &json, &plan));
        assert_int_equal(plan->n_places, s.catalogue.plans[i].plan->n_places);
        tf_json_free(json);
    }
    for (size_t i = 0; i < s.catalogue.n_shows; i++) {
        assert_true(stored_show_read(&s.r, s.catalogue.shows[i].object.document, &json, &show));
        assert_int_equal(show.n_tiers, s.catalogue.shows[i].show.n_tiers);
        tf_json_free(json);
    }
    stand_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_file_has_no_fault),          cmocka_unit_test(too_much_is_refused_by_pointer),
        cmocka_unit_test(values_are_counted_unparsed),     cmocka_unit_test(faulty_files_are_refused_by_pointer),
        cmocka_unit_test(several_faults_are_told_at_once), cmocka_unit_test(faults_are_bounded),
        cmocka_unit_test(digests_see_content_only),        cmocka_unit_test(stored_documents_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
