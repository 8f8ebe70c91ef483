/* The mux: callers put flights (one command or several) into a queue; one thread writes all that has queued in one go,
 * reads, and hands replies back in order.
 *
 * A flight belongs to two: its caller, who waits on its state (a futex word), and the thread. Whoever gives up first
 * marks it; the last one frees it. A reply is built on the heap by the thread and copied into the arena by the caller,
 * so that no arena is touched by two. */
#include "common/redis/backoff.h"
#include "common/redis/flight.h"
#include "common/redis/link.h"
#include "common/redis/reply.h"

#include "common/base/log.h"
#include "common/base/metrics.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    SILENCE_US = 5 * TF_US_PER_S,          /* commands wait and nothing comes: the connection is dead */
    OUT_BYTES_MAX = 256 * 1024,            /* unsent bytes beyond which flights stay in the queue */
    RECONNECT_AGE_US = 100 * TF_US_PER_MS, /* a connection younger than this is as new as anyone can ask for */
    DO_ARGS_MAX = 64,
    QUEUE_BYTES_MAX = 64 * 1024 * 1024, /* of commands queued or in flight, beside a single larger one */
};

static tf_counter commands_total =
    TF_COUNTER("tf_redis_commands_total", "Commands given to the shared connection", NULL);
static tf_counter failures_total = TF_COUNTER("tf_redis_failures_total", "Calls without a reply, by reason", "reason");
static tf_counter connections_total = TF_COUNTER("tf_redis_connections_total", "Connections that became ready", NULL);
static tf_counter writes_total = TF_COUNTER("tf_redis_batches_total", "Batches of commands written in one go", NULL);
static tf_histogram call_seconds = TF_HISTOGRAM("tf_redis_call_seconds", "Calls that waited for their reply", NULL);
static tf_gauge up_gauge = TF_GAUGE("tf_redis_up", "1 when the shared connection is ready", NULL);

struct tf_redis {
    pthread_t thread;
    int wake_fd; /* written only while the thread sleeps */
    size_t queue_max;
    _Atomic size_t commands, bytes; /* queued or in flight */
    _Atomic bool up;
    _Atomic uint64_t connection;

    _Atomic bool sleeping; /* true only from a look at the queue under the lock until poll returns */

    pthread_mutex_t lock; /* protects the next eight */
    struct tf_redis_flights queue;
    struct tf_redis_flights refused; /* asynchronous ones whose failure the thread must tell */
    int64_t queue_deadline_us;       /* not after the nearest deadline of an asynchronous flight in `queue` */
    bool accepting;                  /* false while the last attempt to connect has failed */
    bool stopping, reconnect;
    char cause[TF_REDIS_CAUSE_MAX]; /* of the last break */
    bool password_refused;          /* then, too */

    /* The thread's own. */
    struct tf_redis_link link;
    struct tf_redis_backoff backoff;
    struct tf_redis_flights sent; /* in the order of their replies */
    int64_t retry_us;             /* CLOSED: when to connect */
    int64_t ready_us;             /* since when this connection is ready */
    int64_t heard_us;             /* last reply, or when the first of `sent` was written */
    int64_t async_deadline_us;    /* not after the nearest deadline of an asynchronous flight in `sent`, or `queue` when
                                     last seen */
    bool silent;                  /* the link was broken because it said nothing */
    bool complained;              /* the log knows that the server is away */
};

/* ---- flights --------------------------------------------------------------------------------------------------- */

/* False: as much waits as may. */
static bool take_room(tf_redis *redis, const struct tf_redis_flight *flight)
{
    size_t commands = atomic_fetch_add(&redis->commands, flight->n) + flight->n;
    size_t before = atomic_fetch_add(&redis->bytes, flight->size);

    return commands <= redis->queue_max && (!before || before + flight->size <= QUEUE_BYTES_MAX);
}

static void give_room(tf_redis *redis, const struct tf_redis_flight *flight)
{
    atomic_fetch_sub(&redis->commands, flight->n);
    atomic_fetch_sub(&redis->bytes, flight->size);
}

