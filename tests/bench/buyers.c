/* Accounts for the purchase bench, and what is on offer, over the public API. */
#include "tests/bench/bench.h"

#include "common/http/client.h"
#include "common/json/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static tf_json *call(const struct bench *b, tf_ctx *ctx, tf_http_client *http, const char *method, const char *path,
                     const char *body)
{
    const struct tf_http_header headers[] = {{"Content-Type", "application/json"}};
    struct tf_http_answer answer;
    const char *error;
    tf_json *document;

    bench_check(ctx,
                tf_http_perform(ctx, http,
                                &(struct tf_http_call){.method = method,
                                                       .url = tf_arena_printf(ctx->arena, "http://127.0.0.1:%d%s",
                                                                              b->base_port + 80, path),
                                                       .headers = headers,
                                                       .n_headers = body ? 1 : 0,
                                                       .body = body,
                                                       .size = body ? strlen(body) : 0,
                                                       .answer_max = 1 << 20},
                                &answer),
                path);
    if (answer.status != 200) bench_die("%s %s: %d %.300s", method, path, answer.status, answer.body);
    document = tf_json_parse(ctx->arena, answer.body, answer.size, 0, &error);
    if (!document) bench_die("%s %s: %s", method, path, error);
    return document;
}

char **buyers_make(const struct bench *b, tf_ctx *ctx, int n)
{
    tf_http_client *http = tf_http_client_new();
    char **tokens = TF_NEW_ARRAY(ctx->arena, char *, (size_t)n);

    for (int i = 0; i < n; i++) {
        char *email = tf_arena_printf(ctx->arena, "bench-%d-%d@buyer.example", (int)getpid(), i);
        char *account = tf_arena_printf(ctx->arena, "{\"email\":\"%s\",\"password\":\"correct horse battery\"}", email);
        char *login = tf_arena_printf(ctx->arena, "{\"login\":\"%s\",\"password\":\"correct horse battery\"}", email);
        tf_json *session;

        tf_json_free(call(b, ctx, http, "POST", "/v1/users", account));
        session = call(b, ctx, http, "POST", "/v1/sessions", login);
        tokens[i] = tf_arena_printf(ctx->arena, "%s",
                                    tf_json_string(tf_json_get(tf_json_get(session, "tokens"), "access_token"), ""));
        if (!tokens[i][0]) bench_die("a session without a token");
        tf_json_free(session);
    }
    tf_http_client_free(http);
    return tokens;
}

char **buyers_shows(const struct bench *b, tf_ctx *ctx, int *ret_n)
{
    tf_http_client *http = tf_http_client_new();
    tf_json *list = call(b, ctx, http, "GET", "/v1/programs", NULL), *program;
    const char *id = tf_json_string(tf_json_get(tf_json_at(tf_json_get(list, "programs"), 0), "program_id"), "");
    const tf_json *shows;
    char **ids;

    program = call(b, ctx, http, "GET", tf_arena_printf(ctx->arena, "/v1/programs/%s", id), NULL);
    shows = tf_json_get(program, "shows");
    if (!shows) shows = tf_json_get(tf_json_get(program, "program"), "shows");
    *ret_n = (int)tf_json_size(shows);
    ids = TF_NEW_ARRAY(ctx->arena, char *, (size_t)*ret_n + 1);
    for (int i = 0; i < *ret_n; i++)
        ids[i] =
            tf_arena_printf(ctx->arena, "%s", tf_json_string(tf_json_get(tf_json_at(shows, (size_t)i), "show_id"), ""));
    tf_json_free(list);
    tf_json_free(program);
    tf_http_client_free(http);
    return ids;
}
