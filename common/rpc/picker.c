/* A channel per endpoint, and the choice of one for a call.
 *
 * One channel per endpoint rather than one for all: a changed membership then touches no other connection, and a second
 * attempt can go somewhere else. Of two random endpoints the one with fewer calls in flight is taken, which spreads
 * load without the herd that a global minimum makes.
 *
 * Endpoints are ranked first: by their connection, by what they say of themselves (watch.c) and by what calls tell
 * (breaker.c). A worse one gets calls only while there is no better one, so the last is never closed off. */
#include "common/rpc/client_internal.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/text.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
    ENDPOINTS_MAX = 256, /* of one service; more is a mistake of the registry */
    BACKOFF_FIRST_MS = 200,
    BACKOFF_MAX_MS = 1000, /* a restarted instance is back before the next one goes */
    CONNECT_MS = 1000,     /* an attempt to connect is given up after this long */
};

/* How good an endpoint is to send to now. One that is not serving says so at once; one that does not answer costs the
 * caller's time; one that cannot be reached does nothing at all. */
enum { FAILING, UNWELCOME, NOT_SERVING, UNCONNECTED, READY };

static tf_counter opened =
    TF_COUNTER("tf_rpc_client_breaker_opened_total", "Endpoints avoided after failures in a row, by callee", "service");
static tf_counter picked_worse =
    TF_COUNTER("tf_rpc_client_picked_worse_total",
               "Calls to an endpoint known to be bad, for want of a better, by callee", "service");
static tf_gauge usable =
    TF_GAUGE("tf_rpc_client_endpoints_good", "Endpoints that new calls go to, by callee", "service");

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
    pthread_mutex_init(&endpoint->lock, NULL);
    atomic_store(&endpoint->refs, 1);
    watch_start(endpoint);
    grpc_channel_check_connectivity_state(endpoint->channel, 1); /* connect now, not in the first call's time */
    return endpoint;
}

void endpoint_unref(struct endpoint *endpoint)
{
    if (atomic_fetch_sub(&endpoint->refs, 1) > 1) return;
    grpc_channel_destroy(endpoint->channel);
    pthread_mutex_destroy(&endpoint->lock);
    free(endpoint->address);
    free(endpoint->target);
    free(endpoint);
}

/* It has left the set: nothing new begins on it. */
static void endpoint_drop(struct endpoint *endpoint)
{
    watch_stop(endpoint);
    endpoint_unref(endpoint);
}

/* ---- the set ---------------------------------------------------------------------------------------------------- */

void picker_init(struct picker *picker, const char *service, size_t message_max)
{
    *picker = (struct picker){.message_max = message_max, .service = service};
    pthread_mutex_init(&picker->lock, NULL);
}

void picker_done(struct picker *picker)
{
    for (size_t i = 0; i < picker->n; i++)
        endpoint_drop(picker->endpoints[i]);
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
    bool stays;

    n = TF_MIN(n, (size_t)ENDPOINTS_MAX);
    if (!n) return; /* a registry that lost its memory must not cut us off */
    next = calloc(n, sizeof(struct endpoint *));
    if (!next) return;

    pthread_mutex_lock(&picker->lock);
    for (size_t i = 0; i < n; i++) {
        struct endpoint *endpoint = known(picker, addresses[i]);

        if (listed(next, n_next, addresses[i])) continue;
        if (endpoint) {
            atomic_fetch_add(&endpoint->refs, 1);
            /* It is announced, perhaps anew: what the last attempt to connect met need not be so any more. */
            grpc_channel_reset_connect_backoff(endpoint->channel);
        } else {
            endpoint = endpoint_new(addresses[i], picker->message_max);
        }
        if (endpoint) next[n_next++] = endpoint;
    }
    old = n_next ? picker->endpoints : next; /* no memory for any: the old set stays */
    n_old = n_next ? picker->n : 0;
    if (n_next) {
        picker->endpoints = next;
        picker->n = n_next;
    }
    pthread_mutex_unlock(&picker->lock);

    for (size_t i = 0; i < n_old; i++) {
        stays = false;
        for (size_t k = 0; k < n_next && !stays; k++)
            stays = next[k] == old[i];
        if (stays)
            endpoint_unref(old[i]);
        else
            endpoint_drop(old[i]);
    }
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

struct ranked {
    struct endpoint *endpoint;
    int rank, in_flight;
};

static struct ranked rank(struct endpoint *endpoint, int64_t now_us)
{
    grpc_connectivity_state connection = grpc_channel_check_connectivity_state(endpoint->channel, 1);
    struct ranked ranked = {.endpoint = endpoint, .rank = READY};

    pthread_mutex_lock(&endpoint->lock);
    ranked.in_flight = endpoint->breaker.in_flight;
    if (connection != GRPC_CHANNEL_READY)
        ranked.rank = connection == GRPC_CHANNEL_IDLE || connection == GRPC_CHANNEL_CONNECTING ? UNCONNECTED : FAILING;
    if (ranked.rank > UNWELCOME && !breaker_welcomes(&endpoint->breaker, now_us)) ranked.rank = UNWELCOME;
    if (ranked.rank > NOT_SERVING && endpoint->health == HEALTH_NOT_SERVING) ranked.rank = NOT_SERVING;
    pthread_mutex_unlock(&endpoint->lock);
    return ranked;
}

/* splitmix64 over a counter: spread, not secrecy. */
static uint64_t dice(void)
{
    static _Atomic uint64_t counter;

    return tf_mix64(atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed));
}

