/* Parameters in PostgreSQL's binary form, byte by byte. */
#include "tests/unit/with_ctx.h"

#include "common/pg/params.h"
#include "common/pg/pg.h"

/* One function per row's making, so that a row is a line. */
static void null_(tf_pg_params *p)
{
    tf_pg_null(p);
}
static void true_(tf_pg_params *p)
{
    tf_pg_bool(p, true);
}
static void false_(tf_pg_params *p)
{
    tf_pg_bool(p, false);
}
static void int2(tf_pg_params *p)
{
    tf_pg_int2(p, -2);
}
static void int4(tf_pg_params *p)
{
    tf_pg_int4(p, 0x01020304);
}
static void int8(tf_pg_params *p)
{
    tf_pg_int8(p, INT64_C(0x0102030405060708));
}
static void time_2000(tf_pg_params *p)
{
    tf_pg_time(p, INT64_C(946684800000000) + 1);
}
static void time_1999(tf_pg_params *p)
{
    tf_pg_time(p, INT64_C(946684800000000) - 1);
}
static void time_null(tf_pg_params *p)
{
    tf_pg_time(p, INT64_MIN);
}
static void time_infinite(tf_pg_params *p)
{
    tf_pg_time(p, INT64_MAX);
}
static void text(tf_pg_params *p)
{
    tf_pg_text(p, "票a");
}
static void text_empty(tf_pg_params *p)
{
    tf_pg_text(p, "");
}
static void text_null(tf_pg_params *p)
{
    tf_pg_text(p, NULL);
}
static void bytes(tf_pg_params *p)
{
    tf_pg_bytes(p, "\0\xff", 2);
}
static void bytes_null(tf_pg_params *p)
{
    tf_pg_bytes(p, NULL, 9);
}
static void jsonb(tf_pg_params *p)
{
    tf_pg_jsonb(p, "{}");
}
static void jsonb_null(tf_pg_params *p)
{
    tf_pg_jsonb(p, NULL);
}
static void int2s(tf_pg_params *p)
{
    tf_pg_int2_array(p, (int16_t[]){1, -1}, 2);
}
static void int4s(tf_pg_params *p)
{
    tf_pg_int4_array(p, (int32_t[]){7}, 1);
}
static void int8s(tf_pg_params *p)
{
    tf_pg_int8_array(p, (int64_t[]){-1}, 1);
}
static void int8s_none(tf_pg_params *p)
{
    tf_pg_int8_array(p, NULL, 0);
}
static void bools(tf_pg_params *p)
{
    tf_pg_bool_array(p, (bool[]){true, false}, 2);
}
static void times(tf_pg_params *p)
{
    tf_pg_time_array(p, (tf_time[]){INT64_MIN, INT64_C(946684800000000)}, 2);
}
static void texts(tf_pg_params *p)
{
    tf_pg_text_array(p, (const char *const[]){"ab", NULL, ""}, 3);
}
static void bytess(tf_pg_params *p)
{
    tf_pg_bytes_array(p, (struct tf_pg_bytes[]){{"\0", 1}}, 1);
}

