/* The shelf of shows: what is here is had without waiting, whatever others ask for and however long PostgreSQL takes.
 */
#include "tests/integration/order/rooms/rooms.h"

#include "services/order/sale/shelf.h"

#include <stdio.h>

enum { CROWD = 40, LOADS_MAX = 4, AT_ONCE_MS = 1000 };

static const struct test_show plain = {.rows = 2, .row_places = 10};

static int64_t loads(const char *result)
{
    char name[80];

    snprintf(name, sizeof(name), "tf_order_snapshot_loads_total{result=\"%s\"}", result);
    return metric_value(name);
}

static int64_t now_ms(void)
{
    return tf_mono_us() / TF_US_PER_MS;
}

static tf_code find(int64_t show_id, int timeout_ms)
{
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    tf_code code;
    tf_ctx ctx;

    rooms_ctx(&ctx, timeout_ms);
    code = sale_find(&ctx, show_id, &sale);
    if (!code) assert_int_equal(sale->show_id, show_id);
    tf_ctx_done(&ctx);
    return code;
}

struct asker {
    pthread_t thread;
    int64_t show_id, took_ms;
    tf_code code;
};

static void *ask(void *arg)
{
    struct asker *asker = arg;
    int64_t begun = now_ms();

    asker->code = find(asker->show_id, 10000);
    asker->took_ms = now_ms() - begun;
    return NULL;
}

static void start(struct asker *asker, int64_t show_id)
{
    *asker = (struct asker){.show_id = show_id};
    assert_int_equal(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

static void many_who_ask_for_one_cold_show_share_a_load(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static struct asker askers[CROWD / 4];
    int64_t before;

    (void)state;
    sale_forget(sale->show_id);
    before = loads("OK");
    proxy_set(rooms_proxy, PROXY_FREEZE);
    for (size_t i = 0; i < TF_COUNT(askers); i++)
        start(&askers[i], sale->show_id);
    sleep_ms(300);
    proxy_set(rooms_proxy, PROXY_PASS);
    for (size_t i = 0; i < TF_COUNT(askers); i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].code, TF_OK);
    }
    assert_int_equal(loads("OK"), before + 1);
}

/* Ids that are made up, while PostgreSQL is slow: few wait, the others are sent away, and a show that is here is had at
 * once. */
static void made_up_shows_do_not_delay_warm_ones(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static struct asker askers[CROWD];
    int sent_away = 0;
    int64_t begun;

    (void)state;
    proxy_set(rooms_proxy, PROXY_FREEZE);
    for (int i = 0; i < CROWD; i++)
        start(&askers[i], sale->show_id + 1000000 + i);
    sleep_ms(200);
    begun = now_ms();
    for (int i = 0; i < 100; i++)
        assert_int_equal(find(sale->show_id, 5000), TF_OK);
    assert_in_range(now_ms() - begun, 0, AT_ONCE_MS);
    proxy_set(rooms_proxy, PROXY_PASS);
    for (int i = 0; i < CROWD; i++) {
        pthread_join(askers[i].thread, NULL);
        if (askers[i].code != TF_OVERLOADED) {
            assert_int_equal(askers[i].code, TF_NOT_FOUND);
            continue;
        }
        sent_away += askers[i].took_ms < AT_ONCE_MS;
    }
    assert_in_range(sent_away, CROWD / 4, CROWD - LOADS_MAX);
}

/* Also while nobody knows when: the time of whoever asks does not bound the load that others share, nor the reverse. */
static void a_silent_postgresql_is_a_store_that_is_down(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    static struct asker askers[2];

    (void)state;
    sale_forget(sale->show_id);
    proxy_set(rooms_proxy, PROXY_FREEZE);
    for (int i = 0; i < 2; i++) {
        start(&askers[i], sale->show_id);
        sleep_ms(100);
    }
    pthread_join(askers[1].thread, NULL);
    assert_int_equal(askers[1].code, TF_OVERLOADED);
    assert_in_range(askers[1].took_ms, 0, 3500);
    pthread_join(askers[0].thread, NULL);
    assert_int_equal(askers[0].code, TF_STORE_DOWN);
    assert_in_range(askers[0].took_ms, 0, 7000);
    proxy_set(rooms_proxy, PROXY_PASS);
    assert_int_equal(find(sale->show_id, 5000), TF_OK);
}

static tf_code look(int64_t show_id)
{
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    tf_code code;
    tf_ctx ctx;

    rooms_ctx(&ctx, 5000);
    code = sale_look(&ctx, show_id, &sale);
    tf_ctx_done(&ctx);
    return code;
}

static void an_unknown_show_is_remembered_until_it_is_published(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&plain);
    int64_t unknown = sale->show_id + 2000000, before;

    (void)state;
    before = loads("NOT_FOUND");
    for (int i = 0; i < 20; i++)
        assert_int_equal(look(unknown), TF_NOT_FOUND);
    assert_int_equal(loads("NOT_FOUND"), before + 1);
    sale_forget(unknown); /* as its publication here does */
    assert_int_equal(look(unknown), TF_NOT_FOUND);
    assert_int_equal(loads("NOT_FOUND"), before + 2);
    assert_int_equal(find(unknown, 5000), TF_NOT_FOUND); /* a buyer: another instance may have published it */
    assert_int_equal(loads("NOT_FOUND"), before + 3);
    sleep_ms(600);
    assert_int_equal(look(unknown), TF_NOT_FOUND);
    assert_int_equal(loads("NOT_FOUND"), before + 4);
}

/* A newer version announced while the older is being read: the older is not taken for the newest. */
static void a_load_overtaken_by_a_change_is_not_believed(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *old = show_new(&plain), *new = NULL, *found = NULL;
    struct asker asker;
    tf_ctx ctx;

    (void)state;
    sale_forget(old->show_id);
    proxy_set(rooms_proxy, PROXY_MUTE); /* the old version's row is read, and its answer is on the way */
    start(&asker, old->show_id);
    sleep_ms(300);
    new = show_change(old, &(struct test_show){.rows = 2, .row_places = 10, .version = 2});
    sale_forget(old->show_id);
    proxy_set(rooms_proxy, PROXY_PASS);
    pthread_join(asker.thread, NULL);
    assert_int_equal(asker.code, TF_OK);
    rooms_ctx(&ctx, 5000);
    ASSERT_OK(&ctx, sale_find(&ctx, old->show_id, &found));
    assert_int_equal(found->terms, 2);
    tf_ctx_done(&ctx);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_who_ask_for_one_cold_show_share_a_load),
        cmocka_unit_test(made_up_shows_do_not_delay_warm_ones),
        cmocka_unit_test(a_silent_postgresql_is_a_store_that_is_down),
        cmocka_unit_test(an_unknown_show_is_remembered_until_it_is_published),
        cmocka_unit_test(a_load_overtaken_by_a_change_is_not_believed),
    };

    return cmocka_run_group_tests(tests, rooms_start, rooms_stop);
}
