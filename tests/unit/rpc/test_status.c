/* Errors to google.rpc.Status and back. */
#include "tests/unit/rpc/echo.h"

#include "common/rpc/status.h"
#include "google/rpc/status.pb-c.h"

#include <stdio.h>

static void every_reason_travels(void **state)
{
    tf_arena *arena = tf_arena_new(1024 * 1024);

    (void)state;
    for (int code = TF_OK + 1; code < TF_CODES; code++) {
        struct tf_error sent = {.code = (tf_code)code}, got = {.code = TF_OK};
        size_t size;
        void *packed = tf_status_pack(arena, sent.code, &sent, &size);
        const Google__Rpc__Status *status =
            (Google__Rpc__Status *)tf_pb_unpack(arena, &google__rpc__status__descriptor, packed, size);

        assert_non_null(status);
        assert_int_equal(status->code, tf_code_info(sent.code)->grpc_status);
        assert_string_equal(status->message, tf_code_info(sent.code)->en);
        CHECK(tf_code_info(sent.code)->reason, tf_status_unpack(arena, packed, size, &got) && got.code == sent.code);
        assert_true(!got.field && !got.detail && !got.n_params && !got.retry_after_ms);
    }
    tf_arena_free(arena);
}

static void words_and_parameters_travel(void **state)
{
    tf_arena *arena = tf_arena_new(1024 * 1024);
    struct tf_error sent = {.code = TF_SALE_NOT_OPEN,
                            .field = "places[1]",
                            .detail = "说明",
                            .internal = "never leaves the process",
                            .params = {{"opens_time", "2026-11-22T11:30:00Z"}, {"field", "not the field"}},
                            .n_params = 2,
                            .retry_after_ms = 1500};
    struct tf_error got;
    size_t size;
    void *packed = tf_status_pack(arena, sent.code, &sent, &size);

    (void)state;
    assert_null(memmem(packed, size, "never leaves", 12));
    assert_true(tf_status_unpack(arena, packed, size, &got));
    assert_string_equal(got.field, "places[1]");
    assert_string_equal(got.detail, "说明");
    assert_null(got.internal);
    assert_int_equal(got.retry_after_ms, 1500);
    assert_int_equal(got.n_params, 2);
    assert_string_equal(got.params[0].name, "opens_time");
    assert_string_equal(got.params[0].value, "2026-11-22T11:30:00Z");
    assert_string_equal(got.params[1].name, "field");
    tf_arena_free(arena);
}

/* A handler may turn one failure into another; the words of the first do not fit the second. */
static void words_of_another_code_stay_here(void **state)
{
    tf_arena *arena = tf_arena_new(65536);
    struct tf_error recorded = {.code = TF_FIELD_INVALID, .field = "x"}, got;
    size_t size;
    void *packed = tf_status_pack(arena, TF_NOT_FOUND, &recorded, &size);

    (void)state;
    assert_true(tf_status_unpack(arena, packed, size, &got));
    assert_int_equal(got.code, TF_NOT_FOUND);
    assert_null(got.field);
    tf_arena_free(arena);
}

static void what_is_too_long_is_left_out(void **state)
{
    tf_arena *arena = tf_arena_new(1024 * 1024);
    struct tf_error sent = {.code = TF_FIELD_INVALID, .field = "name"}, got;
    char *longest = tf_arena_calloc(arena, 1, 5001), *large = tf_arena_calloc(arena, 1, 2001);
    size_t size;
    void *packed;

    (void)state;
    memset(longest, 'a', 5000);
    memset(large, 'b', 2000);
    sent.detail = longest;
    for (sent.n_params = 0; sent.n_params < TF_ERROR_PARAMS_MAX; sent.n_params++)
        sent.params[sent.n_params] = (struct tf_error_param){tf_arena_printf(arena, "p%zu", sent.n_params), large};
    packed = tf_status_pack(arena, sent.code, &sent, &size);
    assert_true(size < 8000); /* of 16 KiB of metadata */
    assert_true(tf_status_unpack(arena, packed, size, &got));
    assert_string_equal(got.field, "name");
    assert_null(got.detail);
    assert_true(got.n_params >= 2 && got.n_params < TF_ERROR_PARAMS_MAX);
    tf_arena_free(arena);
}

static void strangers_details_are_not_ours(void **state)
{
    static const struct {
        const char *name, *type_url, *domain, *reason;
    } rows[] = {
        {"another domain", "type.googleapis.com/google.rpc.ErrorInfo", "example.org", "SOLD_OUT"},
        {"another type", "type.googleapis.com/google.rpc.Help", "ticketflow", "SOLD_OUT"},
        {"a reason that we do not know", "type.googleapis.com/google.rpc.ErrorInfo", "ticketflow", "FROM_TOMORROW"},
        {"no reason", "type.googleapis.com/google.rpc.ErrorInfo", "ticketflow", ""},
        {"not an error", "type.googleapis.com/google.rpc.ErrorInfo", "ticketflow", "OK"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_arena *arena = tf_arena_new(65536);
        Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT, *details[] = {&any};
        Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
        struct tf_error got = {.code = TF_OK};
        size_t size;
        void *packed;

        info.reason = (char *)(uintptr_t)rows[i].reason;
        info.domain = (char *)(uintptr_t)rows[i].domain;
        any.type_url = (char *)(uintptr_t)rows[i].type_url;
        any.value.data = tf_pb_pack(arena, &info.base, &any.value.len);
        status.details = details;
        status.n_details = 1;
        packed = tf_pb_pack(arena, &status.base, &size);
        CHECK(rows[i].name, !tf_status_unpack(arena, packed, size, &got));
        CHECK(rows[i].name, got.code == TF_OK);
        tf_arena_free(arena);
    }
}

static void garbage_is_refused(void **state)
{
    tf_arena *arena = tf_arena_new(65536);
    struct tf_error got;

    (void)state;
    assert_false(tf_status_unpack(arena, "", 0, &got));
    assert_false(tf_status_unpack(arena, "\xff\xff\xff", 3, &got));
    assert_false(tf_status_unpack(arena, "\x1a\x03\x12\x01\xff", 5, &got)); /* a detail whose value is no message */
    tf_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_travels),
        cmocka_unit_test(words_and_parameters_travel),
        cmocka_unit_test(words_of_another_code_stay_here),
        cmocka_unit_test(what_is_too_long_is_left_out),
        cmocka_unit_test(strangers_details_are_not_ours),
        cmocka_unit_test(garbage_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
