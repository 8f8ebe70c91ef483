/* A consumer of one Redis Stream by a consumer group, on a thread of its own: read, handle, acknowledge after the
 * effect.
 *
 * At least once. An entry whose handler fails stays pending and is claimed again (by any instance) after
 * `retry_after_ms`, doubled per delivery up to 60 s; the handler sees the number of deliveries and decides when to park
 * it (then it returns TF_OK). A stream or group that is gone (server lost its data) is made again. */
#pragma once

#include "common/redis/redis.h"

typedef struct tf_stream_consumer tf_stream_consumer;

struct tf_stream_entry {
    const char *id;   /* "1700000000000-0" */
    const char *data; /* field "d" */
    size_t size;
    int deliveries; /* 1: first time */
};

/* Handles up to batch_max entries; sets acks[i] for those that are done. ctx is fresh per batch; its identity is
 * internal. */
typedef void (*tf_stream_handler)(tf_ctx *ctx, const struct tf_stream_entry *entries, size_t n, bool *acks, void *arg);

struct tf_stream_config {
    const struct tf_redis_config *redis;
    const char *stream, *group, *consumer;
    int batch_max; /* 1–500 */
    int retry_after_ms;
    int handler_timeout_ms;
    tf_stream_handler handler;
    void *arg;
    /* False: this group is the stream's only one; an entry is deleted with its acknowledgement. True: other groups read
     * it too; entries stay, and whoever owns the stream trims it. */
    bool shared;
};

tf_stream_consumer *tf_stream_consumer_start(const struct tf_stream_config *config);
/* Finishes the batch under way, leaves what it did not acknowledge to others of the group at once, joins, frees. */
void tf_stream_consumer_stop(tf_stream_consumer *consumer);
