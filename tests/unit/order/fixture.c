/* The snapshot, built as a message and decoded as one that program sent. */
#include "tests/unit/order/fixture.h"

#include "common/rpc/rpc.h"

#include <stdlib.h>

static LocalizedTexts *texts(tf_arena *arena, const char *zh, const char *en)
{
    LocalizedTexts *texts = TF_NEW(arena, LocalizedTexts);
    LocalizedText **list = TF_NEW_ARRAY(arena, LocalizedText *, 2);

    *texts = (LocalizedTexts)LocalizedTexts_init;
    texts->texts = list;
    texts->n_texts = 2;
    for (int i = 0; i < 2; i++) {
        list[i] = TF_NEW(arena, LocalizedText);
        *list[i] = (LocalizedText)LocalizedText_init;
        list[i]->language = (char *)(i ? "en" : "zh-CN");
        list[i]->text = (char *)(i ? en : zh);
    }
    return texts;
}

static SaleTier *tier(tf_arena *arena, int number, int kind, int64_t face, int64_t fee)
{
    SaleTier *tier = TF_NEW(arena, SaleTier);

    *tier = (SaleTier)SaleTier_init;
    tier->tier = number;
    tier->kind = (TierKind)kind;
    tier->name = texts(arena, "票档", "Tier");
    tier->price_lines = TF_NEW_ARRAY(arena, PriceLine *, 2);
    for (int i = 0; i < (fee ? 2 : 1); i++) {
        tier->price_lines[i] = TF_NEW(arena, PriceLine);
        *tier->price_lines[i] = (PriceLine)PriceLine_init;
        tier->price_lines[i]->kind = i ? PRICE_KIND_FEE : PRICE_KIND_FACE;
        tier->price_lines[i]->amount_minor = i ? fee : face;
        tier->n_price_lines++;
    }
    return tier;
}

static SaleSegment *segment(tf_arena *arena, int tier, int first, int count, int section, const char *row)
{
    SaleSegment *segment = TF_NEW(arena, SaleSegment);

    *segment = (SaleSegment)SaleSegment_init;
    segment->tier = tier;
    segment->first_place_no = first;
    segment->count = count;
    segment->section = section;
    segment->row = (char *)row;
    segment->label_first = 1;
    segment->label_step = 2;
    segment->n_cell_quality = (size_t)(count + 15) / 16;
    segment->cell_quality = TF_NEW_ARRAY(arena, int32_t, segment->n_cell_quality);
    return segment;
}

static SaleSection *section(tf_arena *arena, const char *zh, const char *en, const char *entrance)
{
    SaleSection *section = TF_NEW(arena, SaleSection);

    *section = (SaleSection)SaleSection_init;
    section->name = texts(arena, zh, en);
    section->entrance = texts(arena, entrance, entrance);
    return section;
}

static Timestamp *seconds(tf_arena *arena, int64_t s)
{
    Timestamp *time = TF_NEW(arena, Timestamp);

    *time = (Timestamp)Timestamp_init;
    time->seconds = s;
    return time;
}

const struct fixture_show fixture_show_default = {
    .show_id = FIXTURE_SHOW,
    .version = 3,
    .opens_s = FIXTURE_OPENS_S,
    .closes_s = FIXTURE_CLOSES_S,
    .start_s = FIXTURE_START_S,
    .rule = ATTENDEE_RULE_NONE,
    .hold_seconds = 600,
    .account_limit = 6,
    .face_minor = 10000,
    .row_a = 10,
};

void *fixture_pack(tf_arena *a, const struct fixture_show *show, size_t *ret_size)
{
    static const char *const labels[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "Box 12"};
    static int32_t blocked[] = {41, 40};
    SaleSnapshot snapshot = SaleSnapshot_init;
    SaleTier *tiers[] = {tier(a, 1, TIER_KIND_SEATED, show->face_minor, 500), tier(a, 2, TIER_KIND_SEATED, 6000, 0),
                         tier(a, 3, TIER_KIND_STANDING, 3000, 0)};
    SaleSegment *segments[] = {segment(a, 1, 32, show->row_a, 0, "A"), segment(a, 1, 48, 20, 0, "B"),
                               segment(a, 2, 80, 12, 1, "12排"), segment(a, 3, 96, 100, 2, "")};
    SaleSection *sections[] = {section(a, "池座", "Stalls", "East gate"), section(a, "楼座", "Balcony", ""),
                               section(a, "内场", "Floor", "West gate")};

    segments[2]->labels = (char **)labels;
    segments[2]->n_labels = TF_COUNT(labels);
    snapshot.show_id = show->show_id;
    snapshot.version = show->version;
    snapshot.organiser_id = FIXTURE_ORGANISER;
    snapshot.program_id = 12;
    snapshot.title = texts(a, "天鹅湖", "Swan Lake");
    snapshot.picture = (char *)"/pictures/swan.jpg";
    snapshot.venue_name = texts(a, "大剧院", "Grand Theatre");
    snapshot.venue_address = texts(a, "人民大道300号", "300 People's Avenue");
    snapshot.entry_rule = texts(a, "凭票入场", "One ticket a person");
    snapshot.time_zone = (char *)"Asia/Shanghai";
    snapshot.start_time = seconds(a, show->start_s);
    snapshot.opens_time = seconds(a, show->opens_s);
    snapshot.closes_time = seconds(a, show->closes_s);
    snapshot.currency = (char *)"CNY";
    snapshot.account_limit = show->account_limit;
    snapshot.order_limit = 6;
    snapshot.hold_seconds = show->hold_seconds;
    snapshot.attendee_rule = (AttendeeRule)show->rule;
    snapshot.one_pending_order = show->one_pending_order;
    snapshot.choice_allowed = true;
    snapshot.tiers = tiers;
    snapshot.n_tiers = TF_COUNT(tiers);
    snapshot.segments = segments;
    snapshot.n_segments = TF_COUNT(segments);
    snapshot.sections = sections;
    snapshot.n_sections = TF_COUNT(sections);
    snapshot.blocked_place_nos = blocked;
    snapshot.n_blocked_place_nos = TF_COUNT(blocked);
    return tf_pb_pack(a, &snapshot.base, ret_size);
}

static struct sale *make_sale(tf_ctx *ctx)
{
    struct sale *sale;
    size_t size;
    void *packed = fixture_pack(ctx->arena, &fixture_show_default, &size);

    if (sale_decode(ctx, packed, size, &sale)) fail_msg("the fixture's snapshot: %s", ctx->error.internal);
    return sale;
}

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    tf_ctx_init(&fixture->ctx, "test", 0);
    fixture->ctx.identity.user_id = 7;
    fixture->ctx.language = "en";
    fixture->sale = make_sale(&fixture->ctx);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    sale_unref(fixture->sale);
    tf_ctx_done(&fixture->ctx);
    free(fixture);
    return 0;
}

void fixture_reset(struct fixture *fixture)
{
    struct tf_identity identity = fixture->ctx.identity;
    const char *language = fixture->ctx.language;

    tf_ctx_reset(&fixture->ctx, 0);
    fixture->ctx.identity = identity;
    fixture->ctx.language = language;
}
