/* GetSeatPlan: the ready-made plan of a version, passed on untouched. */
#include "common/chassis/service.h"
#include "services/program/handlers/answer.h"
#include "services/program/store/publications.h"
#include "ticketflow/program/v1/program.server.h"

tf_code get_seat_plan(tf_ctx *ctx, const GetSeatPlanRequest *request, GetSeatPlanResponse *response)
{
    struct seat_plan_row row;
    RawBody *body;
    tf_code code;

    if (request->version < 0) return tf_fail_field(ctx, "version", "must not be negative");
    code = seat_plan_get(ctx, tf_app_pg(ctx->app), request->show_id, request->version, &row);
    if (code) return code;

    body = tf_arena_alloc(ctx->arena, sizeof(*body));
    if (!body) return answer_done(ctx);
    *body = (RawBody)RawBody_init;
    body->content_type = answer_text("application/json");
    body->content_encoding = answer_text("gzip");
    body->etag = answer_text(row.etag);
    /* A version never changes; "the newest" may. */
    body->cache_control = answer_text(request->version ? "public, max-age=31536000, immutable" : "no-cache");
    body->data.data = (unsigned char *)(uintptr_t)row.gzip.data;
    body->data.len = row.gzip.size;
    response->body = body;
    return TF_OK;
}
