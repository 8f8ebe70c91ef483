/* Redis over hiredis: one auto-pipelining connection per process shared by all threads (the mux).
 *
 * Callers queue commands; one thread writes what has queued in one go and hands the replies back. The connection layer
 * never re-sends a command by itself: a command that was written and not answered is TF_UNKNOWN_OUTCOME, one that was
 * not written TF_STORE_DOWN. Reconnects with jittered backoff (100 ms to 2 s); while the server is away commands fail
 * at once. */
#pragma once

#include "common/base/ctx.h"
#include "common/base/embedded.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tf_redis tf_redis;

struct tf_redis_config {
    const char *address;  /* "127.0.0.1:6379" */
    const char *password; /* or NULL */
    int connect_timeout_ms;
    int queue_max; /* commands waiting or in flight; beyond, or beyond 64 MB of them: TF_OVERLOADED */
    /* Function libraries loaded on every (re)connection with plain FUNCTION LOAD ("already exists" is fine); the
     * library's name carries its version. */
    const struct tf_embedded *libraries;
};

/* Starts the thread; connects in the background. */
tf_redis *tf_redis_new(const struct tf_redis_config *config);
void tf_redis_free(tf_redis *redis);
bool tf_redis_up(tf_redis *redis);
/* Why the connection is not there: the sentence of the last attempt, cut to size bytes; "" while none has failed since
 * it was there. True when the server refuses our password (wrong, missing, or none expected): waiting does not mend
 * that. Any thread. */
bool tf_redis_cause(tf_redis *redis, char *ret_cause, size_t size);
/* Changes with every new connection (0: never connected): who must notice a restart compares it. */
uint64_t tf_redis_connection(tf_redis *redis);
/* Drops the connection and connects anew (resolve again). */
void tf_redis_reconnect(tf_redis *redis);

enum tf_redis_type { TF_REDIS_NIL, TF_REDIS_INT, TF_REDIS_STRING, TF_REDIS_STATUS, TF_REDIS_ERROR, TF_REDIS_ARRAY };

typedef struct tf_redis_reply tf_redis_reply;
struct tf_redis_reply {
    enum tf_redis_type type;
    int64_t integer;
    const char *text; /* STRING, STATUS, ERROR; NUL-terminated copy, may contain NULs */
    size_t size;
    tf_redis_reply **items; /* ARRAY */
    size_t n_items;
};

/* A command under construction: binary-safe arguments, copied. */
typedef struct tf_redis_cmd {
    tf_ctx *ctx;
    const char **args;
    size_t *sizes;
    size_t n, capacity;
    bool broken;
} tf_redis_cmd;

void tf_redis_cmd_init(tf_redis_cmd *cmd, tf_ctx *ctx);
void tf_redis_arg(tf_redis_cmd *cmd, const char *text);
void tf_redis_arg_bytes(tf_redis_cmd *cmd, const void *data, size_t size);
void tf_redis_arg_int(tf_redis_cmd *cmd, int64_t value);
void tf_redis_arg_printf(tf_redis_cmd *cmd, const char *format, ...) TF_PRINTF(2, 3);

/* Sends the command and waits for the reply or the deadline. An error reply is a reply (type ERROR), not a failure of
 * the call. The reply lives in ctx->arena. Codes: TF_STORE_DOWN (not sent), TF_UNKNOWN_OUTCOME (sent, not answered),
 * TF_OVERLOADED, TF_DEADLINE (it had passed before: not sent), TF_INTERNAL (command or reply does not fit into the
 * arena). */
TF_MUSTCHECK tf_code tf_redis_call(tf_ctx *ctx, tf_redis *redis, const tf_redis_cmd *cmd, tf_redis_reply **ret_reply);
/* n commands in one go; replies in order. Codes as above, of the first that failed. */
TF_MUSTCHECK tf_code tf_redis_pipeline(tf_ctx *ctx, tf_redis *redis, const tf_redis_cmd *cmds, size_t n,
                                       tf_redis_reply ***ret_replies);
/* printf-less shorthand: arguments are strings, ended by NULL. */
TF_MUSTCHECK tf_code tf_redis_do(tf_ctx *ctx, tf_redis *redis, tf_redis_reply **ret_reply, ...)
    __attribute__((sentinel));

/* Asynchronous form: `done` runs on the mux thread (must not block); reply is borrowed for the call's time, NULL on
 * failure. The arguments are copied. Always told, once, at the deadline (monotonic) at the latest. */
typedef void (*tf_redis_done)(tf_code code, const tf_redis_reply *reply, void *arg);
void tf_redis_start(tf_redis *redis, const tf_redis_cmd *cmd, int64_t deadline_us, tf_redis_done done, void *arg);

/* A connection of its own for commands that block (XREADGROUP … BLOCK); same codes. Connects at the first call. The
 * ctx's deadline bounds the wait: it lies beyond the server's BLOCK. One thread at a time, tf_redis_blocking_wake
 * apart. */
typedef struct tf_redis_blocking tf_redis_blocking;
tf_redis_blocking *tf_redis_blocking_new(const struct tf_redis_config *config);
void tf_redis_blocking_free(tf_redis_blocking *connection);
TF_MUSTCHECK tf_code tf_redis_blocking_call(tf_ctx *ctx, tf_redis_blocking *connection, const tf_redis_cmd *cmd,
                                            tf_redis_reply **ret_reply);
/* From another thread: the call under way, else the next one, returns soon with TF_STORE_DOWN (shutdown). */
void tf_redis_blocking_wake(tf_redis_blocking *connection);
