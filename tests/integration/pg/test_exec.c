/* Statements against a real PostgreSQL: types there and back, codes, stale statements, deadlines and lost answers. */
#include "tests/integration/pg/support.h"

#include <stdio.h>

static tf_ctx ctx;
static tf_pg_conn *conn;
static tf_pg_params params;
static tf_pg_result *result;

static int setup(void **state)
{
    (void)state;
    sql("CREATE TABLE IF NOT EXISTS item (id bigint PRIMARY KEY, name text)");
    sql("TRUNCATE item");
    proxy_set(proxy, PROXY_PASS);
    ctx_start(&ctx, 5000);
    ASSERT_OK(&ctx, tf_pg_take(&ctx, proxied, &conn));
    tf_pg_params_init(&params, &ctx);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    proxy_set(proxy, PROXY_PASS);
    tf_pg_give(TF_TAKE(conn));
    tf_ctx_done(&ctx);
    return 0;
}

/* ---- types ----------------------------------------------------------------------------------------------------- */

static void scalars_go_there_and_back(void **state)
{
    static const struct tf_pg_stmt stmt = {
        "test_scalars",
        "SELECT $1::bool, $2::int2, $3::int4, $4::int8, $5::timestamptz, $6::text, $7::bytea, $8::jsonb, "
        "$5::timestamptz = '2026-11-22T18:53:00.123456Z'",
        false};
    struct tf_pg_bytes bytes;

    (void)state;
    tf_pg_bool(&params, true);
    tf_pg_int2(&params, INT16_MIN);
    tf_pg_int4(&params, INT32_MIN);
    tf_pg_int8(&params, INT64_MIN);
    tf_pg_time(&params, INT64_C(1795373580123456));
    tf_pg_text(&params, "周杰伦 演唱会");
    tf_pg_bytes(&params, "a\0b", 3);
    tf_pg_jsonb(&params, "{\"a\": [1, null]}");
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &stmt, &params, &result));
    assert_int_equal(tf_pg_rows(result), 1);
    assert_true(tf_pg_get_bool(result, 0, 0));
    assert_int_equal(tf_pg_get_int(result, 0, 1), INT16_MIN);
    assert_int_equal(tf_pg_get_int(result, 0, 2), INT32_MIN);
    assert_true(tf_pg_get_int(result, 0, 3) == INT64_MIN);
    assert_true(tf_pg_get_time(result, 0, 4) == INT64_C(1795373580123456));
    assert_string_equal(tf_pg_get_text(result, 0, 5), "周杰伦 演唱会");
    bytes = tf_pg_get_bytes(result, 0, 6);
    assert_int_equal(bytes.size, 3);
    assert_memory_equal(bytes.data, "a\0b", 3);
    assert_string_equal(tf_pg_get_text(result, 0, 7), "{\"a\": [1, null]}");
    assert_true(tf_pg_get_bool(result, 0, 8)); /* the server reads the same instant */
}

static void nulls_go_there_and_back(void **state)
{
    static const struct tf_pg_stmt stmt = {"test_nulls",
                                           "SELECT $1::int8, $2::text, $3::bytea, $4::timestamptz, $5::jsonb, "
                                           "$6::int8[], 'infinity'::timestamptz, $7 = 'infinity'",
                                           false};
    size_t n = 1;

    (void)state;
    tf_pg_null(&params);
    tf_pg_text(&params, NULL);
    tf_pg_bytes(&params, NULL, 0);
    tf_pg_time(&params, INT64_MIN);
    tf_pg_jsonb(&params, NULL);
    tf_pg_null(&params);
    tf_pg_time(&params, INT64_MAX);
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &stmt, &params, &result));
    for (int i = 0; i < 6; i++)
        assert_true(tf_pg_is_null(result, 0, i));
    assert_int_equal(tf_pg_get_int(result, 0, 0), 0);
    assert_null(tf_pg_get_text(result, 0, 1));
    assert_null(tf_pg_get_bytes(result, 0, 2).data);
    assert_true(tf_pg_get_time(result, 0, 3) == INT64_MIN);
    assert_null(tf_pg_get_text(result, 0, 4));
    assert_null(tf_pg_get_int_array(&ctx, result, 0, 5, &n));
    assert_int_equal(n, 0);
    assert_true(tf_pg_get_time(result, 0, 6) == INT64_MAX);
    assert_true(tf_pg_get_bool(result, 0, 7));
}

