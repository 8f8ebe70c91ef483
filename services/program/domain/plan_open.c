/* The open seating-plan JSON (version 0.0.1 of its schema, as pretix and its editors write it) → plan.
 *
 * Positions add up: seat + row + zone. Seats of a row are neighbours in the order in which they stand, unless the
 * distance is clearly larger than usual: an aisle. Beside the document, "zones" of the element says what the format has
 * no words for: texts, entrance, quality of a zone. */
#include "services/program/domain/names.h"
#include "services/program/domain/plan.h"
#include "services/program/domain/texts.h"

#include <math.h>
#include <string.h>

/* A gap of more than this many usual pitches is an aisle. */
#define AISLE_PITCHES 1.6

enum {
    ZONES_MAX = PLAN_SECTIONS_MAX,
    COORDINATE_MAX = 1000000,
    /* A row with fewer seats takes the usual pitch of the plan: its own would be the aisle's width. */
    ROW_PITCH_SEATS_MIN = 4,
    AREA_GAP = 40,
};

struct point {
    double x, y;
};

struct open_plan {
    struct plan_draft *draft;
    struct names guids;
    struct names sections;
    const tf_json *zone_notes; /* "zones" of the element, or NULL */
};

static bool position_add(struct open_plan *o, const struct path *at, const tf_json *value, struct point *point)
{
    double x = 0, y = 0;

    if (!read_position(o->draft->r, at, value, "position", COORDINATE_MAX, &x, &y)) return false;
    point->x += x;
    point->y += y;
    if (fabs(point->x) > COORDINATE_MAX || fabs(point->y) > COORDINATE_MAX)
        return fault_add(o->draft->r->faults, PATH_MEMBER(at, "position"), "is outside of any plan");
    return true;
}

/* Members that only editors need: their type is checked, their value ignored. */
static bool uuid_check(struct open_plan *o, const struct path *at, const tf_json *value)
{
    const char *ignored;

    return read_string(o->draft->r, at, value, "uuid", TEXT_NAME_MAX, &ignored);
}

/* A member that is null or one of the words. */
static bool nullable_word(struct open_plan *o, const struct path *at, const tf_json *value, const char *name,
                          const char *const *words)
{
    const tf_json *member = tf_json_get(value, name);
    int ignored;

    if (!member || tf_json_type(member) == TF_JSON_NULL) return true;
    return read_word(o->draft->r, at, value, name, words, &ignored);
}

/* ---- seats and rows --------------------------------------------------------------------------------------------- */

static bool seat_read(struct open_plan *o, const struct path *at, const tf_json *value, const char *template,
                      struct point origin)
{
    static const struct member members[] = {{"seat_guid", true},        {"seat_number", true}, {"position", true},
                                            {"category", true},         {"uuid", false},       {"radius", false},
                                            {"start_direction", false}, {NULL, false}};
    static const char *const directions[] = {"<", ">", "<>", NULL};
    struct plan_draft *d = o->draft;
    const char *guid = NULL, *number = NULL, *category = NULL;
    double radius;
    struct plan_seat *seat;
    int index;

    if (!read_object(d->r, at, value, members)) return false;
    if (!read_string(d->r, at, value, "seat_guid", TEXT_NAME_MAX, &guid)) return false;
    if (!read_string(d->r, at, value, "seat_number", PLAN_LABEL_MAX, &number)) return false;
    if (!read_string(d->r, at, value, "category", TEXT_NAME_MAX, &category)) return false;
    if (!position_add(o, at, value, &origin)) return false;
    if (!uuid_check(o, at, value)) return false;
    if (!read_real(d->r, at, value, "radius", 0.1, 1000, &radius)) return false;
    if (!nullable_word(o, at, value, "start_direction", directions)) return false;

