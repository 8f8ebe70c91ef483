/* The consumer's thread: claim what has rested long enough, read what is new, hand both to the handler, acknowledge
 * what it did.
 *
 * An entry is acknowledged and deleted in one MULTI, so that no crash leaves it in the stream for ever. */
#include "common/redis/blocking.h"
#include "common/redis/stream_batch.h"

#include "common/base/chaos.h"
#include "common/base/log.h"
#include "common/base/metrics.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    BATCH_MAX = 500,
    BLOCK_MAX_MS = 1000, /* a stream that is gone, or a claim that is due, is noticed after this at the latest */
    CALL_MS = 5000,      /* for the server to answer, on top of its BLOCK */
    PAUSE_MS = 100,      /* after a failure; the connection adds its own backoff */
    FAREWELL_MS = 1000,  /* for handing over what is left at a stop */
    ID_TEXT = 48,
};

static tf_counter handled_total =
    TF_COUNTER("tf_stream_handled_total", "Stream entries handled and acknowledged", "group");
static tf_counter failed_total =
    TF_COUNTER("tf_stream_failed_total", "Stream entries that the handler left for later", "group");
static tf_counter claimed_total =
    TF_COUNTER("tf_stream_claimed_total", "Stream entries claimed for another attempt", "group");

struct tf_stream_consumer {
    struct tf_stream_config config; /* strings are ours */
    tf_redis_blocking *connection;
    pthread_t thread;
    _Atomic bool stopping;
    pthread_mutex_t lock; /* for `stopped` only */
    pthread_cond_t stopped;

    /* The thread's own. */
    tf_ctx io;   /* replies of one round, entries included */
    tf_ctx work; /* the handler's, fresh per batch */
    char request_id[ID_TEXT + sizeof("stream-")];
    int batch;            /* batch_max, less after a batch that did not fit into memory */
    char cursor[ID_TEXT]; /* where the next look at the pending ones begins: "-", or after an id */
    int64_t next_claim_us;
    int made; /* how often the group was made since the last round that went well */
    bool complained;
};

/* ---- calls ----------------------------------------------------------------------------------------------------- */

