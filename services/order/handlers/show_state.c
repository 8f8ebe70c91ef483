/* First the fence, after which no order on the old state can commit; then Redis, so that holds stop or start at once.
 */
#include "services/order/handlers/show_state.h"

#include "services/order/domain/order_state.h"
#include "services/order/events/offers.h"
#include "services/order/inventory/inventory.h"
#include "services/order/store/show_store.h"

tf_code change_sale_state(tf_ctx *ctx, int64_t show_id, SaleState state)
{
    struct show_row show;
    tf_code code;

    code = show_read(ctx, show_id, &show);
    if (code) return code;
    if (!operates_for(&ctx->identity, TF_ROLE_ORGANISER_ADMIN, show.organiser_id))
        return tf_fail(ctx, TF_NOT_FOUND, "show %lld is another organiser's", (long long)show_id);

    code = show_set_state(ctx, show_id, (int)state);
    if (code) return code;

    code = inventory_set_sale_state(ctx, show_id, (int)state);
    if (code) { /* the fence has decided already; a rebuild takes the state from it */
        tf_error_clear(ctx);
        inventory_rebuild_soon(show_id);
    }
    offers_wake(ctx->app);
    return TF_OK;
}
