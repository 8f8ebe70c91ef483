/* Reading an organiser's file. */
#include "services/program/domain/catalogue.h"

#include "common/base/clock.h"
#include "common/crypto/crypto.h"
#include "services/program/domain/names.h"
#include "services/program/domain/texts.h"

#include <string.h>

enum { PICTURE_MAX = 1000, CONTENT_BYTES_MAX = CATALOGUE_BYTES_MAX + 1024 * 1024 };

const char *const program_text_names[] = {"detail",       "notice",   "refund_rule", "real_name_rule",
                                          "child_rule",   "delivery", "entry_rule",  "prohibited_items",
                                          "running_time", "invoice",  NULL};

/* ---- what every object has -------------------------------------------------------------------------------------- */

/* Content of an object in canonical form: the members of the table that are there, in the table's order, without those
 * that say what to do rather than what is ("publish") or that are objects of their own ("shows"). */
static const char *content(tf_arena *arena, const tf_json *value, const struct member *members)
{
    tf_cleanup(tf_buf_done) tf_buf out = {0};
    tf_json_writer key = {.out = &out};

    tf_buf_init(&out, CONTENT_BYTES_MAX);
    tf_buf_putc(&out, '{');
    for (const struct member *m = members; m->name; m++) {
        const tf_json *member = tf_json_get(value, m->name);
        const char *text;
        size_t size;

        if (!member || strcmp(m->name, "publish") == 0 || strcmp(m->name, "shows") == 0) continue;
        text = tf_json_canonical(arena, member, &size);
        if (!text) return NULL;
        if (out.size > 1) tf_buf_putc(&out, ',');
        key = (tf_json_writer){.out = &out};
        tf_json_put_string(&key, m->name);
        tf_buf_putc(&out, ':');
        tf_buf_append(&out, text, size);
    }
    tf_buf_putc(&out, '}');
    return out.broken ? NULL : tf_arena_strndup(arena, out.data, out.size);
}

/* Shape, ref, organiser, digest. */
static bool object_read(struct reading *r, const struct path *at, const tf_json *value, const struct member *members,
                        struct object *object)
{
    if (!read_object(r, at, value, members)) return false;
    if (!read_string(r, at, value, "ref", REF_MAX, &object->ref)) return false;
    if (!read_string(r, at, value, "organiser", REF_MAX, &object->organiser_ref)) return false;
    object->document = content(r->arena, value, members);
    if (!object->document) return fault_add(r->faults, at, "takes too much memory");
    tf_sha256(object->document, strlen(object->document), object->digest);
    return true;
}

/* Refs of one kind differ within an organiser. */
static bool ref_new(struct reading *r, const struct path *at, struct names *refs, const struct object *object,
                    const char *organiser)
{
    const char *key = tf_arena_printf(r->arena, "%s\n%s", organiser ? organiser : "", object->ref);

    if (!key) return fault_add(r->faults, at, "takes too much memory");
    if (names_add(refs, key, 0) < 0) return true;
    return fault_add(r->faults, PATH_MEMBER(at, "ref"), "\"%s\" is the ref of another one in this file", object->ref);
}

/* ---- organisers, venues, plans ---------------------------------------------------------------------------------- */

static bool organiser_read(struct reading *r, const struct path *at, const tf_json *value,
                           struct catalogue_organiser *o)
{
    static const struct member members[] = {{"ref", true}, {"name", true}, {NULL, false}};

    return object_read(r, at, value, members, &o->object) && read_texts(r, at, value, "name", TEXT_NAME_MAX, &o->name);
}

static bool venue_read(struct reading *r, const struct path *at, const tf_json *value, struct catalogue_venue *v)
{
    static const struct member members[] = {{"ref", true},     {"organiser", false}, {"name", true}, {"city", true},
                                            {"address", true}, {"time_zone", true},  {NULL, false}};

    if (!object_read(r, at, value, members, &v->object)) return false;
    if (!read_texts(r, at, value, "name", TEXT_NAME_MAX, &v->name)) return false;
    if (!read_texts(r, at, value, "city", TEXT_NAME_MAX, &v->city)) return false;
    if (!read_texts(r, at, value, "address", TEXT_NAME_MAX, &v->address)) return false;
    if (!read_string(r, at, value, "time_zone", TEXT_NAME_MAX, &v->time_zone)) return false;
    if (!tf_zone_known(v->time_zone))
        return fault_add(r->faults, PATH_MEMBER(at, "time_zone"),
                         "is no time zone of the IANA database such as \"Asia/Shanghai\"");
    return true;
}

