/* Rows to messages. */
#include "services/user/handlers/views.h"

#include "common/base/text.h"
#include "common/rpc/pb_time.h"
#include "services/user/domain/login.h"

#include <string.h>

static char *text_of(tf_ctx *ctx, const char *s)
{
    return tf_arena_strdup(ctx->arena, s ? s : "");
}

/* Bits of enum tf_role are the contract's Role numbers, shifted. */
static void put_roles(tf_ctx *ctx, User *user, uint32_t roles)
{
    user->roles = TF_NEW_ARRAY(ctx->arena, Role, 32);
    for (int bit = 0; user->roles && bit < 32; bit++)
        if (roles & (1u << bit)) user->roles[user->n_roles++] = (Role)(bit + 1);
}

User *view_user(tf_ctx *ctx, const struct account *a)
{
    User *user = TF_NEW(ctx->arena, User);

    if (!user) return NULL;
    *user = (User)User_init;
    user->user_id = a->user_id;
    user->mobile_masked = a->mobile ? login_mobile_mask(ctx->arena, a->mobile) : text_of(ctx, "");
    user->email_masked = a->email ? login_email_mask(ctx->arena, a->email) : text_of(ctx, "");
    user->name = text_of(ctx, a->name);
    user->language = text_of(ctx, a->language);
    user->city = text_of(ctx, a->city);
    user->create_time = tf_pb_time(ctx->arena, a->created_at);
    user->organiser_id = a->organiser_id;
    put_roles(ctx, user, a->roles);
    return tf_arena_exhausted(ctx->arena) ? NULL : user;
}

Attendee *view_attendee(tf_ctx *ctx, const struct attendee *a)
{
    Attendee *out = TF_NEW(ctx->arena, Attendee);

    if (!out) return NULL;
    *out = (Attendee)Attendee_init;
    out->attendee_id = a->attendee_id;
    out->name = text_of(ctx, a->name);
    out->id_type = a->id_type;
    out->id_number_masked = text_of(ctx, a->id_masked);
    out->verified = a->verified;
    out->create_time = tf_pb_time(ctx->arena, a->created_at);
    return tf_arena_exhausted(ctx->arena) ? NULL : out;
}

Tokens *view_tokens(tf_ctx *ctx, const struct account *a, int64_t session_id, char *refresh_token, tf_time now,
                    tf_time refresh_expires)
{
    struct tf_access_claims claims = {
        .user_id = a->user_id,
        .session_id = session_id,
        .organiser_id = a->organiser_id,
        .roles = a->roles,
        .issued = now,
        .expires = now + user_config.access_token_s * TF_US_PER_S,
    };
    Tokens *tokens = TF_NEW(ctx->arena, Tokens);

    if (!tokens) return NULL;
    *tokens = (Tokens)Tokens_init;
    tokens->session_id = session_id;
    tokens->access_token = tf_access_token_make(ctx, user_state(ctx)->signing_seed, &claims);
    tokens->access_expire_time = tf_pb_time(ctx->arena, claims.expires);
    tokens->refresh_token = refresh_token;
    tokens->refresh_expire_time = tf_pb_time(ctx->arena, refresh_expires);
    tokens->server_time = tf_pb_time(ctx->arena, now);
    return tf_arena_exhausted(ctx->arena) ? NULL : tokens;
}

tf_code check_text(tf_ctx *ctx, const char *field, const char *text, size_t min, size_t max)
{
    size_t n;

    if (strlen(text) > max * 4) return tf_fail_field(ctx, field, "at most %zu characters", max);
    if (tf_has_control(text)) return tf_fail_field(ctx, field, "control characters are not allowed");
    n = tf_utf8_length(text);
    if (n < min) return tf_fail_field(ctx, field, "at least %zu characters", min);
    if (n > max) return tf_fail_field(ctx, field, "at most %zu characters", max);
    return TF_OK;
}

/* Over session id and random bytes. */
static void refresh_proof(const tf_ctx *ctx, const unsigned char *bytes, unsigned char proof[TF_SHA256_BYTES])
{
    const struct user_state *state = user_state(ctx);
    unsigned char text[8 + 8 + REFRESH_RANDOM_BYTES] = "refresh:";

    memcpy(text + 8, bytes, 8 + REFRESH_RANDOM_BYTES);
    tf_keyed_hash(state->person_key, state->person_key_size, text, sizeof text, proof);
    tf_wipe(text, sizeof text);
}

char *refresh_token_make(tf_ctx *ctx, int64_t session_id, unsigned char ret_hash[TF_SHA256_BYTES])
{
    unsigned char bytes[8 + REFRESH_RANDOM_BYTES + REFRESH_PROOF_BYTES], proof[TF_SHA256_BYTES];
    char *encoded, *token;

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(session_id >> (56 - 8 * i));
    tf_random(bytes + 8, REFRESH_RANDOM_BYTES);
    refresh_proof(ctx, bytes, proof);
    memcpy(bytes + 8 + REFRESH_RANDOM_BYTES, proof, REFRESH_PROOF_BYTES);
    encoded = tf_base64_encode(ctx->arena, bytes, sizeof bytes, true);
    token = encoded ? tf_arena_printf(ctx->arena, "r.%s", encoded) : NULL;
    if (token) tf_sha256(token, strlen(token), ret_hash);
    tf_wipe(bytes, sizeof bytes);
    return token;
}

tf_code refresh_token_read(tf_ctx *ctx, const char *token, int64_t *ret_session_id,
                           unsigned char ret_hash[TF_SHA256_BYTES])
{
    size_t n = strnlen(token, 128), size = 0;
    const unsigned char *bytes = NULL;
    unsigned char proof[TF_SHA256_BYTES];
    uint64_t id = 0;

    if (n > 2 && n < 128 && strncmp(token, "r.", 2) == 0)
        bytes = tf_base64_decode(ctx->arena, token + 2, n - 2, true, &size);
    if (!bytes || size != 8 + REFRESH_RANDOM_BYTES + REFRESH_PROOF_BYTES)
        return tf_fail(ctx, TF_UNAUTHENTICATED, "not a refresh token");
    refresh_proof(ctx, bytes, proof);
    if (!tf_ct_equal(proof, bytes + 8 + REFRESH_RANDOM_BYTES, REFRESH_PROOF_BYTES))
        return tf_fail(ctx, TF_UNAUTHENTICATED, "a refresh token that was made up");
    for (int i = 0; i < 8; i++)
        id = id << 8 | bytes[i];
    *ret_session_id = (int64_t)id;
    tf_sha256(token, n, ret_hash);
    return TF_OK;
}
