/* Text and encodings: UTF-8, numbers, hex, base64. All parsers are total: bounded input, no locale, no errno. */
#pragma once

#include "common/base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Strict UTF-8 (no surrogates, no overlong forms, no NUL byte). */
bool tf_utf8_valid(const char *s, size_t n);
/* Code points in valid UTF-8. */
size_t tf_utf8_length(const char *s);
/* True when s has a control character (below 0x20, 0x7f, or U+0080–U+009F). */
bool tf_has_control(const char *s);

/* Decimal, the whole string, no sign but '-', no blanks; false when it does not fit. */
bool tf_parse_int64(const char *s, int64_t *ret_value);
bool tf_parse_uint64(const char *s, uint64_t *ret_value);

/* Value of one hex digit of either case, 0–15; -1 when it is none. */
int tf_hex_digit(char c);
/* Lower-case hex; NUL-terminated; out takes 2 * n + 1 bytes. */
void tf_hex_encode(const void *data, size_t n, char *out);
/* False unless exactly 2 * n hex digits. */
bool tf_hex_decode(const char *hex, void *out, size_t n);

/* base64 in the arena; url: the URL alphabet without padding. */
char *tf_base64_encode(tf_arena *arena, const void *data, size_t n, bool url);
/* Strict (canonical) decoding; NULL when malformed. Padding as in tf_base64_encode. */
void *tf_base64_decode(tf_arena *arena, const char *text, size_t n, bool url, size_t *ret_size);

/* FNV-1a, 64 bits: hash of a key in our own tables; not for untrusted collisions, not stored. */
uint64_t tf_hash64(const void *data, size_t n);
/* splitmix64's finaliser: a fixed, well-mixed function of one integer; stored results rely on it (show buckets). */
uint64_t tf_mix64(uint64_t x);
