/* program: what is on offer, how organisers bring it in, and what was published of it. */
#include "common/chassis/service.h"
#include "services/program/config.h"
#include "services/program/events/events.h"
#include "ticketflow/program/v1/program.server.h"

extern const struct tf_embedded program_migrations[];

static const struct tf_setting settings[] = {
#define TF_CONFIG_DEF  "services/program/config.def"
#define TF_CONFIG_TYPE struct program_config
#include "common/chassis/config_expand.h"
};

int main(int argc, char **argv)
{
    static const struct tf_rpc_service *const rpc_services[] = {&program_service, NULL};
    static const struct tf_bus_consumer consumers[] = {{.topic = "stock", .handler = stock_event}, {.topic = NULL}};
    static const struct tf_service service = {
        .name = "program",
        .purpose = "programmes, venues, seat plans and shows: what is on offer",
        .uses = TF_USES_PG | TF_USES_REDIS | TF_USES_BUS | TF_USES_IDS,
        .rpc_services = rpc_services,
        .migrations = program_migrations,
        .consumers = consumers,
        .settings = settings,
        .n_settings = TF_COUNT(settings),
        .config = &program_config,
    };

    return tf_service_main(argc, argv, &service);
}
