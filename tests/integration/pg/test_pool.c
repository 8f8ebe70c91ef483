/* The pool against a real PostgreSQL: bound, order, dead connections, servers that refuse or freeze, many threads. */
#include "tests/integration/pg/support.h"

#include <stdio.h>

static tf_ctx ctx;
static const struct tf_pg_stmt one_stmt = {"test_one", "SELECT 1", false};

static int setup(void **state)
{
    (void)state;
    proxy_set(proxy, PROXY_PASS);
    ctx_start(&ctx, 5000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    proxy_set(proxy, PROXY_PASS);
    tf_ctx_done(&ctx);
    return 0;
}

static void the_last_one_given_is_lent_first(void **state)
{
    tf_pg_conn *a, *b, *c;
    int64_t backend;

    (void)state;
    ASSERT_OK(&ctx, tf_pg_take(&ctx, direct, &a));
    ASSERT_OK(&ctx, tf_pg_take(&ctx, direct, &b));
    backend = backend_of(b, &ctx);
    tf_pg_give(a);
    tf_pg_give(b);
    ASSERT_OK(&ctx, tf_pg_take(&ctx, direct, &c));
    assert_int_equal(backend_of(c, &ctx), backend);
    tf_pg_give(c);
    tf_pg_give(NULL);
}

static void *give_later(void *arg)
{
    sleep_ms(100);
    tf_pg_give(arg);
    return NULL;
}

static void an_exhausted_pool_makes_wait_until_the_deadline(void **state)
{
    tf_pg *pool = pool_of(2, 2000, false);
    tf_pg_conn *a, *b, *c;
    pthread_t giver;
    int64_t began;

    (void)state;
    ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &a));
    ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &b));
    began = tf_mono_us();
    tf_ctx_reset(&ctx, 150 * TF_US_PER_MS);
    ASSERT_CODE(&ctx, tf_pg_take(&ctx, pool, &c), TF_OVERLOADED);
    assert_in_range(tf_mono_us() - began, 145 * TF_US_PER_MS, 300 * TF_US_PER_MS);

    tf_ctx_reset(&ctx, 5 * TF_US_PER_S);
    began = tf_mono_us();
    assert_int_equal(pthread_create(&giver, NULL, give_later, a), 0);
    ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &c));
    assert_in_range(tf_mono_us() - began, 90 * TF_US_PER_MS, TF_US_PER_S);
    pthread_join(giver, NULL);
    tf_pg_give(b);
    tf_pg_give(c);
    tf_pg_free(pool);
}

static void a_connection_of_ones_own_is_not_counted(void **state)
{
    tf_pg *pool = pool_of(1, 2000, false);
    tf_pg_conn *a, *b;

    (void)state;
    ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &a));
    ASSERT_OK(&ctx, tf_pg_connect(&ctx, pool, &b));
    assert_true(backend_of(a, &ctx) != backend_of(b, &ctx));
    tf_pg_give(b);
    tf_pg_give(a);
    tf_pg_free(pool);
}

static void an_open_transaction_is_rolled_back(void **state)
{
    static const struct tf_pg_stmt begin = {"test_begin", "BEGIN", false},
                                   insert = {"test_left", "INSERT INTO left_open VALUES (1)", true};
    tf_pg *pool = pool_of(1, 2000, false);
    tf_pg_conn *conn;
    int64_t backend;

    (void)state;
    sql("CREATE TABLE left_open (id int)");
    ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &conn));
    backend = backend_of(conn, &ctx);
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &begin, NULL, NULL));
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &insert, NULL, NULL));
    tf_pg_give(conn);
    assert_int_equal(sql_int("SELECT count(*) FROM left_open"), 0);
    ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &conn));
    assert_int_equal(backend_of(conn, &ctx), backend); /* the connection itself is kept */
    tf_pg_give(conn);
    tf_pg_free(pool);
}

static void a_connection_that_died_idle_is_replaced_unseen(void **state)
{
    tf_pg *pool = pool_of(2, 2000, false);
    tf_pg_conn *a, *b;
    int64_t backends[2];

    (void)state;
    ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &a));
    ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &b));
    backends[0] = backend_of(a, &ctx);
    backends[1] = backend_of(b, &ctx);
    tf_pg_give(a);
    tf_pg_give(b);
    terminate(backends[0]);
    terminate(backends[1]);
    ASSERT_OK(&ctx, tf_pg_query(&ctx, pool, &one_stmt, NULL, NULL));
    tf_pg_free(pool);
}

