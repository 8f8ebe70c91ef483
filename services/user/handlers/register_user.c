/* RegisterUser: a new account by mobile or e-mail and password. */
#include "services/user/domain/login.h"
#include "services/user/handlers/views.h"

#include <string.h>

enum { PASSWORD_MIN = 8, PASSWORD_MAX = 128, NAME_MAX_CHARS = 50 };

static tf_code parse_logins(tf_ctx *ctx, const RegisterUserRequest *request, struct account *a)
{
    if (!*request->mobile && !*request->email)
        return tf_fail_field(ctx, "mobile", "a mobile or an e-mail address is needed");
    if (*request->mobile) {
        a->mobile = login_mobile(ctx->arena, request->mobile);
        if (!a->mobile)
            return tf_fail_field(ctx, "mobile", "not a mobile number: +<country><number>, or 11 digits in China");
    }
    if (*request->email) {
        a->email = login_email(ctx->arena, request->email);
        if (!a->email) return tf_fail_field(ctx, "email", "not an e-mail address");
    }
    return TF_OK;
}

static tf_code parse_language(tf_ctx *ctx, const char *language, struct account *a)
{
    if (!*language)
        a->language = ctx->language;
    else if (strcmp(language, "zh-CN") == 0 || strcmp(language, "en") == 0)
        a->language = language;
    else
        return tf_fail_field(ctx, "language", "zh-CN or en");
    return TF_OK;
}

/* That a name is taken has to be said, so asking is counted as a wrong password is: by the client's address. */
static tf_code refuse_taken(tf_ctx *ctx, tf_time now)
{
    struct tf_error taken = ctx->error;
    tf_code code;

    tf_error_clear(ctx);
    code = guard_failed(ctx, NULL, now);
    if (!code) ctx->error = taken;
    return code ? code : TF_ALREADY_EXISTS;
}

static tf_code hash_in_turn(tf_ctx *ctx, const char *password, tf_time now, char **ret_stored)
{
    tf_code code = guard_check(ctx, NULL, now);

    if (code) return code;
    code = password_turn_take(ctx);
    if (code) return code;
    code = password_make(ctx, password, ret_stored);
    password_turn_give();
    return code;
}

tf_code register_user(tf_ctx *ctx, const RegisterUserRequest *request, RegisterUserResponse *response)
{
    struct account a = {.name = request->name, .city = request->city, .created_at = ctx->clock->wall_us(ctx->clock)};
    char *password;
    tf_code code;

    code = parse_logins(ctx, request, &a);
    if (code) return code;

    code = check_text(ctx, "password", request->password, PASSWORD_MIN, PASSWORD_MAX);
    if (code) return code;

    code = check_text(ctx, "name", request->name, 0, NAME_MAX_CHARS);
    if (code) return code;

    code = check_text(ctx, "city", request->city, 0, NAME_MAX_CHARS);
    if (code) return code;

    code = parse_language(ctx, request->language, &a);
    if (code) return code;

    code = hash_in_turn(ctx, request->password, a.created_at, &password);
    if (code) return code;

    a.password = password;
    code = tf_app_id(ctx, ctx->app, 0, &a.user_id);
    if (code) return code;

    code = account_insert(ctx, &a);
    if (code == TF_ALREADY_EXISTS) return refuse_taken(ctx, a.created_at);
    if (code) return code;

    response->user = view_user(ctx, &a);
    return response->user ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
