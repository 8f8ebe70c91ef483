/* One call from end to end: what travels there and back, and who is let in. */
#include "tests/unit/rpc/echo.h"
#include "tests/unit/rpc/raw.h"

static struct echo_server server;
static tf_rpc_client *gateway, *order;

static int start(void **state)
{
    const char *address = server.app.address;

    (void)state;
    echo_server_init(&server);
    server.config.message_max = 64 * 1024;
    server.config.arena_max = 256 * 1024;
    echo_server_start(&server);
    gateway = echo_client("gateway", &address, 1);
    order = echo_client("order", &address, 1);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tf_rpc_client_free(gateway);
    tf_rpc_client_free(order);
    echo_server_stop(&server, 1000);
    return 0;
}

static void context_travels(void **state)
{
    static const char traceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct echo_call call;

    (void)state;
    echo_init(&call);
    call.request.text = (char *)"你好";
    call.ctx.language = "zh-CN";
    call.ctx.attempt = 3;
    call.ctx.traceparent = traceparent;
    call.ctx.identity.user_id = 42;
    call.ctx.identity.roles = TF_ROLE_ORGANISER_ADMIN;
    call.ctx.identity.organiser_id = 9;
    assert_int_equal(echo_run(&call, gateway, call_echo), TF_OK);
    assert_string_equal(call.response->text, "你好");
    assert_string_equal(call.response->caller, "gateway");
    assert_int_equal(call.response->user_id, 42);
    assert_int_equal(call.response->roles, TF_ROLE_ORGANISER_ADMIN);
    assert_int_equal(call.response->organiser_id, 9);
    assert_string_equal(call.response->request_id, "request-of-a-test");
    assert_string_equal(call.response->language, "zh-CN");
    assert_int_equal(call.response->attempt, 3);
    assert_string_equal(call.response->traceparent, traceparent);
    assert_false(call.response->internal);
    assert_true(call.response->left_us > 4 * TF_US_PER_S && call.response->left_us <= 5 * TF_US_PER_S);
    echo_done(&call);
}

