/* The generated references: every call and every reason is there, and a small contract shows how each kind of field is
 * told. */
#include "tests/unit/gen/folder.h"

#include "common/base/error.h"
#include "common/base/macros.h"
#include "contracts.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs `tf-docgen ARGUMENTS FOLDER/out.md` in the folder; the page, the caller's to free. */
static char *generate(const char *arguments)
{
    char command[1024], path[128];
    char *page = NULL;
    size_t n = 0;
    FILE *in;

    snprintf(command, sizeof command, "cd %s && %s %s out.md", folder, TEST_DOCGEN, arguments);
    if (system(command)) fail_msg("refused: %s", arguments);
    snprintf(path, sizeof path, "%s/out.md", folder);
    in = fopen(path, "r");
    assert_non_null(in);
    assert_true(getdelim(&page, &n, '\0', in) > 0);
    fclose(in);
    return page;
}

static void must_say(const char *page, const char *what)
{
    if (!strstr(page, what)) fail_msg("the page does not say: %s", what);
}

static void every_call_is_told(void **state)
{
    char *page = generate("api " TEST_DESCRIPTOR_SET), line[512];
    struct contracts contracts;
    size_t n = 0;

    (void)state;
    assert_true(contracts_read(TEST_DESCRIPTOR_SET, stderr, &contracts));
    for (size_t i = 0; i < contracts.n_files; i++)
        for (size_t k = 0; contracts.files[i].ours && k < contracts.files[i].n_services; k++)
            for (size_t m = 0; m < contracts.files[i].services[k].n_methods; m++) {
                const struct contract_method *method = &contracts.files[i].services[k].methods[m];

                if (method->http.verb)
                    snprintf(line, sizeof line, "\n### %s\n\n`%s %s`\n", method->name, method->http.verb,
                             method->http.path);
                else
                    snprintf(line, sizeof line, "\n### %s\n\ngRPC only\n", method->name);
                must_say(page, line);
                must_say(page, method->path);
                n++;
            }
    assert_true(n > 30);
    contracts_free(&contracts);
    free(page);
}

static void every_link_has_its_heading(void **state)
{
    char *page = generate("api " TEST_DESCRIPTOR_SET), *save = NULL, heading[256];

    (void)state;
    for (char *at = strstr(page, "](#"); at; at = strstr(at + 1, "](#")) {
        char *name = at;

        while (name[-1] != '[')
            name--;
        snprintf(heading, sizeof heading, "\n### %.*s\n", (int)(at - name), name);
        must_say(page, heading);
    }
    for (char *line = strtok_r(page, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (strchr(line, '?') && strstr(line, "| ? |")) fail_msg("a type without a name: %s", line);
    free(page);
}

static void every_reason_is_told(void **state)
{
    char *page = generate("errors"), line[128];

    (void)state;
    for (int code = TF_OK + 1; code < TF_CODES; code++) {
        const struct tf_code_info *info = tf_code_info((tf_code)code);

        snprintf(line, sizeof line, "`%s` | %d | ", info->reason, info->http_status);
        must_say(page, line);
        must_say(page, info->en);
        must_say(page, info->zh);
    }
    free(page);
}

static void fields_of_each_kind(void **state)
{
    static const char *const rows[] = {
        "| `id` | path | int64 | Which \\| one. |",
        "| `request_id` | header `Idempotency-Key` | string |  |",
        "| `names` | body | list of string | Stars \\*\\* and `a*b`, two lines. |",
        "| `kind` | body | [Inner_Kind](#inner_kind) |  |",
        "| `time` | body | Timestamp |  |",
        "| `counts` | body | map: string to int32 |  |",
        "| `id` | query | int64 |  |",
        "| `inner` | gRPC only | [Inner](#inner) |  |",
        "| `left` | query | bool | One of side. |",
        "| [Make](#make) | `POST /v1/a/{id}` | operators (organiser's administrator, scanner) |",
        "| [Look](#look) | `GET /v1/a` | anybody, other services |",
        "| [Hide](#hide) | gRPC only | other services |",
        "| `KIND_ONE` | 1 | The first. |",
        "## Service test\n\nWhat S does.\n",
        "The answer has no fields.",
        "Deadline: 700 ms.",
        "Must not be sent again blindly",
    };
    char path[128], command[1024], *page;
    FILE *out;

    (void)state;
    snprintf(path, sizeof path, "%s/ticketflow/test/v1/test.proto", folder);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(
        "syntax = \"proto3\";\npackage ticketflow.test.v1;\nimport \"google/api/annotations.proto\";\n"
        "import \"google/protobuf/timestamp.proto\";\nimport \"ticketflow/options/v1/options.proto\";\n"
        "message Inner {\n enum Kind {\n KIND_UNSPECIFIED = 0;\n // The first.\n KIND_ONE = 1;\n }\n bool flag = "
        "1;\n}\n"
        "message MakeRequest {\n // Which | one.\n int64 id = 1;\n string request_id = 2;\n"
        " // Stars ** and `a*b`,\n // two lines.\n repeated string names = 3;\n Inner.Kind kind = 4;\n"
        " google.protobuf.Timestamp time = 5;\n map<string, int32> counts = 6;\n}\n"
        "message LookRequest {\n int64 id = 1;\n Inner inner = 2;\n oneof side {\n  bool left = 3;\n  bool right = "
        "4;\n }\n}\n"
        "message Empty {}\n"
        "// What S does.\nservice S {\n"
        " rpc Make(MakeRequest) returns (Empty) { option (google.api.http) = {post: '/v1/a/{id}' body: '*'};\n"
        "  option (ticketflow.options.v1.method) = {access: ACCESS_OPERATOR roles: ROLE_ORGANISER_ADMIN\n"
        "   roles: ROLE_SCANNER needs_key: true deadline_ms: 700}; }\n"
        " rpc Look(LookRequest) returns (Empty) { option (google.api.http) = {get: '/v1/a'};\n"
        "  option (ticketflow.options.v1.method) = {access: ACCESS_PUBLIC access: ACCESS_INTERNAL idempotent: true}; "
        "}\n"
        " rpc Hide(Empty) returns (Empty) { option (ticketflow.options.v1.method) = {access: ACCESS_INTERNAL}; }\n}\n",
        out);
    fclose(out);
    snprintf(command, sizeof command,
             "cd %s && %s -I . -I %s --include_imports --include_source_info -o set ticketflow/test/v1/test.proto",
             folder, TEST_PROTOC, TEST_PROTO_DIR);
    assert_int_equal(system(command), 0);
    page = generate("api set");
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        must_say(page, rows[i]);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_told),
        cmocka_unit_test(every_link_has_its_heading),
        cmocka_unit_test(every_reason_is_told),
        cmocka_unit_test(fields_of_each_kind),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
