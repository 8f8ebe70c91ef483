/* Routes that must not build, and the order of those that may. */
#include "tests/unit/gen/folder.h"

#include "common/base/macros.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static void read_text(const char *name, char *out, size_t capacity)
{
    char path[128];
    size_t n;
    FILE *in;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    in = fopen(path, "r");
    assert_non_null(in);
    n = fread(out, 1, capacity - 1, in);
    out[n] = '\0';
    fclose(in);
}

/* Runs the generator on a service whose RPCs are `rpcs`; whether it accepted them. The files errors and routes.c
 * remain. */
static bool generate(const char *rpcs)
{
    char path[128], command[2048];
    FILE *out;

    snprintf(path, sizeof path, "%s/ticketflow/test/v1/test.proto", folder);
    out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out,
            "syntax = \"proto3\";\npackage ticketflow.test.v1;\nimport \"google/api/annotations.proto\";\n"
            "import \"ticketflow/http/v1/body.proto\";\nimport \"ticketflow/options/v1/options.proto\";\n"
            "message A { int64 id = 1; string name = 2; repeated int64 ids = 3; bool flag = 4; A2 inner = 5;\n"
            " ticketflow.http.v1.RawBody raw = 6; string request_id = 7; int32 n = 8; }\nmessage A2 { int64 id = 1; }\n"
            "message K { int64 request_id = 1; }\nservice S {\n%s\n}\n",
            rpcs);
    fclose(out);
    snprintf(
        command, sizeof command,
        "cd %s && %s -I . -I %s --include_imports --include_source_info -o set ticketflow/test/v1/test.proto 2>said",
        folder, TEST_PROTOC, TEST_PROTO_DIR);
    if (system(command)) fail_msg("protoc refuses: %s", rpcs);
    snprintf(command, sizeof command, "cd %s && %s set routes.c 2>errors", folder, TEST_ROUTEGEN);
    return system(command) == 0;
}

#define OF(name, type, http, more)                                                                                     \
    "rpc " name "(" type ") returns (A) { option (google.api.http) = {" http "};"                                      \
    " option (ticketflow.options.v1.method) = {access: ACCESS_PUBLIC " more "}; }\n"
#define RPC(name, http) OF(name, "A", http, "")

