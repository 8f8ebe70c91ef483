/* DeleteAttendee. Tickets keep their own copy of the name. */
#include "services/user/handlers/views.h"

tf_code delete_attendee(tf_ctx *ctx, const DeleteAttendeeRequest *request, DeleteAttendeeResponse *response)
{
    (void)response;
    return attendee_delete(ctx, ctx->identity.user_id, request->attendee_id);
}