static void command(tf_redis_cmd *cmd, struct tf_stream_consumer *c, const char *const *words)
{
    tf_redis_cmd_init(cmd, &c->io);
    for (; *words; words++)
        tf_redis_arg(cmd, *words);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void complain(struct tf_stream_consumer *c, const char *cause)
{
    if (!c->complained)
        tf_log(TF_LOG_WARN, "stream consumer is held up", "stream", c->config.stream, "group", c->config.group, "cause",
               cause, NULL);
    c->complained = true;
}

/* Makes the group from the stream's beginning; who was first does not matter. */
static tf_code make_group(struct tf_stream_consumer *c)
{
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    tf_code code;

    command(&cmd, c, WORDS("XGROUP", "CREATE", c->config.stream, c->config.group, "0", "MKSTREAM"));
    code = tf_redis_blocking_run(&c->io, c->connection, &cmd, 1, false, &reply);
    if (code) return code;
    if (reply->type == TF_REDIS_ERROR && strncmp(reply->text, "BUSYGROUP", 9) != 0)
        return tf_fail(&c->io, TF_INTERNAL, "XGROUP CREATE: %s", reply->text);
    c->made++;
    tf_log(TF_LOG_INFO, "stream group made", "stream", c->config.stream, "group", c->config.group, NULL);
    return TF_OK;
}

/* Runs the commands. An error reply is a failure; where the group is gone it is made again. */
static tf_code run_commands(struct tf_stream_consumer *c, const tf_redis_cmd *cmds, size_t n, bool interruptible,
                            tf_redis_reply **replies)
{
    tf_code code = tf_redis_blocking_run(&c->io, c->connection, cmds, n, interruptible, replies);

    if (code) return code;
    for (size_t i = 0; i < n; i++) {
        if (replies[i]->type != TF_REDIS_ERROR) continue;
        if (strncmp(replies[i]->text, "NOGROUP", 7) == 0 || strncmp(replies[i]->text, "UNBLOCKED", 9) == 0)
            code = make_group(c);
        if (code) return code;
        return tf_fail(&c->io, TF_STATE_WRONG, "%s: %s", cmds[i].args[0], replies[i]->text);
    }
    return TF_OK;
}

/* ---- handling -------------------------------------------------------------------------------------------------- */

static void add_ids(tf_redis_cmd *cmd, const struct tf_stream_entry *entries, size_t n, const bool *acks)
{
    for (size_t i = 0; i < n; i++)
        if (acks[i]) tf_redis_arg(cmd, entries[i].id);
}

static tf_code acknowledge(struct tf_stream_consumer *c, const struct tf_stream_entry *entries, size_t n,
                           const bool *acks)
{
    enum { MULTI, XACK, XDEL, EXEC, COMMANDS };
    tf_redis_reply *replies[COMMANDS];
    tf_redis_cmd cmds[COMMANDS];
    bool shared = c->config.shared;

    command(&cmds[MULTI], c, WORDS("MULTI"));
    command(&cmds[XACK], c, WORDS("XACK", c->config.stream, c->config.group));
    command(&cmds[XDEL], c, WORDS("XDEL", c->config.stream));
    command(&cmds[EXEC], c, WORDS("EXEC"));
    add_ids(&cmds[XACK], entries, n, acks);
    add_ids(&cmds[XDEL], entries, n, acks);
    c->io.deadline_us = tf_mono_us() + CALL_MS * TF_US_PER_MS; /* the handler may have used up the round's */
    return shared ? run_commands(c, &cmds[XACK], 1, false, replies) : run_commands(c, cmds, COMMANDS, false, replies);
}

static tf_code handle(struct tf_stream_consumer *c, const struct tf_stream_entry *entries, size_t n)
{
    bool acks[BATCH_MAX] = {false};
    size_t done = 0;
    tf_code code;

    snprintf(c->request_id, sizeof(c->request_id), "stream-%s", entries[0].id);
    tf_ctx_reset(&c->work, (int64_t)c->config.handler_timeout_ms * TF_US_PER_MS);
    c->work.identity = (struct tf_identity){.caller = c->config.group, .internal = true};
    c->work.attempt = 1;
    c->work.traceparent = NULL;
    c->config.handler(&c->work, entries, n, acks, c->config.arg);

    for (size_t i = 0; i < n; i++)
        done += acks[i];
    tf_counter_add_label(&handled_total, c->config.group, done);
    tf_counter_add_label(&failed_total, c->config.group, n - done);
    if (!done) return TF_OK;
    code = acknowledge(c, entries, n, acks);
    TF_KILL_POINT(stream_acknowledged);
    return code;
}

/* ---- new entries ----------------------------------------------------------------------------------------------- */

static tf_code read_new(struct tf_stream_consumer *c)
{
    int64_t block_ms = TF_MAX(TF_MIN((c->next_claim_us - tf_mono_us()) / TF_US_PER_MS, BLOCK_MAX_MS), 1);
    struct tf_stream_entry entries[BATCH_MAX];
    const tf_redis_reply *list;
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    tf_code code;
    size_t n;

    tf_ctx_reset(&c->io, (block_ms + CALL_MS) * TF_US_PER_MS);
    command(&cmd, c, WORDS("XREADGROUP", "GROUP", c->config.group, c->config.consumer, "COUNT"));
    tf_redis_arg_int(&cmd, c->batch);
    tf_redis_arg(&cmd, "BLOCK");
    tf_redis_arg_int(&cmd, block_ms);
    tf_redis_arg(&cmd, "STREAMS");
    tf_redis_arg(&cmd, c->config.stream);
    tf_redis_arg(&cmd, ">");
    code = run_commands(c, &cmd, 1, true, &reply);
    if (code) return code;
    list = tf_stream_read_list(reply);
    n = list ? tf_stream_entries(list, 1, entries, 0, BATCH_MAX) : 0;
    return n ? handle(c, entries, n) : TF_OK;
}

/* ---- entries that were left ------------------------------------------------------------------------------------ */

/* How long the entry must have been idle. Another consumer may still be at work on its own; ours are not, for we are
 * here. */
static int64_t rest_of(const struct tf_stream_consumer *c, const struct tf_stream_pending *pending)
{
    int64_t rest = tf_stream_rest_ms(c->config.retry_after_ms, pending->deliveries);
    bool ours = strcmp(pending->consumer, c->config.consumer) == 0;

    return ours ? rest : TF_MAX(rest, c->config.handler_timeout_ms);
}

/* One look at a page of pending entries, from the cursor on. */
static tf_code list_pending(struct tf_stream_consumer *c, struct tf_stream_pending *pending, size_t *ret_n)
{
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    tf_code code;

    command(&cmd, c, WORDS("XPENDING", c->config.stream, c->config.group, "IDLE"));
    tf_redis_arg_int(&cmd, c->config.retry_after_ms);
    tf_redis_arg(&cmd, c->cursor);
    tf_redis_arg(&cmd, "+");
    tf_redis_arg_int(&cmd, c->batch);
    code = run_commands(c, &cmd, 1, false, &reply);
    if (code) return code;
    *ret_n = tf_stream_pendings(reply, pending, BATCH_MAX);
    return TF_OK;
}

/* Claims those that are due; the server checks the rest once more, so that of two instances one gets it. */
static tf_code claim(struct tf_stream_consumer *c, const struct tf_stream_pending *pending, size_t n)
{
    struct tf_stream_entry entries[BATCH_MAX];
    tf_redis_reply *replies[BATCH_MAX];
    tf_redis_cmd cmds[BATCH_MAX];
    int deliveries[BATCH_MAX];
    size_t n_cmds = 0, n_entries = 0;
    tf_code code;

    for (size_t i = 0; i < n; i++) {
        int64_t rest = rest_of(c, &pending[i]);

        if (pending[i].idle_ms < rest) continue;
        command(&cmds[n_cmds], c, WORDS("XCLAIM", c->config.stream, c->config.group, c->config.consumer));
        tf_redis_arg_int(&cmds[n_cmds], rest);
        tf_redis_arg(&cmds[n_cmds], pending[i].id);
        deliveries[n_cmds++] = pending[i].deliveries + 1;
    }
    if (n_cmds == 0) return TF_OK;
    code = run_commands(c, cmds, n_cmds, false, replies);
    if (code) return code;
    for (size_t i = 0; i < n_cmds; i++)
        n_entries = tf_stream_entries(replies[i], deliveries[i], entries, n_entries, BATCH_MAX);
    if (n_entries == 0) return TF_OK;
    tf_counter_add_label(&claimed_total, c->config.group, n_entries);
    return handle(c, entries, n_entries);
}

static tf_code retry_left(struct tf_stream_consumer *c)
{
    struct tf_stream_pending pending[BATCH_MAX];
    tf_code code;
    size_t n;

    if (tf_mono_us() < c->next_claim_us) return TF_OK;
    tf_ctx_reset(&c->io, CALL_MS * TF_US_PER_MS);
    code = list_pending(c, pending, &n);
    if (code) return code;
    if (n == (size_t)c->batch) { /* more may follow: at once, after what is new */
        snprintf(c->cursor, sizeof(c->cursor), "(%s", pending[n - 1].id);
        c->next_claim_us = tf_mono_us();
    } else {
        snprintf(c->cursor, sizeof(c->cursor), "-");
        c->next_claim_us =
            tf_mono_us() + (int64_t)TF_MAX(TF_MIN(c->config.retry_after_ms / 2, BLOCK_MAX_MS), 10) * TF_US_PER_MS;
    }
    return n ? claim(c, pending, n) : TF_OK;
}

/* What this consumer leaves is made due at once: nobody is at work on it any more, but the others would wait for as
 * long as a handler may take. They do when this does not reach the server. */
static void hand_over(struct tf_stream_consumer *c)
{
    struct tf_stream_pending pending[BATCH_MAX];
    int64_t idle_ms = TF_MAX(tf_stream_rest_ms(c->config.retry_after_ms, INT_MAX), c->config.handler_timeout_ms);
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    size_t n;

    tf_ctx_reset(&c->io, FAREWELL_MS * TF_US_PER_MS);
    command(&cmd, c, WORDS("XPENDING", c->config.stream, c->config.group, "-", "+"));
    tf_redis_arg_int(&cmd, BATCH_MAX);
    tf_redis_arg(&cmd, c->config.consumer);
    if (tf_redis_blocking_run(&c->io, c->connection, &cmd, 1, false, &reply)) return;
    n = tf_stream_pendings(reply, pending, BATCH_MAX);
    if (n == 0) return;
    command(&cmd, c, WORDS("XCLAIM", c->config.stream, c->config.group, c->config.consumer, "0"));
    for (size_t i = 0; i < n; i++)
        tf_redis_arg(&cmd, pending[i].id);
    tf_redis_arg(&cmd, "IDLE");
    tf_redis_arg_int(&cmd, idle_ms);
    tf_redis_arg(&cmd, "JUSTID"); /* not a delivery */
    if (tf_redis_blocking_run(&c->io, c->connection, &cmd, 1, false, &reply))
        complain(c, "what was left is not handed over");
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void rest(struct tf_stream_consumer *c)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PAUSE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&c->lock);
    if (!c->stopping) pthread_cond_timedwait(&c->stopped, &c->lock, &until);
    pthread_mutex_unlock(&c->lock);
}