/* The thread is done with it. An asynchronous one is told unless it was told at its deadline. */
static void flight_finish(tf_redis *redis, struct tf_redis_flight *flight, tf_code code)
{
    give_room(redis, flight);
    flight->code = code;
    if (atomic_exchange(&flight->state, TF_REDIS_DONE) != TF_REDIS_LEFT) {
        if (flight->done)
            flight->done(code, code ? NULL : flight->replies[0], flight->arg);
        else
            tf_redis_futex_wake(&flight->state);
    }
    tf_redis_flight_unref(flight);
}

/* Of a flight that the link took: from its first unanswered command on. */
static tf_code fate(const tf_redis *redis, const struct tf_redis_flight *flight)
{
    return flight->starts[flight->answered] < redis->link.written ? TF_UNKNOWN_OUTCOME : TF_STORE_DOWN;
}

/* ---- the thread ------------------------------------------------------------------------------------------------ */

static void set_up(tf_redis *redis, bool up)
{
    atomic_store(&redis->up, up);
    tf_gauge_set(&up_gauge, up);
}

static void accept_flights(tf_redis *redis, bool accepting)
{
    struct tf_redis_flights failed;

    tf_redis_flights_init(&failed);
    pthread_mutex_lock(&redis->lock);
    redis->accepting = accepting;
    if (!accepting) tf_redis_flights_move(&failed, &redis->queue);
    pthread_mutex_unlock(&redis->lock);
    for (struct tf_redis_flight *flight; (flight = tf_redis_flights_pop(&failed));)
        flight_finish(redis, flight, TF_STORE_DOWN);
}

static void set_cause(tf_redis *redis, const char *cause, bool refused)
{
    pthread_mutex_lock(&redis->lock);
    snprintf(redis->cause, sizeof(redis->cause), "%s", cause);
    redis->password_refused = refused;
    pthread_mutex_unlock(&redis->lock);
}

/* Ends the connection: what was written is unknown, what was not has not happened. */
static void drop(tf_redis *redis)
{
    set_up(redis, false);
    for (struct tf_redis_flight *flight; (flight = tf_redis_flights_pop(&redis->sent));)
        flight_finish(redis, flight, fate(redis, flight));
    redis->async_deadline_us = INT64_MAX;
    tf_redis_link_close(&redis->link);
}

/* The link is BROKEN. A connection that worked is followed by another attempt at once, during which callers may queue.
 */
static void handle_break(tf_redis *redis)
{
    bool worked = redis->ready_us != 0 && !redis->silent;

    if (worked || !redis->complained)
        tf_log(TF_LOG_WARN, worked ? "redis connection lost" : "redis is away", "address", redis->link.config.address,
               "cause", redis->link.cause, NULL);
    redis->complained = !worked; /* once per absence */
    set_cause(redis, redis->link.cause, redis->link.refused);
    redis->silent = false;
    redis->ready_us = 0;
    drop(redis);
    redis->retry_us = worked ? 0 : tf_mono_us() + tf_redis_backoff_next_us(&redis->backoff);
    accept_flights(redis, worked);
}

static void handle_ready(tf_redis *redis)
{
    redis->ready_us = redis->heard_us = tf_mono_us();
    redis->complained = false;
    tf_redis_backoff_clear(&redis->backoff);
    atomic_fetch_add(&redis->connection, 1);
    tf_counter_add(&connections_total, 1);
    set_cause(redis, "", false);
    set_up(redis, true);
    accept_flights(redis, true);
    tf_log(TF_LOG_INFO, "redis connected", "address", redis->link.config.address, NULL);
}

static void hand_back(tf_redis *redis)
{
    int64_t now = tf_mono_us();
    tf_redis_reply *reply;

    while ((reply = tf_redis_link_next(&redis->link))) {
        struct tf_redis_flight *flight = redis->sent.head;

        redis->heard_us = now;
        if (!flight) { /* Redis speaks only when spoken to: we are out of step */
            tf_redis_reply_free(reply);
            tf_redis_link_break(&redis->link, "a reply without a command");
            return;
        }
        flight->replies[flight->answered++] = reply;
        if (flight->answered == flight->n) flight_finish(redis, tf_redis_flights_pop(&redis->sent), TF_OK);
    }
}