    index = names_find(d->categories, category);
    if (index < 0)
        return fault_add(d->r->faults, PATH_MEMBER(at, "category"), "the plan has no category \"%s\"", category);
    if (names_add(&o->guids, guid, d->plan->n_seats) >= 0)
        return fault_add(d->r->faults, PATH_MEMBER(at, "seat_guid"), "stands at another seat too");
    seat = plan_add_seat(d, at);
    if (!seat) return false;
    *seat = (struct plan_seat){.number = number,
                               .label = number,
                               .guid = guid,
                               .category = (int16_t)index,
                               .x = (int32_t)lround(origin.x),
                               .y = (int32_t)lround(origin.y)};
    if (template) {
        const char *hole = strstr(template, "%s");

        if (hole)
            seat->label = tf_arena_printf(d->r->arena, "%.*s%s%s", (int)(hole - template), template, number, hole + 2);
        if (!seat->label) return fault_add(d->r->faults, at, "takes too much memory");
    }
    return true;
}

static bool row_read(struct open_plan *o, const struct path *at, const tf_json *value, int section, struct point origin)
{
    static const struct member members[] = {
        {"row_number", true},           {"row_label", false}, {"seat_label", false}, {"uuid", false},
        {"row_number_position", false}, {"position", false},  {"seats", true},       {NULL, false}};
    static const char *const sides[] = {"start", "end", "both", NULL};
    struct plan_draft *d = o->draft;
    const char *number = NULL, *label = NULL, *template = NULL;
    int first = d->plan->n_seats;
    const tf_json *seats;
    struct plan_row *row;
    bool good = true;

    if (!read_object(d->r, at, value, members)) return false;
    if (!read_string(d->r, at, value, "row_number", PLAN_LABEL_MAX, &number)) return false;
    if (!read_string(d->r, at, value, "row_label", PLAN_LABEL_MAX, &label)) return false;
    if (!read_string(d->r, at, value, "seat_label", PLAN_LABEL_MAX, &template)) return false;
    if (!uuid_check(o, at, value)) return false;
    if (!nullable_word(o, at, value, "row_number_position", sides)) return false;
    if (!position_add(o, at, value, &origin)) return false;
    if (!read_array(d->r, at, value, "seats", 0, PLAN_ROW_SEATS_MAX, &seats)) return false;
    for (size_t i = 0; i < tf_json_size(seats); i++)
        if (!seat_read(o, PATH_INDEX(PATH_MEMBER(at, "seats"), i), tf_json_at(seats, i), template, origin))
            good = false;
    if (!good || d->plan->n_seats == first) return good;

    row = plan_add_row(d, at);
    if (!row) return false;
    *row = (struct plan_row){
        .number = number, .label = number, .section = section, .first = first, .count = d->plan->n_seats - first};
    if (label) {
        const char *hole = strstr(label, "%s");

        row->label =
            hole ? tf_arena_printf(d->r->arena, "%.*s%s%s", (int)(hole - label), label, number, hole + 2) : label;
        if (!row->label) return fault_add(d->r->faults, at, "takes too much memory");
    }
    return true;
}

/* ---- areas that are drawn --------------------------------------------------------------------------------------- */

static bool polygon_read(struct open_plan *o, const struct path *at, const tf_json *value, struct plan_shape *shape)
{
    static const struct member members[] = {{"points", true}, {NULL, false}};
    static const struct member point_members[] = {{"x", true}, {"y", true}, {NULL, false}};
    struct reading *r = o->draft->r;
    const tf_json *points;
    int32_t *out;

    if (!read_object(r, at, value, members)) return false;
    if (!read_array(r, at, value, "points", 3, PLAN_SHAPE_POINTS_MAX, &points)) return false;
    shape->n_points = (int)tf_json_size(points);
    out = TF_NEW_ARRAY(r->arena, int32_t, 2 * (size_t)shape->n_points);
    if (!out) return fault_add(r->faults, at, "takes too much memory");
    for (size_t i = 0; i < (size_t)shape->n_points; i++) {
        const struct path *here = PATH_INDEX(PATH_MEMBER(at, "points"), i);
        const tf_json *point = tf_json_at(points, i);
        double x, y;

        if (!read_object(r, here, point, point_members)) return false;
        if (!read_real(r, here, point, "x", -COORDINATE_MAX, COORDINATE_MAX, &x)) return false;
        if (!read_real(r, here, point, "y", -COORDINATE_MAX, COORDINATE_MAX, &y)) return false;
        out[2 * i] = (int32_t)lround(x);
        out[2 * i + 1] = (int32_t)lround(y);
    }
    shape->points = out;
    return true;
}

