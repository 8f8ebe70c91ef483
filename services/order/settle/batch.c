/* One settling: read; where an order is missing or over, write (tombstone, cancellation) and read again; then tell
 * Redis, show by show, what the snapshot said. A place is freed only after PostgreSQL says that its order is not live
 * and never will be. */
#include "services/order/settle/batch.h"

#include "common/base/chaos.h"
#include "services/order/events/order_event.h"
#include "services/order/inventory/due.h"
#include "ticketflow/order/v1/order.tf.h"

#include <stdlib.h>
#include <string.h>

tf_app *settle_app;

static tf_counter settled = TF_COUNTER("tf_order_settled_total", "Orders settled, by what PostgreSQL said", "state");
static tf_counter kept = TF_COUNTER("tf_order_settle_kept_total", "Orders whose settling has to be repeated", "cause");

#define SETTLE_COLUMNS                                                                                                 \
    "epoch, state, kind, user_id, organiser_id, currency, total_minor, pay_by_at, release_at, over, live"
enum column { EPOCH, STATE, KIND, USER, ORGANISER, CURRENCY, TOTAL, PAY_BY, RELEASE, OVER, LIVE };
enum { KIND_BLOCK = 2 };

static const struct tf_pg_stmt read_stmt = {
    .name = "settle_read",
    .sql = "SELECT " SETTLE_COLUMNS " FROM settle_read($1, $2, $3)",
};
static const struct tf_pg_stmt write_stmt = {
    .name = "settle_orders",
    .sql = "SELECT " SETTLE_COLUMNS " FROM settle_orders($1, $2, $3, $4, $5, $6, $7)",
    .writes = true,
};

/* What one snapshot said of one item. */
struct told {
    struct settle_item *item;
    const tf_pg_result *rows;
    int row;
};

static int by_order(const void *a, const void *b)
{
    const struct settle_item *x = a, *y = b;

    if (x->bucket != y->bucket) return x->bucket < y->bucket ? -1 : 1;
    return (x->order_no > y->order_no) - (x->order_no < y->order_no);
}

/* $1 … $3 of both functions. */
static bool add_items(tf_pg_params *params, tf_ctx *ctx, struct settle_item *const *items, size_t n)
{
    int16_t *buckets = TF_NEW_ARRAY(ctx->arena, int16_t, n);
    int64_t *orders = TF_NEW_ARRAY(ctx->arena, int64_t, n), *shows = TF_NEW_ARRAY(ctx->arena, int64_t, n);

    if (!buckets || !orders || !shows) return false;
    for (size_t i = 0; i < n; i++) {
        buckets[i] = (int16_t)items[i]->bucket;
        orders[i] = items[i]->order_no;
        shows[i] = items[i]->show_id;
    }
    tf_pg_params_init(params, ctx);
    tf_pg_int2_array(params, buckets, n);
    tf_pg_int8_array(params, orders, n);
    tf_pg_int8_array(params, shows, n);
    return true;
}

static tf_code read_items(tf_ctx *ctx, struct settle_item *const *items, size_t n, tf_pg_result **ret_rows)
{
    tf_pg_params params;

    if (!add_items(&params, ctx, items, n)) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    return tf_pg_query(ctx, tf_app_pg(settle_app), &read_stmt, &params, ret_rows);
}

/* The event of an order that is over; what it says of the order never changes. */
static tf_code cancelled_event(tf_ctx *ctx, const struct told *told, int64_t *ret_id, struct tf_pg_bytes *ret_envelope)
{
    struct order_row order = {
        .bucket = told->item->bucket,
        .order_no = told->item->order_no,
        .show_id = told->item->show_id,
        .organiser_id = tf_pg_get_int(told->rows, told->row, ORGANISER),
        .user_id = tf_pg_get_int(told->rows, told->row, USER),
        .state = ORDER_STATE_CANCELLED,
        .cancel_reason = CANCEL_REASON_EXPIRED,
        .currency = tf_pg_get_text(told->rows, told->row, CURRENCY),
        .total_minor = tf_pg_get_int(told->rows, told->row, TOTAL),
        .pay_by_at = tf_pg_get_time(told->rows, told->row, PAY_BY),
    };

    return order_event_cancelled(ctx, &order, ctx->clock->wall_us(ctx->clock), ret_id, ret_envelope);
}

