/* What answers say, by a table: an acknowledgement must say all that it acknowledges. */
#include "tools/load/said.h"

#include "common/base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define ORDER(members) "{\"order\":{" members "}}"
#define NUMBER         "\"order_no\":\"4711\""
#define STATE          "\"state\":\"ORDER_STATE_PENDING_PAYMENT\""
#define TICKETS        "\"tickets\":[{\"place_no\":7},{\"place_no\":8}]"

static int make_arena(void **state)
{
    *state = tf_arena_new(1 << 20);
    return *state ? 0 : -1;
}

static int free_arena(void **state)
{
    tf_arena_free(*state);
    return 0;
}

static const struct {
    const char *name;
    enum op op;
    const char *body;
    bool ok;
} rows[] = {
    {"order", OP_ORDER, ORDER(NUMBER "," STATE "," TICKETS), true},
    {"cancelled", OP_CANCEL, ORDER(NUMBER "," STATE "," TICKETS ",\"new_member\":[1]"), true},
    {"without a number", OP_ORDER, ORDER(STATE "," TICKETS), false},
    {"without a state", OP_GET, ORDER(NUMBER "," TICKETS), false},
    {"without tickets", OP_ORDER, ORDER(NUMBER "," STATE), false},
    {"with no ticket", OP_ORDER, ORDER(NUMBER "," STATE ",\"tickets\":[]"), false},
    {"a ticket without its place", OP_ORDER, ORDER(NUMBER "," STATE ",\"tickets\":[{}]"), false},
    {"a place that is none", OP_ORDER, ORDER(NUMBER "," STATE ",\"tickets\":[{\"place_no\":-1}]"), false},
    {"a place beyond 32 bits", OP_ORDER, ORDER(NUMBER "," STATE ",\"tickets\":[{\"place_no\":4294967303}]"), false},
    {"number zero", OP_ORDER, ORDER("\"order_no\":\"0\"," STATE "," TICKETS), false},
    {"number below", OP_ORDER, ORDER("\"order_no\":\"-4711\"," STATE "," TICKETS), false},
    {"number beyond 64 bits", OP_ORDER, ORDER("\"order_no\":\"9223372036854775808\"," STATE "," TICKETS), false},
    {"number as a number", OP_ORDER, ORDER("\"order_no\":4711," STATE "," TICKETS), false},
    {"number twice", OP_ORDER, ORDER(NUMBER "," NUMBER "," STATE "," TICKETS), false},
    {"cut off", OP_ORDER, "{\"order\":{" NUMBER "," STATE "," TICKETS "}", false},
    {"something after it", OP_ORDER, ORDER(NUMBER "," STATE "," TICKETS) "x", false},
    {"another document", OP_ORDER, "[]", false},
    {"nothing", OP_ORDER, "", false},
    {"payment", OP_PAY, "{\"payment\":{\"pay_url\":\"http://127.0.0.1:1/pay/x\"}}", true},
    {"payment without a page", OP_PAY, "{\"payment\":{}}", false},
    {"payment with an empty page", OP_PAY, "{\"payment\":{\"pay_url\":\"\"}}", false},
    {"a page", OP_PRESS, "<html>", true},
};

static void test_acknowledgements(void **state)
{
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct said said;

        if (said_ok(*state, rows[i].op, rows[i].body, strlen(rows[i].body), &said) != rows[i].ok)
            fail_msg("%s: %s", rows[i].name, rows[i].ok ? "refused" : "accepted");
    }
}

static void test_an_order(void **state)
{
    struct said said;

    assert_true(said_ok(*state, OP_ORDER, rows[0].body, strlen(rows[0].body), &said));
    assert_int_equal(said.order_no, 4711);
    assert_string_equal(said.state, "ORDER_STATE_PENDING_PAYMENT");
    assert_int_equal(said.n_places, 2);
    assert_int_equal(said.places[0], 7);
    assert_int_equal(said.places[1], 8);
}

static void test_too_many_places(void **state)
{
    char body[1024] = "{\"order\":{" NUMBER "," STATE ",\"tickets\":[{\"place_no\":0}";
    struct said said;

    for (int i = 1; i <= PLACES_MAX; i++)
        snprintf(body + strlen(body), sizeof body - strlen(body), ",{\"place_no\":%d}", i);
    strcat(body, "]}}");
    assert_false(said_ok(*state, OP_ORDER, body, strlen(body), &said));
}

static const struct {
    const char *body;
    int retry_after_s;
    const char *reason; /* NULL: none */
    int64_t retry_after_ms;
} problems[] = {
    {"{\"reason\":\"SOLD_OUT\"}", 0, "SOLD_OUT", 0},
    {"{\"reason\":\"OVERLOADED\",\"retry_after_ms\":250}", 1, "OVERLOADED", 250},
    {"{\"reason\":\"STORE_DOWN\"}", 2, "STORE_DOWN", 2000},
    {"{\"reason\":\"STORE_DOWN\",\"retry_after_ms\":-9}", 2, "STORE_DOWN", 2000},
    {"{\"reason\":7}", 0, NULL, 0},
    {"<html>Bad gateway</html>", 3, NULL, 3000},
    {"", 0, NULL, 0},
};

static void test_problems(void **state)
{
    for (size_t i = 0; i < TF_COUNT(problems); i++) {
        struct said said;

        said_problem(*state, problems[i].body, strlen(problems[i].body), problems[i].retry_after_s, &said);
        assert_int_equal(said.retry_after_ms, problems[i].retry_after_ms);
        if (problems[i].reason)
            assert_string_equal(said.reason, problems[i].reason);
        else
            assert_null(said.reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_acknowledgements, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(test_an_order, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(test_too_many_places, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(test_problems, make_arena, free_arena),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