static void bad_routes_do_not_build(void **state)
{
    static const struct {
        const char *name, *rpcs, *error; /* NULL: it is good */
    } rows[] = {
        {"good", RPC("Do", "get: '/v1/things/{id}'"), NULL},
        {"verbs share a path", RPC("Do", "get: '/v1/things'") RPC("Make", "post: '/v1/things' body: '*'"), NULL},
        {"custom verb beside its thing",
         RPC("Do", "post: '/v1/things/{id}'") RPC("Stop", "post: '/v1/things/{id}:stop'"), NULL},
        {"a literal within a variable", RPC("Do", "get: '/v1/things/{id}'") RPC("Mine", "get: '/v1/things/mine'"),
         NULL},
        {"the same route twice", RPC("Do", "get: '/v1/things/{id}'") RPC("Again", "get: '/v1/things/{name}'"),
         "the same route as"},
        {"ambiguous", RPC("Do", "get: '/v1/{name}/x'") RPC("Other", "get: '/v1/y/{name}'"), "ambiguous with"},
        {"ambiguous by a custom verb", RPC("Do", "get: '/v1/{name}/x:go'") RPC("Other", "get: '/v1/y/{name}:go'"),
         "ambiguous with"},
        {"no such field", RPC("Do", "get: '/v1/{nothing}'"), "{nothing} is no field"},
        {"a repeated field", RPC("Do", "get: '/v1/{ids}'"), "must be a single int32, int64 or string"},
        {"a flag", RPC("Do", "get: '/v1/{flag}'"), "must be a single int32, int64 or string"},
        {"a message", RPC("Do", "get: '/v1/{inner}'"), "must be a single int32, int64 or string"},
        {"a field twice", RPC("Do", "get: '/v1/{id}/{id}'"), "stands twice"},
        {"the key in the path", OF("Do", "A", "post: '/v1/{request_id}' body: '*'", "needs_key: true"),
         "comes from Idempotency-Key"},
        {"a key that is no text", OF("Do", "K", "post: '/v1/x' body: '*'", "needs_key: true"),
         "request_id must be a single string"},
        {"trailing slash", RPC("Do", "get: '/v1/'"), "is not of the form"},
        {"dot segment", RPC("Do", "get: '/v1/../x'"), "is not of the form"},
        {"a pattern", RPC("Do", "get: '/v1/{name=things/*}'"), "is not of the form"},
        {"a custom verb in the middle", RPC("Do", "get: '/v1/x:go/y'"), "is not of the form"},
        {"an empty custom verb", RPC("Do", "get: '/v1/x:'"), "is not of the form"},
        {"too many segments", RPC("Do", "get: '/1/2/3/4/5/6/7/8/9'"), "is not of the form"},
        {"GET with a body", RPC("Do", "get: '/v1/x' body: '*'"), "GET has no body"},
        {"DELETE with a body", RPC("Do", "delete: '/v1/x' body: '*'"), "DELETE has no body"},
        {"a body that is no RawBody", RPC("Do", "post: '/v1/x' body: 'inner'"), "must be a RawBody"},
        {"an answer that is no RawBody", RPC("Do", "get: '/v1/x' response_body: 'inner'"), "must be a RawBody"},
        {"raw both ways", RPC("Do", "post: '/v1/x' body: 'raw' response_body: 'raw'"), NULL},
        {"internal",
         "rpc Do(A) returns (A) { option (google.api.http) = {get: '/v1/x'}; option (ticketflow.options.v1.method) = "
         "{access: ACCESS_INTERNAL}; }",
         "internal"},
        {"no access", "rpc Do(A) returns (A) { option (google.api.http) = {get: '/v1/x'}; }", "has no access"},
        {"nothing to route",
         "rpc Do(A) returns (A) { option (ticketflow.options.v1.method) = {access: ACCESS_INTERNAL}; }",
         "declare no route"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        bool good = generate(rows[i].rpcs);
        char errors[4096];

        read_text("errors", errors, sizeof errors);
        if (good != !rows[i].error) fail_msg("%s: %s", rows[i].name, good ? "accepted" : errors);
        if (rows[i].error && !strstr(errors, rows[i].error)) fail_msg("%s: said '%s'", rows[i].name, errors);
    }
}

static void the_specific_comes_first(void **state)
{
    char text[16384], *mine, *any;

    (void)state;
    assert_true(generate(RPC("Any", "get: '/v1/a/{name}'") RPC("Mine", "get: '/v1/a/mine'")));
    read_text("routes.c", text, sizeof text);
    mine = strstr(text, ".path = \"/v1/a/mine\"");
    any = strstr(text, ".path = \"/v1/a/{name}\"");
    assert_true(mine && any && mine < any);
    assert_non_null(strstr(text, "gateway_n_routes = 2"));
}

/* What a query may set: not what the path, the body or a header sets, and no messages. */
static void parameters_of_a_route(void **state)
{
    char text[16384];

    (void)state;
    assert_true(generate(OF("Do", "A", "post: '/v1/{id}' body: 'raw'", "needs_key: true")));
    read_text("routes.c", text, sizeof text);
    assert_non_null(strstr(text, "{\"name\", \"name\", false}"));
    assert_non_null(strstr(text, "{\"ids\", \"ids\", true}"));
    assert_null(strstr(text, "{\"id\","));
    assert_null(strstr(text, "{\"inner\","));
    assert_null(strstr(text, "{\"raw\","));
    assert_null(strstr(text, "{\"request_id\","));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bad_routes_do_not_build),
                                       cmocka_unit_test(the_specific_comes_first),
                                       cmocka_unit_test(parameters_of_a_route)};

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