/* Tells asynchronous flights whose time is up; their replies are dropped when they come. */
static void expire(tf_redis *redis, int64_t now)
{
    if (now < redis->async_deadline_us) return;
    redis->async_deadline_us = INT64_MAX;
    for (struct tf_redis_flight *flight = redis->sent.head; flight; flight = flight->next) {
        if (!flight->done || atomic_load(&flight->state) != TF_REDIS_TAKEN) continue;
        if (now >= flight->deadline_us) {
            atomic_store(&flight->state, TF_REDIS_LEFT);
            flight->done(TF_UNKNOWN_OUTCOME, NULL, flight->arg);
        } else {
            redis->async_deadline_us = TF_MIN(redis->async_deadline_us, flight->deadline_us);
        }
    }
}

/* The caller may have left in the meantime; an asynchronous one may be late already. */
static void put_aboard(tf_redis *redis, struct tf_redis_flight *flight, int64_t now)
{
    uint32_t queued = TF_REDIS_QUEUED;
    uint64_t base = redis->link.queued;
    char *to;

    if (!atomic_compare_exchange_strong(&flight->state, &queued, TF_REDIS_TAKEN)) {
        flight_finish(redis, flight, TF_STORE_DOWN);
        return;
    }
    if (flight->done && now >= flight->deadline_us) {
        flight_finish(redis, flight, TF_STORE_DOWN);
        return;
    }
    to = tf_redis_link_room(&redis->link, flight->size);
    if (!to) {
        flight_finish(redis, flight, TF_STORE_DOWN);
        return;
    }
    memcpy(to, flight->bytes, flight->size);
    for (size_t i = 0; i < flight->n; i++)
        flight->starts[i] += base;
    if (!redis->sent.head) redis->heard_us = now;
    if (flight->done) redis->async_deadline_us = TF_MIN(redis->async_deadline_us, flight->deadline_us);
    tf_redis_flights_push(&redis->sent, flight);
}

/* The link cannot take the queue now: unlinks asynchronous flights whose time is up. Under the lock. */
static void expire_queue(tf_redis *redis, struct tf_redis_flights *late, int64_t now)
{
    struct tf_redis_flights stay;

    if (now < redis->queue_deadline_us) return;
    tf_redis_flights_init(&stay);
    redis->queue_deadline_us = INT64_MAX;
    for (struct tf_redis_flight *flight; (flight = tf_redis_flights_pop(&redis->queue));) {
        bool is_late = flight->done && now >= flight->deadline_us;

        if (flight->done && !is_late) redis->queue_deadline_us = TF_MIN(redis->queue_deadline_us, flight->deadline_us);
        tf_redis_flights_push(is_late ? late : &stay, flight);
    }
    tf_redis_flights_move(&redis->queue, &stay);
}

/* Moves what has queued onto the wire and tells the refused. Returns false when the thread may sleep (and says so to
 * callers). */
static bool take_work(tf_redis *redis, bool *ret_stop)
{
    struct tf_redis_link *link = &redis->link;
    bool can_write = link->state == TF_REDIS_LINK_READY && link->out_to - link->out_from < OUT_BYTES_MAX;
    struct tf_redis_flights work, refused, late;
    int64_t now = tf_mono_us();
    bool reconnect, idle;

    tf_redis_flights_init(&work);
    tf_redis_flights_init(&refused);
    tf_redis_flights_init(&late);
    pthread_mutex_lock(&redis->lock);
    *ret_stop = redis->stopping;
    reconnect = redis->reconnect;
    redis->reconnect = false;
    tf_redis_flights_move(&refused, &redis->refused);
    if (can_write) {
        tf_redis_flights_move(&work, &redis->queue);
        redis->queue_deadline_us = INT64_MAX;
    } else {
        expire_queue(redis, &late, now);
        redis->async_deadline_us = TF_MIN(redis->async_deadline_us, redis->queue_deadline_us);
    }
    idle = !*ret_stop && !reconnect && !work.head && !refused.head;
    atomic_store(&redis->sleeping, idle);
    pthread_mutex_unlock(&redis->lock);

    for (struct tf_redis_flight *flight; (flight = tf_redis_flights_pop(&refused));)
        flight_finish(redis, flight, flight->code);
    for (struct tf_redis_flight *flight; (flight = tf_redis_flights_pop(&late));)
        flight_finish(redis, flight, TF_STORE_DOWN);
    for (struct tf_redis_flight *flight; (flight = tf_redis_flights_pop(&work));) {
        if (link->state != TF_REDIS_LINK_READY)
            flight_finish(redis, flight, TF_STORE_DOWN);
        else
            put_aboard(redis, flight, now);
    }
    if (link->out_from < link->out_to && link->state == TF_REDIS_LINK_READY) {
        tf_counter_add(&writes_total, 1);
        tf_redis_link_flush(link);
    }
    if (reconnect && link->state == TF_REDIS_LINK_READY && now - redis->ready_us >= RECONNECT_AGE_US)
        tf_redis_link_break(link, "a new connection was asked for");
    return !idle;
}

