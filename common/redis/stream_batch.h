/* What a stream's replies say, without a connection: entries, pending lists, waiting times. For this room only. */
#pragma once

#include "common/redis/stream.h"

struct tf_stream_pending {
    const char *id, *consumer;
    int64_t idle_ms;
    int deliveries;
};

/* How long an entry rests after its nth delivery: base, doubled per further delivery, at most a minute. */
int64_t tf_stream_rest_ms(int retry_after_ms, int deliveries);

/* Appends the entries of a list ([id, [field, value, …]] each) to out; stops at max. Malformed or deleted ones (NIL)
 * are left out. Returns the new number. */
size_t tf_stream_entries(const tf_redis_reply *list, int deliveries, struct tf_stream_entry *out, size_t n, size_t max);
/* The list of the first stream in a reply of XREADGROUP; NULL when there is none. */
const tf_redis_reply *tf_stream_read_list(const tf_redis_reply *reply);
/* Rows of XPENDING's long form; at most max. */
size_t tf_stream_pendings(const tf_redis_reply *reply, struct tf_stream_pending *out, size_t max);