static void what_is_malformed_is_made_up_or_dropped(void **state)
{
    static const struct {
        const char *name, *request_id, *traceparent, *language;
    } rows[] = {
        {"empty id", "", "00-short", "fr"},
        {"blank in the id", "a b", NULL, ""},
        {"id that is too long", "0123456789012345678901234567890123456789012345678901234567890123456789", NULL,
         "zh-Hant-TW-x"},
        {"control character", "a\nb", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "\x01"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct echo_call call;

        echo_init(&call);
        call.ctx.request_id = rows[i].request_id;
        call.ctx.traceparent = rows[i].traceparent;
        call.ctx.language = rows[i].language;
        CHECK(rows[i].name, echo_run(&call, gateway, call_echo) == TF_OK);
        CHECK(rows[i].name, strlen(call.response->request_id) == 32);
        CHECK_TEXT(rows[i].name, call.response->traceparent, "");
        CHECK_TEXT(rows[i].name, call.response->language, "zh-CN");
        echo_done(&call);
    }
}

/* Row: who, and what each kind of method answers. */
static void access_by_declaration(void **state)
{
    static const struct {
        const char *name;
        bool from_order; /* else from the gateway */
        struct tf_identity who;
        tf_code public, buyer, internal, operator, buyer_or_internal;
    } rows[] = {
        {"nobody",
         false,
         {.caller = "gateway"},
         TF_OK,
         TF_UNAUTHENTICATED,
         TF_FORBIDDEN,
         TF_UNAUTHENTICATED,
         TF_UNAUTHENTICATED},
        {"buyer", false, {.caller = "gateway", .user_id = 1}, TF_OK, TF_OK, TF_FORBIDDEN, TF_FORBIDDEN, TF_OK},
        {"scanner",
         false,
         {.caller = "gateway", .user_id = 1, .roles = TF_ROLE_SCANNER},
         TF_OK,
         TF_OK,
         TF_FORBIDDEN,
         TF_FORBIDDEN,
         TF_OK},
        {"organiser",
         false,
         {.caller = "gateway", .user_id = 1, .roles = TF_ROLE_ORGANISER_ADMIN},
         TF_OK,
         TF_OK,
         TF_FORBIDDEN,
         TF_OK,
         TF_OK},
        {"platform",
         false,
         {.caller = "gateway", .user_id = 1, .roles = TF_ROLE_PLATFORM_OPERATOR},
         TF_OK,
         TF_OK,
         TF_FORBIDDEN,
         TF_OK,
         TF_OK},
        {"role without a user",
         false,
         {.caller = "gateway", .roles = TF_ROLE_PLATFORM_OPERATOR},
         TF_OK,
         TF_UNAUTHENTICATED,
         TF_FORBIDDEN,
         TF_UNAUTHENTICATED,
         TF_UNAUTHENTICATED},
        {"gateway that claims to be internal",
         false,
         {.caller = "gateway", .internal = true},
         TF_OK,
         TF_UNAUTHENTICATED,
         TF_FORBIDDEN,
         TF_UNAUTHENTICATED,
         TF_UNAUTHENTICATED},
        {"order by itself", true, {.caller = ""}, TF_OK, TF_UNAUTHENTICATED, TF_OK, TF_UNAUTHENTICATED, TF_OK},
        {"order for a buyer", true, {.caller = "gateway", .user_id = 1}, TF_OK, TF_OK, TF_OK, TF_FORBIDDEN, TF_OK},
        {"order for nobody in particular",
         true,
         {.caller = "gateway"},
         TF_OK,
         TF_UNAUTHENTICATED,
         TF_OK,
         TF_UNAUTHENTICATED,
         TF_UNAUTHENTICATED},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const struct {
            echo_caller method;
            tf_code code;
        } calls[] = {{call_echo, rows[i].public}, {call_echo_buyer, rows[i].buyer},
                     {call_echo_process, rows[i].internal},
                     {call_echo_operator, rows[i].operator}, {call_echo_buyer_or_process, rows[i].buyer_or_internal}};

        for (size_t k = 0; k < TF_COUNT(calls); k++) {
            struct echo_call call;
            tf_code code;

            echo_init(&call);
            call.ctx.identity = rows[i].who;
            code = echo_run(&call, rows[i].from_order ? order : gateway, calls[k].method);
            if (code != calls[k].code)
                fail_msg("%s, method %zu: %s, not %s", rows[i].name, k, tf_code_info(code)->reason,
                         tf_code_info(calls[k].code)->reason);
            echo_done(&call);
        }
    }
}

static void a_service_may_speak_for_itself_in_a_users_call(void **state)
{
    struct echo_call call;

    (void)state;
    echo_init(&call);
    call.ctx.identity.user_id = 1;
    assert_int_equal(echo_run(&call, order, call_echo_buyer_or_process_internal), TF_OK);
    assert_true(call.response->internal);
    assert_int_equal(call.response->user_id, 0);
    assert_string_equal(call.response->caller, "order");
    echo_done(&call);
}

static void error_details_travel(void **state)
{
    EchoRequest_ParamsEntry left = EchoRequest_ParamsEntry_init, sold = EchoRequest_ParamsEntry_init;
    EchoRequest_ParamsEntry *params[] = {&left, &sold};
    struct echo_call call;

    (void)state;
    left.key = (char *)"left";
    left.value = (char *)"2";
    sold.key = (char *)"门票";
    sold.value = (char *)"已售罄\n";
    echo_init(&call);
    call.request.reason = (char *)"LIMIT_EXCEEDED";
    call.request.field = (char *)"places[1]";
    call.request.detail = (char *)"two at most";
    call.request.retry_after_ms = 250;
    call.request.params = params;
    call.request.n_params = TF_COUNT(params);
    assert_int_equal(echo_run(&call, gateway, call_echo), TF_LIMIT_EXCEEDED);
    assert_null(call.response);
    assert_int_equal(call.ctx.error.code, TF_LIMIT_EXCEEDED);
    assert_string_equal(call.ctx.error.field, "places[1]");
    assert_string_equal(call.ctx.error.detail, "two at most");
    assert_int_equal(call.ctx.error.retry_after_ms, 250);
    assert_int_equal(call.ctx.error.n_params, 2);
    assert_string_equal(call.ctx.error.params[0].name, "left");
    assert_string_equal(call.ctx.error.params[0].value, "2");
    assert_string_equal(call.ctx.error.params[1].name, "门票");
    assert_string_equal(call.ctx.error.params[1].value, "已售罄\n");
    assert_non_null(strstr(call.ctx.error.internal, "echo Echo at 127.0.0.1"));
    assert_null(strstr(call.ctx.error.internal, "secret of the log"));
    echo_done(&call);
}

static void the_first_error_wins(void **state)
{
    struct echo_call call;

    (void)state;
    echo_init(&call);
    assert_int_equal(tf_fail_field(&call.ctx, "first", "was here"), TF_FIELD_INVALID);
    call.request.reason = (char *)"SOLD_OUT";
    call.request.field = (char *)"second";
    assert_int_equal(echo_run(&call, gateway, call_echo), TF_FIELD_INVALID);
    assert_string_equal(call.ctx.error.field, "first");
    echo_done(&call);
}

static void tokens_that_do_not_pass(void **state)
{
    static const struct tf_identity_key other = {.secret = "some other installation's key...", .size = 32};
    static const struct tf_identity who = {.caller = "gateway", .user_id = 1};
    tf_arena *arena = tf_arena_new(65536);
    size_t good_size, forged_size, elsewhere_size, old_size;
    char *good = tf_identity_seal(arena, &echo_key, &who, "echo", tf_now_us(), &good_size);
    char *forged = tf_identity_seal(arena, &other, &who, "echo", tf_now_us(), &forged_size);
    char *elsewhere = tf_identity_seal(arena, &echo_key, &who, "order", tf_now_us(), &elsewhere_size);
    char *old = tf_identity_seal(arena, &echo_key, &who, "echo", tf_now_us() - 60 * TF_US_PER_S, &old_size);
    const struct {
        const char *name, *token;
        size_t size;
        int status;
    } rows[] = {
        {"good", good, good_size, TF_GRPC_OK},
        {"none", NULL, 0, TF_GRPC_UNAUTHENTICATED},
        {"truncated", good, good_size - 1, TF_GRPC_UNAUTHENTICATED},
        {"forged", forged, forged_size, TF_GRPC_UNAUTHENTICATED},
        {"for another service", elsewhere, elsewhere_size, TF_GRPC_UNAUTHENTICATED},
        {"old", old, old_size, TF_GRPC_UNAUTHENTICATED},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct raw_answer answer;

        raw_call(&(struct raw_request){.address = server.app.address,
                                       .path = echo_method.path,
                                       .token = rows[i].token,
                                       .token_size = rows[i].size},
                 &answer);
        if (answer.status != rows[i].status) fail_msg("%s: status %d", rows[i].name, answer.status);
        CHECK(rows[i].name, answer.details == (rows[i].status != TF_GRPC_OK));
    }
    tf_arena_free(arena);
}

static void malformed_requests_are_the_callers_fault(void **state)
{
    static const struct {
        const char *name, *data;
        size_t size;
    } rows[] = {
        {"not a message", "\xff\xff\xff", 3},
        {"string that is not UTF-8", "\x0a\x01\xff", 3},
        {"cut off", "\x0a\x09", 2},
    };
    static const struct tf_identity who = {.caller = "gateway"};
    tf_arena *arena = tf_arena_new(65536);
    size_t size;
    void *token = tf_identity_seal(arena, &echo_key, &who, "echo", tf_now_us(), &size);
    int began = atomic_load(&server.app.began);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct raw_answer answer;

        raw_call(&(struct raw_request){.address = server.app.address,
                                       .path = echo_method.path,
                                       .token = token,
                                       .token_size = size,
                                       .payload = rows[i].data,
                                       .payload_size = rows[i].size},
                 &answer);
        CHECK(rows[i].name, answer.status == TF_GRPC_INVALID_ARGUMENT && answer.details);
    }
    assert_int_equal(atomic_load(&server.app.began), began);
    tf_arena_free(arena);
}

