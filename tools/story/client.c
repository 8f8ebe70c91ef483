/* Calls of the public interface, printed when asked for. */
#include "tools/story/story.h"

#include "common/chassis/access_token.h"
#include "common/crypto/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 8 << 20, IMPORT_MAX = 16 << 20, PRINT_MAX = 1500, CALL_TIMEOUT_US = 30 * TF_US_PER_S };

static void print_body(const char *body, size_t size)
{
    if (!size) return;
    printf("%.*s%s\n", (int)TF_MIN(size, (size_t)PRINT_MAX), body, size > PRINT_MAX ? " …" : "");
}

bool story_call(struct story *s, const char *method, const char *path, const char *token, const char *key,
                const char *body, size_t size, tf_json **ret_document)
{
    struct tf_http_header headers[4];
    struct tf_http_call call = {
        .method = method, .headers = headers, .body = body, .size = size, .answer_max = ANSWER_MAX};
    struct tf_http_answer answer;
    const char *error;
    tf_code code;

    call.url = tf_arena_printf(s->ctx.arena, "%s%s", s->gateway, path);
    if (body) headers[call.n_headers++] = (struct tf_http_header){"Content-Type", "application/json"};
    if (token)
        headers[call.n_headers++] =
            (struct tf_http_header){"Authorization", tf_arena_printf(s->ctx.arena, "Bearer %s", token)};
    if (key) headers[call.n_headers++] = (struct tf_http_header){"Idempotency-Key", key};
    headers[call.n_headers++] = (struct tf_http_header){"Accept-Language", "en"};
    s->ctx.deadline_us = tf_mono_us() + CALL_TIMEOUT_US;
    if (s->print) {
        printf("\n> %s %s\n", method, path);
        if (key) printf("> Idempotency-Key: %s\n", key);
        print_body(body, size);
    }
    code = tf_http_perform(&s->ctx, s->http, &call, &answer);
    if (code) {
        fprintf(stderr, "%s %s: no answer (%s)\n", method, path, tf_code_info(code)->reason);
        return false;
    }
    if (s->print) {
        printf("< %d\n", answer.status);
        print_body(answer.body, answer.size);
    }
    if (answer.status != 200) {
        if (!s->patient) fprintf(stderr, "%s %s: %d %s\n", method, path, answer.status, answer.body);
        return false;
    }
    if (ret_document) {
        *ret_document = tf_json_parse(s->ctx.arena, answer.body, answer.size, 64, &error);
        if (!*ret_document) fprintf(stderr, "%s %s: the answer is not JSON: %s\n", method, path, error);
        return *ret_document != NULL;
    }
    return true;
}

bool story_press(struct story *s, const char *url)
{
    struct tf_http_call call = {.method = "POST", .url = url, .answer_max = ANSWER_MAX};
    struct tf_http_answer answer;
    tf_code code;

    s->ctx.deadline_us = tf_mono_us() + CALL_TIMEOUT_US;
    if (s->print) printf("\nThe buyer presses \"Pay\" at %s\n", url);
    code = tf_http_perform(&s->ctx, s->http, &call, &answer);
    if (!code && answer.status == 200) return true;
    fprintf(stderr, "the bank refused: %s\n", code ? tf_code_info(code)->reason : answer.body);
    return false;
}

bool story_operator(struct story *s)
{
    struct tf_access_claims claims = {.user_id = 1,
                                      .roles = TF_ROLE_PLATFORM_OPERATOR,
                                      .issued = tf_now_us(),
                                      .expires = tf_now_us() + (int64_t)600 * TF_US_PER_S};
    unsigned char seed[TF_SIGN_SEED_BYTES];
    size_t n;

    if (tf_key_read(&s->ctx, tf_arena_printf(s->ctx.arena, "%s/user-signing.key", s->secrets), sizeof seed, seed,
                    sizeof seed, &n)) {
        fprintf(stderr, "%s\n", s->ctx.error.internal);
        return false;
    }
    s->operator_token = tf_access_token_make(&s->ctx, seed, &claims);
    tf_wipe(seed, sizeof seed);
    return s->operator_token != NULL;
}

/* A whole file in memory, to be freed. */
static char *read_file(const char *path, size_t *ret_size)
{
    FILE *f = fopen(path, "re");
    char *data = f ? malloc(IMPORT_MAX + 1) : NULL;

    if (!data) {
        perror(path);
        if (f) fclose(f);
        return NULL;
    }
    *ret_size = fread(data, 1, IMPORT_MAX + 1, f);
    fclose(f);
    if (*ret_size <= IMPORT_MAX) return data;
    fprintf(stderr, "%s is larger than %d MiB\n", path, IMPORT_MAX >> 20);
    free(data);
    return NULL;
}

static const char *outcome_word(const char *outcome)
{
    if (strcmp(outcome, "OUTCOME_CREATED") == 0) return "created";
    if (strcmp(outcome, "OUTCOME_CHANGED") == 0) return "changed";
    return "unchanged";
}

bool story_import(struct story *s, const char *file, bool quiet, const char **ret_show)
{
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;
    const tf_json *objects;
    size_t size, changed = 0;
    char *data;
    bool ok;

    data = read_file(file, &size);
    if (!data || !story_operator(s)) {
        free(data);
        return false;
    }
    ok = story_call(s, "POST", "/v1/admin/imports", s->operator_token, NULL, data, size, &answer);
    free(data);
    if (!ok) return false;
    objects = tf_json_get(answer, "objects");
    for (size_t i = 0; i < tf_json_size(objects); i++) {
        const tf_json *o = tf_json_at(objects, i);
        const char *kind = tf_json_string(tf_json_get(o, "kind"), ""), *id = tf_json_string(tf_json_get(o, "id"), ""),
                   *outcome = outcome_word(tf_json_string(tf_json_get(o, "outcome"), ""));

        changed += strcmp(outcome, "unchanged") != 0;
        if (!quiet) printf("  %-10s %-32s %-20s %s\n", kind, tf_json_string(tf_json_get(o, "ref"), ""), id, outcome);
        if (ret_show && !*ret_show && strcmp(kind, "show") == 0) *ret_show = tf_arena_strdup(s->ctx.arena, id);
    }
    if (!quiet) printf("%zu objects, %zu created or changed.\n", tf_json_size(objects), changed);
    return true;
}
