/* Import, publication, lists and pages of a running program service. */
#include "tests/integration/program/running.h"

#include "common/base/embedded.h"
#include "common/crypto/crypto.h"
#include "common/zip/zip.h"
#include "services/program/events/events.h"
#include "tests/unit/program/stand.h"
#include "ticketflow/order/v1/events.tf.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct tf_embedded demo_files[];

static struct running program;

static int start(void **state)
{
    (void)state;
    running_start(&program);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    running_stop(&program);
    return 0;
}

/* The good file under refs of its own (X in front), with both shows published. */
static char *file_of(tf_arena *arena, const char *x)
{
    char *text = replaced(arena, good_file, "\"ref\": \"o\"", tf_arena_printf(arena, "\"ref\": \"%so\"", x));

    text = replaced(arena, text, "\"plan\": \"words\", ", "\"plan\": \"words\", \"publish\": true, ");
    return replaced(arena, text, "\"plan\": \"open\", ", "\"plan\": \"open\", \"publish\": true, ");
}

static ImportCatalogueResponse *import_good(tf_ctx *ctx, const char *json)
{
    ImportCatalogueResponse *response;
    tf_code code = import(&program, ctx, json, &response);

    if (code)
        fail_msg("%s: %s %s %s", tf_code_info(code)->reason, ctx->error.field ? ctx->error.field : "",
                 ctx->error.detail ? ctx->error.detail : "", ctx->error.internal ? ctx->error.internal : "");
    return response;
}

static void import_refused(tf_ctx *ctx, const char *what, const char *json, const char *pointer)
{
    ImportCatalogueResponse *response;
    tf_code code = import(&program, ctx, json, &response);

    if (code != TF_FIELD_INVALID || !ctx->error.field || strcmp(ctx->error.field, pointer) != 0)
        fail_msg("%s: %s at \"%s\" (%s) instead of \"%s\"", what, tf_code_info(code)->reason,
                 ctx->error.field ? ctx->error.field : "", ctx->error.detail ? ctx->error.detail : "", pointer);
    tf_error_clear(ctx);
}

static Show *show_get(tf_ctx *ctx, int64_t show_id)
{
    GetShowRequest request = GetShowRequest_init;
    GetShowResponse *response;

    request.show_id = show_id;
    ASSERT_OK(ctx, call_get_show(ctx, program.client, &request, &response));
    return response->show;
}

static ListProgramsResponse *list(tf_ctx *ctx, const char *city, const char *category, const char *from, const char *to,
                                  int page_size, const char *token)
{
    ListProgramsRequest request = ListProgramsRequest_init;
    ListProgramsResponse *response;

    request.city = (char *)(uintptr_t)city;
    request.category = (char *)(uintptr_t)category;
    request.from_date = (char *)(uintptr_t)from;
    request.to_date = (char *)(uintptr_t)to;
    request.page_size = page_size;
    request.page_token = (char *)(uintptr_t)token;
    ASSERT_OK(ctx, call_list_programs(ctx, program.client, &request, &response));
    return response;
}

static int64_t events_of(int64_t show_id)
{
    return sql(&program, "SELECT count(*) FROM outbox WHERE topic = 'show' AND aggregate_id = %lld",
               (long long)show_id);
}

/* ---- import ----------------------------------------------------------------------------------------------------- */

static void the_same_file_again_changes_nothing(void **state)
{
    ImportCatalogueResponse *response;
    int64_t show_id;
    tf_ctx ctx;
    char *text;

    (void)state;
    as_platform(&ctx);
    text = file_of(ctx.arena, "a");
    response = import_good(&ctx, text);
    assert_int_equal(response->n_objects, 7);
    for (size_t i = 0; i < response->n_objects; i++)
        assert_int_equal(response->objects[i]->outcome, OUTCOME_CREATED);
    show_id = imported(response, "show", "s1")->id;
    assert_true(show_id > 0);
    assert_int_equal(events_of(show_id), 1);

    response = import_good(&ctx, text);
    for (size_t i = 0; i < response->n_objects; i++)
        assert_int_equal(response->objects[i]->outcome, OUTCOME_UNCHANGED);
    assert_int_equal(imported(response, "show", "s1")->id, show_id);
    assert_int_equal(events_of(show_id), 1);
    assert_int_equal(show_get(&ctx, show_id)->version, 1);
    tf_ctx_done(&ctx);
}

