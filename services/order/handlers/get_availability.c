/* GetAvailability: which places are free, per tier and one by one. */
#include "common/rpc/pb_time.h"
#include "services/order/domain/window.h"
#include "services/order/handlers/views.h"
#include "services/order/inventory/inventory.h"
#include "services/order/order.h"
#include "ticketflow/order/v1/order.server.h"

static tf_code view_tiers(tf_ctx *ctx, const struct sale *sale, const struct availability *availability,
                          GetAvailabilityResponse *response)
{
    response->tiers = TF_NEW_ARRAY(ctx->arena, TierAvailability *, (size_t)sale->n_tiers);
    if (!response->tiers) return view_done(ctx);
    for (int i = 0; i < sale->n_tiers; i++) {
        TierAvailability *tier = TF_NEW(ctx->arena, TierAvailability);

        if (!tier) return view_done(ctx);
        *tier = (TierAvailability)TierAvailability_init;
        tier->tier = sale->tiers[i].tier;
        tier->capacity = sale->tiers[i].capacity;
        tier->free = availability->tiers[i].free;
        tier->held = availability->tiers[i].held;
        tier->sold = availability->tiers[i].sold;
        tier->blocked = availability->tiers[i].blocked;
        response->tiers[response->n_tiers++] = tier;
    }
    return TF_OK;
}

tf_code get_availability(tf_ctx *ctx, const GetAvailabilityRequest *request, GetAvailabilityResponse *response)
{
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    struct availability availability;
    tf_time now = order_now(ctx);
    int64_t free = 0, held = 0;
    tf_code code;

    code = sale_look(ctx, request->show_id, &sale);
    if (code) return code;

    code = inventory_availability(ctx, sale, &availability);
    if (code) return code;

    code = view_tiers(ctx, sale, &availability, response);
    if (code) return code;

    for (int i = 0; i < sale->n_tiers; i++) {
        free += availability.tiers[i].free;
        held += availability.tiers[i].held;
    }
    response->show_id = sale->show_id;
    response->version = availability.version;
    response->places.data = availability.places;
    response->places.len = availability.places_size;
    response->sale_state = (SaleState)availability.sale_state;
    response->state = offer_state(window_at(sale, now, 0), response->sale_state, offer_by_places(free, held));
    response->opens_time = tf_pb_time(ctx->arena, sale->opens_time);
    response->server_time = tf_pb_time(ctx->arena, now);
    if (availability.next_release_ms)
        response->next_release_time = tf_pb_time(ctx->arena, availability.next_release_ms * TF_US_PER_MS);
    return view_done(ctx);
}
