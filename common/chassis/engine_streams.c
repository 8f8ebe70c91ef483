/* The event bus on Redis Streams: topic T is the stream "tf:bus:T", a group is the consuming service, the envelope is
 * field "d".
 *
 * "tf:bus:generation" holds a random value that the first relay sets: it vanishes with the data, so a Redis that lost
 * everything tells by it; one that restarted from its append-only file keeps it and tells by its run id. */
#include "common/chassis/engine.h"

#include "common/base/text.h"
#include "common/redis/stream.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define STREAM_PREFIX  "tf:bus:"
#define GENERATION_KEY "tf:bus:generation"

enum {
    STREAM_NAME_MAX = 200,
    GENERATION_BYTES = 16,
    UNREAD_MAX = 100000, /* entries kept for a topic that no group reads */
};

struct streams {
    struct tf_engine engine;
    tf_redis *redis;
    const struct tf_redis_config *config;
    _Atomic uint64_t connection; /* on which the mark was read; 0: none yet */
};

/* ---- replies ----------------------------------------------------------------------------------------------------- */

static tf_code reply_failed(tf_ctx *ctx, const char *what, const tf_redis_reply *reply)
{
    return tf_fail(ctx, TF_STORE_DOWN, "%s: %.200s", what,
                   reply->type == TF_REDIS_ERROR ? reply->text : "an answer of another kind");
}

/* A call whose error reply is a failure (Redis is loading, full, read-only: it will pass). */
static tf_code call(tf_ctx *ctx, struct streams *streams, const tf_redis_cmd *cmd, tf_redis_reply **ret_reply)
{
    tf_redis_reply *reply;
    tf_code code = tf_redis_call(ctx, streams->redis, cmd, &reply);

    if (code) return code;
    if (reply->type == TF_REDIS_ERROR) return reply_failed(ctx, "Redis", reply);
    *ret_reply = reply;
    return TF_OK;
}

/* The value after `name` in a reply of names and values; NULL when it is not there. */
static const tf_redis_reply *member(const tf_redis_reply *pairs, const char *name)
{
    if (pairs->type != TF_REDIS_ARRAY) return NULL;
    for (size_t i = 0; i + 1 < pairs->n_items; i += 2)
        if (pairs->items[i]->type == TF_REDIS_STRING && strcmp(pairs->items[i]->text, name) == 0)
            return pairs->items[i + 1];
    return NULL;
}

static int64_t member_int(const tf_redis_reply *pairs, const char *name)
{
    const tf_redis_reply *value = member(pairs, name);

    return value && value->type == TF_REDIS_INT ? value->integer : 0;
}

static const char *member_text(const tf_redis_reply *pairs, const char *name)
{
    const tf_redis_reply *value = member(pairs, name);

    return value && value->type == TF_REDIS_STRING ? value->text : "";
}

/* ---- publishing -------------------------------------------------------------------------------------------------- */

/* The messages are sent in waves, each with at most one of a key, so that a refused one holds back the later ones of
 * its key and nothing else. */
enum fate { WAITING, IN_WAVE, DONE };

static bool same_line(const struct tf_engine_message *a, const struct tf_engine_message *b)
{
    return a->key == b->key && strcmp(a->topic, b->topic) == 0;
}

/* Picks the first waiting message of each key; keys are few or batches small, so a table of what is taken suffices. */
static size_t wave_pick(const struct tf_engine_message *messages, size_t n, enum fate *fates, uint32_t *slots,
                        size_t n_slots, size_t *picked)
{
    size_t n_picked = 0;

    memset(slots, 0, n_slots * sizeof(*slots));
    for (size_t i = 0; i < n; i++) {
        size_t slot = tf_mix64((uint64_t)messages[i].key) & (n_slots - 1);

        if (fates[i] == DONE) continue;
        while (slots[slot] && !same_line(&messages[slots[slot] - 1], &messages[i]))
            slot = (slot + 1) & (n_slots - 1);
        if (slots[slot]) continue;
        slots[slot] = (uint32_t)i + 1;
        fates[i] = IN_WAVE;
        picked[n_picked++] = i;
    }
    return n_picked;
}

