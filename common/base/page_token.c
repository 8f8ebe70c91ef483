/* base64url of: version u8 = 1, kind u8, then the values as big-endian 64-bit integers. */
#include "common/base/page_token.h"

#include "common/base/text.h"

#include <string.h>

enum { TOKEN_VERSION = 1, HEADER_BYTES = 2, VALUE_BYTES = 8 };

char *tf_page_token_make(tf_arena *arena, int kind, const int64_t *values, int n)
{
    unsigned char raw[HEADER_BYTES + TF_PAGE_TOKEN_VALUES_MAX * VALUE_BYTES];
    size_t size = HEADER_BYTES;

    TF_ASSERT(n >= 1 && n <= TF_PAGE_TOKEN_VALUES_MAX);
    raw[0] = TOKEN_VERSION;
    raw[1] = (unsigned char)kind;
    for (int i = 0; i < n; i++)
        for (int shift = 56; shift >= 0; shift -= 8)
            raw[size++] = (unsigned char)((uint64_t)values[i] >> shift);
    return tf_base64_encode(arena, raw, size, true);
}

tf_code tf_page_token_read(tf_ctx *ctx, const char *token, int kind, int64_t *ret_values, int n)
{
    size_t size = 0, length = strlen(token);
    const unsigned char *raw;

    TF_ASSERT(n >= 1 && n <= TF_PAGE_TOKEN_VALUES_MAX);
    raw = length <= 2 * (HEADER_BYTES + TF_PAGE_TOKEN_VALUES_MAX * VALUE_BYTES)
              ? tf_base64_decode(ctx->arena, token, length, true, &size)
              : NULL;
    if (!raw || size != HEADER_BYTES + (size_t)n * VALUE_BYTES || raw[0] != TOKEN_VERSION || raw[1] != kind)
        return tf_fail_field(ctx, "page_token", "not a token of this list");
    for (int i = 0; i < n; i++) {
        uint64_t value = 0;

        for (int b = 0; b < VALUE_BYTES; b++)
            value = value << 8 | raw[HEADER_BYTES + i * VALUE_BYTES + b];
        ret_values[i] = (int64_t)value;
    }
    return TF_OK;
}

tf_code tf_page_size_read(tf_ctx *ctx, int32_t asked, int fallback, int max, int *ret_size)
{
    if (asked < 0 || asked > max) return tf_fail_field(ctx, "page_size", "1 to %d, or 0 for %d", max, fallback);
    *ret_size = asked ? asked : fallback;
    return TF_OK;
}
