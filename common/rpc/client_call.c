/* One call of a client: a few attempts, each on another endpoint, then the answer or the error in the caller's context.
 *
 * An attempt ends in one of four ways, and the difference decides what may be repeated: the callee answered; it
 * answered that it did not even begin (it stops, or is full), or the request never left: nothing to fear; it left and
 * no answer came, or none in the attempt's share of the time: the callee may have acted. */
#include "common/rpc/client_internal.h"
#include "common/rpc/status.h"

#include "common/base/metrics.h"

#include <grpc/support/alloc.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

static tf_counter calls = TF_COUNTER("tf_rpc_client_calls_total", "Calls made, by callee, method and reason", "call");
static tf_counter retries = TF_COUNTER("tf_rpc_client_retries_total", "Attempts after the first, by callee", "service");
static tf_histogram seconds = TF_HISTOGRAM("tf_rpc_client_seconds", "Calls made, attempts together", "method");

enum {
    ATTEMPTS_MAX = 3,
    METADATA_MAX = 5,
    SHARE_LEAST_MS = 100,   /* less time is not divided among attempts */
    VERDICT_LEAST_MS = 250, /* no answer in less time than this says nothing of the endpoint */
};

enum outcome { ANSWERED, REFUSED, NOT_SENT, LOST };

struct client_call {
    struct tf_rpc_event event;
    tf_rpc_client *client;
    tf_ctx *ctx;
    const struct tf_rpc_method *method;
    tf_rpc_done done; /* NULL: somebody waits on `over` */
    void *arg;
    sem_t over;
    int64_t began_us;
    gpr_timespec deadline;
    grpc_slice request;
    grpc_metadata metadata[METADATA_MAX];
    size_t n_metadata;
    struct pick picks[ATTEMPTS_MAX]; /* endpoints are held to the end, so that later attempts know what to avoid */
    size_t attempts;
    bool lost;        /* an attempt may have taken effect */
    _Atomic int refs; /* of the asynchronous form: the events', and the starter's */

    pthread_mutex_t lock; /* protects cancelled, and call against whoever cancels */
    bool cancelled;

    /* The attempt under way: */
    grpc_call *call;
    grpc_call *carrier; /* of the event of a call that could not begin */
    int64_t attempt_us; /* when it began */
    bool cut;           /* it has less time than the call */
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *response;
    grpc_status_code status;
    grpc_slice text;
};

/* ---- what goes out ---------------------------------------------------------------------------------------------- */

static void put_metadata(struct client_call *call, const char *name, const void *value, size_t size)
{
    grpc_metadata *element = &call->metadata[call->n_metadata];

    *element = (grpc_metadata){.key = grpc_slice_from_static_string(name)};
    element->value = grpc_slice_from_copied_buffer(value, size);
    if (!grpc_is_binary_header(element->key) && !grpc_header_nonbin_value_is_legal(element->value)) {
        grpc_slice_unref(element->value); /* the callee makes up its own */
        return;
    }
    call->n_metadata++;
}

static void put_text(struct client_call *call, const char *name, const char *value)
{
    if (value && value[0]) put_metadata(call, name, value, strlen(value));
}

/* As whom the call goes out. A gateway speaks for whoever it serves and never for itself; another process passes on who
 * called it, and speaks for itself when nobody did or when only processes may call the method. */
static struct tf_identity identity_of(const struct client_call *call, bool internal)
{
    const struct tf_identity *who = &call->ctx->identity;
    bool anonymous = who->caller && !strcmp(who->caller, "gateway"); /* nobody is logged in, which is an answer too */
    struct tf_identity identity = *who;

    identity.caller = call->client->config.caller;
    identity.internal = false;
    if (internal ||
        (!call->client->gateway && (call->method->access == TF_ACCESS_INTERNAL || (!who->user_id && !anonymous))))
        identity = (struct tf_identity){.caller = call->client->config.caller, .internal = true};
    return identity;
}

