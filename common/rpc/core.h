/* What both sides of this room need of the gRPC core library: events, time, slices, metadata. For this room only; the
 * library's headers are included nowhere else. */
#pragma once

#include "common/rpc/rpc.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/status.h>
#include <stdatomic.h>
#include <stddef.h>

/* Names of metadata, in one place for the sender and the receiver. */
#define TF_MD_IDENTITY    "tf-identity-bin"
#define TF_MD_REQUEST_ID  "tf-request-id"
#define TF_MD_LANGUAGE    "tf-language"
#define TF_MD_ATTEMPT     "tf-attempt"
#define TF_MD_TRACEPARENT "traceparent"
#define TF_MD_DETAILS     "grpc-status-details-bin"
#define TF_MD_NOT_BEGUN   "tf-not-begun" /* trailing: no handler has seen the call, so it may go to another instance */

enum {
    TF_METADATA_BYTES = 16 * 1024,  /* most that a peer may send; error details stay far below */
    TF_KEEPALIVE_MS = 10 * 1000,    /* a client pings an idle connection this often, */
    TF_KEEPALIVE_TIMEOUT_MS = 3000, /* and gives it up when no answer comes; */
    TF_PING_INTERVAL_MS = 5000,     /* a server minds only pings that come faster than this */
};

/* A tag of a completion queue: `fire` runs on the queue's poller thread. */
struct tf_rpc_event {
    void (*fire)(struct tf_rpc_event *event, bool ok);
    _Atomic bool armed;
};
/* The tag, for the library. What was written before is seen by `fire`; the library guarantees that too, but in ways
 * that ThreadSanitizer cannot see. */
static inline void *tf_event_arm(struct tf_rpc_event *event)
{
    atomic_store_explicit(&event->armed, true, memory_order_release);
    return event;
}

/* The struct that an event is a member of. */
#define TF_EVENT_OWNER(event, type, member) ((type *)(void *)((char *)(event)-offsetof(type, member)))

/* Polls until the queue is shut down and empty. Body of a poller thread. */
void *tf_core_poll(void *completion_queue);

/* The library, started with its first user and ended with its last. */
void tf_core_open(void);
void tf_core_close(void);

/* Absolute deadline for the library; left_us INT64_MAX: none. */
gpr_timespec tf_core_deadline(int64_t left_us);
/* Microseconds until a deadline that the library gave, at least 0; INT64_MAX: none. */
int64_t tf_core_left_us(gpr_timespec deadline);

/* Bytes of a received message. slice is to be unreferenced after use when *ret_owned. */
struct tf_core_bytes {
    const void *data;
    size_t size;
    grpc_slice slice;
    bool owned;
};
/* False: cannot be read. buffer must outlive the bytes. */
bool tf_core_bytes_read(grpc_byte_buffer *buffer, struct tf_core_bytes *ret_bytes);
void tf_core_bytes_done(struct tf_core_bytes *bytes);

/* The message as a buffer to send; the caller destroys it. */
grpc_byte_buffer *tf_core_pack(const ProtobufCMessage *message);

/* Value of the first metadata element of that name; NULL: absent. Lives as long as the array. */
const void *tf_core_metadata_find(const grpc_metadata_array *metadata, const char *name, size_t *ret_size);

/* An integer argument of a channel or server. */
grpc_arg tf_core_arg_int(const char *name, int value);