static void unknown_methods_are_refused_at_once(void **state)
{
    static const char *const paths[] = {"/ticketflow.echo.v1.EchoService/NoSuchCall", "/no.such.Service/Call", "/x",
                                        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(paths); i++) {
        struct raw_answer answer;

        raw_call(&(struct raw_request){.address = server.app.address, .path = paths[i]}, &answer);
        CHECK(paths[i], answer.status == TF_GRPC_UNIMPLEMENTED);
        CHECK(paths[i], answer.took_ms < 2000);
    }
}

static void an_unknown_method_is_METHOD_UNKNOWN_to_our_client(void **state)
{
    struct tf_rpc_method method = echo_method;
    struct echo_call call;

    (void)state;
    method.path = "/ticketflow.echo.v1.EchoService/FromTomorrow";
    echo_init(&call);
    echo_start(&call, gateway, &method);
    echo_wait(&call);
    assert_int_equal(call.code, TF_METHOD_UNKNOWN);
    echo_done(&call);
}

static void large_messages(void **state)
{
    static const struct {
        const char *name;
        size_t text;
        int64_t use;
        tf_code code;
    } rows[] = {
        {"fits", 60 * 1024, 0, TF_OK},
        {"past the server's limit", 70 * 1024, 0, TF_TOO_LARGE},
        {"handler that uses up its memory", 10, 300 * 1024, TF_INTERNAL},
        {"the server is well", 10, 0, TF_OK},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct echo_call call;

        echo_init(&call);
        call.request.text = tf_arena_calloc(call.ctx.arena, 1, rows[i].text + 1);
        memset(call.request.text, 'a', rows[i].text);
        call.request.use_bytes = rows[i].use;
        echo_run(&call, gateway, call_echo);
        if (call.code != rows[i].code) fail_msg("%s: %s", rows[i].name, tf_code_info(call.code)->reason);
        if (!call.code) CHECK(rows[i].name, strlen(call.response->text) == rows[i].text);
        echo_done(&call);
    }
}

