/* FindAccount: for order's look-up, on an operator's behalf. What was asked for leaves as a hash, never in the log. */
#include "common/base/text.h"
#include "services/user/domain/login.h"
#include "services/user/handlers/views.h"

#include <string.h>

enum { SUBJECT_BYTES = 8 };

/* The one form of what is looked for; its field in *ret_field. */
static tf_code read_login(tf_ctx *ctx, const FindAccountRequest *request, const char **ret_login)
{
    bool mobile = *request->mobile;

    if (mobile == (*request->email != '\0'))
        return tf_fail_field(ctx, "mobile", "either a mobile or an e-mail address");
    *ret_login = mobile ? login_mobile(ctx->arena, request->mobile) : login_email(ctx->arena, request->email);
    if (*ret_login) return TF_OK;
    return tf_fail_field(ctx, mobile ? "mobile" : "email", mobile ? "not a mobile number" : "not an e-mail address");
}

/* Not the hash that finds the account: who reads logs shall not find rows by it. */
static char *subject_of(tf_ctx *ctx, const char *login)
{
    const struct user_state *keys = user_state(ctx);
    const char *what = tf_arena_printf(ctx->arena, "audit:%s", login);
    char *text = tf_arena_alloc(ctx->arena, 2 * SUBJECT_BYTES + 1);
    unsigned char hash[TF_SHA256_BYTES];

    if (!text || !what) return NULL;
    tf_keyed_hash(keys->person_key, keys->person_key_size, what, strlen(what), hash);
    tf_hex_encode(hash, SUBJECT_BYTES, text);
    return text;
}

tf_code find_account(tf_ctx *ctx, const FindAccountRequest *request, FindAccountResponse *response)
{
    struct account account;
    const char *login;
    tf_code code;

    code = read_login(ctx, request, &login);
    if (code) return code;

    response->subject = subject_of(ctx, login);
    if (!response->subject) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");

    code = account_by_login(ctx, login, &account);
    if (code == TF_NOT_FOUND) {
        tf_error_clear(ctx);
        return TF_OK;
    }
    if (code) return code;

    response->user_id = account.user_id;
    if (account.mobile) response->mobile_masked = login_mobile_mask(ctx->arena, account.mobile);
    if (account.email) response->email_masked = login_email_mask(ctx->arena, account.email);
    return response->mobile_masked && response->email_masked ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
