/* Which route a request means, on the table that the contracts gave. */
#include "tests/unit/base/unit.h"

#include "common/base/macros.h"
#include "gateway/routes.h"

static void requests_find_their_route(void **state)
{
    static const struct {
        const char *name, *verb, *path;
        tf_code code;
        const char *method;   /* of the route found */
        const char *variable; /* the last segment's text */
        const char *allow;
    } rows[] = {
        {"literal", "GET", "/v1/orders", TF_OK, "ListOrders", "orders", "GET, HEAD, POST, OPTIONS"},
        {"other verb of the same path", "POST", "/v1/orders", TF_OK, "CreateOrder", "orders", NULL},
        {"variable", "GET", "/v1/orders/77", TF_OK, "GetOrder", "77", "GET, HEAD, OPTIONS"},
        {"HEAD is GET", "HEAD", "/v1/orders/77", TF_OK, "GetOrder", "77", NULL},
        {"custom verb", "POST", "/v1/orders/77:cancel", TF_OK, "CancelOrder", "77", "POST, OPTIONS"},
        {"custom verb behind a literal", "POST", "/v1/sessions:refresh", TF_OK, "RefreshSession", "sessions", NULL},
        {"two variables and a custom verb", "POST", "/v1/orders/7/payments/8:check", TF_OK, "CheckPayment", "8", NULL},
        {"literal before variable", "DELETE", "/v1/sessions/current", TF_OK, "DeleteCurrentSession", "current", NULL},
        {"text variable", "POST", "/v1/payments/notify/sandbox", TF_OK, "NotifyPayment", "sandbox", NULL},
        {"encoded letter in a literal", "GET", "/v1/%6Frders", TF_OK, "ListOrders", "orders", NULL},
        {"encoded slash stays in its segment", "POST", "/v1/payments/notify/a%2Fb", TF_OK, "NotifyPayment", "a/b",
         NULL},
        {"encoded colon is text", "POST", "/v1/payments/notify/a%3Ab", TF_OK, "NotifyPayment", "a:b", NULL},
        {"encoded UTF-8", "POST", "/v1/payments/notify/%E7%A5%A8", TF_OK, "NotifyPayment", "票", NULL},
        {"plus is a plus", "POST", "/v1/payments/notify/a+b", TF_OK, "NotifyPayment", "a+b", NULL},
        {"unknown path", "GET", "/v1/nothing", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"internal RPCs have no path", "POST", "/ticketflow.order.v1.OrderService/GetPayable", TF_METHOD_UNKNOWN, NULL,
         NULL, ""},
        {"wrong verb", "DELETE", "/v1/orders", TF_METHOD_NOT_ALLOWED, NULL, NULL, "GET, HEAD, POST, OPTIONS"},
        {"invented verb", "BREW", "/v1/orders", TF_METHOD_NOT_ALLOWED, NULL, NULL, "GET, HEAD, POST, OPTIONS"},
        {"OPTIONS", "OPTIONS", "/v1/sessions/current", TF_METHOD_NOT_ALLOWED, NULL, NULL, "DELETE, OPTIONS"},
        {"GET of a custom verb", "GET", "/v1/orders/7:cancel", TF_METHOD_NOT_ALLOWED, NULL, NULL, "POST, OPTIONS"},
        {"unknown custom verb", "POST", "/v1/orders/7:eat", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"empty custom verb", "POST", "/v1/orders/7:", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"custom verb without its segment", "POST", "/v1/orders/:cancel", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"trailing slash", "GET", "/v1/orders/", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"double slash", "GET", "//v1/orders", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"root", "GET", "/", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"asterisk", "OPTIONS", "*", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"dot segment", "GET", "/v1/./orders", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"two dots", "GET", "/v1/x/../orders", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"dots as a variable", "GET", "/v1/orders/..", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"encoded dots", "GET", "/v1/orders/%2e%2E", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"encoded slash does not split", "GET", "/v1%2Forders", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"upper case", "GET", "/V1/orders", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"too many segments", "GET", "/v1/1/2/3/4/5/6/7/8/9", TF_METHOD_UNKNOWN, NULL, NULL, ""},
        {"bad percent", "GET", "/v1/orders/%zz", TF_FIELD_INVALID, NULL, NULL, ""},
        {"cut percent", "GET", "/v1/orders/%2", TF_FIELD_INVALID, NULL, NULL, ""},
        {"encoded NUL", "GET", "/v1/orders/%00", TF_FIELD_INVALID, NULL, NULL, ""},
        {"encoded bytes that are no UTF-8", "GET", "/v1/orders/%ff", TF_FIELD_INVALID, NULL, NULL, ""},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct gateway_match match;
        tf_ctx ctx;
        tf_code code;

        tf_ctx_init(&ctx, "test", 0);
        code = gateway_route_find(&ctx, gateway_routes, gateway_n_routes, rows[i].verb, rows[i].path, &match);
        CHECK(rows[i].name, code == rows[i].code);
        CHECK(rows[i].name, ctx.error.code == rows[i].code);
        CHECK(rows[i].name, !match.route == !rows[i].method);
        if (rows[i].method) {
            CHECK_TEXT(rows[i].name, match.route->method->name, rows[i].method);
            CHECK_TEXT(rows[i].name, match.values[match.route->n_segments - 1], rows[i].variable);
        }
        if (rows[i].allow) CHECK_TEXT(rows[i].name, match.allow, rows[i].allow);
        tf_ctx_done(&ctx);
    }
}

static void the_table_is_sound(void **state)
{
    (void)state;
    assert_true(gateway_n_routes > 30);
    for (size_t i = 0; i < gateway_n_routes; i++) {
        const struct gateway_route *route = &gateway_routes[i];

        CHECK(route->name, route->method->access != TF_ACCESS_INTERNAL && route->method->access != 0);
        CHECK(route->name, route->n_segments <= GATEWAY_SEGMENTS_MAX && route->n_parameters <= 64);
        CHECK(route->name, !strchr(route->path, ':') == !route->custom);
    }
}

/* Every verb once, HEAD with GET; what the generated table holds. */
static void what_the_server_offers(void **state)
{
    struct gateway_match match;

    (void)state;
    gateway_route_verbs(gateway_routes, gateway_n_routes, &match);
    for (size_t i = 0; i < gateway_n_routes; i++)
        assert_non_null(strstr(match.allow, gateway_routes[i].verb));
    assert_null(match.route);
    gateway_route_verbs(gateway_routes, 0, &match);
    assert_string_equal(match.allow, "OPTIONS");
    gateway_route_verbs(&(struct gateway_route){.verb = "GET"}, 1, &match);
    assert_string_equal(match.allow, "GET, HEAD, OPTIONS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_the_server_offers),
                                       cmocka_unit_test(requests_find_their_route),
                                       cmocka_unit_test(the_table_is_sound)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
