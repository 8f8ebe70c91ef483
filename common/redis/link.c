/* A connection's steps: resolve, connect to each address in turn, greet, then write and read; none of them blocks. */
#include "common/redis/link.h"

#include "common/base/clock.h"
#include "common/redis/reply.h"

#include <hiredis/hiredis.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 * 1024,
    OUT_KEEP_BYTES = 256 * 1024,         /* a buffer that grew beyond is given back when it is empty */
    RESOLVE_LOOK_US = 10 * TF_US_PER_MS, /* how often a name that is being resolved is asked for */
};

/* ---- the reader's objects: our replies ------------------------------------------------------------------------- */

/* hiredis asks for an object per reply and expects it to be hung into its parent. */
static void *hang(const redisReadTask *task, tf_redis_reply *reply)
{
    if (reply && task->parent) ((tf_redis_reply *)task->parent->obj)->items[task->idx] = reply;
    return reply;
}

static void *make_text(const redisReadTask *task, char *text, size_t size)
{
    static const enum tf_redis_type types[] = {
        [REDIS_REPLY_STRING] = TF_REDIS_STRING,
        [REDIS_REPLY_STATUS] = TF_REDIS_STATUS,
        [REDIS_REPLY_ERROR] = TF_REDIS_ERROR,
    };

    return hang(task, tf_redis_reply_text(types[task->type], text, size));
}

static void *make_array(const redisReadTask *task, int n)
{
    return hang(task, tf_redis_reply_array((size_t)n));
}

static void *make_integer(const redisReadTask *task, long long value)
{
    return hang(task, tf_redis_reply_new(TF_REDIS_INT, value));
}

static void *make_nil(const redisReadTask *task)
{
    return hang(task, tf_redis_reply_new(TF_REDIS_NIL, 0));
}

static void free_reply(void *reply)
{
    tf_redis_reply_free(reply);
}

static redisReplyObjectFunctions objects = {make_text, make_array, make_integer, make_nil, free_reply};

/* ---- life ------------------------------------------------------------------------------------------------------ */

static char *copy_of(const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    TF_ASSERT(!text || copy); /* at start-up */
    return copy;
}

void tf_redis_link_init(struct tf_redis_link *link, const struct tf_redis_config *config)
{
    TF_ASSERT(config->address && config->connect_timeout_ms > 0);
    *link = (struct tf_redis_link){.state = TF_REDIS_LINK_CLOSED, .config = *config, .fd = -1};
    link->config.address = copy_of(config->address);
    link->config.password = copy_of(config->password);
}

static void close_socket(struct tf_redis_link *link)
{
    if (link->fd >= 0) close(link->fd);
    link->fd = -1;
}

void tf_redis_link_close(struct tf_redis_link *link)
{
    close_socket(link);
    if (link->reader) redisReaderFree(link->reader);
    link->reader = NULL;
    link->out_from = link->out_to = 0;
    link->queued = link->written = 0;
    link->greeted = 0;
    link->state = TF_REDIS_LINK_CLOSED;
}

void tf_redis_link_done(struct tf_redis_link *link)
{
    tf_redis_link_close(link);
    free(link->out);
    free((char *)link->config.address);
    free((char *)link->config.password);
    *link = (struct tf_redis_link){.fd = -1};
}

/* The first cause is the true one. */
void tf_redis_link_break(struct tf_redis_link *link, const char *cause)
{
    if (link->state == TF_REDIS_LINK_BROKEN) return;
    link->state = TF_REDIS_LINK_BROKEN;
    close_socket(link);
    if (cause != link->cause) snprintf(link->cause, sizeof(link->cause), "%s", cause);
}

/* ---- connecting ------------------------------------------------------------------------------------------------ */

/* "host:port", "[::1]:6379". */
static bool split(struct tf_redis_link *link)
{
    const char *address = link->config.address, *colon = strrchr(address, ':');
    size_t n;

    if (!colon || colon == address || !colon[1]) return false;
    n = (size_t)(colon - address);
    if (address[0] == '[' && n >= 2 && colon[-1] == ']') {
        address++;
        n -= 2;
    }
    if (n >= sizeof(link->host)) return false;
    memcpy(link->host, address, n);
    link->host[n] = '\0';
    link->port = colon + 1;
    return true;
}

