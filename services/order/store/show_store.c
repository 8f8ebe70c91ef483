/* SQL of the fence row and the snapshots. */
#include "services/order/store/show_store.h"

#include "common/base/id.h"
#include "common/chassis/service.h"
#include "services/order/domain/window.h"
#include "ticketflow/order/v1/order.tf.h"

#define SHOW_COLUMNS "bucket, show_id, organiser_id, terms, sale_state, offer_sequence, offer_places, offer_sale_state"

static const struct tf_pg_stmt select_show = {
    .name = "show_read",
    .sql = "SELECT " SHOW_COLUMNS " FROM inventory WHERE bucket = $1 AND show_id = $2",
};
static const struct tf_pg_stmt update_state = {
    .name = "show_set_state",
    .sql = "UPDATE inventory SET sale_state = $3 WHERE bucket = $1 AND show_id = $2 AND sale_state <> 3",
    .writes = true,
};
static const struct tf_pg_stmt select_terms = {
    .name = "show_terms",
    .sql = "SELECT terms FROM inventory WHERE bucket = $1 AND show_id = $2",
};
static const struct tf_pg_stmt insert_snapshot = {
    .name = "show_snapshot",
    .sql = "INSERT INTO sale_snapshot (bucket, show_id, version, digest, data) VALUES ($1, $2, $3, $4, $5)"
           " ON CONFLICT (bucket, show_id, version) DO NOTHING",
    .writes = true,
};
static const struct tf_pg_stmt upsert_terms = {
    .name = "show_publish",
    .sql = "INSERT INTO inventory AS i (bucket, show_id, organiser_id, terms, starts_at, opens_at, closes_at)"
           " VALUES ($1, $2, $3, $4, $5, $6, $7)"
           " ON CONFLICT (bucket, show_id) DO UPDATE SET organiser_id = excluded.organiser_id, terms = excluded.terms,"
           " starts_at = excluded.starts_at, opens_at = excluded.opens_at, closes_at = excluded.closes_at"
           " WHERE i.terms < excluded.terms",
    .writes = true,
};
static const struct tf_pg_stmt select_live = {
    .name = "show_has_live",
    .sql = "SELECT EXISTS (SELECT FROM tickets WHERE bucket = $1 AND show_id = $2 AND live)",
};
static const struct tf_pg_stmt select_to_tell = {
    .name = "shows_to_tell",
    .sql = "SELECT " SHOW_COLUMNS " FROM inventory WHERE (bucket, show_id) > ($1, $2)"
           " AND (sale_state <> offer_sale_state OR (sale_state <> 3 AND opens_at <= $3 AND closes_at > $4))"
           " ORDER BY bucket, show_id LIMIT $5",
};
static const struct tf_pg_stmt update_told = {
    .name = "show_told",
    .sql = "UPDATE inventory SET offer_sequence = offer_sequence + 1, offer_places = $5, offer_sale_state = sale_state"
           " WHERE bucket = $1 AND show_id = $2 AND offer_sequence = $3 AND sale_state = $4 RETURNING offer_sequence",
    .writes = true,
};

static struct show_row show_of(const tf_pg_result *rows, int row)
{
    return (struct show_row){
        .bucket = (int)tf_pg_get_int(rows, row, 0),
        .show_id = tf_pg_get_int(rows, row, 1),
        .organiser_id = tf_pg_get_int(rows, row, 2),
        .terms = (int32_t)tf_pg_get_int(rows, row, 3),
        .sale_state = (int)tf_pg_get_int(rows, row, 4),
        .offer_sequence = tf_pg_get_int(rows, row, 5),
        .offer_places = (int)tf_pg_get_int(rows, row, 6),
        .offer_sale_state = (int)tf_pg_get_int(rows, row, 7),
    };
}

static void one_show(tf_pg_params *params, tf_ctx *ctx, int64_t show_id)
{
    tf_pg_params_init(params, ctx);
    tf_pg_int2(params, (int16_t)tf_bucket_of_show(show_id));
    tf_pg_int8(params, show_id);
}

tf_code show_read(tf_ctx *ctx, int64_t show_id, struct show_row *ret_show)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    one_show(&params, ctx, show_id);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &select_show, &params, &rows);
    if (code) return code;
    if (tf_pg_rows(rows) == 0) return tf_fail(ctx, TF_NOT_FOUND, "show %lld", (long long)show_id);

    *ret_show = show_of(rows, 0);
    return TF_OK;
}