static void a_fault_stores_nothing(void **state)
{
    static const struct {
        const char *what, *find, *with, *pointer;
    } rows[] = {
        {"a fault of the file alone", "Europe/London", "Nowhere", "/venues/0/time_zone"},
        {"a fault of the last show", "\"places\": [{\"category\": \"x\"}]", "\"places\": [{\"category\": \"y\"}]",
         "/programs/0/shows/1/tiers/0/places/0/category"},
        {"a plan that is nowhere", "\"plan\": \"open\"", "\"plan\": \"shut\"", "/programs/0/shows/1/plan"},
        {"a venue that is nowhere", "\"venue\": \"v\", \"sections\"", "\"venue\": \"w\", \"sections\"",
         "/plans/0/venue"},
        {"an organiser that is nowhere", "\"ref\": \"p\", \"title\"", "\"ref\": \"p\", \"organiser\": \"q\", \"title\"",
         "/programs/0/organiser"},
    };
    int64_t before;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    before =
        sql(&program, "SELECT (SELECT count(*) FROM organiser) + (SELECT count(*) FROM venue) + "
                      "(SELECT count(*) FROM plan) + (SELECT count(*) FROM program) + (SELECT count(*) FROM show)");
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        import_refused(&ctx, rows[i].what, replaced(ctx.arena, file_of(ctx.arena, "b"), rows[i].find, rows[i].with),
                       rows[i].pointer);
    import_refused(&ctx, "no JSON", "{\"format\": ", "");
    assert_int_equal(sql(&program,
                         "SELECT (SELECT count(*) FROM organiser) + (SELECT count(*) FROM venue) + "
                         "(SELECT count(*) FROM plan) + (SELECT count(*) FROM program) + (SELECT count(*) FROM show)"),
                     before);
    tf_ctx_done(&ctx);
}

static void several_faults_come_in_one_answer(void **state)
{
    ImportCatalogueResponse *response;
    const char *text, *faults = NULL;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    text = replaced(ctx.arena, file_of(ctx.arena, "b"), "\"capacity\": 50", "\"capacity\": 0");
    text = replaced(ctx.arena, text, "\"face\": 20", "\"face\": -20");
    assert_int_equal(import(&program, &ctx, text, &response), TF_FIELD_INVALID);
    for (size_t i = 0; i < ctx.error.n_params; i++)
        if (strcmp(ctx.error.params[i].name, "faults") == 0) faults = ctx.error.params[i].value;
    assert_non_null(faults);
    assert_non_null(strstr(faults, "/plans/0/areas/0/capacity: "));
    assert_non_null(strstr(faults, "\n/programs/0/shows/0/tiers/1/price/face: "));
    tf_ctx_done(&ctx);
}

/* What may not change once a show is published, and what gives it another version. */
static void published_shows_change_within_bounds(void **state)
{
    static const struct {
        const char *what, *find, *with, *pointer; /* pointer NULL: accepted */
        int version;                              /* of s1 afterwards */
    } rows[] = {
        {"a plan in use", "\"seats_per_row\": [6, 8]", "\"seats_per_row\": [6, 9]", "/plans/0", 1},
        {"the zone of a venue with shows", "Europe/London", "Europe/Paris", "/venues/0/time_zone", 1},
        {"the tier of a row", "{\"ref\": \"b\", ",
         "{\"ref\": \"b\", \"places\": [{\"category\": \"b\"}, {\"section\": \"Stalls\", \"rows\": \"C\"}], ",
         "/programs/0/shows/0/tiers", 1},
        {"a block", "\"count\": 10", "\"count\": 11", "/programs/0/shows/0/tiers", 1},
        {"the currency", "\"currency\": \"GBP\"", "\"currency\": \"USD\"", "/programs/0/shows/0/currency", 1},
        {"the plan", "\"plan\": \"words\"", "\"plan\": \"open\"", "/programs/0/shows/0/plan", 1},
        {"nothing", "\"ref\": \"s1\"", "\"ref\": \"s1\"", NULL, 1},
        {"a text that order does not need", "Long.", "Longest.", NULL, 1},
        {"a price", "\"face\": 20", "\"face\": 21", NULL, 2},
        {"the price back", "\"face\": 20", "\"face\": 20", NULL, 3},
        {"the title", "Swan Lake", "Swan Pond", NULL, 4},
        {"the venue's address", "1 Road", "2 Road", NULL, 6}, /* the title comes back, too */
    };
    int64_t show_id;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    show_id = imported(import_good(&ctx, file_of(ctx.arena, "c")), "show", "s1")->id;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const char *text = replaced(ctx.arena, file_of(ctx.arena, "c"), rows[i].find, rows[i].with);

        if (rows[i].pointer)
            import_refused(&ctx, rows[i].what, text, rows[i].pointer);
        else
            import_good(&ctx, text);
        if (i + 1 < TF_COUNT(rows) && show_get(&ctx, show_id)->version != rows[i].version)
            fail_msg("%s: version %d", rows[i].what, show_get(&ctx, show_id)->version);
    }
    assert_string_equal(show_get(&ctx, show_id)->venue_address, "2 Road");
    assert_string_equal(show_get(&ctx, show_id)->title, "Swan Lake");
    assert_int_equal(events_of(show_id), show_get(&ctx, show_id)->version);
    tf_ctx_done(&ctx);
}

