/* The list of migrations: order, names, checksums. */
#include "tests/unit/with_ctx.h"

#include "common/pg/migration.h"

#define FILE_OF(name, text)                                                                                            \
    {                                                                                                                  \
        (name), (const unsigned char *)(text), sizeof(text) - 1                                                        \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, 0                                                                                                  \
    }

static void files_are_ordered_by_number(void **state)
{
    static const struct tf_embedded files[] = {
        FILE_OF("0010_c.sql", "SELECT 3"),
        FILE_OF("0002_b.sql", "SELECT 2"),
        FILE_OF("0001_a.sql", "SELECT 1"),
        FILE_OF("100_d.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a)"),
        END,
    };
    static const int versions[] = {1, 2, 10, 100};
    struct tf_pg_migration *list;
    size_t n;

    assert_int_equal(tf_pg_migrations(*state, files, &list, &n), TF_OK);
    assert_int_equal(n, TF_COUNT(versions));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(list[i].version, versions[i]);
    assert_string_equal(list[0].name, "0001_a.sql");
    assert_string_equal(list[0].sql, "SELECT 1");
    assert_false(list[0].alone);
    assert_true(list[3].alone);
}

static void checksums_are_sha_256(void **state)
{
    static const struct tf_embedded files[] = {FILE_OF("1_abc.sql", "abc"), FILE_OF("2_none.sql", ""), END};
    static const char *const expected[] = {"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                                           "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"};
    struct tf_pg_migration *list;
    char hex[2 * TF_SHA256_BYTES + 1];
    size_t n;

    assert_int_equal(tf_pg_migrations(*state, files, &list, &n), TF_OK);
    for (size_t i = 0; i < n; i++) {
        tf_hex_encode(list[i].checksum, sizeof(list[i].checksum), hex);
        assert_string_equal(hex, expected[i]);
    }
}

static void only_a_whole_first_line_means_alone(void **state)
{
    static const struct {
        const char *name, *sql;
        bool alone;
    } rows[] = {
        {"the line", "-- no-transaction\nVACUUM", true},
        {"with a carriage return", "-- no-transaction\r\nVACUUM", true},
        {"a longer word", "-- no-transactions\nVACUUM", false},
        {"the second line", "\n-- no-transaction\nVACUUM", false},
    };

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_embedded files[] = {{"1_x.sql", (const unsigned char *)rows[i].sql, strlen(rows[i].sql)}, END};
        struct tf_pg_migration *list;
        size_t n;

        assert_int_equal(tf_pg_migrations(*state, files, &list, &n), TF_OK);
        CHECK(list[0].alone == rows[i].alone, rows[i].name);
    }
}

static void bad_files_are_named(void **state)
{
    static const struct {
        const char *name;
        struct tf_embedded files[3];
        const char *said; /* in the error */
    } rows[] = {
        {"no number", {FILE_OF("orders.sql", ""), END}, "orders.sql"},
        {"number 0", {FILE_OF("0000_orders.sql", ""), END}, "0000_orders.sql"},
        {"a number too long", {FILE_OF("123456789_orders.sql", ""), END}, "123456789_orders.sql"},
        {"no words", {FILE_OF("0001_.sql", ""), END}, "0001_.sql"},
        {"no underscore", {FILE_OF("0001orders.sql", ""), END}, "0001orders.sql"},
        {"another ending", {FILE_OF("0001_orders.txt", ""), END}, "0001_orders.txt"},
        {"a NUL inside", {FILE_OF("0001_orders.sql", "a\0b"), END}, "NUL"},
        {"a number twice", {FILE_OF("0001_a.sql", ""), FILE_OF("001_b.sql", ""), END}, "0001_a.sql and 001_b.sql"},
    };
    tf_ctx *ctx = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_pg_migration *list;
        size_t n;

        tf_error_clear(ctx);
        CHECK(tf_pg_migrations(ctx, rows[i].files, &list, &n) == TF_INTERNAL, rows[i].name);
        CHECK(strstr(ctx->error.internal, rows[i].said), rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_are_ordered_by_number),
        TEST(checksums_are_sha_256),
        TEST(only_a_whole_first_line_means_alone),
        TEST(bad_files_are_named),
    };

    return cmocka_run_group_tests_name("pg migration", tests, NULL, NULL);
}
