/* A channel per endpoint, and the choice of one for a call.
 *
 * One channel per endpoint rather than one for all: a changed membership then touches no other connection, and a second
 * attempt can go somewhere else. Of two random endpoints the one with fewer calls in flight is taken, which spreads
 * load without the herd that a global minimum makes. */
#include "common/rpc/client_internal.h"

#include "common/base/text.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
    ENDPOINTS_MAX = 256, /* of one service; more is a mistake of the registry */
    BACKOFF_FIRST_MS = 200,
    BACKOFF_MAX_MS = 2000,
    CONNECT_MS = 1000, /* an attempt to connect is given up after this long */
};

/* How good a channel is to send on now. */
enum { FAILING, UNCONNECTED, CONNECTED };

static grpc_channel *channel_new(const char *target, size_t message_max)
{
    grpc_arg args[] = {
        tf_core_arg_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)TF_MIN(message_max, (size_t)INT_MAX)),
        tf_core_arg_int(GRPC_ARG_MAX_METADATA_SIZE, TF_METADATA_BYTES),
        tf_core_arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, TF_KEEPALIVE_MS),
        tf_core_arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, TF_KEEPALIVE_TIMEOUT_MS),
        tf_core_arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        tf_core_arg_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        tf_core_arg_int(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, BACKOFF_FIRST_MS),
        tf_core_arg_int(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_MS),
        tf_core_arg_int(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, BACKOFF_MAX_MS),
        tf_core_arg_int(GRPC_ARG_ENABLE_RETRIES, 0), /* we retry, on another endpoint */
        tf_core_arg_int(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        tf_core_arg_int(GRPC_ARG_ENABLE_HTTP_PROXY, 0), /* whatever the environment says */
    };
    grpc_channel_args all = {.num_args = TF_COUNT(args), .args = args};
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(target, credentials, &all);

    grpc_channel_credentials_release(credentials);
    return channel;
}

/* The channel's target for "host:port". Three slashes: a peer that was reached is called "ipv4:host:port", so the two
 * forms tell whether one was. A name is resolved by the library, apart from any call. NULL: no memory. */
static char *target_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    char host[INET6_ADDRSTRLEN] = "", *target;
    struct in_addr literal;

    if (colon && (size_t)(colon - address) < sizeof(host)) memcpy(host, address, (size_t)(colon - address));
    if (address[0] == '[')
        return asprintf(&target, "ipv6:///%%5B%.*s%%5D%s", (int)strcspn(address + 1, "]"), address + 1,
                        colon ? colon : "") < 0
                   ? NULL
                   : target;
    return asprintf(&target, "%s:///%s", inet_pton(AF_INET, host, &literal) == 1 ? "ipv4" : "dns", address) < 0
               ? NULL
               : target;
}

static struct endpoint *endpoint_new(const char *address, size_t message_max)
{
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint));

    if (!endpoint) return NULL;
    endpoint->address = strdup(address);
    endpoint->target = target_of(address);
    if (!endpoint->address || !endpoint->target) {
        free(endpoint->address);
        free(endpoint->target);
        free(endpoint);
        return NULL;
    }
    endpoint->channel = channel_new(endpoint->target, message_max);
    atomic_store(&endpoint->refs, 1);
    grpc_channel_check_connectivity_state(endpoint->channel, 1); /* connect now, not in the first call's time */
    return endpoint;
}

static void endpoint_unref(struct endpoint *endpoint)
{
    if (atomic_fetch_sub(&endpoint->refs, 1) > 1) return;
    grpc_channel_destroy(endpoint->channel);
    free(endpoint->address);
    free(endpoint->target);
    free(endpoint);
}

/* ---- the set ---------------------------------------------------------------------------------------------------- */

void picker_init(struct picker *picker, size_t message_max)
{
    *picker = (struct picker){.message_max = message_max};
    pthread_mutex_init(&picker->lock, NULL);
}

void picker_done(struct picker *picker)
{
    for (size_t i = 0; i < picker->n; i++)
        endpoint_unref(picker->endpoints[i]);
    free(picker->endpoints);
    pthread_mutex_destroy(&picker->lock);
}

