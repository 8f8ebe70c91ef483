/* The catalogue's rows. */
#include "services/program/store/catalogue_store.h"

#include "services/program/domain/texts.h"

#include <string.h>

/* Any number that nothing else in this database locks. */
#define LOCK_KEY "7165065861825654388"

enum { TEXTS_JSON_MAX = 4 * 1024 * 1024 };

static const struct tf_pg_stmt lock = {"catalogue_lock", "SELECT pg_advisory_xact_lock(" LOCK_KEY ")", false};

static const struct tf_pg_stmt find_organiser = {"organiser_find",
                                                 "SELECT organiser_id, digest FROM organiser WHERE ref = $1", false};
static const struct tf_pg_stmt put_organiser = {
    "organiser_put",
    "INSERT INTO organiser (organiser_id, ref, name, digest, changed_at) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (organiser_id) DO UPDATE SET name = excluded.name, digest = excluded.digest, "
    "changed_at = excluded.changed_at",
    true};

static const struct tf_pg_stmt find_venue = {
    "venue_find",
    "SELECT venue_id, digest, time_zone, "
    "EXISTS (SELECT FROM show JOIN plan USING (plan_id) WHERE plan.venue_id = venue.venue_id) "
    "FROM venue WHERE organiser_id = $1 AND ref = $2",
    false};
static const struct tf_pg_stmt put_venue = {
    "venue_put",
    "INSERT INTO venue (venue_id, organiser_id, ref, name, city, cities, address, time_zone, digest, changed_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
    "ON CONFLICT (venue_id) DO UPDATE SET name = excluded.name, city = excluded.city, cities = excluded.cities, "
    "address = excluded.address, time_zone = excluded.time_zone, digest = excluded.digest, "
    "changed_at = excluded.changed_at",
    true};

static const struct tf_pg_stmt find_plan = {
    "plan_find",
    "SELECT plan.plan_id, plan.digest, plan.venue_id, venue.time_zone, "
    "EXISTS (SELECT FROM show WHERE show.plan_id = plan.plan_id), "
    "EXISTS (SELECT FROM show WHERE show.plan_id = plan.plan_id AND show.version > 0) "
    "FROM plan JOIN venue USING (venue_id) WHERE plan.organiser_id = $1 AND plan.ref = $2",
    false};
static const struct tf_pg_stmt put_plan = {
    "plan_put",
    "INSERT INTO plan (plan_id, organiser_id, ref, venue_id, document, n_places, digest, changed_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
    "ON CONFLICT (plan_id) DO UPDATE SET venue_id = excluded.venue_id, document = excluded.document, "
    "n_places = excluded.n_places, digest = excluded.digest, changed_at = excluded.changed_at",
    true};
static const struct tf_pg_stmt get_document = {"plan_document", "SELECT document FROM plan WHERE plan_id = $1", false};

static const struct tf_pg_stmt find_program = {
    "program_find", "SELECT program_id, digest FROM program WHERE organiser_id = $1 AND ref = $2", false};
static const struct tf_pg_stmt put_program = {
    "program_put",
    "INSERT INTO program (program_id, organiser_id, ref, title, performers, category, categories, picture, group_ref, "
    "texts, digest, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
    "ON CONFLICT (program_id) DO UPDATE SET title = excluded.title, performers = excluded.performers, "
    "category = excluded.category, categories = excluded.categories, picture = excluded.picture, "
    "group_ref = excluded.group_ref, texts = excluded.texts, digest = excluded.digest, "
    "changed_at = excluded.changed_at",
    true};

static const struct tf_pg_stmt find_show = {
    "show_find",
    "SELECT show_id, digest, program_id, plan_id, start_at, end_at, opens_at, closes_at, version, currency "
    "FROM show WHERE organiser_id = $1 AND ref = $2",
    false};
