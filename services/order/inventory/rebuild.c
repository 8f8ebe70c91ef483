/* Rebuild: raise the epoch, begin, read, load, open. Any refusal or doubt goes back to the raise; the greater epoch
 * wins, so that two rebuilds are waste, not danger. */
#include "services/order/inventory/rebuild.h"
#include "services/order/inventory/call.h"
#include "services/order/inventory/live.h"

#include "common/base/chaos.h"
#include "common/base/id.h"
#include "common/base/log.h"

#include <unistd.h>

enum {
    CHUNK_FIELDS = 500, /* of one load call: about 1 ms of Redis */
    CHUNK_BYTES = 256 << 10,
    PIPELINE = 4,
    PIPELINE_US_MAX = 10 * TF_US_PER_S,
    PATIENCE_US = 3 * TF_US_PER_S,   /* how long somebody else's rebuild is waited for */
    STALL_US = TF_US_PER_S,          /* how long a load without a step is believed to go on */
    SUSPECT_US = 400 * TF_US_PER_MS, /* a raise is followed by begin in milliseconds; beyond, the server is another */
    POLL_US = 100 * TF_US_PER_MS,
    ROUNDS_MAX = 10
};

static tf_counter rebuilds = TF_COUNTER("tf_order_rebuilds_total", "Inventories rebuilt", NULL);
static tf_histogram rebuild_seconds = TF_HISTOGRAM("tf_order_rebuild_seconds", "Time of a rebuild", NULL);

static const struct tf_pg_stmt raise_epoch = {
    .name = "inventory_raise",
    .sql = "UPDATE inventory SET epoch = greatest(epoch, $3) + 1"
           " WHERE bucket = $1 AND show_id = $2 AND epoch = $4 RETURNING epoch, terms, sale_state",
    .writes = true,
};

struct seen {
    bool open;
    int64_t epoch;          /* greatest that this server knows */
    int32_t terms;          /* open */
    int64_t loading, steps; /* closed: the epoch that somebody loads here, 0: none; how far he is */
};

static tf_code seen_read(tf_ctx *ctx, int64_t show_id, struct seen *ret_seen)
{
    struct inventory_answer answer;
    struct seen seen;
    tf_redis_cmd cmd;
    tf_code code;

    inventory_fcall(&cmd, ctx, "seen", 1);
    inventory_key(&cmd, show_id, "m");
    tf_redis_arg_int(&cmd, show_id);
    code = inventory_ask(ctx, &cmd, &answer);
    if (code) return code;

    seen.open = inventory_status_is(&answer, "OPEN");
    seen.epoch = inventory_answer_int(&answer);
    seen.terms = (int32_t)inventory_answer_int(&answer);
    seen.loading = inventory_answer_int(&answer);
    seen.steps = inventory_answer_int(&answer);
    code = inventory_answer_check(ctx, &answer);
    if (code) return code;

    *ret_seen = seen;
    return TF_OK;
}

/* *ret_raised false: somebody else raised it. */
static tf_code raise(tf_ctx *ctx, int64_t show_id, int64_t epoch_seen, int64_t epoch_redis, struct fence *ret_fence,
                     bool *ret_raised)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_bucket_of_show(show_id));
    tf_pg_int8(&params, show_id);
    tf_pg_int8(&params, epoch_redis);
    tf_pg_int8(&params, epoch_seen);
    code = tf_pg_query(ctx, tf_app_pg(inventory_app), &raise_epoch, &params, &rows);
    if (code) return code;

    *ret_raised = tf_pg_rows(rows) == 1;
    if (*ret_raised)
        *ret_fence = (struct fence){.epoch = tf_pg_get_int(rows, 0, 0),
                                    .terms = (int32_t)tf_pg_get_int(rows, 0, 1),
                                    .sale_state = (int)tf_pg_get_int(rows, 0, 2)};
    return TF_OK;
}

/* TF_ORDER_CHANGED: refused, a greater epoch is at work. */
static tf_code begin(tf_ctx *ctx, int64_t show_id, int64_t epoch)
{
    struct inventory_answer answer;
    tf_redis_cmd cmd;
    tf_code code;

    inventory_fcall(&cmd, ctx, "begin", 6);
    inventory_key(&cmd, show_id, "m");
    inventory_staging_keys(&cmd, show_id);
    tf_redis_arg_int(&cmd, show_id);
    tf_redis_arg_int(&cmd, epoch);
    code = inventory_call(ctx, &cmd, &answer);
    if (code) return code;
    if (!inventory_status_is(&answer, "OK")) return tf_fail(ctx, TF_ORDER_CHANGED, "begin answers %s", answer.status);
    return TF_OK;
}

