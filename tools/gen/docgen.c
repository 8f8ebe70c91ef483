/* tf-docgen api SET OUT: the API reference, from the contracts of a descriptor set: every RPC with its path, its
 * callers, its fields, and the types that they use.
 * tf-docgen errors OUT: the error reference, from common/base/codes.def.
 * tf-docgen settings OUT: the opening of the settings reference; each process appends its own table.
 *
 * All are Markdown; the target `docs` (cmake/TfDocs.cmake) runs this program. */
#include "contracts.h"
#include "die.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TYPES_MAX = 1024 };

/* ---- Markdown --------------------------------------------------------------------------------------------------- */

/* A comment as one line of a paragraph or a cell. Between backquotes only the bar must be escaped. */
static void put_text(FILE *out, const char *text)
{
    bool code = false;

    for (; *text; text++) {
        if (*text == '\n') {
            fputc(' ', out);
            while (text[1] == ' ')
                text++;
            continue;
        }
        if (*text == '`') code = !code;
        if (*text == '|' || (!code && strchr("*<", *text))) fputc('\\', out);
        fputc(*text, out);
    }
}

/* "[Order](#order)": headings are their own anchors, in lower case. */
static void put_link(FILE *out, const char *name)
{
    fprintf(out, "[%s](#", name);
    for (; *name; name++)
        fputc(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name, out);
    fputc(')', out);
}

/* ---- types ------------------------------------------------------------------------------------------------------ */

static const char timestamp[] = "google.protobuf.Timestamp";

/* The messages and enums that some RPC uses beneath its request and response. */
static const void *used[TYPES_MAX];
static size_t n_used;

static bool is_used(const void *type)
{
    for (size_t i = 0; i < n_used; i++)
        if (used[i] == type) return true;
    return false;
}

static void use_fields(const struct contract_message *message);

static void use(const void *type, const struct contract_message *message)
{
    if (is_used(type)) return;
    if (n_used == TYPES_MAX) die("more than %d types", TYPES_MAX);
    used[n_used++] = type;
    if (message) use_fields(message);
}

static void use_fields(const struct contract_message *message)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        const struct contract_field *field = &message->fields[i];

        if (field->message) use(field->message, field->message);
        if (field->enumeration) use(field->enumeration, NULL);
    }
}

static const char *scalar_name(enum contract_type type)
{
    switch (type) {
    case CONTRACT_DOUBLE:
        return "double";
    case CONTRACT_FLOAT:
        return "float";
    case CONTRACT_INT64:
    case CONTRACT_SINT64:
    case CONTRACT_SFIXED64:
        return "int64";
    case CONTRACT_UINT64:
    case CONTRACT_FIXED64:
        return "uint64";
    case CONTRACT_INT32:
    case CONTRACT_SINT32:
    case CONTRACT_SFIXED32:
        return "int32";
    case CONTRACT_UINT32:
    case CONTRACT_FIXED32:
        return "uint32";
    case CONTRACT_BOOL:
        return "bool";
    case CONTRACT_STRING:
        return "string";
    case CONTRACT_BYTES:
        return "bytes";
    case CONTRACT_GROUP:
    case CONTRACT_MESSAGE:
    case CONTRACT_ENUM:
        break;
    }
    return "?";
}

static void put_type(FILE *out, const struct contract_field *field)
{
    if (field->message && field->message->map_entry) {
        fputs("map: string to ", out);
        put_type(out, &field->message->fields[1]);
        return;
    }
    if (field->repeated) fputs("list of ", out);
    if (field->enumeration)
        put_link(out, field->enumeration->alias);
    else if (!field->message)
        fputs(scalar_name(field->type), out);
    else if (strcmp(field->message->full_name, timestamp) == 0)
        fputs("Timestamp", out);
    else
        put_link(out, field->message->alias);
}

static void put_meaning(FILE *out, const struct contract_field *field)
{
    if (field->oneof) fprintf(out, "One of %s.%s", field->oneof, field->comment[0] ? " " : "");
    put_text(out, field->comment);
}

