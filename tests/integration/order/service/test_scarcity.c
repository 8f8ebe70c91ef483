/* Nothing to be had: sold out and paused are told from memory, but never to somebody who may have an order, and never
 * for longer than a moment after a place came back. */
#include "tests/integration/order/service/harness.h"

#define PLACES(...) ((const int32_t[]){__VA_ARGS__, 0})

enum { TIER_2_FIRST = 80, CROWD = 60, SOON_MS = 2000 };

static int64_t payment_ids = 70000;

static tf_code try_choice(tf_ctx *ctx, int64_t show_id, const char *key, const int *tiers)
{
    struct hold_choice choices[3];
    struct buying buying = {.show_id = show_id, .key = key, .choices = choices};
    Order *order;

    for (; tiers[buying.n_choices]; buying.n_choices++)
        choices[buying.n_choices] = (struct hold_choice){.tier = tiers[buying.n_choices], .count = 1};
    return buy(ctx, &buying, &order);
}

static tf_code first_attempt(int64_t user_id, int64_t show_id, const int *tiers)
{
    tf_code code;
    tf_ctx ctx;

    as_buyer(&ctx, user_id);
    code = try_choice(&ctx, show_id, NULL, tiers);
    tf_ctx_done(&ctx);
    return code;
}

/* All twelve places of tier 2 are sold, six of them under this key. */
static struct fixture_show sold_out_show(const char *key, int64_t *ret_order)
{
    struct fixture_show show = show_on_sale();
    Order *order;
    tf_ctx ctx;

    publish(&show);
    as_buyer(&ctx, 7);
    ASSERT_OK(&ctx,
              buy(&ctx, &(struct buying){.show_id = show.show_id, .key = key, .places = PLACES(80, 81, 82, 83, 84, 85)},
                  &order));
    *ret_order = order->order_no;
    pay_says("payment.succeeded", ++payment_ids, order->order_no, "CNY", order->total_minor);
    tf_ctx_done(&ctx);
    paid(8, show.show_id, PLACES(86, 87, 88, 89, 90, 91), ++payment_ids);
    for (int32_t place = TIER_2_FIRST; place < TIER_2_FIRST + 12; place++)
        wait_for_place(show.show_id, place, 3, 5000);
    return show;
}

static int64_t asked_of_redis(void)
{
    return order_metric("tf_order_holds_total{result=\"SOLD_OUT\"}");
}

static void test_sold_out(void **state)
{
    int64_t order_no, before, foreseen, asked;
    struct fixture_show show = sold_out_show("seven-buys-six", &order_no);
    Order *order;
    tf_ctx ctx;

    (void)state;
    before = asked_of_redis();
    foreseen = order_metric("tf_order_foreseen_total{reason=\"SOLD_OUT\"}");
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(first_attempt(100 + i, show.show_id, (const int[]){2, 0}), TF_SOLD_OUT);
    asked = asked_of_redis() - before;
    assert_int_equal(asked + order_metric("tf_order_foreseen_total{reason=\"SOLD_OUT\"}") - foreseen, CROWD);
    assert_in_range(asked, 0, CROWD / 2);

    /* What is asked for beside it does not help; what is not asked for does not hurt. */
    as_buyer(&ctx, 9);
    assert_int_equal(try_choice(&ctx, show.show_id, NULL, (const int[]){1, 2, 0}), TF_SOLD_OUT);
    assert_string_equal(error_param(&ctx, "tier"), "2");
    assert_string_equal(error_param(&ctx, "free"), "0");
    tf_error_clear(&ctx);
    assert_int_equal(buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(81, 80)}, &order),
                     TF_PLACES_TAKEN);
    assert_string_equal(error_param(&ctx, "place_nos"), "81,80");
    assert_non_null(error_param(&ctx, "version"));
    tf_error_clear(&ctx);
    ASSERT_OK(&ctx, try_choice(&ctx, show.show_id, NULL, (const int[]){1, 0}));
    tf_ctx_done(&ctx);

    /* A marked repeat gets the order that its key made. */
    assert_int_equal(first_attempt(10, show.show_id, (const int[]){2, 0}), TF_SOLD_OUT);
    as_buyer(&ctx, 7);
    ctx.attempt = 2;
    ASSERT_OK(&ctx, buy(&ctx,
                        &(struct buying){
                            .show_id = show.show_id, .key = "seven-buys-six", .places = PLACES(80, 81, 82, 83, 84, 85)},
                        &order));
    assert_int_equal(order->order_no, order_no);
    tf_ctx_done(&ctx);
}

