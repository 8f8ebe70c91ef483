/* Key files into the service's state. */
#include "services/user/keys.h"

#include <string.h>

tf_code user_keys_read(tf_ctx *ctx, const struct user_config *config, struct user_state *state)
{
    struct tf_sign_public public_key;
    size_t n;
    tf_code code;

    code = tf_key_read(ctx, config->signing_key_file, TF_SIGN_SEED_BYTES, state->signing_seed,
                       sizeof state->signing_seed, &n);
    if (code) return code;

    tf_sign_keypair(state->signing_seed, NULL, &public_key);
    memcpy(state->signing_key.public_key, public_key.bytes, sizeof public_key.bytes);
    tf_access_kid(public_key.bytes, state->signing_key.kid);
    state->personal_key.version = 1;
    code = tf_key_read(ctx, config->personal_key_file, TF_SEAL_KEY_BYTES, state->personal_key.bytes, TF_SEAL_KEY_BYTES,
                       &n);
    if (code) return code;

    return tf_key_read(ctx, config->person_key_file, 32, state->person_key, sizeof state->person_key,
                       &state->person_key_size);
}
