/* pay: payments, provider notifications, refunds. */
#include "services/pay/events/order_events.h"
#include "services/pay/pay.h"
#include "services/pay/providers/provider.h"
#include "services/pay/workers/workers.h"
#include "ticketflow/pay/v1/pay.server.h"

#include <stdio.h>

extern const struct tf_embedded pay_migrations[];

static const struct tf_setting settings[] = {
#define TF_CONFIG_DEF  "services/pay/config.def"
#define TF_CONFIG_TYPE struct pay_config
#include "common/chassis/config_expand.h"
};

static struct pay_state state;

static tf_code start(tf_app *app, const char **ret_error)
{
    static char error[512];
    tf_ctx ctx;
    tf_code code;

    state.app = app;
    tf_app_set_state(app, &state);
    tf_app_ctx(app, &ctx, "start", 10 * TF_US_PER_S);
    code = providers_start(&ctx);
    if (code) {
        snprintf(error, sizeof error, "%s", ctx.error.internal ? ctx.error.internal : "the providers cannot be set up");
        *ret_error = error;
    }
    tf_ctx_done(&ctx);
    if (code) return code;

    state.queries = tf_periodic_start(app, "queries", (int)pay_config.work_interval_ms, query_tick, NULL);
    state.refunds = tf_periodic_start(app, "refunds", (int)pay_config.work_interval_ms, refund_tick, NULL);
    state.retention = tf_periodic_start(app, "retention", (int)pay_config.retention_interval_ms, retention_tick, NULL);
    return state.queries && state.refunds && state.retention ? TF_OK : TF_INTERNAL;
}

static void stop(tf_app *app)
{
    (void)app;
    tf_periodic_stop(TF_TAKE(state.queries));
    tf_periodic_stop(TF_TAKE(state.refunds));
    tf_periodic_stop(TF_TAKE(state.retention));
    providers_stop();
}

/* After a batch of events: refunds may be due, and attempts of decided orders are to be closed. */
static void events_committed(struct tf_app *app)
{
    (void)app;
    tf_periodic_wake(state.refunds);
    tf_periodic_wake(state.queries);
}

int main(int argc, char **argv)
{
    static const struct tf_rpc_service *const rpc_services[] = {&pay_service, NULL};
    static const struct tf_bus_consumer consumers[] = {{"order", on_order_event, events_committed}, {NULL, NULL, NULL}};
    static const char *const callees[] = {"order", NULL};
    static const struct tf_service service = {
        .name = "pay",
        .purpose = "payments, provider notifications, refunds",
        .uses = TF_USES_PG | TF_USES_REDIS | TF_USES_BUS | TF_USES_IDS,
        .rpc_services = rpc_services,
        .migrations = pay_migrations,
        .callees = callees,
        .consumers = consumers,
        .settings = settings,
        .n_settings = TF_COUNT(settings),
        .config = &pay_config,
        .start = start,
        .stop = stop,
    };

    return tf_service_main(argc, argv, &service);
}