static void xadd_make(tf_redis_cmd *cmd, tf_ctx *ctx, const struct tf_engine_message *message)
{
    tf_redis_cmd_init(cmd, ctx);
    tf_redis_arg(cmd, "XADD");
    tf_redis_arg_printf(cmd, STREAM_PREFIX "%s", message->topic);
    tf_redis_arg(cmd, "*");
    tf_redis_arg(cmd, "d");
    tf_redis_arg_bytes(cmd, message->data, message->size);
}

/* All later messages of the failed one's key stay unsent. */
static void line_drop(const struct tf_engine_message *messages, size_t n, size_t failed, enum fate *fates)
{
    for (size_t i = failed; i < n; i++)
        if (same_line(&messages[i], &messages[failed])) fates[i] = DONE;
}

static tf_code wave_send(tf_ctx *ctx, struct streams *streams, struct tf_engine_message *messages, size_t n,
                         const size_t *picked, size_t n_picked, enum fate *fates)
{
    tf_redis_cmd *cmds = TF_NEW_ARRAY(ctx->arena, tf_redis_cmd, n_picked);
    tf_redis_reply **replies;
    tf_code code, first = TF_OK;

    if (!cmds) return tf_fail(ctx, TF_INTERNAL, "a batch of events is too large for the arena");
    for (size_t i = 0; i < n_picked; i++)
        xadd_make(&cmds[i], ctx, &messages[picked[i]]);
    code = tf_redis_pipeline(ctx, streams->redis, cmds, n_picked, &replies);
    if (code) return code; /* some may have arrived: they will be sent again */

    for (size_t i = 0; i < n_picked; i++) {
        if (replies[i]->type == TF_REDIS_STRING || replies[i]->type == TF_REDIS_STATUS) {
            messages[picked[i]].sent = true;
            fates[picked[i]] = DONE;
            continue;
        }
        line_drop(messages, n, picked[i], fates);
        code = reply_failed(ctx, "XADD", replies[i]);
        if (!first) first = code;
    }
    return first;
}

static tf_code streams_publish(tf_ctx *ctx, tf_engine *engine, struct tf_engine_message *messages, size_t n)
{
    struct streams *streams = (struct streams *)engine;
    enum fate *fates = TF_NEW_ARRAY(ctx->arena, enum fate, n);
    size_t *picked = TF_NEW_ARRAY(ctx->arena, size_t, n);
    size_t n_slots = 16, n_picked;
    tf_code first = TF_OK;
    uint32_t *slots;

    while (n_slots < 2 * n)
        n_slots *= 2;
    slots = TF_NEW_ARRAY(ctx->arena, uint32_t, n_slots);
    if (!fates || !picked || !slots) return tf_fail(ctx, TF_INTERNAL, "a batch of events is too large for the arena");

    for (size_t i = 0; i < n; i++)
        messages[i].sent = false;
    while ((n_picked = wave_pick(messages, n, fates, slots, n_slots, picked)) > 0) {
        tf_code code = wave_send(ctx, streams, messages, n, picked, n_picked, fates);

        if (!first) first = code;
        for (size_t i = 0; i < n_picked; i++)
            if (fates[picked[i]] == IN_WAVE) return first; /* the call itself failed: nothing more can be sent */
    }
    return first;
}

/* ---- who the engine is ------------------------------------------------------------------------------------------- */

static bool streams_suspect(tf_engine *engine)
{
    struct streams *streams = (struct streams *)engine;

    return tf_redis_connection(streams->redis) != atomic_load(&streams->connection);
}

static bool mark_copy(char out[static TF_ENGINE_MARK_MAX + 1], const char *text, size_t n)
{
    if (n == 0 || n > TF_ENGINE_MARK_MAX) return false;
    memcpy(out, text, n);
    out[n] = '\0';
    return true;
}

