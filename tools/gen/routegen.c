/* tf-routegen SET OUT: the gateway's route table (gateway/routes.h) from the google.api.http options of all contracts.
 *
 * Refused, because the gateway could not serve it as declared: a path outside the grammar
 * "/" segment { "/" segment } [ ":" verb ], where a segment is a literal or {field} with a field of the request that is
 * a single int32, int64 or string; two routes that some path would match with none of them the more specific; a named
 * body or response_body that is no RawBody. Routes come out with the more specific first. */
#include "contracts.h"
#include "die.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SEGMENTS_MAX = 8, ROUTES_MAX = 512 };

static const char raw_body[] = "ticketflow.http.v1.RawBody";

struct segment {
    char *literal;                      /* NULL: a variable */
    const struct contract_field *field; /* of a variable */
};

struct route {
    const struct contract_file *file;
    const struct contract_method *method;
    struct segment segments[SEGMENTS_MAX];
    size_t n_segments;
    char *custom; /* "cancel" of "…:cancel", or NULL */
};

static struct route routes[ROUTES_MAX];
static size_t n_routes;
static bool failed;

__attribute__((format(printf, 2, 3))) static void complain(const struct contract_method *method, const char *format,
                                                           ...)
{
    va_list args;

    fprintf(stderr, "routes: %s: ", method->path);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    failed = true;
}

/* ---- reading templates ------------------------------------------------------------------------------------------ */

static char *copy_text(const char *s, size_t n)
{
    char *copy = strndup(s, n);

    if (!copy) die("out of memory");
    return copy;
}

static bool is_literal(const char *s, size_t n)
{
    if (n == 0 || s[0] == '.') return false; /* dot segments never match */
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i])) return false;
    return true;
}

static bool is_raw(const struct contract_field *field)
{
    return field->message && strcmp(field->message->full_name, raw_body) == 0;
}

static void read_variable(struct route *route, const char *name, size_t n)
{
    char *text = copy_text(name, n);
    const struct contract_field *field = contract_message_field(route->method->request, text);

    if (!field)
        complain(route->method, "{%s} is no field of %s", text, route->method->request->full_name);
    else if (field->repeated || field->oneof ||
             (field->type != CONTRACT_INT32 && field->type != CONTRACT_INT64 && field->type != CONTRACT_STRING))
        complain(route->method, "{%s}: a path variable must be a single int32, int64 or string outside a oneof", text);
    for (size_t i = 0; field && i < route->n_segments; i++)
        if (route->segments[i].field == field) complain(route->method, "{%s} stands twice in the path", text);
    if (field && route->method->needs_key && strcmp(text, "request_id") == 0)
        complain(route->method, "request_id comes from Idempotency-Key, not from the path");
    route->segments[route->n_segments++].field = field;
    free(text);
}

static bool read_segment(struct route *route, const char *s, size_t n)
{
    if (route->n_segments == SEGMENTS_MAX) return false;
    if (n > 2 && s[0] == '{' && s[n - 1] == '}') {
        read_variable(route, s + 1, n - 2);
        return true;
    }
    if (!is_literal(s, n)) return false;
    route->segments[route->n_segments++].literal = copy_text(s, n);
    return true;
}

static void read_path(struct route *route)
{
    const char *s = route->method->http.path;
    bool good = *s == '/';

    while (good && *s == '/') {
        size_t n = strcspn(++s, "/:");

        good = read_segment(route, s, n);
        s += n;
    }
    if (good && *s == ':') {
        good = is_literal(s + 1, strlen(s + 1));
        route->custom = copy_text(s + 1, strlen(s + 1));
    } else {
        good = good && *s == '\0';
    }
    if (!good)
        complain(route->method, "path \"%s\" is not of the form /v1/things/{field}:verb", route->method->http.path);
}

