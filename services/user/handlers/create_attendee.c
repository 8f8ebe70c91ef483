/* CreateAttendee: a person for whom the caller may buy. */
#include "services/user/domain/id_document.h"
#include "services/user/handlers/views.h"

#include <string.h>

enum { NAME_CHARS_MAX = 50 };

tf_code create_attendee(tf_ctx *ctx, const CreateAttendeeRequest *request, CreateAttendeeResponse *response)
{
    struct attendee a = {.user_id = ctx->identity.user_id,
                         .name = request->name,
                         .id_type = request->id_type,
                         .created_at = ctx->clock->wall_us(ctx->clock)};
    struct attendee stored;
    tf_code code;

    code = check_text(ctx, "name", request->name, 1, NAME_CHARS_MAX);
    if (code) return code;
    if (request->id_type != ID_TYPE_CN_RESIDENT && request->id_type != ID_TYPE_PASSPORT)
        return tf_fail_field(ctx, "id_type", "ID_TYPE_CN_RESIDENT or ID_TYPE_PASSPORT");

    a.id_number = id_document_normal(ctx->arena, request->id_type, request->id_number);
    if (!a.id_number) return tf_fail_field(ctx, "id_number", "not a valid number of this kind of document");

    a.id_masked = id_document_mask(ctx->arena, request->id_type, a.id_number);
    a.person = attendee_person(ctx, request->id_type, a.id_number);
    a.verified = id_document_verified(request->id_type);
    if (!a.id_masked || !a.person) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    code = tf_app_id(ctx, ctx->app, 0, &a.attendee_id);
    if (code) return code;

    code = attendee_add(ctx, &a, (int)user_config.attendees_max, &stored);
    if (code) return code;
    if (strcmp(stored.name, request->name) != 0) {
        tf_fail(ctx, TF_ALREADY_EXISTS, "the document is stored under another name");
        ctx->error.field = "id_number";
        return TF_ALREADY_EXISTS;
    }

    response->attendee = view_attendee(ctx, &stored);
    return response->attendee ? TF_OK : tf_fail(ctx, TF_INTERNAL, "arena exhausted");
}
