/* ListAttendees: the caller's own. */
#include "services/user/handlers/views.h"

tf_code list_attendees(tf_ctx *ctx, const ListAttendeesRequest *request, ListAttendeesResponse *response)
{
    struct attendee *rows;
    size_t n;
    tf_code code;

    (void)request;
    code = attendee_list(ctx, ctx->identity.user_id, &rows, &n);
    if (code) return code;

    response->attendees = TF_NEW_ARRAY(ctx->arena, Attendee *, n);
    for (size_t i = 0; i < n && response->attendees; i++)
        response->attendees[response->n_attendees++] = view_attendee(ctx, &rows[i]);
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
}