static void put_fields(FILE *out, const struct contract_message *message)
{
    fputs("| Field | Type | Meaning |\n| --- | --- | --- |\n", out);
    for (size_t i = 0; i < message->n_fields; i++) {
        fprintf(out, "| `%s` | ", message->fields[i].name);
        put_type(out, &message->fields[i]);
        fputs(" | ", out);
        put_meaning(out, &message->fields[i]);
        fputs(" |\n", out);
    }
}

static void put_types(FILE *out, const struct contract_file *file)
{
    for (size_t i = 0; i < file->n_messages; i++) {
        const struct contract_message *message = &file->messages[i];

        if (!is_used(message) || message->map_entry || strcmp(message->full_name, timestamp) == 0) continue;
        fprintf(out, "\n### %s\n\n", message->alias);
        if (message->comment[0]) {
            put_text(out, message->comment);
            fputs("\n\n", out);
        }
        put_fields(out, message);
    }
    for (size_t i = 0; i < file->n_enums; i++) {
        const struct contract_enum *e = &file->enums[i];

        if (!is_used(e)) continue;
        fprintf(out, "\n### %s\n\n", e->alias);
        if (e->comment[0]) {
            put_text(out, e->comment);
            fputs("\n\n", out);
        }
        fputs("| Value | Number | Meaning |\n| --- | --- | --- |\n", out);
        for (size_t v = 0; v < e->n_values; v++) {
            fprintf(out, "| `%s` | %d | ", e->values[v].name, (int)e->values[v].number);
            put_text(out, e->values[v].comment);
            fputs(" |\n", out);
        }
    }
}

/* ---- RPCs ------------------------------------------------------------------------------------------------------- */

/* In the order of the options' numbers. */
static const char *const access_words[] = {"anybody", "a logged-in user", "other services", "operators"};
static const char *const role_words[] = {"platform operator", "organiser's administrator", "scanner"};

static void put_words(FILE *out, uint32_t bits, const char *const words[], size_t n_words)
{
    const char *comma = "";

    for (size_t i = 0; i < 32; i++) {
        if (!(bits & 1u << i)) continue;
        if (i >= n_words) die("access or role %zu has no words yet", i + 1);
        fprintf(out, "%s%s", comma, words[i]);
        comma = ", ";
    }
}

static void put_callers(FILE *out, const struct contract_method *method)
{
    put_words(out, method->access, access_words, sizeof(access_words) / sizeof(*access_words));
    if (!method->roles) return;
    fputs(" (", out);
    put_words(out, method->roles, role_words, sizeof(role_words) / sizeof(*role_words));
    fputc(')', out);
}

static void put_address(FILE *out, const struct contract_method *method)
{
    if (method->http.verb)
        fprintf(out, "`%s %s`", method->http.verb, method->http.path);
    else
        fputs("gRPC only", out);
}

static void put_source(FILE *out, const struct contract_method *method, const struct contract_field *field)
{
    static const char *const words[] = {
        [CONTRACT_FROM_PATH] = "path",   [CONTRACT_FROM_HEADER] = "header `Idempotency-Key`",
        [CONTRACT_FROM_BODY] = "body",   [CONTRACT_IS_BODY] = "the whole body",
        [CONTRACT_FROM_QUERY] = "query", [CONTRACT_FROM_NOWHERE] = "gRPC only",
    };

    fputs(words[contract_field_source(method, field)], out);
}

static void put_request(FILE *out, const struct contract_method *method)
{
    const struct contract_message *request = method->request;

    if (request->comment[0]) {
        fputs("\nRequest: ", out);
        put_text(out, request->comment);
        fputc('\n', out);
    }
    if (!request->n_fields) {
        fputs("\nThe request has no fields.\n", out);
        return;
    }
    fprintf(out, "\n| Request field |%s Type | Meaning |\n| --- |%s --- | --- |\n", method->http.verb ? " In |" : "",
            method->http.verb ? " --- |" : "");
    for (size_t i = 0; i < request->n_fields; i++) {
        fprintf(out, "| `%s` | ", request->fields[i].name);
        if (method->http.verb) {
            put_source(out, method, &request->fields[i]);
            fputs(" | ", out);
        }
        put_type(out, &request->fields[i]);
        fputs(" | ", out);
        put_meaning(out, &request->fields[i]);
        fputs(" |\n", out);
    }
}

