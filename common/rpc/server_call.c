/* One unary call: accepted on the poller, run on a worker, answered, forgotten when the library is done with it. */
#include "common/rpc/server_internal.h"
#include "common/rpc/status.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/text.h"
#include "common/crypto/crypto.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static tf_counter calls = TF_COUNTER("tf_rpc_server_calls_total", "Calls answered, by method and reason", "call");
static tf_counter shed = TF_COUNTER("tf_rpc_server_shed_total", "Calls refused because the queue was full", NULL);
static tf_histogram seconds =
    TF_HISTOGRAM("tf_rpc_server_seconds", "From arrival to answer, waiting included", "method");

enum {
    REQUEST_ID_MAX = 64,
    REQUEST_ID_BYTES = 16, /* of one that we make up, as hex */
    ATTEMPT_MAX = 99,
};

struct server_call {
    struct tf_rpc_event accepted, replied, closed;
    struct server_method *method;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
    int64_t received_us; /* monotonic */
    int cancelled;       /* the library's answer to RECV_CLOSE_ON_SERVER */
    bool watching; /* that operation was started before the answer; the poller's, the worker's from the queue on */
    _Atomic bool gone;
    _Atomic int refs; /* the answer's batch, and the watching one */
};

/* A call of a method that nobody has. */
struct unknown_call {
    struct tf_rpc_event accepted, replied;
    tf_rpc_server *server;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    int cancelled;
};

/* ---- answering -------------------------------------------------------------------------------------------------- */

void server_reply_start(grpc_call *call, const struct server_reply *reply, struct tf_rpc_event *event)
{
    grpc_op ops[4] = {0}, *op = ops;
    grpc_slice text = grpc_slice_from_copied_string(reply->text);
    grpc_metadata trailing[2] = {0};
    grpc_call_error error;
    size_t n = 0;

    if (reply->details)
        trailing[n++] = (grpc_metadata){.key = grpc_slice_from_static_string(TF_MD_DETAILS),
                                        .value = grpc_slice_from_copied_buffer(reply->details, reply->details_size)};
    if (reply->not_begun)
        trailing[n++] = (grpc_metadata){.key = grpc_slice_from_static_string(TF_MD_NOT_BEGUN),
                                        .value = grpc_slice_from_static_string("1")};
    if (!reply->headers_sent) op++->op = GRPC_OP_SEND_INITIAL_METADATA;
    if (reply->message) {
        op->op = GRPC_OP_SEND_MESSAGE;
        op++->data.send_message.send_message = reply->message;
    }
    op->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op->data.send_status_from_server.status = (grpc_status_code)reply->status;
    op->data.send_status_from_server.status_details = &text;
    op->data.send_status_from_server.trailing_metadata = trailing;
    op->data.send_status_from_server.trailing_metadata_count = n;
    op++;
    if (reply->cancelled) {
        op->op = GRPC_OP_RECV_CLOSE_ON_SERVER;
        op++->data.recv_close_on_server.cancelled = reply->cancelled;
    }
    error = grpc_call_start_batch(call, ops, (size_t)(op - ops), tf_event_arm(event), NULL);
    TF_ASSERT(error == GRPC_CALL_OK); /* the queue outlives its calls, and nothing is answered twice */
    grpc_slice_unref(text);
    for (size_t i = 0; i < n; i++)
        grpc_slice_unref(trailing[i].value);
}

static void call_free(struct server_call *call)
{
    grpc_metadata_array_destroy(&call->metadata);
    grpc_byte_buffer_destroy(call->payload);
    if (call->call) grpc_call_unref(call->call);
    free(call);
}

static void call_unref(struct server_call *call)
{
    tf_rpc_server *server = call->method->server;

    if (atomic_fetch_sub(&call->refs, 1) > 1) return;
    call_free(call);
    server_call_ended(server);
}

