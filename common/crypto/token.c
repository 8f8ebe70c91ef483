/* Compact JWTs: signing, and verification down to the claims' bytes. */
#include "common/crypto/token.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

static const char header_start[] = "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"";
static const char header_end[] = "\"}";

enum { HEADER_BYTES_MAX = sizeof(header_start) + TF_JWT_KID_MAX + sizeof(header_end) };

bool tf_jwt_kid_valid(const char *kid)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = kid ? strnlen(kid, TF_JWT_KID_MAX + 1) : 0;

    return n >= 1 && n <= TF_JWT_KID_MAX && strspn(kid, allowed) == n;
}

/* The header for a valid kid; returns its length. */
static size_t header_write(char out[static HEADER_BYTES_MAX], const char *kid)
{
    return (size_t)snprintf(out, HEADER_BYTES_MAX, "%s%s%s", header_start, kid, header_end);
}

char *tf_jwt_sign(tf_arena *arena, const char *claims_json, const char *kid, const struct tf_sign_key *key)
{
    unsigned char signature[TF_SIGN_BYTES];
    char header[HEADER_BYTES_MAX];
    char *header64, *claims64, *signed_part, *signature64, *token;

    if (!tf_jwt_kid_valid(kid) || strnlen(claims_json, TF_JWT_BYTES_MAX) == TF_JWT_BYTES_MAX) return NULL;
    header64 = tf_base64_encode(arena, header, header_write(header, kid), true);
    claims64 = tf_base64_encode(arena, claims_json, strlen(claims_json), true);
    if (!header64 || !claims64) return NULL;
    signed_part = tf_arena_printf(arena, "%s.%s", header64, claims64);
    if (!signed_part) return NULL;

    tf_sign(key, signed_part, strlen(signed_part), signature);
    signature64 = tf_base64_encode(arena, signature, sizeof(signature), true);
    token = signature64 ? tf_arena_printf(arena, "%s.%s", signed_part, signature64) : NULL;
    return token && strlen(token) <= TF_JWT_BYTES_MAX ? token : NULL;
}

/* Our form of header with any valid kid. */
static bool header_ours(const char *header, size_t n)
{
    size_t start = sizeof(header_start) - 1, end = sizeof(header_end) - 1;
    char kid[TF_JWT_KID_MAX + 1];

    if (n < start + end || n - start - end > TF_JWT_KID_MAX) return false;
    if (memcmp(header, header_start, start) != 0 || memcmp(header + n - end, header_end, end) != 0) return false;
    memcpy(kid, header + start, n - start - end);
    kid[n - start - end] = '\0';
    return strlen(kid) == n - start - end && tf_jwt_kid_valid(kid);
}

static const struct tf_jwt_key *key_find(const struct tf_jwt_key *keys, size_t n_keys, const char *header, size_t n)
{
    char expected[HEADER_BYTES_MAX];

    for (size_t i = 0; i < n_keys; i++)
        if (tf_jwt_kid_valid(keys[i].kid) && header_write(expected, keys[i].kid) == n &&
            memcmp(expected, header, n) == 0)
            return &keys[i];
    return NULL;
}

enum tf_jwt_result tf_jwt_verify_parts(tf_arena *arena, const char *token, size_t n, const struct tf_jwt_key *keys,
                                       size_t n_keys, const char **ret_claims, size_t *ret_size)
{
    const char *dot1, *dot2, *end = token + n;
    const struct tf_jwt_key *key;
    const unsigned char *signature;
    const char *header, *claims;
    size_t header_n = 0, claims_n = 0, signature_n = 0;

    if (n == 0 || n > TF_JWT_BYTES_MAX) return TF_JWT_MALFORMED;
    dot1 = memchr(token, '.', n);
    dot2 = dot1 ? memchr(dot1 + 1, '.', (size_t)(end - dot1 - 1)) : NULL;
    if (!dot2) return TF_JWT_MALFORMED; /* a third dot is no digit of base64 */

    header = tf_base64_decode(arena, token, (size_t)(dot1 - token), true, &header_n);
    claims = tf_base64_decode(arena, dot1 + 1, (size_t)(dot2 - dot1 - 1), true, &claims_n);
    signature = tf_base64_decode(arena, dot2 + 1, (size_t)(end - dot2 - 1), true, &signature_n);
    if (tf_arena_exhausted(arena)) return TF_JWT_NO_MEMORY;
    if (!header || !claims || !signature || signature_n != TF_SIGN_BYTES) return TF_JWT_MALFORMED;
    if (!header_ours(header, header_n)) return TF_JWT_MALFORMED;

    key = key_find(keys, n_keys, header, header_n);
    if (!key) return TF_JWT_KEY_UNKNOWN;
    if (!tf_sign_verify(&key->key, token, (size_t)(dot2 - token), signature)) return TF_JWT_FORGED;
    *ret_claims = claims;
    *ret_size = claims_n;
    return TF_JWT_OK;
}
