/* DeleteCurrentSession: log out. */
#include "services/user/handlers/views.h"

tf_code delete_current_session(tf_ctx *ctx, const DeleteCurrentSessionRequest *request,
                               DeleteCurrentSessionResponse *response)
{
    (void)request;
    (void)response;
    return session_end(ctx, ctx->identity.session_id, ctx->identity.user_id, ctx->clock->wall_us(ctx->clock));
}