static bool query_works(void *arg)
{
    bool ok;

    tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
    ok = tf_pg_query(&ctx, arg, &one_stmt, NULL, NULL) == TF_OK;
    tf_error_clear(&ctx);
    return ok;
}

static void a_server_that_refuses_fails_fast_and_is_found_again(void **state)
{
    tf_pg *pool = pool_of(4, 500, true);
    int64_t began;

    (void)state;
    assert_true(query_works(pool));
    proxy_set(proxy, PROXY_REFUSE);
    began = tf_mono_us();
    for (int i = 0; i < 100; i++)
        ASSERT_CODE(&ctx, tf_pg_query(&ctx, pool, &one_stmt, NULL, NULL), TF_STORE_DOWN);
    assert_true(tf_mono_us() - began < 500 * TF_US_PER_MS);
    proxy_set(proxy, PROXY_PASS);
    wait_until(query_works, pool, 3000, "the server's return");
    tf_pg_free(pool);
}

static void a_server_that_freezes_is_bounded_by_the_connect_timeout(void **state)
{
    tf_pg *pool = pool_of(4, 600, true);
    int64_t began = tf_mono_us();

    (void)state;
    proxy_set(proxy, PROXY_FREEZE);
    ASSERT_CODE(&ctx, tf_pg_query(&ctx, pool, &one_stmt, NULL, NULL), TF_STORE_DOWN);
    assert_in_range(tf_mono_us() - began, 590 * TF_US_PER_MS, 900 * TF_US_PER_MS);
    began = tf_mono_us();
    ASSERT_CODE(&ctx, tf_pg_query(&ctx, pool, &one_stmt, NULL, NULL), TF_STORE_DOWN);
    assert_true(tf_mono_us() - began < 20 * TF_US_PER_MS);
    proxy_set(proxy, PROXY_PASS);
    wait_until(query_works, pool, 3000, "the server's return");
    tf_pg_free(pool);
}

static void a_hasty_caller_does_not_mark_the_server_down(void **state)
{
    tf_pg *pool = pool_of(4, 600, true);

    (void)state;
    proxy_set(proxy, PROXY_FREEZE);
    tf_ctx_reset(&ctx, 50 * TF_US_PER_MS);
    ASSERT_CODE(&ctx, tf_pg_query(&ctx, pool, &one_stmt, NULL, NULL), TF_STORE_DOWN);
    proxy_set(proxy, PROXY_PASS);
    assert_true(query_works(pool)); /* at once */
    tf_pg_free(pool);
}

enum { THREADS = 32, QUERIES = 100 };

static void *many_queries(void *arg)
{
    static const struct tf_pg_stmt stmt = {"test_echo", "SELECT $1::int8", false};
    int *failures = arg;
    tf_ctx own;

    ctx_start(&own, 0);
    for (int i = 0; i < QUERIES; i++) {
        tf_pg_params params;
        tf_pg_result *result;

        tf_ctx_reset(&own, 20 * TF_US_PER_S);
        tf_pg_params_init(&params, &own);
        tf_pg_int8(&params, (int64_t)(intptr_t)arg + i);
        if (tf_pg_query(&own, direct, &stmt, &params, &result) != TF_OK ||
            tf_pg_get_int(result, 0, 0) != (int64_t)(intptr_t)arg + i)
            (*failures)++;
    }
    tf_ctx_done(&own);
    return NULL;
}

static void many_threads_share_few_connections(void **state)
{
    pthread_t threads[THREADS];
    int failures[THREADS] = {0};

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_queries, &failures[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failures[i], 0);
    }
    assert_in_range(sql_int("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tf_test'"), 1, 4 + 4 + 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_one_given_is_lent_first),
        TEST(an_exhausted_pool_makes_wait_until_the_deadline),
        TEST(a_connection_of_ones_own_is_not_counted),
        TEST(an_open_transaction_is_rolled_back),
        TEST(a_connection_that_died_idle_is_replaced_unseen),
        TEST(a_server_that_refuses_fails_fast_and_is_found_again),
        TEST(a_server_that_freezes_is_bounded_by_the_connect_timeout),
        TEST(a_hasty_caller_does_not_mark_the_server_down),
        TEST(many_threads_share_few_connections),
    };

    return cmocka_run_group_tests_name("pg pool", tests, pg_setup, pg_teardown);
}