static void check_bodies(const struct route *route)
{
    const struct contract_method *method = route->method;
    const struct contract_http *http = &method->http;
    const struct contract_field *body = contract_message_field(method->request, http->body);
    const struct contract_field *answer = contract_message_field(method->response, http->response_body);
    const struct contract_field *key = contract_message_field(method->request, "request_id");

    if (http->body[0] && (strcmp(http->verb, "GET") == 0 || strcmp(http->verb, "DELETE") == 0))
        complain(method, "%s has no body", http->verb);
    if (body && (!is_raw(body) || body->repeated)) complain(method, "body \"%s\" must be a RawBody", http->body);
    if (answer && (!is_raw(answer) || answer->repeated))
        complain(method, "response_body \"%s\" must be a RawBody", http->response_body);
    if (method->needs_key && key && (key->type != CONTRACT_STRING || key->repeated || key->oneof))
        complain(method, "request_id must be a single string");
}

static void add_route(const struct contract_file *file, const struct contract_method *method)
{
    struct route *route = &routes[n_routes];

    if (n_routes == ROUTES_MAX) die("more than %d routes", ROUTES_MAX);
    if (method->access == CONTRACT_INTERNAL) {
        complain(method, "an internal RPC must not be routed");
        return;
    }
    route->file = file;
    route->method = method;
    read_path(route);
    check_bodies(route);
    n_routes++;
}

/* ---- which of two routes is meant ------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* What a path that matches both says about them. */
struct overlap {
    bool possible;
    int a_literals, b_literals; /* segments where only that one is a literal */
};

static struct overlap overlap_of(const struct route *a, const struct route *b)
{
    struct overlap o = {.possible = a->n_segments == b->n_segments && same_text(a->custom, b->custom)};

    for (size_t i = 0; o.possible && i < a->n_segments; i++) {
        const char *x = a->segments[i].literal, *y = b->segments[i].literal;

        if (x && y && strcmp(x, y) != 0) o.possible = false;
        if (x && !y) o.a_literals++;
        if (y && !x) o.b_literals++;
    }
    return o;
}

static void check_overlaps(void)
{
    for (size_t i = 0; i < n_routes; i++)
        for (size_t k = i + 1; k < n_routes; k++) {
            struct overlap o = overlap_of(&routes[i], &routes[k]);

            if (!o.possible || strcmp(routes[i].method->http.verb, routes[k].method->http.verb) != 0) continue;
            if (!o.a_literals && !o.b_literals)
                complain(routes[k].method, "the same route as %s", routes[i].method->path);
            else if (o.a_literals && o.b_literals)
                complain(routes[k].method, "ambiguous with %s: some path matches both", routes[i].method->path);
        }
}

/* More literals first: of two routes that match one path, the more specific has more of them. Then by path and verb, so
 * that the table reads well and never changes by chance. */