static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value)); /* an improvement, not a condition */
}

/* An equal part of the time left for each address from `next` on: one that swallows packets leaves some to the others.
 */
static int64_t share_us(const struct tf_redis_link *link)
{
    int64_t left = link->deadline_us - tf_mono_us();

    return TF_MAX(left, 0) / (int64_t)(link->addresses.n - link->next_address);
}

/* Starts to connect; the code of errno. */
static int connect_to(struct tf_redis_link *link, const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *to;
    int error = 0;

    if (getaddrinfo(address, link->port, &hints, &to)) return EINVAL; /* numeric: asks nobody */
    link->fd = socket(to->ai_family, to->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, to->ai_protocol);
    if (link->fd < 0) {
        error = errno;
    } else {
        set_option(link->fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_option(link->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_option(link->fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
        set_option(link->fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
        set_option(link->fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
        if (connect(link->fd, to->ai_addr, to->ai_addrlen) < 0 && errno != EINPROGRESS) error = errno;
    }
    freeaddrinfo(to);
    return error;
}

/* Starts with the next address that lets itself be tried; BROKEN after the last. error: of the address before, 0: none.
 */
static void try_next(struct tf_redis_link *link, int error)
{
    while (link->next_address < link->addresses.n) {
        close_socket(link);
        link->step_us = tf_mono_us() + share_us(link);
        error = connect_to(link, link->addresses.text[link->next_address++]);
        if (error) continue;
        link->state = TF_REDIS_LINK_CONNECTING;
        return;
    }
    snprintf(link->cause, sizeof(link->cause), "%s: %s", link->config.address, error ? strerror(error) : "no address");
    tf_redis_link_break(link, link->cause);
}

/* Never waits: the search goes on elsewhere, and is asked for again until the attempt's time is over. */
static void resolve(struct tf_redis_link *link)
{
    int64_t now = tf_mono_us();
    tf_code code = tf_resolve_wait(link->host, 0, &link->addresses);

    link->next_address = 0;
    if (code == TF_OK) {
        try_next(link, 0);
    } else if (code == TF_DEADLINE && now < link->deadline_us) {
        link->step_us = TF_MIN(now + RESOLVE_LOOK_US, link->deadline_us);
    } else {
        snprintf(link->cause, sizeof(link->cause), "%s: the host name is not resolved: %s", link->config.address,
                 tf_code_info(code)->reason);
        tf_redis_link_break(link, link->cause);
    }
}

void tf_redis_link_open(struct tf_redis_link *link)
{
    TF_ASSERT(link->state == TF_REDIS_LINK_CLOSED);
    link->cause[0] = '\0';
    link->refused = false;
    link->deadline_us = tf_mono_us() + (int64_t)link->config.connect_timeout_ms * TF_US_PER_MS;
    if (!split(link)) {
        tf_redis_link_break(link, "the address is not host:port");
        return;
    }
    link->reader = redisReaderCreateWithFunctions(&objects);
    if (!link->reader) {
        tf_redis_link_break(link, "no memory");
        return;
    }
    link->state = TF_REDIS_LINK_RESOLVING;
    resolve(link);
}

static void greet(struct tf_redis_link *link)
{
    size_t size = tf_redis_greeting_size(&link->config);
    char *to;

    link->state = TF_REDIS_LINK_GREETING;
    link->step_us = link->deadline_us;
    to = tf_redis_link_room(link, size);
    if (!to) return;
    tf_redis_greeting_write(&link->config, to);
    tf_redis_link_flush(link);
}

static void finish_connecting(struct tf_redis_link *link)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
    if (error)
        try_next(link, error);
    else
        greet(link);
}

static void hear_greeting(struct tf_redis_link *link)
{
    while (link->state == TF_REDIS_LINK_GREETING) {
        tf_redis_reply *reply = tf_redis_link_next(link);
        bool accepted;

        if (!reply) return;
        accepted = tf_redis_greeting_accepts(&link->config, link->greeted, reply, link->cause, &link->refused);
        tf_redis_reply_free(reply);
        if (!accepted)
            tf_redis_link_break(link, link->cause);
        else if (++link->greeted == tf_redis_greetings(&link->config))
            link->state = TF_REDIS_LINK_READY;
    }
}

/* ---- writing and reading --------------------------------------------------------------------------------------- */

char *tf_redis_link_room(struct tf_redis_link *link, size_t size)
{
    char *at;

    if (link->out_capacity - link->out_to < size) {
        size_t pending = link->out_to - link->out_from;

        if (link->out_from) memmove(link->out, link->out + link->out_from, pending);
        link->out_from = 0;
        link->out_to = pending;
        if (link->out_capacity - pending < size) {
            size_t capacity = TF_MAX(pending + size, (size_t)OUT_KEEP_BYTES);
            char *out = realloc(link->out, capacity);

            if (!out) {
                tf_redis_link_break(link, "no memory");
                return NULL;
            }
            link->out = out;
            link->out_capacity = capacity;
        }
    }
    at = link->out + link->out_to;
    link->out_to += size;
    link->queued += size;
    return at;
}

void tf_redis_link_flush(struct tf_redis_link *link)
{
    while (link->out_from < link->out_to) {
        ssize_t n = send(link->fd, link->out + link->out_from, link->out_to - link->out_from, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) {
            tf_redis_link_break(link, strerror(errno));
            return;
        }
        link->out_from += (size_t)n;
        link->written += (uint64_t)n;
    }
    link->out_from = link->out_to = 0;
    if (link->out_capacity > OUT_KEEP_BYTES) {
        free(TF_TAKE(link->out));
        link->out_capacity = 0;
    }
}

/* One helping; poll says whether there is more. */
static void read_some(struct tf_redis_link *link)
{
    char bytes[READ_BYTES];
    ssize_t n = recv(link->fd, bytes, sizeof(bytes), 0);

    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n < 0)
        tf_redis_link_break(link, strerror(errno));
    else if (n == 0)
        tf_redis_link_break(link, "closed by the server");
    else if (redisReaderFeed(link->reader, bytes, (size_t)n) != REDIS_OK)
        tf_redis_link_break(link, link->reader->errstr);
}

tf_redis_reply *tf_redis_link_next(struct tf_redis_link *link)
{
    void *reply = NULL;

    if (!link->reader) return NULL;
    if (redisReaderGetReply(link->reader, &reply) == REDIS_OK) return reply;
    if (link->state != TF_REDIS_LINK_BROKEN) tf_redis_link_break(link, link->reader->errstr);
    return NULL;
}

short tf_redis_link_events(const struct tf_redis_link *link)
{
    switch (link->state) {
    case TF_REDIS_LINK_CONNECTING:
        return POLLOUT;
    case TF_REDIS_LINK_GREETING:
    case TF_REDIS_LINK_READY:
        return (short)(POLLIN | (link->out_from < link->out_to ? POLLOUT : 0));
    default:
        return 0;
    }
}

static void step_is_due(struct tf_redis_link *link)
{
    switch (link->state) {
    case TF_REDIS_LINK_RESOLVING:
        resolve(link);
        break;
    case TF_REDIS_LINK_CONNECTING:
        if (link->next_address < link->addresses.n)
            try_next(link, ETIMEDOUT);
        else
            tf_redis_link_break(link, "the server does not accept the connection");
        break;
    case TF_REDIS_LINK_GREETING:
        tf_redis_link_break(link, "the server accepts the connection but does not answer");
        break;
    default:
        break;
    }
}

void tf_redis_link_step(struct tf_redis_link *link, short revents)
{
    if (link->state == TF_REDIS_LINK_CONNECTING && revents) finish_connecting(link);
    if (link->state == TF_REDIS_LINK_GREETING || link->state == TF_REDIS_LINK_READY) {
        if (revents & (POLLIN | POLLHUP | POLLERR)) read_some(link); /* before a write meets the same end */
        if (link->fd >= 0 && revents & POLLOUT) tf_redis_link_flush(link);
    }
    hear_greeting(link);
    if (link->state < TF_REDIS_LINK_READY && tf_mono_us() >= link->step_us) step_is_due(link);
}
