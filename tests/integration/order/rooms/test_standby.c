/* The group commit on a server that waits for its standby: what is not confirmed is not answered, and a wait that was
 * broken off, which PostgreSQL reports as success with a warning, is an unknown outcome: the same batch again.
 *
 * The standby does not exist, so that only this test decides how long the server waits. The setting is the server's: a
 * guard takes it back however the program ends. */
#include "tests/integration/order/rooms/rooms.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUYERS = 6, TIMEOUT_MS = 40000, SOON_MS = 10000 };

static FILE *guard;

/* ---- the server's setting ------------------------------------------------------------------------------------------
 */

static void wait_for_standby(bool wait)
{
    sql_do(wait ? "ALTER SYSTEM SET synchronous_standby_names = 'nobody_of_this_test'"
                : "ALTER SYSTEM RESET synchronous_standby_names");
    sql_number("SELECT pg_reload_conf()::int");
}

/* Ends with this program's end of the pipe, also when it is killed. */
static int standby_start(void **state)
{
    char command[1200];

    snprintf(command, sizeof(command),
             "cat >/dev/null; psql -qX '%s' -c 'ALTER SYSTEM RESET synchronous_standby_names' "
             "-c 'SELECT pg_reload_conf()' >/dev/null",
             env_or_fail("TF_TEST_PG_DSN", "a superuser's, on a server of the tests' own"));
    guard = popen(command, "we");
    assert_non_null(guard);
    rooms_config.commit_wait_us = 300 * 1000; /* the buyers share a batch */
    rooms_config.intent_ms = 60000;           /* nothing is settled meanwhile */
    return rooms_start(state);
}

static int standby_stop(void **state)
{
    int code;

    wait_for_standby(false);
    code = rooms_stop(state);
    return pclose(guard) || code;
}

/* ---- buyers --------------------------------------------------------------------------------------------------------
 */

struct buyer {
    pthread_t thread;
    struct new_order order;
    struct commit_answer answer;
    tf_code code;
    _Atomic bool answered;
};

static void *commit(void *arg)
{
    struct buyer *buyer = arg;
    tf_ctx ctx;

    rooms_ctx(&ctx, TIMEOUT_MS);
    buyer->code = commit_order(&ctx, &buyer->order, &buyer->answer);
    atomic_store(&buyer->answered, true);
    tf_ctx_done(&ctx);
    return NULL;
}

static int answered(struct buyer *buyers)
{
    int n = 0;

    for (int i = 0; i < BUYERS; i++)
        n += atomic_load(&buyers[i].answered);
    return n;
}

/* ---- the backend that waits ----------------------------------------------------------------------------------------
 */

#define WAITING                                                                                                        \
    "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%%FROM commit_orders%%' AND pid <> "           \
    "pg_backend_pid()"

static bool committer_waits(void *arg)
{
    (void)arg;
    return sql_number("SELECT count(*) " WAITING) > 0;
}

static int64_t orders_of(const struct sale *sale)
{
    return sql_number("SELECT count(*) FROM orders WHERE show_id = %lld", (long long)sale->show_id);
}

static int64_t sent_again(void)
{
    return metric_value("tf_order_commit_resent_total{cause=\"UNKNOWN_OUTCOME\"}");
}

/* Ends the wait by the function and sees the batch wait again: committed here, confirmed by nobody, answered to nobody.
 */
static void break_off(struct buyer *buyers, const struct sale *sale, const char *function)
{
    int64_t before = sent_again();

    print_message("%s\n", function);
    wait_until(committer_waits, NULL, SOON_MS, "the batch waits for the standby");
    assert_int_equal(sql_number("SELECT count(%s(pid)) " WAITING, function), 1);
    for (int i = 0; i < SOON_MS / 10 && sent_again() == before; i++)
        sleep_ms(10);
    assert_true(sent_again() > before);
    wait_until(committer_waits, NULL, SOON_MS, "the batch waits again");
    assert_int_equal(orders_of(sale), BUYERS);
    assert_int_equal(answered(buyers), 0);
}

static void what_no_standby_confirmed_is_not_answered(void **state)
{
    tf_cleanup(sale_unrefp) struct sale *sale = show_new(&(struct test_show){.rows = 5, .row_places = 20});
    static struct buyer buyers[BUYERS];
    tf_ctx ctx;

    (void)state;
    rooms_ctx(&ctx, TIMEOUT_MS);
    for (int i = 0; i < BUYERS; i++) {
        struct purchase_try purchase = {.user_id = 1 + i, .count = 2};
        struct hold hold;

        ASSERT_OK(&ctx, try_hold(&ctx, sale, &purchase, &hold));
        assert_int_equal(hold.result, HOLD_TAKEN);
        buyers[i] = (struct buyer){.order = *order_of_hold(&ctx, sale, &purchase, &hold)};
    }
    wait_for_standby(true);
    for (int i = 0; i < BUYERS; i++)
        assert_int_equal(pthread_create(&buyers[i].thread, NULL, commit, &buyers[i]), 0);

    break_off(buyers, sale, "pg_cancel_backend");
    break_off(buyers, sale, "pg_terminate_backend");
    break_off(buyers, sale, "pg_cancel_backend");

    wait_for_standby(false);
    for (int i = 0; i < BUYERS; i++) {
        pthread_join(buyers[i].thread, NULL);
        assert_int_equal(buyers[i].code, TF_OK);
        assert_int_equal(buyers[i].answer.result, COMMIT_DUPLICATE);
        assert_int_equal(buyers[i].answer.order_no, buyers[i].order.order_no);
    }
    assert_int_equal(orders_of(sale), BUYERS);
    assert_int_equal(sql_number("SELECT count(*) FROM outbox WHERE aggregate_id IN (SELECT order_no FROM orders WHERE "
                                "show_id = %lld)",
                                (long long)sale->show_id),
                     BUYERS);
    check_agreement(sale);
    tf_ctx_done(&ctx);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(what_no_standby_confirmed_is_not_answered)};

    return cmocka_run_group_tests(tests, standby_start, standby_stop);
}