static void arrays_go_there_and_back(void **state)
{
    static const struct tf_pg_stmt stmt = {"test_arrays",
                                           "SELECT $1::int2[], $2::int4[], $3::int8[], array_to_string($4::bool[], "
                                           "','), array_to_string($5::timestamptz[], ',', 'none'), "
                                           "array_to_string($6::text[], ',', 'none'), encode(($7::bytea[])[2], 'hex'), "
                                           "'{}'::int4[], cardinality($8::int8[])",
                                           false};
    const int64_t *values;
    size_t n;

    (void)state;
    tf_pg_int2_array(&params, (int16_t[]){1, -2}, 2);
    tf_pg_int4_array(&params, (int32_t[]){INT32_MAX, 0, INT32_MIN}, 3);
    tf_pg_int8_array(&params, (int64_t[]){INT64_MAX, INT64_MIN}, 2);
    tf_pg_bool_array(&params, (bool[]){true, false}, 2);
    tf_pg_time_array(&params, (tf_time[]){0, INT64_MIN}, 2);
    tf_pg_text_array(&params, (const char *const[]){"票", NULL, "b,c"}, 3);
    tf_pg_bytes_array(&params, (struct tf_pg_bytes[]){{"x", 1}, {"\0\xff", 2}}, 2);
    tf_pg_int8_array(&params, NULL, 0);
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &stmt, &params, &result));
    values = tf_pg_get_int_array(&ctx, result, 0, 0, &n);
    assert_int_equal(n, 2);
    assert_int_equal(values[1], -2);
    values = tf_pg_get_int_array(&ctx, result, 0, 1, &n);
    assert_int_equal(n, 3);
    assert_int_equal(values[2], INT32_MIN);
    values = tf_pg_get_int_array(&ctx, result, 0, 2, &n);
    assert_int_equal(n, 2);
    assert_true(values[0] == INT64_MAX && values[1] == INT64_MIN);
    assert_string_equal(tf_pg_get_text(result, 0, 3), "t,f");
    assert_string_equal(tf_pg_get_text(result, 0, 4), "1970-01-01 00:00:00+00,none");
    assert_string_equal(tf_pg_get_text(result, 0, 5), "票,none,b,c");
    assert_string_equal(tf_pg_get_text(result, 0, 6), "00ff");
    (void)tf_pg_get_int_array(&ctx, result, 0, 7, &n);
    assert_int_equal(n, 0);
    assert_int_equal(tf_pg_get_int(result, 0, 8), 0);
}

static void the_session_is_set_up(void **state)
{
    static const struct tf_pg_stmt stmt = {
        "test_session",
        "SELECT current_setting('timezone'), current_setting('statement_timeout'), "
        "current_setting('idle_in_transaction_session_timeout'), current_setting('client_min_messages'), "
        "current_setting('application_name'), current_setting('client_encoding')",
        false};
    static const char *const expected[] = {"UTC", "0", "1min", "warning", "tf_test", "UTF8"};

    (void)state;
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &stmt, NULL, &result));
    for (int i = 0; i < (int)TF_COUNT(expected); i++)
        assert_string_equal(tf_pg_get_text(result, 0, i), expected[i]);
}

/* ---- codes ----------------------------------------------------------------------------------------------------- */

static const struct tf_pg_stmt insert_stmt = {"test_insert", "INSERT INTO item (id, name) VALUES ($1, $2)", true};
/* Takes its time: the answer can be lost, or the deadline pass, meanwhile. */
static const struct tf_pg_stmt slow_insert_stmt = {
    "test_slow_insert", "WITH nap AS (SELECT pg_sleep(0.4)) INSERT INTO item (id, name) SELECT $1, $2 FROM nap", true};
static const struct tf_pg_stmt slow_read_stmt = {"test_slow_read", "SELECT pg_sleep(0.4)", false};

static void item(int64_t id, const char *name)
{
    tf_pg_params_init(&params, &ctx);
    tf_pg_int8(&params, id);
    tf_pg_text(&params, name);
}

