/* Orders and what belongs to them, by number. Several numbers are one query per table; each number tells its bucket. */
#include "services/order/store/order_read.h"

#include "common/base/id.h"
#include "common/chassis/service.h"
#include "services/order/store/row_sql.h"

enum { ORDERS_MAX = 100 };

#define THESE_ORDERS(alias) "(" alias ".bucket, " alias ".order_no) IN (SELECT * FROM unnest($1::int2[], $2::int8[]))"

static const struct tf_pg_stmt select_one = {
    .name = "order_one",
    .sql = "SELECT " ORDER_COLUMNS " FROM orders o WHERE o.bucket = $1 AND o.order_no = $2 AND " ORDER_IS_SALE,
};
/* One question for the commonest answer: the order with its tickets. */
static const struct tf_pg_stmt select_one_tickets = {
    .name = "order_one_tickets",
    .sql = "SELECT " ORDER_COLUMNS ", " TICKET_COLUMNS
           " FROM orders o LEFT JOIN tickets t ON t.bucket = o.bucket AND t.order_no = o.order_no"
           " WHERE o.bucket = $1 AND o.order_no = $2 AND " ORDER_IS_SALE " ORDER BY t.place_no",
};
static const struct tf_pg_stmt select_many = {
    .name = "order_many",
    .sql = "SELECT " ORDER_COLUMNS " FROM orders o WHERE " THESE_ORDERS("o") " AND " ORDER_IS_SALE,
};
static const struct tf_pg_stmt select_tickets = {
    .name = "order_tickets",
    .sql = "SELECT " TICKET_COLUMNS
           ", t.order_no FROM tickets t WHERE " THESE_ORDERS("t") " ORDER BY t.order_no, t.place_no",
};
static const struct tf_pg_stmt select_payments = {
    .name = "order_payments",
    .sql = "SELECT p.order_no, p.payment_id, p.amount_minor, p.method, p.state, p.at FROM order_payment p "
           "WHERE " THESE_ORDERS("p") " ORDER BY p.order_no, p.at, p.payment_id",
};
static const struct tf_pg_stmt select_refunds = {
    .name = "order_refunds",
    .sql = "SELECT r.order_no, r.refund_id, r.payment_id, r.amount_minor, r.reason, r.note, r.state, r.requested_at, "
           "r.succeeded_at"
           " FROM refund_due r WHERE " THESE_ORDERS("r") " ORDER BY r.order_no, r.requested_at, r.refund_id",
};
static const struct tf_pg_stmt select_key = {
    .name = "order_key",
    .sql = "SELECT order_no, body_hash FROM orders"
           " WHERE bucket = $1 AND show_id = $2 AND user_id = $3 AND request_id = $4 AND kind = 1",
};
static const struct tf_pg_stmt select_pending = {
    .name = "order_pending",
    .sql = "SELECT order_no FROM orders WHERE bucket = $1 AND show_id = $2 AND user_id = $3 AND state = 1 AND kind = 1"
           " ORDER BY order_no DESC LIMIT 1",
};
static const struct tf_pg_stmt count_used = {
    .name = "order_used",
    .sql = "SELECT count(*) FROM orders o JOIN tickets t ON t.bucket = o.bucket AND t.order_no = o.order_no"
           " WHERE o.bucket = $1 AND o.show_id = $2 AND o.user_id = $3 AND o.kind = 1 AND t.live",
};

static tf_pg *pool(const tf_ctx *ctx)
{
    return tf_app_pg(ctx->app);
}

static void these_orders(tf_pg_params *params, tf_ctx *ctx, const int64_t *order_nos, size_t n)
{
    int16_t buckets[ORDERS_MAX];

    for (size_t i = 0; i < n; i++)
        buckets[i] = (int16_t)tf_id_bucket(order_nos[i]);
    tf_pg_params_init(params, ctx);
    tf_pg_int2_array(params, buckets, n);
    tf_pg_int8_array(params, order_nos, n);
}

static struct order_row *row_of(struct order_row *orders, size_t n, int64_t order_no)
{
    for (size_t i = 0; i < n; i++)
        if (orders[i].order_no == order_no) return &orders[i];
    return NULL;
}