static struct ranked better(struct ranked a, struct ranked b)
{
    if (a.rank != b.rank) return a.rank > b.rank ? a : b;
    return a.in_flight <= b.in_flight ? a : b;
}

static bool avoided(const struct pick *avoid, size_t n_avoid, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < n_avoid; i++)
        if (avoid[i].endpoint == endpoint) return true;
    return false;
}

/* The best of all, beginning at `first`; avoided ones only when there is no other. */
static struct ranked best_of_all(const struct picker *picker, const struct pick *avoid, size_t n_avoid, size_t first,
                                 int64_t now_us)
{
    struct ranked best = {.endpoint = NULL}, last_resort = {.endpoint = NULL};
    int good = 0;

    for (size_t i = 0; i < picker->n; i++) {
        struct ranked other = rank(picker->endpoints[(first + i) % picker->n], now_us);
        struct ranked *to = avoided(avoid, n_avoid, other.endpoint) ? &last_resort : &best;

        if (other.rank == READY) good++;
        *to = to->endpoint ? better(*to, other) : other;
    }
    tf_gauge_set_label(&usable, picker->service, good);
    return best.endpoint ? best : last_resort;
}

/* The lock is held and the set is not empty. */
static struct ranked choose(const struct picker *picker, const struct pick *avoid, size_t n_avoid, int64_t now_us)
{
    uint64_t roll = dice();
    size_t first = (size_t)((roll & UINT32_MAX) % picker->n), second;
    struct ranked best = rank(picker->endpoints[first], now_us);

    if (picker->n > 1) {
        second = (first + 1 + (size_t)((roll >> 32) % (picker->n - 1))) % picker->n;
        best = better(best, rank(picker->endpoints[second], now_us));
    }
    if (best.rank == READY && !avoided(avoid, n_avoid, best.endpoint)) return best;
    return best_of_all(picker, avoid, n_avoid, first, now_us); /* the short way found none that is good */
}

bool picker_take(struct picker *picker, const struct pick *avoid, size_t n_avoid, struct pick *ret_pick)
{
    int64_t now_us = tf_mono_us();
    struct ranked chosen = {.endpoint = NULL};

    pthread_mutex_lock(&picker->lock);
    if (picker->n) {
        chosen = choose(picker, avoid, n_avoid, now_us);
        atomic_fetch_add(&chosen.endpoint->refs, 1);
        pthread_mutex_lock(&chosen.endpoint->lock);
        ret_pick->endpoint = chosen.endpoint;
        ret_pick->probe = breaker_begin(&chosen.endpoint->breaker, now_us);
        pthread_mutex_unlock(&chosen.endpoint->lock);
    }
    pthread_mutex_unlock(&picker->lock);
    if (!chosen.endpoint) return false;
    if (chosen.rank < UNCONNECTED) tf_counter_add_label(&picked_worse, picker->service, 1);
    return true;
}

bool picker_has_other(struct picker *picker, const struct pick *avoid, size_t n_avoid)
{
    bool has = false;

    pthread_mutex_lock(&picker->lock);
    for (size_t i = 0; i < picker->n && !has; i++)
        has = !avoided(avoid, n_avoid, picker->endpoints[i]);
    pthread_mutex_unlock(&picker->lock);
    return has;
}

void picker_judge(struct picker *picker, struct pick *pick, enum breaker_verdict verdict)
{
    struct endpoint *endpoint = pick->endpoint;
    bool opens;

    pthread_mutex_lock(&endpoint->lock);
    opens = breaker_end(&endpoint->breaker, pick->probe, verdict, tf_mono_us(), dice());
    pthread_mutex_unlock(&endpoint->lock);
    if (!opens) return;
    tf_counter_add_label(&opened, picker->service, 1);
    tf_log(TF_LOG_WARN, "an endpoint does not answer and is avoided for now", "service", picker->service, "address",
           endpoint->address, NULL);
}

void picker_release(struct pick *pick)
{
    endpoint_unref(pick->endpoint);
}