static void rows_touched_are_counted(void **state)
{
    static const struct tf_pg_stmt update = {"test_update", "UPDATE item SET name = 'new' WHERE id <= $1", true};

    (void)state;
    for (int i = 1; i <= 3; i++) {
        item(i, "x");
        ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, &result));
        assert_int_equal(tf_pg_affected(result), 1);
    }
    tf_pg_params_init(&params, &ctx);
    tf_pg_int8(&params, 2);
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &update, &params, &result));
    assert_int_equal(tf_pg_affected(result), 2);
    assert_int_equal(tf_pg_rows(result), 0);
}

static void errors_map_by_sqlstate(void **state)
{
    static const struct {
        struct tf_pg_stmt stmt;
        tf_code code;
        const char *sqlstate;
    } rows[] = {
        {{"test_e1", "INSERT INTO item (id) VALUES (1)", true}, TF_ALREADY_EXISTS, "23505"},
        {{"test_e2", "SELECT 1 / (SELECT 0)", false}, TF_INTERNAL, "22012"},
        {{"test_e3", "SELECT * FROM no_such_table", false}, TF_INTERNAL, "42P01"},
        {{"test_e4", "SELEC", false}, TF_INTERNAL, "42601"},
        {{"test_e5", "COPY item TO STDOUT", false}, TF_STORE_DOWN, ""}, /* a dialogue that is not spoken */
    };

    (void)state;
    item(1, "x");
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL));
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &rows[i].stmt, NULL, NULL), rows[i].code);
        assert_string_equal(tf_pg_sqlstate(conn), rows[i].sqlstate);
    }
    assert_true(tf_pg_broken(conn)); /* by the last one only */
}

static void the_connection_outlives_an_error(void **state)
{
    (void)state;
    item(1, "x");
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL));
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL), TF_ALREADY_EXISTS);
    item(2, "x");
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL));
    assert_string_equal(tf_pg_sqlstate(conn), "");
    assert_false(tf_pg_broken(conn));
}

static void an_error_at_commit_counts(void **state)
{
    static const struct tf_pg_stmt stmt = {"test_deferred", "INSERT INTO deferred (id) VALUES (1)", true};

    (void)state;
    sql("CREATE TABLE deferred (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    sql("INSERT INTO deferred VALUES (1)");
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &stmt, NULL, NULL), TF_ALREADY_EXISTS); /* after "INSERT 0 1" */
    assert_int_equal(sql_int("SELECT count(*) FROM deferred"), 1);
}

static void a_locked_row_is_refused(void **state)
{
    static const struct tf_pg_stmt stmt = {"test_nowait", "SELECT 1 FROM item WHERE id = 1 FOR UPDATE NOWAIT", false};
    static const struct tf_pg_stmt begin = {"test_begin", "BEGIN", false};
    tf_cleanup(tf_pg_givep) tf_pg_conn *other = NULL;

    (void)state;
    sql("INSERT INTO item (id) VALUES (1)");
    ASSERT_OK(&ctx, tf_pg_connect(&ctx, direct, &other));
    ASSERT_OK(&ctx, tf_pg_exec(other, &ctx, &begin, NULL, NULL));
    ASSERT_OK(&ctx, tf_pg_exec(other, &ctx, &stmt, NULL, NULL));
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &stmt, NULL, NULL), TF_ORDER_CHANGED);
}

static void a_result_beyond_the_arena_is_an_error(void **state)
{
    static const struct tf_pg_stmt stmt = {"test_big", "SELECT repeat('x', 9000000)", false};

    (void)state;
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &stmt, NULL, &result), TF_INTERNAL);
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &stmt, NULL, NULL)); /* nobody wants it */
}

/* ---- prepared statements --------------------------------------------------------------------------------------- */

static void many_statements_are_kept_apart(void **state)
{
    enum { N = 200 };
    static char names[N][32], texts[N][32];
    static struct tf_pg_stmt stmts[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "test_many_%d", i);
        snprintf(texts[i], sizeof(texts[i]), "SELECT %d", i);
        stmts[i] = (struct tf_pg_stmt){names[i], texts[i], false};
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &stmts[i], NULL, &result));
            assert_int_equal(tf_pg_get_int(result, 0, 0), i);
        }
    }
}

