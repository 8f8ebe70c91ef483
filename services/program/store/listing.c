/* Lists and pages of what is published. */
#include "services/program/store/listing.h"

#include "services/program/domain/texts.h"

#include <inttypes.h>

/* Bounds what one programme's page or one list row can cost: of each programme, its next shows. */
#define SHOWS_MAX "1000"
#define GROUP_MAX "100"

/* 3: SaleState WITHDRAWN. */
#define VISIBLE "s.version > 0 AND s.offer_sale_state <> 3"

static const struct tf_pg_stmt list = {
    "programs_list",
    "SELECT s.program_id, min(s.start_at) FROM show s JOIN program p USING (program_id) "
    "JOIN plan USING (plan_id) JOIN venue v USING (venue_id) "
    "WHERE " VISIBLE " AND NOT s.unlisted AND s.end_at > $1 "
    "AND ($2::text IS NULL OR $2 = ANY (v.cities)) AND ($3::text IS NULL OR $3 = ANY (p.categories)) "
    "AND ($4::text IS NULL OR s.local_date >= $4::text::date) AND ($5::text IS NULL OR s.local_date <= $5::text::date) "
    "GROUP BY s.program_id HAVING (min(s.start_at), s.program_id) > ($6, $7) "
    "ORDER BY 2, 1 LIMIT $8",
    false};
static const struct tf_pg_stmt get_programs = {
    "programs_get",
    "SELECT p.program_id, p.organiser_id, p.title, p.performers, p.picture, p.category, p.group_ref, o.name, p.texts "
    "FROM program p JOIN organiser o USING (organiser_id) WHERE p.program_id = ANY ($1)",
    false};

#define SHOW_COLUMNS                                                                                                   \
    "s.show_id, s.program_id, s.name, v.city, v.name, v.address, v.time_zone, s.local_date::text, s.start_at, "        \
    "s.opens_at, s.closes_at, s.end_at, s.offer_places, s.offer_sale_state, s.currency, s.cheapest_minor"
#define SHOW_TABLES "show s JOIN plan USING (plan_id) JOIN venue v USING (venue_id)"

static const struct tf_pg_stmt shows_of = {
    "shows_of_programs",
    "SELECT next.* FROM unnest($1::int8[]) asked(program_id) CROSS JOIN LATERAL (SELECT " SHOW_COLUMNS
    " FROM " SHOW_TABLES " WHERE s.program_id = asked.program_id AND " VISIBLE " AND NOT s.unlisted "
    "AND s.end_at > $2 AND ($3::text IS NULL OR $3 = ANY (v.cities)) "
    "ORDER BY s.start_at, s.show_id LIMIT " SHOWS_MAX ") next ORDER BY next.program_id, next.start_at, next.show_id",
    false};
static const struct tf_pg_stmt visible = {
    "program_visible", "SELECT EXISTS (SELECT FROM show s WHERE s.program_id = $1 AND " VISIBLE ")", false};
static const struct tf_pg_stmt of_group = {
    "programs_of_group",
    "SELECT program_id FROM program WHERE organiser_id = $1 AND group_ref = $2 AND program_id <> $3 "
    "ORDER BY program_id LIMIT " GROUP_MAX,
    false};
static const struct tf_pg_stmt page = {
    "show_page", "SELECT " SHOW_COLUMNS ", s.version, s.offered FROM " SHOW_TABLES " WHERE s.show_id = $1 AND " VISIBLE,
    false};

/* A text column in the caller's language. */
static const char *get_words(tf_ctx *ctx, const tf_pg_result *r, int row, int column)
{
    const char *json = tf_pg_get_text(r, row, column);
    const LocalizedTexts *texts = json ? texts_from_json(ctx->arena, json) : NULL;

    return texts_pick(texts, ctx->language);
}

static struct listed_show show_read_row(tf_ctx *ctx, const tf_pg_result *r, int i)
{
    return (struct listed_show){
        .show_id = tf_pg_get_int(r, i, 0),
        .program_id = tf_pg_get_int(r, i, 1),
        .name = get_words(ctx, r, i, 2),
        .city = get_words(ctx, r, i, 3),
        .venue_name = get_words(ctx, r, i, 4),
        .venue_address = get_words(ctx, r, i, 5),
        .time_zone = tf_pg_get_text(r, i, 6),
        .local_date = tf_pg_get_text(r, i, 7),
        .start = tf_pg_get_time(r, i, 8),
        .offer = {.opens = tf_pg_get_time(r, i, 9),
                  .closes = tf_pg_get_time(r, i, 10),
                  .ends = tf_pg_get_time(r, i, 11),
                  .places = (OfferState)tf_pg_get_int(r, i, 12),
                  .sale_state = (SaleState)tf_pg_get_int(r, i, 13)},
        .currency = tf_pg_get_text(r, i, 14),
        .cheapest_minor = tf_pg_get_int(r, i, 15),
    };
}