static void *run(void *arg)
{
    struct tf_stream_consumer *c = arg;

    while (!c->stopping) {
        int made = c->made;
        tf_code code = retry_left(c);

        if (code == TF_OK && !c->stopping) code = read_new(c);
        if (code == TF_OK) {
            c->complained = false;
            c->made = 0;
            c->batch = c->config.batch_max;
            continue;
        }
        if (c->stopping) break;
        if (code == TF_INTERNAL) c->batch = TF_MAX(c->batch / 2, 1);
        if (c->made == 1 && made == 0) continue; /* no fault, unless it does not help */
        complain(c, c->io.error.internal);
        rest(c);
    }
    hand_over(c);
    return NULL;
}

static const char *copy_of(const char *text)
{
    char *copy = strdup(text);

    TF_ASSERT(copy); /* at start-up */
    return copy;
}

tf_stream_consumer *tf_stream_consumer_start(const struct tf_stream_config *config)
{
    struct tf_stream_consumer *c = calloc(1, sizeof(*c));
    pthread_condattr_t monotonic;

    TF_ASSERT(c);
    TF_ASSERT(config->batch_max > 0 && config->batch_max <= BATCH_MAX);
    TF_ASSERT(config->retry_after_ms > 0 && config->handler_timeout_ms > 0 && config->handler);
    c->config = *config;
    c->config.stream = copy_of(config->stream);
    c->config.group = copy_of(config->group);
    c->config.consumer = copy_of(config->consumer);
    c->connection = tf_redis_blocking_new(config->redis);
    c->config.redis = NULL; /* was borrowed for the start */
    c->batch = config->batch_max;
    snprintf(c->cursor, sizeof(c->cursor), "-");
    tf_ctx_init(&c->io, "stream", 0);
    tf_ctx_init(&c->work, c->request_id, 0);
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    TF_ASSERT(pthread_create(&c->thread, NULL, run, c) == 0);
    return c;
}

void tf_stream_consumer_stop(tf_stream_consumer *c)
{
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->stopped);
    pthread_mutex_unlock(&c->lock);
    tf_redis_blocking_wake(c->connection);
    pthread_join(c->thread, NULL);

    tf_redis_blocking_free(c->connection);
    tf_ctx_done(&c->io);
    tf_ctx_done(&c->work);
    pthread_cond_destroy(&c->stopped);
    pthread_mutex_destroy(&c->lock);
    free((char *)c->config.stream);
    free((char *)c->config.group);
    free((char *)c->config.consumer);
    free(c);
}