static void put_response(FILE *out, const struct contract_method *method)
{
    if (method->response->comment[0]) {
        fputs("\nAnswer: ", out);
        put_text(out, method->response->comment);
        fputc('\n', out);
    }
    if (method->http.response_body[0])
        fprintf(out, "\nOver HTTP the answer is the field `%s`, as it is stored.\n", method->http.response_body);
    if (!method->response->n_fields) {
        fputs("\nThe answer has no fields.\n", out);
        return;
    }
    fputs("\n| Answer field | Type | Meaning |\n| --- | --- | --- |\n", out);
    for (size_t i = 0; i < method->response->n_fields; i++) {
        fprintf(out, "| `%s` | ", method->response->fields[i].name);
        put_type(out, &method->response->fields[i]);
        fputs(" | ", out);
        put_meaning(out, &method->response->fields[i]);
        fputs(" |\n", out);
    }
}

static void put_method(FILE *out, const struct contract_method *method)
{
    fprintf(out, "\n### %s\n\n", method->name);
    put_address(out, method);
    fputs("\n\n", out);
    if (method->comment[0]) {
        put_text(out, method->comment);
        fputs("\n\n", out);
    }
    fputs("Callers: ", out);
    put_callers(out, method);
    if (method->needs_key) fputs(". The header `Idempotency-Key` is required", out);
    fprintf(out, ". %s when the outcome is unknown. Deadline: %d ms. gRPC: `%s`.\n",
            method->idempotent ? "May be sent again" : "Must not be sent again blindly", (int)method->deadline_ms,
            method->path);
    put_request(out, method);
    put_response(out, method);
}

static void put_service(FILE *out, const struct contract_file *file, const struct contract_service *service)
{
    const char *comment = service->comment[0] ? service->comment : file->comment;

    fprintf(out, "\n## Service %s\n\n", service->process);
    put_text(out, comment);
    fputs("\n\n| Call | HTTP | Callers |\n| --- | --- | --- |\n", out);
    for (size_t i = 0; i < service->n_methods; i++) {
        fputs("| ", out);
        put_link(out, service->methods[i].name);
        fputs(" | ", out);
        put_address(out, &service->methods[i]);
        fputs(" | ", out);
        put_callers(out, &service->methods[i]);
        fputs(" |\n", out);
    }
    for (size_t i = 0; i < service->n_methods; i++)
        put_method(out, &service->methods[i]);
}

