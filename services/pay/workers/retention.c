/* Notifications and the orders' history leave by age, a partition at a time. */
#include "common/base/log.h"
#include "common/chassis/history.h"
#include "common/chassis/partitions.h"
#include "services/pay/pay.h"
#include "services/pay/workers/workers.h"

enum { DAY_S = 86400 };

void retention_tick(tf_ctx *ctx, void *arg)
{
    static const struct tf_partitioned notifications = {"notification", "received_at"};

    (void)arg;
    if (tf_partitions_keep(ctx, tf_app_pg(ctx->app), &notifications, pay_config.notification_days * DAY_S,
                           tf_app_config(ctx->app)->partition_hours)) {
        tf_log(TF_LOG_WARN, "housekeeping of notifications failed", "cause", ctx->error.internal, NULL);
        tf_error_clear(ctx);
    }
    tf_history_keep(ctx, ctx->app, pay_config.history_days);
}
