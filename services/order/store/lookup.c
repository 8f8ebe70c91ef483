/* Looking for orders, and their timeline: SQL. */
#include "services/order/store/lookup.h"

#include "common/base/id.h"
#include "common/chassis/service.h"
#include "services/order/store/row_sql.h"

/* The beginning of an order stands in its own row: domain/trace.h says how. */
#define BEGUN                                                                                                          \
    "(SELECT o.*, string_to_array(o.trace, ' ') AS w FROM orders o"                                                    \
    " WHERE o.bucket = $1 AND o.order_no = $2 AND " ORDER_IS_SALE ") b"
#define SINCE_1970(us) "timestamptz 'epoch' + (" us ")::int8 * interval '1 microsecond'"

static const struct tf_pg_stmt select_timeline = {
    .name = "order_timeline",
    .sql = TF_HISTORY_PAGE(
        TF_HISTORY_OWN
        " UNION ALL "
        "SELECT " SINCE_1970(
            "b.w[3]") ", b.order_no, 0, 'order.requested', b.w[2], b.w[1],"
                      " jsonb_build_object('user_id', b.user_id::text, 'show_id', b.show_id::text, 'key', b.request_id)"
                      " FROM " BEGUN " WHERE cardinality(b.w) = 5"
                      " UNION ALL "
                      "SELECT " SINCE_1970("b.w[4]") ", b.order_no, 1, 'order.held', b.w[2], b.w[1],"
                                                     " jsonb_build_object('epoch', b.epoch::text, 'place_nos', (SELECT "
                                                     "string_agg(t.place_no::text, ',' ORDER BY"
                                                     " t.place_no) FROM tickets t WHERE t.bucket = b.bucket AND "
                                                     "t.order_no = b.order_no))"
                                                     " FROM " BEGUN " WHERE cardinality(b.w) = 5"
                                                     " UNION ALL "
                                                     "SELECT b.created_at, b.order_no, 2, 'order.committed', "
                                                     "coalesce(b.w[2], ''), coalesce(b.w[1], ''),"
                                                     " jsonb_build_object('amount_minor', b.total_minor::text, "
                                                     "'currency', b.currency, 'tickets', b.n_tickets::text,"
                                                     " 'terms', b.terms::text, 'pay_by_time', to_char(b.pay_by_at AT "
                                                     "TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))"
                                                     " FROM " BEGUN " UNION ALL "
                                                     "SELECT x.sent_at, x.event_id, 4, 'event.sent', b.w[2], b.w[1],"
                                                     " jsonb_build_object('event', 'order.created', 'event_id', "
                                                     "x.event_id::text, 'topic', x.topic)"
                                                     " FROM " BEGUN
                                                     " JOIN outbox x ON x.bucket = b.bucket AND x.event_id = "
                                                     "b.w[5]::int8 AND x.sent_at IS NOT NULL"),
};
static const struct tf_pg_stmt select_of_user = {
    .name = "lookup_user",
    .sql = "SELECT o.order_no FROM orders o WHERE o.user_id = $1 AND o.order_no < $2 AND " ORDER_IS_SALE
           " AND ($4 = 0 OR o.organiser_id = $4) ORDER BY o.order_no DESC LIMIT $3",
};
/* Each half by its index: tickets_live, tickets_dead. */
static const struct tf_pg_stmt select_of_place = {
    .name = "lookup_place",
    .sql =
        "SELECT order_no FROM ("
        "SELECT order_no FROM tickets WHERE bucket = $4 AND show_id = $1 AND place_no = $5 AND live AND order_no < $2"
        " UNION "
        "SELECT order_no FROM tickets WHERE bucket = $4 AND show_id = $1 AND place_no = $5 AND NOT live"
        " AND order_no < $2) found ORDER BY order_no DESC LIMIT $3",
};

tf_code timeline_of_order(tf_ctx *ctx, int64_t order_no, const struct tf_history_position *after, int n,
                          HistoryEntry ***ret_entries, size_t *ret_n)
{
    tf_pg_params params;

    tf_history_page(&params, ctx, order_no, after, n);
    return tf_history_read(ctx, tf_app_pg(ctx->app), &select_timeline, &params, ret_entries, ret_n);
}

static tf_code read_numbers(tf_ctx *ctx, const struct tf_pg_stmt *stmt, const tf_pg_params *params,
                            struct order_numbers *ret_numbers)
{
    tf_pg_result *rows;
    tf_code code;

    code = tf_pg_query(ctx, tf_app_pg(ctx->app), stmt, params, &rows);
    if (code) return code;

    ret_numbers->n = (size_t)tf_pg_rows(rows);
    ret_numbers->order_nos = TF_NEW_ARRAY(ctx->arena, int64_t, ret_numbers->n);
    if (!ret_numbers->order_nos) return tf_fail(ctx, TF_INTERNAL, "no memory for order numbers");
    for (size_t i = 0; i < ret_numbers->n; i++)
        ret_numbers->order_nos[i] = tf_pg_get_int(rows, (int)i, 0);
    return TF_OK;
}

/* $1 … $3 */
static void list_params(tf_pg_params *params, tf_ctx *ctx, int64_t of, int64_t before, int n)
{
    tf_pg_params_init(params, ctx);
    tf_pg_int8(params, of);
    tf_pg_int8(params, before);
    tf_pg_int4(params, n);
}

tf_code lookup_user(tf_ctx *ctx, int64_t user_id, int64_t organiser_id, int64_t before, int n,
                    struct order_numbers *ret_numbers)
{
    tf_pg_params params;

    list_params(&params, ctx, user_id, before, n);
    tf_pg_int8(&params, organiser_id);
    return read_numbers(ctx, &select_of_user, &params, ret_numbers);
}

tf_code lookup_place(tf_ctx *ctx, int64_t show_id, int32_t place_no, int64_t before, int n,
                     struct order_numbers *ret_numbers)
{
    tf_pg_params params;

    list_params(&params, ctx, show_id, before, n);
    tf_pg_int2(&params, (int16_t)tf_bucket_of_show(show_id));
    tf_pg_int4(&params, place_no);
    return read_numbers(ctx, &select_of_place, &params, ret_numbers);
}