/* ---- loading ------------------------------------------------------------------------------------------------------
 */

/* Commands queue up and go out together; memory of what was sent is given back. */
struct loader {
    tf_ctx scratch;
    int64_t show_id, epoch;
    tf_redis_cmd cmds[PIPELINE];
    size_t n;
    size_t fields;    /* in the last command */
    const char *what; /* of the last command; NULL: none open */
    const char *fault;
};

static int64_t pipeline_us(const tf_ctx *ctx)
{
    return TF_MAX(TF_MIN((int64_t)PIPELINE_US_MAX, tf_ctx_left_us(ctx)), (int64_t)1); /* 0 would be no deadline */
}

static tf_code loader_flush(tf_ctx *ctx, struct loader *loader)
{
    tf_redis_reply **replies;
    tf_code code;

    loader->what = NULL;
    if (loader->n == 0) return tf_ctx_check(ctx);

    code = tf_redis_pipeline(&loader->scratch, tf_app_redis(inventory_app), loader->cmds, loader->n, &replies);
    for (size_t i = 0; i < loader->n && !code; i++) {
        struct inventory_answer answer;

        code = inventory_answer_of(&loader->scratch, replies[i], &answer);
        if (!code && !inventory_status_is(&answer, "OK"))
            code = tf_fail(&loader->scratch, TF_ORDER_CHANGED, "load answers %s", answer.status);
    }
    if (code)
        return tf_fail(ctx, code, "loading: %s",
                       loader->scratch.error.internal ? loader->scratch.error.internal : "failed");

    loader->n = 0;
    tf_ctx_reset(&loader->scratch, pipeline_us(ctx));
    return tf_ctx_check(ctx);
}

static tf_code loader_command(tf_ctx *ctx, struct loader *loader, const char *what)
{
    tf_redis_cmd *cmd;

    if (loader->n == PIPELINE) {
        tf_code code = loader_flush(ctx, loader);

        if (code) return code;
    }
    cmd = &loader->cmds[loader->n++];
    inventory_fcall(cmd, &loader->scratch, "load", 6);
    inventory_staging_keys(cmd, loader->show_id);
    inventory_due_key(cmd, inventory_partition(tf_bucket_of_show(loader->show_id)));
    tf_redis_arg_int(cmd, loader->show_id);
    tf_redis_arg_int(cmd, loader->epoch);
    tf_redis_arg(cmd, what);
    loader->what = what;
    loader->fields = 0;
    return TF_OK;
}

static tf_code load_bytes(tf_ctx *ctx, struct loader *loader, const char *what, const unsigned char *data, size_t size)
{
    for (size_t at = 0; at < size; at += CHUNK_BYTES) {
        tf_code code = loader_command(ctx, loader, what);

        if (code) return code;
        tf_redis_arg_int(&loader->cmds[loader->n - 1], (int64_t)at);
        tf_redis_arg_bytes(&loader->cmds[loader->n - 1], data + at, TF_MIN(size - at, (size_t)CHUNK_BYTES));
    }
    return TF_OK;
}

/* One pair into the table; name or value NULL: the number. */
static tf_code load_pair(tf_ctx *ctx, struct loader *loader, const char *what, const char *name, int64_t number,
                         const char *value, int64_t value_number)
{
    if (loader->what != what || loader->fields == CHUNK_FIELDS) {
        tf_code code = loader_command(ctx, loader, what);

        if (code) return code;
    }
    tf_redis_cmd *cmd = &loader->cmds[loader->n - 1];
    if (name)
        tf_redis_arg(cmd, name);
    else
        tf_redis_arg_int(cmd, number);
    if (value)
        tf_redis_arg(cmd, value);
    else
        tf_redis_arg_int(cmd, value_number);
    loader->fields++;
    return TF_OK;
}

