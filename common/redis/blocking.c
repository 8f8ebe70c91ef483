/* A connection of its own for commands that block at the server: the caller's thread drives it, another may wake it. */
#include "common/redis/blocking.h"

#include "common/redis/backoff.h"
#include "common/redis/command.h"
#include "common/redis/link.h"
#include "common/redis/reply.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct tf_redis_blocking {
    struct tf_redis_link link;
    struct tf_redis_backoff backoff;
    int64_t retry_us; /* no attempt to connect before */
    int wake_fd;
};

tf_redis_blocking *tf_redis_blocking_new(const struct tf_redis_config *config)
{
    tf_redis_blocking *connection = calloc(1, sizeof(*connection));

    TF_ASSERT(connection);
    tf_redis_link_init(&connection->link, config);
    tf_redis_backoff_init(&connection->backoff);
    connection->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    TF_ASSERT(connection->wake_fd >= 0);
    return connection;
}

void tf_redis_blocking_free(tf_redis_blocking *connection)
{
    if (!connection) return;
    tf_redis_link_done(&connection->link);
    close(connection->wake_fd);
    free(connection);
}

void tf_redis_blocking_wake(tf_redis_blocking *connection)
{
    uint64_t one = 1;

    (void)!write(connection->wake_fd, &one, sizeof(one)); /* full is as good as written */
}

/* Polls once and lets the link go on. False when woken. */
static bool turn(tf_redis_blocking *connection, bool interruptible, int64_t until_us)
{
    struct pollfd fds[2] = {
        {.fd = connection->link.fd, .events = tf_redis_link_events(&connection->link)},
        {.fd = interruptible ? connection->wake_fd : -1, .events = POLLIN},
    };
    int64_t left = TF_MAX(until_us - tf_mono_us(), 0);
    struct timespec timeout = {left / TF_US_PER_S, left % TF_US_PER_S * 1000};
    uint64_t count;

    if (ppoll(fds, 2, until_us == INT64_MAX ? NULL : &timeout, NULL) < 0) return true; /* EINTR: around again */
    if (fds[1].revents && read(connection->wake_fd, &count, sizeof(count)) > 0) return false;
    tf_redis_link_step(&connection->link, fds[0].revents);
    return true;
}

/* The link is of no use any more: what was said on it is lost. */
static tf_code give_up(tf_ctx *ctx, tf_redis_blocking *connection, tf_code code, const char *cause)
{
    (void)tf_fail(ctx, code, "redis: %s", cause);
    tf_redis_link_close(&connection->link);
    return code;
}

static tf_code connect_link(tf_ctx *ctx, tf_redis_blocking *connection, bool interruptible, int64_t until_us)
{
    struct tf_redis_link *link = &connection->link;

    if (link->state == TF_REDIS_LINK_READY) return TF_OK;
    if (tf_mono_us() < connection->retry_us) return tf_fail(ctx, TF_STORE_DOWN, "redis was away a moment ago");
    tf_redis_link_open(link);
    while (link->state != TF_REDIS_LINK_READY) {
        if (link->state == TF_REDIS_LINK_BROKEN) {
            connection->retry_us = tf_mono_us() + tf_redis_backoff_next_us(&connection->backoff);
            return give_up(ctx, connection, TF_STORE_DOWN, link->cause);
        }
        if (tf_mono_us() >= until_us) return give_up(ctx, connection, TF_STORE_DOWN, "no time left to connect");
        if (!turn(connection, interruptible, TF_MIN(until_us, link->step_us)))
            return give_up(ctx, connection, TF_STORE_DOWN, "woken while connecting");
    }
    tf_redis_backoff_clear(&connection->backoff);
    return TF_OK;
}

static tf_code collect(tf_ctx *ctx, tf_redis_blocking *connection, size_t n, bool interruptible, int64_t until_us,
                       tf_redis_reply **replies)
{
    struct tf_redis_link *link = &connection->link;

    for (size_t i = 0; i < n;) {
        tf_redis_reply *reply = tf_redis_link_next(link);

        if (reply) {
            replies[i] = tf_redis_reply_copy(ctx->arena, reply);
            tf_redis_reply_free(reply);
            if (!replies[i])
                return give_up(ctx, connection, TF_INTERNAL, "a reply does not fit into the request's memory");
            i++;
            continue;
        }
        if (link->state == TF_REDIS_LINK_BROKEN) /* nothing written: nothing happened */
            return give_up(ctx, connection, link->written ? TF_UNKNOWN_OUTCOME : TF_STORE_DOWN, link->cause);
        if (tf_mono_us() >= until_us) return give_up(ctx, connection, TF_UNKNOWN_OUTCOME, "no answer in time");
        if (!turn(connection, interruptible, until_us))
            return give_up(ctx, connection, TF_STORE_DOWN, "woken while waiting");
    }
    return TF_OK;
}

tf_code tf_redis_blocking_run(tf_ctx *ctx, tf_redis_blocking *connection, const tf_redis_cmd *cmds, size_t n,
                              bool interruptible, tf_redis_reply **replies)
{
    int64_t left = tf_ctx_left_us(ctx), until;
    tf_code code;

    if (__builtin_add_overflow(tf_mono_us(), left, &until)) until = INT64_MAX;
    code = tf_ctx_check(ctx);
    if (code) return code;
    for (size_t i = 0; i < n; i++) {
        if (cmds[i].broken) return tf_fail(ctx, TF_INTERNAL, "redis: a command does not fit into the request's memory");
        TF_ASSERT(cmds[i].n > 0);
    }
    /* A connection that was closed while it lay idle is noticed here, before anything is written. */
    if (connection->link.state == TF_REDIS_LINK_READY) (void)turn(connection, false, 0);
    if (connection->link.state == TF_REDIS_LINK_BROKEN) tf_redis_link_close(&connection->link);
    code = connect_link(ctx, connection, interruptible, until);
    if (code) return code;

    connection->link.written = 0; /* of this call */
    for (size_t i = 0; i < n; i++) {
        char *to = tf_redis_link_room(&connection->link, tf_redis_wire_size(&cmds[i]));

        if (!to) return give_up(ctx, connection, TF_STORE_DOWN, connection->link.cause);
        tf_redis_wire_write(&cmds[i], to);
    }
    tf_redis_link_flush(&connection->link);
    return collect(ctx, connection, n, interruptible, until, replies);
}

tf_code tf_redis_blocking_call(tf_ctx *ctx, tf_redis_blocking *connection, const tf_redis_cmd *cmd,
                               tf_redis_reply **ret_reply)
{
    tf_redis_reply *reply;
    tf_code code = tf_redis_blocking_run(ctx, connection, cmd, 1, true, &reply);

    if (code) return code;
    *ret_reply = reply;
    return TF_OK;
}
