/* Lines for people: entries of a timeline and orders. */
#include "tests/unit/with_ctx.h"
#include "tools/story/render.h"

static void test_entries(void **state)
{
    static const struct {
        const char *name, *entry, *line;
    } rows[] = {
        {"whole",
         "{\"time\":\"2026-11-22T10:00:00.123456Z\",\"text\":\"The order was paid\",\"process\":\"order-2\","
         "\"request_id\":\"r1\",\"facts\":[{\"name\":\"amount_minor\",\"value\":\"12005\"},{\"name\":\"currency\","
         "\"value\":\"CNY\"}]}",
         "2026-11-22T10:00:00.123456Z  The order was paid                                order-2    r1               "
         "                   amount=120.05  currency=CNY"},
        {"nothing known", "{}",
         "                                                                                                             "
         "                 "},
        {"a value that is no amount", "{\"time\":\"t\",\"facts\":[{\"name\":\"amount_minor\",\"value\":\"x\\ny\"}]}",
         "t                                                                                                            "
         "                 amount=x y"},
    };
    tf_ctx *ctx = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const char *error = NULL;
        tf_json *entry = tf_json_parse(ctx->arena, rows[i].entry, strlen(rows[i].entry), 0, &error);

        CHECK(entry, rows[i].name);
        if (strcmp(render_entry(ctx->arena, entry), rows[i].line) != 0)
            fail_msg("%s: \"%s\"", rows[i].name, render_entry(ctx->arena, entry));
        tf_json_free(entry);
    }
}

static void test_orders(void **state)
{
    static const char order[] =
        "{\"order_no\":\"17\",\"state\":\"ORDER_STATE_PAID\",\"local_start\":\"2026-12-01T19:30\","
        "\"total_minor\":\"5\",\"currency\":\"CNY\",\"title\":\"Swan\\u0007Lake\","
        "\"places_text\":\"Stalls, row 1\"}";
    tf_ctx *ctx = *state;
    const char *error = NULL;
    tf_json *json = tf_json_parse(ctx->arena, order, strlen(order), 0, &error);

    assert_non_null(json);
    assert_string_equal(render_order(ctx->arena, json),
                        "17                    ORDER_STATE_PAID          2026-12-01T19:30  "
                        "         0.05 CNY  Swan Lake  Stalls, row 1");
    tf_json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_entries), TEST(test_orders)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