static int route_compare(const void *a, const void *b)
{
    const struct route *x = a, *y = b;
    int n = 0, order;

    for (size_t i = 0; i < x->n_segments; i++)
        n -= x->segments[i].literal != NULL;
    for (size_t i = 0; i < y->n_segments; i++)
        n += y->segments[i].literal != NULL;
    if (n) return n;
    order = strcmp(x->method->http.path, y->method->http.path);
    return order ? order : strcmp(x->method->http.verb, y->method->http.verb);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void emit_includes(FILE *out)
{
    for (size_t i = 0; i < n_routes; i++) {
        bool seen = false;

        for (size_t k = 0; k < i; k++)
            seen |= routes[k].file == routes[i].file;
        if (!seen)
            fprintf(out, "#include \"%.*s.tf.h\"\n", (int)(strlen(routes[i].file->path) - strlen(".proto")),
                    routes[i].file->path);
    }
}

static void emit_segments(FILE *out, const struct route *route)
{
    fprintf(out, "\nstatic const struct gateway_segment %s_segments[] = {\n", route->method->snake);
    for (size_t i = 0; i < route->n_segments; i++) {
        const struct segment *segment = &route->segments[i];

        if (segment->literal)
            fprintf(out, "    {.literal = \"%s\"},\n", segment->literal);
        else
            fprintf(out, "    {.name = \"%s\", .type = %s, .offset = offsetof(%s, %s)},\n", segment->field->name,
                    segment->field->type == CONTRACT_INT64   ? "GATEWAY_INT64"
                    : segment->field->type == CONTRACT_INT32 ? "GATEWAY_INT32"
                                                             : "GATEWAY_STRING",
                    route->method->request->alias, segment->field->name);
    }
    fputs("};\n", out);
}

static size_t emit_parameters(FILE *out, const struct route *route)
{
    const struct contract_message *request = route->method->request;
    size_t n = 0;

    for (size_t i = 0; i < request->n_fields; i++) {
        if (contract_field_source(route->method, &request->fields[i]) != CONTRACT_FROM_QUERY) continue;
        if (n++ == 0)
            fprintf(out, "\nstatic const struct gateway_parameter %s_parameters[] = {\n", route->method->snake);
        fprintf(out, "    {\"%s\", \"%s\", %s},\n", request->fields[i].name, request->fields[i].json_name,
                request->fields[i].repeated ? "true" : "false");
    }
    if (n) fputs("};\n", out);
    return n;
}

static void emit_route(FILE *out, const struct route *route, size_t n_parameters)
{
    const struct contract_method *method = route->method;
    const struct contract_http *http = &method->http;

    fprintf(out, "    {\n        .verb = \"%s\",\n        .path = \"%s\",\n        .name = \"%s %s\",\n", http->verb,
            http->path, http->verb, http->path);
    fprintf(out, "        .segments = %s_segments,\n        .n_segments = %zu,\n", method->snake, route->n_segments);
    if (route->custom) fprintf(out, "        .custom = \"%s\",\n", route->custom);
    if (n_parameters)
        fprintf(out, "        .parameters = %s_parameters,\n        .n_parameters = %zu,\n", method->snake,
                n_parameters);
    if (strcmp(http->body, "*") == 0)
        fputs("        .body = GATEWAY_BODY_JSON,\n", out);
    else if (http->body[0])
        fprintf(out, "        .body = GATEWAY_BODY_RAW,\n        .body_offset = offsetof(%s, %s),\n",
                method->request->alias, http->body);
    if (http->response_body[0])
        fprintf(out, "        .answers_raw = true,\n        .answer_offset = offsetof(%s, %s),\n",
                method->response->alias, http->response_body);
    if (method->needs_key)
        fprintf(out, "        .needs_key = true,\n        .key_offset = offsetof(%s, request_id),\n",
                method->request->alias);
    fprintf(out, "        .method = &%s_method,\n    },\n", method->snake);
}

static void emit(FILE *out)
{
    size_t *n_parameters = calloc(n_routes + 1, sizeof(*n_parameters));

    if (!n_parameters) die("out of memory");
    fputs(
        "/* Generated by tf-routegen from the contracts. */\n#include \"gateway/routes.h\"\n\n#include <stddef.h>\n\n",
        out);
    emit_includes(out);
    for (size_t i = 0; i < n_routes; i++) {
        emit_segments(out, &routes[i]);
        n_parameters[i] = emit_parameters(out, &routes[i]);
    }
    fputs("\nconst struct gateway_route gateway_routes[] = {\n", out);
    for (size_t i = 0; i < n_routes; i++)
        emit_route(out, &routes[i], n_parameters[i]);
    fprintf(out, "};\nconst size_t gateway_n_routes = %zu;\n", n_routes);
    free(n_parameters);
}

int main(int argc, char **argv)
{
    struct contracts contracts;
    FILE *out;

    if (argc != 3) die("usage: tf-routegen SET OUT");
    if (!contracts_read(argv[1], stderr, &contracts)) return 1;
    for (size_t i = 0; i < contracts.n_files; i++)
        for (size_t k = 0; k < contracts.files[i].n_services; k++)
            for (size_t m = 0; m < contracts.files[i].services[k].n_methods; m++)
                if (contracts.files[i].services[k].methods[m].http.verb)
                    add_route(&contracts.files[i], &contracts.files[i].services[k].methods[m]);
    check_overlaps();
    if (!n_routes) die("the contracts declare no route");
    if (failed) return 1;

    qsort(routes, n_routes, sizeof(*routes), route_compare);
    out = fopen(argv[2], "w");
    if (!out) die("%s: %s", argv[2], strerror(errno));
    emit(out);
    if (fclose(out)) die("%s: write failed", argv[2]);
    for (size_t i = 0; i < n_routes; i++) {
        for (size_t k = 0; k < routes[i].n_segments; k++)
            free(routes[i].segments[k].literal);
        free(routes[i].custom);
    }
    contracts_free(&contracts);
    return 0;
}
