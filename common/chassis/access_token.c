/* Access tokens: our claims in a signed JWT. */
#include "common/chassis/access_token.h"

#include "common/base/text.h"
#include "common/crypto/token.h"
#include "common/json/json.h"

#include <string.h>

enum { CLAIMS_BYTES_MAX = 1024, TOLERANCE_US = 5 * TF_US_PER_S };

static const char issuer[] = "ticketflow";

/* The contract's names of roles, by bit of enum tf_role. */
static const struct {
    uint32_t bit;
    const char *name;
} role_names[] = {
    {TF_ROLE_PLATFORM_OPERATOR, "ROLE_PLATFORM_OPERATOR"},
    {TF_ROLE_ORGANISER_ADMIN, "ROLE_ORGANISER_ADMIN"},
    {TF_ROLE_SCANNER, "ROLE_SCANNER"},
};

void tf_access_kid(const unsigned char public_key[32], char ret_kid[17])
{
    unsigned char digest[TF_SHA256_BYTES];

    tf_sha256(public_key, 32, digest);
    tf_hex_encode(digest, 8, ret_kid);
}

static void put_claims(tf_buf *out, const struct tf_access_claims *claims)
{
    tf_json_writer w = {.out = out};

    tf_json_begin_object(&w);
    tf_json_key(&w, "iss");
    tf_json_put_string(&w, issuer);
    tf_json_key(&w, "sub");
    tf_json_put_int_string(&w, claims->user_id);
    tf_json_key(&w, "sid");
    tf_json_put_int_string(&w, claims->session_id);
    tf_json_key(&w, "roles");
    tf_json_begin_array(&w);
    for (size_t i = 0; i < TF_COUNT(role_names); i++)
        if (claims->roles & role_names[i].bit) tf_json_put_string(&w, role_names[i].name);
    tf_json_end_array(&w);
    tf_json_key(&w, "org");
    tf_json_put_int_string(&w, claims->organiser_id);
    tf_json_key(&w, "iat");
    tf_json_put_int(&w, claims->issued / TF_US_PER_S);
    tf_json_key(&w, "exp");
    tf_json_put_int(&w, claims->expires / TF_US_PER_S);
    tf_json_end_object(&w);
}

char *tf_access_token_make(tf_ctx *ctx, const unsigned char seed[32], const struct tf_access_claims *claims)
{
    struct tf_sign_public public_key;
    struct tf_sign_key key;
    char kid[17], *token = NULL;
    tf_buf json;

    tf_sign_keypair(seed, &key, &public_key);
    tf_access_kid(public_key.bytes, kid);
    tf_buf_init(&json, CLAIMS_BYTES_MAX);
    put_claims(&json, claims);
    if (!json.broken) token = tf_jwt_sign(ctx->arena, json.data, kid, &key);
    tf_buf_done(&json);
    tf_wipe(&key, sizeof key);
    return token;
}

/* A 64-bit id written as a string. */
static bool read_id(const tf_json *object, const char *name, int64_t *ret_id)
{
    const char *text = tf_json_string(tf_json_get(object, name), NULL);

    return text && tf_parse_int64(text, ret_id) && *ret_id >= 0;
}

static uint32_t read_roles(const tf_json *roles)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < tf_json_size(roles); i++)
        for (size_t k = 0; k < TF_COUNT(role_names); k++)
            if (strcmp(tf_json_string(tf_json_at(roles, i), ""), role_names[k].name) == 0) bits |= role_names[k].bit;
    return bits;
}

/* Seconds in a document as a time; 0 when absent or out of range. */
static tf_time read_seconds(const tf_json *object, const char *name)
{
    int64_t seconds = tf_json_int(tf_json_get(object, name), 0);

    return seconds > 0 && seconds <= INT64_MAX / TF_US_PER_S ? seconds * TF_US_PER_S : 0;
}

static tf_code read_claims(tf_ctx *ctx, const char *json, size_t size, tf_time now, struct tf_access_claims *ret_claims)
{
    const char *error;
    tf_cleanup(tf_json_freep) tf_json *document = tf_json_parse(ctx->arena, json, size, 4, &error);
    struct tf_access_claims claims;

    if (!document || strcmp(tf_json_string(tf_json_get(document, "iss"), ""), issuer) != 0)
        return tf_fail(ctx, TF_UNAUTHENTICATED, "not our token");
    claims = (struct tf_access_claims){
        .roles = read_roles(tf_json_get(document, "roles")),
        .issued = read_seconds(document, "iat"),
        .expires = read_seconds(document, "exp"),
    };
    if (!read_id(document, "sub", &claims.user_id) || claims.user_id == 0 ||
        !read_id(document, "sid", &claims.session_id) || !read_id(document, "org", &claims.organiser_id))
        return tf_fail(ctx, TF_UNAUTHENTICATED, "claims missing");
    if (claims.expires <= now - TOLERANCE_US)
        return tf_fail(ctx, TF_UNAUTHENTICATED, claims.expires ? "token expired" : "no expiry");
    *ret_claims = claims;
    return TF_OK;
}

tf_code tf_access_token_read(tf_ctx *ctx, const char *token, const struct tf_access_key *keys, size_t n_keys,
                             tf_time now, struct tf_access_claims *ret_claims, bool *ret_unknown_kid)
{
    struct tf_jwt_key jwt_keys[TF_ACCESS_KEYS_MAX];
    const char *json;
    size_t size;

    if (ret_unknown_kid) *ret_unknown_kid = false;
    n_keys = TF_MIN(n_keys, (size_t)TF_ACCESS_KEYS_MAX);
    for (size_t i = 0; i < n_keys; i++) {
        memcpy(jwt_keys[i].kid, keys[i].kid, sizeof keys[i].kid);
        memcpy(jwt_keys[i].key.bytes, keys[i].public_key, sizeof keys[i].public_key);
    }
    switch (tf_jwt_verify_parts(ctx->arena, token, strlen(token), jwt_keys, n_keys, &json, &size)) {
    case TF_JWT_OK:
        return read_claims(ctx, json, size, now, ret_claims);
    case TF_JWT_KEY_UNKNOWN:
        if (ret_unknown_kid) *ret_unknown_kid = true;
        return tf_fail(ctx, TF_UNAUTHENTICATED, "token of an unknown key");
    case TF_JWT_NO_MEMORY:
        return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    case TF_JWT_MALFORMED:
    case TF_JWT_FORGED:
    default:
        return tf_fail(ctx, TF_UNAUTHENTICATED, "token malformed or forged");
    }
}
