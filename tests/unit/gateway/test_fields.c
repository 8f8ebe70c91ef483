/* Path, query and headers → fields of the request. */
#include "tests/unit/base/unit.h"

#include "common/base/macros.h"
#include "common/json/transcode.h"
#include "gateway/fields.h"
#include "ticketflow/order/v1/order.tf.h"
#include "ticketflow/pay/v1/pay.tf.h"
#include "ticketflow/program/v1/program.tf.h"

static struct gateway_match find(tf_ctx *ctx, const char *verb, const char *path)
{
    struct gateway_match match;

    if (gateway_route_find(ctx, gateway_routes, gateway_n_routes, verb, path, &match))
        fail_msg("%s %s has no route", verb, path);
    return match;
}

static void path_variables(void **state)
{
    static const struct {
        const char *name, *path;
        int64_t in_body;   /* order_no there */
        const char *field; /* at fault; NULL: none */
        int64_t want;
    } rows[] = {
        {"from the path", "/v1/orders/77:cancel", 0, NULL, 77},
        {"the body agrees", "/v1/orders/77:cancel", 77, NULL, 77},
        {"the body says otherwise", "/v1/orders/77:cancel", 78, "order_no", 0},
        {"the largest", "/v1/orders/9223372036854775807:cancel", 0, NULL, INT64_MAX},
        {"2^63", "/v1/orders/9223372036854775808:cancel", 0, "order_no", 0},
        {"words", "/v1/orders/seven:cancel", 0, "order_no", 0},
        {"a fraction", "/v1/orders/7.0:cancel", 0, "order_no", 0},
        {"an exponent", "/v1/orders/7e1:cancel", 0, "order_no", 0},
        {"hexadecimal", "/v1/orders/0x7:cancel", 0, "order_no", 0},
        {"an encoded blank", "/v1/orders/%207:cancel", 0, "order_no", 0},
        {"an encoded slash", "/v1/orders/7%2F8:cancel", 0, "order_no", 0},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        CancelOrderRequest *request;
        struct gateway_match match;
        tf_ctx ctx;
        tf_code code;

        tf_ctx_init(&ctx, "test", 0);
        match = find(&ctx, "POST", rows[i].path);
        request = (CancelOrderRequest *)tf_message_new(&ctx, &CancelOrderRequest_descriptor);
        request->order_no = rows[i].in_body;
        code = fields_set_path(&ctx, &match, &request->base);
        CHECK(rows[i].name, code == (rows[i].field ? TF_FIELD_INVALID : TF_OK));
        if (rows[i].field) CHECK_TEXT(rows[i].name, ctx.error.field, rows[i].field);
        if (!code) CHECK(rows[i].name, request->order_no == rows[i].want);
        tf_ctx_done(&ctx);
    }
}

static void text_variables(void **state)
{
    NotifyPaymentRequest *request;
    struct gateway_match match;
    tf_ctx ctx;

    (void)state;
    tf_ctx_init(&ctx, "test", 0);
    match = find(&ctx, "POST", "/v1/payments/notify/a%2Fb");
    request = (NotifyPaymentRequest *)tf_message_new(&ctx, &NotifyPaymentRequest_descriptor);
    assert_int_equal(fields_set_path(&ctx, &match, &request->base), TF_OK);
    assert_string_equal(request->channel, "a/b");
    tf_ctx_done(&ctx);
}

static void query_parameters(void **state)
{
    static const struct {
        const char *name, *query;
        const char *field; /* at fault; NULL: none */
        const char *city;
        int page_size;
    } rows[] = {
        {"none", "", NULL, "", 0},
        {"text", "city=Shanghai", NULL, "Shanghai", 0},
        {"number", "page_size=20", NULL, "", 20},
        {"lowerCamelCase", "pageSize=20&city=X", NULL, "X", 20},
        {"encoded", "city=%E4%B8%8A%E6%B5%B7", NULL, "上海", 0},
        {"plus is a blank", "city=New+York", NULL, "New York", 0},
        {"encoded name", "c%69ty=X", NULL, "X", 0},
        {"empty pieces", "&&city=X&", NULL, "X", 0},
        {"an equals sign in the value", "city=a=b", NULL, "a=b", 0},
        {"without a value", "city", NULL, "", 0},
        {"unknown", "town=X", "town", "", 0},
        {"no number", "page_size=many", "page_size", "", 0},
        {"an empty number", "page_size=", "page_size", "", 0},
        {"past 32 bits", "page_size=4294967297", "page_size", "", 0},
        {"twice", "city=X&city=Y", "city", "", 0},
        {"twice in two spellings", "page_size=1&pageSize=2", "pageSize", "", 0},
        {"malformed value", "city=%z", "city", "", 0},
        {"malformed name", "%z=1", "query", "", 0},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        ListProgramsRequest *request;
        struct gateway_match match;
        tf_ctx ctx;
        tf_code code;

        tf_ctx_init(&ctx, "test", 0);
        match = find(&ctx, "GET", "/v1/programs");
        request = (ListProgramsRequest *)tf_message_new(&ctx, &ListProgramsRequest_descriptor);
        code = fields_set_query(&ctx, match.route, rows[i].query, &request->base);
        CHECK(rows[i].name, code == (rows[i].field ? TF_FIELD_INVALID : TF_OK));
        if (rows[i].field) CHECK_TEXT(rows[i].name, ctx.error.field, rows[i].field);
        if (!code) CHECK_TEXT(rows[i].name, request->city, rows[i].city);
        if (!code) CHECK(rows[i].name, request->page_size == rows[i].page_size);
        tf_ctx_done(&ctx);
    }
}

