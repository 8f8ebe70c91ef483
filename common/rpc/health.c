/* grpc.health.v1: Check and Watch, answered on the poller so that a full queue does not look like a dead process.
 *
 * Every name has the same state: all services of the process or none. A watch is a stream: one message at once, then
 * one per change; the next is sent only when the one before is through, so a slow client sees the newest state, not
 * all. */
#include "common/rpc/server_internal.h"

#include "grpc/health/v1/health.pb-c.h"

#include <string.h>

typedef Grpc__Health__V1__HealthCheckRequest health_request;
typedef Grpc__Health__V1__HealthCheckResponse health_response;

enum {
    SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING,
    NOT_SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING,
    SERVICE_UNKNOWN = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN,
    NOTHING_SENT = -1,
    POSTED = 8,
    WATCHES_MAX = 256, /* of one process; watchers are few */
};

struct health_call {
    struct tf_rpc_event accepted, closed, sent, finished;
    struct health *health;
    struct health_call *next; /* in health->watches */
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
    int cancelled;
    bool watch; /* else a check */
    /* Of a watch, under health->lock: */
    bool known;       /* the service's name is one of ours */
    int state_sent;   /* NOTHING_SENT, or what the client knows */
    bool client_gone; /* RECV_CLOSE_ON_SERVER has come */
    bool sending, finishing, over;
};

struct health {
    tf_rpc_server *server;
    void *registered_check, *registered_watch;
    pthread_mutex_t lock; /* protects everything below */
    struct health_call *watches;
    size_t n_watches;
    bool serving, ended;
};

static bool post(struct health *health, bool watch);

static void call_free(struct health_call *call)
{
    grpc_metadata_array_destroy(&call->metadata);
    grpc_byte_buffer_destroy(call->payload);
    if (call->call) grpc_call_unref(call->call);
    free(call);
}

/* Of one that was accepted. */
static void call_end(struct health_call *call)
{
    tf_rpc_server *server = call->health->server;

    call_free(call);
    server_call_ended(server);
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

static bool service_known(const struct health *health, const char *name)
{
    const struct tf_rpc_service *const *services = health->server->config.services;

    for (; *services; services++)
        if (!strcmp((*services)->full_name, name)) return true;
    return name[0] == '\0';
}

/* False: the request is malformed. */
static bool request_read(struct health_call *call, bool *ret_known)
{
    struct tf_core_bytes bytes;
    health_request *request = NULL;

    if (tf_core_bytes_read(call->payload, &bytes))
        request = grpc__health__v1__health_check_request__unpack(NULL, bytes.size, bytes.data);
    tf_core_bytes_done(&bytes);
    if (!request) return false;
    *ret_known = service_known(call->health, request->service);
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
    return true;
}

static grpc_byte_buffer *response_make(int state)
{
    health_response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)state;
    return tf_core_pack(&response.base);
}

/* ---- check ------------------------------------------------------------------------------------------------------ */

static void on_check_finished(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    call_end(TF_EVENT_OWNER(event, struct health_call, finished));
}

static void check_answer(struct health_call *call)
{
    struct server_reply answer = {.status = TF_GRPC_OK, .text = "", .cancelled = &call->cancelled};
    bool known = false, serving;

    pthread_mutex_lock(&call->health->lock);
    serving = call->health->serving;
    pthread_mutex_unlock(&call->health->lock);

    if (!request_read(call, &known)) {
        answer.status = TF_GRPC_INVALID_ARGUMENT;
        answer.text = "malformed request";
    } else if (!known) {
        answer.status = TF_GRPC_NOT_FOUND;
        answer.text = "unknown service";
    } else {
        answer.message = response_make(serving ? SERVING : NOT_SERVING);
    }
    call->finished.fire = on_check_finished;
    server_reply_start(call->call, &answer, &call->finished);
    grpc_byte_buffer_destroy(answer.message);
}

/* ---- watch; the lock is held in all of these -------------------------------------------------------------------- */

static int watch_state(const struct health_call *call)
{
    if (call->health->ended) return NOT_SERVING;
    if (!call->known) return SERVICE_UNKNOWN;
    return call->health->serving ? SERVING : NOT_SERVING;
}

static void watch_send(struct health_call *call, int state)
{
    grpc_op ops[2] = {0}, *op = ops;
    grpc_byte_buffer *message = response_make(state);
    grpc_call_error error;

    if (call->state_sent == NOTHING_SENT) op++->op = GRPC_OP_SEND_INITIAL_METADATA;
    op->op = GRPC_OP_SEND_MESSAGE;
    op++->data.send_message.send_message = message;
    error = grpc_call_start_batch(call->call, ops, (size_t)(op - ops), tf_event_arm(&call->sent), NULL);
    TF_ASSERT(error == GRPC_CALL_OK);
    grpc_byte_buffer_destroy(message);
    call->state_sent = state;
    call->sending = true;
}

static void watch_finish(struct health_call *call, int status, const char *text)
{
    struct server_reply answer = {.status = status, .text = text, .headers_sent = call->state_sent != NOTHING_SENT};

    server_reply_start(call->call, &answer, &call->finished);
    call->finishing = true;
}

static void watch_remove(struct health_call *call)
{
    struct health_call **at = &call->health->watches;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->health->n_watches--;
}

