/* The user service's own state, made at start-up and read-only afterwards. */
#pragma once

#include "common/chassis/access_token.h"
#include "common/chassis/service.h"
#include "common/crypto/crypto.h"
#include "services/user/config.h"

struct user_state {
    tf_app *app;
    tf_periodic *janitor;
    unsigned char signing_seed[TF_SIGN_SEED_BYTES];
    struct tf_access_key signing_key;
    struct tf_seal_key personal_key;
    unsigned char person_key[64];
    size_t person_key_size;
};

static inline struct user_state *user_state(const tf_ctx *ctx)
{
    return tf_ctx_state(ctx);
}