static void drafts_are_free_until_published(void **state)
{
    PublishShowRequest request = PublishShowRequest_init;
    GetShowRequest get = GetShowRequest_init;
    PublishShowResponse *published;
    GetShowResponse *show;
    const char *text;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    text = replaced(ctx.arena, good_file, "\"ref\": \"o\"", "\"ref\": \"do\"");
    request.show_id = imported(import_good(&ctx, text), "show", "s1")->id;
    get.show_id = request.show_id;
    ASSERT_CODE(&ctx, call_get_show(&ctx, program.client, &get, &show), TF_NOT_FOUND);
    /* The plan may change while no show of it is published, if the drafts still fit. */
    import_good(&ctx, replaced(ctx.arena, text, "\"seats_per_row\": [6, 8]", "\"seats_per_row\": [6, 9]"));
    text = replaced(ctx.arena, text, "\"programs\": [", "\"programs\": [], \"ignored\": [");
    text = tf_arena_strndup(ctx.arena, text, (size_t)(strstr(text, ", \"ignored\"") - text));
    text = tf_arena_printf(ctx.arena, "%s}", text);
    import_refused(&ctx, "a plan without a blocked row",
                   replaced(ctx.arena, text, "\"rows\": \"A-C\"", "\"rows\": [\"A\", \"C\"]"), "/plans/0");

    ASSERT_OK(&ctx, call_publish_show(&ctx, program.client, &request, &published));
    assert_true(published->changed);
    assert_int_equal(published->version, 1);
    ASSERT_OK(&ctx, call_publish_show(&ctx, program.client, &request, &published));
    assert_false(published->changed);
    assert_int_equal(published->version, 1);
    assert_int_equal(events_of(request.show_id), 1);
    assert_int_equal(show_get(&ctx, request.show_id)->tiers[1]->capacity, 15);
    tf_ctx_done(&ctx);
}

static void organisers_keep_to_their_own(void **state)
{
    PublishShowRequest request = PublishShowRequest_init;
    ImportCatalogueResponse *response;
    PublishShowResponse *published;
    int64_t own, other;
    tf_ctx ctx;
    const char *file;

    (void)state;
    as_platform(&ctx);
    own = imported(import_good(&ctx, file_of(ctx.arena, "e")), "organiser", "eo")->id;
    response = import_good(&ctx, file_of(ctx.arena, "f"));
    other = imported(response, "organiser", "fo")->id;
    request.show_id = imported(response, "show", "s1")->id;
    tf_ctx_done(&ctx);

    as_organiser(&ctx, own);
    import_good(&ctx, file_of(ctx.arena, "e"));
    ASSERT_CODE(&ctx, import(&program, &ctx, file_of(ctx.arena, "f"), &response), TF_FORBIDDEN);
    ASSERT_CODE(&ctx, import(&program, &ctx, file_of(ctx.arena, "new"), &response), TF_FORBIDDEN);
    ASSERT_CODE(&ctx, call_publish_show(&ctx, program.client, &request, &published), TF_NOT_FOUND);
    /* Without naming an organiser: the own one. */
    file = "{\"format\": \"ticketflow-catalogue/1\", \"programs\": [{\"ref\": \"own\", \"title\": \"Own\"}]}";
    response = import_good(&ctx, file);
    assert_int_equal(
        sql(&program, "SELECT organiser_id FROM program WHERE program_id = %lld", (long long)response->objects[0]->id),
        own);
    tf_ctx_done(&ctx);

    as_platform(&ctx);
    import_refused(&ctx, "whose?", file, "/programs/0/organiser");
    tf_ctx_done(&ctx);

    as_nobody(&ctx);
    ASSERT_CODE(&ctx, import(&program, &ctx, file, &response), TF_UNAUTHENTICATED);
    ctx.identity.user_id = 9;
    ASSERT_CODE(&ctx, import(&program, &ctx, file, &response), TF_FORBIDDEN);
    tf_ctx_done(&ctx);
    as_organiser(&ctx, other);
    ASSERT_OK(&ctx, call_publish_show(&ctx, program.client, &request, &published));
    tf_ctx_done(&ctx);
}

