/* The workers: the scheduler moves due orders into the stream of delayed settlements, its consumer settles them,
 * another settles what transactions left in settle_queue, and the safety net looks into PostgreSQL alone. */
#include "services/order/settle/settle.h"
#include "services/order/settle/batch.h"

#include "services/order/commit/commit.h"
#include "services/order/config.h"
#include "services/order/inventory/due.h"

#include "common/base/chaos.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/redis/stream.h"

#include <stdio.h>
#include <string.h>

enum {
    QUEUE_INTERVAL_MS = 1000,
    QUEUE_PAGE = SETTLE_BATCH_MAX,
    OVERDUE_PAGE = SETTLE_BATCH_MAX,
    OVERDUE_GRACE_S = 10,
    TOMBSTONES_MAX = 1000, /* removed per look */
    CLAIM_ROUNDS_MAX = 20,
    STREAM_IDLE_S = 24 * 3600,
    HANDLER_MS_MAX = 20000,
    NOW_US_MAX = TF_US_PER_S
};
/* Each version of the function library has a stream of its own: another's entries would not be settled by its calls. */
#define SETTLE_STREAM "tf:settle:" TF_INVENTORY

static tf_counter claimed = TF_COUNTER("tf_order_due_claimed_total", "Due orders moved into the stream", NULL);
static tf_counter overdue =
    TF_COUNTER("tf_order_overdue_total", "Orders past their release that the safety net found", NULL);

static struct {
    tf_periodic *scheduler, *queue, *net;
    tf_stream_consumer *consumer;
} workers;

/* Memory of the round before is given back; the deadline stays. */
static void next_round(tf_ctx *ctx)
{
    tf_ctx_reset(ctx, TF_MAX(tf_ctx_left_us(ctx), (int64_t)1)); /* 0 would be none */
}

/* ---- the scheduler: due set → stream -------------------------------------------------------------------------------
 */

/* An entry that gets lost here comes due again by its lease. */
static tf_code send_due(tf_ctx *ctx, const struct due_order *orders, size_t n)
{
    tf_redis_cmd *cmds = TF_NEW_ARRAY(ctx->arena, tf_redis_cmd, n + 1);
    tf_redis_reply **replies;
    tf_code code;

    if (!cmds) return tf_fail(ctx, TF_INTERNAL, "no memory for due orders");
    for (size_t i = 0; i < n; i++) {
        tf_redis_cmd_init(&cmds[i], ctx);
        tf_redis_arg(&cmds[i], "XADD");
        tf_redis_arg(&cmds[i], SETTLE_STREAM);
        tf_redis_arg(&cmds[i], "*");
        tf_redis_arg(&cmds[i], "d");
        tf_redis_arg_printf(&cmds[i], "%lld:%lld", (long long)orders[i].show_id, (long long)orders[i].order_no);
    }
    tf_redis_cmd_init(&cmds[n], ctx); /* that of a version that is gone goes too */
    tf_redis_arg(&cmds[n], "EXPIRE");
    tf_redis_arg(&cmds[n], SETTLE_STREAM);
    tf_redis_arg_int(&cmds[n], STREAM_IDLE_S);
    code = tf_redis_pipeline(ctx, tf_app_redis(settle_app), cmds, n + 1, &replies);
    if (code) return code;

    tf_counter_add(&claimed, n);
    return TF_OK;
}

static void schedule(tf_ctx *ctx, void *arg)
{
    int64_t now_ms, error_ms;
    bool more = true;

    (void)arg;
    if (inventory_superseded()) return; /* a claim by this version would only take its time from the other */
    for (int round = 0; more && round < CLAIM_ROUNDS_MAX; round++) {
        struct due_order *orders;
        size_t n;

        if (!sale_time_now(&now_ms, &error_ms)) return;
        if (TF_BROKEN(wall_clock_expiry)) now_ms = ctx->clock->wall_us(ctx->clock) / TF_US_PER_MS;
        if (inventory_claim(ctx, now_ms - error_ms, &orders, &n, &more)) return; /* Redis is away: the next tick */
        if (n) TF_KILL_POINT(order_due_leased);
        for (size_t from = 0; from < n; from += DUE_BATCH_MAX)
            if (send_due(ctx, orders + from, TF_MIN(n - from, (size_t)DUE_BATCH_MAX))) return;
        if (n) TF_KILL_POINT(order_due_sent);
        next_round(ctx);
    }
}

/* ---- the stream's consumer -----------------------------------------------------------------------------------------
 */

static bool parse_due(const struct tf_stream_entry *entry, struct settle_item *item)
{
    char text[64], *colon;

    if (entry->size == 0 || entry->size >= sizeof(text)) return false;
    memcpy(text, entry->data, entry->size);
    text[entry->size] = '\0';
    colon = strchr(text, ':');
    if (!colon) return false;
    *colon = '\0';
    if (!tf_parse_int64(text, &item->show_id) || !tf_parse_int64(colon + 1, &item->order_no)) return false;
    item->bucket = tf_bucket_of_show(item->show_id);
    return true;
}