/* Does what is due; true: the watch is over and out of the list, the caller frees it. */
static bool watch_step(struct health_call *call)
{
    if (call->sending || call->finishing) return false;
    if (call->client_gone) {
        watch_remove(call);
        return true;
    }
    if (call->over) return false;
    if (watch_state(call) != call->state_sent) {
        watch_send(call, watch_state(call));
    } else if (call->health->ended) {
        call->over = true;
        watch_finish(call, TF_GRPC_UNAVAILABLE, "the server is stopping");
    }
    return false;
}

/* ---- watch: events ---------------------------------------------------------------------------------------------- */

static void watch_event(struct health_call *call, bool *flag, bool value)
{
    struct health *health = call->health;
    bool over;

    pthread_mutex_lock(&health->lock);
    *flag = value;
    over = watch_step(call);
    pthread_mutex_unlock(&health->lock);
    if (over) call_end(call);
}

static void on_watch_closed(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    struct health_call *call = TF_EVENT_OWNER(event, struct health_call, closed);

    watch_event(call, &call->client_gone, true);
}

/* A send that failed means that the client is gone, which `closed` says too. */
static void on_watch_sent(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    struct health_call *call = TF_EVENT_OWNER(event, struct health_call, sent);

    watch_event(call, &call->sending, false);
}

static void on_watch_finished(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    struct health_call *call = TF_EVENT_OWNER(event, struct health_call, finished);

    watch_event(call, &call->finishing, false);
}

static void watch_begin(struct health_call *call)
{
    struct health *health = call->health;
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    grpc_call_error error;
    bool valid, over;

    call->closed.fire = on_watch_closed;
    call->sent.fire = on_watch_sent;
    call->finished.fire = on_watch_finished;
    call->state_sent = NOTHING_SENT;
    valid = request_read(call, &call->known);

    pthread_mutex_lock(&health->lock);
    call->next = health->watches;
    health->watches = call;
    health->n_watches++;
    op.data.recv_close_on_server.cancelled = &call->cancelled;
    error = grpc_call_start_batch(call->call, &op, 1, tf_event_arm(&call->closed), NULL);
    TF_ASSERT(error == GRPC_CALL_OK);
    if (!valid || health->n_watches > WATCHES_MAX) {
        call->over = true;
        watch_finish(call, valid ? TF_GRPC_RESOURCE_EXHAUSTED : TF_GRPC_INVALID_ARGUMENT,
                     valid ? "too many watches" : "malformed request");
    }
    over = watch_step(call);
    pthread_mutex_unlock(&health->lock);
    if (over) call_end(call);
}

/* ---- accepting -------------------------------------------------------------------------------------------------- */

static void on_accepted(struct tf_rpc_event *event, bool ok)
{
    struct health_call *call = TF_EVENT_OWNER(event, struct health_call, accepted);

    if (!ok) { /* the server is going down */
        call_free(call);
        return;
    }
    server_call_began(call->health->server);
    post(call->health, call->watch);
    if (call->watch)
        watch_begin(call);
    else
        check_answer(call);
}

static bool post(struct health *health, bool watch)
{
    struct health_call *call = calloc(1, sizeof(*call));
    tf_rpc_server *server = health->server;
    void *registered = watch ? health->registered_watch : health->registered_check;

    if (!call) return false;
    call->accepted.fire = on_accepted;
    call->health = health;
    call->watch = watch;
    grpc_metadata_array_init(&call->metadata);
    if (grpc_server_request_registered_call(server->grpc, registered, &call->call, &call->deadline, &call->metadata,
                                            &call->payload, server->cq, server->cq,
                                            tf_event_arm(&call->accepted)) == GRPC_CALL_OK)
        return true;
    call_free(call);
    return false;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

struct health *health_new(tf_rpc_server *server)
{
    struct health *health = calloc(1, sizeof(*health));

    if (!health) return NULL;
    health->server = server;
    pthread_mutex_init(&health->lock, NULL);
    health->registered_check = grpc_server_register_method(server->grpc, "/grpc.health.v1.Health/Check", NULL,
                                                           GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    health->registered_watch = grpc_server_register_method(server->grpc, "/grpc.health.v1.Health/Watch", NULL,
                                                           GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    TF_ASSERT(health->registered_check && health->registered_watch);
    return health;
}

void health_start(struct health *health)
{
    for (int i = 0; i < POSTED; i++) {
        post(health, false);
        post(health, true);
    }
}

static void tell_all(struct health *health)
{
    /* Nothing is over here that an event has not ended, so the list stays as it is. */
    for (struct health_call *call = health->watches; call; call = call->next)
        if (!call->client_gone) watch_step(call);
}

void health_set(struct health *health, bool serving)
{
    pthread_mutex_lock(&health->lock);
    health->serving = serving && !health->ended;
    tell_all(health);
    pthread_mutex_unlock(&health->lock);
}

void health_end(struct health *health)
{
    pthread_mutex_lock(&health->lock);
    health->serving = false;
    health->ended = true;
    tell_all(health);
    pthread_mutex_unlock(&health->lock);
}

void health_free(struct health *health)
{
    if (!health) return;
    TF_ASSERT(!health->watches); /* the drain ended them */
    pthread_mutex_destroy(&health->lock);
    free(health);
}
