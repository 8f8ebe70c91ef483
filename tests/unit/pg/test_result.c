/* Reading results: every type and its NULL, and arrays. */
#include "tests/unit/with_ctx.h"

#include "common/pg/params.h"
#include "common/pg/result.h"

/* One row: a column per type, then the same as NULL. */
static struct tf_pg_result one_row(tf_ctx *ctx, size_t n, const uint32_t *types, const char *const *hex)
{
    struct tf_pg_cell *cells = TF_NEW_ARRAY(ctx->arena, struct tf_pg_cell, n);

    for (size_t i = 0; i < n; i++) {
        size_t size = hex[i] ? strlen(hex[i]) / 2 : 0;
        char *data = tf_arena_alloc(ctx->arena, size + 1);

        if (!hex[i]) continue;
        assert_true(tf_hex_decode(hex[i], data, size));
        data[size] = '\0';
        cells[i] = (struct tf_pg_cell){data, (int)size};
    }
    return (struct tf_pg_result){.rows = 1, .columns = (int)n, .types = types, .cells = cells};
}

static void integers_are_read(void **state)
{
    static const uint32_t types[] = {TF_PG_INT2, TF_PG_INT2, TF_PG_INT4, TF_PG_INT4,
                                     TF_PG_INT8, TF_PG_INT8, TF_PG_INT8};
    static const char *const hex[] = {"7fff", "8000", "7fffffff", "80000000", "7fffffffffffffff", "8000000000000000",
                                      NULL};
    static const int64_t expected[] = {INT16_MAX, INT16_MIN, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 0};
    struct tf_pg_result result = one_row(*state, TF_COUNT(types), types, hex);

    for (int i = 0; i < (int)TF_COUNT(types); i++)
        assert_true(tf_pg_get_int(&result, 0, i) == expected[i]);
    assert_false(tf_pg_is_null(&result, 0, 0));
    assert_true(tf_pg_is_null(&result, 0, 6));
}

static void text_and_bytes_are_read(void **state)
{
    static const uint32_t types[] = {TF_PG_TEXT,  TF_PG_VARCHAR, TF_PG_JSONB, TF_PG_TEXT,
                                     TF_PG_JSONB, TF_PG_BYTEA,   TF_PG_BYTEA, TF_PG_JSON};
    static const char *const hex[] = {"6162", "", "017b7d", NULL, NULL, "0061", NULL, "5b5d"};
    struct tf_pg_result result = one_row(*state, TF_COUNT(types), types, hex);
    struct tf_pg_bytes bytes = tf_pg_get_bytes(&result, 0, 5);

    assert_string_equal(tf_pg_get_text(&result, 0, 0), "ab");
    assert_string_equal(tf_pg_get_text(&result, 0, 1), "");
    assert_string_equal(tf_pg_get_text(&result, 0, 2), "{}");
    assert_null(tf_pg_get_text(&result, 0, 3));
    assert_null(tf_pg_get_text(&result, 0, 4));
    assert_string_equal(tf_pg_get_text(&result, 0, 7), "[]");
    assert_int_equal(bytes.size, 2);
    assert_memory_equal(bytes.data, "\0a", 2);
    bytes = tf_pg_get_bytes(&result, 0, 6);
    assert_null(bytes.data);
    assert_int_equal(bytes.size, 0);
}

static void truth_and_time_are_read(void **state)
{
    static const uint32_t types[] = {TF_PG_BOOL,        TF_PG_BOOL,        TF_PG_BOOL,
                                     TF_PG_TIMESTAMPTZ, TF_PG_TIMESTAMPTZ, TF_PG_TIMESTAMPTZ};
    static const char *const hex[] = {"01", "00", NULL, "0000000000000000", NULL, "7fffffffffffffff"};
    struct tf_pg_result result = one_row(*state, TF_COUNT(types), types, hex);

    assert_true(tf_pg_get_bool(&result, 0, 0));
    assert_false(tf_pg_get_bool(&result, 0, 1));
    assert_false(tf_pg_get_bool(&result, 0, 2));
    assert_true(tf_pg_get_time(&result, 0, 3) == INT64_C(946684800000000));
    assert_true(tf_pg_get_time(&result, 0, 4) == INT64_MIN);
    assert_true(tf_pg_get_time(&result, 0, 5) == INT64_MAX);
}

static void arrays_are_read(void **state)
{
    static const struct {
        const char *name;
        uint32_t type;
        const char *hex;
        size_t n;
        int64_t values[3];
    } rows[] = {
        {"NULL", TF_PG_INT8_ARRAY, NULL, 0, {0}},
        {"empty", TF_PG_INT8_ARRAY, "000000000000000000000014", 0, {0}},
        {"int2",
         TF_PG_INT2_ARRAY,
         "0000000100000000000000150000000200000001"
         "000000020001"
         "00000002ffff",
         2,
         {1, -1}},
        {"int4",
         TF_PG_INT4_ARRAY,
         "0000000100000000000000170000000100000001"
         "0000000480000000",
         1,
         {INT32_MIN}},
        {"int8",
         TF_PG_INT8_ARRAY,
         "0000000100000000000000140000000100000001"
         "000000087fffffffffffffff",
         1,
         {INT64_MAX}},
        {"a NULL inside reads as 0",
         TF_PG_INT4_ARRAY,
         "0000000100000001000000170000000300000001"
         "0000000400000005"
         "ffffffff"
         "0000000400000006",
         3,
         {5, 0, 6}},
        {"a lower bound of 0",
         TF_PG_INT4_ARRAY,
         "0000000100000000000000170000000100000000"
         "0000000400000009",
         1,
         {9}},
    };
    tf_ctx *ctx = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_pg_result result = one_row(ctx, 1, &rows[i].type, &rows[i].hex);
        size_t n = 99;
        const int64_t *values = tf_pg_get_int_array(ctx, &result, 0, 0, &n);

        CHECK(n == rows[i].n, rows[i].name);
        for (size_t k = 0; k < n; k++)
            CHECK(values[k] == rows[i].values[k], rows[i].name);
    }
    assert_int_equal(ctx->error.code, TF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(integers_are_read),
        TEST(text_and_bytes_are_read),
        TEST(truth_and_time_are_read),
        TEST(arrays_are_read),
    };

    return cmocka_run_group_tests_name("pg result", tests, NULL, NULL);
}