static void relative_times_never_move_a_show(void **state)
{
    int64_t show_id, start;
    const char *text;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    text = file_of(ctx.arena, "g");
    show_id = imported(import_good(&ctx, text), "show", "s2")->id;
    sql(&program, "UPDATE show SET start_at = start_at - interval '3 days' WHERE show_id = %lld", (long long)show_id);
    start =
        sql(&program, "SELECT extract(epoch FROM start_at)::int8 FROM show WHERE show_id = %lld", (long long)show_id);
    import_good(&ctx, replaced(ctx.arena, text, "\"price\": 10", "\"price\": 11"));
    import_good(&ctx, replaced(ctx.arena, text, "today+14", "today+20"));
    assert_int_equal(
        sql(&program, "SELECT extract(epoch FROM start_at)::int8 FROM show WHERE show_id = %lld", (long long)show_id),
        start);
    tf_ctx_done(&ctx);
}

/* ---- what buyers and order read --------------------------------------------------------------------------------- */

static void a_show_has_a_page(void **state)
{
    ImportCatalogueResponse *response;
    const Show *show;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    response = import_good(&ctx, file_of(ctx.arena, "h"));
    show = show_get(&ctx, imported(response, "show", "s1")->id);
    assert_string_equal(show->title, "Swan Lake");
    assert_string_equal(show->local_start, "2026-12-24T19:30:00+00:00");
    assert_string_equal(show->time_zone, "Europe/London");
    assert_string_equal(show->city, "London");
    assert_string_equal(show->texts->detail, "Long.\nLonger.");
    assert_int_equal(show->n_tiers, 3);
    assert_int_equal(show->tiers[0]->price->amount_minor, 5335);
    assert_int_equal(show->n_prepare, 1);
    assert_string_equal(show->prepare[0], "LOG_IN");
    assert_non_null(strstr(show->seat_plan_path, "/seat-plan?version=1"));
    show = show_get(&ctx, imported(response, "show", "s2")->id);
    assert_int_equal(show->attendee_rule, ATTENDEE_RULE_REAL_NAME);
    assert_int_equal(show->n_prepare, 2);
    assert_string_equal(show->prepare[1], "ATTENDEES");
    assert_int_equal(show->state, OFFER_STATE_ON_SALE);
    tf_ctx_done(&ctx);
}

static RawBody *seat_plan(tf_ctx *ctx, int64_t show_id, int version)
{
    GetSeatPlanRequest request = GetSeatPlanRequest_init;
    GetSeatPlanResponse *response;

    request.show_id = show_id;
    request.version = version;
    ASSERT_OK(ctx, call_get_seat_plan(ctx, program.client, &request, &response));
    return response->body;
}

