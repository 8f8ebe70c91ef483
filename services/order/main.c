/* tf-order: availability, holds, orders and tickets. The process is this table. */
#include "common/chassis/service.h"
#include "services/order/config.h"
#include "services/order/events/events.h"
#include "services/order/order.h"
#include "ticketflow/order/v1/order.server.h"

extern const struct tf_embedded order_migrations[], order_redis_libraries[];

static const struct tf_setting settings[] = {
#define TF_CONFIG_DEF  "services/order/config.def"
#define TF_CONFIG_TYPE struct order_config
#include "common/chassis/config_expand.h"
};

int main(int argc, char **argv)
{
    static const struct tf_rpc_service *const services[] = {&order_service, NULL};
    static const char *const callees[] = {"user", "program", "pay", NULL};
    static const struct tf_service service = {
        .name = "order",
        .purpose = "availability, holds, orders and tickets",
        .uses = TF_USES_PG | TF_USES_REDIS | TF_USES_BUS | TF_USES_IDS,
        .rpc_services = services,
        .migrations = order_migrations,
        .redis_libraries = order_redis_libraries,
        .callees = callees,
        .consumers = order_consumers,
        .settings = settings,
        .n_settings = TF_COUNT(settings),
        .config = &order_config,
        .start = order_start,
        .stop = order_stop,
    };

    return tf_service_main(argc, argv, &service);
}
