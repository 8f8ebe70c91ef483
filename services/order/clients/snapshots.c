/* Pages are at most 1 MiB; each is read in a context of its own, so that a large plan does not fill the event's memory.
 */
#include "services/order/clients/snapshots.h"

#include "common/chassis/service.h"
#include "common/crypto/crypto.h"
#include "ticketflow/program/v1/program.tf.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_US_MAX = 5 * TF_US_PER_S };

struct snapshot {
    unsigned char *data;
    size_t size, total;
};

static void snapshot_done(struct snapshot *snapshot)
{
    free(snapshot->data);
}

static tf_code fetch_page(tf_ctx *ctx, tf_rpc_client *program, int64_t show_id, int32_t version,
                          struct snapshot *snapshot)
{
    GetSaleSnapshotRequest request = GetSaleSnapshotRequest_init;
    GetSaleSnapshotResponse *page;
    tf_code code;

    request.show_id = show_id;
    request.version = version;
    request.offset = (int64_t)snapshot->size;
    code = call_get_sale_snapshot_internal(ctx, program, &request, &page);
    if (code) return code;

    if (!snapshot->data) {
        if (page->total_size < 1 || page->total_size > SNAPSHOT_BYTES_MAX)
            return tf_fail(ctx, TF_INTERNAL, "a sale snapshot of %lld bytes", (long long)page->total_size);
        snapshot->total = (size_t)page->total_size;
        snapshot->data = malloc(snapshot->total);
        if (!snapshot->data) return tf_fail(ctx, TF_OVERLOADED, "no memory for a sale snapshot");
    }
    if (page->data.len == 0 || page->data.len > snapshot->total - snapshot->size)
        return tf_fail(ctx, TF_INTERNAL, "a page of %zu bytes at %zu of %zu", page->data.len, snapshot->size,
                       snapshot->total);
    memcpy(snapshot->data + snapshot->size, page->data.data, page->data.len);
    snapshot->size += page->data.len;
    return TF_OK;
}

tf_code snapshot_fetch(tf_ctx *ctx, int64_t show_id, int32_t version, const void *digest, size_t digest_size,
                       void **ret_data, size_t *ret_size)
{
    tf_cleanup(snapshot_done) struct snapshot snapshot = {0};
    tf_rpc_client *program = tf_app_client(ctx->app, "program");
    unsigned char own_digest[TF_SHA256_BYTES];

    do {
        tf_ctx page;
        tf_code code;

        tf_app_ctx(ctx->app, &page, ctx->request_id, TF_MAX(1, TF_MIN(tf_ctx_left_us(ctx), PAGE_US_MAX)));
        code = fetch_page(&page, program, show_id, version, &snapshot);
        if (code)
            tf_fail(ctx, code, "snapshot of show %lld: %s", (long long)show_id,
                    page.error.internal ? page.error.internal : tf_code_info(code)->reason);
        tf_ctx_done(&page);
        if (code) return code;
    } while (snapshot.size < snapshot.total);

    tf_sha256(snapshot.data, snapshot.size, own_digest);
    if (digest_size != sizeof(own_digest) || memcmp(own_digest, digest, sizeof(own_digest)) != 0)
        return tf_fail(ctx, TF_INTERNAL, "snapshot %d of show %lld does not have the digest announced", version,
                       (long long)show_id);
    *ret_data = TF_TAKE(snapshot.data);
    *ret_size = snapshot.size;
    return TF_OK;
}