tf_code show_set_state(tf_ctx *ctx, int64_t show_id, int sale_state)
{
    tf_pg_result *result;
    tf_pg_params params;
    struct show_row show;
    tf_code code;

    one_show(&params, ctx, show_id);
    tf_pg_int2(&params, (int16_t)sale_state);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &update_state, &params, &result);
    if (code || tf_pg_affected(result) == 1) return code;

    code = show_read(ctx, show_id, &show);
    if (code) return code;
    if (show.sale_state == sale_state) return TF_OK;

    code = tf_fail(ctx, TF_STATE_WRONG, "show %lld is withdrawn", (long long)show_id);
    tf_error_param(ctx, "sale_state", "WITHDRAWN");
    return code;
}

tf_code show_terms_in(tf_pg_conn *conn, tf_ctx *ctx, int64_t show_id, int32_t *ret_terms)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    one_show(&params, ctx, show_id);
    code = tf_pg_exec(conn, ctx, &select_terms, &params, &rows);
    if (code) return code;

    *ret_terms = tf_pg_rows(rows) ? (int32_t)tf_pg_get_int(rows, 0, 0) : 0;
    return TF_OK;
}

/* Every number means the same place in the same tier. */
static bool same_places(const struct sale *a, const struct sale *b)
{
    const SaleSnapshot *x = a->snapshot, *y = b->snapshot;

    if (x->n_segments != y->n_segments) return false;
    for (size_t i = 0; i < x->n_segments; i++)
        if (x->segments[i]->first_place_no != y->segments[i]->first_place_no ||
            x->segments[i]->count != y->segments[i]->count || x->segments[i]->tier != y->segments[i]->tier)
            return false;
    return true;
}

static tf_code refuse_live(tf_pg_conn *conn, tf_ctx *ctx, int64_t show_id)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    one_show(&params, ctx, show_id);
    code = tf_pg_exec(conn, ctx, &select_live, &params, &rows);
    if (code) return code;
    if (tf_pg_get_bool(rows, 0, 0))
        return tf_fail(ctx, TF_INTERNAL, "the place map of show %lld changed while tickets live", (long long)show_id);
    return TF_OK;
}

tf_code show_publish_in(tf_pg_conn *conn, tf_ctx *ctx, const struct sale *before, const struct sale *sale,
                        const void *data, size_t size, const void *digest, size_t digest_size)
{
    tf_pg_params params;
    tf_code code;

    one_show(&params, ctx, sale->show_id);
    tf_pg_int4(&params, sale->terms);
    tf_pg_bytes(&params, digest, digest_size);
    tf_pg_bytes(&params, data, size);
    code = tf_pg_exec(conn, ctx, &insert_snapshot, &params, NULL);
    if (code) return code;

    one_show(&params, ctx, sale->show_id);
    tf_pg_int8(&params, sale->organiser_id);
    tf_pg_int4(&params, sale->terms);
    tf_pg_time(&params, sale->start_time);
    tf_pg_time(&params, sale->opens_time);
    tf_pg_time(&params, sale->closes_time);
    code = tf_pg_exec(conn, ctx, &upsert_terms, &params, NULL);
    if (code) return code;

    /* The row is ours now: no batch can add a ticket on the old map any more, so the look is final. */
    return before && !same_places(before, sale) ? refuse_live(conn, ctx, sale->show_id) : TF_OK;
}

tf_code shows_to_tell(tf_ctx *ctx, tf_time now, int after_bucket, int64_t after_show, int n,
                      struct show_row **ret_shows, size_t *ret_n)
{
    struct show_row *shows;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)after_bucket);
    tf_pg_int8(&params, after_show);
    tf_pg_time(&params, now + (tf_time)INVENTORY_WARM_BEFORE_S * TF_US_PER_S);
    tf_pg_time(&params, now);
    tf_pg_int4(&params, n);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &select_to_tell, &params, &rows);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(rows);
    shows = TF_NEW_ARRAY(ctx->arena, struct show_row, *ret_n);
    if (!shows) return tf_fail(ctx, TF_INTERNAL, "no memory for shows");
    for (size_t i = 0; i < *ret_n; i++)
        shows[i] = show_of(rows, (int)i);
    *ret_shows = shows;
    return TF_OK;
}

tf_code show_told_in(tf_pg_conn *conn, tf_ctx *ctx, const struct show_row *show, int offer_places,
                     int64_t *ret_sequence)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)show->bucket);
    tf_pg_int8(&params, show->show_id);
    tf_pg_int8(&params, show->offer_sequence);
    tf_pg_int2(&params, (int16_t)show->sale_state);
    tf_pg_int2(&params, (int16_t)offer_places);
    code = tf_pg_exec(conn, ctx, &update_told, &params, &rows);
    if (code) return code;
    if (tf_pg_rows(rows) == 0)
        return tf_fail(ctx, TF_ORDER_CHANGED, "the row of show %lld changed", (long long)show->show_id);

    *ret_sequence = tf_pg_get_int(rows, 0, 0);
    return TF_OK;
}
