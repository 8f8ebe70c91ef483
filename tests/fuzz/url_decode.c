/* URL decoding: what is accepted is valid UTF-8 and survives being encoded again. */
#include "tests/fuzz/fuzz.h"

#include "common/base/arena.h"
#include "common/base/text.h"
#include "common/http/server.h"

#include <string.h>

const char *const fuzz_seeds[] = {"abc", "a%20b+c", "%E4%BD%A0%e5%a5%bd", "%25%2541", "a=b&c=%ff", NULL};
const char *const fuzz_words[] = {"%", "%0", "%00", "%c0%af", "%ed%a0%80", "+", "%2B", "%f0%9f%8e%ab", NULL};

static void check(tf_arena *arena, const char *text, size_t size, bool query)
{
    static const char digits[] = "0123456789ABCDEF";
    char *decoded = tf_url_decode(arena, text, size, query), *encoded, *again;
    size_t n;

    if (!decoded) return;
    n = strlen(decoded);
    TF_ASSERT(n <= size && tf_utf8_valid(decoded, n));
    encoded = tf_arena_alloc(arena, 3 * n + 1);
    TF_ASSERT(encoded);
    for (size_t i = 0; i < n; i++) {
        encoded[3 * i] = '%';
        encoded[3 * i + 1] = digits[(unsigned char)decoded[i] >> 4];
        encoded[3 * i + 2] = digits[decoded[i] & 15];
    }
    again = tf_url_decode(arena, encoded, 3 * n, query);
    TF_ASSERT(again && strcmp(again, decoded) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tf_arena *arena = tf_arena_new(1 << 20);

    TF_ASSERT(arena);
    check(arena, (const char *)data, size, false);
    check(arena, (const char *)data, size, true);
    tf_arena_free(arena);
    return 0;
}
