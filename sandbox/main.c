/* sandbox: a payment provider in which no real money moves, as a process of its own with books, a page, and faults on
 * demand. */
#include "common/chassis/service.h"
#include "common/crypto/crypto.h"
#include "common/http/server.h"
#include "sandbox/api.h"
#include "sandbox/books.h"
#include "sandbox/config.h"
#include "sandbox/notifier.h"

#include <stdio.h>

struct sandbox_config sandbox_config;

static const struct tf_setting settings[] = {
#define TF_CONFIG_DEF  "sandbox/config.def"
#define TF_CONFIG_TYPE struct sandbox_config
#include "common/chassis/config_expand.h"
};

static struct sandbox_key key;
static tf_http_server *server;

static tf_code start(tf_app *app, const char **ret_error)
{
    static char error[512];
    struct tf_http_server_config config = {
        .address = tf_app_config(app)->listen,
        .loops = 1,
        .header_max = 16 << 10,
        .body_max = 64 << 10,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .connections_max = 2000,
        .handler = api_handle,
        .arg = &key,
    };
    tf_ctx ctx;
    tf_code code;

    *ret_error = error;
    tf_app_ctx(app, &ctx, "start", 10 * TF_US_PER_S);
    code = tf_key_read(&ctx, sandbox_config.key_file, 32, key.bytes, sizeof key.bytes, &key.size);
    if (code) snprintf(error, sizeof error, "key_file: %s", ctx.error.internal);
    tf_ctx_done(&ctx);
    if (code) return code;

    if (!books_open(sandbox_config.books_file, error, sizeof error)) return TF_INTERNAL;
    if (!notifier_start(&key)) {
        snprintf(error, sizeof error, "no thread for notifications");
        return TF_INTERNAL;
    }
    return tf_http_server_start(&config, &server, ret_error);
}

static void stop(tf_app *app)
{
    if (server) tf_http_server_stop(server, (int)tf_app_config(app)->drain_ms);
    notifier_stop();
    books_close();
    tf_wipe(&key, sizeof key);
}

int main(int argc, char **argv)
{
    static const struct tf_service service = {
        .name = "sandbox",
        .purpose = "payment provider for one machine and for tests; no real money moves",
        .settings = settings,
        .n_settings = TF_COUNT(settings),
        .config = &sandbox_config,
        .start = start,
        .stop = stop,
    };

    return tf_service_main(argc, argv, &service);
}