static bool geometry_read(struct open_plan *o, const struct path *at, const tf_json *value, struct plan_shape *shape)
{
    static const struct member rectangle[] = {{"width", true}, {"height", true}, {NULL, false}};
    static const struct member round[] = {{"radius", true}, {NULL, false}};
    struct reading *r = o->draft->r;
    const char *name = plan_shape_names[shape->kind];
    const struct path *here = PATH_MEMBER(at, name);
    const tf_json *geometry = tf_json_get(value, name);
    double width = 0, height = 0;

    if (shape->kind == SHAPE_TEXT) return true; /* its text says where */
    if (!geometry) return fault_add(r->faults, here, "is missing");
    if (shape->kind == SHAPE_POLYGON) return polygon_read(o, here, geometry, shape);
    if (shape->kind == SHAPE_RECTANGLE) {
        if (!read_object(r, here, geometry, rectangle)) return false;
        if (!read_real(r, here, geometry, "width", 0, COORDINATE_MAX, &width)) return false;
        if (!read_real(r, here, geometry, "height", 0, COORDINATE_MAX, &height)) return false;
    } else if (shape->kind == SHAPE_CIRCLE) {
        if (!read_object(r, here, geometry, round)) return false;
        if (!read_real(r, here, geometry, "radius", 0, COORDINATE_MAX, &width)) return false;
        width = height = 2 * width;
    } else {
        if (!read_object(r, here, geometry, round)) return false;
        if (!read_position(r, here, geometry, "radius", COORDINATE_MAX, &width, &height)) return false;
        width = 2 * fabs(width);
        height = 2 * fabs(height);
    }
    shape->width = (int32_t)lround(width);
    shape->height = (int32_t)lround(height);
    return true;
}

static bool shape_text_read(struct open_plan *o, const struct path *at, const tf_json *value, struct plan_shape *shape)
{
    static const struct member members[] = {
        {"text", true}, {"position", true}, {"color", false}, {"size", false}, {NULL, false}};
    struct reading *r = o->draft->r;
    const tf_json *text = tf_json_get(value, "text");
    const struct path *here = PATH_MEMBER(at, "text");
    double x = 0, y = 0, size = 16;

    if (!text) return shape->kind == SHAPE_TEXT ? fault_add(r->faults, here, "is missing") : true;
    if (!read_object(r, here, text, members)) return false;
    if (tf_json_type(tf_json_get(text, "text")) == TF_JSON_STRING && !*tf_json_string(tf_json_get(text, "text"), ""))
        return true; /* editors write empty texts for areas without one */
    if (!read_string(r, here, text, "text", TEXT_NAME_MAX, &shape->text)) return false;
    if (!read_position(r, here, text, "position", COORDINATE_MAX, &x, &y)) return false;
    if (!read_color(r, here, text, "color", &shape->text_color)) return false;
    if (!read_real(r, here, text, "size", 1, 1000, &size)) return false;
    shape->text_x = (int32_t)lround(x);
    shape->text_y = (int32_t)lround(y);
    shape->text_size = (int32_t)lround(size);
    return true;
}

