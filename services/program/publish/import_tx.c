/* One attempt at storing a file.
 *
 * Objects are taken in the order organisers, venues, plans, programmes, shows, so that a reference finds its object in
 * the database whether it came with this file or before. */
#include "services/program/publish/import_tx.h"

#include "common/chassis/service.h"
#include "services/program/store/catalogue_store.h"

#include <inttypes.h>
#include <string.h>

/* ---- who may, and for whom -------------------------------------------------------------------------------------- */

/* The organiser that an object belongs to; 0 with a fault when that is not clear. */
static tf_code organiser_resolve(struct import_tx *t, const struct path *at, const struct object *object,
                                 int64_t *ret_id)
{
    const char *ref = object->organiser_ref;
    struct found found;
    tf_code code;

    *ret_id = 0;
    if (!ref) {
        *ret_id = t->own_organiser_id;
        if (!*ret_id)
            fault_add(&t->faults, PATH_MEMBER(at, "organiser"), "is missing: the file does not have exactly one");
        return TF_OK;
    }
    code = organiser_find(t->conn, t->ctx, ref, &found);
    if (code) return code;

    if (!found.id) {
        fault_add(&t->faults, PATH_MEMBER(at, "organiser"), "no organiser \"%s\", in this file or stored", ref);
        return TF_OK;
    }
    if (t->own_organiser_id && found.id != t->own_organiser_id)
        return tf_fail(t->ctx, TF_FORBIDDEN, "organiser %" PRId64 " for a caller of %" PRId64, found.id,
                       t->own_organiser_id);
    *ret_id = found.id;
    return TF_OK;
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

static ImportedObject_Outcome outcome_of(const struct found *found, const struct object *object)
{
    if (!found->id) return OUTCOME_CREATED;
    return memcmp(found->digest, object->digest, CATALOGUE_DIGEST) == 0 ? OUTCOME_UNCHANGED : OUTCOME_CHANGED;
}

static void imported_add(struct import_tx *t, const char *kind, const struct object *object, int64_t id,
                         ImportedObject_Outcome outcome)
{
    t->imported[t->n_imported++] = (struct imported){.kind = kind, .ref = object->ref, .id = id, .outcome = outcome};
}

/* The found id, or a new one. */
static tf_code id_of(struct import_tx *t, const struct found *found, int64_t *ret_id)
{
    *ret_id = found->id;
    return found->id ? TF_OK : tf_app_id(t->ctx, t->ctx->app, 0, ret_id);
}

/* ---- organisers, venues, plans, programmes ---------------------------------------------------------------------- */

static tf_code organiser_store(struct import_tx *t, const struct catalogue_organiser *o)
{
    ImportedObject_Outcome outcome;
    struct found found;
    int64_t id;
    tf_code code;

    code = organiser_find(t->conn, t->ctx, o->object.ref, &found);
    if (code) return code;

    if (t->own_organiser_id && found.id != t->own_organiser_id)
        return tf_fail(t->ctx, TF_FORBIDDEN, "organiser %s for a caller of %" PRId64, o->object.ref,
                       t->own_organiser_id);
    outcome = outcome_of(&found, &o->object);
    code = id_of(t, &found, &id);
    if (code) return code;

    if (outcome != OUTCOME_UNCHANGED) {
        code = organiser_put(t->conn, t->ctx, id, o, t->now);
        if (code) return code;
    }
    imported_add(t, "organiser", &o->object, id, outcome);
    return TF_OK;
}

static tf_code venue_store(struct import_tx *t, const struct path *at, const struct catalogue_venue *v)
{
    ImportedObject_Outcome outcome;
    struct found_venue found;
    int64_t organiser_id, id;
    tf_code code;

    code = organiser_resolve(t, at, &v->object, &organiser_id);
    if (code || !organiser_id) return code;

    code = venue_find(t->conn, t->ctx, organiser_id, v->object.ref, &found);
    if (code) return code;

    outcome = outcome_of(&found.found, &v->object);
    if (found.has_shows && strcmp(found.time_zone, v->time_zone) != 0) {
        fault_add(&t->faults, PATH_MEMBER(at, "time_zone"), "cannot change: shows are planned in %s", found.time_zone);
        return TF_OK;
    }
    code = id_of(t, &found.found, &id);
    if (code) return code;

    if (outcome != OUTCOME_UNCHANGED) {
        code = venue_put(t->conn, t->ctx, id, organiser_id, v, t->now);
        if (code) return code;
        if (found.has_shows) t->changed_venues[t->n_changed_venues++] = id;
    }
    imported_add(t, "venue", &v->object, id, outcome);
    return TF_OK;
}

/* Shows of a changed plan that are still drafts must fit it; those of this file are looked at on their own. */
static tf_code drafts_check(struct import_tx *t, const struct path *at, int64_t plan_id, const struct plan *plan)
{
    struct draft_show *drafts;
    size_t n;
    tf_code code = plan_drafts(t->conn, t->ctx, plan_id, &drafts, &n);

    if (code) return code;
    for (size_t i = 0; i < n; i++) {
        tf_cleanup(tf_json_freep) tf_json *json = NULL;
        struct show *show = TF_NEW(t->ctx->arena, struct show);
        struct painting painting;
        struct faults faults;
        struct reading r = {.arena = t->ctx->arena, .faults = &faults};
        bool in_file = false;

        for (size_t k = 0; k < t->catalogue->n_shows && !in_file; k++)
            in_file = strcmp(t->catalogue->shows[k].show.ref, drafts[i].ref) == 0;
        if (in_file || !show) continue;
        code = tf_ctx_check(t->ctx);
        if (code) return code;
        faults_init(&faults, t->ctx->arena);
        if (stored_show_read(&r, drafts[i].document, &json, show) && painting_make(&r, NULL, show, plan, &painting))
            continue;
        fault_add(&t->faults, at, "no longer fits the stored show \"%s\": %s %s", drafts[i].ref,
                  faults.n ? faults.list[0].pointer : "", faults.n ? faults.list[0].detail : "");
    }
    return TF_OK;
}

static tf_code plan_store(struct import_tx *t, const struct path *at, const struct catalogue_plan *p)
{
    ImportedObject_Outcome outcome;
    struct found_venue venue;
    struct found_plan found;
    int64_t organiser_id, id;
    tf_code code;

    code = organiser_resolve(t, at, &p->object, &organiser_id);
    if (code || !organiser_id) return code;

    code = plan_find(t->conn, t->ctx, organiser_id, p->object.ref, &found);
    if (code) return code;

    code = venue_find(t->conn, t->ctx, organiser_id, p->venue_ref, &venue);
    if (code) return code;

    outcome = outcome_of(&found.found, &p->object);
    if (!venue.found.id) {
        fault_add(&t->faults, PATH_MEMBER(at, "venue"), "no venue \"%s\", in this file or stored", p->venue_ref);
        return TF_OK;
    }
    if (outcome == OUTCOME_CHANGED && found.in_use) {
        fault_add(&t->faults, at, "differs from the stored plan, which published shows use: give it a ref of its own");
        return TF_OK;
    }
    if (found.has_shows && found.venue_id != venue.found.id) {
        fault_add(&t->faults, PATH_MEMBER(at, "venue"), "cannot change: shows are planned on this plan");
        return TF_OK;
    }
    code = id_of(t, &found.found, &id);
    if (code) return code;

    if (outcome != OUTCOME_UNCHANGED) {
        code = plan_put(t->conn, t->ctx, id, organiser_id, venue.found.id, p, t->now);
        if (code) return code;
        if (found.has_shows) {
            code = drafts_check(t, at, id, p->plan);
            if (code) return code;
        }
    }
    imported_add(t, "plan", &p->object, id, outcome);
    return plan_shelf_put(t->ctx, &t->shelf, id, p->plan);
}

static tf_code program_store(struct import_tx *t, const struct path *at, size_t index)
{
    const struct catalogue_program *p = &t->catalogue->programs[index];
    ImportedObject_Outcome outcome;
    struct found found;
    int64_t organiser_id, id;
    tf_code code;

    code = organiser_resolve(t, at, &p->object, &organiser_id);
    if (code || !organiser_id) return code;

    code = program_find(t->conn, t->ctx, organiser_id, p->object.ref, &found);
    if (code) return code;

    outcome = outcome_of(&found, &p->object);
    code = id_of(t, &found, &id);
    if (code) return code;

    if (outcome != OUTCOME_UNCHANGED) {
        code = program_put(t->conn, t->ctx, id, organiser_id, p, t->now);
        if (code) return code;
        if (found.id) t->changed_programs[t->n_changed_programs++] = id;
    }
    t->program_ids[index] = id;
    t->program_organiser_ids[index] = organiser_id;
    imported_add(t, "program", &p->object, id, outcome);
    return TF_OK;
}

/* ---- shows ------------------------------------------------------------------------------------------------------ */

/* What a published show may not change. */
static bool show_change_allowed(struct import_tx *t, const struct path *at, const struct found_show *found,
                                const struct show *show, int64_t program_id, int64_t plan_id)
{
    if (found->found.id && found->program_id != program_id)
        return fault_add(&t->faults, PATH_MEMBER(at, "ref"), "\"%s\" is a show of another programme", show->ref);
    if (found->version == 0) return true;
    if (plan_id && found->plan_id != plan_id)
        return fault_add(&t->faults, PATH_MEMBER(at, "plan"), "cannot change: the show is published");
    if (found->currency && strcmp(found->currency, show->currency) != 0)
        return fault_add(&t->faults, PATH_MEMBER(at, "currency"), "cannot change: the show is published in %s",
                         found->currency);
    return true;
}

/* A new or changed show: on its plan, in its venue's time, painted. */
static tf_code show_change(struct import_tx *t, const struct path *at, const struct catalogue_show *s,
                           int64_t organiser_id, int64_t program_id, const struct found_show *found, int64_t *ret_id)
{
    struct reading r = {.arena = t->ctx->arena, .faults = &t->faults};
    const struct plan *plan;
    struct painting painting;
    struct show_times times;
    struct found_plan on;
    int64_t id;
    tf_code code;

    code = plan_find(t->conn, t->ctx, organiser_id, s->show.plan_ref, &on);
    if (code) return code;

    if (!on.found.id) {
        fault_add(&t->faults, PATH_MEMBER(at, "plan"), "no plan \"%s\", in this file or stored", s->show.plan_ref);
        return TF_OK;
    }
    if (!show_change_allowed(t, at, found, &s->show, program_id, on.found.id)) return TF_OK;
    code = plan_shelf_get(t->conn, t->ctx, &t->shelf, on.found.id, &plan);
    if (code) return code;

    if (!show_times_set(&r, at, &s->show, on.time_zone, t->now, found->found.id ? &found->times : NULL, &times))
        return TF_OK;
    if (!painting_make(&r, at, &s->show, plan, &painting)) return TF_OK;
    code = id_of(t, &found->found, &id);
    if (code) return code;

    code = show_put(t->conn, t->ctx, id, organiser_id, program_id, on.found.id, s, &times, t->now);
    if (!code) *ret_id = id;
    return code;
}

static void publish_later(struct import_tx *t, int64_t show_id, const struct catalogue_show *show)
{
    for (size_t i = 0; i < t->n_publish; i++)
        if (t->publish[i].show_id == show_id) return;
    t->publish[t->n_publish++] = (struct to_publish){show_id, show};
}

static tf_code show_store(struct import_tx *t, const struct path *at, const struct catalogue_show *s)
{
    int64_t program_id = t->program_ids[s->program], organiser_id = t->program_organiser_ids[s->program], id = 0;
    ImportedObject_Outcome outcome;
    struct found_show found;
    tf_code code;

    if (!program_id) return TF_OK; /* its programme has the fault */
    code = show_find(t->conn, t->ctx, organiser_id, s->show.ref, &found);
    if (code) return code;

    outcome = outcome_of(&found.found, &s->object);
    if (outcome == OUTCOME_UNCHANGED) {
        if (!show_change_allowed(t, at, &found, &s->show, program_id, 0)) return TF_OK;
        id = found.found.id;
    } else {
        code = show_change(t, at, s, organiser_id, program_id, &found, &id);
        if (code || !id) return code;
    }
    imported_add(t, "show", &s->object, id, outcome);
    if (found.version > 0 ? outcome != OUTCOME_UNCHANGED : s->show.publish) publish_later(t, id, s);
    return TF_OK;
}

/* ---- publication ------------------------------------------------------------------------------------------------ */

/* Published shows of changed programmes and venues are looked at again: their words may have changed. */
static tf_code affected_add(struct import_tx *t)
{
    const int64_t *ids;
    struct to_publish *bigger;
    size_t n;
    tf_code code;

    if (t->n_changed_programs + t->n_changed_venues == 0) return TF_OK;
    code = shows_published_of(t->conn, t->ctx, t->changed_programs, t->n_changed_programs, t->changed_venues,
                              t->n_changed_venues, &ids, &n);
    if (code) return code;

    bigger = TF_NEW_ARRAY(t->ctx->arena, struct to_publish, t->n_publish + n);
    if (!bigger) return tf_fail(t->ctx, TF_TOO_LARGE, "too many shows at once");
    memcpy(bigger, t->publish, t->n_publish * sizeof(*bigger));
    t->publish = bigger;
    for (size_t i = 0; i < n; i++)
        publish_later(t, ids[i], NULL);
    return TF_OK;
}

static tf_code publish_all(struct import_tx *t)
{
    const struct path *programs = PATH_MEMBER(NULL, "programs");
    tf_code code = affected_add(t);

    for (size_t i = 0; !code && i < t->n_publish; i++) {
        const struct catalogue_show *s = t->publish[i].show;
        const struct path *shows = PATH_MEMBER(PATH_INDEX(programs, s ? s->program : 0), "shows");
        struct published published;

        code = tf_ctx_check(t->ctx);
        if (code) return code;
        code = publish_show_row(t->conn, t->ctx, &t->shelf, &t->faults, s ? PATH_INDEX(shows, s->index) : NULL,
                                t->publish[i].show_id, t->now, &published);
        if (!code && published.changed) t->n_published++;
    }
    return code;
}

/* ---- the attempt ------------------------------------------------------------------------------------------------ */

static tf_code attempt_begin(tf_pg_conn *conn, tf_ctx *ctx, struct import_tx *t)
{
    const struct catalogue *c = t->catalogue;
    tf_arena *arena = ctx->arena;
    size_t n_objects = c->n_organisers + c->n_venues + c->n_plans + c->n_programs + c->n_shows;

    *t = (struct import_tx){.catalogue = c,
                            .validate_only = t->validate_only,
                            .conn = conn,
                            .ctx = ctx,
                            .now = ctx->clock->wall_us(ctx->clock)};
    faults_init(&t->faults, arena);
    if (!(ctx->identity.roles & TF_ROLE_PLATFORM_OPERATOR)) {
        t->own_organiser_id = ctx->identity.organiser_id;
        if (!t->own_organiser_id) return tf_fail(ctx, TF_FORBIDDEN, "an organiser's role without an organiser");
    }
    t->imported = TF_NEW_ARRAY(arena, struct imported, n_objects);
    t->program_ids = TF_NEW_ARRAY(arena, int64_t, c->n_programs);
    t->program_organiser_ids = TF_NEW_ARRAY(arena, int64_t, c->n_programs);
    t->changed_programs = TF_NEW_ARRAY(arena, int64_t, c->n_programs);
    t->changed_venues = TF_NEW_ARRAY(arena, int64_t, c->n_venues);
    t->publish = TF_NEW_ARRAY(arena, struct to_publish, c->n_shows);
    if (tf_arena_exhausted(arena)) return tf_fail(ctx, TF_TOO_LARGE, "the file takes too much memory");
    return TF_OK;
}

static tf_code objects_store(struct import_tx *t)
{
    const struct catalogue *c = t->catalogue;
    const struct path *venues = PATH_MEMBER(NULL, "venues"), *plans = PATH_MEMBER(NULL, "plans"),
                      *programs = PATH_MEMBER(NULL, "programs");
    tf_code code = TF_OK;

    for (size_t i = 0; !code && i < c->n_organisers; i++)
        code = organiser_store(t, &c->organisers[i]);
    for (size_t i = 0; !code && i < c->n_venues; i++)
        code = venue_store(t, PATH_INDEX(venues, i), &c->venues[i]);
    for (size_t i = 0; !code && i < c->n_plans; i++)
        code = plan_store(t, PATH_INDEX(plans, i), &c->plans[i]);
    for (size_t i = 0; !code && i < c->n_programs; i++)
        code = program_store(t, PATH_INDEX(programs, i), i);
    for (size_t i = 0; !code && i < c->n_shows; i++) {
        const struct catalogue_show *s = &c->shows[i];
        const struct path *shows = PATH_MEMBER(PATH_INDEX(programs, s->program), "shows");

        code = tf_ctx_check(t->ctx);
        if (!code) code = show_store(t, PATH_INDEX(shows, s->index), s);
    }
    return code;
}

tf_code import_tx_run(tf_pg_conn *conn, tf_ctx *ctx, struct import_tx *t)
{
    tf_code code;

    code = attempt_begin(conn, ctx, t);
    if (code) return code;

    code = catalogue_lock(conn, ctx);
    if (code) return code;

    code = objects_store(t);
    if (code) return code;

    if (t->faults.n > 0) return TF_FIELD_INVALID; /* publishing would only tell their consequences */
    return publish_all(t);
}