/* The generation's value, set by us when there is none. */
static tf_code generation_read(tf_ctx *ctx, struct streams *streams, struct tf_engine_mark *mark)
{
    unsigned char random[GENERATION_BYTES];
    char text[2 * GENERATION_BYTES + 1];
    tf_redis_cmd cmds[2];
    tf_redis_reply **replies;
    tf_code code;

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return tf_fail(ctx, TF_INTERNAL, "the system has no random bytes");
    tf_hex_encode(random, sizeof(random), text);

    tf_redis_cmd_init(&cmds[0], ctx);
    tf_redis_arg(&cmds[0], "SET");
    tf_redis_arg(&cmds[0], GENERATION_KEY);
    tf_redis_arg(&cmds[0], text);
    tf_redis_arg(&cmds[0], "NX");
    tf_redis_cmd_init(&cmds[1], ctx);
    tf_redis_arg(&cmds[1], "GET");
    tf_redis_arg(&cmds[1], GENERATION_KEY);
    code = tf_redis_pipeline(ctx, streams->redis, cmds, 2, &replies);
    if (code) return code;
    if (replies[0]->type == TF_REDIS_ERROR) return reply_failed(ctx, "SET " GENERATION_KEY, replies[0]);
    if (replies[1]->type != TF_REDIS_STRING || !mark_copy(mark->generation, replies[1]->text, replies[1]->size))
        return reply_failed(ctx, "GET " GENERATION_KEY, replies[1]);
    return TF_OK;
}

static tf_code run_id_read(tf_ctx *ctx, struct streams *streams, struct tf_engine_mark *mark)
{
    static const char label[] = "run_id:";
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    const char *at;
    tf_code code;

    tf_redis_cmd_init(&cmd, ctx);
    tf_redis_arg(&cmd, "INFO");
    tf_redis_arg(&cmd, "server");
    code = call(ctx, streams, &cmd, &reply);
    if (code) return code;
    at = reply->type == TF_REDIS_STRING ? strstr(reply->text, label) : NULL;
    if (!at || !mark_copy(mark->run_id, at + strlen(label), strcspn(at + strlen(label), "\r\n")))
        return reply_failed(ctx, "INFO server", reply);
    return TF_OK;
}

/* The connection is noted before the questions: one that changes meanwhile stays suspect. */
static tf_code streams_identify(tf_ctx *ctx, tf_engine *engine, struct tf_engine_mark *ret_mark)
{
    struct streams *streams = (struct streams *)engine;
    uint64_t connection = tf_redis_connection(streams->redis);
    struct tf_engine_mark mark = {0};
    tf_code code;

    code = generation_read(ctx, streams, &mark);
    if (!code) code = run_id_read(ctx, streams, &mark);
    if (code) return code;

    atomic_store(&streams->connection, connection);
    *ret_mark = mark;
    return TF_OK;
}

/* ---- consuming --------------------------------------------------------------------------------------------------- */

struct tf_engine_subscription {
    tf_stream_consumer *consumer;
    struct tf_engine_delivery *deliveries; /* batch_max of them */
    char stream[STREAM_NAME_MAX + 1];
    tf_engine_deliver deliver;
    void *arg;
};

static void entries_deliver(tf_ctx *ctx, const struct tf_stream_entry *entries, size_t n, bool *acks, void *arg)
{
    struct tf_engine_subscription *subscription = arg;

    for (size_t i = 0; i < n; i++)
        subscription->deliveries[i] = (struct tf_engine_delivery){
            .id = entries[i].id,
            .data = entries[i].data,
            .size = entries[i].size,
            .deliveries = entries[i].deliveries,
        };
    subscription->deliver(ctx, subscription->deliveries, n, acks, subscription->arg);
}