static void a_forgotten_statement_is_prepared_again(void **state)
{
    static const struct tf_pg_stmt forget = {"test_forget", "DEALLOCATE ALL", false};

    (void)state;
    item(1, "x");
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL));
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &forget, NULL, NULL));
    item(2, "x");
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL));
    assert_int_equal(sql_int("SELECT count(*) FROM item"), 2);
}

static void a_statement_whose_result_changed_is_prepared_again(void **state)
{
    static const struct tf_pg_stmt stmt = {"test_changed", "SELECT * FROM changing", false};

    (void)state;
    sql("CREATE TABLE changing (a int)");
    sql("INSERT INTO changing VALUES (1)");
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &stmt, NULL, &result));
    sql("ALTER TABLE changing ADD COLUMN b text DEFAULT 'new'");
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &stmt, NULL, &result));
    assert_string_equal(tf_pg_get_text(result, 0, 1), "new");
}

/* ---- deadlines and losses -------------------------------------------------------------------------------------- */

static bool item_is_there(void *arg)
{
    (void)arg;
    return sql_int("SELECT count(*) FROM item WHERE id = 7") == 1;
}

static void a_late_read_says_so(void **state)
{
    (void)state;
    ctx.deadline_us = tf_mono_us() + 100 * TF_US_PER_MS;
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &slow_read_stmt, NULL, NULL), TF_DEADLINE);
    assert_true(tf_mono_us() - ctx.deadline_us < 100 * TF_US_PER_MS);
    assert_true(tf_pg_broken(conn));
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &slow_read_stmt, NULL, NULL), TF_STORE_DOWN);
}

static void a_late_write_is_unknown_and_not_cancelled(void **state)
{
    (void)state;
    item(7, "late");
    ctx.deadline_us = tf_mono_us() + 100 * TF_US_PER_MS;
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &slow_insert_stmt, &params, NULL), TF_UNKNOWN_OUTCOME);
    assert_true(tf_pg_broken(conn));
    wait_until(item_is_there, NULL, 2000, "the row of the late write");
}

static void a_deadline_that_has_passed_sends_nothing(void **state)
{
    (void)state;
    item(7, "never");
    ctx.deadline_us = tf_mono_us() - 1;
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL), TF_DEADLINE);
    assert_false(tf_pg_broken(conn));
    assert_false(item_is_there(NULL));
}

static void a_write_whose_answer_is_lost_is_unknown(void **state)
{
    pthread_t cutter;

    (void)state;
    item(6, "prepares the statement");
    ASSERT_OK(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL));
    proxy_set(proxy, PROXY_MUTE);
    cutter = cut_after(200);
    item(7, "done, unheard");
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL), TF_UNKNOWN_OUTCOME);
    pthread_join(cutter, NULL);
    assert_true(item_is_there(NULL));
}

static void a_read_whose_answer_is_lost_is_store_down(void **state)
{
    pthread_t cutter = cut_after(100);

    (void)state;
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &slow_read_stmt, NULL, NULL), TF_STORE_DOWN);
    pthread_join(cutter, NULL);
}

static void a_terminated_write_is_unknown(void **state)
{
    pthread_t killer = terminate_after(100, backend_of(conn, &ctx));

    (void)state;
    item(7, "rolled back");
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &slow_insert_stmt, &params, NULL), TF_UNKNOWN_OUTCOME);
    pthread_join(killer, NULL);
    assert_string_equal(tf_pg_sqlstate(conn), "57P01");
    assert_true(tf_pg_broken(conn));
}

static void a_terminated_read_is_store_down(void **state)
{
    pthread_t killer = terminate_after(100, backend_of(conn, &ctx));

    (void)state;
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &slow_read_stmt, NULL, NULL), TF_STORE_DOWN);
    pthread_join(killer, NULL);
    assert_string_equal(tf_pg_sqlstate(conn), "57P01");
}

static void a_cancelled_write_has_not_happened(void **state)
{
    static const struct tf_pg_stmt stmt = {
        "test_cancelled",
        "WITH nap AS (SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)) INSERT INTO item (id) SELECT 7 FROM nap",
        true};

    (void)state;
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &stmt, NULL, NULL), TF_DEADLINE);
    assert_string_equal(tf_pg_sqlstate(conn), "57014");
    assert_false(tf_pg_broken(conn));
    assert_false(item_is_there(NULL));
}