static tf_code fill_metadata(struct client_call *call, bool internal)
{
    const struct tf_rpc_client_config *config = &call->client->config;
    struct tf_identity identity = identity_of(call, internal);
    tf_ctx *ctx = call->ctx;
    char attempt[12];
    size_t size;
    void *token = tf_identity_seal(ctx->arena, config->identity_key, &identity, config->service,
                                   config->clock->wall_us(config->clock), &size);

    if (!token) return tf_fail(ctx, TF_TOO_LARGE, "no room for the identity token");
    put_metadata(call, TF_MD_IDENTITY, token, size);
    put_text(call, TF_MD_REQUEST_ID, ctx->request_id);
    put_text(call, TF_MD_LANGUAGE, ctx->language);
    put_text(call, TF_MD_TRACEPARENT, ctx->traceparent);
    if (ctx->attempt > 1) {
        snprintf(attempt, sizeof(attempt), "%d", ctx->attempt);
        put_text(call, TF_MD_ATTEMPT, attempt);
    }
    return TF_OK;
}

static grpc_slice pack(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    grpc_slice slice = grpc_slice_malloc(size);

    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    return slice;
}

/* ---- attempts --------------------------------------------------------------------------------------------------- */

static const char *address_of(const struct client_call *call)
{
    return call->picks[call->attempts - 1].endpoint->address;
}

/* What can be repeated leaves time for it: an instance that is frozen does not answer at all. */
static gpr_timespec attempt_deadline(struct client_call *call)
{
    int64_t left_us = tf_core_left_us(call->deadline);

    call->cut = call->method->idempotent && call->attempts < ATTEMPTS_MAX &&
                left_us >= 2 * SHARE_LEAST_MS * TF_US_PER_MS &&
                picker_has_other(&call->client->picker, call->picks, call->attempts);
    return call->cut ? tf_core_deadline(left_us / 2) : call->deadline;
}

/* False: there is no endpoint. Otherwise the event comes. */
static bool attempt_start(struct client_call *call)
{
    grpc_op ops[6] = {0};
    grpc_byte_buffer *request;
    grpc_call_error error;
    struct pick *pick = &call->picks[call->attempts];

    if (!picker_take(&call->client->picker, call->picks, call->attempts, pick)) return false;
    call->attempts++;
    call->attempt_us = tf_mono_us();
    call->response = NULL;
    call->text = grpc_empty_slice();
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    request = grpc_raw_byte_buffer_create(&call->request, 1);

    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.count = call->n_metadata;
    ops[0].data.send_initial_metadata.metadata = call->metadata;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &call->response;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &call->trailing;
    ops[5].data.recv_status_on_client.status = &call->status;
    ops[5].data.recv_status_on_client.status_details = &call->text;

    pthread_mutex_lock(&call->lock);
    call->call =
        grpc_channel_create_call(pick->endpoint->channel, NULL, GRPC_PROPAGATE_DEFAULTS, client_queue(),
                                 grpc_slice_from_static_string(call->method->path), NULL, attempt_deadline(call), NULL);
    error = grpc_call_start_batch(call->call, ops, TF_COUNT(ops), tf_event_arm(&call->event), NULL);
    TF_ASSERT(error == GRPC_CALL_OK); /* the metadata was checked, and the queue outlives its calls */
    if (call->cancelled) grpc_call_cancel(call->call, NULL);
    pthread_mutex_unlock(&call->lock); /* the event may be under way; somebody holds the call until this is done */
    grpc_byte_buffer_destroy(request);
    return true;
}

static void attempt_end(struct client_call *call)
{
    grpc_call *ended;

    pthread_mutex_lock(&call->lock);
    ended = TF_TAKE(call->call);
    pthread_mutex_unlock(&call->lock);
    if (!ended) return;
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_byte_buffer_destroy(TF_TAKE(call->response));
    grpc_slice_unref(call->text);
    grpc_call_unref(ended);
}

/* The library names a peer by the channel's target until a connection has taken the request. */
static bool was_sent(const struct client_call *call)
{
    char *peer = grpc_call_get_peer(call->call);
    bool sent = strcmp(peer, call->picks[call->attempts - 1].endpoint->target) != 0;

    gpr_free(peer);
    return sent;
}

