/* ListSessions: the caller's devices. */
#include "common/rpc/pb_time.h"
#include "services/user/handlers/views.h"

tf_code list_sessions(tf_ctx *ctx, const ListSessionsRequest *request, ListSessionsResponse *response)
{
    struct session *rows;
    size_t n;
    tf_code code;

    (void)request;
    code = session_list(ctx, ctx->identity.user_id, ctx->clock->wall_us(ctx->clock), &rows, &n);
    if (code) return code;

    response->sessions = TF_NEW_ARRAY(ctx->arena, Session *, n);
    for (size_t i = 0; i < n && response->sessions; i++) {
        Session *s = TF_NEW(ctx->arena, Session);

        if (!s) break;
        *s = (Session)Session_init;
        s->session_id = rows[i].session_id;
        s->device = tf_arena_strdup(ctx->arena, rows[i].device);
        s->create_time = tf_pb_time(ctx->arena, rows[i].created_at);
        s->last_used_time = tf_pb_time(ctx->arena, rows[i].last_used_at);
        s->current = rows[i].session_id == ctx->identity.session_id;
        response->sessions[response->n_sessions++] = s;
    }
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
}