static void seat_plans_are_served_ready_made(void **state)
{
    GetSeatPlanRequest request = GetSeatPlanRequest_init;
    GetSeatPlanResponse *response;
    const RawBody *newest, *first;
    const char *text, *json;
    int64_t show_id;
    size_t size;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    text = file_of(ctx.arena, "i");
    show_id = imported(import_good(&ctx, text), "show", "s1")->id;
    import_good(&ctx, replaced(ctx.arena, text, "\"face\": 20", "\"face\": 21"));
    newest = seat_plan(&ctx, show_id, 0);
    first = seat_plan(&ctx, show_id, 1);
    assert_string_equal(newest->cache_control, "no-cache");
    assert_string_equal(first->cache_control, "public, max-age=31536000, immutable");
    assert_string_equal(newest->content_encoding, "gzip");
    assert_int_equal(strncmp(newest->etag, "\"2-", 3), 0);
    assert_int_equal(strncmp(first->etag, "\"1-", 3), 0);
    json = tf_gunzip(ctx.arena, first->data.data, first->data.len, 1024 * 1024, &size);
    assert_non_null(json);
    json = tf_arena_strndup(ctx.arena, json, size);
    assert_non_null(strstr(json, "\"version\":1,"));
    assert_non_null(strstr(json, "\"price_minor\":\"1500\""));

    request.show_id = show_id;
    request.version = 3;
    ASSERT_CODE(&ctx, call_get_seat_plan(&ctx, program.client, &request, &response), TF_NOT_FOUND);
    request.version = -1;
    ASSERT_CODE(&ctx, call_get_seat_plan(&ctx, program.client, &request, &response), TF_FIELD_INVALID);
    tf_ctx_done(&ctx);
}

/* All pages of a snapshot. */
static SaleSnapshot *snapshot_fetch(tf_ctx *ctx, int64_t show_id, int version)
{
    GetSaleSnapshotRequest request = GetSaleSnapshotRequest_init;
    GetSaleSnapshotResponse *page;
    unsigned char digest[TF_SHA256_BYTES];
    char *data = NULL;
    ProtobufCMessage *message;

    request.show_id = show_id;
    request.version = version;
    do {
        ASSERT_OK(ctx, call_get_sale_snapshot_internal(ctx, program.client, &request, &page));
        assert_true(page->data.len > 0 && page->data.len <= 1024 * 1024);
        if (!data) data = tf_arena_alloc(ctx->arena, (size_t)page->total_size);
        memcpy(data + request.offset, page->data.data, page->data.len);
        request.offset += (int64_t)page->data.len;
    } while (request.offset < page->total_size);
    tf_sha256(data, (size_t)page->total_size, digest);
    assert_memory_equal(digest, page->digest.data, sizeof(digest));
    message = tf_pb_unpack(ctx->arena, &SaleSnapshot_descriptor, data, (size_t)page->total_size);
    assert_non_null(message);
    return (SaleSnapshot *)message;
}

static void snapshots_come_in_pages(void **state)
{
    GetSaleSnapshotRequest request = GetSaleSnapshotRequest_init;
    GetSaleSnapshotResponse *page;
    const SaleSnapshot *snapshot;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    request.show_id = imported(import_good(&ctx, file_of(ctx.arena, "j")), "show", "s1")->id;
    snapshot = snapshot_fetch(&ctx, request.show_id, 1);
    assert_int_equal(snapshot->show_id, request.show_id);
    assert_int_equal(snapshot->version, 1);
    assert_int_equal(snapshot->n_segments, 9);
    assert_string_equal(snapshot->title->texts[0]->text, "Swan Lake");

    request.version = 2;
    ASSERT_CODE(&ctx, call_get_sale_snapshot_internal(&ctx, program.client, &request, &page), TF_NOT_FOUND);
    request.version = 1;
    request.offset = -1;
    ASSERT_CODE(&ctx, call_get_sale_snapshot_internal(&ctx, program.client, &request, &page), TF_FIELD_INVALID);
    request.offset = 1000000000;
    ASSERT_CODE(&ctx, call_get_sale_snapshot_internal(&ctx, program.client, &request, &page), TF_FIELD_INVALID);
    request.offset = 0;
    ASSERT_CODE(&ctx, call_get_sale_snapshot(&ctx, program.client, &request, &page), TF_FORBIDDEN);
    tf_ctx_done(&ctx);
}

