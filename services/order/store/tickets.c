/* The ticket's row decides between two doors, and between a door and a refund. */
#include "services/order/store/tickets.h"

#include "common/base/id.h"
#include "common/chassis/history.h"
#include "common/chassis/service.h"
#include "services/order/store/row_sql.h"

static const struct tf_pg_stmt select_ticket = {
    .name = "ticket_read",
    .sql = "SELECT " ORDER_COLUMNS ", " TICKET_COLUMNS ", t.used_door"
           " FROM tickets t JOIN orders o ON o.bucket = t.bucket AND o.order_no = t.order_no"
           " WHERE t.bucket = $1 AND t.ticket_id = $2 AND " ORDER_IS_SALE,
};
#define HISTORY_OF_SCAN(of, values)                                                                                    \
    "INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)"                     \
    " SELECT " of ".bucket, " of ".order_no, " values " FROM " of

/* A refund sets the order's state first and waits for this row then: whoever has the row second re-reads it. */
static const struct tf_pg_stmt update_used = {
    .name = "ticket_admit",
    .sql =
        "WITH admitted AS (UPDATE tickets t SET used_at = $5, used_door = $6 FROM orders o"
        " WHERE t.bucket = $1 AND t.ticket_id = $2 AND t.show_id = $3 AND t.issue = $4 AND t.live AND t.used_at IS NULL"
        " AND o.bucket = t.bucket AND o.order_no = t.order_no AND o.kind = 1 AND o.state IN (2, 3)"
        " RETURNING t.bucket, t.order_no) " HISTORY_OF_SCAN("admitted", "$7, $8, $9, $10, $11, jsonb_object($12)"),
    .writes = true,
};
/* Whoever stands at a door with a refused code tries again and again. */
static const struct tf_pg_stmt insert_refused = {
    .name = "ticket_refused",
    .sql = "WITH refused AS (SELECT t.bucket, t.order_no FROM tickets t WHERE t.bucket = $1 AND t.ticket_id = "
           "$2) " HISTORY_OF_SCAN(
               "refused", "$3, $4, $5, $6, $7, jsonb_object($8)") " WHERE (SELECT count(*) FROM (SELECT FROM "
                                                                  "order_history h WHERE h.bucket = refused.bucket"
                                                                  " AND h.order_no = refused.order_no AND h.kind = "
                                                                  "'ticket.refused' LIMIT $9) known) < $9",
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

/* The scan's entry in the order's history, appended as tf_history_params says. */
static tf_code scan_params(tf_ctx *ctx, tf_pg_params *params, const struct scan *scan, const char *refusal)
{
    const char *facts[] = {"ticket_id",  tf_history_int(ctx, scan->ticket_id),
                           "show_id",    tf_history_int(ctx, scan->show_id),
                           "reason",     refusal,
                           "door",       scan->door,
                           "by_user_id", tf_history_int(ctx, ctx->identity.user_id),
                           NULL};

    return tf_history_params(ctx, params,
                             &(struct tf_history){.order_no = scan->ticket_id, /* of the same bucket */
                                                  .kind = refusal ? "ticket.refused" : "ticket.admitted",
                                                  .at = scan->at,
                                                  .facts = facts});
}

tf_code ticket_admit(tf_ctx *ctx, const struct scan *scan, bool *ret_admitted)
{
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_id_bucket(scan->ticket_id));
    tf_pg_int8(&params, scan->ticket_id);
    tf_pg_int8(&params, scan->show_id);
    tf_pg_int2(&params, (int16_t)scan->issue);
    tf_pg_time(&params, scan->at);
    tf_pg_text(&params, *scan->door ? scan->door : NULL);
    code = scan_params(ctx, &params, scan, NULL);
    if (code) return code;

    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &update_used, &params, &result);
    if (code) return code;

    *ret_admitted = tf_pg_affected(result) == 1;
    return TF_OK;
}

tf_code ticket_refused(tf_ctx *ctx, const struct scan *scan, tf_code refusal)
{
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_id_bucket(scan->ticket_id));
    tf_pg_int8(&params, scan->ticket_id);
    code = scan_params(ctx, &params, scan, tf_code_info(refusal)->reason);
    if (code) return code;

    tf_pg_int4(&params, REFUSED_SCANS_MAX);
    return tf_pg_query(ctx, tf_app_pg(ctx->app), &insert_refused, &params, NULL);
}
