/* Percent-decoding of one part of a URL. */
#include "common/http/server.h"

#include "common/base/arena.h"
#include "common/base/text.h"

char *tf_url_decode(struct tf_arena *arena, const char *text, size_t size, bool query)
{
    char *out = tf_arena_alloc(arena, size + 1), *p = out;

    if (!out) return NULL;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '%') {
            int high = i + 2 < size ? tf_hex_digit(text[i + 1]) : -1;
            int low = i + 2 < size ? tf_hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0) return NULL;
            *p++ = (char)(high << 4 | low);
            i += 2;
        } else {
            *p++ = query && text[i] == '+' ? ' ' : text[i];
        }
    }
    *p = '\0';
    return tf_utf8_valid(out, (size_t)(p - out)) ? out : NULL;
}
