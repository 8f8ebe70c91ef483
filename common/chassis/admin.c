/* /metrics and /healthz. Both answer from memory alone, so that a stuck store cannot make them hang. */
#include "common/chassis/admin.h"

#include "common/base/buf.h"
#include "common/chassis/app_internal.h"
#include "common/http/server.h"
#include "common/json/json.h"

#include <string.h>

enum { METRICS_BYTES_MAX = 4 * 1024 * 1024, HEALTH_BYTES_MAX = 16 * 1024, DRAIN_MS = 200 };

struct tf_admin {
    tf_http_server *server;
};

static void respond(tf_http_request *request, int status, const char *type, const tf_buf *body)
{
    const struct tf_http_header headers[] = {{"content-type", type}, {"cache-control", "no-store"}};

    if (body->broken)
        tf_http_respond(request, 500, NULL, 0, "", 0);
    else
        tf_http_respond(request, status, headers, TF_COUNT(headers), body->data ? body->data : "", body->size);
}

static void answer_metrics(tf_http_request *request)
{
    tf_cleanup(tf_buf_done) tf_buf body;

    tf_buf_init(&body, METRICS_BYTES_MAX);
    tf_metrics_render(&body);
    respond(request, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static const char *state_name(tf_app *app)
{
    if (atomic_load(&app->stopping)) return "STOPPING";
    if (!atomic_load(&app->serving)) return "STARTING";
    return tf_app_healthy(app) ? "SERVING" : "NOT_SERVING";
}

/* A store's member, when the process uses it; notes in `missing` what is away. */
static void put_part(tf_json_writer *w, const char *name, bool used, bool up, const char *missing[], size_t *n_missing)
{
    if (!used) return;
    tf_json_key(w, name);
    tf_json_put_bool(w, up);
    if (!up) missing[(*n_missing)++] = name;
}

static void answer_health(tf_http_request *request, tf_app *app)
{
    bool healthy = tf_app_healthy(app), registered = atomic_load(&app->registered);
    tf_cleanup(tf_buf_done) tf_buf body;
    tf_json_writer w = {.out = &body};
    char since[TF_TIME_TEXT];
    const char *missing[5];
    size_t n_missing = 0;

    tf_buf_init(&body, HEALTH_BYTES_MAX);
    tf_time_write(since, app->since);
    tf_json_begin_object(&w);
    tf_json_key(&w, "name");
    tf_json_put_string(&w, app->service->name);
    tf_json_key(&w, "instance");
    tf_json_put_string(&w, app->instance);
    tf_json_key(&w, "state");
    tf_json_put_string(&w, state_name(app));
    tf_json_key(&w, "version");
    tf_json_put_string(&w, TF_VERSION);
    tf_json_key(&w, "since");
    tf_json_put_string(&w, since);
    put_part(&w, "pg", app->service->uses & TF_USES_PG, atomic_load(&app->pg_up), missing, &n_missing);
    put_part(&w, "clock", app->service->uses & TF_USES_PG, app->clock_guard && tf_clock_guard_agrees(app->clock_guard),
             missing, &n_missing);
    put_part(&w, "redis", app->service->uses & TF_USES_REDIS, app->redis && tf_redis_up(app->redis), missing,
             &n_missing);
    put_part(&w, "etcd_registered", registered, registered && tf_etcd_registered(app->etcd), missing, &n_missing);
    if (!atomic_load(&app->ready)) missing[n_missing++] = "ready";
    tf_json_key(&w, "missing");
    tf_json_begin_array(&w);
    for (size_t i = 0; i < n_missing; i++)
        tf_json_put_string(&w, missing[i]);
    tf_json_end_array(&w);
    tf_json_end_object(&w);
    respond(request, healthy ? 200 : 503, "application/json", &body);
}

static void answer(tf_http_request *request, void *arg)
{
    const char *method = tf_http_method(request), *path = tf_http_path(request);

    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        tf_http_respond(request, 405, &(struct tf_http_header){"allow", "GET, HEAD"}, 1, "", 0);
    else if (strcmp(path, "/metrics") == 0)
        answer_metrics(request);
    else if (strcmp(path, "/healthz") == 0)
        answer_health(request, arg);
    else
        tf_http_respond(request, 404, NULL, 0, "", 0);
}

tf_code tf_admin_start(struct tf_app *app, tf_admin **ret_admin, const char **ret_error)
{
    const struct tf_http_server_config config = {
        .address = app->config.admin_listen,
        .loops = 1,
        .header_max = 8 * 1024,
        .body_max = 0,
        .header_timeout_ms = 2000,
        .body_timeout_ms = 2000,
        .idle_timeout_ms = 30000,
        .connections_max = 64,
        .handler = answer,
        .arg = app,
    };
    tf_admin *admin = calloc(1, sizeof(*admin));
    tf_code code;

    TF_ASSERT(admin);
    code = tf_http_server_start(&config, &admin->server, ret_error);
    if (code) {
        free(admin);
        return code;
    }
    *ret_admin = admin;
    return TF_OK;
}

void tf_admin_stop(tf_admin *admin)
{
    if (!admin) return;
    tf_http_server_stop(admin->server, DRAIN_MS);
    free(admin);
}