static const struct tf_pg_stmt put_show = {
    "show_put",
    "INSERT INTO show (show_id, organiser_id, ref, program_id, plan_id, name, start_at, end_at, opens_at, closes_at, "
    "local_date, unlisted, document, digest, changed_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::date, $12, $13, $14, $15) "
    "ON CONFLICT (show_id) DO UPDATE SET plan_id = excluded.plan_id, name = excluded.name, "
    "start_at = excluded.start_at, end_at = excluded.end_at, opens_at = excluded.opens_at, "
    "closes_at = excluded.closes_at, local_date = excluded.local_date, unlisted = excluded.unlisted, "
    "document = excluded.document, digest = excluded.digest, changed_at = excluded.changed_at",
    true};
static const struct tf_pg_stmt drafts = {
    "plan_drafts", "SELECT ref, document FROM show WHERE plan_id = $1 AND version = 0 ORDER BY show_id", false};
static const struct tf_pg_stmt published_of = {
    "shows_published_of",
    "SELECT show_id FROM show JOIN plan USING (plan_id) "
    "WHERE show.version > 0 AND (show.program_id = ANY ($1) OR plan.venue_id = ANY ($2)) ORDER BY show_id",
    false};

tf_code catalogue_lock(tf_pg_conn *conn, tf_ctx *ctx)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    return tf_pg_exec(conn, ctx, &lock, &p, NULL);
}

/* Columns 0 and 1 of the only row. */
static void found_read(const tf_pg_result *result, struct found *found)
{
    struct tf_pg_bytes digest;

    *found = (struct found){0};
    if (tf_pg_rows(result) == 0) return;
    found->id = tf_pg_get_int(result, 0, 0);
    digest = tf_pg_get_bytes(result, 0, 1);
    if (digest.size == CATALOGUE_DIGEST) memcpy(found->digest, digest.data, CATALOGUE_DIGEST);
}

static tf_code find_by_ref(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_pg_stmt *stmt, int64_t organiser_id,
                           const char *ref, tf_pg_result **ret_result)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, organiser_id);
    tf_pg_text(&p, ref);
    return tf_pg_exec(conn, ctx, stmt, &p, ret_result);
}

static void put_texts(tf_pg_params *p, const LocalizedTexts *texts)
{
    tf_pg_jsonb(p, texts_to_json(p->ctx->arena, texts));
}

/* The texts without their languages. */
static void put_words(tf_pg_params *p, const LocalizedTexts *texts)
{
    const char *words[TEXT_LANGUAGES_MAX];
    size_t n = 0;

    for (; texts && n < texts->n_texts && n < TEXT_LANGUAGES_MAX; n++)
        words[n] = texts->texts[n]->text;
    tf_pg_text_array(p, words, n);
}

/* ---- organisers and venues -------------------------------------------------------------------------------------- */

tf_code organiser_find(tf_pg_conn *conn, tf_ctx *ctx, const char *ref, struct found *ret_found)
{
    tf_pg_result *result;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_text(&p, ref);
    code = tf_pg_exec(conn, ctx, &find_organiser, &p, &result);
    if (!code) found_read(result, ret_found);
    return code;
}

tf_code organiser_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, const struct catalogue_organiser *o, tf_time now)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, id);
    tf_pg_text(&p, o->object.ref);
    put_texts(&p, o->name);
    tf_pg_bytes(&p, o->object.digest, CATALOGUE_DIGEST);
    tf_pg_time(&p, now);
    return tf_pg_exec(conn, ctx, &put_organiser, &p, NULL);
}

tf_code venue_find(tf_pg_conn *conn, tf_ctx *ctx, int64_t organiser_id, const char *ref, struct found_venue *ret_found)
{
    tf_pg_result *result;
    tf_code code = find_by_ref(conn, ctx, &find_venue, organiser_id, ref, &result);

    if (code) return code;
    *ret_found = (struct found_venue){0};
    found_read(result, &ret_found->found);
    if (ret_found->found.id) {
        ret_found->time_zone = tf_pg_get_text(result, 0, 2);
        ret_found->has_shows = tf_pg_get_bool(result, 0, 3);
    }
    return TF_OK;
}