static const struct member plan_members[] = {
    {"ref", true},           {"organiser", false}, {"venue", true},  {"stage", false}, {"sections", false},
    {"seating_plan", false}, {"zones", false},     {"areas", false}, {"notes", false}, {NULL, false}};

static bool catalogue_plan_read(struct reading *r, const struct path *at, const tf_json *value,
                                struct catalogue_plan *p)
{
    if (!object_read(r, at, value, plan_members, &p->object)) return false;
    if (!read_string(r, at, value, "venue", REF_MAX, &p->venue_ref)) return false;
    p->plan = plan_read(r, at, value);
    return p->plan != NULL;
}

/* ---- programmes and shows --------------------------------------------------------------------------------------- */

static bool catalogue_show_read(struct reading *r, const struct path *at, const tf_json *value, int64_t hold_floor_s,
                                struct catalogue_show *s)
{
    s->object.document = content(r->arena, value, show_members);
    if (!s->object.document) return fault_add(r->faults, at, "takes too much memory");
    tf_sha256(s->object.document, strlen(s->object.document), s->object.digest);
    if (!show_read(r, at, value, hold_floor_s, &s->show)) return false;
    s->object.ref = s->show.ref;
    return true;
}

/* "https://…", "http://…", or a path or file name. */
static bool picture_check(struct reading *r, const struct path *at, const char *picture)
{
    const char *colon = picture ? strchr(picture, ':') : NULL;

    if (!picture || !colon || strncmp(picture, "https://", 8) == 0 || strncmp(picture, "http://", 7) == 0) return true;
    return fault_add(r->faults, PATH_MEMBER(at, "picture"), "must be an http(s) URL, a path or a file name");
}

static bool program_texts_read(struct reading *r, const struct path *at, const tf_json *value,
                               struct catalogue_program *p)
{
    static const struct member members[] = {
        {"detail", false},       {"notice", false},   {"refund_rule", false}, {"real_name_rule", false},
        {"child_rule", false},   {"delivery", false}, {"entry_rule", false},  {"prohibited_items", false},
        {"running_time", false}, {"invoice", false},  {NULL, false}};
    const tf_json *texts = tf_json_get(value, "texts");
    const struct path *here = PATH_MEMBER(at, "texts");
    bool good = true;

    if (!texts) return true;
    if (!read_object(r, here, texts, members)) return false;
    for (size_t i = 0; i < PROGRAM_TEXTS; i++)
        if (!read_texts(r, here, texts, program_text_names[i], TEXT_LONG_MAX, &p->texts[i])) good = false;
    return good;
}

static bool shows_read(struct reading *r, const struct path *at, const tf_json *value, int64_t hold_floor_s,
                       size_t program, struct names *refs, struct catalogue *c)
{
    const struct path *list = PATH_MEMBER(at, "shows");
    const char *organiser = c->programs[program].object.organiser_ref;
    const tf_json *shows;
    bool good = true;

    if (!read_array(r, at, value, "shows", 0, CATALOGUE_SHOWS_MAX, &shows)) return false;
    for (size_t i = 0; i < tf_json_size(shows); i++) {
        const struct path *here = PATH_INDEX(list, i);
        struct catalogue_show *show;

        if (c->n_shows == CATALOGUE_SHOWS_MAX)
            return fault_add(r->faults, here, "is one too many: a file has at most %d shows", CATALOGUE_SHOWS_MAX);
        show = &c->shows[c->n_shows++];
        show->program = program;
        show->index = i;
        show->object.organiser_ref = organiser;
        if (!catalogue_show_read(r, here, tf_json_at(shows, i), hold_floor_s, show) ||
            !ref_new(r, here, refs, &show->object, organiser))
            good = false;
    }
    return good;
}