static tf_code load_all(tf_ctx *ctx, struct loader *loader, const struct image *image, const struct live *live)
{
    tf_code code;

    code = load_bytes(ctx, loader, "m", image->m, image->m_size);
    if (!code) code = load_bytes(ctx, loader, "g", image->g, image->g_size);
    for (size_t i = 0; i < live->n_orders && !code; i++)
        code = load_pair(ctx, loader, "h", NULL, live->orders[i].order_no, live->orders[i].record, 0);
    for (size_t i = 0; i < live->n_users && !code; i++)
        code = load_pair(ctx, loader, "u", NULL, live->users[i].user_id, live->users[i].field, 0);
    for (size_t i = 0; i < live->n_persons && !code; i++)
        code = load_pair(ctx, loader, "p", live->persons[i].person, 0, NULL, live->persons[i].order_no);
    for (size_t i = 0; i < live->n_orders && !code; i++)
        if (live->orders[i].state == 'H') /* past due as well: only settling may end it */
            code = load_pair(ctx, loader, "d", NULL, live->orders[i].due_ms, NULL, live->orders[i].order_no);
    if (!code) code = loader_flush(ctx, loader);
    return code;
}

static tf_code load(tf_ctx *ctx, int64_t show_id, int64_t epoch, const struct image *image, const struct live *live)
{
    struct loader loader = {.show_id = show_id, .epoch = epoch};
    tf_code code;

    tf_app_ctx(inventory_app, &loader.scratch, ctx->request_id, pipeline_us(ctx));
    code = load_all(ctx, &loader, image, live);
    tf_ctx_done(&loader.scratch);
    return code;
}

/* May be sent again: that it is open already is an OK. */
static tf_code open_show(tf_ctx *ctx, int64_t show_id, int64_t epoch, const struct image *image,
                         const struct live *live)
{
    struct inventory_answer answer;
    tf_redis_cmd cmd;
    tf_code code;

    inventory_fcall(&cmd, ctx, "open", 10);
    inventory_live_keys(&cmd, show_id);
    inventory_staging_keys(&cmd, show_id);
    tf_redis_arg_int(&cmd, show_id);
    tf_redis_arg_int(&cmd, epoch);
    tf_redis_arg_int(&cmd, (int64_t)image->m_size);
    tf_redis_arg_int(&cmd, (int64_t)image->g_size);
    tf_redis_arg_int(&cmd, (int64_t)live->n_orders);
    tf_redis_arg_int(&cmd, (int64_t)live->n_users);
    tf_redis_arg_int(&cmd, (int64_t)live->n_persons);
    code = inventory_call(ctx, &cmd, &answer);
    if (code) return code;
    if (!inventory_status_is(&answer, "OK")) return tf_fail(ctx, TF_ORDER_CHANGED, "open answers %s", answer.status);
    return TF_OK;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------
 */

/* The snapshot of exactly these terms. */
static tf_code sale_of_terms(tf_ctx *ctx, int64_t show_id, int32_t terms, struct sale **ret_sale)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        struct sale *sale;
        tf_code code = sale_find(ctx, show_id, &sale);

        if (code) return code;
        if (sale->terms == terms) {
            *ret_sale = sale;
            return TF_OK;
        }
        sale_unref(sale);
        sale_forget(show_id); /* memory was behind */
    }
    return tf_fail(ctx, TF_ORDER_CHANGED, "the terms of show %lld change just now", (long long)show_id);
}

/* From the raised epoch to the open show. TF_ORDER_CHANGED: refused or overtaken. */
static tf_code build(tf_ctx *ctx, int64_t show_id, const struct fence *fence)
{
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    struct fence now;
    struct image image;
    struct live live;
    tf_code code;

    code = sale_of_terms(ctx, show_id, fence->terms, &sale);
    if (code) return code;

    code = begin(ctx, show_id, fence->epoch);
    if (code == TF_UNKNOWN_OUTCOME) { /* may be repeated until open was first sent */
        tf_error_clear(ctx);
        code = begin(ctx, show_id, fence->epoch);
    }
    if (code) return code;

    TF_KILL_POINT(order_rebuild_begun);
    code = image_new(ctx, sale, &image);
    if (code) return code;

    code = live_read(ctx, show_id, &image, &live); /* after the raise: nothing unseen can commit */
    if (code) return code;

    TF_KILL_POINT(order_rebuild_read);
    image_finish(&image, fence->epoch, fence->sale_state);
    code = load(ctx, show_id, fence->epoch, &image, &live);
    if (code) return code;

    TF_KILL_POINT(order_rebuild_loaded);
    code = open_show(ctx, show_id, fence->epoch, &image, &live);
    if (code == TF_UNKNOWN_OUTCOME) {
        tf_error_clear(ctx);
        code = open_show(ctx, show_id, fence->epoch, &image, &live);
    }
    if (code) return code;

    TF_KILL_POINT(order_rebuild_opened);
    /* What changed since the raise was told to a closed show. */
    code = fence_read(ctx, show_id, &now);
    if (code) return code;
    if (now.terms != fence->terms)
        return tf_fail(ctx, TF_ORDER_CHANGED, "the terms of show %lld changed", (long long)show_id);
    return now.sale_state == fence->sale_state ? TF_OK : fence_follow(ctx, show_id, now.sale_state);
}

