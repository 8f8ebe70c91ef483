/* user: accounts, sessions, attendees. */
#include "common/base/log.h"
#include "services/user/janitor.h"
#include "services/user/keys.h"
#include "services/user/operator.h"
#include "services/user/user.h"
#include "ticketflow/user/v1/user.server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct tf_embedded user_migrations[];

static const struct tf_setting settings[] = {
#define TF_CONFIG_DEF  "services/user/config.def"
#define TF_CONFIG_TYPE struct user_config
#include "common/chassis/config_expand.h"
};

static tf_code start(tf_app *app, const char **ret_error)
{
    static char error[512];
    struct user_state *state = calloc(1, sizeof *state);
    tf_ctx ctx;
    tf_code code;

    if (!state) return TF_INTERNAL;
    state->app = app;
    tf_app_set_state(app, state);
    tf_app_ctx(app, &ctx, "start", 30 * TF_US_PER_S);
    code = user_keys_read(&ctx, &user_config, state);
    if (!code) code = operator_ensure(&ctx);
    if (code) {
        snprintf(error, sizeof error, "%s", ctx.error.internal ? ctx.error.internal : tf_code_info(code)->reason);
        *ret_error = error;
    }
    tf_ctx_done(&ctx);
    if (!code) state->janitor = janitor_start(app);
    return code;
}

static void stop(tf_app *app)
{
    struct user_state *state = tf_app_state(app);

    if (!state) return;
    tf_periodic_stop(state->janitor);
    tf_wipe(state, sizeof *state);
    free(state);
    tf_app_set_state(app, NULL);
}

int main(int argc, char **argv)
{
    static const struct tf_rpc_service *const rpc_services[] = {&user_service, NULL};
    static const struct tf_service service = {
        .name = "user",
        .purpose = "accounts, sessions and attendees",
        .uses = TF_USES_PG | TF_USES_IDS,
        .rpc_services = rpc_services,
        .migrations = user_migrations,
        .settings = settings,
        .n_settings = TF_COUNT(settings),
        .config = &user_config,
        .start = start,
        .stop = stop,
    };

    return tf_service_main(argc, argv, &service);
}
