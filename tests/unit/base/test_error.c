/* The table of codes and the context's error: every row complete, the first error wins. */
#include "tests/unit/base/unit.h"

#include "common/base/ctx.h"
#include "common/base/text.h"

static void every_code_is_complete(void **state)
{
    (void)state;
    for (int code = 0; code < TF_CODES; code++) {
        const struct tf_code_info *info = tf_code_info((tf_code)code);

        CHECK(info->reason, tf_code_by_reason(info->reason) == (tf_code)code);
        CHECK(info->reason, info->grpc_status >= 0 && info->grpc_status <= 16);
        CHECK(info->reason, (info->http_status >= 400 && info->http_status <= 599) || code == TF_OK);
        CHECK(info->reason, (info->grpc_status == TF_GRPC_OK) == (code == TF_OK));
        CHECK(info->reason, *info->en && *info->zh);
        CHECK(info->reason, tf_utf8_valid(info->zh, strlen(info->zh)));
        CHECK(info->reason, strspn(info->reason, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(info->reason));
    }
    assert_string_equal(tf_code_info(TF_OK)->reason, "OK");
    assert_int_equal(tf_code_info(TF_SOLD_OUT)->http_status, 409);
    assert_int_equal(tf_code_info(TF_KEY_REUSED)->http_status, 422);
    assert_int_equal(tf_code_info(TF_UNKNOWN_OUTCOME)->retry, TF_RETRY_SAME);
}

static void unknown_codes_are_internal(void **state)
{
    (void)state;
    assert_ptr_equal(tf_code_info(TF_CODES), tf_code_info(TF_INTERNAL));
    assert_ptr_equal(tf_code_info((tf_code)-1), tf_code_info(TF_INTERNAL));
    assert_int_equal(tf_code_by_reason("NO_SUCH_REASON"), TF_INTERNAL);
    assert_int_equal(tf_code_by_reason("sold_out"), TF_INTERNAL);
    assert_int_equal(tf_code_by_reason(NULL), TF_INTERNAL);
    assert_int_equal(tf_code_by_grpc_status(-1), TF_INTERNAL);
    assert_int_equal(tf_code_by_grpc_status(17), TF_INTERNAL);
}

static void bare_grpc_statuses_find_a_code(void **state)
{
    (void)state;
    for (int status = 1; status <= 16; status++)
        assert_int_not_equal(tf_code_by_grpc_status(status), TF_OK);
    assert_int_equal(tf_code_by_grpc_status(TF_GRPC_OK), TF_OK);
    assert_int_equal(tf_code_by_grpc_status(TF_GRPC_UNIMPLEMENTED), TF_METHOD_UNKNOWN);
    assert_int_equal(tf_code_by_grpc_status(TF_GRPC_DEADLINE_EXCEEDED), TF_DEADLINE);
}

static void first_error_wins(void **state)
{
    tf_cleanup(tf_ctx_done) tf_ctx ctx;

    (void)state;
    tf_ctx_init(&ctx, "r1", 0);
    tf_error_param(&ctx, "lost", "no error yet");
    tf_error_retry_after(&ctx, 5);
    assert_int_equal(ctx.error.n_params + (size_t)ctx.error.retry_after_ms, 0);

    assert_int_equal(tf_fail(&ctx, TF_STORE_DOWN, "connection %d lost", 3), TF_STORE_DOWN);
    assert_int_equal(tf_fail(&ctx, TF_INTERNAL, "later"), TF_STORE_DOWN);
    assert_int_equal(tf_fail_field(&ctx, "x", "later"), TF_STORE_DOWN);
    assert_int_equal(ctx.error.code, TF_STORE_DOWN);
    assert_string_equal(ctx.error.internal, "connection 3 lost");
    assert_null(ctx.error.field);

    tf_error_retry_after(&ctx, 250);
    tf_error_param(&ctx, "held", "%d", 7);
    tf_error_param(&ctx, "held", "%d", 8);
    assert_int_equal(ctx.error.retry_after_ms, 250);
    assert_int_equal(ctx.error.n_params, 1);
    assert_string_equal(ctx.error.params[0].value, "7");

    tf_error_clear(&ctx);
    assert_int_equal(ctx.error.code, TF_OK);
    assert_int_equal(tf_fail(&ctx, TF_NOT_FOUND, NULL), TF_NOT_FOUND);
}

static void fields_are_copied(void **state)
{
    tf_cleanup(tf_ctx_done) tf_ctx ctx;
    char path[32] = "places[1]";

    (void)state;
    tf_ctx_init(&ctx, NULL, 0);
    assert_string_equal(ctx.request_id, "");
    assert_int_equal(tf_fail_field(&ctx, path, "is twice %s", "here"), TF_FIELD_INVALID);
    strcpy(path, "gone");
    assert_string_equal(ctx.error.field, "places[1]");
    assert_string_equal(ctx.error.detail, "is twice here");
}

static void parameters_are_bounded(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"};
    tf_cleanup(tf_ctx_done) tf_ctx ctx;

    (void)state;
    tf_ctx_init(&ctx, "r", 0);
    assert_int_equal(tf_fail(&ctx, TF_SOLD_OUT, NULL), TF_SOLD_OUT);
    for (size_t i = 0; i < TF_COUNT(names); i++)
        tf_error_param(&ctx, names[i], "%zu", i);
    assert_int_equal(ctx.error.n_params, TF_ERROR_PARAMS_MAX);
}

static void an_error_survives_a_full_arena(void **state)
{
    tf_cleanup(tf_ctx_done) tf_ctx ctx;

    (void)state;
    tf_ctx_init(&ctx, "r", 0);
    while (tf_arena_alloc(ctx.arena, 65536)) {
    }
    while (tf_arena_alloc(ctx.arena, 1)) {
    }
    assert_int_equal(tf_fail(&ctx, TF_INTERNAL, "text %d", 1), TF_INTERNAL);
    assert_non_null(ctx.error.internal);
}

static void deadlines_pass(void **state)
{
    tf_cleanup(tf_ctx_done) tf_ctx ctx;
    struct tf_clock_fixed fixed;

    (void)state;
    tf_clock_fixed_init(&fixed, 1000);
    tf_ctx_init(&ctx, "r", 0);
    assert_true(tf_ctx_left_us(&ctx) == INT64_MAX);
    assert_int_equal(tf_ctx_check(&ctx), TF_OK);

    ctx.clock = &fixed.clock;
    tf_ctx_reset(&ctx, 500);
    assert_int_equal(tf_ctx_left_us(&ctx), 500);
    fixed.mono_us += 499;
    assert_int_equal(tf_ctx_check(&ctx), TF_OK);
    fixed.mono_us += 1;
    assert_int_equal(tf_ctx_check(&ctx), TF_DEADLINE);
    fixed.mono_us += 1000;
    assert_int_equal(tf_ctx_left_us(&ctx), 0);
    tf_ctx_reset(&ctx, 10);
    assert_int_equal(tf_ctx_check(&ctx), TF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_is_complete),
        cmocka_unit_test(unknown_codes_are_internal),
        cmocka_unit_test(bare_grpc_statuses_find_a_code),
        cmocka_unit_test(first_error_wins),
        cmocka_unit_test(fields_are_copied),
        cmocka_unit_test(parameters_are_bounded),
        cmocka_unit_test(an_error_survives_a_full_arena),
        cmocka_unit_test(deadlines_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
