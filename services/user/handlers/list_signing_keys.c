/* ListSigningKeys: the public keys of access tokens, as JWKs. */
#include "common/base/text.h"
#include "services/user/handlers/views.h"

tf_code list_signing_keys(tf_ctx *ctx, const ListSigningKeysRequest *request, ListSigningKeysResponse *response)
{
    const struct tf_access_key *key = &user_state(ctx)->signing_key;
    SigningKey *out = TF_NEW(ctx->arena, SigningKey);

    (void)request;
    response->keys = TF_NEW_ARRAY(ctx->arena, SigningKey *, 1);
    if (!out || !response->keys) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    *out = (SigningKey)SigningKey_init;
    out->kty = tf_arena_strdup(ctx->arena, "OKP");
    out->crv = tf_arena_strdup(ctx->arena, "Ed25519");
    out->alg = tf_arena_strdup(ctx->arena, "EdDSA");
    out->kid = tf_arena_strdup(ctx->arena, key->kid);
    out->x = tf_base64_encode(ctx->arena, key->public_key, sizeof key->public_key, true);
    response->keys[response->n_keys++] = out;
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
}