/* Buyers come all the time, nobody looks at the map. */
static void test_a_freed_place_is_sold_again_soon(void **state)
{
    int64_t order_no, until;
    struct fixture_show show = sold_out_show("six-to-come-back", &order_no);
    RefundOrderRequest request = RefundOrderRequest_init;
    RefundOrderResponse *response;
    int64_t user_id = 200;
    tf_code code;
    tf_ctx ctx;

    (void)state;
    assert_int_equal(first_attempt(user_id, show.show_id, (const int[]){2, 0}), TF_SOLD_OUT);
    as_operator(&ctx, TF_ROLE_ORGANISER_ADMIN, FIXTURE_ORGANISER);
    request.order_no = order_no;
    request.reason = (char *)"the buyer is ill";
    ASSERT_OK(&ctx, call_refund_order(&ctx, order_client, &request, &response));
    tf_ctx_done(&ctx);
    until = tf_mono_us() + SOON_MS * TF_US_PER_MS;
    while ((code = first_attempt(++user_id, show.show_id, (const int[]){2, 0})) == TF_SOLD_OUT && tf_mono_us() < until)
        sleep_ms(10);
    CHECK_TEXT("after the refund", tf_code_info(code)->reason, "OK");
    for (int i = 0; i < 5; i++)
        assert_int_equal(first_attempt(++user_id, show.show_id, (const int[]){2, 0}), TF_OK);
    assert_int_equal(first_attempt(++user_id, show.show_id, (const int[]){2, 0}),
                     TF_NONE_FREE_NOW); /* held, not sold */
}

static void change_state(const struct fixture_show *show, bool pause)
{
    PauseShowRequest pause_request = PauseShowRequest_init;
    PauseShowResponse *paused;
    ResumeShowRequest resume_request = ResumeShowRequest_init;
    ResumeShowResponse *resumed;
    tf_ctx ctx;

    as_operator(&ctx, TF_ROLE_ORGANISER_ADMIN, FIXTURE_ORGANISER);
    pause_request.show_id = resume_request.show_id = show->show_id;
    if (pause)
        ASSERT_OK(&ctx, call_pause_show(&ctx, order_client, &pause_request, &paused));
    else
        ASSERT_OK(&ctx, call_resume_show(&ctx, order_client, &resume_request, &resumed));
    tf_ctx_done(&ctx);
}

static void test_paused(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t asked, foreseen;
    Order *order, *again;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    as_buyer(&ctx, 7);
    ASSERT_OK(&ctx, buy(&ctx, &(struct buying){.show_id = show.show_id, .key = "before-pause", .places = PLACES(32)},
                        &order));
    for (int round = 0; round < 3; round++) { /* what was read before a change does not outlive it */
        change_state(&show, true);
        asked = order_metric("tf_order_holds_total{result=\"PAUSED\"}");
        foreseen = order_metric("tf_order_foreseen_total{reason=\"SALE_PAUSED\"}");
        for (int i = 0; i < CROWD; i++)
            assert_int_equal(first_attempt(300 + i, show.show_id, (const int[]){1, 0}), TF_SALE_PAUSED);
        asked = order_metric("tf_order_holds_total{result=\"PAUSED\"}") - asked;
        foreseen = order_metric("tf_order_foreseen_total{reason=\"SALE_PAUSED\"}") - foreseen;
        assert_int_equal(asked + foreseen, CROWD);
        assert_in_range(asked, 0, CROWD / 2);
        ctx.attempt = 2;
        ASSERT_OK(
            &ctx,
            buy(&ctx, &(struct buying){.show_id = show.show_id, .key = "before-pause", .places = PLACES(32)}, &again));
        assert_int_equal(again->order_no, order->order_no);
        change_state(&show, false);
        assert_int_equal(first_attempt(400 + round, show.show_id, (const int[]){1, 0}), TF_OK);
    }
    tf_ctx_done(&ctx);
}

/* Not open: no word to Redis before it is time, marked or not, unless PostgreSQL has the key's order. */
static void test_not_open(void **state)
{
    struct fixture_show show = show_on_sale();
    int64_t before;
    Order *order;
    tf_ctx ctx;

    (void)state;
    show.opens_s += 3600;
    show.closes_s += 7200;
    publish(&show);
    before = order_metric("tf_order_hold_seconds_count");
    as_buyer(&ctx, 7);
    for (ctx.attempt = 1; ctx.attempt <= 2; ctx.attempt++)
        ASSERT_CODE(&ctx, buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(32)}, &order),
                    TF_SALE_NOT_OPEN);
    tf_ctx_done(&ctx);
    assert_int_equal(order_metric("tf_order_hold_seconds_count"), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sold_out),
        cmocka_unit_test(test_a_freed_place_is_sold_again_soon),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_not_open),
    };

    return cmocka_run_group_tests(tests, harness_start, harness_stop);
}
