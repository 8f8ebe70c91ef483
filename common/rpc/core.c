/* Life and small conversions of the gRPC core library. */
#include "common/rpc/core.h"

#include "common/base/log.h"

#include <grpc/support/log.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

/* The library's own words belong into our log, and never above a warning: what matters is reported by the call. */
static void log_line(gpr_log_func_args *args)
{
    tf_log(args->severity == GPR_LOG_SEVERITY_ERROR ? TF_LOG_WARN : TF_LOG_DEBUG, "grpc", "cause", args->message, NULL);
}

static void set_log(void)
{
    gpr_set_log_function(log_line);
}

void tf_core_open(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, set_log);
    grpc_init();
}

void tf_core_close(void)
{
    grpc_shutdown();
}

void *tf_core_poll(void *completion_queue)
{
    for (;;) {
        grpc_event event = grpc_completion_queue_next(completion_queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        struct tf_rpc_event *tag = event.tag;

        if (event.type == GRPC_QUEUE_SHUTDOWN) return NULL;
        if (event.type != GRPC_OP_COMPLETE) continue;
        TF_ASSERT(atomic_load_explicit(&tag->armed, memory_order_acquire));
        tag->fire(tag, event.success != 0);
    }
}

gpr_timespec tf_core_deadline(int64_t left_us)
{
    if (left_us == INT64_MAX) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(left_us, GPR_TIMESPAN));
}

int64_t tf_core_left_us(gpr_timespec deadline)
{
    enum { FAR_S = 365 * 24 * 3600 }; /* the library's "never" and what might as well be */
    gpr_timespec left =
        gpr_time_sub(gpr_convert_clock_type(deadline, GPR_CLOCK_MONOTONIC), gpr_now(GPR_CLOCK_MONOTONIC));

    if (left.tv_sec >= FAR_S) return INT64_MAX;
    if (left.tv_sec < 0) return 0;
    return left.tv_sec * TF_US_PER_S + left.tv_nsec / 1000;
}

bool tf_core_bytes_read(grpc_byte_buffer *buffer, struct tf_core_bytes *ret_bytes)
{
    grpc_byte_buffer_reader reader;

    *ret_bytes = (struct tf_core_bytes){.data = "", .size = 0};
    if (!buffer) return false;
    if (buffer->type == GRPC_BB_RAW && buffer->data.raw.compression == GRPC_COMPRESS_NONE &&
        buffer->data.raw.slice_buffer.count == 1) {
        const grpc_slice *slice = &buffer->data.raw.slice_buffer.slices[0];

        ret_bytes->data = GRPC_SLICE_START_PTR(*slice);
        ret_bytes->size = GRPC_SLICE_LENGTH(*slice);
        return true;
    }
    if (grpc_byte_buffer_length(buffer) == 0) return true;
    if (!grpc_byte_buffer_reader_init(&reader, buffer)) return false;
    ret_bytes->slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    ret_bytes->owned = true;
    ret_bytes->data = GRPC_SLICE_START_PTR(ret_bytes->slice);
    ret_bytes->size = GRPC_SLICE_LENGTH(ret_bytes->slice);
    return true;
}

void tf_core_bytes_done(struct tf_core_bytes *bytes)
{
    if (bytes->owned) grpc_slice_unref(bytes->slice);
    *bytes = (struct tf_core_bytes){.data = "", .size = 0};
}

grpc_byte_buffer *tf_core_pack(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    grpc_slice slice = grpc_slice_malloc(size);
    grpc_byte_buffer *buffer;

    TF_ASSERT(protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice)) == size);
    buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

const void *tf_core_metadata_find(const grpc_metadata_array *metadata, const char *name, size_t *ret_size)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < metadata->count; i++) {
        const grpc_metadata *element = &metadata->metadata[i];

        if (GRPC_SLICE_LENGTH(element->key) != length || memcmp(GRPC_SLICE_START_PTR(element->key), name, length) != 0)
            continue;
        *ret_size = GRPC_SLICE_LENGTH(element->value);
        return GRPC_SLICE_START_PTR(element->value);
    }
    return NULL;
}

grpc_arg tf_core_arg_int(const char *name, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)name, .value.integer = value};
}