static void on_replied(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    call_unref(TF_EVENT_OWNER(event, struct server_call, replied));
}

static void on_closed(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    struct server_call *call = TF_EVENT_OWNER(event, struct server_call, closed);

    if (call->cancelled) atomic_store(&call->gone, true);
    call_unref(call);
}

/* The call may be gone when this returns. begun: a handler has seen it. */
static void reply(struct server_call *call, tf_code code, bool begun, grpc_byte_buffer *message, const void *details,
                  size_t details_size)
{
    const struct tf_code_info *row = tf_code_info(code);
    struct server_reply answer = {
        .message = message,
        .status = row->grpc_status,
        .text = code ? row->en : "",
        .details = details,
        .details_size = details_size,
        .cancelled = call->watching ? NULL : &call->cancelled,
        .not_begun = !begun,
    };

    call->replied.fire = on_replied;
    server_reply_start(call->call, &answer, &call->replied);
}

/* ---- what happened ---------------------------------------------------------------------------------------------- */

/* Our own faults and failing stores are worth a line at any level; refusals are ordinary. */
static enum tf_log_level level_of(int grpc_status)
{
    switch (grpc_status) {
    case TF_GRPC_INTERNAL:
    case TF_GRPC_UNKNOWN:
    case TF_GRPC_DATA_LOSS:
        return TF_LOG_ERROR;
    case TF_GRPC_UNAVAILABLE:
    case TF_GRPC_DEADLINE_EXCEEDED:
        return TF_LOG_WARN;
    default:
        return TF_LOG_DEBUG;
    }
}

static void log_failure(const tf_ctx *ctx, const struct tf_rpc_method *method, tf_code code, int64_t took_us)
{
    const struct tf_code_info *row = tf_code_info(code);
    enum tf_log_level level = level_of(row->grpc_status);
    char user[24], took[24];

    if (level < tf_log_threshold()) return;
    snprintf(user, sizeof(user), "%" PRId64, ctx->identity.user_id);
    snprintf(took, sizeof(took), "%" PRId64, took_us);
    tf_log(level, "call failed", "method", method->name, "reason", row->reason, "request_id", ctx->request_id, "caller",
           ctx->identity.caller, "user_id", user, "field", ctx->error.field, "detail", ctx->error.detail, "internal",
           ctx->error.internal, "took_us", took, NULL);
}

static void count(const struct server_call *call, tf_code code)
{
    const struct tf_rpc_method *method = call->method->binding->method;
    const tf_clock *clock = call->method->server->config.clock;
    char name[128];

    snprintf(name, sizeof(name), "%s %s", method->name, tf_code_info(code)->reason);
    tf_counter_add_label(&calls, name, 1);
    tf_histogram_observe_us_label(&seconds, method->name, clock->mono_us(clock) - call->received_us);
}

/* ---- the context ------------------------------------------------------------------------------------------------ */

/* A copy in the arena; NULL: absent, empty or longer than max. */
static const char *metadata_text(const struct server_call *call, tf_arena *arena, const char *name, size_t max)
{
    size_t size;
    const char *value = tf_core_metadata_find(&call->metadata, name, &size);

    return value && size > 0 && size <= max ? tf_arena_strndup(arena, value, size) : NULL;
}

static bool request_id_valid(const char *id)
{
    for (; *id; id++)
        if (!isalnum((unsigned char)*id) && !strchr("-_.:", *id)) return false;
    return true;
}

static const char *request_id_of(const struct server_call *call, tf_arena *arena)
{
    const char *id = metadata_text(call, arena, TF_MD_REQUEST_ID, REQUEST_ID_MAX);
    char *made;

    if (id && request_id_valid(id)) return id;
    made = tf_arena_alloc(arena, 2 * REQUEST_ID_BYTES + 1);
    if (!made) return "";
    tf_random_hex(made, REQUEST_ID_BYTES);
    return made;
}