/* When poll must return at the latest. */
static int64_t next_event(const tf_redis *redis)
{
    int64_t at = redis->async_deadline_us;

    switch (redis->link.state) {
    case TF_REDIS_LINK_CLOSED:
        return TF_MIN(at, redis->retry_us);
    case TF_REDIS_LINK_RESOLVING:
    case TF_REDIS_LINK_CONNECTING:
    case TF_REDIS_LINK_GREETING:
        return TF_MIN(at, redis->link.step_us);
    case TF_REDIS_LINK_READY:
        return redis->sent.head ? TF_MIN(at, redis->heard_us + SILENCE_US) : at;
    case TF_REDIS_LINK_BROKEN:
        return 0;
    }
    return 0;
}

static void wait_events(tf_redis *redis, bool busy)
{
    struct pollfd fds[2] = {
        {.fd = redis->wake_fd, .events = POLLIN},
        {.fd = redis->link.fd, .events = tf_redis_link_events(&redis->link)},
    };
    int64_t at = next_event(redis), left = busy ? 0 : TF_MAX(at - tf_mono_us(), 0);
    struct timespec timeout = {left / TF_US_PER_S, left % TF_US_PER_S * 1000};

    int n = ppoll(fds, 2, !busy && at == INT64_MAX ? NULL : &timeout, NULL);

    atomic_store(&redis->sleeping, false); /* whoever queues from here on is seen at the next look */
    if (n < 0) return;                     /* EINTR: around again */
    if (fds[0].revents) {
        uint64_t count;

        (void)!read(redis->wake_fd, &count, sizeof(count)); /* non-blocking; the number does not matter */
    }
    if (redis->link.state != TF_REDIS_LINK_CLOSED) tf_redis_link_step(&redis->link, fds[1].revents);
}

