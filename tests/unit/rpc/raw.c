/* Peers that break rules, for the tests. */
#include "tests/unit/rpc/raw.h"
#include "tests/unit/base/unit.h"

#include "common/rpc/core.h"
#include "grpc/health/v1/health.pb-c.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_US = 5 * TF_US_PER_S };

/* A channel with a queue that only its owner polls. */
struct raw_channel {
    grpc_channel *channel;
    grpc_completion_queue *queue;
};

static void channel_open(struct raw_channel *c, const char *address)
{
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_arg args[] = {tf_core_arg_int(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1)};
    char target[64];

    snprintf(target, sizeof(target), "ipv4:%s", address);
    c->channel = grpc_channel_create(target, credentials, &(grpc_channel_args){.num_args = 1, .args = args});
    c->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_channel_credentials_release(credentials);
}

static void channel_close(struct raw_channel *c)
{
    grpc_channel_destroy(c->channel);
    grpc_completion_queue_shutdown(c->queue);
    while (grpc_completion_queue_next(c->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type != GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(c->queue);
}

static grpc_byte_buffer *buffer_of(const void *data, size_t size)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(data ? data : "", size);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);

    grpc_slice_unref(slice);
    return buffer;
}

static void copy_slice(grpc_slice slice, char *out, size_t room)
{
    size_t n = TF_MIN(GRPC_SLICE_LENGTH(slice), room - 1);

    memcpy(out, GRPC_SLICE_START_PTR(slice), n);
    out[n] = '\0';
}

void raw_call(const struct raw_request *request, struct raw_answer *ret_answer)
{
    struct raw_channel c;
    struct tf_core_bytes bytes;
    grpc_metadata sent[2];
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *payload, *response = NULL;
    grpc_status_code status = GRPC_STATUS_OK;
    grpc_slice text = grpc_empty_slice();
    grpc_op ops[6] = {0};
    grpc_call *call;
    size_t n = 0, size;
    int64_t began = tf_mono_us();

    tf_core_open();
    channel_open(&c, request->address);
    call = grpc_channel_create_call(c.channel, NULL, 0, c.queue, grpc_slice_from_static_string(request->path), NULL,
                                    tf_core_deadline(DEADLINE_US), NULL);
    if (request->token) {
        sent[n].key = grpc_slice_from_static_string(TF_MD_IDENTITY);
        sent[n++].value = grpc_slice_from_copied_buffer(request->token, request->token_size);
    }
    if (request->extra_name) {
        sent[n].key = grpc_slice_from_static_string(request->extra_name);
        sent[n++].value = grpc_slice_from_static_string(request->extra_value);
    }
    grpc_metadata_array_init(&initial);
    grpc_metadata_array_init(&trailing);
    payload = buffer_of(request->payload, request->payload_size);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.metadata = sent;
    ops[0].data.send_initial_metadata.count = n;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = payload;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &response;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &trailing;
    ops[5].data.recv_status_on_client.status = &status;
    ops[5].data.recv_status_on_client.status_details = &text;
    assert_int_equal(grpc_call_start_batch(call, ops, TF_COUNT(ops), call, NULL), GRPC_CALL_OK);
    if (request->cancel_ms &&
        grpc_completion_queue_next(c.queue, tf_core_deadline(request->cancel_ms * TF_US_PER_MS), NULL).type ==
            GRPC_QUEUE_TIMEOUT)
        grpc_call_cancel(call, NULL);
    assert_int_equal(grpc_completion_queue_next(c.queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type,
                     GRPC_OP_COMPLETE);

    *ret_answer = (struct raw_answer){.status = (int)status, .took_ms = (long)((tf_mono_us() - began) / TF_US_PER_MS)};
    ret_answer->details = tf_core_metadata_find(&trailing, TF_MD_DETAILS, &size) != NULL;
    copy_slice(text, ret_answer->text, sizeof(ret_answer->text));
    if (response && tf_core_bytes_read(response, &bytes)) {
        ret_answer->payload_size = TF_MIN(bytes.size, sizeof(ret_answer->payload));
        memcpy(ret_answer->payload, bytes.data, ret_answer->payload_size);
        tf_core_bytes_done(&bytes);
    }
    for (size_t i = 0; i < n; i++)
        grpc_slice_unref(sent[i].value);
    grpc_byte_buffer_destroy(payload);
    grpc_byte_buffer_destroy(response);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    grpc_slice_unref(text);
    grpc_call_unref(call);
    channel_close(&c);
    tf_core_close();
}

/* ---- watch ------------------------------------------------------------------------------------------------------ */

struct raw_watch {
    struct raw_channel c;
    grpc_call *call;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice text;
    bool ended, reading;
    grpc_byte_buffer *message;
};

static char tag_begin, tag_end, tag_read;

struct raw_watch *raw_watch_open(const char *address, const char *service)
{
    struct raw_watch *w = calloc(1, sizeof(*w));
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    grpc_byte_buffer *payload;
    grpc_op ops[4] = {0}, end = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};

    assert_non_null(w);
    tf_core_open();
    channel_open(&w->c, address);
    request.service = (char *)(uintptr_t)service;
    payload = tf_core_pack(&request.base);
    grpc_metadata_array_init(&w->initial);
    grpc_metadata_array_init(&w->trailing);
    w->text = grpc_empty_slice();
    w->call = grpc_channel_create_call(w->c.channel, NULL, 0, w->c.queue,
                                       grpc_slice_from_static_string("/grpc.health.v1.Health/Watch"), NULL,
                                       tf_core_deadline(4 * DEADLINE_US), NULL);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = payload;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &w->initial;
    assert_int_equal(grpc_call_start_batch(w->call, ops, TF_COUNT(ops), &tag_begin, NULL), GRPC_CALL_OK);
    end.data.recv_status_on_client.trailing_metadata = &w->trailing;
    end.data.recv_status_on_client.status = &w->status;
    end.data.recv_status_on_client.status_details = &w->text;
    assert_int_equal(grpc_call_start_batch(w->call, &end, 1, &tag_end, NULL), GRPC_CALL_OK);
    grpc_byte_buffer_destroy(payload);
    return w;
}

