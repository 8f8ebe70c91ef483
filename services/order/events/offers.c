/* Compares each show's class of availability with what was last told (columns offer_… of the fence row). */
#include "services/order/events/offers.h"

#include "common/base/log.h"
#include "services/order/domain/window.h"
#include "services/order/inventory/inventory.h"
#include "services/order/order.h"
#include "services/order/store/show_store.h"
#include "ticketflow/order/v1/events.tf.h"

enum { INTERVAL_MS = 1000, PAGE_SHOWS = 100, SHOW_US_MAX = 2 * TF_US_PER_S };

struct telling {
    const struct show_row *show;
    OfferState places;
};

static tf_code tell_in(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    const struct telling *telling = arg;
    ShowOfferChanged changed = ShowOfferChanged_init;
    struct tf_event event = {
        .bucket = telling->show->bucket,
        .topic = "stock",
        .type = "show.offer",
        .version = 1,
        .aggregate_id = telling->show->show_id,
        .organiser_id = telling->show->organiser_id,
    };
    tf_code code;

    code = show_told_in(conn, ctx, telling->show, telling->places, &changed.sequence);
    if (code) return code;

    changed.show_id = telling->show->show_id;
    changed.places = telling->places;
    changed.sale_state = (SaleState)telling->show->sale_state;
    event.payload = tf_pb_pack(ctx->arena, &changed.base, &event.size);
    if (!event.payload) return tf_fail(ctx, TF_INTERNAL, "no memory for show.offer");

    code = tf_app_id(ctx, ctx->app, event.bucket, &event.event_id);
    if (code) return code;

    return tf_outbox_put(ctx, conn, &event);
}

/* By places alone; what was told last while nobody can say. */
static OfferState places_of(tf_ctx *ctx, const struct show_row *show)
{
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    struct availability availability;
    int64_t free = 0, held = 0;

    if (sale_find(ctx, show->show_id, &sale) || inventory_availability(ctx, sale, &availability)) {
        tf_error_clear(ctx);
        return (OfferState)show->offer_places;
    }
    for (int i = 0; i < sale->n_tiers; i++) {
        free += availability.tiers[i].free;
        held += availability.tiers[i].held;
    }
    return offer_by_places(free, held);
}

static void look(tf_app *app, const struct show_row *show)
{
    struct telling telling = {.show = show};
    tf_code code = TF_OK;
    tf_ctx ctx;

    tf_app_ctx(app, &ctx, "offers", SHOW_US_MAX);
    telling.places = places_of(&ctx, show);
    if (telling.places != OFFER_STATE_UNSPECIFIED &&
        ((int)telling.places != show->offer_places || show->sale_state != show->offer_sale_state))
        code = tf_pg_tx(&ctx, tf_app_pg(app), tell_in, &telling);
    else
        telling.places = OFFER_STATE_UNSPECIFIED;
    if (!code && telling.places != OFFER_STATE_UNSPECIFIED) tf_bus_wake(tf_app_bus(app));
    if (code && code != TF_ORDER_CHANGED && code != TF_STORE_DOWN)
        tf_log(TF_LOG_WARN, "show.offer not told", "cause", ctx.error.internal, NULL);
    tf_ctx_done(&ctx);
}

static void tick(tf_ctx *ctx, void *arg)
{
    tf_app *app = arg;
    tf_time now = order_now(ctx);
    int64_t after_show = 0;
    int after_bucket = -1;
    size_t n;

    do {
        struct show_row *shows;

        if (shows_to_tell(ctx, now, after_bucket, after_show, PAGE_SHOWS, &shows, &n)) return;
        for (size_t i = 0; i < n && !tf_app_stopping(app) && !tf_ctx_check(ctx); i++) {
            look(app, &shows[i]);
            after_bucket = shows[i].bucket;
            after_show = shows[i].show_id;
        }
    } while (n == PAGE_SHOWS && !tf_app_stopping(app) && !tf_ctx_check(ctx));
}

tf_periodic *offers_start(tf_app *app)
{
    return tf_periodic_start(app, "offers", INTERVAL_MS, tick, app);
}

void offers_wake(tf_app *app)
{
    const struct order_process *process = tf_app_state(app);

    if (process && process->offers) tf_periodic_wake(process->offers);
}
