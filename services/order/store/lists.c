/* Keyset pagination: a page costs the same wherever it starts. */
#include "services/order/store/lists.h"

#include "common/chassis/service.h"
#include "services/order/store/row_sql.h"

#define ORDERS_WHERE(condition)                                                                                        \
    "SELECT o.order_no FROM orders o WHERE o.user_id = $1 AND o.order_no < $2 AND " ORDER_IS_SALE " AND (" condition   \
    ")"                                                                                                                \
    " ORDER BY o.order_no DESC LIMIT $3"
#define SHOW_BEGINS(relation)                                                                                          \
    "EXISTS (SELECT FROM inventory i WHERE i.bucket = o.bucket AND i.show_id = o.show_id AND i.starts_at " relation    \
    " $4)"

static const struct {
    struct tf_pg_stmt stmt;
    bool by_time; /* takes $4 */
} order_lists[] = {
    [ORDER_FILTER_UNSPECIFIED] = {{.name = "orders_all", .sql = ORDERS_WHERE("true")}, false},
    [ORDER_FILTER_PENDING] = {{.name = "orders_pending", .sql = ORDERS_WHERE("o.state = 1")}, false},
    [ORDER_FILTER_UPCOMING] = {{.name = "orders_upcoming",
                                .sql = ORDERS_WHERE("o.state IN (2, 3) AND " SHOW_BEGINS(">"))},
                               true},
    [ORDER_FILTER_PAST] = {{.name = "orders_past", .sql = ORDERS_WHERE("o.state IN (2, 3) AND " SHOW_BEGINS("<="))},
                           true},
    [ORDER_FILTER_REFUNDED] = {{.name = "orders_refunded",
                                .sql = ORDERS_WHERE("o.state IN (3, 4) OR EXISTS (SELECT FROM refund_due r"
                                                    " WHERE r.bucket = o.bucket AND r.order_no = o.order_no)")},
                               false},
    [ORDER_FILTER_CANCELLED] = {{.name = "orders_cancelled", .sql = ORDERS_WHERE("o.state = 5")}, false},
};

tf_code orders_of_user(tf_ctx *ctx, int64_t user_id, OrderFilter filter, int64_t before, tf_time over_before, int n,
                       const int64_t **ret_order_nos, size_t *ret_n)
{
    int64_t *order_nos;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    TF_ASSERT((size_t)filter < TF_COUNT(order_lists));
    tf_pg_params_init(&params, ctx);
    tf_pg_int8(&params, user_id);
    tf_pg_int8(&params, before);
    tf_pg_int4(&params, n);
    if (order_lists[filter].by_time) tf_pg_time(&params, over_before);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &order_lists[filter].stmt, &params, &rows);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(rows);
    order_nos = TF_NEW_ARRAY(ctx->arena, int64_t, *ret_n);
    if (!order_nos) return tf_fail(ctx, TF_INTERNAL, "no memory for order numbers");
    for (size_t i = 0; i < *ret_n; i++)
        order_nos[i] = tf_pg_get_int(rows, (int)i, 0);
    *ret_order_nos = order_nos;
    return TF_OK;
}

/* The rank rises with the start for coming shows and falls with it for those that are over. */
static const struct tf_pg_stmt select_tickets = {
    .name = "tickets_of_user",
    .sql = "SELECT " ORDER_COLUMNS ", " TICKET_COLUMNS ", l.over, l.rank FROM ("
           "  SELECT i.bucket, i.show_id, i.starts_at <= $2 AS over,"
           "   (extract(epoch FROM i.starts_at) * CASE WHEN i.starts_at <= $2 THEN -1 ELSE 1 END)::int8 AS rank"
           "  FROM inventory i WHERE i.starts_at IS NOT NULL"
           " ) l"
           " JOIN orders o ON o.bucket = l.bucket AND o.show_id = l.show_id"
           " JOIN tickets t ON t.bucket = o.bucket AND t.order_no = o.order_no"
           " WHERE o.user_id = $1 AND o.kind = 1 AND o.state IN (2, 3) AND t.live"
           " AND (NOT $3 OR (l.over, l.rank, t.ticket_id) > ($4, $5, $6))"
           " ORDER BY l.over, l.rank, t.ticket_id LIMIT $7",
};

tf_code tickets_of_user(tf_ctx *ctx, int64_t user_id, const struct ticket_position *after, tf_time over_before, int n,
                        struct ticket_of_order **ret_tickets, size_t *ret_n)
{
    struct ticket_of_order *tickets;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int8(&params, user_id);
    tf_pg_time(&params, over_before);
    tf_pg_bool(&params, after->started);
    tf_pg_bool(&params, after->over);
    tf_pg_int8(&params, after->rank);
    tf_pg_int8(&params, after->ticket_id);
    tf_pg_int4(&params, n);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &select_tickets, &params, &rows);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(rows);
    tickets = TF_NEW_ARRAY(ctx->arena, struct ticket_of_order, *ret_n);
    if (!tickets) return tf_fail(ctx, TF_INTERNAL, "no memory for tickets");
    for (size_t i = 0; i < *ret_n; i++) {
        tickets[i].order = row_order(rows, (int)i);
        tickets[i].ticket = row_ticket(rows, (int)i, ROW_ORDER_COLUMNS);
        tickets[i].over = tf_pg_get_bool(rows, (int)i, ROW_ORDER_COLUMNS + ROW_TICKET_COLUMNS);
        tickets[i].rank = tf_pg_get_int(rows, (int)i, ROW_ORDER_COLUMNS + ROW_TICKET_COLUMNS + 1);
    }
    *ret_tickets = tickets;
    return TF_OK;
}