static void the_demo_catalogue_is_listed(void **state)
{
    static const struct {
        const char *city, *category;
        size_t n;
    } rows[] = {{"", "", 9},       {"北京", "", 2}, {"Beijing", "", 2}, {"London", "", 2},      {"上海", "Concert", 2},
                {"", "音乐会", 2}, {"", "Jazz", 1}, {"Nowhere", "", 0}, {"Guangzhou", "Pop", 1}};
    ListProgramsResponse *all;
    GetProgramRequest request = GetProgramRequest_init;
    GetProgramResponse *response;
    const char *token = "";
    char seen[2000] = "";
    size_t n = 0;
    int rounds = 0;
    tf_ctx ctx;

    (void)state;
    /* A list of its own: what other tests published is put out of sight. */
    sql(&program, "UPDATE show SET unlisted = true");
    as_platform(&ctx);
    import_good(&ctx, (const char *)demo_files[0].data);
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        ListProgramsResponse *answer = list(&ctx, rows[i].city, rows[i].category, "", "", 100, "");

        if (answer->n_programs != rows[i].n) fail_msg("%s %s: %zu", rows[i].city, rows[i].category, answer->n_programs);
    }
    all = list(&ctx, "", "", "", "", 100, "");
    assert_string_equal(all->next_page_token, "");
    for (size_t i = 0; i < all->n_programs; i++) {
        const ProgramSummary *p = all->programs[i];

        if (!*p->title || !*p->performers || !*p->picture || !*p->city || !*p->venue_name || !*p->category ||
            !*p->time_zone || strlen(p->first_local_date) != 10 || strlen(p->last_local_date) != 10 ||
            !p->cheapest_price || p->cheapest_price->amount_minor <= 0 || p->state == OFFER_STATE_UNSPECIFIED)
            fail_msg("an empty field in \"%s\"", p->title);
        assert_true((p->state == OFFER_STATE_SOON) == (p->opens_time != NULL));
        if (strcmp(p->title, "Swan Lake") == 0) {
            assert_int_equal(p->cheapest_price->amount_minor, 29000);
            assert_true(strcmp(p->first_local_date, p->last_local_date) < 0);
        }
        if (strcmp(p->title, "Comet on Tour: London") == 0) request.program_id = p->program_id;
    }
    do {
        ListProgramsResponse *page = list(&ctx, "", "", "", "", 2, token);

        for (size_t i = 0; i < page->n_programs; i++) {
            assert_null(strstr(seen, page->programs[i]->title));
            strncat(seen, page->programs[i]->title, sizeof(seen) - strlen(seen) - 1);
            n++;
        }
        token = page->next_page_token;
    } while (*token && ++rounds < 20);
    assert_int_equal(n, 9);

    ctx.language = "zh-CN";
    ASSERT_OK(&ctx, call_get_program(&ctx, program.client, &request, &response));
    assert_string_equal(response->program->title, "彗星乐队巡回演唱会·伦敦站");
    assert_string_equal(response->program->organiser_name, "海港现场");
    assert_int_equal(response->program->n_group_stops, 1);
    assert_string_equal(response->program->group_stops[0]->city, "广州");
    assert_int_equal(response->program->n_shows, 1);
    assert_string_equal(response->program->shows[0]->time_zone, "Europe/London");
    assert_true(strlen(response->program->shows[0]->local_weekday) > 5);
    tf_ctx_done(&ctx);
}

static void dates_and_tokens_are_checked(void **state)
{
    static const struct {
        const char *from, *to, *token;
        int page_size;
        const char *field; /* NULL: accepted */
    } rows[] = {
        {"2026-13-01", "", "", 0, "from_date"},
        {"", "tomorrow", "", 0, "to_date"},
        {"2027-01-02", "2027-01-01", "", 0, "to_date"},
        {"", "", "nonsense!", 0, "page_token"},
        {"", "", "bm8", 0, "page_token"},
        {"", "", "", 101, "page_size"},
        {"", "", "", -1, "page_size"},
        {"2020-01-01", "2035-01-01", "", 1, NULL},
    };
    tf_ctx ctx;

    (void)state;
    as_nobody(&ctx);
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        ListProgramsRequest request = ListProgramsRequest_init;
        ListProgramsResponse *response;
        tf_code code;

        request.from_date = (char *)(uintptr_t)rows[i].from;
        request.to_date = (char *)(uintptr_t)rows[i].to;
        request.page_token = (char *)(uintptr_t)rows[i].token;
        request.page_size = rows[i].page_size;
        code = call_list_programs(&ctx, program.client, &request, &response);
        if (rows[i].field ? code != TF_FIELD_INVALID || strcmp(ctx.error.field, rows[i].field) != 0 : code != TF_OK)
            fail_msg("row %zu: %s", i, tf_code_info(code)->reason);
        tf_error_clear(&ctx);
    }
    tf_ctx_done(&ctx);
}