static void *run(void *arg)
{
    tf_redis *redis = arg;
    struct tf_redis_link *link = &redis->link;
    bool stop = false;

    while (!stop) {
        bool busy = take_work(redis, &stop);

        if (stop) break;
        if (link->state == TF_REDIS_LINK_CLOSED && tf_mono_us() >= redis->retry_us) tf_redis_link_open(link);
        wait_events(redis, busy);
        if (link->state == TF_REDIS_LINK_READY && !redis->ready_us) handle_ready(redis);
        if (redis->ready_us) hand_back(redis);
        expire(redis, tf_mono_us());
        if (link->state == TF_REDIS_LINK_READY && redis->sent.head && tf_mono_us() - redis->heard_us >= SILENCE_US) {
            redis->silent = true;
            tf_redis_link_break(link, "the server answers nothing");
        }
        if (link->state == TF_REDIS_LINK_BROKEN) handle_break(redis);
    }
    drop(redis);
    accept_flights(redis, false);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

tf_redis *tf_redis_new(const struct tf_redis_config *config)
{
    tf_redis *redis = calloc(1, sizeof(*redis));

    TF_ASSERT(config->queue_max > 0);
    TF_ASSERT(redis);
    redis->queue_max = (size_t)config->queue_max;
    redis->accepting = true; /* during the first attempt callers may queue */
    redis->async_deadline_us = redis->queue_deadline_us = INT64_MAX;
    tf_redis_flights_init(&redis->queue);
    tf_redis_flights_init(&redis->refused);
    tf_redis_flights_init(&redis->sent);
    tf_redis_link_init(&redis->link, config);
    tf_redis_backoff_init(&redis->backoff);
    pthread_mutex_init(&redis->lock, NULL);
    redis->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    TF_ASSERT(redis->wake_fd >= 0);
    TF_ASSERT(pthread_create(&redis->thread, NULL, run, redis) == 0);
    return redis;
}

static void wake(tf_redis *redis)
{
    uint64_t one = 1;

    (void)!write(redis->wake_fd, &one, sizeof(one)); /* full is as good as written */
}

void tf_redis_free(tf_redis *redis)
{
    if (!redis) return;
    pthread_mutex_lock(&redis->lock);
    redis->stopping = true;
    pthread_mutex_unlock(&redis->lock);
    wake(redis);
    pthread_join(redis->thread, NULL);
    for (struct tf_redis_flight *flight; (flight = tf_redis_flights_pop(&redis->refused));)
        flight_finish(redis, flight, flight->code);
    tf_redis_link_done(&redis->link);
    close(redis->wake_fd);
    pthread_mutex_destroy(&redis->lock);
    free(redis);
}

bool tf_redis_up(tf_redis *redis)
{
    return atomic_load(&redis->up);
}

bool tf_redis_cause(tf_redis *redis, char *ret_cause, size_t size)
{
    bool refused;

    pthread_mutex_lock(&redis->lock);
    snprintf(ret_cause, size, "%s", redis->cause);
    refused = redis->password_refused;
    pthread_mutex_unlock(&redis->lock);
    return refused;
}

uint64_t tf_redis_connection(tf_redis *redis)
{
    return atomic_load(&redis->connection);
}

void tf_redis_reconnect(tf_redis *redis)
{
    pthread_mutex_lock(&redis->lock);
    redis->reconnect = true;
    pthread_mutex_unlock(&redis->lock);
    wake(redis);
}

/* ---- calls ----------------------------------------------------------------------------------------------------- */

/* TF_OK: the thread has the flight. */
static tf_code enqueue(tf_redis *redis, struct tf_redis_flight *flight)
{
    size_t n = flight->n; /* once queued an asynchronous flight is the thread's, who may have freed it */
    bool sleeping = false;
    tf_code code = TF_OK;

    if (!take_room(redis, flight)) {
        give_room(redis, flight);
        return TF_OVERLOADED;
    }
    pthread_mutex_lock(&redis->lock);
    if (redis->accepting && !redis->stopping) {
        tf_redis_flights_push(&redis->queue, flight);
        if (flight->done) redis->queue_deadline_us = TF_MIN(redis->queue_deadline_us, flight->deadline_us);
        sleeping = atomic_exchange(&redis->sleeping, false);
    } else {
        code = TF_STORE_DOWN;
    }
    pthread_mutex_unlock(&redis->lock);
    if (code)
        give_room(redis, flight); /* it is still ours */
    else
        tf_counter_add(&commands_total, n);
    if (sleeping) wake(redis);
    return code;
}

/* Waits until the flight is done or left. */
static tf_code await_flight(struct tf_redis_flight *flight, int64_t until_us)
{
    uint32_t state = atomic_load(&flight->state);

    while (state != TF_REDIS_DONE) {
        if (tf_redis_futex_wait(&flight->state, state, until_us)) {
            state = atomic_load(&flight->state);
            continue;
        }
        while (state != TF_REDIS_DONE) /* the time is up: leave, from whatever state it is in by then */
            if (atomic_compare_exchange_weak(&flight->state, &state, TF_REDIS_LEFT))
                return state == TF_REDIS_QUEUED ? TF_STORE_DOWN : TF_UNKNOWN_OUTCOME;
    }
    return flight->code;
}

static tf_code fail(tf_ctx *ctx, tf_code code)
{
    static const struct {
        tf_code code;
        const char *reason, *text;
    } rows[] = {
        {TF_STORE_DOWN, "store_down", "redis: the command was not sent: the server is away"},
        {TF_UNKNOWN_OUTCOME, "unknown_outcome", "redis: the command was sent but not answered"},
        {TF_OVERLOADED, "overloaded", "redis: too many commands wait"},
        {TF_INTERNAL, "internal", "redis: a command or its reply does not fit into the request's memory"},
    };

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        if (rows[i].code != code) continue;
        tf_counter_add_label(&failures_total, rows[i].reason, 1);
        (void)tf_fail(ctx, code, "%s", rows[i].text);
    }
    return code; /* this call's own, also where the context carries an older error */
}