static bool shape_read(struct open_plan *o, const struct path *at, const tf_json *value, struct point origin)
{
    static const struct member members[] = {{"shape", true},         {"polygon", false},  {"rectangle", false},
                                            {"ellipse", false},      {"circle", false},   {"text", false},
                                            {"position", true},      {"rotation", false}, {"color", false},
                                            {"border_color", false}, {"uuid", false},     {NULL, false}};
    struct plan_draft *d = o->draft;
    struct plan_shape *shape;
    int kind = 0;

    if (d->plan->n_shapes == PLAN_SHAPES_MAX)
        return fault_add(d->r->faults, at, "is one too many: a plan has at most %d areas to draw", PLAN_SHAPES_MAX);
    shape = &d->plan->shapes[d->plan->n_shapes];
    *shape = (struct plan_shape){0};
    if (!read_object(d->r, at, value, members)) return false;
    if (!read_word(d->r, at, value, "shape", plan_shape_names, &kind)) return false;
    shape->kind = (enum plan_shape_kind)kind;
    if (!position_add(o, at, value, &origin)) return false;
    if (!read_real(d->r, at, value, "rotation", -360, 360, &shape->rotation)) return false;
    if (!read_color(d->r, at, value, "color", &shape->color)) return false;
    if (!read_color(d->r, at, value, "border_color", &shape->border_color)) return false;
    if (!uuid_check(o, at, value)) return false;
    if (!geometry_read(o, at, value, shape) || !shape_text_read(o, at, value, shape)) return false;
    shape->x = (int32_t)lround(origin.x);
    shape->y = (int32_t)lround(origin.y);
    d->plan->n_shapes++;
    return true;
}

/* ---- zones ------------------------------------------------------------------------------------------------------ */

/* What the element says about the zone beside the document. */
static bool zone_note_read(struct open_plan *o, const struct path *element, const char *key,
                           struct plan_section *section)
{
    static const struct member members[] = {{"name", false}, {"entrance", false}, {"quality", false}, {NULL, false}};
    const tf_json *note = tf_json_get(o->zone_notes, key);
    const struct path *at = PATH_MEMBER(PATH_MEMBER(element, "zones"), key);
    struct reading *r = o->draft->r;
    int64_t quality = 0;

    if (!note) return true;
    if (!read_object(r, at, note, members)) return false;
    if (!read_texts(r, at, note, "name", TEXT_NAME_MAX, &section->name)) return false;
    if (!read_texts(r, at, note, "entrance", TEXT_NAME_MAX, &section->entrance)) return false;
    if (!read_int(r, at, note, "quality", 0, PLAN_QUALITY_MAX, &quality)) return false;
    section->quality = (int)quality;
    return true;
}

/* A zone's section. Key: zone_id, else the name, else its place in the list. */
static int zone_section(struct open_plan *o, const struct path *element, const struct path *at, size_t index,
                        const char *id, const char *name)
{
    struct plan_draft *d = o->draft;
    const char *key = id ? id : name ? name : tf_arena_printf(d->r->arena, "%zu", index + 1);
    struct plan_section *section;

    if (!key) return -1;
    if (names_add(&o->sections, key, (int)index) >= 0) {
        fault_add(d->r->faults, PATH_MEMBER(at, id ? "zone_id" : "name"), "\"%s\" names another zone too", key);
        return -1;
    }
    section = plan_add_section(d, at);
    if (!section) return -1;
    section->key = key;
    if (!zone_note_read(o, element, key, section)) return -1;
    if (!section->name) section->name = texts_plain(d->r->arena, name ? name : key);
    return section->name ? d->plan->n_sections - 1 : -1;
}

/* Editors write empty names for zones without one. */
static const char *nonempty(const tf_json *value, const char *name)
{
    const char *text = tf_json_string(tf_json_get(value, name), NULL);

    return text && *text ? text : NULL;
}

static bool zone_read(struct open_plan *o, const struct path *element, const struct path *at, size_t index,
                      const tf_json *value)
{
    static const struct member members[] = {{"name", false}, {"zone_id", false}, {"uuid", false}, {"position", true},
                                            {"rows", true},  {"areas", false},   {NULL, false}};
    struct plan_draft *d = o->draft;
    const char *name = NULL, *id = NULL;
    struct point origin = {0};
    const tf_json *rows, *areas;
    bool good = true;
    int section;

    if (!read_object(d->r, at, value, members)) return false;
    if (nonempty(value, "name") && !read_string(d->r, at, value, "name", TEXT_NAME_MAX, &name)) return false;
    if (nonempty(value, "zone_id") && !read_string(d->r, at, value, "zone_id", TEXT_NAME_MAX, &id)) return false;
    if (!uuid_check(o, at, value) || !position_add(o, at, value, &origin)) return false;
    if (!read_array(d->r, at, value, "rows", 0, PLAN_ROWS_MAX, &rows)) return false;
    if (!read_array(d->r, at, value, "areas", 0, PLAN_SHAPES_MAX, &areas)) return false;
    for (size_t i = 0; i < tf_json_size(areas); i++)
        if (!shape_read(o, PATH_INDEX(PATH_MEMBER(at, "areas"), i), tf_json_at(areas, i), origin)) good = false;
    if (tf_json_size(rows) == 0) return good;

    section = zone_section(o, element, at, index, id, name);
    if (section < 0) return false;
    for (size_t i = 0; i < tf_json_size(rows); i++)
        if (!row_read(o, PATH_INDEX(PATH_MEMBER(at, "rows"), i), tf_json_at(rows, i), section, origin)) good = false;
    return good;
}

