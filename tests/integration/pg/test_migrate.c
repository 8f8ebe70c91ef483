/* Migrations against a real PostgreSQL. */
#include "tests/integration/pg/support.h"

#include <stdio.h>

#define FILE_OF(name, text)                                                                                            \
    {                                                                                                                  \
        (name), (const unsigned char *)(text), sizeof(text) - 1                                                        \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, 0                                                                                                  \
    }

static const char first[] = "-- two tables and a function\n"
                            "CREATE TABLE orders (id bigint PRIMARY KEY, note text);\n"
                            "CREATE TABLE tickets (id bigint PRIMARY KEY);\n"
                            "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpgsql AS $$\n"
                            "BEGIN\n"
                            "    -- a semicolon; 'in' a comment\n"
                            "    RETURN n * 2;\n"
                            "END $$;\n"
                            "INSERT INTO orders VALUES (1, 'a;b''c');\n";
static const char second[] =
    "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS orders_note ON orders (note)\n";
static const char third[] = "ALTER TABLE tickets ADD COLUMN code text;\n";

static tf_ctx ctx;

static int setup(void **state)
{
    (void)state;
    ctx_start(&ctx, 20000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tf_ctx_done(&ctx);
    sql("DROP TABLE IF EXISTS schema_migration, orders, tickets, half");
    sql("DROP FUNCTION IF EXISTS twice");
    return 0;
}

static void files_are_applied_once_in_order(void **state)
{
    static const struct tf_embedded two[] = {FILE_OF("0002_index.sql", second), FILE_OF("0001_tables.sql", first), END};
    static const struct tf_embedded three[] = {FILE_OF("0001_tables.sql", first), FILE_OF("0002_index.sql", second),
                                               FILE_OF("0003_code.sql", third), END};

    (void)state;
    ASSERT_CODE(&ctx, tf_pg_migrated(&ctx, direct, "order", two), TF_STATE_WRONG);
    ASSERT_OK(&ctx, tf_pg_migrate(&ctx, direct, "order", two));
    ASSERT_OK(&ctx, tf_pg_migrated(&ctx, direct, "order", two));
    assert_int_equal(sql_int("SELECT twice(21)"), 42);
    assert_int_equal(
        sql_int("SELECT count(*) FROM pg_indexes WHERE indexname = 'orders_note' AND schemaname = current_schema"), 1);
    ASSERT_OK(&ctx, tf_pg_migrate(&ctx, direct, "order", two));
    assert_int_equal(sql_int("SELECT count(*) FROM orders"), 1);

    ASSERT_CODE(&ctx, tf_pg_migrated(&ctx, direct, "order", three), TF_STATE_WRONG);
    ASSERT_OK(&ctx, tf_pg_migrate(&ctx, direct, "order", three));
    ASSERT_OK(&ctx, tf_pg_migrated(&ctx, direct, "order", three));
    ASSERT_OK(&ctx, tf_pg_migrated(&ctx, direct, "order", two)); /* an older program beside a newer one */
    assert_int_equal(sql_int("SELECT count(*) FROM schema_migration WHERE component = 'order'"), 3);
}

static void components_have_their_own_numbers(void **state)
{
    static const struct tf_embedded a[] = {FILE_OF("0001_tables.sql", first), END};
    static const struct tf_embedded b[] = {FILE_OF("0001_other.sql", "CREATE TABLE half (id int)"), END};

    (void)state;
    ASSERT_OK(&ctx, tf_pg_migrate(&ctx, direct, "a", a));
    ASSERT_CODE(&ctx, tf_pg_migrated(&ctx, direct, "b", b), TF_STATE_WRONG);
    ASSERT_OK(&ctx, tf_pg_migrate(&ctx, direct, "b", b));
    ASSERT_OK(&ctx, tf_pg_migrated(&ctx, direct, "b", b));
}

static void a_changed_file_is_named(void **state)
{
    static const struct tf_embedded before[] = {FILE_OF("0001_tables.sql", first), END};
    static const struct tf_embedded after[] = {FILE_OF("0001_tables.sql", "SELECT 1"), END};

    (void)state;
    ASSERT_OK(&ctx, tf_pg_migrate(&ctx, direct, "order", before));
    assert_int_equal(tf_pg_migrate(&ctx, direct, "order", after), TF_STATE_WRONG);
    assert_non_null(strstr(ctx.error.internal, "0001_tables.sql"));
    tf_error_clear(&ctx);
    ASSERT_CODE(&ctx, tf_pg_migrated(&ctx, direct, "order", after), TF_STATE_WRONG);
}

static void a_failing_file_leaves_nothing_and_is_named_with_its_line(void **state)
{
    static const struct {
        const char *name;
        struct tf_embedded files[2];
        const char *said;
    } rows[] = {
        {"syntax",
         {FILE_OF("0001_half.sql", "CREATE TABLE half (id int);\n-- 票\nCREATE TABEL x (id int);\n"), END},
         "0001_half.sql:3: SQLSTATE 42601"},
        {"at run time",
         {FILE_OF("0001_half.sql", "CREATE TABLE half (id int);\nSELECT 1 / 0;\n"), END},
         "0001_half.sql: SQLSTATE 22012"},
        {"its own COMMIT",
         {FILE_OF("0001_half.sql", "SELECT 1;\nCOMMIT;\n"), END},
         "0001_half.sql ends the transaction"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        assert_int_equal(tf_pg_migrate(&ctx, direct, "order", rows[i].files), TF_INTERNAL);
        if (!strstr(ctx.error.internal, rows[i].said)) fail_msg("%s: %s", rows[i].name, ctx.error.internal);
        tf_error_clear(&ctx);
        assert_int_equal(sql_int("SELECT count(*) FROM schema_migration"), 0);
        assert_int_equal(
            sql_int("SELECT count(*) FROM pg_tables WHERE tablename = 'half' AND schemaname = current_schema"), 0);
    }
}

static void *migrate(void *arg)
{
    static const struct tf_embedded files[] = {FILE_OF("0001_tables.sql", first), FILE_OF("0002_index.sql", second),
                                               FILE_OF("0003_code.sql", third), END};
    tf_ctx own;

    ctx_start(&own, 20000);
    *(tf_code *)arg = tf_pg_migrate(&own, direct, "order", files);
    if (own.error.internal) print_message("%s\n", own.error.internal);
    tf_ctx_done(&own);
    return NULL;
}

static void several_at_once_apply_each_file_once(void **state)
{
    enum { N = 8 };
    pthread_t threads[N];
    tf_code codes[N];

    (void)state;
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate, &codes[i]), 0);
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N; i++)
        assert_int_equal(codes[i], TF_OK);
    assert_int_equal(sql_int("SELECT count(*) FROM schema_migration"), 3);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_are_applied_once_in_order),
        TEST(components_have_their_own_numbers),
        TEST(a_changed_file_is_named),
        TEST(a_failing_file_leaves_nothing_and_is_named_with_its_line),
        TEST(several_at_once_apply_each_file_once),
    };

    return cmocka_run_group_tests_name("pg migrate", tests, pg_setup, pg_teardown);
}
