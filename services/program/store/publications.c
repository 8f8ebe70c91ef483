/* Published versions of shows. */
#include "services/program/store/publications.h"

#include "services/program/domain/texts.h"

#include <inttypes.h>

static const struct tf_pg_stmt get_row = {
    "show_row",
    "SELECT s.show_id, s.program_id, s.organiser_id, s.plan_id, s.document, s.start_at, s.end_at, s.opens_at, "
    "s.closes_at, s.version, b.digest, s.map_digest, p.title, v.name, v.address, p.texts -> 'entry_rule', p.picture, "
    "v.time_zone "
    "FROM show s JOIN program p USING (program_id) JOIN plan USING (plan_id) JOIN venue v USING (venue_id) "
    "LEFT JOIN publication b ON b.show_id = s.show_id AND b.version = s.version "
    "WHERE s.show_id = $1 FOR UPDATE OF s",
    false};
static const struct tf_pg_stmt get_organiser = {"show_organiser", "SELECT organiser_id FROM show WHERE show_id = $1",
                                                false};
static const struct tf_pg_stmt insert = {
    "publication_insert",
    "INSERT INTO publication (show_id, version, digest, snapshot, seat_plan, etag, published_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)",
    true};
static const struct tf_pg_stmt make_current = {
    "publication_current",
    "UPDATE show SET version = $2, map_digest = $3, offered = $4, currency = $5, cheapest_minor = $6, "
    "published_at = $7 WHERE show_id = $1",
    true};
static const struct tf_pg_stmt get_page = {
    "snapshot_page",
    "SELECT substring(snapshot FROM $3 FOR $4), length(snapshot), digest FROM publication "
    "WHERE show_id = $1 AND version = $2",
    false};
static const struct tf_pg_stmt get_plan = {
    "seat_plan",
    "SELECT b.seat_plan, b.etag FROM show s JOIN publication b ON b.show_id = s.show_id "
    "AND b.version = CASE WHEN $2 = 0 THEN s.version ELSE $2 END "
    "WHERE s.show_id = $1 AND s.offer_sale_state <> 3",
    false};

tf_code show_row_get(tf_pg_conn *conn, tf_ctx *ctx, int64_t show_id, struct show_row *ret_row)
{
    struct show_row *row = ret_row;
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, show_id);
    code = tf_pg_exec(conn, ctx, &get_row, &p, &r);
    if (code) return code;

    if (tf_pg_rows(r) == 0) return tf_fail(ctx, TF_NOT_FOUND, "no show %" PRId64, show_id);
    *row = (struct show_row){
        .show_id = tf_pg_get_int(r, 0, 0),
        .program_id = tf_pg_get_int(r, 0, 1),
        .organiser_id = tf_pg_get_int(r, 0, 2),
        .plan_id = tf_pg_get_int(r, 0, 3),
        .document = tf_pg_get_text(r, 0, 4),
        .times = {.start = tf_pg_get_time(r, 0, 5),
                  .end = tf_pg_get_time(r, 0, 6),
                  .opens = tf_pg_get_time(r, 0, 7),
                  .closes = tf_pg_get_time(r, 0, 8)},
        .version = (int32_t)tf_pg_get_int(r, 0, 9),
        .digest = tf_pg_get_bytes(r, 0, 10),
        .map_digest = tf_pg_get_bytes(r, 0, 11),
        .title = texts_from_json(ctx->arena, tf_pg_get_text(r, 0, 12)),
        .venue_name = texts_from_json(ctx->arena, tf_pg_get_text(r, 0, 13)),
        .venue_address = texts_from_json(ctx->arena, tf_pg_get_text(r, 0, 14)),
        .picture = tf_pg_get_text(r, 0, 16),
        .time_zone = tf_pg_get_text(r, 0, 17),
    };
    if (!tf_pg_is_null(r, 0, 15)) row->entry_rule = texts_from_json(ctx->arena, tf_pg_get_text(r, 0, 15));
    if (!row->title || !row->venue_name || !row->venue_address)
        return tf_fail(ctx, TF_INTERNAL, "no memory for show %" PRId64, show_id);
    return TF_OK;
}

tf_code show_organiser(tf_ctx *ctx, tf_pg *pg, int64_t show_id, int64_t *ret_organiser_id)
{
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, show_id);
    code = tf_pg_query(ctx, pg, &get_organiser, &p, &r);
    if (!code) *ret_organiser_id = tf_pg_rows(r) ? tf_pg_get_int(r, 0, 0) : 0;
    return code;
}

tf_code publication_put(tf_pg_conn *conn, tf_ctx *ctx, const struct publication_row *row, tf_time now)
{
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, row->show_id);
    tf_pg_int4(&p, row->version);
    tf_pg_bytes(&p, row->digest.data, row->digest.size);
    tf_pg_bytes(&p, row->snapshot.data, row->snapshot.size);
    tf_pg_bytes(&p, row->seat_plan.data, row->seat_plan.size);
    tf_pg_text(&p, row->etag);
    tf_pg_time(&p, now);
    code = tf_pg_exec(conn, ctx, &insert, &p, NULL);
    if (code) return code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, row->show_id);
    tf_pg_int4(&p, row->version);
    tf_pg_bytes(&p, row->map_digest.data, row->map_digest.size);
    tf_pg_jsonb(&p, row->offered);
    tf_pg_text(&p, row->currency);
    tf_pg_int8(&p, row->cheapest_minor);
    tf_pg_time(&p, now);
    return tf_pg_exec(conn, ctx, &make_current, &p, NULL);
}

tf_code snapshot_page_get(tf_ctx *ctx, tf_pg *pg, int64_t show_id, int32_t version, int64_t offset,
                          struct snapshot_page *ret_page)
{
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, show_id);
    tf_pg_int4(&p, version);
    tf_pg_int4(&p, (int32_t)offset + 1); /* SQL counts from 1 */
    tf_pg_int4(&p, SNAPSHOT_PAGE_MAX);
    code = tf_pg_query(ctx, pg, &get_page, &p, &r);
    if (code) return code;

    if (tf_pg_rows(r) == 0)
        return tf_fail(ctx, TF_NOT_FOUND, "show %" PRId64 " has no version %d", show_id, (int)version);
    *ret_page = (struct snapshot_page){
        .data = tf_pg_get_bytes(r, 0, 0), .total = tf_pg_get_int(r, 0, 1), .digest = tf_pg_get_bytes(r, 0, 2)};
    return TF_OK;
}

tf_code seat_plan_get(tf_ctx *ctx, tf_pg *pg, int64_t show_id, int32_t version, struct seat_plan_row *ret_row)
{
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, show_id);
    tf_pg_int4(&p, version);
    code = tf_pg_query(ctx, pg, &get_plan, &p, &r);
    if (code) return code;

    if (tf_pg_rows(r) == 0) return tf_fail(ctx, TF_NOT_FOUND, "no seat plan of show %" PRId64, show_id);
    *ret_row = (struct seat_plan_row){.gzip = tf_pg_get_bytes(r, 0, 0), .etag = tf_pg_get_text(r, 0, 1)};
    return TF_OK;
}