static bool zone_notes_check(struct open_plan *o, const struct path *element)
{
    const tf_json *ignored;
    size_t n = tf_json_size(o->zone_notes);
    bool good = true;

    if (o->zone_notes && tf_json_type(o->zone_notes) != TF_JSON_OBJECT)
        return fault_add(o->draft->r->faults, PATH_MEMBER(element, "zones"), "must be an object by zone");
    for (size_t i = 0; i < n; i++) {
        const char *key = tf_json_member(o->zone_notes, i, &ignored);

        if (names_find(&o->sections, key) < 0)
            good = fault_add(o->draft->r->faults, PATH_MEMBER(PATH_MEMBER(element, "zones"), key),
                             "the plan has no zone with seats of that id or name");
    }
    return good;
}

static bool categories_read(struct open_plan *o, const struct path *at, const tf_json *document)
{
    static const struct member members[] = {{"name", true}, {"color", false}, {NULL, false}};
    struct plan_draft *d = o->draft;
    const tf_json *categories;
    bool good = true;

    if (!read_array(d->r, at, document, "categories", 0, PLAN_CATEGORIES_MAX, &categories)) return false;
    for (size_t i = 0; i < tf_json_size(categories); i++) {
        const struct path *here = PATH_INDEX(PATH_MEMBER(at, "categories"), i);
        const tf_json *value = tf_json_at(categories, i);
        const char *name = NULL;
        int n = d->plan->n_categories, index;

        if (!read_object(d->r, here, value, members) || !read_string(d->r, here, value, "name", TEXT_NAME_MAX, &name)) {
            good = false;
            continue;
        }
        index = plan_category(d, here, name);
        if (index < 0) return false;
        if (index < n)
            good = fault_add(d->r->faults, PATH_MEMBER(here, "name"), "\"%s\" is the name of another category", name);
        else if (!read_color(d->r, here, value, "color", &d->plan->categories[index].color))
            good = false;
    }
    return good;
}

/* ---- neighbours ------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

/* 0 when there is none. */
static double median(double *values, int n)
{
    if (n == 0) return 0;
    qsort(values, (size_t)n, sizeof(values[0]), compare_doubles);
    return values[(n - 1) / 2];
}

static int row_distances(const struct plan *p, const struct plan_row *row, double *out)
{
    for (int i = 0; i + 1 < row->count; i++) {
        const struct plan_seat *seat = &p->seats[row->first + i];

        out[i] = hypot((double)seat[1].x - seat[0].x, (double)seat[1].y - seat[0].y);
    }
    return TF_MAX(0, row->count - 1);
}

/* Marks the aisles of all rows. */
static bool aisles_find(struct open_plan *o)
{
    struct plan *p = o->draft->plan;
    double *all = TF_NEW_ARRAY(o->draft->r->arena, double, (size_t)p->n_seats + 1);
    double distances[PLAN_ROW_SEATS_MAX], sorted[PLAN_ROW_SEATS_MAX], usual;
    int n = 0;

    if (!all) return fault_add(o->draft->r->faults, NULL, "the plan takes too much memory");
    for (int i = 0; i < p->n_rows; i++)
        n += row_distances(p, &p->rows[i], all + n);
    usual = median(all, n);
    for (int i = 0; i < p->n_rows; i++) {
        const struct plan_row *row = &p->rows[i];
        double pitch = usual;

        n = row_distances(p, row, distances);
        if (row->count >= ROW_PITCH_SEATS_MIN) {
            memcpy(sorted, distances, (size_t)n * sizeof(sorted[0]));
            pitch = median(sorted, n);
        }
        for (int k = 0; k < n; k++)
            p->seats[row->first + k].gap_after = distances[k] > AISLE_PITCHES * pitch;
    }
    return true;
}