static bool program_read(struct reading *r, const struct path *at, const tf_json *value, struct catalogue_program *p)
{
    static const struct member members[] = {
        {"ref", true},      {"organiser", false}, {"title", true},  {"performers", false}, {"category", false},
        {"picture", false}, {"group", false},     {"texts", false}, {"shows", false},      {NULL, false}};
    bool good;

    if (!object_read(r, at, value, members, &p->object)) return false;
    good = read_texts(r, at, value, "title", TEXT_NAME_MAX, &p->title);
    good &= read_texts(r, at, value, "performers", TEXT_NAME_MAX, &p->performers);
    good &= read_texts(r, at, value, "category", TEXT_NAME_MAX, &p->category);
    good &= read_string(r, at, value, "picture", PICTURE_MAX, &p->picture) && picture_check(r, at, p->picture);
    good &= read_string(r, at, value, "group", REF_MAX, &p->group);
    good &= program_texts_read(r, at, value, p);
    return good;
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

struct file_arrays {
    const tf_json *organisers, *venues, *plans, *programs;
};

static bool arrays_read(struct reading *r, const tf_json *document, struct file_arrays *arrays, struct catalogue *c)
{
    size_t n_shows = 0;

    if (!read_array(r, NULL, document, "organisers", 0, CATALOGUE_ORGANISERS_MAX, &arrays->organisers)) return false;
    if (!read_array(r, NULL, document, "venues", 0, CATALOGUE_VENUES_MAX, &arrays->venues)) return false;
    if (!read_array(r, NULL, document, "plans", 0, CATALOGUE_PLANS_MAX, &arrays->plans)) return false;
    if (!read_array(r, NULL, document, "programs", 0, CATALOGUE_PROGRAMS_MAX, &arrays->programs)) return false;
    c->n_organisers = tf_json_size(arrays->organisers);
    c->n_venues = tf_json_size(arrays->venues);
    c->n_plans = tf_json_size(arrays->plans);
    c->n_programs = tf_json_size(arrays->programs);
    for (size_t i = 0; i < c->n_programs; i++)
        n_shows += tf_json_size(tf_json_get(tf_json_at(arrays->programs, i), "shows"));
    c->organisers = TF_NEW_ARRAY(r->arena, struct catalogue_organiser, c->n_organisers);
    c->venues = TF_NEW_ARRAY(r->arena, struct catalogue_venue, c->n_venues);
    c->plans = TF_NEW_ARRAY(r->arena, struct catalogue_plan, c->n_plans);
    c->programs = TF_NEW_ARRAY(r->arena, struct catalogue_program, c->n_programs);
    c->shows = TF_NEW_ARRAY(r->arena, struct catalogue_show, TF_MIN(n_shows, (size_t)CATALOGUE_SHOWS_MAX));
    return tf_arena_exhausted(r->arena) ? fault_add(r->faults, NULL, "takes too much memory") : true;
}

/* One list after the other; a faulty object does not keep the next from being looked at. */
static void lists_read(struct reading *r, const struct file_arrays *arrays, int64_t hold_floor_s, struct catalogue *c)
{
    struct names organisers, venues, plans, programs, shows;
    const char *only = NULL; /* the file's organiser when there is one only */
    size_t n_places = 0;

    names_init(&organisers, r->arena);
    names_init(&venues, r->arena);
    names_init(&plans, r->arena);
    names_init(&programs, r->arena);
    names_init(&shows, r->arena);
    for (size_t i = 0; i < c->n_organisers; i++) {
        const struct path *at = PATH_INDEX(PATH_MEMBER(NULL, "organisers"), i);
        struct catalogue_organiser *o = &c->organisers[i];

        if (organiser_read(r, at, tf_json_at(arrays->organisers, i), o)) ref_new(r, at, &organisers, &o->object, NULL);
    }
    if (c->n_organisers == 1) only = c->organisers[0].object.ref;
    for (size_t i = 0; i < c->n_venues; i++) {
        const struct path *at = PATH_INDEX(PATH_MEMBER(NULL, "venues"), i);
        struct catalogue_venue *v = &c->venues[i];

        v->object.organiser_ref = only;
        if (venue_read(r, at, tf_json_at(arrays->venues, i), v))
            ref_new(r, at, &venues, &v->object, v->object.organiser_ref);
    }
    for (size_t i = 0; i < c->n_plans && n_places <= CATALOGUE_PLACES_MAX; i++) {
        const struct path *at = PATH_INDEX(PATH_MEMBER(NULL, "plans"), i);
        struct catalogue_plan *p = &c->plans[i];

        p->object.organiser_ref = only;
        if (!catalogue_plan_read(r, at, tf_json_at(arrays->plans, i), p)) continue;
        ref_new(r, at, &plans, &p->object, p->object.organiser_ref);
        n_places += (size_t)p->plan->n_places;
        if (n_places > CATALOGUE_PLACES_MAX)
            fault_add(r->faults, at, "makes more than %d places in one file: bring the plans in several",
                      CATALOGUE_PLACES_MAX);
    }
    for (size_t i = 0; i < c->n_programs; i++) {
        const struct path *at = PATH_INDEX(PATH_MEMBER(NULL, "programs"), i);
        struct catalogue_program *p = &c->programs[i];

        p->object.organiser_ref = only;
        if (program_read(r, at, tf_json_at(arrays->programs, i), p))
            ref_new(r, at, &programs, &p->object, p->object.organiser_ref);
        shows_read(r, at, tf_json_at(arrays->programs, i), hold_floor_s, i, &shows, c);
    }
}

bool catalogue_values_few(const char *text, size_t size)
{
    bool inside = false; /* a string */
    size_t n = 1;

    for (size_t i = 0; i < size; i++) {
        if (inside) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                inside = false;
        } else if (text[i] == '"') {
            inside = true;
        } else if (text[i] == ',' || text[i] == '[' || text[i] == '{') {
            if (++n > CATALOGUE_VALUES_MAX) return false;
        }
    }
    return true;
}

