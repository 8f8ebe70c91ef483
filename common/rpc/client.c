/* Life of clients, and the queue and poller that they share: one poller per process keeps wake-ups few. */
#include "common/rpc/client_internal.h"

#include <string.h>

/* One call in five may be repeated, and this many more at once: what one frozen instance leaves behind. */
enum { CREDIT_CALL = 1, CREDIT_REPEAT = 5, CREDIT_MAX = 256 * CREDIT_REPEAT };

static pthread_mutex_t hub_lock = PTHREAD_MUTEX_INITIALIZER; /* protects the hub */
static struct {
    size_t clients;
    grpc_completion_queue *queue;
    grpc_channel *nowhere; /* its calls carry events that no real call brings */
    pthread_t poller;
} hub;

/* The poller has ended. */
static void hub_destroy(void)
{
    grpc_channel_destroy(hub.nowhere);
    grpc_completion_queue_destroy(hub.queue);
    hub.queue = NULL;
    hub.nowhere = NULL;
    tf_core_close();
}

static bool hub_join(void)
{
    bool joined = true;

    pthread_mutex_lock(&hub_lock);
    if (hub.clients == 0) {
        tf_core_open();
        hub.queue = grpc_completion_queue_create_for_next(NULL);
        hub.nowhere = grpc_lame_client_channel_create("nowhere", GRPC_STATUS_UNAVAILABLE, "no endpoint");
        joined = pthread_create(&hub.poller, NULL, tf_core_poll, hub.queue) == 0;
        if (joined) {
            pthread_setname_np(hub.poller, "rpc-client");
        } else {
            grpc_completion_queue_shutdown(hub.queue);
            tf_core_poll(hub.queue);
            hub_destroy();
        }
    }
    if (joined) hub.clients++;
    pthread_mutex_unlock(&hub_lock);
    return joined;
}

static void hub_leave(void)
{
    pthread_mutex_lock(&hub_lock);
    if (--hub.clients == 0) {
        grpc_completion_queue_shutdown(hub.queue);
        pthread_join(hub.poller, NULL);
        hub_destroy();
    }
    pthread_mutex_unlock(&hub_lock);
}

/* No lock: it is set before the first client exists and changes after the last has gone. */
grpc_completion_queue *client_queue(void)
{
    return hub.queue;
}

void client_post(struct tf_rpc_event *event, grpc_call **ret_call)
{
    grpc_call_error error;
    grpc_call *call = grpc_channel_create_call(hub.nowhere, NULL, GRPC_PROPAGATE_DEFAULTS, hub.queue,
                                               grpc_slice_from_static_string("/nowhere"), NULL,
                                               gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

    *ret_call = call;
    error = grpc_call_start_batch(call, NULL, 0, tf_event_arm(event), NULL);
    TF_ASSERT(error == GRPC_CALL_OK);
}

tf_rpc_client *tf_rpc_client_new(const struct tf_rpc_client_config *config)
{
    tf_rpc_client *client = calloc(1, sizeof(*client));

    TF_ASSERT(config->service && config->caller && config->identity_key && config->clock);
    if (!client) return NULL;
    client->config = *config;
    client->config.service = strdup(config->service);
    client->config.caller = strdup(config->caller);
    if (!client->config.service || !client->config.caller || !hub_join()) {
        free((char *)(uintptr_t)client->config.service);
        free((char *)(uintptr_t)client->config.caller);
        free(client);
        return NULL;
    }
    client->gateway = !strcmp(config->caller, "gateway");
    picker_init(&client->picker, client->config.service, config->message_max);
    client->credit = CREDIT_MAX;
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->idle, NULL);
    return client;
}

void tf_rpc_client_free(tf_rpc_client *client)
{
    if (!client) return;
    pthread_mutex_lock(&client->lock);
    while (client->calls) /* their deadlines bound this */
        pthread_cond_wait(&client->idle, &client->lock);
    pthread_mutex_unlock(&client->lock);

    picker_done(&client->picker);
    pthread_cond_destroy(&client->idle);
    pthread_mutex_destroy(&client->lock);
    free((char *)(uintptr_t)client->config.service);
    free((char *)(uintptr_t)client->config.caller);
    free(client);
    hub_leave();
}

void tf_rpc_client_set_endpoints(tf_rpc_client *client, const char *const *endpoints, size_t n)
{
    picker_set(&client->picker, endpoints, n);
}

size_t tf_rpc_client_n_endpoints(tf_rpc_client *client)
{
    return picker_count(&client->picker);
}

void client_call_began(tf_rpc_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->calls++;
    client->credit = TF_MIN(client->credit + CREDIT_CALL, (int)CREDIT_MAX);
    pthread_mutex_unlock(&client->lock);
}

bool client_repeat_afford(tf_rpc_client *client)
{
    bool afford;

    pthread_mutex_lock(&client->lock);
    afford = client->credit >= CREDIT_REPEAT;
    if (afford) client->credit -= CREDIT_REPEAT;
    pthread_mutex_unlock(&client->lock);
    return afford;
}

void client_call_ended(tf_rpc_client *client)
{
    pthread_mutex_lock(&client->lock);
    if (--client->calls == 0) pthread_cond_broadcast(&client->idle);
    pthread_mutex_unlock(&client->lock);
}
