/* The access token that clients carry: an EdDSA JWT, made by user, verified by the gateway without asking anybody.
 *
 * Claims: iss "ticketflow", sub (user id), sid (session id), roles (names of ticketflow.options.v1.Role), org
 * (organiser id), iat, exp (seconds). 64-bit ids are strings. kid: first 16 hex digits of SHA-256 over the public key.
 */
#pragma once

#include "common/base/ctx.h"

#include <stddef.h>

struct tf_access_claims {
    int64_t user_id, session_id, organiser_id;
    uint32_t roles; /* enum tf_role */
    tf_time issued, expires;
};

/* A public key of the issuer. */
struct tf_access_key {
    char kid[17];
    unsigned char public_key[32];
};

enum { TF_ACCESS_KEYS_MAX = 8 };

/* The key id of a public key. */
void tf_access_kid(const unsigned char public_key[32], char ret_kid[17]);
/* The compact token in ctx->arena; seed: the 32 bytes of the signing key file. NULL past the arena's ceiling. */
char *tf_access_token_make(tf_ctx *ctx, const unsigned char seed[32], const struct tf_access_claims *claims);
/* TF_UNAUTHENTICATED unless well-formed, signed by one of the keys, issued by us and not expired (`now`, 5 s of
 * tolerance). *ret_unknown_kid (may be NULL) tells that the key id is none of ours: fetch the keys again. */
TF_MUSTCHECK tf_code tf_access_token_read(tf_ctx *ctx, const char *token, const struct tf_access_key *keys,
                                          size_t n_keys, tf_time now, struct tf_access_claims *ret_claims,
                                          bool *ret_unknown_kid);