/* W3C: version, trace id, parent id, flags; lower-case hex with dashes between. */
static const char *traceparent_of(const struct server_call *call, tf_arena *arena)
{
    static const char form[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    const char *text = metadata_text(call, arena, TF_MD_TRACEPARENT, sizeof(form) - 1);

    if (!text || strlen(text) != sizeof(form) - 1) return NULL;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == '-' ? text[i] != '-' : !strchr("0123456789abcdef", text[i])) return NULL;
    return text;
}

static int attempt_of(const struct server_call *call, tf_arena *arena)
{
    const char *text = metadata_text(call, arena, TF_MD_ATTEMPT, 2);
    int64_t attempt;

    return text && tf_parse_int64(text, &attempt) && attempt >= 1 && attempt <= ATTEMPT_MAX ? (int)attempt : 1;
}

static int64_t deadline_of(const struct server_call *call)
{
    int64_t left_us =
        TF_MIN(tf_core_left_us(call->deadline), (int64_t)call->method->binding->method->deadline_ms * TF_US_PER_MS);

    return call->received_us + left_us;
}

static void context_make(tf_ctx *ctx, struct server_call *call, tf_arena *arena, int64_t deadline_us)
{
    const struct tf_rpc_server_config *config = &call->method->server->config;
    const char *language = metadata_text(call, arena, TF_MD_LANGUAGE, 8);

    *ctx = (tf_ctx){
        .arena = arena,
        .clock = config->clock,
        .deadline_us = deadline_us,
        .identity = {.caller = ""},
        .request_id = request_id_of(call, arena),
        .language = language && !strcmp(language, "en") ? "en" : "zh-CN",
        .attempt = attempt_of(call, arena),
        .traceparent = traceparent_of(call, arena),
        .app = config->app,
        .call = call,
    };
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static tf_code check_access(tf_ctx *ctx, const struct server_call *call)
{
    const struct tf_rpc_method *method = call->method->binding->method;
    const struct tf_rpc_server_config *config = &call->method->server->config;
    struct tf_identity *who = &ctx->identity;
    size_t size = 0;
    const void *token = tf_core_metadata_find(&call->metadata, TF_MD_IDENTITY, &size);
    tf_code code = tf_identity_open(ctx->arena, config->identity_key, token, size, config->service,
                                    config->clock->wall_us(config->clock), who);

    if (code) return tf_fail(ctx, code, "%s", token ? "the identity token is not valid here" : "no identity token");
    if (method->access & TF_ACCESS_PUBLIC) return TF_OK;
    if ((method->access & TF_ACCESS_INTERNAL) && who->internal) return TF_OK;
    if ((method->access & TF_ACCESS_BUYER) && who->user_id) return TF_OK;
    if ((method->access & TF_ACCESS_OPERATOR) && who->user_id && (who->roles & method->roles)) return TF_OK;
    if (!who->user_id && (method->access & (TF_ACCESS_BUYER | TF_ACCESS_OPERATOR)))
        return tf_fail(ctx, TF_UNAUTHENTICATED, "nobody is logged in");
    return tf_fail(ctx, TF_FORBIDDEN, "not among those whom the method is for");
}

static tf_code decode(tf_ctx *ctx, struct server_call *call, ProtobufCMessage **ret_request)
{
    const ProtobufCMessageDescriptor *type = call->method->binding->method->request;
    struct tf_core_bytes bytes;
    ProtobufCMessage *request = NULL;

    if (tf_core_bytes_read(call->payload, &bytes)) request = tf_pb_unpack(ctx->arena, type, bytes.data, bytes.size);
    tf_core_bytes_done(&bytes);
    grpc_byte_buffer_destroy(TF_TAKE(call->payload)); /* the message has copies */
    if (!request && tf_arena_exhausted(ctx->arena))
        return tf_fail(ctx, TF_TOO_LARGE, "decoding passed the arena's ceiling");
    if (!request) return tf_fail_field(ctx, "", "the request is not a valid %s", type->short_name);
    *ret_request = request;
    return TF_OK;
}

/* Everything but the answer's bytes. */
static tf_code handle(tf_ctx *ctx, struct server_call *call, bool *ret_begun, ProtobufCMessage **ret_response)
{
    const struct tf_rpc_server_config *config = &call->method->server->config;
    const struct tf_rpc_binding *binding = call->method->binding;
    ProtobufCMessage *request = NULL, *response;
    tf_code code;

    if (atomic_load(&call->method->server->cancelled)) return tf_fail(ctx, TF_STORE_DOWN, "the server is stopping");
    if (atomic_load(&call->gone)) return tf_fail(ctx, TF_CANCELLED, "the caller went away while the call waited");
    if (config->fit && !config->fit(config->app)) return tf_fail(ctx, TF_STORE_DOWN, "the process is not fit to judge");
    code = tf_ctx_check(ctx); /* it may have waited for too long */
    if (code) return code;

    code = check_access(ctx, call);
    if (code) return code;

    code = decode(ctx, call, &request);
    if (code) return code;

    response = tf_arena_alloc(ctx->arena, binding->method->response->sizeof_message);
    if (!response) return tf_fail(ctx, TF_TOO_LARGE, "no room for the response");
    protobuf_c_message_init(binding->method->response, response);

    *ret_begun = true;
    code = binding->handler(ctx, request, response);
    if (code) return code;

    /* Something in the answer is missing if the arena gave out, and the handler need not have looked. */
    tf_error_clear(ctx);
    if (tf_arena_exhausted(ctx->arena)) return tf_fail(ctx, TF_INTERNAL, "the call used up its memory");
    *ret_response = response;
    return TF_OK;
}

void server_call_run(struct server_call *call, tf_arena *arena, tf_arena *spare)
{
    const struct tf_rpc_method *method = call->method->binding->method;
    ProtobufCMessage *response = NULL;
    grpc_byte_buffer *message = NULL;
    void *details = NULL;
    size_t details_size = 0;
    bool begun = false;
    tf_code code;
    tf_ctx ctx;

    context_make(&ctx, call, arena, deadline_of(call));
    code = handle(&ctx, call, &begun, &response);
    if (code) {
        log_failure(&ctx, method, code, ctx.clock->mono_us(ctx.clock) - call->received_us);
        details = tf_status_pack(spare, code, &ctx.error, &details_size);
    } else {
        message = tf_core_pack(response);
    }
    count(call, code);
    /* What is wrong with a call in itself is wrong on every instance. */
    reply(call, code, begun || code != TF_STORE_DOWN, message, details, details_size);
    grpc_byte_buffer_destroy(message);
    tf_arena_reset(spare);
    tf_arena_reset(arena);
}

/* Starts to watch for the client's end. It costs an event, so only calls that wait and handlers that ask are watched.
 */
static void watch(struct server_call *call)
{
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    grpc_call_error error;

    if (call->watching) return;
    op.data.recv_close_on_server.cancelled = &call->cancelled;
    call->closed.fire = on_closed;
    call->watching = true;
    atomic_fetch_add(&call->refs, 1);
    error = grpc_call_start_batch(call->call, &op, 1, tf_event_arm(&call->closed), NULL);
    TF_ASSERT(error == GRPC_CALL_OK);
}

bool tf_rpc_cancelled(const tf_ctx *ctx)
{
    struct server_call *call = ctx->call;

    if (!call) return false;
    watch(call);
    return atomic_load(&call->gone) || atomic_load(&call->method->server->cancelled);
}

/* ---- accepting, on the poller ----------------------------------------------------------------------------------- */

/* Says no without a worker; what it says is always the same and was packed at start-up. */
static void refuse(struct server_call *call, const struct server_refusal *refusal)
{
    count(call, refusal->code);
    reply(call, refusal->code, false, NULL, refusal->details, refusal->size);
}

static void on_accepted(struct tf_rpc_event *event, bool ok)
{
    struct server_call *call = TF_EVENT_OWNER(event, struct server_call, accepted);
    tf_rpc_server *server = call->method->server;

    if (!ok) { /* the server is going down */
        call_free(call);
        return;
    }
    server_call_began(server);
    server_call_post(call->method);
    call->received_us = server->config.clock->mono_us(server->config.clock);
    atomic_store(&server->heard_us, tf_mono_us());
    if (atomic_load(&server->draining)) {
        refuse(call, &server->leaving);
        return;
    }
    if (server_queue_would_wait(server->queue)) watch(call);
    if (server_queue_push(server->queue, call)) return;
    tf_counter_add(&shed, 1);
    refuse(call, &server->overloaded);
}

bool server_call_post(struct server_method *method)
{
    struct server_call *call = calloc(1, sizeof(*call));
    tf_rpc_server *server = method->server;

    if (!call) return false;
    call->accepted.fire = on_accepted;
    call->method = method;
    atomic_store(&call->refs, 1);
    grpc_metadata_array_init(&call->metadata);
    if (grpc_server_request_registered_call(server->grpc, method->registered, &call->call, &call->deadline,
                                            &call->metadata, &call->payload, server->cq, server->cq,
                                            tf_event_arm(&call->accepted)) == GRPC_CALL_OK)
        return true;
    call_free(call);
    return false;
}

static void unknown_free(struct unknown_call *call)
{
    grpc_call_details_destroy(&call->details);
    grpc_metadata_array_destroy(&call->metadata);
    if (call->call) grpc_call_unref(call->call);
    free(call);
}

static void on_unknown_replied(struct tf_rpc_event *event, bool ok TF_UNUSED)
{
    struct unknown_call *call = TF_EVENT_OWNER(event, struct unknown_call, replied);
    tf_rpc_server *server = call->server;

    unknown_free(call);
    server_call_ended(server);
}

static void on_unknown_accepted(struct tf_rpc_event *event, bool ok)
{
    struct unknown_call *call = TF_EVENT_OWNER(event, struct unknown_call, accepted);
    struct server_reply answer = {
        .status = TF_GRPC_UNIMPLEMENTED,
        .text = tf_code_info(TF_METHOD_UNKNOWN)->en,
        .cancelled = &call->cancelled,
    };

    if (!ok) {
        unknown_free(call);
        return;
    }
    server_call_began(call->server);
    server_unknown_post(call->server);
    tf_counter_add_label(&calls, "unknown METHOD_UNKNOWN", 1);
    call->replied.fire = on_unknown_replied;
    server_reply_start(call->call, &answer, &call->replied);
}

bool server_unknown_post(tf_rpc_server *server)
{
    struct unknown_call *call = calloc(1, sizeof(*call));

    if (!call) return false;
    call->accepted.fire = on_unknown_accepted;
    call->server = server;
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    if (grpc_server_request_call(server->grpc, &call->call, &call->details, &call->metadata, server->cq, server->cq,
                                 tf_event_arm(&call->accepted)) == GRPC_CALL_OK)
        return true;
    unknown_free(call);
    return false;
}

bool server_refusal_pack(tf_code code, int retry_after_ms, struct server_refusal *ret_refusal)
{
    struct tf_error error = {.code = code, .retry_after_ms = retry_after_ms};
    tf_arena *arena = tf_arena_new(SPARE_BYTES);
    size_t size = 0;
    void *packed = arena ? tf_status_pack(arena, code, &error, &size) : NULL;

    *ret_refusal = (struct server_refusal){.code = code, .size = size, .details = packed ? malloc(size) : NULL};
    if (ret_refusal->details) memcpy(ret_refusal->details, packed, size);
    tf_arena_free(arena);
    return ret_refusal->details;
}