tf_code venue_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, int64_t organiser_id, const struct catalogue_venue *v,
                  tf_time now)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, id);
    tf_pg_int8(&p, organiser_id);
    tf_pg_text(&p, v->object.ref);
    put_texts(&p, v->name);
    put_texts(&p, v->city);
    put_words(&p, v->city);
    put_texts(&p, v->address);
    tf_pg_text(&p, v->time_zone);
    tf_pg_bytes(&p, v->object.digest, CATALOGUE_DIGEST);
    tf_pg_time(&p, now);
    return tf_pg_exec(conn, ctx, &put_venue, &p, NULL);
}

/* ---- plans ------------------------------------------------------------------------------------------------------ */

tf_code plan_find(tf_pg_conn *conn, tf_ctx *ctx, int64_t organiser_id, const char *ref, struct found_plan *ret_found)
{
    tf_pg_result *result;
    tf_code code = find_by_ref(conn, ctx, &find_plan, organiser_id, ref, &result);

    if (code) return code;
    *ret_found = (struct found_plan){0};
    found_read(result, &ret_found->found);
    if (ret_found->found.id) {
        ret_found->venue_id = tf_pg_get_int(result, 0, 2);
        ret_found->time_zone = tf_pg_get_text(result, 0, 3);
        ret_found->has_shows = tf_pg_get_bool(result, 0, 4);
        ret_found->in_use = tf_pg_get_bool(result, 0, 5);
    }
    return TF_OK;
}

tf_code plan_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, int64_t organiser_id, int64_t venue_id,
                 const struct catalogue_plan *plan, tf_time now)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, id);
    tf_pg_int8(&p, organiser_id);
    tf_pg_text(&p, plan->object.ref);
    tf_pg_int8(&p, venue_id);
    tf_pg_text(&p, plan->object.document);
    tf_pg_int4(&p, plan->plan->n_places);
    tf_pg_bytes(&p, plan->object.digest, CATALOGUE_DIGEST);
    tf_pg_time(&p, now);
    return tf_pg_exec(conn, ctx, &put_plan, &p, NULL);
}

tf_code plan_document(tf_pg_conn *conn, tf_ctx *ctx, int64_t plan_id, const char **ret_document)
{
    tf_pg_result *result;
    tf_pg_params p;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, plan_id);
    code = tf_pg_exec(conn, ctx, &get_document, &p, &result);
    if (!code) *ret_document = tf_pg_rows(result) ? tf_pg_get_text(result, 0, 0) : NULL;
    return code;
}

/* ---- programmes ------------------------------------------------------------------------------------------------- */

tf_code program_find(tf_pg_conn *conn, tf_ctx *ctx, int64_t organiser_id, const char *ref, struct found *ret_found)
{
    tf_pg_result *result;
    tf_code code = find_by_ref(conn, ctx, &find_program, organiser_id, ref, &result);

    if (!code) found_read(result, ret_found);
    return code;
}

/* {"detail": {"zh-CN": …}, …} */
static const char *rules_json(tf_arena *arena, const struct catalogue_program *program)
{
    tf_cleanup(tf_buf_done) tf_buf out = {0};
    tf_json_writer w = {.out = &out};

    tf_buf_init(&out, TEXTS_JSON_MAX);
    tf_json_begin_object(&w);
    for (size_t i = 0; i < PROGRAM_TEXTS; i++) {
        if (!program->texts[i]) continue;
        tf_json_key(&w, program_text_names[i]);
        texts_write(&w, program->texts[i]);
    }
    tf_json_end_object(&w);
    return out.broken ? NULL : tf_arena_strndup(arena, out.data, out.size);
}

tf_code program_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, int64_t organiser_id,
                    const struct catalogue_program *program, tf_time now)
{
    const char *rules = rules_json(ctx->arena, program);
    tf_pg_params p;

    if (!rules)
        return tf_fail(ctx, TF_TOO_LARGE, "the texts of programme %s take too much memory", program->object.ref);
    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, id);
    tf_pg_int8(&p, organiser_id);
    tf_pg_text(&p, program->object.ref);
    put_texts(&p, program->title);
    put_texts(&p, program->performers);
    put_texts(&p, program->category);
    put_words(&p, program->category);
    tf_pg_text(&p, program->picture ? program->picture : "");
    tf_pg_text(&p, program->group);
    tf_pg_jsonb(&p, rules);
    tf_pg_bytes(&p, program->object.digest, CATALOGUE_DIGEST);
    tf_pg_time(&p, now);
    return tf_pg_exec(conn, ctx, &put_program, &p, NULL);
}

