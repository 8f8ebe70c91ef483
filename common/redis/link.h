/* One connection to Redis without a thread: the steps of connecting, greeting, writing and reading, driven by whoever
 * polls. For this room only. One thread at a time.
 *
 *   CLOSED → tf_redis_link_open → RESOLVING → CONNECTING → GREETING (password, function libraries, ping) → READY →
 * BROKEN → tf_redis_link_close */
#pragma once

#include "common/base/resolve.h"
#include "common/redis/redis.h"

enum { TF_REDIS_CAUSE_MAX = 256 };

struct redisReader;

enum tf_redis_link_state {
    TF_REDIS_LINK_CLOSED,
    TF_REDIS_LINK_RESOLVING, /* the host name; passed through at once by a literal address */
    TF_REDIS_LINK_CONNECTING,
    TF_REDIS_LINK_GREETING,
    TF_REDIS_LINK_READY,
    TF_REDIS_LINK_BROKEN, /* `cause` says why; replies read before may still be taken */
};

struct tf_redis_link {
    enum tf_redis_link_state state;
    struct tf_redis_config config; /* strings are ours */
    int fd;                        /* -1: none */
    struct redisReader *reader;
    char host[TF_RESOLVE_HOST_MAX + 1];
    const char *port; /* in config.address */
    struct tf_addresses addresses;
    size_t next_address; /* to try */
    char *out;           /* bytes not yet given to the kernel: [out_from, out_to) */
    size_t out_from, out_to, out_capacity;
    uint64_t queued, written; /* bytes since the connection was made: appended, given to the kernel */
    size_t greeted;           /* replies to the greeting so far */
    int64_t deadline_us;      /* for being READY */
    int64_t step_us;          /* until READY: when tf_redis_link_step is due at the latest */
    char cause[TF_REDIS_CAUSE_MAX];
    bool refused; /* BROKEN: because of the password */
};

/* Copies the config. */
void tf_redis_link_init(struct tf_redis_link *link, const struct tf_redis_config *config);
/* Frees all. */
void tf_redis_link_done(struct tf_redis_link *link);

/* Starts to connect. Afterwards RESOLVING, CONNECTING or BROKEN. */
void tf_redis_link_open(struct tf_redis_link *link);
/* To CLOSED; forgets what was not written and not read. */
void tf_redis_link_close(struct tf_redis_link *link);
/* What to poll for: POLLIN, POLLOUT. */
short tf_redis_link_events(const struct tf_redis_link *link);
/* Goes on after poll; also when step_us has come: looks whether the name is resolved, gives up one of several
 * addresses, or the attempt. */
void tf_redis_link_step(struct tf_redis_link *link, short revents);
/* READY: space for that many bytes at the end of the output; NULL without memory (then BROKEN). */
char *tf_redis_link_room(struct tf_redis_link *link, size_t size);
/* READY: gives the kernel what it takes now. */
void tf_redis_link_flush(struct tf_redis_link *link);
/* The next reply, or NULL. A malformed one breaks the link. The caller frees it. */
tf_redis_reply *tf_redis_link_next(struct tf_redis_link *link);
void tf_redis_link_break(struct tf_redis_link *link, const char *cause);

/* library.c: what each connection says before any user's command. */
size_t tf_redis_greetings(const struct tf_redis_config *config); /* commands, at least one */
size_t tf_redis_greeting_size(const struct tf_redis_config *config);
void tf_redis_greeting_write(const struct tf_redis_config *config, char *to);
/* Judges the reply to the i-th; false: the connection is of no use, and cause says why; *ret_refused: our password is
 * not the server's. */
bool tf_redis_greeting_accepts(const struct tf_redis_config *config, size_t i, const tf_redis_reply *reply,
                               char cause[static TF_REDIS_CAUSE_MAX], bool *ret_refused);