/* told[]: the orders to write, from the first read; in the same order in the result. */
static tf_code write_items(tf_ctx *ctx, const struct told *told, size_t n, tf_pg_result **ret_rows)
{
    struct settle_item **items = TF_NEW_ARRAY(ctx->arena, struct settle_item *, n);
    struct tf_pg_bytes *events = TF_NEW_ARRAY(ctx->arena, struct tf_pg_bytes, n);
    int64_t *event_ids = TF_NEW_ARRAY(ctx->arena, int64_t, n);
    tf_pg_params params;
    tf_code code;

    if (!items || !events || !event_ids) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    for (size_t i = 0; i < n; i++) {
        items[i] = told[i].item;
        events[i].data = "";
        if (!tf_pg_get_bool(told[i].rows, told[i].row, OVER)) continue;
        code = cancelled_event(ctx, &told[i], &event_ids[i], &events[i]);
        if (code) return code;
    }
    if (!add_items(&params, ctx, items, n)) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    tf_pg_int8_array(&params, event_ids, n);
    tf_pg_bytes_array(&params, events, n);
    tf_pg_text(&params, tf_app_instance(settle_app));
    tf_pg_text(&params, ctx->request_id);
    code = tf_pg_query(ctx, tf_app_pg(settle_app), &write_stmt, &params, ret_rows);
    if (code) return code;
    TF_KILL_POINT(order_settle_written);

    tf_bus_wake(tf_app_bus(settle_app));
    return TF_OK;
}

/* ---- what PostgreSQL said, to Redis --------------------------------------------------------------------------------
 */

static const char *state_name(const struct told *told)
{
    switch (tf_pg_get_int(told->rows, told->row, STATE)) {
    case ORDER_STATE_PENDING_PAYMENT:
        return "pending";
    case ORDER_STATE_PAID:
    case ORDER_STATE_PARTIALLY_REFUNDED:
        return tf_pg_get_int(told->rows, told->row, KIND) == KIND_BLOCK ? "block" : "paid";
    case ORDER_STATE_CANCELLED:
        return "cancelled";
    case ORDER_STATE_REFUNDED:
        return "refunded";
    default:
        return "tombstone";
    }
}

static struct settle_entry entry_of(tf_ctx *ctx, const struct told *told)
{
    struct settle_entry entry = {.order_no = told->item->order_no, .state = 'S'};

    entry.live = tf_pg_get_int_array(ctx, told->rows, told->row, LIVE, &entry.n_live);
    if (tf_pg_get_int(told->rows, told->row, STATE) == ORDER_STATE_PENDING_PAYMENT) {
        entry.state = 'H';
        entry.due_ms = (tf_pg_get_time(told->rows, told->row, RELEASE) + TF_US_PER_MS - 1) / TF_US_PER_MS;
    } else if (tf_pg_get_int(told->rows, told->row, KIND) == KIND_BLOCK) {
        entry.state = 'B';
    }
    return entry;
}

/* n orders of one show, read in one snapshot. */
static tf_code tell_show(tf_ctx *ctx, const struct told *const *told, size_t n)
{
    struct settle_entry *entries = TF_NEW_ARRAY(ctx->arena, struct settle_entry, n);
    int64_t show_id = told[0]->item->show_id;
    enum settle_result result;
    tf_code code;

    if (!entries) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    for (size_t i = 0; i < n; i++)
        entries[i] = entry_of(ctx, told[i]);
    code = inventory_settle(ctx, show_id, tf_pg_get_int(told[0]->rows, told[0]->row, EPOCH), entries, n, &result);
    if (code) return code;
    TF_KILL_POINT(order_settle_told);
    if (result != SETTLE_OK) {
        tf_counter_add_label(&kept, result == SETTLE_STALE ? "stale" : "closed", n);
        return TF_OK;
    }
    for (size_t i = 0; i < n; i++) {
        told[i]->item->settled = true;
        tf_counter_add_label(&settled, state_name(told[i]), 1);
    }
    return TF_OK;
}

static int by_show(const void *a, const void *b)
{
    const struct told *x = *(const struct told *const *)a, *y = *(const struct told *const *)b;

    if (x->item->show_id != y->item->show_id) return x->item->show_id < y->item->show_id ? -1 : 1;
    if (x->rows != y->rows) return x->rows < y->rows ? -1 : 1; /* snapshots apart */
    return x->row - y->row;
}