/* ---- shows ------------------------------------------------------------------------------------------------------ */

tf_code show_find(tf_pg_conn *conn, tf_ctx *ctx, int64_t organiser_id, const char *ref, struct found_show *ret_found)
{
    tf_pg_result *result;
    tf_code code = find_by_ref(conn, ctx, &find_show, organiser_id, ref, &result);
    struct found_show *f = ret_found;

    if (code) return code;
    *f = (struct found_show){0};
    found_read(result, &f->found);
    if (f->found.id) {
        f->program_id = tf_pg_get_int(result, 0, 2);
        f->plan_id = tf_pg_get_int(result, 0, 3);
        f->times.start = tf_pg_get_time(result, 0, 4);
        f->times.end = tf_pg_get_time(result, 0, 5);
        f->times.opens = tf_pg_get_time(result, 0, 6);
        f->times.closes = tf_pg_get_time(result, 0, 7);
        f->version = (int32_t)tf_pg_get_int(result, 0, 8);
        f->currency = tf_pg_get_text(result, 0, 9);
    }
    return TF_OK;
}

tf_code show_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, int64_t organiser_id, int64_t program_id, int64_t plan_id,
                 const struct catalogue_show *s, const struct show_times *times, tf_time now)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, id);
    tf_pg_int8(&p, organiser_id);
    tf_pg_text(&p, s->show.ref);
    tf_pg_int8(&p, program_id);
    tf_pg_int8(&p, plan_id);
    put_texts(&p, s->show.name);
    tf_pg_time(&p, times->start);
    tf_pg_time(&p, times->end);
    tf_pg_time(&p, times->opens);
    tf_pg_time(&p, times->closes);
    tf_pg_text(&p, times->local_date);
    tf_pg_bool(&p, s->show.unlisted);
    tf_pg_text(&p, s->object.document);
    tf_pg_bytes(&p, s->object.digest, CATALOGUE_DIGEST);
    tf_pg_time(&p, now);
    return tf_pg_exec(conn, ctx, &put_show, &p, NULL);
}

tf_code plan_drafts(tf_pg_conn *conn, tf_ctx *ctx, int64_t plan_id, struct draft_show **ret_drafts, size_t *ret_n)
{
    tf_pg_result *result;
    tf_pg_params p;
    tf_code code;
    size_t n;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, plan_id);
    code = tf_pg_exec(conn, ctx, &drafts, &p, &result);
    if (code) return code;

    n = (size_t)tf_pg_rows(result);
    *ret_drafts = TF_NEW_ARRAY(ctx->arena, struct draft_show, n);
    if (!*ret_drafts) return tf_fail(ctx, TF_TOO_LARGE, "too many shows of one plan");
    for (size_t i = 0; i < n; i++)
        (*ret_drafts)[i] = (struct draft_show){tf_pg_get_text(result, (int)i, 0), tf_pg_get_text(result, (int)i, 1)};
    *ret_n = n;
    return TF_OK;
}

tf_code shows_published_of(tf_pg_conn *conn, tf_ctx *ctx, const int64_t *program_ids, size_t n_programs,
                           const int64_t *venue_ids, size_t n_venues, const int64_t **ret_ids, size_t *ret_n)
{
    tf_pg_result *result;
    tf_pg_params p;
    tf_code code;
    int64_t *ids;
    size_t n;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8_array(&p, program_ids, n_programs);
    tf_pg_int8_array(&p, venue_ids, n_venues);
    code = tf_pg_exec(conn, ctx, &published_of, &p, &result);
    if (code) return code;

    n = (size_t)tf_pg_rows(result);
    ids = TF_NEW_ARRAY(ctx->arena, int64_t, n);
    if (!ids) return tf_fail(ctx, TF_TOO_LARGE, "too many published shows");
    for (size_t i = 0; i < n; i++)
        ids[i] = tf_pg_get_int(result, (int)i, 0);
    *ret_ids = ids;
    *ret_n = n;
    return TF_OK;
}
