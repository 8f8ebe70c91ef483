/* CreateSession: log in. Wrong name and wrong password are one answer, and take as long. */
#include "services/user/domain/login.h"
#include "services/user/handlers/views.h"

enum { DEVICE_MAX_CHARS = 100, PASSWORD_CHARS_MAX = 128 };

/* A password hashed with other parameters than today's is hashed anew while it is known. */
static tf_code refresh_hash(tf_ctx *ctx, const struct account *a, const char *password)
{
    char *stored;
    tf_code code;

    if (!tf_password_needs_rehash(a->password, (int)user_config.password_m_kib, (int)user_config.password_t))
        return TF_OK;
    code = password_make(ctx, password, &stored);
    return code ? code : account_set_password(ctx, a->user_id, stored);
}

/* Inside a turn, from looking whether the name must wait to counting a failure: however many guesses come at once, no
 * more are made than have turns before log-ins are slowed down. A name without an account takes every step but one. */
static tf_code authenticate_in_turn(tf_ctx *ctx, const char *login, const char *password, struct account *a)
{
    tf_time now = ctx->clock->wall_us(ctx->clock);
    bool known;
    tf_code code;

    code = guard_check(ctx, login, now);
    if (code) return code;

    code = account_by_login(ctx, login, a);
    if (code && code != TF_NOT_FOUND) return code;

    known = code == TF_OK;
    if (!known) tf_error_clear(ctx);
    if (!password_right(known ? a->password : NULL, password)) {
        code = guard_failed(ctx, login, now);
        return code ? code : tf_fail(ctx, TF_CREDENTIALS_WRONG, known ? "wrong password" : "unknown name");
    }
    code = refresh_hash(ctx, a, password);
    return code ? code : guard_passed(ctx, login);
}

static tf_code authenticate(tf_ctx *ctx, const char *login, const char *password, struct account *a)
{
    tf_code code = password_turn_take(ctx);

    if (code) return code;
    code = authenticate_in_turn(ctx, login, password, a);
    password_turn_give();
    return code;
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

    code = authenticate(ctx, login, request->password, &a);
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