static bool listed(struct endpoint *const *endpoints, size_t n, const char *address)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(endpoints[i]->address, address)) return true;
    return false;
}

static struct endpoint *known(const struct picker *picker, const char *address)
{
    for (size_t i = 0; i < picker->n; i++)
        if (!strcmp(picker->endpoints[i]->address, address)) return picker->endpoints[i];
    return NULL;
}

void picker_set(struct picker *picker, const char *const *addresses, size_t n)
{
    struct endpoint **next, **old;
    size_t n_next = 0, n_old;

    n = TF_MIN(n, (size_t)ENDPOINTS_MAX);
    if (!n) return; /* a registry that lost its memory must not cut us off */
    next = calloc(n, sizeof(struct endpoint *));
    if (!next) return;

    pthread_mutex_lock(&picker->lock);
    for (size_t i = 0; i < n; i++) {
        struct endpoint *endpoint = known(picker, addresses[i]);

        if (listed(next, n_next, addresses[i])) continue;
        if (endpoint)
            atomic_fetch_add(&endpoint->refs, 1);
        else
            endpoint = endpoint_new(addresses[i], picker->message_max);
        if (endpoint) next[n_next++] = endpoint;
    }
    old = n_next ? picker->endpoints : next; /* no memory for any: the old set stays */
    n_old = n_next ? picker->n : 0;
    if (n_next) {
        picker->endpoints = next;
        picker->n = n_next;
    }
    pthread_mutex_unlock(&picker->lock);

    for (size_t i = 0; i < n_old; i++)
        endpoint_unref(old[i]);
    free(old);
}

size_t picker_count(struct picker *picker)
{
    size_t n;

    pthread_mutex_lock(&picker->lock);
    n = picker->n;
    pthread_mutex_unlock(&picker->lock);
    return n;
}

/* ---- the choice ------------------------------------------------------------------------------------------------- */

static int rank(struct endpoint *endpoint)
{
    switch (grpc_channel_check_connectivity_state(endpoint->channel, 1)) {
    case GRPC_CHANNEL_READY:
        return CONNECTED;
    case GRPC_CHANNEL_IDLE:
    case GRPC_CHANNEL_CONNECTING:
        return UNCONNECTED;
    default:
        return FAILING;
    }
}

/* splitmix64 over a counter: spread, not secrecy. */
static uint64_t dice(void)
{
    static _Atomic uint64_t counter;

    return tf_mix64(atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed));
}

static struct endpoint *better(struct endpoint *a, struct endpoint *b)
{
    int rank_a = rank(a), rank_b = rank(b);

    if (rank_a != rank_b) return rank_a > rank_b ? a : b;
    return atomic_load(&a->in_flight) <= atomic_load(&b->in_flight) ? a : b;
}

/* The lock is held and the set is not empty. */
static struct endpoint *choose(const struct picker *picker, const struct endpoint *avoid)
{
    uint64_t roll = dice();
    size_t first = (size_t)((roll & UINT32_MAX) % picker->n), second;
    struct endpoint *best = picker->endpoints[first];

    if (picker->n > 1) {
        second = (first + 1 + (size_t)((roll >> 32) % (picker->n - 1))) % picker->n;
        best = better(best, picker->endpoints[second]);
    }
    if (best != avoid && rank(best) == CONNECTED) return best;

    /* The short way found none that is ready: look at all. */
    if (best == avoid) best = NULL;
    for (size_t i = 0; i < picker->n; i++) {
        struct endpoint *other = picker->endpoints[(first + i) % picker->n];

        if (other != avoid) best = best ? better(best, other) : other;
    }
    return best ? best : picker->endpoints[first];
}

struct endpoint *picker_take(struct picker *picker, const struct endpoint *avoid)
{
    struct endpoint *endpoint = NULL;

    pthread_mutex_lock(&picker->lock);
    if (picker->n) {
        endpoint = choose(picker, avoid);
        atomic_fetch_add(&endpoint->refs, 1);
        atomic_fetch_add(&endpoint->in_flight, 1);
    }
    pthread_mutex_unlock(&picker->lock);
    return endpoint;
}

void picker_release(struct endpoint *endpoint)
{
    atomic_fetch_sub(&endpoint->in_flight, 1);
    endpoint_unref(endpoint);
}