static void consume(tf_ctx *ctx, const struct tf_stream_entry *entries, size_t n, bool *acks, void *arg)
{
    struct settle_item *items = TF_NEW_ARRAY(ctx->arena, struct settle_item, n);
    size_t n_items = 0;

    (void)arg;
    ctx->app = settle_app;
    if (!items) return;
    for (size_t i = 0; i < n; i++)
        if (parse_due(&entries[i], &items[n_items])) n_items++;
    if (settle_batch(ctx, items, n_items))
        tf_log(TF_LOG_WARN, "due orders not settled yet", "cause", ctx->error.internal, NULL);
    TF_KILL_POINT(order_settle_consumed);
    /* Done or not: what was not settled comes due again by its lease. */
    for (size_t i = 0; i < n; i++)
        acks[i] = true;
}

/* ---- settle_queue: what transactions left --------------------------------------------------------------------------
 */

static const struct tf_pg_stmt select_queue = {
    .name = "settle_queue",
    .sql = "SELECT bucket, order_no, show_id, created_at FROM settle_queue WHERE (bucket, order_no) > ($1, $2)"
           " ORDER BY bucket, order_no LIMIT $3",
};
/* A row written again meanwhile stays: its change may not be in what was read. */
static const struct tf_pg_stmt delete_queue = {
    .name = "settle_queue_done",
    .sql = "DELETE FROM settle_queue q USING unnest($1::int2[], $2::int8[], $3::timestamptz[]) AS u(bucket, order_no, "
           "created_at)"
           " WHERE q.bucket = u.bucket AND q.order_no = u.order_no AND q.created_at = u.created_at",
    .writes = true,
};

static tf_code delete_settled(tf_ctx *ctx, const struct settle_item *items, size_t n)
{
    int16_t *buckets = TF_NEW_ARRAY(ctx->arena, int16_t, n);
    int64_t *orders = TF_NEW_ARRAY(ctx->arena, int64_t, n);
    tf_time *times = TF_NEW_ARRAY(ctx->arena, tf_time, n);
    tf_pg_params params;
    size_t k = 0;

    if (!buckets || !orders || !times) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    for (size_t i = 0; i < n; i++) {
        if (!items[i].settled) continue;
        buckets[k] = (int16_t)items[i].bucket;
        orders[k] = items[i].order_no;
        times[k++] = items[i].tag;
    }
    if (k == 0) return TF_OK;
    tf_pg_params_init(&params, ctx);
    tf_pg_int2_array(&params, buckets, k);
    tf_pg_int8_array(&params, orders, k);
    tf_pg_time_array(&params, times, k);
    return tf_pg_query(ctx, tf_app_pg(settle_app), &delete_queue, &params, NULL);
}

/* One page behind (bucket, order_no). Rows that cannot be settled now stay and do not hold up those behind. */
static tf_code work_page(tf_ctx *ctx, int *bucket, int64_t *order_no, bool *ret_more)
{
    struct settle_item *items;
    tf_pg_result *rows;
    tf_pg_params params;
    size_t n;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)*bucket);
    tf_pg_int8(&params, *order_no);
    tf_pg_int4(&params, QUEUE_PAGE);
    code = tf_pg_query(ctx, tf_app_pg(settle_app), &select_queue, &params, &rows);
    if (code) return code;

    n = (size_t)tf_pg_rows(rows);
    *ret_more = n == QUEUE_PAGE;
    if (n == 0) return TF_OK;
    items = TF_NEW_ARRAY(ctx->arena, struct settle_item, n);
    if (!items) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    for (size_t i = 0; i < n; i++)
        items[i] = (struct settle_item){.bucket = (int)tf_pg_get_int(rows, (int)i, 0),
                                        .order_no = tf_pg_get_int(rows, (int)i, 1),
                                        .show_id = tf_pg_get_int(rows, (int)i, 2),
                                        .tag = tf_pg_get_time(rows, (int)i, 3)};
    *bucket = items[n - 1].bucket;
    *order_no = items[n - 1].order_no;
    code = settle_batch(ctx, items, n);
    if (code) tf_error_clear(ctx); /* some may be settled */
    TF_KILL_POINT(order_queue_settled);
    code = delete_settled(ctx, items, n);
    TF_KILL_POINT(order_queue_deleted);
    return code;
}

static void work_queue(tf_ctx *ctx, void *arg)
{
    int64_t order_no = 0;
    int bucket = -1;
    bool more = true;

    (void)arg;
    while (more && !tf_app_stopping(settle_app) && tf_ctx_left_us(ctx) > 0) {
        if (work_page(ctx, &bucket, &order_no, &more)) return; /* at the next tick */
        next_round(ctx);
    }
}

/* ---- the safety net ------------------------------------------------------------------------------------------------
 */

