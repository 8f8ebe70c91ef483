/* What an endpoint says of itself: one grpc.health.v1 Watch per endpoint, kept open on its channel. An instance that
 * goes NOT_SERVING (it stops, its database is away, its clock is off) thus gets no new calls within a round trip, while
 * it may still be registered.
 *
 * All events come on the clients' poller. A server without the health service counts as serving. */
#include "common/rpc/client_internal.h"

#include "grpc/health/v1/health.pb-c.h"

enum {
    SERVING = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING,
    PAUSE_MS = 200, /* before a watch that ended is opened again; a connection that is lost is waited for as well */
};

static void open_watch(struct watch *watch);

static struct endpoint *endpoint_of(struct watch *watch)
{
    return TF_EVENT_OWNER(watch, struct endpoint, watch);
}

/* The endpoint's lock is held in what follows, up to the events. */

static void read_next(struct watch *watch)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &watch->message};
    grpc_call_error error = grpc_call_start_batch(watch->call, &op, 1, tf_event_arm(&watch->heard), NULL);

    TF_ASSERT(error == GRPC_CALL_OK);
    watch->batches++;
}

static void take_state(struct watch *watch)
{
    Grpc__Health__V1__HealthCheckResponse *response = NULL;
    struct tf_core_bytes bytes;

    if (tf_core_bytes_read(watch->message, &bytes))
        response = grpc__health__v1__health_check_response__unpack(NULL, bytes.size, bytes.data);
    tf_core_bytes_done(&bytes);
    if (!response) return; /* the last state stands */
    endpoint_of(watch)->health = (int)response->status == SERVING ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    grpc__health__v1__health_check_response__free_unpacked(response, NULL);
}

static void pause(struct watch *watch)
{
    grpc_channel *channel = endpoint_of(watch)->channel;

    /* The library's only timer: it waits for another state of the channel, but not for longer than that. */
    grpc_channel_watch_connectivity_state(channel, grpc_channel_check_connectivity_state(channel, 0),
                                          tf_core_deadline((int64_t)PAUSE_MS * TF_US_PER_MS), client_queue(),
                                          tf_event_arm(&watch->paused));
}

/* The call's last event has come. True: the watch is over for good. */
static bool close_call(struct watch *watch)
{
    struct endpoint *endpoint = endpoint_of(watch);
    bool unknown = watch->status == GRPC_STATUS_UNIMPLEMENTED;

    grpc_metadata_array_destroy(&watch->initial);
    grpc_metadata_array_destroy(&watch->trailing);
    grpc_slice_unref(watch->text);
    grpc_call_unref(TF_TAKE(watch->call));
    if (unknown) endpoint->health = HEALTH_SERVING;
    if (watch->closing || unknown) return true;
    if (endpoint->health == HEALTH_SERVING) endpoint->health = HEALTH_UNKNOWN; /* who said so may be gone */
    pause(watch);
    return false;
}

/* One batch less. */
static void batch_over(struct watch *watch)
{
    struct endpoint *endpoint = endpoint_of(watch);
    bool over;

    over = --watch->batches == 0 && close_call(watch);
    pthread_mutex_unlock(&endpoint->lock);
    if (over) endpoint_unref(endpoint);
}

static void on_heard(struct tf_rpc_event *event, bool ok)
{
    struct watch *watch = TF_EVENT_OWNER(event, struct watch, heard);
    bool more;

    pthread_mutex_lock(&endpoint_of(watch)->lock);
    more = ok && watch->message && !watch->closing;
    if (more) take_state(watch);
    grpc_byte_buffer_destroy(TF_TAKE(watch->message));
    if (more) read_next(watch);
    batch_over(watch);
}

static void on_ended(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    struct watch *watch = TF_EVENT_OWNER(event, struct watch, ended);

    pthread_mutex_lock(&endpoint_of(watch)->lock);
    batch_over(watch);
}

static void on_paused(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    struct watch *watch = TF_EVENT_OWNER(event, struct watch, paused);
    struct endpoint *endpoint = endpoint_of(watch);
    bool closing;

    pthread_mutex_lock(&endpoint->lock);
    closing = watch->closing;
    if (!closing) open_watch(watch);
    pthread_mutex_unlock(&endpoint->lock);
    if (closing) endpoint_unref(endpoint);
}

static void open_watch(struct watch *watch)
{
    grpc_op end = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}, ops[5] = {0};
    grpc_slice nothing = grpc_empty_slice(); /* a request for "": the process as a whole */
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&nothing, 1);
    grpc_call_error error;

    watch->call = grpc_channel_create_call(endpoint_of(watch)->channel, NULL, GRPC_PROPAGATE_DEFAULTS, client_queue(),
                                           grpc_slice_from_static_string("/grpc.health.v1.Health/Watch"), NULL,
                                           gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    watch->message = NULL;
    watch->text = grpc_empty_slice();
    grpc_metadata_array_init(&watch->initial);
    grpc_metadata_array_init(&watch->trailing);

    end.data.recv_status_on_client.trailing_metadata = &watch->trailing;
    end.data.recv_status_on_client.status = &watch->status;
    end.data.recv_status_on_client.status_details = &watch->text;
    error = grpc_call_start_batch(watch->call, &end, 1, tf_event_arm(&watch->ended), NULL);
    TF_ASSERT(error == GRPC_CALL_OK);

    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY | GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &watch->initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &watch->message;
    error = grpc_call_start_batch(watch->call, ops, TF_COUNT(ops), tf_event_arm(&watch->heard), NULL);
    TF_ASSERT(error == GRPC_CALL_OK);
    watch->batches = 2;
    grpc_byte_buffer_destroy(request);
}

void watch_start(struct endpoint *endpoint)
{
    struct watch *watch = &endpoint->watch;

    watch->heard.fire = on_heard;
    watch->ended.fire = on_ended;
    watch->paused.fire = on_paused;
    atomic_fetch_add(&endpoint->refs, 1);
    pthread_mutex_lock(&endpoint->lock);
    open_watch(watch);
    pthread_mutex_unlock(&endpoint->lock);
}

void watch_stop(struct endpoint *endpoint)
{
    pthread_mutex_lock(&endpoint->lock);
    endpoint->watch.closing = true;
    if (endpoint->watch.call) grpc_call_cancel(endpoint->watch.call, NULL);
    pthread_mutex_unlock(&endpoint->lock);
}
