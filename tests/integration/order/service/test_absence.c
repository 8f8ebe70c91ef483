/* What buyers and operators are told, and how soon, while Redis lives but does not answer; and that nothing is lost. */
#include "tests/integration/order/service/harness.h"

#include <pthread.h>

#define PLACES(...) ((const int32_t[]){__VA_ARGS__, 0})

enum { READ_MS_MAX = 2500, HOLD_MS_MAX = 6000, CROWD = 12 };

static int64_t now_ms(void)
{
    return tf_mono_us() / TF_US_PER_MS;
}

static tf_code read_show(tf_ctx *ctx, int64_t show_id)
{
    GetAvailabilityRequest request = GetAvailabilityRequest_init;
    GetAvailabilityResponse *response;

    request.show_id = show_id;
    return call_get_availability(ctx, order_client, &request, &response);
}

struct reader {
    int64_t show_id;
    tf_code code;
    int retry_after_ms;
    int64_t took_ms;
};

static void *read_as_one_of_many(void *arg)
{
    struct reader *reader = arg;
    int64_t begun = now_ms();
    tf_ctx ctx;

    as_buyer(&ctx, 0);
    reader->code = read_show(&ctx, reader->show_id);
    reader->retry_after_ms = ctx.error.retry_after_ms;
    reader->took_ms = now_ms() - begun;
    tf_ctx_done(&ctx);
    return NULL;
}

/* The very first read after the freeze, those that share it, and those that come later. */
static void check_readers(int64_t show_id)
{
    struct reader readers[CROWD];
    pthread_t threads[CROWD];

    for (int i = 0; i < CROWD; i++) {
        readers[i] = (struct reader){.show_id = show_id};
        assert_int_equal(pthread_create(&threads[i], NULL, read_as_one_of_many, &readers[i]), 0);
        if (i == CROWD / 2) sleep_ms(1200);
    }
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        CHECK_TEXT("reader", tf_code_info(readers[i].code)->reason, "STORE_DOWN");
        assert_in_range(readers[i].retry_after_ms, 1000, 2000);
        assert_in_range(readers[i].took_ms, 0, READ_MS_MAX);
    }
}

static void test_frozen_redis(void **state)
{
    struct fixture_show show = show_on_sale();
    GetAllowanceRequest allowance_request = GetAllowanceRequest_init;
    GetAllowanceResponse *allowance;
    PauseShowRequest pause = PauseShowRequest_init;
    PauseShowResponse *paused;
    ResumeShowRequest resume = ResumeShowRequest_init;
    ResumeShowResponse *resumed;
    int64_t begun, order_no;
    Order *order;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    order_no = bought(7, show.show_id, PLACES(32, 33));
    sleep_ms(150); /* what readers share is older than they accept */

    harness_freeze_redis();
    check_readers(show.show_id);

    /* What PostgreSQL knows is answered from there. */
    as_buyer(&ctx, 7);
    begun = now_ms();
    allowance_request.show_id = show.show_id;
    ASSERT_OK(&ctx, call_get_allowance(&ctx, order_client, &allowance_request, &allowance));
    assert_int_equal(allowance->used, 2);
    assert_int_equal(order_of(&ctx, order_no)->state, ORDER_STATE_PENDING_PAYMENT);
    assert_in_range(now_ms() - begun, 0, READ_MS_MAX);
    tf_ctx_done(&ctx);

    /* The fence decides without Redis. */
    as_operator(&ctx, TF_ROLE_ORGANISER_ADMIN, FIXTURE_ORGANISER);
    begun = now_ms();
    pause.show_id = resume.show_id = show.show_id;
    ASSERT_OK(&ctx, call_pause_show(&ctx, order_client, &pause, &paused));
    assert_in_range(now_ms() - begun, 0, READ_MS_MAX);
    tf_ctx_done(&ctx);
    check_readers(show.show_id); /* after the connection was given up, too */

    harness_thaw_redis();
    wait_for_place(show.show_id, 32, 2, 20000);
    as_buyer(&ctx, 8);
    ASSERT_CODE(&ctx, buy(&ctx, &(struct buying){.show_id = show.show_id, .places = PLACES(34)}, &order),
                TF_SALE_PAUSED);
    tf_ctx_done(&ctx);
    as_operator(&ctx, TF_ROLE_ORGANISER_ADMIN, FIXTURE_ORGANISER);
    ASSERT_OK(&ctx, call_resume_show(&ctx, order_client, &resume, &resumed));
    tf_ctx_done(&ctx);
    bought(8, show.show_id, PLACES(34));
}

/* A purchase meanwhile is unknown, soon; the same key makes one order of it when Redis is back. */
static void test_purchase_while_frozen(void **state)
{
    struct fixture_show show = show_on_sale();
    struct buying buying = {.show_id = show.show_id, .key = "frozen-purchase", .places = PLACES(32, 33)};
    tf_code code = TF_OK;
    int64_t begun;
    Order *order;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    harness_freeze_redis();
    as_buyer(&ctx, 7);
    begun = now_ms();
    ASSERT_CODE(&ctx, buy(&ctx, &buying, &order), TF_UNKNOWN_OUTCOME);
    assert_in_range(now_ms() - begun, 0, HOLD_MS_MAX);
    tf_ctx_done(&ctx);

    harness_thaw_redis();
    for (int i = 0; i < 100; i++) {
        as_buyer(&ctx, 7);
        ctx.attempt = 2;
        code = buy(&ctx, &buying, &order);
        tf_ctx_done(&ctx);
        if (!code) break;
        sleep_ms(100);
    }
    CHECK_TEXT("the same key", tf_code_info(code)->reason, "OK");
    assert_int_equal(db_number("SELECT count(*) FROM orders WHERE show_id = $1 AND user_id IS NOT NULL", show.show_id),
                     1);
    assert_int_equal(db_number("SELECT count(*) FROM tickets WHERE show_id = $1 AND live", show.show_id), 2);
    wait_for_place(show.show_id, 32, 2, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frozen_redis),
                                       cmocka_unit_test(test_purchase_while_frozen)};

    return cmocka_run_group_tests(tests, harness_start, harness_stop);
}