static void hidden_shows_stay_hidden(void **state)
{
    GetShowRequest get_show = GetShowRequest_init;
    GetProgramRequest get_program = GetProgramRequest_init;
    GetSeatPlanRequest get_plan = GetSeatPlanRequest_init;
    ImportCatalogueResponse *imports;
    GetShowResponse *show;
    GetProgramResponse *answer;
    GetSeatPlanResponse *plan;
    const char *text;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    text = replaced(ctx.arena, file_of(ctx.arena, "k"), "\"London\"", "\"Hidden City\"");
    text = replaced(ctx.arena, text, "\"plan\": \"words\", ", "\"unlisted\": true, \"plan\": \"words\", ");
    imports = import_good(&ctx, text);
    get_show.show_id = get_plan.show_id = imported(imports, "show", "s1")->id;
    get_program.program_id = imported(imports, "program", "p")->id;
    /* s1 is unlisted: found by its id only. */
    ASSERT_OK(&ctx, call_get_show(&ctx, program.client, &get_show, &show));
    ASSERT_OK(&ctx, call_get_program(&ctx, program.client, &get_program, &answer));
    assert_int_equal(answer->program->n_shows, 1);
    assert_int_equal(list(&ctx, "Hidden City", "", "", "", 0, "")->n_programs, 1);
    /* Both withdrawn: not there. */
    sql(&program, "UPDATE show SET offer_sale_state = 3 WHERE program_id = %lld", (long long)get_program.program_id);
    ASSERT_CODE(&ctx, call_get_show(&ctx, program.client, &get_show, &show), TF_NOT_FOUND);
    ASSERT_CODE(&ctx, call_get_seat_plan(&ctx, program.client, &get_plan, &plan), TF_NOT_FOUND);
    ASSERT_CODE(&ctx, call_get_program(&ctx, program.client, &get_program, &answer), TF_NOT_FOUND);
    assert_int_equal(list(&ctx, "Hidden City", "", "", "", 0, "")->n_programs, 0);
    get_show.show_id = 7;
    ASSERT_CODE(&ctx, call_get_show(&ctx, program.client, &get_show, &show), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
}

/* ---- what order says -------------------------------------------------------------------------------------------- */

static tf_code offer_handle(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    return stock_event(conn, ctx, arg);
}

static void offer(int64_t show_id, OfferState places, SaleState sale_state, int64_t sequence)
{
    ShowOfferChanged message = ShowOfferChanged_init;
    struct tf_received event = {.event_id = sequence, .aggregate_id = show_id, .type = "show.offer", .version = 1};
    tf_ctx ctx;

    ctx_start(&ctx, 10000);
    message.show_id = show_id;
    message.places = places;
    message.sale_state = sale_state;
    message.sequence = sequence;
    event.payload = tf_pb_pack(ctx.arena, &message.base, &event.size);
    ASSERT_OK(&ctx, tf_pg_tx(&ctx, program.pg, offer_handle, &event));
    tf_ctx_done(&ctx);
}

static void the_state_follows_order(void **state)
{
    static const struct {
        OfferState places;
        SaleState sale_state;
        int64_t sequence;
        OfferState expected;
    } rows[] = {
        {OFFER_STATE_NONE_FREE_NOW, SALE_STATE_ON_SALE, 2, OFFER_STATE_NONE_FREE_NOW},
        {OFFER_STATE_ON_SALE, SALE_STATE_ON_SALE, 1, OFFER_STATE_NONE_FREE_NOW}, /* older */
        {OFFER_STATE_SOLD_OUT, SALE_STATE_ON_SALE, 3, OFFER_STATE_SOLD_OUT},
        {OFFER_STATE_ON_SALE, SALE_STATE_PAUSED, 4, OFFER_STATE_PAUSED},
        {OFFER_STATE_ON_SALE, SALE_STATE_ON_SALE, 5, OFFER_STATE_ON_SALE},
    };
    struct tf_received unknown = {.event_id = 1, .type = "show.other"};
    int64_t show_id;
    tf_ctx ctx;

    (void)state;
    as_platform(&ctx);
    show_id = imported(import_good(&ctx, file_of(ctx.arena, "l")), "show", "s2")->id;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        offer(show_id, rows[i].places, rows[i].sale_state, rows[i].sequence);
        if (show_get(&ctx, show_id)->state != rows[i].expected) fail_msg("row %zu", i);
    }
    offer(12345, OFFER_STATE_ON_SALE, SALE_STATE_ON_SALE, 1); /* a show that is not here */
    ASSERT_OK(&ctx, stock_event(NULL, &ctx, &unknown));
    tf_ctx_done(&ctx);
}