static const struct tf_pg_stmt select_overdue = {
    .name = "settle_overdue",
    .sql = "SELECT bucket, order_no, show_id FROM orders WHERE state = 1"
           " AND release_at < clock_timestamp() - make_interval(secs => $1) ORDER BY release_at LIMIT $2",
};
static const struct tf_pg_stmt delete_tombstones = {
    .name = "settle_tombstones",
    .sql = "DELETE FROM orders WHERE (bucket, order_no) IN (SELECT bucket, order_no FROM orders"
           " WHERE state = 9 AND created_at < clock_timestamp() - interval '7 days' ORDER BY created_at LIMIT $1)",
    .writes = true,
};

static tf_code net_page(tf_ctx *ctx, size_t *ret_n)
{
    struct settle_item *items;
    tf_pg_result *rows;
    tf_pg_params params;
    size_t n;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int4(&params, OVERDUE_GRACE_S);
    tf_pg_int4(&params, OVERDUE_PAGE);
    code = tf_pg_query(ctx, tf_app_pg(settle_app), &select_overdue, &params, &rows);
    if (code) return code;

    n = (size_t)tf_pg_rows(rows);
    *ret_n = n;
    if (n == 0) return TF_OK;
    items = TF_NEW_ARRAY(ctx->arena, struct settle_item, n);
    if (!items) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    for (size_t i = 0; i < n; i++)
        items[i] = (struct settle_item){.bucket = (int)tf_pg_get_int(rows, (int)i, 0),
                                        .order_no = tf_pg_get_int(rows, (int)i, 1),
                                        .show_id = tf_pg_get_int(rows, (int)i, 2)};
    tf_counter_add(&overdue, n);
    return settle_batch(
        ctx, items,
        n); /* without Redis the orders end all the same, and their places are freed by a rebuild or the due set */
}

static void look_overdue(tf_ctx *ctx, void *arg)
{
    tf_pg_params params;
    size_t n;

    (void)arg;
    do {
        tf_code code = net_page(ctx, &n);

        if (code && code != TF_STORE_DOWN)
            tf_log(TF_LOG_WARN, "the safety net of orders past their release failed", "cause", ctx->error.internal,
                   NULL);
        if (code) return;
        next_round(ctx);
    } while (n == OVERDUE_PAGE && tf_ctx_left_us(ctx) > 0 && !tf_app_stopping(settle_app));

    tf_pg_params_init(&params, ctx);
    tf_pg_int4(&params, TOMBSTONES_MAX);
    if (tf_pg_query(ctx, tf_app_pg(settle_app), &delete_tombstones, &params, NULL))
        tf_log(TF_LOG_WARN, "old tombstones not removed", "cause", ctx->error.internal, NULL);
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

void settle_now(tf_ctx *ctx, int bucket, int64_t show_id, int64_t order_no)
{
    struct settle_item item = {.bucket = bucket, .show_id = show_id, .order_no = order_no};
    struct tf_error before = ctx->error;
    int64_t deadline_us = ctx->deadline_us;

    /* The caller's own error, if any, stays the first one; and he is answered although a server is silent. */
    tf_error_clear(ctx);
    ctx->deadline_us = TF_MIN(deadline_us, tf_mono_us() + NOW_US_MAX);
    if (settle_batch(ctx, &item, 1) && tf_log_threshold() <= TF_LOG_DEBUG)
        tf_log(TF_LOG_DEBUG, "left to its due time", "cause", ctx->error.internal, NULL);
    ctx->deadline_us = deadline_us;
    ctx->error = before;
}

void settle_queue_wake(void)
{
    if (workers.queue) tf_periodic_wake(workers.queue);
}

tf_code settle_start(struct tf_app *app)
{
    struct tf_stream_config config = {
        .redis = tf_app_redis_config(app),
        .stream = SETTLE_STREAM,
        .group = "settle",
        .consumer = tf_app_instance(app),
        .batch_max = SETTLE_BATCH_MAX,
        .retry_after_ms = LEASE_MS,
        .handler_timeout_ms = HANDLER_MS_MAX,
        .handler = consume,
    };

    settle_app = app;
    workers.consumer = tf_stream_consumer_start(&config);
    if (!workers.consumer) return TF_OVERLOADED;
    workers.scheduler = tf_periodic_start(app, "due orders", (int)order_config.settle_interval_ms, schedule, NULL);
    workers.queue = tf_periodic_start(app, "settle queue", QUEUE_INTERVAL_MS, work_queue, NULL);
    workers.net = tf_periodic_start(app, "safety net", (int)order_config.safety_net_s * 1000, look_overdue, NULL);
    return TF_OK;
}

void settle_stop(void)
{
    tf_periodic_stop(TF_TAKE(workers.scheduler));
    tf_periodic_stop(TF_TAKE(workers.queue));
    tf_periodic_stop(TF_TAKE(workers.net));
    if (workers.consumer) tf_stream_consumer_stop(TF_TAKE(workers.consumer));
}
