/* Matching on the generated table. */
#include "gateway/routes.h"

#include "common/base/macros.h"
#include "common/http/server.h"

#include <stdio.h>
#include <string.h>

/* A path in pieces. */
struct pieces {
    const char *segments[GATEWAY_SEGMENTS_MAX]; /* decoded */
    size_t n;
    const char *custom; /* NULL: none */
};

static bool is_dots(const char *segment)
{
    return strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0;
}

static tf_code decode(tf_ctx *ctx, const char *text, size_t size, const char **ret_text)
{
    *ret_text = tf_url_decode(ctx->arena, text, size, false);
    if (*ret_text) return TF_OK;
    if (tf_arena_exhausted(ctx->arena)) return tf_fail(ctx, TF_TOO_LARGE, "no room for the path");
    return tf_fail_field(ctx, "path", "The path's percent-encoding is malformed or not UTF-8.");
}

static tf_code split(tf_ctx *ctx, const char *path, struct pieces *pieces)
{
    *pieces = (struct pieces){0};
    if (*path != '/') return TF_METHOD_UNKNOWN;
    while (*path == '/') {
        size_t size = strcspn(++path, "/"), text = size;
        const char *colon;
        tf_code code;

        if (pieces->n == GATEWAY_SEGMENTS_MAX || size == 0) return TF_METHOD_UNKNOWN;
        if (path[size] == '\0') {
            colon = memrchr(path, ':', size);
            if (colon) {
                text = (size_t)(colon - path);
                code = decode(ctx, colon + 1, size - text - 1, &pieces->custom);
                if (code) return code;
            }
        }
        code = decode(ctx, path, text, &pieces->segments[pieces->n]);
        if (code) return code;
        if (text == 0 || is_dots(pieces->segments[pieces->n])) return TF_METHOD_UNKNOWN;
        pieces->n++;
        path += size;
    }
    return TF_OK;
}

static bool matches(const struct gateway_route *route, const struct pieces *pieces)
{
    if (route->n_segments != pieces->n || !route->custom != !pieces->custom) return false;
    if (route->custom && strcmp(route->custom, pieces->custom) != 0) return false;
    for (size_t i = 0; i < pieces->n; i++)
        if (route->segments[i].literal && strcmp(route->segments[i].literal, pieces->segments[i]) != 0) return false;
    return true;
}

static void allow_add(struct gateway_match *match, const char *verb)
{
    size_t n = strlen(match->allow);

    if (strstr(match->allow, verb)) return;
    snprintf(match->allow + n, sizeof match->allow - n, "%s%s", n ? ", " : "", verb);
    if (strcmp(verb, "GET") == 0) allow_add(match, "HEAD");
}

tf_code gateway_route_find(tf_ctx *ctx, const struct gateway_route *routes, size_t n_routes, const char *verb,
                           const char *path, struct gateway_match *ret_match)
{
    struct pieces pieces;
    tf_code code;

    *ret_match = (struct gateway_match){0};
    if (strcmp(verb, "HEAD") == 0) verb = "GET";
    code = split(ctx, path, &pieces);
    if (code == TF_METHOD_UNKNOWN) return tf_fail(ctx, code, "no such path");
    if (code) return code;

    for (size_t i = 0; i < n_routes; i++) {
        if (!matches(&routes[i], &pieces)) continue;
        allow_add(ret_match, routes[i].verb);
        if (!ret_match->route && strcmp(routes[i].verb, verb) == 0) ret_match->route = &routes[i];
    }
    if (!ret_match->allow[0]) return tf_fail(ctx, TF_METHOD_UNKNOWN, "no such path");
    allow_add(ret_match, "OPTIONS");
    memcpy(ret_match->values, pieces.segments, sizeof ret_match->values);
    if (!ret_match->route) return tf_fail(ctx, TF_METHOD_NOT_ALLOWED, "the path does not offer %s", verb);
    return TF_OK;
}

void gateway_route_verbs(const struct gateway_route *routes, size_t n_routes, struct gateway_match *ret_match)
{
    *ret_match = (struct gateway_match){0};
    for (size_t i = 0; i < n_routes; i++)
        allow_add(ret_match, routes[i].verb);
    allow_add(ret_match, "OPTIONS");
}
