/* user: accounts, sessions, attendees. */
#include "common/base/log.h"
#include "services/user/janitor.h"
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

static tf_code read_keys(tf_ctx *ctx, struct user_state *state)
{
    struct tf_sign_public public_key;
    size_t n;
    tf_code code;

    code = tf_key_read(ctx, user_config.signing_key_file, TF_SIGN_SEED_BYTES, state->signing_seed,
                       sizeof state->signing_seed, &n);
    if (code) return code;

    tf_sign_keypair(state->signing_seed, NULL, &public_key);
    memcpy(state->signing_key.public_key, public_key.bytes, sizeof public_key.bytes);
    tf_access_kid(public_key.bytes, state->signing_key.kid);
    state->personal_key.version = 1;
    code = tf_key_read(ctx, user_config.personal_key_file, TF_SEAL_KEY_BYTES, state->personal_key.bytes,
                       TF_SEAL_KEY_BYTES, &n);
    if (code) return code;

    return tf_key_read(ctx, user_config.person_key_file, 32, state->person_key, sizeof state->person_key,
                       &state->person_key_size);
}

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
    code = read_keys(&ctx, state);
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