static void values_are_encoded(void **state)
{
    static const struct {
        const char *name;
        void (*make)(tf_pg_params *);
        uint32_t type;
        const char *hex; /* NULL: SQL's NULL */
    } rows[] = {
        {"null of no type", null_, 0, NULL},
        {"true", true_, TF_PG_BOOL, "01"},
        {"false", false_, TF_PG_BOOL, "00"},
        {"negative int2", int2, TF_PG_INT2, "fffe"},
        {"int4", int4, TF_PG_INT4, "01020304"},
        {"int8", int8, TF_PG_INT8, "0102030405060708"},
        {"a microsecond after PostgreSQL's epoch", time_2000, TF_PG_TIMESTAMPTZ, "0000000000000001"},
        {"a microsecond before it", time_1999, TF_PG_TIMESTAMPTZ, "ffffffffffffffff"},
        {"no time", time_null, TF_PG_TIMESTAMPTZ, NULL},
        {"infinity", time_infinite, TF_PG_TIMESTAMPTZ, "7fffffffffffffff"},
        {"text", text, TF_PG_TEXT, "e7a5a861"},
        {"empty text", text_empty, TF_PG_TEXT, ""},
        {"no text", text_null, TF_PG_TEXT, NULL},
        {"bytes with a NUL", bytes, TF_PG_BYTEA, "00ff"},
        {"no bytes", bytes_null, TF_PG_BYTEA, NULL},
        {"jsonb has a version", jsonb, TF_PG_JSONB, "017b7d"},
        {"no jsonb", jsonb_null, TF_PG_JSONB, NULL},
        {"int2[]", int2s, TF_PG_INT2_ARRAY,
         "0000000100000000000000150000000200000001"
         "000000020001"
         "00000002ffff"},
        {"int4[]", int4s, TF_PG_INT4_ARRAY,
         "0000000100000000000000170000000100000001"
         "0000000400000007"},
        {"int8[]", int8s, TF_PG_INT8_ARRAY,
         "0000000100000000000000140000000100000001"
         "00000008ffffffffffffffff"},
        {"empty int8[]", int8s_none, TF_PG_INT8_ARRAY, "000000000000000000000014"},
        {"bool[]", bools, TF_PG_BOOL_ARRAY,
         "0000000100000000000000100000000200000001"
         "0000000101"
         "0000000100"},
        {"timestamptz[] with a NULL", times, TF_PG_TIMESTAMPTZ_ARRAY,
         "0000000100000001000004a00000000200000001"
         "ffffffff"
         "000000080000000000000000"},
        {"text[] with a NULL and an empty one", texts, TF_PG_TEXT_ARRAY,
         "0000000100000001000000190000000300000001"
         "000000026162"
         "ffffffff"
         "00000000"},
        {"bytea[]", bytess, TF_PG_BYTEA_ARRAY,
         "0000000100000000000000110000000100000001"
         "0000000100"},
    };
    tf_ctx *ctx = *state;
    char hex[512];

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_pg_params params;

        tf_pg_params_init(&params, ctx);
        rows[i].make(&params);
        CHECK(!params.broken && params.n == 1, rows[i].name);
        CHECK(params.types[0] == rows[i].type, rows[i].name);
        CHECK((params.values[0] == NULL) == (rows[i].hex == NULL), rows[i].name);
        if (!rows[i].hex) continue;
        assert_true((size_t)params.lengths[0] * 2 < sizeof(hex));
        tf_hex_encode(params.values[0], (size_t)params.lengths[0], hex);
        if (strcmp(hex, rows[i].hex) != 0) fail_msg("%s: %s, expected %s", rows[i].name, hex, rows[i].hex);
    }
}

static void parameters_keep_their_order(void **state)
{
    tf_pg_params params;

    tf_pg_params_init(&params, *state);
    tf_pg_int4(&params, 1);
    tf_pg_text(&params, "b");
    tf_pg_null(&params);
    assert_int_equal(params.n, 3);
    assert_int_equal(params.types[0], TF_PG_INT4);
    assert_int_equal(params.types[1], TF_PG_TEXT);
    assert_int_equal(params.types[2], 0);
}

static void memory_that_runs_out_is_remembered(void **state)
{
    tf_ctx *ctx = *state;
    tf_pg_params params;
    size_t size = 1 << 20;
    char *data = tf_arena_alloc(ctx->arena, size);

    assert_non_null(data);
    memset(data, 'x', size);
    tf_pg_params_init(&params, ctx);
    for (int i = 0; i < 10; i++)
        tf_pg_bytes(&params, data, size);
    assert_true(params.broken);
    tf_pg_int8(&params, 1); /* does nothing more */
    assert_true(params.broken);
    assert_true(params.n < 10);
}

static void times_survive_the_way_out_and_back(void **state)
{
    static const struct {
        const char *name;
        tf_time t, back;
    } rows[] = {
        {"epoch", 0, 0},
        {"before it", -1, -1},
        {"2026", 1795373580123456, 1795373580123456},
        {"infinity", INT64_MAX, INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(tf_pg_time_in(tf_pg_time_out(rows[i].t)) == rows[i].back, rows[i].name);
    assert_true(tf_pg_time_in(INT64_MIN) == INT64_MIN + 1); /* '-infinity' is not NULL */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_are_encoded),
        TEST(parameters_keep_their_order),
        TEST(memory_that_runs_out_is_remembered),
        TEST(times_survive_the_way_out_and_back),
    };

    return cmocka_run_group_tests_name("pg params", tests, NULL, NULL);
}
