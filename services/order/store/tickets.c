/* The ticket's row decides between two doors, and between a door and a refund. */
#include "services/order/store/tickets.h"

#include "common/base/id.h"
#include "common/chassis/service.h"
#include "services/order/store/row_sql.h"

static const struct tf_pg_stmt select_ticket = {
    .name = "ticket_read",
    .sql = "SELECT " ORDER_COLUMNS ", " TICKET_COLUMNS ", t.used_door"
           " FROM tickets t JOIN orders o ON o.bucket = t.bucket AND o.order_no = t.order_no"
           " WHERE t.bucket = $1 AND t.ticket_id = $2 AND " ORDER_IS_SALE,
};
/* A refund sets the order's state first and waits for this row then: whoever has the row second re-reads it. */
static const struct tf_pg_stmt update_used = {
    .name = "ticket_admit",
    .sql =
        "UPDATE tickets t SET used_at = $5, used_door = $6 FROM orders o"
        " WHERE t.bucket = $1 AND t.ticket_id = $2 AND t.show_id = $3 AND t.issue = $4 AND t.live AND t.used_at IS NULL"
        " AND o.bucket = t.bucket AND o.order_no = t.order_no AND o.kind = 1 AND o.state IN (2, 3)",
    .writes = true,
};

tf_code ticket_read(tf_ctx *ctx, int64_t ticket_id, struct ticket_of_order *ret_ticket)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    if (ticket_id <= 0) return tf_fail(ctx, TF_NOT_FOUND, "ticket %lld", (long long)ticket_id);
    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_id_bucket(ticket_id));
    tf_pg_int8(&params, ticket_id);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &select_ticket, &params, &rows);
    if (code) return code;
    if (tf_pg_rows(rows) == 0) return tf_fail(ctx, TF_NOT_FOUND, "ticket %lld", (long long)ticket_id);

    *ret_ticket = (struct ticket_of_order){
        .order = row_order(rows, 0),
        .ticket = row_ticket(rows, 0, ROW_ORDER_COLUMNS),
        .used_door = tf_pg_get_text(rows, 0, ROW_ORDER_COLUMNS + ROW_TICKET_COLUMNS),
    };
    return TF_OK;
}

tf_code ticket_admit(tf_ctx *ctx, int64_t ticket_id, int64_t show_id, int issue, const char *door, tf_time now,
                     bool *ret_admitted)
{
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_id_bucket(ticket_id));
    tf_pg_int8(&params, ticket_id);
    tf_pg_int8(&params, show_id);
    tf_pg_int2(&params, (int16_t)issue);
    tf_pg_time(&params, now);
    tf_pg_text(&params, *door ? door : NULL);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &update_used, &params, &result);
    if (code) return code;

    *ret_admitted = tf_pg_affected(result) == 1;
    return TF_OK;
}