static enum outcome outcome_of(const struct client_call *call)
{
    size_t size;

    if (tf_core_metadata_find(&call->trailing, TF_MD_NOT_BEGUN, &size)) return REFUSED;
    if (call->status == GRPC_STATUS_DEADLINE_EXCEEDED && call->cut) return LOST;
    if (call->status != GRPC_STATUS_UNAVAILABLE && call->status != GRPC_STATUS_CANCELLED) return ANSWERED;
    if (tf_core_metadata_find(&call->trailing, TF_MD_DETAILS, &size)) return ANSWERED;
    return was_sent(call) ? LOST : NOT_SENT;
}

/* What the attempt says of its endpoint. */
static enum breaker_verdict verdict_of(const struct client_call *call, enum outcome outcome)
{
    bool silent = outcome == LOST || call->status == GRPC_STATUS_DEADLINE_EXCEEDED;
    bool answered = outcome == ANSWERED || outcome == REFUSED;
    size_t size;

    if (tf_core_metadata_find(&call->trailing, TF_MD_DETAILS, &size)) return BREAKER_GOOD;
    if (call->status == GRPC_STATUS_DEADLINE_EXCEEDED &&
        tf_mono_us() - call->attempt_us < VERDICT_LEAST_MS * TF_US_PER_MS)
        return BREAKER_NEITHER;
    return silent ? BREAKER_BAD : answered ? BREAKER_GOOD : BREAKER_NEITHER;
}

static bool may_repeat(const struct client_call *call, enum outcome outcome)
{
    if (outcome == ANSWERED || call->attempts == ATTEMPTS_MAX || tf_core_left_us(call->deadline) == 0) return false;
    if (outcome == LOST) return call->method->idempotent && client_repeat_afford(call->client);
    if (!picker_has_other(&call->client->picker, call->picks, call->attempts)) return false; /* it would refuse again */
    return outcome == NOT_SENT || client_repeat_afford(call->client);
}

/* ---- what came back --------------------------------------------------------------------------------------------- */

/* The status as the library has it, for the log. */
static tf_code fail(struct client_call *call, tf_code code)
{
    return tf_fail(call->ctx, code, "%s %s at %s: status %d, %.*s", call->client->config.service, call->method->name,
                   address_of(call), (int)call->status, (int)TF_MIN(GRPC_SLICE_LENGTH(call->text), (size_t)500),
                   (const char *)GRPC_SLICE_START_PTR(call->text));
}

/* A status without details of ours: the library's own, or a stranger's. */
static tf_code bare_code(const struct client_call *call)
{
    static const char too_large[] = "larger than max"; /* the library's words for a message past its limit */

    if (call->status == GRPC_STATUS_RESOURCE_EXHAUSTED &&
        memmem(GRPC_SLICE_START_PTR(call->text), GRPC_SLICE_LENGTH(call->text), too_large, sizeof(too_large) - 1))
        return TF_TOO_LARGE;
    return tf_code_by_grpc_status((int)call->status);
}

static tf_code take_error(struct client_call *call)
{
    tf_ctx *ctx = call->ctx;
    struct tf_error theirs;
    bool first = !ctx->error.code;
    size_t size;
    const void *details = tf_core_metadata_find(&call->trailing, TF_MD_DETAILS, &size);
    tf_code code;

    if (!details || !tf_status_unpack(ctx->arena, details, size, &theirs)) return fail(call, bare_code(call));
    code = fail(call, theirs.code);
    if (first) { /* the first error wins, and so do its words */
        theirs.internal = ctx->error.internal;
        ctx->error = theirs;
    }
    return code;
}

/* The error of the last attempt. OVERLOADED says that nothing was done: not when an attempt before it was lost. */
static tf_code take_last_error(struct client_call *call)
{
    bool first = !call->ctx->error.code;
    tf_code code = take_error(call);

    if (code != TF_OVERLOADED || !call->lost) return code;
    if (first) tf_error_clear(call->ctx);
    return fail(call, TF_UNKNOWN_OUTCOME);
}

