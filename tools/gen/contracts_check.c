/* The house's rules for contracts, checked at every build. */
#include "contracts_check.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void contracts_complain(FILE *errors, bool *failed, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("contracts: ", errors);
    vfprintf(errors, format, args);
    fputc('\n', errors);
    va_end(args);
    *failed = true;
}

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s), e = strlen(ending);

    return n >= e && !strcmp(s + n - e, ending);
}

static void check_method(const struct contract_method *method, FILE *errors, bool *failed)
{
    if (!method->access)
        contracts_complain(errors, failed,
                           "%s has no access declaration: add option (ticketflow.options.v1.method) = {access: ...}",
                           method->path);
    if (!(method->access & CONTRACT_OPERATOR) != !method->roles)
        contracts_complain(errors, failed, "%s: ACCESS_OPERATOR and roles need each other", method->path);
    if (method->access == CONTRACT_INTERNAL && method->http.verb)
        contracts_complain(errors, failed, "%s is internal only but has an HTTP path", method->path);
    if (method->http.verb && method->http.path[0] != '/')
        contracts_complain(errors, failed, "%s: HTTP path \"%s\" must begin with /", method->path, method->http.path);
    if (method->http.body[0] && strcmp(method->http.body, "*") != 0 &&
        !contract_message_field(method->request, method->http.body))
        contracts_complain(errors, failed, "%s: body \"%s\" is no field of %s", method->path, method->http.body,
                           method->request->full_name);
    if (method->http.response_body[0] && !contract_message_field(method->response, method->http.response_body))
        contracts_complain(errors, failed, "%s: response_body \"%s\" is no field of %s", method->path,
                           method->http.response_body, method->response->full_name);
    if (method->needs_key && !contract_message_field(method->request, "request_id"))
        contracts_complain(errors, failed, "%s: needs_key, but %s has no field request_id", method->path,
                           method->request->full_name);
    if (ends_with(method->snake, "_internal"))
        contracts_complain(errors, failed, "%s: the ending Internal is taken by the calls that are made for each RPC",
                           method->path);
    if (method->client_streaming || method->server_streaming)
        contracts_complain(errors, failed, "%s: streaming RPCs are not supported", method->path);
}

/* protoc's own rule: an underscore goes and the next letter becomes upper case. */
static bool json_name_is_default(const struct contract_field *field)
{
    const char *json = field->json_name;
    bool upper = false;

    for (const char *s = field->name; *s; s++) {
        if (*s == '_') {
            upper = true;
            continue;
        }
        if (*json++ != (upper ? (char)toupper((unsigned char)*s) : *s)) return false;
        upper = false;
    }
    return *json == '\0';
}

enum { DEPTH_MAX = 32 }; /* deeper than any sane contract; counts as recursive */

/* Depth-first along message fields; `trail` holds the DEPTH_MAX messages above. */
static bool recursive(const struct contract_message *message, const struct contract_message **trail, size_t depth)
{
    if (depth >= DEPTH_MAX) return true;
    for (size_t i = 0; i < depth; i++)
        if (trail[i] == message) return true;
    trail[depth] = message;
    for (size_t i = 0; i < message->n_fields; i++)
        if (message->fields[i].message && recursive(message->fields[i].message, trail, depth + 1)) return true;
    return false;
}

static void check_message(const struct contract_message *message, FILE *errors, bool *failed)
{
    const struct contract_message *trail[DEPTH_MAX];

    if (recursive(message, trail, 0))
        contracts_complain(errors, failed, "%s is recursive, or uses a recursive message: decoding has no depth limit",
                           message->full_name);
    for (size_t i = 0; i < message->n_fields; i++) {
        if (!json_name_is_default(&message->fields[i]))
            contracts_complain(errors, failed, "%s.%s: json_name must not be overridden", message->full_name,
                               message->fields[i].name);
        if (message->fields[i].type == CONTRACT_GROUP)
            contracts_complain(errors, failed, "%s.%s: groups are not supported", message->full_name,
                               message->fields[i].name);
    }
}

/* ---- one flat namespace ----------------------------------------------------------------------------------------- */

struct name {
    const char *name;  /* as C sees it */
    const char *owner; /* where it is declared */
};
struct names {
    struct name *all;
    size_t n, capacity;
};

static void names_add(struct names *names, const char *name, const char *owner)
{
    if (names->n == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 1024;
        names->all = realloc(names->all, names->capacity * sizeof(*names->all));
        if (!names->all) {
            fputs("out of memory\n", stderr);
            exit(1);
        }
    }
    names->all[names->n++] = (struct name){name, owner};
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

static void check_names(const struct contracts *contracts, FILE *errors, bool *failed)
{
    struct names names = {0};

    for (size_t i = 0; i < contracts->n_files; i++) {
        const struct contract_file *file = &contracts->files[i];

        if (!file->ours) continue;
        for (size_t k = 0; k < file->n_messages; k++)
            if (!file->messages[k].map_entry) names_add(&names, file->messages[k].alias, file->messages[k].full_name);
        for (size_t k = 0; k < file->n_enums; k++) {
            names_add(&names, file->enums[k].alias, file->enums[k].full_name);
            for (size_t v = 0; v < file->enums[k].n_values; v++)
                names_add(&names, file->enums[k].values[v].name, file->enums[k].full_name);
        }
        for (size_t k = 0; k < file->n_services; k++) {
            names_add(&names, file->services[k].snake, file->services[k].full_name);
            for (size_t m = 0; m < file->services[k].n_methods; m++)
                names_add(&names, file->services[k].methods[m].snake, file->services[k].methods[m].path);
        }
    }
    if (names.n) qsort(names.all, names.n, sizeof(*names.all), name_compare);
    for (size_t i = 1; i < names.n; i++)
        if (!strcmp(names.all[i - 1].name, names.all[i].name))
            contracts_complain(errors, failed, "the name %s occurs twice: in %s and in %s", names.all[i].name,
                               names.all[i - 1].owner, names.all[i].owner);
    free(names.all);
}

bool contracts_check(const struct contracts *contracts, FILE *errors)
{
    bool failed = false;

    for (size_t i = 0; i < contracts->n_files; i++) {
        const struct contract_file *file = &contracts->files[i];

        if (!file->ours) continue;
        for (size_t k = 0; k < file->n_messages; k++)
            check_message(&file->messages[k], errors, &failed);
        for (size_t k = 0; k < file->n_services; k++) {
            if (!file->services[k].process[0])
                contracts_complain(errors, &failed, "%s: the package must read ticketflow.<process>.v<n>",
                                   file->services[k].full_name);
            for (size_t m = 0; m < file->services[k].n_methods; m++)
                check_method(&file->services[k].methods[m], errors, &failed);
        }
    }
    check_names(contracts, errors, &failed);
    return !failed;
}