/* What something else sets, a query does not. */
static void query_is_no_back_door(void **state)
{
    static const struct {
        const char *name, *verb, *path, *query;
    } rows[] = {
        {"the path's variable", "GET", "/v1/shows/5", "show_id=6"},
        {"the key", "POST", "/v1/orders", "request_id=abcdefgh"},
        {"a field of the body", "POST", "/v1/orders", "show_id=6"},
        {"the raw body", "POST", "/v1/payments/notify/sandbox", "notification=x"},
        {"inside the raw body", "POST", "/v1/payments/notify/sandbox", "notification.data=x"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct gateway_match match;
        tf_ctx ctx;

        tf_ctx_init(&ctx, "test", 0);
        match = find(&ctx, rows[i].verb, rows[i].path);
        CHECK(rows[i].name, fields_set_query(&ctx, match.route, rows[i].query,
                                             tf_message_new(&ctx, match.route->method->request)) == TF_FIELD_INVALID);
        tf_ctx_done(&ctx);
    }
}

static void too_many_parameters(void **state)
{
    struct gateway_match match;
    char query[1024] = "";
    tf_ctx ctx;

    (void)state;
    for (int i = 0; i < 65; i++)
        strcat(query, "city=&");
    tf_ctx_init(&ctx, "test", 0);
    match = find(&ctx, "GET", "/v1/programs");
    assert_int_equal(fields_set_query(&ctx, match.route, query, tf_message_new(&ctx, match.route->method->request)),
                     TF_FIELD_INVALID);
    tf_ctx_done(&ctx);
}

static void idempotency_key(void **state)
{
    static const struct {
        const char *name, *key, *body;
        const char *field; /* at fault; NULL: none */
    } rows[] = {
        {"given", "key-12345", "{}", NULL},
        {"missing", NULL, "{}", "Idempotency-Key"},
        {"short", "key-123", "{}", "Idempotency-Key"},
        {"a blank in it", "key 12345", "{}", "Idempotency-Key"},
        {"in the body too", "key-12345", "{\"request_id\":\"key-12345\"}", "request_id"},
        {"in the body alone", NULL, "{\"requestId\":\"key-12345\"}", "request_id"},
        {"empty in the body", "key-12345", "{\"request_id\":\"\"}", "request_id"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        ProtobufCMessage *message;
        struct gateway_match match;
        tf_ctx ctx;
        tf_code code;

        tf_ctx_init(&ctx, "test", 0);
        match = find(&ctx, "POST", "/v1/orders");
        assert_int_equal(
            tf_json_to_message(&ctx, match.route->method->request, rows[i].body, strlen(rows[i].body), NULL, &message),
            TF_OK);
        code = fields_set_key(&ctx, match.route, rows[i].key, message);
        CHECK(rows[i].name, code == (rows[i].field ? TF_FIELD_INVALID : TF_OK));
        if (rows[i].field) CHECK_TEXT(rows[i].name, ctx.error.field, rows[i].field);
        if (!code) CHECK_TEXT(rows[i].name, ((CreateOrderRequest *)message)->request_id, rows[i].key);
        tf_ctx_done(&ctx);
    }
}

static void content_types(void **state)
{
    static const struct {
        const char *name, *type;
        bool json;
    } rows[] = {
        {"plain", "application/json", true},
        {"upper case", "Application/JSON", true},
        {"charset", "application/json; charset=utf-8", true},
        {"charset in quotes", "application/json;charset=\"UTF-8\"", true},
        {"another parameter", "application/json; profile=x", true},
        {"none", NULL, false},
        {"empty", "", false},
        {"text", "text/plain", false},
        {"a form", "application/x-www-form-urlencoded", false},
        {"a longer name", "application/jsonp", false},
        {"a suffix", "application/problem+json", false},
        {"another charset", "application/json; charset=gbk", false},
        {"two types", "application/json, text/plain", false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, fields_type_is_json(rows[i].type) == rows[i].json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_variables),      cmocka_unit_test(text_variables),
        cmocka_unit_test(query_parameters),    cmocka_unit_test(query_is_no_back_door),
        cmocka_unit_test(too_many_parameters), cmocka_unit_test(idempotency_key),
        cmocka_unit_test(content_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
