/* Sale snapshots: what a good one becomes, and each broken rule by its name. */
#include "tests/unit/order/fixture.h"

#include "common/base/id.h"
#include "common/rpc/rpc.h"

/* ---- the good one -------------------------------------------------------------------------------------------------
 */

static void test_a_good_snapshot(void **state)
{
    struct fixture *f = *state;
    const struct sale *sale = f->sale;

    assert_int_equal(sale->show_id, FIXTURE_SHOW);
    assert_int_equal(sale->bucket, tf_bucket_of_show(FIXTURE_SHOW));
    assert_int_equal(sale->terms, 3);
    assert_int_equal(sale->opens_time, (int64_t)FIXTURE_OPENS_S * TF_US_PER_S);
    assert_int_equal(sale->n_tiers, 3);
    assert_int_equal(sale->tiers[0].price_minor, 10500);
    assert_int_equal(sale->tiers[0].capacity, 30);
    assert_int_equal(sale->tiers[1].capacity, 12);
    assert_int_equal(sale->tiers[2].capacity, 100);
    assert_true(sale->tiers[2].standing);
    assert_int_equal(sale->n_places, 142);
    assert_int_equal(sale->npos, 208);
}

static void test_places(void **state)
{
    static const struct {
        int32_t place;
        int tier; /* 0: no place */
        bool blocked;
    } rows[] = {
        {INT32_MIN, 0, false}, {-1, 0, false},  {0, 0, false},         {31, 0, false}, {32, 1, false},  {40, 1, true},
        {41, 1, true},         {42, 0, false},  {47, 0, false},        {48, 1, false}, {67, 1, false},  {68, 0, false},
        {80, 2, false},        {91, 2, false},  {92, 0, false},        {96, 3, false}, {195, 3, false}, {196, 0, false},
        {207, 0, false},       {208, 0, false}, {INT32_MAX, 0, false},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const struct sale_tier *tier = sale_tier_of(f->sale, rows[i].place);

        if ((tier ? tier->tier : 0) != rows[i].tier)
            fail_msg("place %d: tier %d", (int)rows[i].place, tier ? tier->tier : 0);
        assert_int_equal(sale_is_blocked(f->sale, rows[i].place), rows[i].blocked);
    }
    assert_null(sale_tier(f->sale, 0));
    assert_null(sale_tier(f->sale, 4));
}

static void test_references(void **state)
{
    struct fixture *f = *state;
    struct sale *other = sale_ref(f->sale);

    assert_ptr_equal(other, f->sale);
    sale_unref(other);
    sale_unref(NULL);
    assert_int_equal(f->sale->show_id, FIXTURE_SHOW);
}

/* ---- broken ones --------------------------------------------------------------------------------------------------
 */

typedef void (*break_fn)(SaleSnapshot *snapshot);

#define BREAK(name, change)                                                                                            \
    static void name(SaleSnapshot *s)                                                                                  \
    {                                                                                                                  \
        change;                                                                                                        \
    }

BREAK(nothing, (void)s)
BREAK(no_show, s->show_id = 0)
BREAK(no_version, s->version = 0)
BREAK(no_organiser, s->organiser_id = -1)
BREAK(no_program, s->program_id = 0)
BREAK(no_start, s->start_time = NULL)
BREAK(no_opens, s->opens_time = NULL)
BREAK(no_closes, s->closes_time = NULL)
BREAK(time_before_epoch, s->opens_time->seconds = -1)
BREAK(time_far, s->closes_time->seconds = INT64_MAX)
BREAK(nanos, s->start_time->nanos = 1000000000)
BREAK(closes_first, s->closes_time->seconds = s->opens_time->seconds)
BREAK(currency_short, s->currency = (char *)"CN")
BREAK(currency_small, s->currency = (char *)"cny")
BREAK(no_account_limit, s->account_limit = 0)
BREAK(account_limit_large, s->account_limit = 1001)
BREAK(no_order_limit, s->order_limit = 0)
BREAK(order_limit_large, s->order_limit = SALE_ORDER_PLACES_MAX + 1)
BREAK(no_hold, s->hold_seconds = 0)
BREAK(hold_long, s->hold_seconds = 3601)
BREAK(no_rule, s->attendee_rule = ATTENDEE_RULE_UNSPECIFIED)
BREAK(no_tiers, s->n_tiers = 0)
BREAK(tier_gap, s->tiers[1]->tier = 3)
BREAK(tier_kind, s->tiers[0]->kind = TIER_KIND_UNSPECIFIED)
BREAK(price_negative, s->tiers[0]->price_lines[0]->amount_minor = -600)
BREAK(price_huge, s->tiers[0]->price_lines[0]->amount_minor = INT64_MAX)
BREAK(price_sum_huge, s->tiers[0]->price_lines[0]->amount_minor = 1000000000000)
BREAK(no_segments, s->n_segments = 0)
BREAK(first_place, s->segments[0]->first_place_no = 48)
BREAK(not_a_multiple, s->segments[1]->first_place_no = 49)
BREAK(no_pad, s->segments[0]->count = 16)
BREAK(overlap, s->segments[0]->count = 20)
BREAK(backwards, s->segments[2]->first_place_no = 32)
BREAK(count_zero, s->segments[1]->count = 0)
BREAK(count_negative, s->segments[1]->count = -5)
BREAK(count_huge, s->segments[1]->count = INT32_MAX)
BREAK(number_huge, s->segments[3]->first_place_no = INT32_MAX / 16 * 16)
BREAK(standing_long, s->segments[3]->count = 1025)
BREAK(tier_of_segment, s->segments[1]->tier = 4)
BREAK(tier_zero, s->segments[1]->tier = 0)
BREAK(tier_apart, s->segments[3]->tier = 1)
BREAK(section_unknown, s->segments[0]->section = 3)
BREAK(section_negative, s->segments[0]->section = -1)
BREAK(labels_few, s->segments[2]->n_labels = 11)
BREAK(quality_few, s->segments[1]->n_cell_quality = 1)
BREAK(focal_outside, s->segments[0]->focal = s->segments[0]->count)
BREAK(focal_negative, s->segments[0]->focal = -1)
BREAK(blocked_no_place, s->blocked_place_nos[0] = 42)
BREAK(blocked_twice, s->blocked_place_nos[0] = s->blocked_place_nos[1])