static tf_engine_subscription *streams_subscribe(tf_engine *engine, const struct tf_engine_subscribe *subscribe)
{
    struct streams *streams = (struct streams *)engine;
    tf_engine_subscription *subscription = calloc(1, sizeof(*subscription));
    int n;

    TF_ASSERT(subscription);
    subscription->deliveries = calloc((size_t)subscribe->batch_max, sizeof(*subscription->deliveries));
    TF_ASSERT(subscription->deliveries);
    n = snprintf(subscription->stream, sizeof(subscription->stream), STREAM_PREFIX "%s", subscribe->topic);
    TF_ASSERT(n > 0 && n <= STREAM_NAME_MAX);
    subscription->deliver = subscribe->deliver;
    subscription->arg = subscribe->arg;
    subscription->consumer = tf_stream_consumer_start(&(struct tf_stream_config){
        .redis = streams->config,
        .stream = subscription->stream,
        .group = subscribe->group,
        .consumer = subscribe->consumer,
        .shared = true, /* each consuming service is a group of its own */
        .batch_max = subscribe->batch_max,
        .retry_after_ms = subscribe->retry_ms,
        .handler_timeout_ms = subscribe->timeout_ms,
        .handler = entries_deliver,
        .arg = subscription,
    });
    return subscription;
}

static void streams_unsubscribe(tf_engine_subscription *subscription)
{
    if (!subscription) return;
    tf_stream_consumer_stop(subscription->consumer);
    free(subscription->deliveries);
    free(subscription);
}

/* ---- trimming and lag -------------------------------------------------------------------------------------------- */

/* XINFO GROUPS; an empty array when the stream does not exist. */
static tf_code groups_read(tf_ctx *ctx, struct streams *streams, const char *topic, tf_redis_reply **ret_groups)
{
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    tf_code code;

    tf_redis_cmd_init(&cmd, ctx);
    tf_redis_arg(&cmd, "XINFO");
    tf_redis_arg(&cmd, "GROUPS");
    tf_redis_arg_printf(&cmd, STREAM_PREFIX "%s", topic);
    code = tf_redis_call(ctx, streams->redis, &cmd, &reply);
    if (code) return code;
    if (reply->type == TF_REDIS_ERROR && strstr(reply->text, "no such key"))
        *reply = (tf_redis_reply){.type = TF_REDIS_ARRAY};
    if (reply->type != TF_REDIS_ARRAY) return reply_failed(ctx, "XINFO GROUPS", reply);
    *ret_groups = reply;
    return TF_OK;
}

/* Entry ids are "milliseconds-sequence". */
struct entry_id {
    uint64_t ms, sequence;
};

static bool entry_id_parse(const char *text, struct entry_id *ret_id)
{
    int end = 0;

    return sscanf(text, "%" SCNu64 "-%" SCNu64 "%n", &ret_id->ms, &ret_id->sequence, &end) == 2 && !text[end];
}

static bool entry_id_before(struct entry_id a, struct entry_id b)
{
    return a.ms != b.ms ? a.ms < b.ms : a.sequence < b.sequence;
}

/* The first entry that the group still needs: its oldest pending one, else the one after the last it was given. */
static tf_code group_needs(tf_ctx *ctx, struct streams *streams, const char *topic, const tf_redis_reply *group,
                           struct entry_id *ret_id)
{
    tf_redis_reply *pending;
    tf_redis_cmd cmd;
    const char *text = member_text(group, "last-delivered-id");
    tf_code code;

    if (!entry_id_parse(text, ret_id)) return tf_fail(ctx, TF_INTERNAL, "XINFO GROUPS: the id \"%.40s\"", text);
    ret_id->sequence++;
    if (member_int(group, "pending") == 0) return TF_OK;

    tf_redis_cmd_init(&cmd, ctx);
    tf_redis_arg(&cmd, "XPENDING");
    tf_redis_arg_printf(&cmd, STREAM_PREFIX "%s", topic);
    tf_redis_arg(&cmd, member_text(group, "name"));
    code = call(ctx, streams, &cmd, &pending);
    if (code) return code;
    if (pending->type != TF_REDIS_ARRAY || pending->n_items < 2) return reply_failed(ctx, "XPENDING", pending);
    if (pending->items[1]->type != TF_REDIS_STRING) return TF_OK; /* acknowledged meanwhile */
    if (!entry_id_parse(pending->items[1]->text, ret_id)) return reply_failed(ctx, "XPENDING", pending);
    return TF_OK;
}