/* Needs a server that nobody else uses: every commit waits while its standby is missing. */
static void miss_standby(void)
{
    sql("ALTER SYSTEM SET synchronous_standby_names = 'nowhere'");
    sql("SELECT pg_reload_conf()");
    sleep_ms(300);
}

static void a_commit_without_its_standby_is_unknown(void **state)
{
    pthread_t killer;

    (void)state;
    if (!getenv("TF_TEST_PG_PRIVATE")) skip();
    miss_standby();
    killer = terminate_after(300, backend_of(conn, &ctx));
    item(7, "here only");
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL), TF_UNKNOWN_OUTCOME);
    pthread_join(killer, NULL);
    assert_true(item_is_there(NULL));
}

static const struct tf_pg_stmt cancel_waiting_stmt = {
    "test_cancel_waiting", "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", false};

static void *cancel_later(void *arg)
{
    tf_ctx own;

    (void)arg;
    sleep_ms(300);
    ctx_start(&own, 2000);
    ASSERT_OK(&own, tf_pg_query(&own, direct, &cancel_waiting_stmt, NULL, NULL));
    tf_ctx_done(&own);
    return NULL;
}

static void a_cancelled_wait_for_the_standby_is_unknown(void **state)
{
    pthread_t canceller;

    (void)state;
    if (!getenv("TF_TEST_PG_PRIVATE")) skip();
    miss_standby();
    assert_int_equal(pthread_create(&canceller, NULL, cancel_later, NULL), 0);
    item(7, "here only");
    ASSERT_CODE(&ctx, tf_pg_exec(conn, &ctx, &insert_stmt, &params, NULL),
                TF_UNKNOWN_OUTCOME); /* the server says success, with a warning */
    pthread_join(canceller, NULL);
    assert_false(tf_pg_broken(conn));
    assert_true(item_is_there(NULL));
}

static int standby_teardown(void **state)
{
    static const struct tf_pg_stmt reset = {"test_reset", "ALTER SYSTEM RESET synchronous_standby_names", false};
    static const struct tf_pg_stmt reload = {"test_reload", "SELECT pg_reload_conf()", false};

    (void)teardown(state);
    if (!getenv("TF_TEST_PG_PRIVATE")) return 0;
    ctx_start(&ctx, 2000);
    ASSERT_OK(&ctx, tf_pg_query(&ctx, direct, &reset, NULL, NULL));
    ASSERT_OK(&ctx, tf_pg_query(&ctx, direct, &reload, NULL, NULL));
    tf_ctx_done(&ctx);
    sleep_ms(300);
    return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scalars_go_there_and_back),
        TEST(nulls_go_there_and_back),
        TEST(arrays_go_there_and_back),
        TEST(the_session_is_set_up),
        TEST(rows_touched_are_counted),
        TEST(errors_map_by_sqlstate),
        TEST(the_connection_outlives_an_error),
        TEST(an_error_at_commit_counts),
        TEST(a_locked_row_is_refused),
        TEST(a_result_beyond_the_arena_is_an_error),
        TEST(many_statements_are_kept_apart),
        TEST(a_forgotten_statement_is_prepared_again),
        TEST(a_statement_whose_result_changed_is_prepared_again),
        TEST(a_late_read_says_so),
        TEST(a_late_write_is_unknown_and_not_cancelled),
        TEST(a_deadline_that_has_passed_sends_nothing),
        TEST(a_write_whose_answer_is_lost_is_unknown),
        TEST(a_read_whose_answer_is_lost_is_store_down),
        TEST(a_terminated_write_is_unknown),
        TEST(a_terminated_read_is_store_down),
        TEST(a_cancelled_write_has_not_happened),
        cmocka_unit_test_setup_teardown(a_commit_without_its_standby_is_unknown, setup, standby_teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_wait_for_the_standby_is_unknown, setup, standby_teardown),
    };

    return cmocka_run_group_tests_name("pg exec", tests, pg_setup, pg_teardown);
}
