/* GetMe: the caller's own account. */
#include "services/user/handlers/views.h"

tf_code get_me(tf_ctx *ctx, const GetMeRequest *request, GetMeResponse *response)
{
    struct account a;
    tf_code code;

    (void)request;
    code = account_by_id(ctx, ctx->identity.user_id, &a);
    if (code) return code;

    response->user = view_user(ctx, &a);
    return response->user ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
