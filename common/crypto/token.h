/* Access tokens: JSON Web Tokens signed with Ed25519 (RFC 7519, RFC 8037) and nothing else.
 *
 * The header that we write has a fixed form, {"alg":"EdDSA","typ":"JWT","kid":"…"}; verification builds the one
 * header that is right for a known key and compares it byte for byte. So no algorithm, key or critical extension can be
 * chosen by the token, and no foreign JSON is parsed before the signature is known to be ours. What the claims mean
 * (issuer, audience, times) is the caller's to check. */
#pragma once

#include "common/crypto/crypto.h"

enum { TF_JWT_BYTES_MAX = 8192, TF_JWT_KID_MAX = 64 };

/* A public key that tokens may be signed with. */
struct tf_jwt_key {
    char kid[TF_JWT_KID_MAX + 1]; /* [A-Za-z0-9_-]{1,64} */
    struct tf_sign_public key;
};

bool tf_jwt_kid_valid(const char *kid);

/* The compact form: header.claims.signature. NULL: kid not valid, longer than TF_JWT_BYTES_MAX, or arena exhausted. */
char *tf_jwt_sign(tf_arena *arena, const char *claims_json, const char *kid, const struct tf_sign_key *key);

enum tf_jwt_result {
    TF_JWT_OK,
    TF_JWT_MALFORMED,   /* not three parts of canonical base64url, too long, or another kind of header */
    TF_JWT_KEY_UNKNOWN, /* our form of header, but a kid that is not among the keys: perhaps they were rotated */
    TF_JWT_FORGED,      /* the signature is not that key's */
    TF_JWT_NO_MEMORY,   /* arena exhausted */
};

/* Splits the token (n bytes, need not end with a NUL), finds the key, verifies the signature. With TF_JWT_OK
 * *ret_claims is the claims' JSON in the arena, followed by a NUL that *ret_size does not count. */
TF_MUSTCHECK enum tf_jwt_result tf_jwt_verify_parts(tf_arena *arena, const char *token, size_t n,
                                                    const struct tf_jwt_key *keys, size_t n_keys,
                                                    const char **ret_claims, size_t *ret_size);
