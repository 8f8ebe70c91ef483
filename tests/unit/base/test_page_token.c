/* Page tokens: round trip, and tokens that are not ours. */
#include "common/base/page_token.h"
#include "tests/unit/base/unit.h"

static int context_make(void **state)
{
    static tf_ctx ctx;

    tf_ctx_init(&ctx, "test", 10 * TF_US_PER_S);
    *state = &ctx;
    return 0;
}

static int context_end(void **state)
{
    tf_ctx_done(*state);
    return 0;
}

static void test_round(void **state)
{
    static const int64_t values[] = {0, -1, INT64_MAX, INT64_MIN, 1234567890123456789, 1};
    tf_ctx *ctx = *state;
    int64_t got[TF_COUNT(values)];

    for (int n = 1; n <= (int)TF_COUNT(values); n++) {
        const char *token = tf_page_token_make(ctx->arena, 3, values, n);

        assert_int_equal(tf_page_token_read(ctx, token, 3, got, n), TF_OK);
        assert_memory_equal(got, values, (size_t)n * sizeof(*got));
    }
}

static void test_refused(void **state)
{
    static const int64_t values[] = {5, 6};
    tf_ctx *ctx = *state;
    const char *good = tf_arena_strdup(ctx->arena, tf_page_token_make(ctx->arena, 3, values, 2));
    const struct {
        const char *name, *token;
        int kind, n;
    } rows[] = {
        {"empty", "", 3, 2},
        {"not base64url", "a+b/", 3, 2},
        {"of another list", good, 4, 2},
        {"of another length", good, 3, 3},
        {"cut", tf_arena_strndup(ctx->arena, good, strlen(good) - 1), 3, 2},
        {"longer", tf_arena_printf(ctx->arena, "%sAAAA", good), 3, 2},
        {"huge", tf_arena_printf(ctx->arena, "%0*d", 5000, 0), 3, 2},
    };

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int64_t got[3];

        tf_error_clear(ctx);
        CHECK(rows[i].name, tf_page_token_read(ctx, rows[i].token, rows[i].kind, got, rows[i].n) == TF_FIELD_INVALID);
        CHECK_TEXT(rows[i].name, ctx->error.field, "page_token");
    }
}

static void test_size(void **state)
{
    static const struct {
        const char *name;
        int32_t asked;
        tf_code code;
        int size;
    } rows[] = {
        {"not said", 0, TF_OK, 20},
        {"one", 1, TF_OK, 1},
        {"the most", 50, TF_OK, 50},
        {"too many", 51, TF_FIELD_INVALID, 0},
        {"negative", -1, TF_FIELD_INVALID, 0},
        {"absurd", INT32_MIN, TF_FIELD_INVALID, 0},
    };
    tf_ctx *ctx = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        int size = 0;

        tf_error_clear(ctx);
        CHECK(rows[i].name, tf_page_size_read(ctx, rows[i].asked, 20, 50, &size) == rows[i].code);
        CHECK(rows[i].name, size == rows[i].size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round, context_make, context_end),
        cmocka_unit_test_setup_teardown(test_refused, context_make, context_end),
        cmocka_unit_test_setup_teardown(test_size, context_make, context_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