bool catalogue_read(struct reading *r, const tf_json *document, int64_t hold_floor_s, struct catalogue *ret_catalogue)
{
    static const struct member members[] = {{"format", true}, {"organisers", false}, {"venues", false},
                                            {"plans", false}, {"programs", false},   {NULL, false}};
    struct catalogue c = {0};
    struct file_arrays arrays;
    const tf_json *format = tf_json_get(document, "format");

    if (tf_json_type(document) == TF_JSON_OBJECT && format && strcmp(tf_json_string(format, ""), CATALOGUE_FORMAT) != 0)
        return fault_add(r->faults, PATH_MEMBER(NULL, "format"), "must be \"" CATALOGUE_FORMAT "\"");
    if (!read_object(r, NULL, document, members)) return false;
    if (!arrays_read(r, document, &arrays, &c)) return false;
    lists_read(r, &arrays, hold_floor_s, &c);
    if (tf_arena_exhausted(r->arena)) fault_add(r->faults, NULL, "takes too much memory");
    if (r->faults->n > 0) return false;
    *ret_catalogue = c;
    return true;
}

/* ---- stored documents ------------------------------------------------------------------------------------------- */

bool stored_plan_read(struct reading *r, const char *document, tf_json **ret_json, struct plan **ret_plan)
{
    const char *error = NULL;

    *ret_json = tf_json_parse(r->arena, document, strlen(document), 0, &error);
    if (!*ret_json) return fault_add(r->faults, NULL, "%s", error ? error : "is not JSON");
    *ret_plan = plan_read(r, NULL, *ret_json);
    return *ret_plan != NULL;
}

bool stored_show_read(struct reading *r, const char *document, tf_json **ret_json, struct show *ret_show)
{
    const char *error = NULL;

    *ret_json = tf_json_parse(r->arena, document, strlen(document), 0, &error);
    if (!*ret_json) return fault_add(r->faults, NULL, "%s", error ? error : "is not JSON");
    /* The floor was checked when the show came in; a floor raised since does not make it unreadable. */
    return show_read(r, NULL, *ret_json, 1, ret_show);
}
