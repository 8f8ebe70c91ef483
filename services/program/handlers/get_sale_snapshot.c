/* GetSaleSnapshot: one page of a version's snapshot, for order. */
#include "common/chassis/service.h"
#include "services/program/handlers/answer.h"
#include "services/program/store/publications.h"
#include "ticketflow/program/v1/program.server.h"

tf_code get_sale_snapshot(tf_ctx *ctx, const GetSaleSnapshotRequest *request, GetSaleSnapshotResponse *response)
{
    struct snapshot_page page;
    tf_code code;

    if (request->offset < 0 || request->offset >= INT32_MAX)
        return tf_fail_field(ctx, "offset", "must be within the snapshot");
    code = snapshot_page_get(ctx, tf_app_pg(ctx->app), request->show_id, request->version, request->offset, &page);
    if (code) return code;

    if (request->offset > page.total) return tf_fail_field(ctx, "offset", "must be within the snapshot");
    response->data.data = (unsigned char *)(uintptr_t)page.data.data;
    response->data.len = page.data.size;
    response->total_size = page.total;
    response->digest.data = (unsigned char *)(uintptr_t)page.digest.data;
    response->digest.len = page.digest.size;
    return TF_OK;
}
