/* The server as a whole: its loops together. */
#include "common/http/loop.h"

#include "common/base/clock.h"
#include "common/base/macros.h"

#include <unistd.h>

enum { LOOPS_MAX = 64 };

static void free_server(tf_http_server *server)
{
    for (size_t i = 0; i < server->n_loops; i++)
        tf_http_loop_done(&server->loops[i]);
    tf_http_budget_unref(server->budget);
    free(server);
}

/* drain_until_us: monotonic, not 0. */
static void stop_loops(tf_http_server *server, int64_t drain_until_us)
{
    atomic_store(&server->drain_until_us, drain_until_us);
    for (size_t i = 0; i < server->n_loops; i++) {
        atomic_store(&server->loops[i].mailbox->draining, true);
        tf_http_mailbox_wake(server->loops[i].mailbox);
    }
    for (size_t i = 0; i < server->n_loops; i++)
        tf_http_loop_join(&server->loops[i]);
}

/* Takes the listeners. */
static bool init_loops(tf_http_server *server, size_t n, const int *listeners)
{
    bool all = true;

    for (size_t i = 0; i < n; i++)
        all &= tf_http_loop_init(&server->loops[i], server, listeners[i]);
    server->n_loops = n; /* half-built ones too: tf_http_loop_done copes */
    return all;
}

static tf_code fail(const char **ret_error, const char *what)
{
    *ret_error = what;
    return TF_STORE_DOWN;
}

tf_code tf_http_server_start(const struct tf_http_server_config *config, tf_http_server **ret_server,
                             const char **ret_error)
{
    int listeners[LOOPS_MAX];
    tf_http_server *server;
    size_t n = (size_t)config->loops;

    TF_ASSERT(config->loops > 0 && config->loops <= LOOPS_MAX && config->handler);
    TF_ASSERT(config->header_max > 0 && config->connections_max > 0);
    TF_ASSERT(config->header_timeout_ms > 0 && config->body_timeout_ms > 0 && config->idle_timeout_ms > 0);

    server = calloc(1, sizeof *server + n * sizeof server->loops[0]);
    if (!server) return fail(ret_error, "no memory for the HTTP server");
    server->config = *config;
    server->config.address = NULL; /* not kept: the caller's string */
    server->budget = tf_http_budget_new(config->buffer_max);
    if (!server->budget) {
        free_server(server);
        return fail(ret_error, "no memory for the HTTP server");
    }
    if (!tf_http_listen(config->address, n, listeners, &server->port, ret_error)) {
        free_server(server);
        return TF_STORE_DOWN;
    }
    if (!init_loops(server, n, listeners)) {
        free_server(server);
        return fail(ret_error, "cannot make the HTTP server's event loops");
    }
    for (size_t i = 0; i < n; i++) {
        if (tf_http_loop_start(&server->loops[i])) continue;
        stop_loops(server, 1);
        free_server(server);
        return fail(ret_error, "cannot start the HTTP server's threads");
    }
    *ret_server = server;
    return TF_OK;
}

int tf_http_server_port(const tf_http_server *server)
{
    return server->port;
}

void tf_http_server_stop(tf_http_server *server, int drain_ms)
{
    if (!server) return;
    stop_loops(server, tf_mono_us() + (int64_t)drain_ms * TF_US_PER_MS);
    free_server(server);
}
