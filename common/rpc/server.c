/* Life of the server: listening, the pre-posted calls, health, the drain. */
#include "common/rpc/server_internal.h"

#include "common/base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    POSTED = 64,                /* calls awaited per method; each that arrives is replaced before it is looked at */
    POSTED_UNKNOWN = 16,        /* without these a call of an unknown method would hang until its deadline */
    SERVER_PING_MS = 30 * 1000, /* finds clients that vanished without a word */
    HANDSHAKE_MS = 5 * 1000,    /* a connection that says nothing is closed after it */
    REFUSED_RETRY_MS = 1000,    /* what a server asks for that is full or stops */
    LEAVE_STEP_MS = 5,
    QUIET_MS = 100,  /* no new call for so long: the callers know that we go */
    NOTICE_MS = 500, /* callers that still come after it have nowhere else to go */
};

static grpc_server *grpc_create(const struct tf_rpc_server_config *config)
{
    grpc_arg args[] = {
        tf_core_arg_int(GRPC_ARG_ALLOW_REUSEPORT, 0), /* two servers on one port must not share it silently */
        tf_core_arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)TF_MIN(config->message_max, (size_t)INT_MAX)),
        tf_core_arg_int(GRPC_ARG_MAX_METADATA_SIZE, TF_METADATA_BYTES),
        tf_core_arg_int(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_MS),
        tf_core_arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, SERVER_PING_MS),
        tf_core_arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, TF_KEEPALIVE_TIMEOUT_MS),
        tf_core_arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        tf_core_arg_int(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, TF_PING_INTERVAL_MS),
        /* Nobody compresses here; a decompressed bomb would pass the limit on the message. */
        tf_core_arg_int(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE),
    };
    grpc_channel_args all = {.num_args = TF_COUNT(args), .args = args};

    return grpc_server_create(&all, NULL);
}

static bool methods_register(tf_rpc_server *server)
{
    size_t n = 0;

    for (size_t i = 0; server->config.services[i]; i++)
        n += server->config.services[i]->n_bindings;
    server->methods = calloc(n ? n : 1, sizeof(*server->methods));
    if (!server->methods) return false;
    for (size_t i = 0; server->config.services[i]; i++)
        for (size_t k = 0; k < server->config.services[i]->n_bindings; k++) {
            struct server_method *method = &server->methods[server->n_methods++];

            method->server = server;
            method->binding = &server->config.services[i]->bindings[k];
            method->registered = grpc_server_register_method(server->grpc, method->binding->method->path, NULL,
                                                             GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
            TF_ASSERT(method->registered); /* a path twice: the table is wrong */
        }
    return true;
}

static bool port_named(const char *address)
{
    const char *colon = strrchr(address, ':');

    return colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) && atoi(colon + 1) > 0;
}

static bool listen_on(tf_rpc_server *server)
{
    grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(server->grpc, server->config.address, credentials);

    grpc_server_credentials_release(credentials);
    return port != 0;
}

static void on_stopped(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    tf_rpc_server *server = TF_EVENT_OWNER(event, tf_rpc_server, stop_event);

    pthread_mutex_lock(&server->stop_lock);
    server->stopped = true;
    pthread_cond_signal(&server->stop_cond);
    pthread_mutex_unlock(&server->stop_lock);
}

void server_call_began(tf_rpc_server *server)
{
    pthread_mutex_lock(&server->stop_lock);
    server->calls++;
    pthread_mutex_unlock(&server->stop_lock);
}

void server_call_ended(tf_rpc_server *server)
{
    pthread_mutex_lock(&server->stop_lock);
    if (--server->calls == 0) pthread_cond_signal(&server->stop_cond);
    pthread_mutex_unlock(&server->stop_lock);
}

/* ms < 0: for ever. */
static bool wait_stopped(tf_rpc_server *server, int ms)
{
    struct timespec until;
    bool over;
    int error = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TF_MAX(ms, 0) / 1000;
    until.tv_nsec += (long)(TF_MAX(ms, 0) % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&server->stop_lock);
    while (!(over = server->stopped && !server->calls) && error != ETIMEDOUT)
        error = ms < 0 ? pthread_cond_wait(&server->stop_cond, &server->stop_lock)
                       : pthread_cond_timedwait(&server->stop_cond, &server->stop_lock, &until);
    pthread_mutex_unlock(&server->stop_lock);
    return over;
}

/* Accepts a server that is half built. */
static void server_free(tf_rpc_server *server)
{
    if (server->grpc && !server->polling) { /* never served: nobody polls, so the end has to be polled for here */
        server->stop_event.fire = on_stopped;
        grpc_server_shutdown_and_notify(server->grpc, server->cq, tf_event_arm(&server->stop_event));
    }
    if (server->cq) {
        grpc_completion_queue_shutdown(server->cq);
        if (server->polling)
            pthread_join(server->poller, NULL);
        else
            tf_core_poll(server->cq);
    }
    if (server->grpc) grpc_server_destroy(server->grpc);
    if (server->cq) grpc_completion_queue_destroy(server->cq);
    server_queue_free(server->queue);
    health_free(server->health);
    free(server->overloaded.details);
    free(server->leaving.details);
    free(server->methods);
    pthread_cond_destroy(&server->stop_cond);
    pthread_mutex_destroy(&server->stop_lock);
    free(server);
    tf_core_close();
}