/* ---- the document ----------------------------------------------------------------------------------------------- */

static bool size_read(struct open_plan *o, const struct path *at, const tf_json *document)
{
    static const struct member members[] = {{"width", true}, {"height", true}, {NULL, false}};
    const tf_json *size = tf_json_get(document, "size");
    const struct path *here = PATH_MEMBER(at, "size");
    int64_t width = 0, height = 0;

    if (!read_object(o->draft->r, here, size, members)) return false;
    if (!read_int(o->draft->r, here, size, "width", 1, PLAN_SIZE_MAX, &width)) return false;
    if (!read_int(o->draft->r, here, size, "height", 1, PLAN_SIZE_MAX, &height)) return false;
    o->draft->plan->width = (int32_t)width;
    o->draft->plan->height = (int32_t)height;
    return true;
}

/* Standing areas without a position are drawn below the plan. */
static void areas_place(struct plan *p)
{
    for (int i = 0; i < p->n_areas; i++) {
        struct plan_area *area = &p->areas[i];

        if (area->width == 0) {
            area->width = TF_MAX(p->width / 2, 1);
            area->height = TF_MAX(p->height / 8, 1);
        }
        if (area->x != INT32_MIN) continue;
        area->x = (p->width - area->width) / 2;
        area->y = p->height + AREA_GAP;
        p->height = area->y + area->height + AREA_GAP;
    }
}

bool plan_read_open(struct plan_draft *d, const struct path *element_at, const tf_json *element)
{
    static const struct member members[] = {
        {"name", true}, {"size", true}, {"categories", true}, {"zones", true}, {NULL, false}};
    struct open_plan open = {.draft = d, .zone_notes = tf_json_get(element, "zones")};
    const tf_json *document = tf_json_get(element, "seating_plan"), *zones;
    const struct path *at = PATH_MEMBER(element_at, "seating_plan");
    struct names *guids;
    const char *ignored;
    double stage_x, stage_y = 0;
    bool good = true;

    names_init(&open.guids, d->r->arena);
    names_init(&open.sections, d->r->arena);
    if (!read_object(d->r, at, document, members)) return false;
    if (!read_string(d->r, at, document, "name", TEXT_NAME_MAX, &ignored)) return false;
    if (!size_read(&open, at, document) || !categories_read(&open, at, document)) return false;
    stage_x = d->plan->width / 2.0;
    if (!read_position(d->r, element_at, element, "stage", PLAN_SIZE_MAX, &stage_x, &stage_y)) return false;
    d->plan->stage_x = (int32_t)lround(stage_x);
    d->plan->stage_y = (int32_t)lround(stage_y);

    d->plan->shapes = TF_NEW_ARRAY(d->r->arena, struct plan_shape, PLAN_SHAPES_MAX);
    if (!d->plan->shapes) return fault_add(d->r->faults, at, "takes too much memory");
    if (!read_array(d->r, at, document, "zones", 0, ZONES_MAX, &zones)) return false;
    for (size_t i = 0; i < tf_json_size(zones); i++)
        if (!zone_read(&open, element_at, PATH_INDEX(PATH_MEMBER(at, "zones"), i), i, tf_json_at(zones, i)))
            good = false;
    if (!zone_notes_check(&open, element_at)) good = false;
    if (!plan_read_areas(d, element_at, element) || !good || !aisles_find(&open)) return false;
    areas_place(d->plan);

    guids = tf_arena_memdup(d->r->arena, &open.guids, sizeof(open.guids));
    if (!guids) return fault_add(d->r->faults, at, "takes too much memory");
    d->plan->guids = guids;
    return true;
}
