/* What carries events between services. The relay, the consumers and the janitor know this interface only; behind it
 * are Redis Streams (engine_streams.c) or another engine.
 *
 * What an engine owes: an event that `publish` marked sent stays until every group has had it, or the engine's mark
 * changes; events of one topic and key reach a group in the order of publishing; delivery is at least once. */
#pragma once

#include "common/base/ctx.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tf_engine_message {
    const char *topic;
    int64_t key; /* the aggregate: order is kept within it */
    const void *data;
    size_t size;
    bool sent; /* out */
};

/* Who the engine is. Another generation: it lost everything. Another run of the same generation: it started again, and
 * the last moments before may be lost. */
enum { TF_ENGINE_MARK_MAX = 63 };
struct tf_engine_mark {
    char generation[TF_ENGINE_MARK_MAX + 1], run_id[TF_ENGINE_MARK_MAX + 1];
};

struct tf_engine_delivery {
    const char *id; /* the engine's name of the place */
    const void *data;
    size_t size;
    int deliveries; /* 1: first time, as far as the engine knows */
};
/* Sets acks[i] of those that are done; the others come again after a pause. One call at a time per subscription. */
typedef void (*tf_engine_deliver)(tf_ctx *ctx, const struct tf_engine_delivery *deliveries, size_t n, bool *acks,
                                  void *arg);

struct tf_engine_subscribe {
    const char *topic, *group, *consumer; /* consumer: this instance within the group */
    int batch_max, retry_ms, timeout_ms;
    tf_engine_deliver deliver;
    void *arg;
};

typedef struct tf_engine tf_engine;
typedef struct tf_engine_subscription tf_engine_subscription;

struct tf_engine_ops {
    const char *name; /* key of table relay_engine */
    /* Sends in order per key; sets `sent` of what the engine has for sure. A message whose earlier one of the same key
     * failed is not sent. TF_OK: all were sent; else the first failure's code. */
    tf_code (*publish)(tf_ctx *ctx, tf_engine *engine, struct tf_engine_message *messages, size_t n);
    /* Cheap: may the mark be another than `identify` last gave (a new connection)? */
    bool (*suspect)(tf_engine *engine);
    tf_code (*identify)(tf_ctx *ctx, tf_engine *engine, struct tf_engine_mark *ret_mark);
    /* A thread that delivers; ended by unsubscribe, which lets the delivery under way end. */
    tf_engine_subscription *(*subscribe)(tf_engine *engine, const struct tf_engine_subscribe *subscribe);
    void (*unsubscribe)(tf_engine_subscription *subscription);
    /* Drops from the topic what every group has handled; without groups what is older than retention_s. */
    tf_code (*trim)(tf_ctx *ctx, tf_engine *engine, const char *topic, int64_t retention_s);
    /* Events of the topic that the group has not handled yet; 0 when topic or group do not exist. */
    tf_code (*lag)(tf_ctx *ctx, tf_engine *engine, const char *topic, const char *group, int64_t *ret_lag);
    void (*free)(tf_engine *engine);
};

/* An engine's own struct begins with this. */
struct tf_engine {
    const struct tf_engine_ops *ops;
};

struct tf_redis;
struct tf_redis_config;
/* Redis Streams over the process's shared connection and connections of its own for consumers; both borrowed. */
tf_engine *tf_engine_streams_new(struct tf_redis *redis, const struct tf_redis_config *config);
