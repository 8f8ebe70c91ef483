/* gateway: HTTP/JSON for clients, gRPC behind. */
#include "gateway/exchange.h"
#include "gateway/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DRAIN_POLL_US = 5000, ANSWERS_WAITING_MAX = 256 };

static const struct tf_setting settings[] = {
#define TF_CONFIG_DEF  "gateway/config.def"
#define TF_CONFIG_TYPE struct gateway_config
#include "common/chassis/config_expand.h"
};

static tf_code listen_http(struct gateway *gateway, const char **ret_error)
{
    const struct tf_http_server_config config = {
        .address = tf_app_config(gateway->app)->listen,
        .loops = (int)gateway_config.loops,
        .header_max = (size_t)gateway_config.header_bytes_max,
        .body_max = (size_t)gateway_config.body_bytes_max,
        .buffer_max = (size_t)gateway_config.buffer_bytes_max,
        .header_timeout_ms = (int)gateway_config.header_timeout_ms,
        .body_timeout_ms = (int)gateway_config.body_timeout_ms,
        .idle_timeout_ms = (int)gateway_config.idle_timeout_ms,
        .connections_max = (int)gateway_config.connections_max,
        .handler = exchange_begin,
        .admit = exchange_admit,
        .decline = exchange_decline,
        .arg = gateway,
    };

    return tf_http_server_start(&config, &gateway->http, ret_error);
}

static void gateway_free(struct gateway *gateway)
{
    gateway_keys_stop(gateway->keys);
    gateway_workers_stop(gateway->workers);
    token_cache_free(gateway->tokens);
    exchange_pool_free(gateway->exchanges);
    pictures_free(gateway->pictures);
    free(gateway);
}

static tf_code start(tf_app *app, const char **ret_error)
{
    struct gateway *gateway;
    tf_code code;

    if (strcmp(gateway_config.default_language, "zh-CN") != 0 && strcmp(gateway_config.default_language, "en") != 0) {
        *ret_error = "default_language must be zh-CN or en";
        return TF_FIELD_INVALID;
    }
    gateway = calloc(1, sizeof *gateway);
    TF_ASSERT(gateway);
    gateway->app = app;
    gateway->workers = gateway_workers_start((int)gateway_config.answer_threads, ANSWERS_WAITING_MAX);
    if (!gateway->workers) {
        free(gateway);
        *ret_error = "cannot start the threads that write answers";
        return TF_STORE_DOWN;
    }
    gateway->tokens = token_cache_new();
    gateway->exchanges = exchange_pool_new();
    if (gateway_config.pictures_dir[0]) gateway->pictures = pictures_load(gateway_config.pictures_dir);
    gateway->keys = gateway_keys_start(app, gateway->tokens);
    code = listen_http(gateway, ret_error);
    if (code) {
        gateway_free(gateway);
        return code;
    }
    tf_app_set_state(app, gateway);
    return TF_OK;
}

/* Clients are drained first; whatever still waits for an answer of a service ends by its deadline. */
static void stop(tf_app *app)
{
    struct gateway *gateway = tf_app_state(app);

    if (!gateway) return;
    tf_http_server_stop(gateway->http, (int)tf_app_config(app)->drain_ms);
    while (atomic_load(&gateway->in_flight) > 0)
        usleep(DRAIN_POLL_US);
    tf_app_set_state(app, NULL);
    gateway_free(gateway);
}

int main(int argc, char **argv)
{
    static const char *const callees[] = {"user", "program", "order", "pay", NULL};
    static const struct tf_service service = {
        .name = "gateway",
        .purpose = "HTTP and JSON for clients, gRPC to the services",
        .callees = callees,
        .settings = settings,
        .n_settings = TF_COUNT(settings),
        .config = &gateway_config,
        .start = start,
        .stop = stop,
    };

    return tf_service_main(argc, argv, &service);
}
