/* RefreshSession: new tokens for an old refresh token, which works once. */
#include "services/user/handlers/views.h"

tf_code refresh_session(tf_ctx *ctx, const RefreshSessionRequest *request, RefreshSessionResponse *response)
{
    tf_time now = ctx->clock->wall_us(ctx->clock), expires = now + user_config.refresh_token_s * TF_US_PER_S;
    unsigned char old_hash[TF_SHA256_BYTES], new_hash[TF_SHA256_BYTES];
    int64_t session_id, user_id;
    struct account a;
    char *refresh;
    tf_code code;

    code = tf_app_clock_check(ctx); /* before the old one is used up */
    if (code) return code;

    code = refresh_token_read(ctx, request->refresh_token, &session_id, old_hash);
    if (code) return code;

    refresh = refresh_token_make(ctx, session_id, new_hash);
    if (!refresh) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");

    code = session_rotate(ctx, session_id, old_hash, new_hash, now, expires, &user_id);
    if (code) return code;

    code = account_by_id(ctx, user_id, &a);
    if (code) return code;

    response->tokens = view_tokens(ctx, &a, session_id, refresh, now, expires);
    return response->tokens ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
