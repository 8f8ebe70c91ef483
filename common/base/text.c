/* UTF-8, numbers, hex, base64 and hashes. */
#include "common/base/text.h"

#include <string.h>

bool tf_utf8_valid(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;

    for (size_t i = 0; i < n;) {
        unsigned char c = p[i];
        unsigned char low = 0x80,
                      high =
                          0xbf; /* bounds of the second byte: no overlong form, no surrogate, no more than U+10FFFF */
        size_t more;

        if (c == 0) return false;
        if (c < 0x80) {
            i++;
            continue;
        }
        if (c >= 0xc2 && c <= 0xdf)
            more = 1;
        else if (c >= 0xe0 && c <= 0xef)
            more = 2;
        else if (c >= 0xf0 && c <= 0xf4)
            more = 3;
        else
            return false;
        if (c == 0xe0) low = 0xa0;
        if (c == 0xed) high = 0x9f;
        if (c == 0xf0) low = 0x90;
        if (c == 0xf4) high = 0x8f;
        if (n - i <= more) return false;
        if (p[i + 1] < low || p[i + 1] > high) return false;
        for (size_t k = 2; k <= more; k++)
            if ((p[i + k] & 0xc0) != 0x80) return false;
        i += more + 1;
    }
    return true;
}

size_t tf_utf8_length(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

bool tf_has_control(const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f) return true;
        if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) return true;
    }
    return false;
}

bool tf_parse_uint64(const char *s, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (!s || !*s) return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9') return false;
        if (__builtin_mul_overflow(value, 10u, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(*s - '0'), &value)) return false;
    }
    *ret_value = value;
    return true;
}

bool tf_parse_int64(const char *s, int64_t *ret_value)
{
    bool negative = s && *s == '-';
    uint64_t size;

    if (!tf_parse_uint64(negative ? s + 1 : s, &size)) return false;
    if (size > (uint64_t)INT64_MAX + negative) return false;
    *ret_value = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}

void tf_hex_encode(const void *data, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
}

int tf_hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool tf_hex_decode(const char *hex, void *out, size_t n)
{
    unsigned char *p = out;

    if (!hex) return false;
    for (size_t i = 0; i < 2 * n; i++)
        if (tf_hex_digit(hex[i]) < 0) return false; /* the NUL is no digit: never reads past it */
    if (hex[2 * n]) return false;
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(tf_hex_digit(hex[2 * i]) << 4 | tf_hex_digit(hex[2 * i + 1]));
    return true;
}

static const char base64_plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *tf_base64_encode(tf_arena *arena, const void *data, size_t n, bool url)
{
    const char *alphabet = url ? base64_url : base64_plain;
    const unsigned char *p = data;
    char *text, *q;

    if (n > SIZE_MAX / 4) return NULL;
    text = q = tf_arena_alloc(arena, (n + 2) / 3 * 4 + 1);
    if (!text) return NULL;
    for (; n >= 3; n -= 3, p += 3) {
        *q++ = alphabet[p[0] >> 2];
        *q++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
        *q++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
        *q++ = alphabet[p[2] & 63];
    }
    if (n) {
        unsigned second = n == 2 ? p[1] : 0;

        *q++ = alphabet[p[0] >> 2];
        *q++ = alphabet[(p[0] & 3) << 4 | second >> 4];
        if (n == 2)
            *q++ = alphabet[(second & 15) << 2];
        else if (!url)
            *q++ = '=';
        if (!url) *q++ = '=';
    }
    *q = '\0';
    return text;
}

static int base64_digit(unsigned char c, bool url)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == (url ? '-' : '+')) return 62;
    if (c == (url ? '_' : '/')) return 63;
    return -1;
}

/* A NUL follows the bytes, which ret_size does not count: texts need no second copy. */
void *tf_base64_decode(tf_arena *arena, const char *text, size_t n, bool url, size_t *ret_size)
{
    unsigned char *data, *q;
    uint32_t bits = 0;
    int have = 0;

    if (!url) {
        if (n % 4) return NULL;
        if (n && text[n - 1] == '=') n--;
        if (n % 4 == 3 && text[n - 1] == '=') n--;
    }
    if (n % 4 == 1) return NULL;
    data = q = tf_arena_alloc(arena, n / 4 * 3 + 3);
    if (!data) return NULL;
    for (size_t i = 0; i < n; i++) {
        int digit = base64_digit((unsigned char)text[i], url);

        if (digit < 0) return NULL;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *q++ = (unsigned char)(bits >> have);
            bits &= (1u << have) - 1;
        }
    }
    if (bits) return NULL; /* left-over bits must be zero, or one value would have several texts */
    *q = '\0';
    *ret_size = (size_t)(q - data);
    return data;
}

uint64_t tf_hash64(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

uint64_t tf_mix64(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