static tf_code call(tf_ctx *ctx, tf_redis *redis, const tf_redis_cmd *cmds, size_t n, tf_redis_reply **replies)
{
    int64_t left = tf_ctx_left_us(ctx), began = tf_mono_us(), until;
    struct tf_redis_flight *flight;
    tf_code code;

    TF_ASSERT(!pthread_equal(pthread_self(), redis->thread)); /* it would wait for itself */
    for (size_t i = 0; i < n; i++) {
        if (cmds[i].broken) return fail(ctx, TF_INTERNAL);
        TF_ASSERT(cmds[i].n > 0);
    }
    code = tf_ctx_check(ctx);
    if (code) return code;
    flight = tf_redis_flight_new(cmds, n, 2);
    if (!flight) return fail(ctx, TF_OVERLOADED);
    code = enqueue(redis, flight);
    if (code) {
        tf_redis_flight_unref(flight);
        tf_redis_flight_unref(flight);
        return fail(ctx, code);
    }

    code = await_flight(flight, __builtin_add_overflow(began, left, &until) ? INT64_MAX : until);
    for (size_t i = 0; code == TF_OK && i < n; i++) {
        replies[i] = tf_redis_reply_copy(ctx->arena, flight->replies[i]);
        if (!replies[i]) code = TF_INTERNAL;
    }
    tf_redis_flight_unref(flight);
    tf_histogram_observe_us(&call_seconds, tf_mono_us() - began);
    return code ? fail(ctx, code) : TF_OK;
}

tf_code tf_redis_call(tf_ctx *ctx, tf_redis *redis, const tf_redis_cmd *cmd, tf_redis_reply **ret_reply)
{
    tf_redis_reply *reply;
    tf_code code = call(ctx, redis, cmd, 1, &reply);

    if (code) return code;
    *ret_reply = reply;
    return TF_OK;
}

tf_code tf_redis_pipeline(tf_ctx *ctx, tf_redis *redis, const tf_redis_cmd *cmds, size_t n,
                          tf_redis_reply ***ret_replies)
{
    tf_redis_reply **replies = TF_NEW_ARRAY(ctx->arena, tf_redis_reply *, n);
    tf_code code;

    if (!replies) return fail(ctx, TF_INTERNAL);
    code = n ? call(ctx, redis, cmds, n, replies) : TF_OK;
    if (code) return code;
    *ret_replies = replies;
    return TF_OK;
}

tf_code tf_redis_do(tf_ctx *ctx, tf_redis *redis, tf_redis_reply **ret_reply, ...)
{
    const char *args[DO_ARGS_MAX];
    size_t sizes[DO_ARGS_MAX];
    tf_redis_cmd cmd = {.ctx = ctx, .args = args, .sizes = sizes, .capacity = DO_ARGS_MAX};
    va_list list;

    va_start(list, ret_reply);
    for (const char *arg; (arg = va_arg(list, const char *));) {
        TF_ASSERT(cmd.n < DO_ARGS_MAX);
        args[cmd.n] = arg;
        sizes[cmd.n] = strlen(arg);
        cmd.n++;
    }
    va_end(list);
    return tf_redis_call(ctx, redis, &cmd, ret_reply);
}

/* Refused at the door: the thread tells, as it tells everything. */
static void refuse(tf_redis *redis, struct tf_redis_flight *flight, tf_code code)
{
    flight->code = code;
    (void)take_room(redis, flight); /* given back when it is told */
    pthread_mutex_lock(&redis->lock);
    tf_redis_flights_push(&redis->refused, flight);
    pthread_mutex_unlock(&redis->lock);
    wake(redis);
}

void tf_redis_start(tf_redis *redis, const tf_redis_cmd *cmd, int64_t deadline_us, tf_redis_done done, void *arg)
{
    struct tf_redis_flight *flight;
    tf_code code;

    TF_ASSERT(cmd->broken || cmd->n > 0);
    flight = tf_redis_flight_new(cmd, cmd->broken ? 0 : 1, 1);
    TF_ASSERT(flight); /* a few hundred bytes; without them even the failure cannot be told */
    flight->done = done;
    flight->arg = arg;
    flight->deadline_us = deadline_us;
    code = cmd->broken ? TF_INTERNAL : enqueue(redis, flight);
    if (code) refuse(redis, flight, code);
}