/* A tier may be empty, gaps may be wide. */
static void wide_gap(SaleSnapshot *s)
{
    s->segments[3]->first_place_no = 160;
}

static void test_rules(void **state)
{
    static const struct {
        const char *name;
        break_fn change;
        bool good;
    } rows[] = {
#define BROKEN(name) {#name, name, false}
        {"nothing", nothing, true},
        {"wide_gap", wide_gap, true},
        BROKEN(no_show),
        BROKEN(no_version),
        BROKEN(no_organiser),
        BROKEN(no_program),
        BROKEN(no_start),
        BROKEN(no_opens),
        BROKEN(no_closes),
        BROKEN(time_before_epoch),
        BROKEN(time_far),
        BROKEN(nanos),
        BROKEN(closes_first),
        BROKEN(currency_short),
        BROKEN(currency_small),
        BROKEN(no_account_limit),
        BROKEN(account_limit_large),
        BROKEN(no_order_limit),
        BROKEN(order_limit_large),
        BROKEN(no_hold),
        BROKEN(hold_long),
        BROKEN(no_rule),
        BROKEN(no_tiers),
        BROKEN(tier_gap),
        BROKEN(tier_kind),
        BROKEN(price_negative),
        BROKEN(price_huge),
        BROKEN(price_sum_huge),
        BROKEN(no_segments),
        BROKEN(first_place),
        BROKEN(not_a_multiple),
        BROKEN(no_pad),
        BROKEN(overlap),
        BROKEN(backwards),
        BROKEN(count_zero),
        BROKEN(count_negative),
        BROKEN(count_huge),
        BROKEN(number_huge),
        BROKEN(standing_long),
        BROKEN(tier_of_segment),
        BROKEN(tier_zero),
        BROKEN(tier_apart),
        BROKEN(section_unknown),
        BROKEN(section_negative),
        BROKEN(labels_few),
        BROKEN(quality_few),
        BROKEN(focal_outside),
        BROKEN(focal_negative),
        BROKEN(blocked_no_place),
        BROKEN(blocked_twice),
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        SaleSnapshot *snapshot;
        struct sale *sale = NULL;
        size_t size;
        void *data;
        tf_code code;

        fixture_reset(f);
        data = fixture_pack(f->ctx.arena, &fixture_show_default, &size);
        snapshot = (SaleSnapshot *)tf_pb_unpack(f->ctx.arena, &SaleSnapshot_descriptor, data, size);
        assert_non_null(snapshot);
        rows[i].change(snapshot);
        data = tf_pb_pack(f->ctx.arena, &snapshot->base, &size);
        code = sale_decode(&f->ctx, data, size, &sale);
        CHECK(rows[i].name, rows[i].good ? code == TF_OK
                                         : code == TF_INTERNAL && strstr(f->ctx.error.internal, "breaks its contract"));
        sale_unref(sale);
    }
}

/* Every prefix of the bytes is refused or decodes; none may crash. */
static void test_cut_bytes(void **state)
{
    struct fixture *f = *state;
    tf_arena *arena = tf_arena_new(1 << 20);
    size_t size;
    void *data = fixture_pack(arena, &fixture_show_default, &size);

    for (size_t n = 0; n < size; n++) {
        struct sale *sale = NULL;

        fixture_reset(f);
        if (sale_decode(&f->ctx, data, n, &sale) == TF_OK) sale_unref(sale);
    }
    tf_arena_free(arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_good_snapshot, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_places, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_references, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_rules, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_cut_bytes, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