static tf_code trim_by(tf_ctx *ctx, struct streams *streams, const char *topic, const char *strategy, const char *limit)
{
    tf_redis_reply *reply;
    tf_redis_cmd cmd;

    tf_redis_cmd_init(&cmd, ctx);
    tf_redis_arg(&cmd, "XTRIM");
    tf_redis_arg_printf(&cmd, STREAM_PREFIX "%s", topic);
    tf_redis_arg(&cmd, strategy);
    tf_redis_arg(&cmd, "~");
    tf_redis_arg(&cmd, limit);
    return call(ctx, streams, &cmd, &reply);
}

/* A topic that nobody reads keeps what a service started later may want, within bounds. */
static tf_code trim_unread(tf_ctx *ctx, struct streams *streams, const char *topic, int64_t retention_s)
{
    int64_t now_ms = ctx->clock->wall_us(ctx->clock) / TF_US_PER_MS;
    char limit[48];
    tf_code code;

    snprintf(limit, sizeof(limit), "%" PRId64 "-0", TF_MAX(now_ms - retention_s * 1000, 0));
    code = trim_by(ctx, streams, topic, "MINID", limit);
    if (code) return code;
    snprintf(limit, sizeof(limit), "%d", UNREAD_MAX);
    return trim_by(ctx, streams, topic, "MAXLEN", limit);
}

static tf_code streams_trim(tf_ctx *ctx, tf_engine *engine, const char *topic, int64_t retention_s)
{
    struct streams *streams = (struct streams *)engine;
    struct entry_id least = {UINT64_MAX, UINT64_MAX};
    tf_redis_reply *groups;
    char limit[48];
    tf_code code;

    code = groups_read(ctx, streams, topic, &groups);
    if (code) return code;
    if (groups->n_items == 0) return trim_unread(ctx, streams, topic, retention_s);

    for (size_t i = 0; i < groups->n_items; i++) {
        struct entry_id needs;

        code = group_needs(ctx, streams, topic, groups->items[i], &needs);
        if (code) return code;
        if (entry_id_before(needs, least)) least = needs;
    }
    snprintf(limit, sizeof(limit), "%" PRIu64 "-%" PRIu64, least.ms, least.sequence);
    return trim_by(ctx, streams, topic, "MINID", limit);
}

static tf_code streams_lag(tf_ctx *ctx, tf_engine *engine, const char *topic, const char *group, int64_t *ret_lag)
{
    struct streams *streams = (struct streams *)engine;
    tf_redis_reply *groups;
    tf_code code;

    code = groups_read(ctx, streams, topic, &groups);
    if (code) return code;
    *ret_lag = 0;
    for (size_t i = 0; i < groups->n_items; i++)
        if (strcmp(member_text(groups->items[i], "name"), group) == 0)
            *ret_lag = member_int(groups->items[i], "lag") + member_int(groups->items[i], "pending");
    return TF_OK;
}

static void streams_free(tf_engine *engine)
{
    free(engine);
}

static const struct tf_engine_ops streams_ops = {
    .name = "redis-streams",
    .publish = streams_publish,
    .suspect = streams_suspect,
    .identify = streams_identify,
    .subscribe = streams_subscribe,
    .unsubscribe = streams_unsubscribe,
    .trim = streams_trim,
    .lag = streams_lag,
    .free = streams_free,
};

tf_engine *tf_engine_streams_new(tf_redis *redis, const struct tf_redis_config *config)
{
    struct streams *streams = calloc(1, sizeof(*streams));

    TF_ASSERT(streams);
    streams->engine.ops = &streams_ops;
    streams->redis = redis;
    streams->config = config;
    return &streams->engine;
}
