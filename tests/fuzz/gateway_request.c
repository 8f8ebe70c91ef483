/* What the gateway reads of a request besides its body: paths and queries against the real routes, and the values of
 * headers. The first byte chooses. */
#include "tests/fuzz/fuzz.h"

#include "common/base/macros.h"
#include "common/base/text.h"
#include "common/json/transcode.h"
#include "gateway/door.h"
#include "gateway/fields.h"
#include "gateway/negotiate.h"
#include "gateway/routes.h"

#include <ctype.h>
#include <string.h>

const char *const fuzz_seeds[] = {
    "0/v1/orders/12:cancel",
    "0/v1/shows/1%2F2/seat-plan",
    "0/v1/orders/5/payments/6:check",
    "1page_size=20&page_token=abc&city=%E5%8C%97%E4%BA%AC",
    "1page_size=1&page_size=2",
    "2zh-TW, en;q=0.9, *;q=0.1",
    "2br;q=1, gzip;q=0.001, *",
    "3\"abc\", W/\"def\", *",
    "4https://shop.example, https://b.example",
    "500-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "6Bearer abc.def.ghi",
    "7application/json; charset=\"utf-8\"",
    NULL,
};
const char *const fuzz_words[] = {
    "/v1/", "/",  ":",  "%2F",  "%00",    "&",      "=",     ";q=", "0.5", ",",         "*",        "W/\"",
    "\"",   "zh", "en", "gzip", "Bearer", "orders", "shows", "..",  "%2e", "page_size", "charset=", "application/json",
    NULL};

static void check_path(tf_ctx *ctx, const char *path)
{
    static const char *const verbs[] = {"GET", "HEAD", "POST", "DELETE", "BREW"};
    struct gateway_match match;
    ProtobufCMessage *message;

    for (size_t i = 0; i < TF_COUNT(verbs); i++) {
        tf_code code = gateway_route_find(ctx, gateway_routes, gateway_n_routes, verbs[i], path, &match);

        TF_ASSERT((code == TF_OK) == (match.route != NULL));
        TF_ASSERT(code == TF_OK || ctx->error.code == code);
        TF_ASSERT(code != TF_METHOD_NOT_ALLOWED || strstr(match.allow, "OPTIONS"));
        tf_error_clear(ctx);
        if (code) continue;
        for (size_t k = 0; k < match.route->n_segments; k++)
            TF_ASSERT(tf_utf8_valid(match.values[k], strlen(match.values[k])) && *match.values[k]);
        message = tf_message_new(ctx, match.route->method->request);
        TF_ASSERT(message);
        code = fields_set_path(ctx, &match, message);
        TF_ASSERT(!code || (ctx->error.code == code && (code == TF_TOO_LARGE || ctx->error.field)));
        tf_error_clear(ctx);
    }
}

static void check_query(tf_ctx *ctx, const char *query)
{
    for (size_t i = 0; i < gateway_n_routes; i += 7) {
        ProtobufCMessage *message = tf_message_new(ctx, gateway_routes[i].method->request);
        tf_code code;

        if (!message) return;
        code = fields_set_query(ctx, &gateway_routes[i], query, message);
        TF_ASSERT(!code || (ctx->error.code == code && (code == TF_TOO_LARGE || ctx->error.field)));
        TF_ASSERT(code != TF_FIELD_INVALID || tf_utf8_valid(ctx->error.field, strlen(ctx->error.field)));
        tf_error_clear(ctx);
    }
}

static void check_preferences(const char *value)
{
    const char *language = gateway_language(value, "en");

    TF_ASSERT(strcmp(language, "en") == 0 || strcmp(language, "zh-CN") == 0);
    TF_ASSERT(!gateway_accepts_gzip(value) || strcasestr(value, "gzip") || strchr(value, '*'));
}

static void check_tags(const char *value)
{
    static const char tag[] = "\"abc\"";

    TF_ASSERT(!gateway_etag_matches(value, tag) || strstr(value, tag) || strchr(value, '*'));
    TF_ASSERT(!gateway_etag_matches(value, ""));
    TF_ASSERT(gateway_etag_matches(tag, tag));
}

static void check_origins(const char *value)
{
    static const char origin[] = "https://shop.example";

    TF_ASSERT(!gateway_origin_allowed(value, origin) || strstr(value, origin));
    TF_ASSERT(!gateway_origin_allowed("https://shop.example, https://b.example", value) || strcmp(value, origin) == 0 ||
              strcmp(value, "https://b.example") == 0);
}

static void check_ids(const char *value)
{
    size_t n = strlen(value);

    TF_ASSERT(!gateway_traceparent_valid(value) || n == 55);
    if (!gateway_key_valid(value)) return;
    TF_ASSERT(n >= 8 && n <= 64);
    for (size_t i = 0; i < n; i++)
        TF_ASSERT(isalnum((unsigned char)value[i]) || value[i] == '_' || value[i] == '-');
}

static void check_credential(const char *value)
{
    const char *token = door_bearer(value);

    TF_ASSERT(!token || (*token && !strpbrk(token, " \t") && token > value));
}

static void check_type(const char *value)
{
    TF_ASSERT(!fields_type_is_json(value) || strncasecmp(value, "application/json", 16) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;
    tf_ctx ctx;

    if (size == 0) return 0;
    tf_ctx_init(&ctx, "fuzz", 0);
    text = tf_arena_strndup(ctx.arena, (const char *)data + 1, size - 1);
    if (text) {
        switch (data[0] % 8) {
        case 0:
            check_path(&ctx, text);
            break;
        case 1:
            check_query(&ctx, text);
            break;
        case 2:
            check_preferences(text);
            break;
        case 3:
            check_tags(text);
            break;
        case 4:
            check_origins(text);
            break;
        case 5:
            check_ids(text);
            break;
        case 6:
            check_credential(text);
            break;
        default:
            check_type(text);
            break;
        }
    }
    tf_ctx_done(&ctx);
    return 0;
}