tf_code programs_list(tf_ctx *ctx, tf_pg *pg, const struct program_filter *filter, struct program_key **ret_keys,
                      size_t *ret_n)
{
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;
    size_t n;

    tf_pg_params_init(&p, ctx);
    tf_pg_time(&p, filter->now);
    tf_pg_text(&p, filter->city);
    tf_pg_text(&p, filter->category);
    tf_pg_text(&p, filter->from_date);
    tf_pg_text(&p, filter->to_date);
    tf_pg_time(&p, filter->after_start);
    tf_pg_int8(&p, filter->after_program_id);
    tf_pg_int4(&p, filter->limit);
    code = tf_pg_query(ctx, pg, &list, &p, &r);
    if (code) return code;

    n = (size_t)tf_pg_rows(r);
    *ret_keys = TF_NEW_ARRAY(ctx->arena, struct program_key, n);
    if (!*ret_keys) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (size_t i = 0; i < n; i++)
        (*ret_keys)[i] = (struct program_key){tf_pg_get_int(r, (int)i, 0), tf_pg_get_time(r, (int)i, 1)};
    *ret_n = n;
    return TF_OK;
}

tf_code programs_get(tf_ctx *ctx, tf_pg *pg, const int64_t *ids, size_t n, struct listed_program **ret_programs,
                     size_t *ret_n)
{
    struct listed_program *programs;
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8_array(&p, ids, n);
    code = tf_pg_query(ctx, pg, &get_programs, &p, &r);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(r);
    programs = TF_NEW_ARRAY(ctx->arena, struct listed_program, *ret_n);
    if (!programs) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (int i = 0; i < (int)*ret_n; i++)
        programs[i] = (struct listed_program){
            .program_id = tf_pg_get_int(r, i, 0),
            .organiser_id = tf_pg_get_int(r, i, 1),
            .title = get_words(ctx, r, i, 2),
            .performers = get_words(ctx, r, i, 3),
            .picture = tf_pg_get_text(r, i, 4),
            .category = get_words(ctx, r, i, 5),
            .group = tf_pg_get_text(r, i, 6),
            .organiser_name = get_words(ctx, r, i, 7),
            .texts = tf_pg_get_text(r, i, 8),
        };
    *ret_programs = programs;
    return TF_OK;
}

tf_code shows_of_programs(tf_ctx *ctx, tf_pg *pg, const int64_t *program_ids, size_t n, const char *city, tf_time now,
                          struct listed_show **ret_shows, size_t *ret_n)
{
    struct listed_show *shows;
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8_array(&p, program_ids, n);
    tf_pg_time(&p, now);
    tf_pg_text(&p, city);
    code = tf_pg_query(ctx, pg, &shows_of, &p, &r);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(r);
    shows = TF_NEW_ARRAY(ctx->arena, struct listed_show, *ret_n);
    if (!shows) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (size_t i = 0; i < *ret_n; i++)
        shows[i] = show_read_row(ctx, r, (int)i);
    *ret_shows = shows;
    return TF_OK;
}

tf_code program_visible(tf_ctx *ctx, tf_pg *pg, int64_t program_id, bool *ret_visible)
{
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, program_id);
    code = tf_pg_query(ctx, pg, &visible, &p, &r);
    if (!code) *ret_visible = tf_pg_get_bool(r, 0, 0);
    return code;
}

tf_code programs_of_group(tf_ctx *ctx, tf_pg *pg, int64_t organiser_id, const char *group, int64_t but_program_id,
                          const int64_t **ret_ids, size_t *ret_n)
{
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;
    int64_t *ids;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, organiser_id);
    tf_pg_text(&p, group);
    tf_pg_int8(&p, but_program_id);
    code = tf_pg_query(ctx, pg, &of_group, &p, &r);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(r);
    ids = TF_NEW_ARRAY(ctx->arena, int64_t, *ret_n);
    if (!ids) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (size_t i = 0; i < *ret_n; i++)
        ids[i] = tf_pg_get_int(r, (int)i, 0);
    *ret_ids = ids;
    return TF_OK;
}

tf_code show_page_get(tf_ctx *ctx, tf_pg *pg, int64_t show_id, struct show_page *ret_page)
{
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, show_id);
    code = tf_pg_query(ctx, pg, &page, &p, &r);
    if (code) return code;

    if (tf_pg_rows(r) == 0) return tf_fail(ctx, TF_NOT_FOUND, "no published show %" PRId64, show_id);
    *ret_page = (struct show_page){.show = show_read_row(ctx, r, 0),
                                   .version = (int32_t)tf_pg_get_int(r, 0, 16),
                                   .offered = tf_pg_get_text(r, 0, 17)};
    return TF_OK;
}