/* Rows come sorted by order; each order's lie side by side in one array. */
static tf_code read_tickets(tf_ctx *ctx, const int64_t *order_nos, size_t n_nos, struct order_row *orders, size_t n)
{
    struct ticket_row *tickets;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    these_orders(&params, ctx, order_nos, n_nos);
    code = tf_pg_query(ctx, pool(ctx), &select_tickets, &params, &rows);
    if (code) return code;

    tickets = TF_NEW_ARRAY(ctx->arena, struct ticket_row, (size_t)tf_pg_rows(rows));
    if (!tickets) return tf_fail(ctx, TF_INTERNAL, "no memory for tickets");
    for (int i = 0; i < tf_pg_rows(rows); i++) {
        struct order_row *order = row_of(orders, n, tf_pg_get_int(rows, i, ROW_TICKET_COLUMNS));

        tickets[i] = row_ticket(rows, i, 0);
        if (!order) continue;
        if (!order->n_loaded) order->tickets = &tickets[i];
        order->n_loaded++;
    }
    return TF_OK;
}

static tf_code read_payments(tf_ctx *ctx, const int64_t *order_nos, size_t n_nos, struct order_row *orders, size_t n)
{
    struct payment_row *payments;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    these_orders(&params, ctx, order_nos, n_nos);
    code = tf_pg_query(ctx, pool(ctx), &select_payments, &params, &rows);
    if (code) return code;

    payments = TF_NEW_ARRAY(ctx->arena, struct payment_row, (size_t)tf_pg_rows(rows));
    if (!payments) return tf_fail(ctx, TF_INTERNAL, "no memory for payments");
    for (int i = 0; i < tf_pg_rows(rows); i++) {
        struct order_row *order = row_of(orders, n, tf_pg_get_int(rows, i, 0));

        payments[i] = (struct payment_row){
            .payment_id = tf_pg_get_int(rows, i, 1),
            .amount_minor = tf_pg_get_int(rows, i, 2),
            .method = tf_pg_get_text(rows, i, 3),
            .state = tf_pg_get_text(rows, i, 4),
            .at = tf_pg_get_time(rows, i, 5),
        };
        if (!order) continue;
        if (!order->n_payments) order->payments = &payments[i];
        order->n_payments++;
    }
    return TF_OK;
}

static tf_code read_refunds(tf_ctx *ctx, const int64_t *order_nos, size_t n_nos, struct order_row *orders, size_t n)
{
    struct refund_row *refunds;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    these_orders(&params, ctx, order_nos, n_nos);
    code = tf_pg_query(ctx, pool(ctx), &select_refunds, &params, &rows);
    if (code) return code;

    refunds = TF_NEW_ARRAY(ctx->arena, struct refund_row, (size_t)tf_pg_rows(rows));
    if (!refunds) return tf_fail(ctx, TF_INTERNAL, "no memory for refunds");
    for (int i = 0; i < tf_pg_rows(rows); i++) {
        struct order_row *order = row_of(orders, n, tf_pg_get_int(rows, i, 0));

        refunds[i] = (struct refund_row){
            .refund_id = tf_pg_get_int(rows, i, 1),
            .payment_id = tf_pg_get_int(rows, i, 2),
            .amount_minor = tf_pg_get_int(rows, i, 3),
            .reason = tf_pg_get_text(rows, i, 4),
            .note = tf_pg_get_text(rows, i, 5),
            .state = tf_pg_get_text(rows, i, 6),
            .requested_at = tf_pg_get_time(rows, i, 7),
            .succeeded_at = tf_pg_get_time(rows, i, 8),
        };
        if (!order) continue;
        if (!order->n_refunds) order->refunds = &refunds[i];
        order->n_refunds++;
    }
    return TF_OK;
}

static tf_code read_money(tf_ctx *ctx, const int64_t *order_nos, size_t n_nos, struct order_row *orders, size_t n)
{
    tf_code code = read_payments(ctx, order_nos, n_nos, orders, n);

    return code ? code : read_refunds(ctx, order_nos, n_nos, orders, n);
}

static void one_order(tf_pg_params *params, tf_ctx *ctx, int64_t order_no)
{
    tf_pg_params_init(params, ctx);
    tf_pg_int2(params, (int16_t)tf_id_bucket(order_no));
    tf_pg_int8(params, order_no);
}

static tf_code unknown(tf_ctx *ctx, int64_t order_no)
{
    return tf_fail(ctx, TF_NOT_FOUND, "order %lld", (long long)order_no);
}

