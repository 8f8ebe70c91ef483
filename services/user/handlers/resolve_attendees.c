/* ResolveAttendees: for order, which must know that the attendees are the buyer's own and who they are. */
#include "services/user/handlers/views.h"

enum { RESOLVE_MAX = 50 };

static const struct attendee *find(const struct attendee *rows, size_t n, int64_t attendee_id)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].attendee_id == attendee_id) return &rows[i];
    return NULL;
}

/* Whether an id before the i-th is the same: two tickets for one person. */
static bool repeated(const ResolveAttendeesRequest *request, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (request->attendee_ids[j] == request->attendee_ids[i]) return true;
    return false;
}

static ResolvedAttendee *resolved(tf_ctx *ctx, const struct attendee *a)
{
    ResolvedAttendee *out = TF_NEW(ctx->arena, ResolvedAttendee);

    if (!out) return NULL;
    *out = (ResolvedAttendee)ResolvedAttendee_init;
    out->attendee_id = a->attendee_id;
    out->name = tf_arena_strdup(ctx->arena, a->name);
    out->id_number_masked = tf_arena_strdup(ctx->arena, a->id_masked);
    out->person = tf_arena_strdup(ctx->arena, a->person);
    out->verified = a->verified;
    return out;
}

tf_code resolve_attendees(tf_ctx *ctx, const ResolveAttendeesRequest *request, ResolveAttendeesResponse *response)
{
    struct attendee *rows;
    size_t n;
    tf_code code;

    if (request->n_attendee_ids > RESOLVE_MAX) return tf_fail_field(ctx, "attendee_ids", "at most %d", RESOLVE_MAX);
    code = attendee_list(ctx, request->user_id, &rows, &n);
    if (code) return code;

    response->attendees = TF_NEW_ARRAY(ctx->arena, ResolvedAttendee *, request->n_attendee_ids);
    for (size_t i = 0; i < request->n_attendee_ids && response->attendees; i++) {
        const struct attendee *a = find(rows, n, request->attendee_ids[i]);

        if (repeated(request, i))
            return tf_fail_field(ctx, tf_arena_printf(ctx->arena, "attendee_ids[%zu]", i),
                                 "an attendee is named twice");
        if (!a) {
            tf_fail(ctx, TF_NOT_FOUND, "attendee %lld is not the user's", (long long)request->attendee_ids[i]);
            ctx->error.field = tf_arena_printf(ctx->arena, "attendee_ids[%zu]", i);
            return TF_NOT_FOUND;
        }
        response->attendees[response->n_attendees++] = resolved(ctx, a);
    }
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
}