static int take_state(struct raw_watch *w)
{
    struct tf_core_bytes bytes;
    Grpc__Health__V1__HealthCheckResponse *response;
    int state;

    assert_true(tf_core_bytes_read(w->message, &bytes));
    response = grpc__health__v1__health_check_response__unpack(NULL, bytes.size, bytes.data);
    assert_non_null(response);
    state = (int)response->status;
    grpc__health__v1__health_check_response__free_unpacked(response, NULL);
    tf_core_bytes_done(&bytes);
    grpc_byte_buffer_destroy(w->message);
    w->message = NULL;
    return state;
}

int raw_watch_next(struct raw_watch *w, int *ret_status)
{
    grpc_op read = {.op = GRPC_OP_RECV_MESSAGE};

    if (!w->reading) {
        read.data.recv_message.recv_message = &w->message;
        assert_int_equal(grpc_call_start_batch(w->call, &read, 1, &tag_read, NULL), GRPC_CALL_OK);
        w->reading = true;
    }
    for (;;) {
        grpc_event event = grpc_completion_queue_next(w->c.queue, tf_core_deadline(2 * TF_US_PER_S), NULL);

        if (event.type == GRPC_QUEUE_TIMEOUT) return -2;
        if (event.tag == &tag_read) {
            w->reading = false;
            if (w->message) return take_state(w);
        }
        if (event.tag == &tag_end) w->ended = true;
        if (w->ended && !w->reading) {
            *ret_status = (int)w->status;
            return -1;
        }
    }
}

void raw_watch_close(struct raw_watch *w)
{
    grpc_call_cancel(w->call, NULL);
    while (!w->ended || w->reading) {
        grpc_event event = grpc_completion_queue_next(w->c.queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

        if (event.tag == &tag_end) w->ended = true;
        if (event.tag == &tag_read) w->reading = false;
    }
    grpc_byte_buffer_destroy(w->message);
    grpc_metadata_array_destroy(&w->initial);
    grpc_metadata_array_destroy(&w->trailing);
    grpc_slice_unref(w->text);
    grpc_call_unref(w->call);
    channel_close(&w->c);
    free(w);
    tf_core_close();
}

/* ---- the server that dies with the request ---------------------------------------------------------------------- */

struct raw_dying {
    int listener;
    pthread_t thread;
    _Atomic int requests;
    _Atomic bool stopping;
};

static bool read_exactly(int fd, void *out, size_t n)
{
    while (n) {
        ssize_t got = read(fd, out, n);

        if (got <= 0) return false;
        out = (char *)out + got;
        n -= (size_t)got;
    }
    return true;
}

/* HTTP/2 so far that a client takes us for a server: our settings, then its frames until a stream is complete. What a
 * client's health watch sends is no request: it stays without an answer. */
static bool take_request(int fd)
{
    static const unsigned char settings[9] = {0, 0, 0, 4}, settings_ack[9] = {0, 0, 0, 4, 1};
    static const char watch[] = "/grpc.health.v1.Health/Watch"; /* as it stands in the HEADERS: not compressed */
    unsigned char head[24], frame[9], watched[4] = {0};         /* stream id of the watch */
    char payload[65536];

    if (!read_exactly(fd, head, sizeof(head)) || write(fd, settings, sizeof(settings)) < 0) return false;
    for (;;) {
        size_t size;

        if (!read_exactly(fd, frame, sizeof(frame))) return false;
        size = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
        if (size > sizeof(payload) || !read_exactly(fd, payload, size)) return false;
        if (frame[3] == 4 && !(frame[4] & 1) && write(fd, settings_ack, sizeof(settings_ack)) < 0) return false;
        if (frame[3] == 1 && memmem(payload, size, watch, sizeof(watch) - 1)) memcpy(watched, frame + 5, 4);
        if (frame[3] <= 1 && (frame[4] & 1) && memcmp(watched, frame + 5, 4) != 0)
            return true; /* HEADERS or DATA with END_STREAM */
    }
}

static void *die_again_and_again(void *arg)
{
    struct raw_dying *dying = arg;

    while (!atomic_load(&dying->stopping)) {
        int fd = accept(dying->listener, NULL, NULL);

        if (fd < 0) continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5}, sizeof(struct timeval));
        if (take_request(fd)) atomic_fetch_add(&dying->requests, 1);
        close(fd);
    }
    return NULL;
}

struct raw_dying *raw_dying_start(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    struct raw_dying *dying = calloc(1, sizeof(*dying));

    assert_non_null(dying);
    dying->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(dying->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    assert_int_equal(bind(dying->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(dying->listener, 16), 0);
    assert_int_equal(pthread_create(&dying->thread, NULL, die_again_and_again, dying), 0);
    return dying;
}

int raw_dying_requests(struct raw_dying *dying)
{
    return atomic_load(&dying->requests);
}

void raw_dying_stop(struct raw_dying *dying)
{
    atomic_store(&dying->stopping, true);
    shutdown(dying->listener, SHUT_RDWR);
    pthread_join(dying->thread, NULL);
    close(dying->listener);
    free(dying);
}
