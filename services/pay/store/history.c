/* The history of money: SQL. */
#include "services/pay/store/history.h"

#include "common/chassis/service.h"

/* A notification's id among the entries is the beginning of its digest. Bodies are shown as they came, bounded; bytes
 * beyond ASCII as octal. */
static const struct tf_pg_stmt select_page = {
    .name = "history_page",
    .sql = TF_HISTORY_PAGE(
        TF_HISTORY_OWN
        " UNION ALL "
        "SELECT n.received_at, ('x' || encode(substr(n.digest, 1, 8), 'hex'))::bit(64)::int8, 2, 'payment.notified',"
        " n.process, n.trace, jsonb_build_object('payment_id', n.payment_id::text, 'channel', n.channel,"
        " 'outcome', n.outcome, 'copies', n.copies::text, 'body', encode(substr(n.body, 1, 4000), 'escape'))"
        " FROM payment p JOIN notification n ON n.bucket = p.bucket AND n.payment_id = p.payment_id"
        " WHERE p.bucket = $1 AND p.order_no = $2"),
};
static const struct tf_pg_stmt by_provider_no = {
    .name = "orders_of_provider_no",
    .sql = "SELECT DISTINCT order_no FROM payment WHERE provider_no = $1 ORDER BY order_no DESC LIMIT $2",
};

tf_code history_of_order(tf_ctx *ctx, int64_t order_no, const struct tf_history_position *after, int n,
                         HistoryEntry ***ret_entries, size_t *ret_n)
{
    tf_pg_params params;

    tf_history_page(&params, ctx, order_no, after, n);
    return tf_history_read(ctx, tf_app_pg(ctx->app), &select_page, &params, ret_entries, ret_n);
}

tf_code orders_of_provider_no(tf_ctx *ctx, const char *provider_no, int n, int64_t **ret_order_nos, size_t *ret_n)
{
    tf_pg_params params;
    tf_pg_result *rows;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, provider_no);
    tf_pg_int4(&params, n);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &by_provider_no, &params, &rows);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(rows);
    *ret_order_nos = TF_NEW_ARRAY(ctx->arena, int64_t, *ret_n);
    if (!*ret_order_nos) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_order_nos)[i] = tf_pg_get_int(rows, (int)i, 0);
    return TF_OK;
}