static tf_code take_answer(struct client_call *call, ProtobufCMessage **ret_response)
{
    struct tf_core_bytes bytes;
    ProtobufCMessage *response = NULL;

    if (tf_core_bytes_read(call->response, &bytes))
        response = tf_pb_unpack(call->ctx->arena, call->method->response, bytes.data, bytes.size);
    tf_core_bytes_done(&bytes);
    if (!response)
        return tf_fail(call->ctx, TF_INTERNAL, "%s %s: the answer %s", call->client->config.service, call->method->name,
                       tf_arena_exhausted(call->ctx->arena) ? "does not fit the call's memory" : "is malformed");
    *ret_response = response;
    return TF_OK;
}

static bool was_cancelled(struct client_call *call)
{
    bool cancelled;

    pthread_mutex_lock(&call->lock);
    cancelled = call->cancelled;
    pthread_mutex_unlock(&call->lock);
    return cancelled;
}

/* After an attempt's event. False: another attempt is under way. */
static bool settle(struct client_call *call, tf_code *ret_code, ProtobufCMessage **ret_response)
{
    bool cancelled = was_cancelled(call) && call->status != GRPC_STATUS_OK;
    enum outcome outcome = outcome_of(call);
    bool started;

    picker_judge(&call->client->picker, &call->picks[call->attempts - 1],
                 cancelled ? BREAKER_NEITHER : verdict_of(call, outcome));
    if (!cancelled && may_repeat(call, outcome)) {
        attempt_end(call);
        if (outcome == LOST && !call->lost && call->ctx->attempt <= 1)
            put_text(call, TF_MD_ATTEMPT, "2"); /* it may have been done */
        if (outcome == LOST) call->lost = true;
        tf_counter_add_label(&retries, call->client->config.service, 1);
        started = attempt_start(call);
        TF_ASSERT(started); /* a set of endpoints never becomes empty */
        return false;
    }
    if (outcome == LOST) call->lost = true;
    if (call->status == GRPC_STATUS_OK)
        *ret_code = take_answer(call, ret_response);
    else if (cancelled)
        *ret_code = fail(call, TF_CANCELLED);
    else if (call->status == GRPC_STATUS_DEADLINE_EXCEEDED || outcome == ANSWERED ||
             (outcome == REFUSED && !call->lost))
        *ret_code = take_last_error(call);
    else
        *ret_code = fail(call, call->lost ? TF_UNKNOWN_OUTCOME : TF_STORE_DOWN);
    return true;
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

/* What both forms begin with; after a failure call_end is still due. */
static tf_code call_begin(struct client_call *call, bool internal, const ProtobufCMessage *request)
{
    tf_ctx *ctx = call->ctx;
    int64_t left_us = TF_MIN(tf_ctx_left_us(ctx), (int64_t)call->method->deadline_ms * TF_US_PER_MS);
    tf_code code;

    client_call_began(call->client);
    call->began_us = tf_mono_us();
    call->deadline = tf_core_deadline(left_us);
    call->request = grpc_empty_slice();
    code = tf_ctx_check(ctx);
    if (code) return code;

    code = fill_metadata(call, internal);
    if (code) return code;

    call->request = pack(request);
    if (!attempt_start(call)) return tf_fail(ctx, TF_STORE_DOWN, "%s has no endpoint", call->client->config.service);
    return TF_OK;
}

static void call_end(struct client_call *call, tf_code code)
{
    const struct tf_rpc_method *method = call->method;
    char name[128];

    snprintf(name, sizeof(name), "%s %s %s", method->service, method->name, tf_code_info(code)->reason);
    tf_counter_add_label(&calls, name, 1);
    tf_histogram_observe_us_label(&seconds, method->name, tf_mono_us() - call->began_us);
    attempt_end(call);
    for (size_t i = 0; i < call->n_metadata; i++)
        grpc_slice_unref(call->metadata[i].value);
    for (size_t i = 0; i < call->attempts; i++)
        picker_release(&call->picks[i]);
    grpc_slice_unref(call->request);
}

static void on_event_blocking(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    sem_post(&TF_EVENT_OWNER(event, struct client_call, event)->over);
}

static tf_code call_blocking(tf_ctx *ctx, tf_rpc_client *client, const struct tf_rpc_method *method, bool internal,
                             const ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    struct client_call call = {.event.fire = on_event_blocking, .client = client, .ctx = ctx, .method = method};
    tf_code code;

    sem_init(&call.over, 0, 0);
    pthread_mutex_init(&call.lock, NULL);
    code = call_begin(&call, internal, request);
    if (!code) {
        do /* the library answers by the deadline, come what may */
            while (sem_wait(&call.over))
                ; /* a signal */
        while (!settle(&call, &code, ret_response));
    }
    call_end(&call, code);
    pthread_mutex_destroy(&call.lock);
    sem_destroy(&call.over);
    client_call_ended(client);
    return code;
}

tf_code tf_rpc_call(tf_ctx *ctx, tf_rpc_client *client, const struct tf_rpc_method *method,
                    const ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    return call_blocking(ctx, client, method, false, request, ret_response);
}

tf_code tf_rpc_call_internal(tf_ctx *ctx, tf_rpc_client *client, const struct tf_rpc_method *method,
                             const ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    return call_blocking(ctx, client, method, true, request, ret_response);
}

void tf_rpc_pending_release(tf_rpc_pending *call)
{
    if (atomic_fetch_sub(&call->refs, 1) > 1) return;
    pthread_mutex_destroy(&call->lock);
    free(call);
}

void tf_rpc_pending_cancel(tf_rpc_pending *call)
{
    pthread_mutex_lock(&call->lock);
    call->cancelled = true;
    if (call->call) grpc_call_cancel(call->call, NULL);
    pthread_mutex_unlock(&call->lock);
}

/* On the poller. */
static void finish(struct client_call *call, tf_code code, ProtobufCMessage *response)
{
    tf_rpc_client *client = call->client;

    call_end(call, code);
    call->done(call->ctx, code, code ? NULL : response, call->arg);
    tf_rpc_pending_release(call);
    client_call_ended(client);
}

static void on_event_async(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    struct client_call *call = TF_EVENT_OWNER(event, struct client_call, event);
    ProtobufCMessage *response = NULL;
    tf_code code = TF_OK;

    if (settle(call, &code, &response)) finish(call, code, response);
}

/* The call could not even begin; the error is in its context. */
static void on_event_failed(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    struct client_call *call = TF_EVENT_OWNER(event, struct client_call, event);

    grpc_call_unref(call->carrier);
    finish(call, call->ctx->error.code, NULL);
}

tf_rpc_pending *tf_rpc_pending_new(tf_ctx *ctx, tf_rpc_client *client, const struct tf_rpc_method *method,
                                   tf_rpc_done done, void *arg)
{
    struct client_call *call = calloc(1, sizeof(*call));

    TF_ASSERT(call); /* there is no way left to say so */
    *call = (struct client_call){
        .event.fire = on_event_async, .client = client, .ctx = ctx, .method = method, .done = done, .arg = arg};
    atomic_store(&call->refs, 1);
    pthread_mutex_init(&call->lock, NULL);
    return call;
}

void tf_rpc_pending_start(tf_rpc_pending *call, const ProtobufCMessage *request)
{
    atomic_fetch_add(&call->refs, 1);                      /* the events' */
    if (call_begin(call, false, request) == TF_OK) return; /* it may be over already */
    call->event.fire = on_event_failed;
    client_post(&call->event, &call->carrier);
}

void tf_rpc_start(tf_ctx *ctx, tf_rpc_client *client, const struct tf_rpc_method *method,
                  const ProtobufCMessage *request, tf_rpc_done done, void *arg)
{
    tf_rpc_pending *call = tf_rpc_pending_new(ctx, client, method, done, arg);

    tf_rpc_pending_start(call, request);
    tf_rpc_pending_release(call);
}
