/* show.published and show.changed: a version of a show can be fetched and sold. */
#include "common/chassis/service.h"
#include "services/program/events/events.h"
#include "ticketflow/program/v1/sale.tf.h"

tf_code show_published_put(tf_ctx *ctx, tf_pg_conn *conn, int64_t show_id, int64_t organiser_id, int32_t version,
                           const unsigned char digest[static 32])
{
    ShowPublished message = ShowPublished_init;
    struct tf_event event = {
        .bucket = tf_bucket_of_show(show_id),
        .topic = "show",
        .type = version == 1 ? "show.published" : "show.changed",
        .version = 1,
        .aggregate_id = show_id,
        .organiser_id = organiser_id,
    };
    tf_code code;

    message.show_id = show_id;
    message.version = version;
    message.digest.data = (unsigned char *)(uintptr_t)digest; /* packing only reads */
    message.digest.len = 32;
    event.payload = tf_pb_pack(ctx->arena, &message.base, &event.size);
    if (!event.payload) return tf_fail(ctx, TF_INTERNAL, "no memory for the event of show %lld", (long long)show_id);
    code = tf_app_id(ctx, ctx->app, 0, &event.event_id);
    if (code) return code;

    return tf_outbox_put(ctx, conn, &event);
}