static bool is_current(const struct seen *seen, const struct fence *fence)
{
    return seen->open && seen->epoch == fence->epoch && seen->terms == fence->terms;
}

/* Waits for somebody else's rebuild; *ret_ready: the show is open at the fence's epoch and terms. Who loads and makes
 * no step any more is not waited for. Where the fence was raised and the server sells on as before, it may be one that
 * was replaced: the link is dropped, so that the name is resolved again. */
static tf_code await(tf_ctx *ctx, int64_t show_id, bool *ret_ready)
{
    int64_t began = tf_mono_us(), moved = began;
    struct seen before = {0};
    bool relinked = false;

    for (;;) {
        struct fence fence;
        struct seen seen;
        int64_t now;
        tf_code code = fence_read(ctx, show_id, &fence);

        if (code) return code;
        code = seen_read(ctx, show_id, &seen);
        now = tf_mono_us();
        *ret_ready = !code && is_current(&seen, &fence);
        if (*ret_ready) return TF_OK;
        if (now - began >= PATIENCE_US) return code;
        if (code) { /* the link may be on its way to another server */
            tf_error_clear(ctx);
        } else {
            if (seen.loading != before.loading || seen.steps != before.steps) moved = now;
            if (seen.loading && now - moved >= STALL_US) return TF_OK;
            if (seen.open && seen.epoch < fence.epoch && now - began >= SUSPECT_US && !relinked) {
                inventory_relink();
                relinked = true;
            }
            before = seen;
        }
        usleep(POLL_US);
        code = tf_ctx_check(ctx);
        if (code) return code;
    }
}

static void log_rebuilt(int64_t show_id, int64_t epoch, int64_t us)
{
    char text[3][TF_LOG_INT];

    tf_counter_add(&rebuilds, 1);
    tf_histogram_observe_us(&rebuild_seconds, us);
    tf_log(TF_LOG_INFO, "inventory rebuilt", "show_id", tf_log_int(text[0], show_id), "epoch",
           tf_log_int(text[1], epoch), "ms", tf_log_int(text[2], us / TF_US_PER_MS), NULL);
}

/* Raised and not begun, or begun and being loaded: by somebody who may be alive. */
static bool by_another(const struct seen *seen, const struct fence *fence, int64_t ours)
{
    if (fence->epoch == ours) return false;
    return seen->open ? seen->epoch < fence->epoch : seen->loading == fence->epoch && fence->epoch > 0;
}

tf_code rebuild_show(tf_ctx *ctx, int64_t show_id, bool anew, int64_t *epoch_raised)
{
    int64_t start_us = tf_mono_us();

    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool raised, ready;
        struct fence fence;
        struct seen seen;
        tf_code code;

        code = fence_read(ctx, show_id, &fence);
        if (!code) code = seen_read(ctx, show_id, &seen);
        if (code) return code;

        if (!anew && is_current(&seen, &fence)) return fence_follow(ctx, show_id, fence.sale_state);
        if (!anew && round == 0 && by_another(&seen, &fence, *epoch_raised)) {
            code = await(ctx, show_id, &ready);
            if (code) return code;
            if (ready) return fence_follow(ctx, show_id, fence.sale_state);
            continue;
        }
        code = raise(ctx, show_id, fence.epoch, seen.epoch, &fence, &raised);
        if (code == TF_UNKNOWN_OUTCOME) {
            tf_error_clear(ctx);
            continue;
        }
        if (code) return code;

        if (raised) {
            *epoch_raised = fence.epoch;
            TF_KILL_POINT(order_rebuild_raised);
            code = build(ctx, show_id, &fence);
            if (!code) log_rebuilt(show_id, fence.epoch, tf_mono_us() - start_us);
            if (code != TF_ORDER_CHANGED && code != TF_UNKNOWN_OUTCOME) return code;
            tf_error_clear(ctx);
        }
        code = await(ctx, show_id, &ready);
        if (code) return code;
        if (ready) /* opened after this rebuild was asked for: its read is young enough */
            return fence_follow(ctx, show_id, fence.sale_state);
    }
    return tf_fail(ctx, TF_REBUILDING, "show %lld could not be rebuilt in %d rounds", (long long)show_id, ROUNDS_MAX);
}
