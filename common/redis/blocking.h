/* The blocking connection's inside, for the stream consumer: several commands at once, and calls that a wake does not
 * interrupt. For this room only. */
#pragma once

#include "common/redis/redis.h"

/* n commands in one go; replies in order, in ctx->arena. interruptible: tf_redis_blocking_wake ends it, from before or
 * during it. */
TF_MUSTCHECK tf_code tf_redis_blocking_run(tf_ctx *ctx, tf_redis_blocking *connection, const tf_redis_cmd *cmds,
                                           size_t n, bool interruptible, tf_redis_reply **replies);