static void put_api(FILE *out, const struct contracts *contracts)
{
    fputs("# API reference\n\n"
          "Generated from the contracts (`proto/`). The gateway serves every call that has an HTTP path.\n\n"
          "- Bodies are JSON. Members are spelled as here; requests may use lowerCamelCase too. Unknown members are\n"
          "  refused. Answers write members with default values.\n"
          "- `int64` and `uint64` are strings in answers; requests may use numbers. `bytes` are base64. A `Timestamp`\n"
          "  is RFC 3339 text. Enum values are their names.\n"
          "- Money is in minor units of its currency.\n"
          "- Who must be logged in sends `Authorization: Bearer ACCESS_TOKEN` (CreateSession).\n"
          "- `Idempotency-Key`: 8 to 64 characters of `[A-Za-z0-9_-]`, new for each wish, the same when it is sent\n"
          "  again.\n"
          "- Every refusal is a problem document: [errors.md](errors.md). Headers: "
          "[the gateway's README](../../../gateway/README.md).\n",
          out);
    for (size_t i = 0; i < contracts->n_files; i++)
        for (size_t k = 0; contracts->files[i].ours && k < contracts->files[i].n_services; k++)
            for (size_t m = 0; m < contracts->files[i].services[k].n_methods; m++) {
                use_fields(contracts->files[i].services[k].methods[m].request);
                use_fields(contracts->files[i].services[k].methods[m].response);
            }
    for (size_t i = 0; i < contracts->n_files; i++)
        for (size_t k = 0; contracts->files[i].ours && k < contracts->files[i].n_services; k++)
            put_service(out, &contracts->files[i], &contracts->files[i].services[k]);
    fputs("\n## Types\n", out);
    for (size_t i = 0; i < contracts->n_files; i++)
        put_types(out, &contracts->files[i]);
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static void put_error(FILE *out, const char *reason, const char *grpc, int http, const char *retry, const char *en,
                      const char *zh)
{
    fprintf(out, "| <a id=\"%s\"></a>`%s` | %d | %s | %s | ", reason, reason, http, grpc, retry);
    put_text(out, en);
    fputs(" | ", out);
    put_text(out, zh);
    fputs(" |\n", out);
}

static void put_errors(FILE *out)
{
    fputs("# Error reference\n\n"
          "Generated from `common/base/codes.def`. Over HTTP a refusal is a problem document\n"
          "(`application/problem+json`, RFC 9457); over gRPC a status whose details hold a `google.rpc.ErrorInfo` of "
          "domain `ticketflow`.\n\n"
          "| Member | |\n| --- | --- |\n"
          "| `reason` | one of the reasons below; programs decide by it alone |\n"
          "| `title` | its sentence for people, in the language of `Accept-Language` |\n"
          "| `status`, `type` | the HTTP status; `/errors/` and the reason |\n"
          "| `request_id` | what to tell who runs the system; it stands in their logs |\n"
          "| `retryable` | false where Retry is NO |\n"
          "| `retry_after_ms` | when to try again, if known; the header `Retry-After` says it in seconds |\n"
          "| `field`, `detail` | which part of the request, and what is wrong with it, if that can be said |\n"
          "| others | parameters of the reason; services/order/README.md has those of a purchase |\n\n"
          "Retry NO: correct the request or choose again. AFTER: the same call later, with the same key. SAME: the\n"
          "outcome may be unknown, so the same call with the same key is the way to learn it.\n\n"
          "| Reason | HTTP | gRPC | Retry | English | 中文 |\n| --- | --- | --- | --- | --- | --- |\n",
          out);
#define TF_CODE(reason, grpc, http, retry, en, zh) put_error(out, #reason, #grpc, http, #retry, en, zh);
#include "common/base/codes.def"
#undef TF_CODE
}

/* ---- settings --------------------------------------------------------------------------------------------------- */

static void put_settings_opening(FILE *out)
{
    fputs(
        "# Settings reference\n\n"
        "Generated from `common/chassis/config.def` (what every process has, first in each table) and each process's\n"
        "own `config.def`. A value is taken, by rising precedence, from the file of `--config` (with lines\n"
        "`name = value`), the environment, the arguments (`--name=value`); `./ticketflow up --set PART.NAME=VALUE`\n"
        "passes arguments.\n",
        out);
}

/* ---- entrance --------------------------------------------------------------------------------------------------- */

static FILE *open_out(const char *path)
{
    FILE *out = fopen(path, "w");

    if (!out) die("%s: %s", path, strerror(errno));
    return out;
}

static void close_out(FILE *out, const char *path)
{
    bool failed = ferror(out);

    if (fclose(out) || failed) die("%s: write failed", path);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "", *path = argv[argc - 1];
    FILE *out;

    if (argc == 4 && strcmp(what, "api") == 0) {
        struct contracts contracts;

        if (!contracts_read(argv[2], stderr, &contracts)) return 1;
        out = open_out(path);
        put_api(out, &contracts);
        close_out(out, path);
        contracts_free(&contracts);
    } else if (argc == 3 && strcmp(what, "errors") == 0) {
        out = open_out(path);
        put_errors(out);
        close_out(out, path);
    } else if (argc == 3 && strcmp(what, "settings") == 0) {
        out = open_out(path);
        put_settings_opening(out);
        close_out(out, path);
    } else {
        die("usage: tf-docgen api SET OUT | tf-docgen errors OUT | tf-docgen settings OUT");
    }
    return 0;
}