/* Small on the wire, large when decoded. */
static void decoding_stops_at_the_ceiling(void **state)
{
    EchoPart part = EchoPart_init;
    struct echo_call call;

    (void)state;
    echo_init(&call);
    call.request.n_parts = 30000;
    call.request.parts = tf_arena_calloc(call.ctx.arena, call.request.n_parts, sizeof(*call.request.parts));
    for (size_t i = 0; i < call.request.n_parts; i++)
        call.request.parts[i] = &part;
    assert_int_equal(echo_run(&call, gateway, call_echo), TF_TOO_LARGE);
    echo_done(&call);
}

static void the_answer_must_fit_the_callers_memory(void **state)
{
    struct echo_call call;
    char text[3000];

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    echo_init(&call);
    tf_arena_free(call.ctx.arena);
    call.ctx.arena = tf_arena_new(2000);
    call.request.text = text;
    assert_int_equal(echo_run(&call, gateway, call_echo), TF_INTERNAL);
    echo_done(&call);
}

/* ---- deadlines -------------------------------------------------------------------------------------------------- */

static void deadlines(void **state)
{
    static const struct {
        const char *name;
        int timeout_ms, work_ms;
        bool brief; /* the method with a ceiling of 300 ms */
        tf_code code;
        int left_min_ms, left_max_ms, took_max_ms;
    } rows[] = {
        {"the caller's", 2000, 0, false, TF_OK, 1500, 2000, 1000},
        {"none of the caller's: the method's", 0, 0, false, TF_OK, 4500, 5000, 1000},
        {"the method's is sooner", 2000, 0, true, TF_OK, 100, 300, 1000},
        {"the caller's passes", 150, 5000, false, TF_DEADLINE, 0, 0, 2000},
        {"the method's passes", 5000, 5000, true, TF_DEADLINE, 0, 0, 2000},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct echo_call call;
        int64_t began;

        echo_init(&call);
        tf_ctx_reset(&call.ctx, rows[i].timeout_ms * TF_US_PER_MS);
        call.request.work_ms = rows[i].work_ms;
        began = echo_ms();
        echo_run(&call, gateway, rows[i].brief ? call_echo_short : call_echo);
        CHECK(rows[i].name, call.code == rows[i].code);
        CHECK(rows[i].name, echo_ms() - began < rows[i].took_max_ms);
        if (!call.code) {
            CHECK(rows[i].name, call.response->left_us >= rows[i].left_min_ms * TF_US_PER_MS);
            /* The wire rounds timeouts up, by a few per cent at most. */
            CHECK(rows[i].name, call.response->left_us <= rows[i].left_max_ms * TF_US_PER_MS * 105 / 100);
        }
        echo_done(&call);
    }
}

static void a_deadline_that_has_passed_sends_nothing(void **state)
{
    struct echo_call call;
    int began = atomic_load(&server.app.began);

    (void)state;
    echo_init(&call);
    tf_ctx_reset(&call.ctx, 1);
    echo_sleep_ms(2);
    assert_int_equal(echo_run(&call, gateway, call_echo), TF_DEADLINE);
    assert_int_equal(atomic_load(&server.app.began), began);
    echo_done(&call);
}

static void outside_a_call_nobody_goes_away(void **state)
{
    tf_ctx ctx;

    (void)state;
    tf_ctx_init(&ctx, "none", 0);
    assert_false(tf_rpc_cancelled(&ctx));
    tf_ctx_done(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_travels),
        cmocka_unit_test(what_is_malformed_is_made_up_or_dropped),
        cmocka_unit_test(access_by_declaration),
        cmocka_unit_test(a_service_may_speak_for_itself_in_a_users_call),
        cmocka_unit_test(error_details_travel),
        cmocka_unit_test(the_first_error_wins),
        cmocka_unit_test(tokens_that_do_not_pass),
        cmocka_unit_test(malformed_requests_are_the_callers_fault),
        cmocka_unit_test(unknown_methods_are_refused_at_once),
        cmocka_unit_test(an_unknown_method_is_METHOD_UNKNOWN_to_our_client),
        cmocka_unit_test(large_messages),
        cmocka_unit_test(decoding_stops_at_the_ceiling),
        cmocka_unit_test(the_answer_must_fit_the_callers_memory),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(a_deadline_that_has_passed_sends_nothing),
        cmocka_unit_test(outside_a_call_nobody_goes_away),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
