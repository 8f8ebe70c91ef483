/* Reading contracts: the real ones as they are, and small bad ones that must not build. */
#include "tests/unit/gen/folder.h"

#include "contracts.h"

#include <stdlib.h>

/* Compiles a contract of package ticketflow.test.v1 whose messages and services are `body`, and reads it. The errors
 * are the caller's to free. */
static bool read_body(const char *body, struct contracts *contracts, char **ret_errors)
{
    char path[128], set[128], command[1024];
    size_t size;
    FILE *out, *errors;
    bool good;

    snprintf(path, sizeof(path), "%s/ticketflow/test/v1/test.proto", folder);
    snprintf(set, sizeof(set), "%s/set", folder);
    out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out,
            "syntax = \"proto3\";\npackage ticketflow.test.v1;\nimport \"google/api/annotations.proto\";\n"
            "import \"google/protobuf/struct.proto\";\nimport \"ticketflow/options/v1/options.proto\";\n%s\n",
            body);
    fclose(out);
    snprintf(command, sizeof(command),
             "%s -I %s -I %s --include_imports --include_source_info -o %s ticketflow/test/v1/test.proto 2>&1",
             TEST_PROTOC, folder, TEST_PROTO_DIR, set);
    if (system(command)) fail_msg("protoc refuses: %s", body);
    errors = open_memstream(ret_errors, &size);
    assert_non_null(errors);
    good = contracts_read(set, errors, contracts);
    fclose(errors);
    return good;
}

#define INTERNAL "option (ticketflow.options.v1.method) = {access: ACCESS_INTERNAL};"