tf_code order_read(tf_ctx *ctx, int64_t order_no, unsigned parts, struct order_row *ret_order)
{
    struct order_row order;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    if (order_no <= 0) return unknown(ctx, order_no);
    one_order(&params, ctx, order_no);
    code = tf_pg_query(ctx, pool(ctx), parts & ORDER_TICKETS ? &select_one_tickets : &select_one, &params, &rows);
    if (code) return code;
    if (tf_pg_rows(rows) == 0) return unknown(ctx, order_no);

    order = row_order(rows, 0);
    if ((parts & ORDER_TICKETS) && !tf_pg_is_null(rows, 0, ROW_ORDER_COLUMNS)) {
        order.n_loaded = (size_t)tf_pg_rows(rows);
        order.tickets = TF_NEW_ARRAY(ctx->arena, struct ticket_row, order.n_loaded);
        if (!order.tickets) return tf_fail(ctx, TF_INTERNAL, "no memory for tickets");
        for (size_t i = 0; i < order.n_loaded; i++)
            order.tickets[i] = row_ticket(rows, (int)i, ROW_ORDER_COLUMNS);
    }
    if (parts & ORDER_MONEY) {
        code = read_money(ctx, &order_no, 1, &order, 1);
        if (code) return code;
    }
    *ret_order = order;
    return TF_OK;
}

tf_code order_read_in(tf_pg_conn *conn, tf_ctx *ctx, int64_t order_no, struct order_row *ret_order)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    one_order(&params, ctx, order_no);
    code = tf_pg_exec(conn, ctx, &select_one, &params, &rows);
    if (code) return code;
    if (tf_pg_rows(rows) == 0) return unknown(ctx, order_no);

    *ret_order = row_order(rows, 0);
    return TF_OK;
}

tf_code orders_read(tf_ctx *ctx, const int64_t *order_nos, size_t n, struct order_row **ret_orders, size_t *ret_n)
{
    struct order_row *found, *orders;
    size_t n_found, n_orders = 0;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    TF_ASSERT(n <= ORDERS_MAX);
    these_orders(&params, ctx, order_nos, n);
    code = tf_pg_query(ctx, pool(ctx), &select_many, &params, &rows);
    if (code) return code;

    n_found = (size_t)tf_pg_rows(rows);
    found = TF_NEW_ARRAY(ctx->arena, struct order_row, n_found);
    orders = TF_NEW_ARRAY(ctx->arena, struct order_row, n_found);
    if (!found || !orders) return tf_fail(ctx, TF_INTERNAL, "no memory for orders");
    for (size_t i = 0; i < n_found; i++)
        found[i] = row_order(rows, (int)i);
    for (size_t i = 0; i < n && n_orders < n_found; i++) {
        const struct order_row *order = row_of(found, n_found, order_nos[i]);

        if (order) orders[n_orders++] = *order;
    }

    code = read_tickets(ctx, order_nos, n, orders, n_orders);
    if (code) return code;

    code = read_money(ctx, order_nos, n, orders, n_orders);
    if (code) return code;

    *ret_orders = orders;
    *ret_n = n_orders;
    return TF_OK;
}

static void of_buyer(tf_pg_params *params, tf_ctx *ctx, int64_t show_id, int64_t user_id)
{
    tf_pg_params_init(params, ctx);
    tf_pg_int2(params, (int16_t)tf_bucket_of_show(show_id));
    tf_pg_int8(params, show_id);
    tf_pg_int8(params, user_id);
}

tf_code order_find_key(tf_ctx *ctx, int64_t show_id, int64_t user_id, const char *request_id, int64_t *ret_order_no,
                       const char **ret_body_hash)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    of_buyer(&params, ctx, show_id, user_id);
    tf_pg_text(&params, request_id);
    code = tf_pg_query(ctx, pool(ctx), &select_key, &params, &rows);
    if (code) return code;
    if (tf_pg_rows(rows) == 0) return TF_NOT_FOUND;

    *ret_order_no = tf_pg_get_int(rows, 0, 0);
    *ret_body_hash = tf_pg_get_text(rows, 0, 1);
    return TF_OK;
}

tf_code order_find_pending(tf_ctx *ctx, int64_t show_id, int64_t user_id, int64_t *ret_order_no)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    of_buyer(&params, ctx, show_id, user_id);
    code = tf_pg_query(ctx, pool(ctx), &select_pending, &params, &rows);
    if (code) return code;

    *ret_order_no = tf_pg_rows(rows) ? tf_pg_get_int(rows, 0, 0) : 0;
    return TF_OK;
}

tf_code order_count_used(tf_ctx *ctx, int64_t show_id, int64_t user_id, int *ret_used)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    of_buyer(&params, ctx, show_id, user_id);
    code = tf_pg_query(ctx, pool(ctx), &count_used, &params, &rows);
    if (code) return code;

    *ret_used = (int)tf_pg_get_int(rows, 0, 0);
    return TF_OK;
}
