/* Two versions of the function library on one Redis, as in a rolling upgrade: who started last sells, the others stand
 * back and come forward when it is gone. */
#include "tests/integration/order/rooms/rooms.h"

#include "common/base/embedded.h"
#include "common/chassis/app_internal.h"

#include <stdio.h>

extern const struct tf_embedded order_redis_libraries[];

enum { DIGEST = 12 };
static const char other[] = "0ddba11c0ded";

static bool superseded_is(void *arg)
{
    return inventory_superseded() == *(bool *)arg;
}

static bool ready_is(void *arg)
{
    return atomic_load(&rooms_app->ready) == *(bool *)arg;
}

/* The next release: the same library under other names. */
static void load_other_version(void)
{
    char ours[DIGEST + 1] = "", *text = strdup((const char *)order_redis_libraries[0].data);

    assert_int_equal(sscanf(text, "#!lua name=tf_inventory_%12s", ours), 1);
    assert_int_not_equal(strcmp(ours, other), 0);
    for (char *at = text; (at = strstr(at, ours));)
        memcpy(at, other, DIGEST);
    assert_true(redis_number("FUNCTION", "LOAD", "REPLACE", text, NULL) > 0);
    free(text);
}

static void other_leads(const char *lease_ms)
{
    char name[64];

    snprintf(name, sizeof(name), "tf_%s_lead", other);
    assert_int_equal(redis_number("FCALL", name, "1", "tf:library", "1", lease_ms, NULL), 1);
}

static int64_t epoch_of(const struct sale *sale)
{
    return sql_number("SELECT epoch FROM inventory WHERE show_id = %lld", (long long)sale->show_id);
}

static void close_show(const struct sale *sale)
{
    char key[64];

    snprintf(key, sizeof(key), "tf:{%d}:%lld:m", inventory_partition(sale->bucket), (long long)sale->show_id);
    redis_number("DEL", key, NULL);
}

static enum hold_result hold_result(const struct sale *sale)
{
    struct hold hold;
    tf_ctx ctx;

    rooms_ctx(&ctx, 5000);
    ASSERT_OK(&ctx, try_hold(&ctx, sale, &(struct purchase_try){.user_id = 1, .count = 1}, &hold));
    tf_ctx_done(&ctx);
    return hold.result;
}

static void another_version_sells_and_leaves(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&(struct test_show){.rows = 5, .row_places = 20});
    bool yes = true, no = false;
    struct hold hold;
    int64_t epoch;
    int32_t place;
    tf_ctx ctx;

    (void)state;
    buy_now(sale, &(struct purchase_try){.user_id = 9, .count = 1}, &place);
    wait_until(ready_is, &yes, 3000, "ready before");
    rooms_ctx(&ctx, 5000);
    ASSERT_OK(&ctx,
              try_hold(&ctx, sale, &(struct purchase_try){.user_id = 8, .count = 1}, &hold)); /* never committed */
    tf_ctx_done(&ctx);
    load_other_version();
    other_leads("5000");
    wait_until(superseded_is, &yes, 3000, "the other version is in force");
    wait_until(ready_is, &no, 3000, "not ready, so that callers go to the others");

    /* The show is closed to this version. It is the other's to rebuild: nothing is raised, nothing is claimed. */
    close_show(sale);
    epoch = epoch_of(sale);
    assert_int_equal(hold_result(sale), HOLD_CLOSED);
    rooms_ctx(&ctx, 5000);
    ASSERT_CODE(&ctx, inventory_rebuild(&ctx, sale->show_id), TF_REBUILDING);
    tf_ctx_done(&ctx);
    sleep_ms(1500);
    assert_int_equal(epoch_of(sale), epoch);
    assert_int_equal(sql_number("SELECT count(*) FROM orders WHERE order_no = %lld", (long long)hold.order_no), 0);

    /* Its instances are gone: the lease ends, this version sells again without being asked. */
    wait_until(superseded_is, &no, 8000, "the lease has ended");
    wait_until(ready_is, &yes, 3000, "ready again");
    wait_status(sale, place, 2, 5000);
    assert_int_equal(epoch_of(sale), epoch + 1);
    assert_int_equal(hold_result(sale), HOLD_TAKEN);
}

/* The lead is not taken back by chance: a process takes it once, when it starts. */
static void who_stood_back_does_not_fight(void **state)
{
    bool yes = true, no = false;

    (void)state;
    other_leads("2500");
    wait_until(superseded_is, &yes, 3000, "the other version is in force");
    for (int i = 0; i < 4; i++) {
        sleep_ms(400);
        assert_true(inventory_superseded());
    }
    wait_until(superseded_is, &no, 5000, "the lease has ended");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_version_sells_and_leaves),
        cmocka_unit_test(who_stood_back_does_not_fight),
    };

    return cmocka_run_group_tests(tests, rooms_start, rooms_stop);
}
