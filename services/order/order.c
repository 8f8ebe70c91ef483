/* Start and stop of order's own parts, in order and in reverse. */
#include "services/order/order.h"

#include "common/chassis/history.h"
#include "services/order/clients/attendees.h"
#include "services/order/commit/commit.h"
#include "services/order/config.h"
#include "services/order/events/offers.h"
#include "services/order/inventory/inventory.h"
#include "services/order/settle/settle.h"

#include <stdio.h>

enum { START_US_MAX = 10 * TF_US_PER_S, ERROR_SIZE = 512 };

static struct order_process process;

tf_time order_now(const tf_ctx *ctx)
{
    int64_t now_ms, error_ms;

    if (sale_time_now(&now_ms, &error_ms)) return now_ms * TF_US_PER_MS;
    return ctx->clock->wall_us(ctx->clock);
}

static tf_code read_ticket_key(tf_ctx *ctx)
{
    unsigned char seed[TF_SIGN_SEED_BYTES];
    size_t size;
    tf_code code;

    if (!*order_config.ticket_key_file) return tf_fail(ctx, TF_NOT_FOUND, "ticket_key_file is not set");
    code = tf_key_read(ctx, order_config.ticket_key_file, sizeof(seed), seed, sizeof(seed), &size);
    if (code) return code;

    tf_sign_keypair(seed, &process.ticket_key, &process.ticket_public);
    tf_wipe(seed, sizeof(seed));
    return TF_OK;
}

static void history_tick(tf_ctx *ctx, void *arg)
{
    (void)arg;
    tf_history_keep(ctx, ctx->app, order_config.history_days);
}

tf_code order_start(tf_app *app, const char **ret_error)
{
    static const struct {
        const char *name;
        tf_code (*start)(tf_app *app);
    } parts[] = {{"the committer", commit_start}, {"the inventory", inventory_start}, {"the settler", settle_start}};
    static char error[ERROR_SIZE];
    tf_code code;
    tf_ctx ctx;

    process.app = app;
    tf_app_set_state(app, &process);

    tf_app_ctx(app, &ctx, "start", START_US_MAX);
    code = read_ticket_key(&ctx);
    if (code)
        snprintf(error, sizeof(error), "the key that signs tickets: %s",
                 ctx.error.internal ? ctx.error.internal : "unreadable");
    tf_ctx_done(&ctx);

    if (!code) {
        process.attendees = attendee_cache_new();
        if (!process.attendees) {
            code = TF_INTERNAL;
            snprintf(error, sizeof(error), "no memory");
        }
    }
    for (size_t i = 0; !code && i < TF_COUNT(parts); i++) {
        code = parts[i].start(app);
        if (code) snprintf(error, sizeof(error), "%s did not start: %s", parts[i].name, tf_code_info(code)->reason);
    }
    if (!code) {
        process.offers = offers_start(app);
        if (!process.offers) {
            code = TF_INTERNAL;
            snprintf(error, sizeof(error), "no thread for show offers");
        }
    }
    if (!code) {
        process.history = tf_periodic_start(app, "history", (int)order_config.history_interval_ms, history_tick, NULL);
        if (!process.history) {
            code = TF_INTERNAL;
            snprintf(error, sizeof(error), "no thread for the history");
        }
    }
    if (code) *ret_error = error;
    return code;
}

void order_stop(tf_app *app)
{
    (void)app;
    tf_periodic_stop(TF_TAKE(process.history));
    tf_periodic_stop(TF_TAKE(process.offers));
    settle_stop();
    inventory_stop();
    commit_stop();
    attendee_cache_free(TF_TAKE(process.attendees));
    tf_wipe(&process.ticket_key, sizeof(process.ticket_key));
}
