/* Problem documents: every reason in both languages, and what gets in besides. */
#include "tests/unit/base/unit.h"

#include "common/base/macros.h"
#include "common/json/json.h"
#include "gateway/problem.h"

#include <stdio.h>

/* The document as parsed JSON; the caller frees it. */
static tf_json *write_and_parse(tf_arena *arena, tf_code code, const struct tf_error *error, const char *language)
{
    const char *why = NULL;
    tf_json *json;
    tf_buf out;

    tf_buf_init(&out, 65536);
    problem_write(&out, code, error, language, "request-1");
    assert_false(out.broken);
    json = tf_json_parse(arena, out.data, out.size, 0, &why);
    if (!json) fail_msg("%s: %s", tf_code_info(code)->reason, why);
    tf_buf_done(&out);
    return json;
}

static const char *text(const tf_json *json, const char *name)
{
    return tf_json_string(tf_json_get(json, name), NULL);
}

static void every_reason_in_both_languages(void **state)
{
    static const struct tf_error nothing;

    (void)state;
    for (int code = TF_OK + 1; code < TF_CODES; code++)
        for (int chinese = 0; chinese < 2; chinese++) {
            const struct tf_code_info *info = tf_code_info((tf_code)code);
            tf_arena *arena = tf_arena_new(1 << 20);
            tf_json *json = write_and_parse(arena, (tf_code)code, &nothing, chinese ? "zh-CN" : "en");
            char type[64];

            snprintf(type, sizeof type, "/errors/%s", info->reason);
            CHECK_TEXT(info->reason, text(json, "type"), type);
            CHECK_TEXT(info->reason, text(json, "reason"), info->reason);
            CHECK_TEXT(info->reason, text(json, "title"), chinese ? info->zh : info->en);
            CHECK_TEXT(info->reason, text(json, "request_id"), "request-1");
            CHECK(info->reason, tf_json_int(tf_json_get(json, "status"), 0) == info->http_status);
            CHECK(info->reason, tf_json_bool(tf_json_get(json, "retryable"), false) == (info->retry != TF_RETRY_NO));
            CHECK(info->reason, tf_json_size(json) == 6);
            tf_json_free(json);
            tf_arena_free(arena);
        }
}

static void what_an_error_carries(void **state)
{
    const struct tf_error error = {
        .code = TF_LIMIT_EXCEEDED,
        .field = "choices[0].count",
        .detail = "At most 6.",
        .internal = "secret",
        .params = {{"limit", "6"}, {"status", "999"}},
        .n_params = 2,
        .retry_after_ms = 1500,
    };
    tf_arena *arena = tf_arena_new(1 << 20);
    tf_json *json = write_and_parse(arena, TF_LIMIT_EXCEEDED, &error, "en");

    (void)state;
    CHECK_TEXT("field", text(json, "field"), "choices[0].count");
    CHECK_TEXT("detail", text(json, "detail"), "At most 6.");
    CHECK_TEXT("parameter", text(json, "limit"), "6");
    assert_int_equal(tf_json_int(tf_json_get(json, "status"), 0), 409); /* a parameter replaces no member of ours */
    assert_int_equal(tf_json_int(tf_json_get(json, "retry_after_ms"), 0), 1500);
    for (size_t i = 0; i < tf_json_size(json); i++) {
        const tf_json *value;

        tf_json_member(json, i, &value);
        assert_string_not_equal(tf_json_string(value, ""), "secret");
    }
    tf_json_free(json);

    json = write_and_parse(arena, TF_INTERNAL, &(struct tf_error){.code = TF_INTERNAL, .detail = "stack", .field = "x"},
                           "en");
    assert_null(text(json, "detail"));
    assert_null(text(json, "field"));
    tf_json_free(json);

    json = write_and_parse(arena, TF_FIELD_INVALID,
                           &(struct tf_error){.code = TF_FIELD_INVALID, .detail = "d", .field = ""}, "en");
    CHECK_TEXT("detail", text(json, "detail"), "d");
    assert_null(text(json, "field")); /* the whole document has no name */
    tf_json_free(json);

    json = write_and_parse(arena, TF_NOT_FOUND, &error, "en"); /* another error's words */
    assert_null(text(json, "limit"));
    tf_json_free(json);
    tf_arena_free(arena);
}

static void retry_after(void **state)
{
    static const struct {
        const char *name;
        tf_code code;
        int ms, want;
    } rows[] = {
        {"rounded up", TF_SALE_NOT_OPEN, 1, 1},       {"whole", TF_SALE_NOT_OPEN, 2000, 2},
        {"a little more", TF_SALE_NOT_OPEN, 2001, 3}, {"nothing said", TF_SALE_NOT_OPEN, 0, 0},
        {"busy without a hint", TF_OVERLOADED, 0, 1}, {"limited without a hint", TF_RATE_LIMITED, 0, 1},
        {"busy with a hint", TF_OVERLOADED, 5000, 5}, {"final", TF_SOLD_OUT, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_error error = {.code = rows[i].code, .retry_after_ms = rows[i].ms};

        CHECK(rows[i].name, problem_retry_after_s(rows[i].code, &error) == rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_reason_in_both_languages),
                                       cmocka_unit_test(what_an_error_carries), cmocka_unit_test(retry_after)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