static void bad_contracts_do_not_build(void **state)
{
    static const struct {
        const char *name, *body, *error; /* NULL: it is good */
    } rows[] = {
        {"good", "message A {} service S { rpc Do(A) returns (A) {" INTERNAL "} }", NULL},
        {"no access", "message A {} service S { rpc Do(A) returns (A); }", "/ticketflow.test.v1.S/Do has no access"},
        {"access unspecified",
         "message A {} service S { rpc Do(A) returns (A) {option (ticketflow.options.v1.method) = "
         "{access: ACCESS_UNSPECIFIED};} }",
         "access 0 is not known"},
        {"operator without roles",
         "message A {} service S { rpc Do(A) returns (A) {option (ticketflow.options.v1.method) = "
         "{access: ACCESS_OPERATOR};} }",
         "need each other"},
        {"roles without operator",
         "message A {} service S { rpc Do(A) returns (A) {option (ticketflow.options.v1.method) = "
         "{access: ACCESS_BUYER roles: ROLE_SCANNER};} }",
         "need each other"},
        {"negative deadline",
         "message A {} service S { rpc Do(A) returns (A) {option (ticketflow.options.v1.method) = "
         "{access: ACCESS_BUYER deadline_ms: -1};} }",
         "deadline_ms is negative"},
        {"key without a field for it",
         "message A {} service S { rpc Do(A) returns (A) {option (ticketflow.options.v1.method) = "
         "{access: ACCESS_BUYER needs_key: true};} }",
         "has no field request_id"},
        {"internal with a path",
         "message A {} service S { rpc Do(A) returns (A) {" INTERNAL "option (google.api.http) = {get: \"/v1/a\"};} }",
         "internal only but has an HTTP path"},
        {"path without a slash",
         "message A {} service S { rpc Do(A) returns (A) {option (ticketflow.options.v1.method) = "
         "{access: ACCESS_BUYER};option (google.api.http) = {get: \"v1/a\"};} }",
         "must begin with /"},
        {"body that is no field",
         "message A {} service S { rpc Do(A) returns (A) {option (ticketflow.options.v1.method) = "
         "{access: ACCESS_BUYER};option (google.api.http) = {post: \"/v1/a\" body: \"b\"};} }",
         "body \"b\" is no field"},
        {"message in itself", "message A { A a = 1; }", "ticketflow.test.v1.A is recursive"},
        {"message in itself by way of others", "message A { repeated B b = 1; } message B { map<string, A> a = 1; }",
         "ticketflow.test.v1.B is recursive"},
        {"message that holds anything", "message A { google.protobuf.Struct s = 1; }", "recursive"},
        {"the same message twice, below others", "message A { message B {} } message A_B {}",
         "the name A_B occurs twice"},
        {"a name of another contract", "message Identity {}", "the name Identity occurs twice"},
        {"enum values of two enums", "message A { enum E { X = 0; } enum F { Y = 0; X2 = 1; } } enum X { X2_ = 0; }",
         "the name X occurs twice"},
        {"two RPCs alike in snake case",
         "message A {} service S { rpc DoIt(A) returns (A) {" INTERNAL "} rpc doIt(A) returns (A) {" INTERNAL "} }",
         "the name do_it occurs twice"},
        {"an RPC that ends in Internal", "message A {} service S { rpc DoInternal(A) returns (A) {" INTERNAL "} }",
         "the ending Internal is taken"},
        {"a stream", "message A {} service S { rpc Do(A) returns (stream A) {" INTERNAL "} }", "streaming"},
        {"a JSON name of its own", "message A { string b_c = 1 [json_name = \"x\"]; }", "json_name"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct contracts contracts = {.n_files = 0};
        char *errors = NULL;
        bool good = read_body(rows[i].body, &contracts, &errors);

        if (good != !rows[i].error) fail_msg("%s: %s", rows[i].name, errors);
        if (rows[i].error && !strstr(errors, rows[i].error)) fail_msg("%s: said %s", rows[i].name, errors);
        if (good) contracts_free(&contracts);
        free(errors);
    }
}

static void every_offence_is_named(void **state)
{
    struct contracts contracts;
    char *errors = NULL;

    (void)state;
    assert_false(read_body("message A { A a = 1; } service S { rpc One(A) returns (A); rpc Two(A) returns (A); }",
                           &contracts, &errors));
    assert_non_null(strstr(errors, "S/One"));
    assert_non_null(strstr(errors, "S/Two"));
    assert_non_null(strstr(errors, "recursive"));
    free(errors);
}

/* Written in parts, an option is several fields on the wire. */
static void options_in_parts_are_merged(void **state)
{
    struct contracts contracts;
    const struct contract_method *method;
    char *errors = NULL;

    (void)state;
    if (!read_body("// The service.\nservice S {\n  // Does it.\n  rpc DoIt(A) returns (A) {\n"
                   "    option (ticketflow.options.v1.method).access = ACCESS_BUYER;\n"
                   "    option (ticketflow.options.v1.method).access = ACCESS_OPERATOR;\n"
                   "    option (ticketflow.options.v1.method).roles = ROLE_SCANNER;\n"
                   "    option (ticketflow.options.v1.method).deadline_ms = 70;\n"
                   "    option (google.api.http).delete = \"/v1/a/{id}\";\n  }\n}\nmessage A {\n  // Which.\n  int64 "
                   "id = 1;\n}",
                   &contracts, &errors))
        fail_msg("%s", errors);
    free(errors);
    method = &contracts.files[contracts.n_files - 1].services[0].methods[0];
    assert_string_equal(contracts.files[contracts.n_files - 1].services[0].comment, "The service.");
    assert_string_equal(method->comment, "Does it.");
    assert_string_equal(method->snake, "do_it");
    assert_int_equal(method->access, CONTRACT_BUYER | CONTRACT_OPERATOR);
    assert_int_equal(method->roles, 1 << 2);
    assert_int_equal(method->deadline_ms, 70);
    assert_string_equal(method->http.verb, "DELETE");
    assert_string_equal(method->http.path, "/v1/a/{id}");
    assert_string_equal(method->request->fields[0].comment, "Which.");
    contracts_free(&contracts);
}

static const struct contract_method *method_of(const struct contracts *contracts, const char *path)
{
    for (size_t i = 0; i < contracts->n_files; i++)
        for (size_t k = 0; k < contracts->files[i].n_services; k++)
            for (size_t m = 0; m < contracts->files[i].services[k].n_methods; m++)
                if (!strcmp(contracts->files[i].services[k].methods[m].path, path))
                    return &contracts->files[i].services[k].methods[m];
    fail_msg("no method %s", path);
    abort();
}

static void the_real_contracts(void **state)
{
    struct contracts contracts;
    const struct contract_method *method;
    const struct contract_enum *outcome;

    (void)state;
    assert_true(contracts_read(TEST_DESCRIPTOR_SET, stderr, &contracts));
    method = method_of(&contracts, "/ticketflow.order.v1.OrderService/CreateOrder");
    assert_int_equal(method->access, CONTRACT_BUYER);
    assert_true(method->needs_key && method->idempotent);
    assert_int_equal(method->deadline_ms, 5000);
    assert_string_equal(method->http.verb, "POST");
    assert_string_equal(method->http.body, "*");
    assert_string_equal(method->request->full_name, "ticketflow.order.v1.CreateOrderRequest");
    assert_non_null(contract_message_field(method->request, "request_id"));
    outcome = contracts_enum(&contracts, "ticketflow.program.v1.ImportedObject.Outcome");
    if (!outcome) abort();
    assert_string_equal(outcome->alias, "ImportedObject_Outcome");
    assert_null(contracts_message(&contracts, "ticketflow.order.v1.NoSuch"));
    contracts_free(&contracts);
}

static void files_that_are_no_sets(void **state)
{
    struct contracts contracts;
    char path[128], *errors = NULL;
    size_t size;
    FILE *out = open_memstream(&errors, &size);

    (void)state;
    assert_false(contracts_read("/nonexistent/set", out, &contracts));
    snprintf(path, sizeof(path), "%s/ticketflow/test/v1/test.proto", folder);
    assert_false(contracts_read(path, out, &contracts));
    fclose(out);
    assert_non_null(strstr(errors, "/nonexistent/set: No such file"));
    assert_non_null(strstr(errors, "not a descriptor set"));
    free(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_contracts_do_not_build),  cmocka_unit_test(every_offence_is_named),
        cmocka_unit_test(options_in_parts_are_merged), cmocka_unit_test(the_real_contracts),
        cmocka_unit_test(files_that_are_no_sets),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
