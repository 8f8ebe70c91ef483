/* show.offer from order: places and sale state of a show, for lists. */
#include "services/program/events/events.h"
#include "services/program/store/offers.h"
#include "ticketflow/order/v1/events.tf.h"

#include <string.h>

tf_code stock_event(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    const ShowOfferChanged *offer;

    if (strcmp(event->type, "show.offer") != 0) return TF_OK;
    offer =
        (const ShowOfferChanged *)tf_pb_unpack(ctx->arena, &ShowOfferChanged_descriptor, event->payload, event->size);
    if (!offer) return tf_fail(ctx, TF_INTERNAL, "event %lld is no ShowOfferChanged", (long long)event->event_id);
    return offer_put(conn, ctx, offer);
}
