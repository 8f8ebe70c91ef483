/* PublishShow: a stored show goes on offer, or a published one gets its next version. */
#include "common/chassis/service.h"
#include "services/program/handlers/answer.h"
#include "services/program/publish/publish.h"
#include "services/program/publish/turns.h"
#include "services/program/store/catalogue_store.h"
#include "ticketflow/program/v1/program.server.h"

#include <inttypes.h>

struct publishing {
    int64_t show_id;
    tf_time now;
    struct published published;
};

static tf_code publish_attempt(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct publishing *p = arg;
    struct plan_shelf shelf = {0};
    struct faults faults;
    tf_code code;

    code = catalogue_lock(conn, ctx);
    if (code) return code;

    faults_init(&faults, ctx->arena);
    code = publish_show_row(conn, ctx, &shelf, &faults, NULL, p->show_id, p->now, &p->published);
    plan_shelf_done(&shelf);
    /* An import refuses what a published show may not change; a stored one that does is our bug. */
    if (faults.n > 0)
        return tf_fail(ctx, TF_INTERNAL, "show %" PRId64 ": %s %s", p->show_id, faults.list[0].pointer,
                       faults.list[0].detail);
    return code;
}

/* Somebody else's show answers as an unknown one does. */
static tf_code show_owned(tf_ctx *ctx, int64_t show_id)
{
    int64_t organiser_id;
    tf_code code = show_organiser(ctx, tf_app_pg(ctx->app), show_id, &organiser_id);

    if (code) return code;
    if (organiser_id && (ctx->identity.roles & TF_ROLE_PLATFORM_OPERATOR)) return TF_OK;
    if (organiser_id && organiser_id == ctx->identity.organiser_id) return TF_OK;
    return tf_fail(ctx, TF_NOT_FOUND, "no show %" PRId64 " of organiser %" PRId64, show_id, ctx->identity.organiser_id);
}

tf_code publish_show(tf_ctx *ctx, const PublishShowRequest *request, PublishShowResponse *response)
{
    struct publishing p = {.show_id = request->show_id, .now = answer_now(ctx)};
    tf_code code;

    code = show_owned(ctx, request->show_id);
    if (code) return code;

    code = turn_take(ctx, 0);
    if (code) return code;

    code = tf_pg_tx(ctx, tf_app_pg(ctx->app), publish_attempt, &p);
    turn_give();
    if (code) return code;

    if (p.published.changed) tf_bus_wake(tf_app_bus(ctx->app));
    response->show_id = request->show_id;
    response->version = p.published.version;
    response->changed = p.published.changed;
    return TF_OK;
}