static tf_rpc_server *server_new(const struct tf_rpc_server_config *config)
{
    tf_rpc_server *server = calloc(1, sizeof(*server));
    pthread_condattr_t attributes;

    if (!server) return NULL;
    tf_core_open();
    server->config = *config;
    pthread_mutex_init(&server->stop_lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->stop_cond, &attributes);
    pthread_condattr_destroy(&attributes);
    server->cq = grpc_completion_queue_create_for_next(NULL);
    server->grpc = grpc_create(config);
    if (server->grpc) grpc_server_register_completion_queue(server->grpc, server->cq, NULL);
    return server;
}

/* The sentence lives as long as the process: there is one, at start-up. */
static tf_code refuse(const char **ret_error, const char *what, const char *address)
{
    char *text;

    *ret_error = asprintf(&text, "the rpc server %s %s", what, address) > 0 ? text : what;
    return TF_INTERNAL;
}

tf_code tf_rpc_server_start(const struct tf_rpc_server_config *config, tf_rpc_server **ret_server,
                            const char **ret_error)
{
    tf_rpc_server *server;
    const char *problem = NULL;

    TF_ASSERT(config->workers > 0 && config->queue_max >= 0 && config->identity_key && config->clock &&
              config->services);
    if (!port_named(config->address))
        return refuse(ret_error, "needs host:port, with a port above 0, not", config->address);
    server = server_new(config);
    if (!server) return refuse(ret_error, "has no memory to listen on", config->address);

    server->queue = server_queue_new(server);
    if (!server->queue || !server_refusal_pack(TF_OVERLOADED, REFUSED_RETRY_MS, &server->overloaded) ||
        !server_refusal_pack(TF_STORE_DOWN, REFUSED_RETRY_MS, &server->leaving) || !methods_register(server) ||
        !(server->health = health_new(server)))
        problem = "has no memory to listen on";
    else if (!listen_on(server))
        problem = "cannot listen on (in use, or not an address of this machine)";
    else if (!server_queue_start(server->queue))
        problem = "cannot start a thread to serve";
    if (problem) {
        server_free(server);
        return refuse(ret_error, problem, config->address);
    }

    grpc_server_start(server->grpc);
    for (size_t i = 0; i < server->n_methods; i++)
        for (int k = 0; k < POSTED; k++)
            server_call_post(&server->methods[i]);
    for (int k = 0; k < POSTED_UNKNOWN; k++)
        server_unknown_post(server);
    health_start(server->health);
    if (pthread_create(&server->poller, NULL, tf_core_poll, server->cq)) {
        server_free(server);
        return refuse(ret_error, "cannot start a thread to serve", config->address);
    }
    server->polling = true;
    pthread_setname_np(server->poller, "rpc-server");
    *ret_server = server;
    return TF_OK;
}

void tf_rpc_server_set_serving(tf_rpc_server *server, bool serving)
{
    health_set(server->health, serving);
}

static size_t calls_now(tf_rpc_server *server)
{
    size_t calls;

    pthread_mutex_lock(&server->stop_lock);
    calls = server->calls;
    pthread_mutex_unlock(&server->stop_lock);
    return calls;
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

static bool quiet(tf_rpc_server *server)
{
    return tf_mono_us() - atomic_load(&server->heard_us) >= (int64_t)QUIET_MS * TF_US_PER_MS;
}

/* Callers that were told go elsewhere; the calls of those that were not yet are still served. Then new calls are
 * refused with the word that nobody has seen them, and go elsewhere too. Only when none comes any more are connections
 * closed: the library drops, without such a word, what arrives in the moment between the stop and the callers' notice
 * of it. */
static void leave(tf_rpc_server *server, int64_t until_us)
{
    int64_t notice_us = TF_MIN(until_us, tf_mono_us() + (int64_t)NOTICE_MS * TF_US_PER_MS);

    while (tf_mono_us() < notice_us && !quiet(server))
        pause_ms(LEAVE_STEP_MS);
    atomic_store(&server->draining, true);
    notice_us = TF_MIN(until_us, tf_mono_us() + (int64_t)NOTICE_MS * TF_US_PER_MS);
    while (tf_mono_us() < until_us && (calls_now(server) || (tf_mono_us() < notice_us && !quiet(server))))
        pause_ms(LEAVE_STEP_MS);
}

void tf_rpc_server_stop(tf_rpc_server *server, int drain_ms)
{
    int64_t until_us = tf_mono_us() + (int64_t)TF_MAX(drain_ms, 0) * TF_US_PER_MS;

    health_end(server->health);
    leave(server, until_us);
    server->stop_event.fire = on_stopped;
    grpc_server_shutdown_and_notify(server->grpc, server->cq, tf_event_arm(&server->stop_event));
    if (!wait_stopped(server, (int)(TF_MAX(until_us - tf_mono_us(), 0) / TF_US_PER_MS))) {
        tf_log(TF_LOG_WARN, "calls still run at the end of the drain and are cancelled", "service",
               server->config.service, NULL);
        atomic_store(&server->cancelled, true);
        grpc_server_cancel_all_calls(server->grpc);
        /* Handlers end by their deadlines; what they answer goes nowhere. */
        wait_stopped(server, -1);
    }
    server_free(server);
}