/* ---- size ------------------------------------------------------------------------------------------------------- */

static void a_hall_of_fifty_thousand(void **state)
{
    ImportCatalogueResponse *response;
    const SaleSnapshot *snapshot;
    int64_t begun = tf_mono_us();
    int32_t places = 0;
    tf_buf json = {0};
    tf_ctx ctx;

    (void)state;
    tf_buf_init(&json, (size_t)16 * 1024 * 1024);
    tf_buf_puts(&json,
                "{\"format\": \"ticketflow-catalogue/1\", \"organisers\": [{\"ref\": \"big\", \"name\": \"Big\"}], "
                "\"venues\": [{\"ref\": \"v\", \"name\": \"V\", \"city\": \"C\", \"address\": \"A\", "
                "\"time_zone\": \"UTC\"}], \"plans\": [{\"ref\": \"p\", \"venue\": \"v\", \"seating_plan\": "
                "{\"name\": \"n\", \"size\": {\"width\": 9000, \"height\": 20000}, \"categories\": [{\"name\": "
                "\"x\"}], \"zones\": [{\"name\": \"Z\", \"position\": {\"x\": 0, \"y\": 0}, \"rows\": [");
    for (int row = 0; row < 500; row++) {
        tf_buf_printf(&json, "%s{\"row_number\": \"%d\", \"position\": {\"x\": 0, \"y\": %d}, \"seats\": [",
                      row ? "," : "", row + 1, 30 * row);
        for (int seat = 0; seat < 100; seat++)
            tf_buf_printf(
                &json,
                "%s{\"seat_guid\": \"0f7d4c3a-%04d-%04d-9a31\", \"seat_number\": \"%d\", \"category\": \"x\", "
                "\"position\": {\"x\": %d, \"y\": 0}, \"uuid\": \"b1946ac92492d2347c6235b4d2611184\"}",
                seat ? "," : "", row, seat, seat + 1, 20 * seat);
        tf_buf_puts(&json, "]}");
    }
    tf_buf_puts(&json, "]}]}}], \"programs\": [{\"ref\": \"g\", \"title\": \"Big\", \"shows\": [{\"ref\": \"s\", "
                       "\"plan\": \"p\", \"start\": \"today+9 20:00\", \"publish\": true, \"currency\": \"EUR\", "
                       "\"tiers\": [{\"ref\": \"x\", \"price\": 10}]}]}]}");
    assert_false(json.broken);
    as_platform(&ctx);
    response = import_good(&ctx, json.data);
    print_message("%zu bytes imported and published in %d ms\n", json.size, (int)((tf_mono_us() - begun) / 1000));
    snapshot = snapshot_fetch(&ctx, imported(response, "show", "s")->id, 1);
    for (size_t i = 0; i < snapshot->n_segments; i++)
        places += snapshot->segments[i]->count;
    assert_int_equal(places, 50000);
    begun = tf_mono_us();
    import_good(&ctx, json.data);
    print_message("again in %d ms\n", (int)((tf_mono_us() - begun) / 1000));
    tf_buf_done(&json);
    tf_ctx_done(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_file_again_changes_nothing),
        cmocka_unit_test(a_fault_stores_nothing),
        cmocka_unit_test(several_faults_come_in_one_answer),
        cmocka_unit_test(published_shows_change_within_bounds),
        cmocka_unit_test(drafts_are_free_until_published),
        cmocka_unit_test(organisers_keep_to_their_own),
        cmocka_unit_test(relative_times_never_move_a_show),
        cmocka_unit_test(a_show_has_a_page),
        cmocka_unit_test(seat_plans_are_served_ready_made),
        cmocka_unit_test(snapshots_come_in_pages),
        cmocka_unit_test(the_demo_catalogue_is_listed),
        cmocka_unit_test(dates_and_tokens_are_checked),
        cmocka_unit_test(hidden_shows_stay_hidden),
        cmocka_unit_test(the_state_follows_order),
        cmocka_unit_test(a_hall_of_fifty_thousand),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