static tf_code tell(tf_ctx *ctx, const struct told *told, size_t n)
{
    const struct told **sorted = TF_NEW_ARRAY(ctx->arena, const struct told *, n);
    tf_code first = TF_OK;

    if (!sorted) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    for (size_t i = 0; i < n; i++)
        sorted[i] = &told[i];
    qsort(sorted, n, sizeof(const struct told *), by_show);
    for (size_t from = 0, to; from < n; from = to) {
        tf_code code;

        for (to = from + 1; to < n; to++)
            if (sorted[to]->item->show_id != sorted[from]->item->show_id || sorted[to]->rows != sorted[from]->rows)
                break;
        code = tell_show(ctx, sorted + from, to - from); /* one show's trouble does not hold up the others */
        if (code) tf_counter_add_label(&kept, tf_code_info(code)->reason, to - from);
        if (!first) first = code;
    }
    return first;
}

/* What TF_BROKEN(wall_clock_expiry) does instead of leaving the time to PostgreSQL. */
static tf_code expire_by_own_clock(tf_ctx *ctx, struct settle_item *const *items, size_t n)
{
    static const struct tf_pg_stmt expire = {
        .name = "expire_by_own_clock",
        .sql = "WITH gone AS (UPDATE orders o SET state = 5, cancel_reason = 2, cancelled_at = $4"
               " FROM unnest($1::int2[], $2::int8[], $3::int8[]) AS u(bucket, no, show)"
               " WHERE o.bucket = u.bucket AND o.order_no = u.no AND o.state = 1 AND o.release_at <= $4"
               " RETURNING o.bucket, o.order_no)"
               " UPDATE tickets t SET live = false FROM gone"
               " WHERE t.bucket = gone.bucket AND t.order_no = gone.order_no AND t.live",
        .writes = true,
    };
    tf_pg_params params;

    if (!add_items(&params, ctx, items, n)) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    tf_pg_time(&params, ctx->clock->wall_us(ctx->clock));
    return tf_pg_query(ctx, tf_app_pg(settle_app), &expire, &params, NULL);
}

/* n different orders, sorted. */
static tf_code settle_distinct(tf_ctx *ctx, struct settle_item *const *items, size_t n)
{
    struct told *told = TF_NEW_ARRAY(ctx->arena, struct told, n), *to_write = TF_NEW_ARRAY(ctx->arena, struct told, n);
    tf_pg_result *rows, *written = NULL;
    size_t n_told = 0, n_writes = 0;
    tf_code code, write_code = TF_OK;

    if (!told || !to_write) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    if (TF_BROKEN(wall_clock_expiry)) {
        code = expire_by_own_clock(ctx, items, n);
        if (code) return code;
    }
    code = read_items(ctx, items, n, &rows);
    if (code) return code;
    TF_KILL_POINT(order_settle_read);
    for (size_t i = 0; i < n; i++) {
        struct told this = {items[i], rows, (int)i};

        if (tf_pg_is_null(rows, (int)i, STATE) || tf_pg_get_bool(rows, (int)i, OVER))
            to_write[n_writes++] = this;
        else
            told[n_told++] = this;
    }
    if (n_writes) write_code = write_items(ctx, to_write, n_writes, &written);
    for (size_t i = 0; written && i < n_writes; i++)
        told[n_told++] = (struct told){to_write[i].item, written, (int)i};
    code = n_told ? tell(ctx, told, n_told) : TF_OK;
    return write_code ? write_code : code;
}

tf_code settle_batch(tf_ctx *ctx, struct settle_item *items, size_t n)
{
    struct settle_item **distinct = TF_NEW_ARRAY(ctx->arena, struct settle_item *, n);
    size_t n_distinct = 0;
    tf_code code = TF_OK;

    if (n == 0) return TF_OK;
    if (!distinct) return tf_fail(ctx, TF_INTERNAL, "no memory for settling");
    qsort(items, n, sizeof(*items), by_order);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || items[i].order_no != items[i - 1].order_no) distinct[n_distinct++] = &items[i];
    for (size_t from = 0; from < n_distinct && !code; from += SETTLE_BATCH_MAX)
        code = settle_distinct(ctx, distinct + from, TF_MIN(n_distinct - from, (size_t)SETTLE_BATCH_MAX));
    for (size_t i = 1; i < n; i++)
        if (items[i].order_no == items[i - 1].order_no) items[i].settled = items[i - 1].settled;
    return code;
}
