/* CreateSession: log in. Wrong name and wrong password are one answer, and take as long. */
#include "services/user/domain/login.h"
#include "services/user/domain/throttle.h"
#include "services/user/handlers/views.h"

enum { DEVICE_MAX_CHARS = 100, PASSWORD_CHARS_MAX = 128 };

static tf_code refuse_locked(tf_ctx *ctx, tf_time now, tf_time until)
{
    int64_t ms = (until - now) / TF_US_PER_MS + 1;

    tf_fail(ctx, TF_RATE_LIMITED, "too many wrong passwords");
    tf_error_retry_after(ctx, (int)ms);
    return TF_RATE_LIMITED;
}

static tf_code wrong(tf_ctx *ctx, int64_t user_id, tf_time now)
{
    int failures, wait;
    tf_code code;

    code = account_login_failed(ctx, user_id, &failures);
    if (code) return code;

    wait = login_wait_s(failures, (int)user_config.login_free_failures);
    code = wait ? account_lock(ctx, user_id, now + (int64_t)wait * TF_US_PER_S) : TF_OK;
    return code ? code : tf_fail(ctx, TF_CREDENTIALS_WRONG, "wrong password");
}

/* Finds the account and checks the password. */
static tf_code authenticate(tf_ctx *ctx, const char *login, const char *password, tf_time now, struct account *a)
{
    bool right = false;
    char *stored = NULL;
    tf_code code;

    code = account_by_login(ctx, login, a);
    if (code == TF_NOT_FOUND) {
        tf_error_clear(ctx);
        code = password_check(ctx, NULL, password, &right);
        return code ? code : tf_fail(ctx, TF_CREDENTIALS_WRONG, "unknown name");
    }
    if (code) return code;
    if (a->locked_until > now) return refuse_locked(ctx, now, a->locked_until);

    code = password_check(ctx, a->password, password, &right);
    if (code) return code;

    /* While this one waited for its turn others may have failed: a guess sent beside them learns nothing. */
    now = ctx->clock->wall_us(ctx->clock);
    code = account_by_login(ctx, login, a);
    if (code) return code;
    if (a->locked_until > now) return refuse_locked(ctx, now, a->locked_until);
    if (!right) return wrong(ctx, a->user_id, now);

    if (tf_password_needs_rehash(a->password, (int)user_config.password_m_kib, (int)user_config.password_t)) {
        code = password_make(ctx, password, &stored);
        if (code) return code;
    }
    return account_login_succeeded(ctx, a->user_id, stored);
}

tf_code create_session(tf_ctx *ctx, const CreateSessionRequest *request, CreateSessionResponse *response)
{
    tf_time now = ctx->clock->wall_us(ctx->clock);
    struct session s = {
        .device = request->device, .created_at = now, .expires_at = now + user_config.refresh_token_s * TF_US_PER_S};
    unsigned char hash[TF_SHA256_BYTES];
    struct account a;
    char *login, *refresh;
    tf_code code;

    code = check_text(ctx, "device", request->device, 0, DEVICE_MAX_CHARS);
    if (code) return code;

    code = check_text(ctx, "password", request->password, 1, PASSWORD_CHARS_MAX);
    if (code) return code;

    if (login_parse(ctx->arena, request->login, &login) == LOGIN_INVALID)
        return tf_fail_field(ctx, "login", "neither a mobile number nor an e-mail address");

    code = authenticate(ctx, login, request->password, now, &a);
    if (code) return code;

    code = tf_app_id(ctx, ctx->app, 0, &s.session_id);
    if (code) return code;

    s.user_id = a.user_id;
    refresh = refresh_token_make(ctx, s.session_id, hash);
    if (!refresh) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");

    code = session_insert(ctx, &s, hash);
    if (code) return code;

    response->tokens = view_tokens(ctx, &a, s.session_id, refresh, now, s.expires_at);
    response->user = view_user(ctx, &a);
    return response->tokens && response->user ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
