/* A seat plan: what both forms share, and the finish (order of rows, qualities, bounds). */
#include "services/program/domain/plan.h"

#include "services/program/domain/names.h"
#include "services/program/domain/selector.h"
#include "services/program/domain/texts.h"

#include <math.h>
#include <string.h>

enum { QUALITY_PER_SECTION_RANK = 1000000 };

const char *const plan_attribute_names[] = {"ACCESSIBLE", "COMPANION", "RESTRICTED_VIEW", NULL};
const char *const plan_shape_names[] = {"polygon", "rectangle", "ellipse", "circle", "text", NULL};

/* ---- growing ---------------------------------------------------------------------------------------------------- */

/* Room for one more element of the array; false with a fault at the bound. */
static bool grow(struct plan_draft *draft, const struct path *at, void **array, int n, int *capacity, size_t size,
                 int max, const char *what)
{
    int wanted = TF_MAX(16, *capacity * 2);
    void *bigger;

    if (n == max) return fault_add(draft->r->faults, at, "is one too many: a plan has at most %d %s", max, what);
    if (n < *capacity) return true;
    bigger = tf_arena_calloc(draft->r->arena, (size_t)wanted, size);
    if (!bigger) return fault_add(draft->r->faults, at, "takes too much memory");
    if (n > 0) memcpy(bigger, *array, (size_t)n * size);
    *array = bigger;
    *capacity = wanted;
    return true;
}

#define GROW(draft, at, list, count, capacity, max, what)                                                              \
    grow((draft), (at), (void **)&(list), (count), &(capacity), sizeof((list)[0]), (max), (what))

struct plan_section *plan_add_section(struct plan_draft *d, const struct path *at)
{
    struct plan *p = d->plan;

    if (!GROW(d, at, p->sections, p->n_sections, d->sections_capacity, PLAN_SECTIONS_MAX, "sections")) return NULL;
    return &p->sections[p->n_sections++];
}

struct plan_row *plan_add_row(struct plan_draft *d, const struct path *at)
{
    struct plan *p = d->plan;

    if (!GROW(d, at, p->rows, p->n_rows, d->rows_capacity, PLAN_ROWS_MAX, "rows")) return NULL;
    return &p->rows[p->n_rows++];
}

struct plan_seat *plan_add_seat(struct plan_draft *d, const struct path *at)
{
    struct plan *p = d->plan;

    if (!GROW(d, at, p->seats, p->n_seats, d->seats_capacity, PLAN_PLACES_MAX, "seats")) return NULL;
    return &p->seats[p->n_seats++];
}

struct plan_area *plan_add_area(struct plan_draft *d, const struct path *at)
{
    struct plan *p = d->plan;

    if (!GROW(d, at, p->areas, p->n_areas, d->areas_capacity, PLAN_AREAS_MAX, "standing areas")) return NULL;
    return &p->areas[p->n_areas++];
}

int plan_category(struct plan_draft *d, const struct path *at, const char *name)
{
    struct plan *p = d->plan;
    int index = names_find(d->categories, name);

    if (index >= 0) return index;
    if (!GROW(d, at, p->categories, p->n_categories, d->categories_capacity, PLAN_CATEGORIES_MAX, "categories"))
        return -1;
    index = p->n_categories++;
    p->categories[index].name = name;
    names_add(d->categories, name, index);
    return index;
}

/* ---- what both forms share -------------------------------------------------------------------------------------- */

static bool area_read(struct plan_draft *d, const struct path *at, const tf_json *value)
{
    static const struct member members[] = {{"area", true},      {"name", false},     {"capacity", true},
                                            {"tier", true},      {"entrance", false}, {"quality", false},
                                            {"position", false}, {"size", false},     {NULL, false}};
    static const struct member size_members[] = {{"width", true}, {"height", true}, {NULL, false}};
    struct reading *r = d->r;
    const tf_json *size = tf_json_get(value, "size");
    const char *key = NULL, *tier = NULL;
    int64_t capacity = 0, quality = 0;
    double x = NAN, y = NAN, width = 0, height = 0;
    struct plan_area *area;

    if (!read_object(r, at, value, members)) return false;
    area = plan_add_area(d, at);
    if (!area) return false;
    if (!read_string(r, at, value, "area", TEXT_NAME_MAX, &key)) return false;
    if (!read_texts(r, at, value, "name", TEXT_NAME_MAX, &area->name)) return false;
    if (!read_texts(r, at, value, "entrance", TEXT_NAME_MAX, &area->entrance)) return false;
    if (!read_int(r, at, value, "capacity", 1, PLAN_PLACES_MAX, &capacity)) return false;
    if (!read_int(r, at, value, "quality", 0, PLAN_QUALITY_MAX, &quality)) return false;
    if (!read_string(r, at, value, "tier", TEXT_NAME_MAX, &tier)) return false;
    if (!read_position(r, at, value, "position", PLAN_SIZE_MAX / d->scale, &x, &y)) return false;
    if (size) {
        const struct path *here = PATH_MEMBER(at, "size");

        if (!read_object(r, here, size, size_members)) return false;
        if (!read_real(r, here, size, "width", 1, PLAN_SIZE_MAX / d->scale, &width)) return false;
        if (!read_real(r, here, size, "height", 1, PLAN_SIZE_MAX / d->scale, &height)) return false;
    }
    area->key = key;
    if (!area->name) area->name = texts_plain(r->arena, key);
    area->capacity = (int)capacity;
    area->quality = (int)quality;
    area->category = plan_category(d, PATH_MEMBER(at, "tier"), tier);
    /* INT32_MIN: the form decides where it is drawn. */
    area->x = isnan(x) ? INT32_MIN : (int32_t)lround(x * d->scale);
    area->y = isnan(y) ? INT32_MIN : (int32_t)lround(y * d->scale);
    area->width = (int32_t)lround(width * d->scale);
    area->height = (int32_t)lround(height * d->scale);
    return area->name && area->category >= 0;
}

bool plan_read_areas(struct plan_draft *d, const struct path *at, const tf_json *element)
{
    const tf_json *areas;
    bool good = true;

    if (!read_array(d->r, at, element, "areas", 0, PLAN_AREAS_MAX, &areas)) return false;
    for (size_t i = 0; i < tf_json_size(areas); i++)
        if (!area_read(d, PATH_INDEX(PATH_MEMBER(at, "areas"), i), tf_json_at(areas, i))) good = false;
    return good;
}

/* Areas and sections share one space of names: people and selectors must not mix them up. */
static bool keys_differ(struct plan_draft *d, const struct path *at)
{
    struct plan *p = d->plan;
    struct names keys;
    bool good = true;

    names_init(&keys, d->r->arena);
    for (int i = 0; i < p->n_sections; i++)
        names_add(&keys, p->sections[i].key, i);
    for (int i = 0; i < p->n_areas; i++)
        if (names_add(&keys, p->areas[i].key, i) >= 0)
            good = fault_add(d->r->faults, PATH_MEMBER(PATH_INDEX(PATH_MEMBER(at, "areas"), (size_t)i), "area"),
                             "\"%s\" is the name of another section or area", p->areas[i].key);
    return good;
}

/* Rows of a section stand together, in the order in which they came. */
static bool rows_sort(struct plan_draft *d)
{
    struct plan *p = d->plan;
    struct plan_row *sorted = TF_NEW_ARRAY(d->r->arena, struct plan_row, (size_t)p->n_rows);
    int next = 0;

    if (!sorted) return fault_add(d->r->faults, NULL, "the plan takes too much memory");
    for (int i = 0; i < p->n_rows; i++)
        p->sections[p->rows[i].section].n_rows++;
    for (int s = 0; s < p->n_sections; s++) {
        p->sections[s].first_row = next;
        next += p->sections[s].n_rows;
        p->sections[s].n_rows = 0;
    }
    for (int i = 0; i < p->n_rows; i++) {
        struct plan_section *section = &p->sections[p->rows[i].section];

        sorted[section->first_row + section->n_rows++] = p->rows[i];
    }
    p->rows = sorted;
    return true;
}

/* A section's rank first, then the distance to the stage. */
static void qualities_set(struct plan *p)
{
    for (int i = 0; i < p->n_rows; i++) {
        const struct plan_row *row = &p->rows[i];
        int32_t rank = p->sections[row->section].quality * QUALITY_PER_SECTION_RANK;

        for (int k = row->first; k < row->first + row->count; k++) {
            struct plan_seat *seat = &p->seats[k];
            double distance = hypot((double)seat->x - p->stage_x, (double)seat->y - p->stage_y);

            seat->quality = rank + (int32_t)fmin(distance, QUALITY_PER_SECTION_RANK - 1);
        }
    }
    for (int i = 0; i < p->n_areas; i++)
        p->areas[i].quality *= QUALITY_PER_SECTION_RANK;
}

struct attribute_visit {
    struct plan *plan;
    uint8_t attributes;
};

static void attribute_set(void *arg, int seat, int area)
{
    struct attribute_visit *visit = arg;

    (void)area; /* notes name seats only */
    visit->plan->seats[seat].attributes |= visit->attributes;
}

static bool note_read(struct plan_draft *d, const struct path *at, const tf_json *value, int64_t *work_left)
{
    struct attribute_visit visit = {.plan = d->plan};
    struct selector selector;
    const tf_json *attributes;

    if (!selector_read(d->r, at, value, SELECTOR_NOTES, &selector)) return false;
    if (!read_array(d->r, at, value, "attributes", 1, PLACE_ATTRIBUTES, &attributes)) return false;
    for (size_t i = 0; i < tf_json_size(attributes); i++) {
        const char *name = tf_json_string(tf_json_at(attributes, i), "");
        int bit = 0;

        while (plan_attribute_names[bit] && strcmp(plan_attribute_names[bit], name) != 0)
            bit++;
        if (!plan_attribute_names[bit])
            return fault_add(d->r->faults, PATH_INDEX(PATH_MEMBER(at, "attributes"), i),
                             "must be ACCESSIBLE, COMPANION or RESTRICTED_VIEW");
        visit.attributes |= (uint8_t)(1 << bit);
    }
    return selector_match(d->r->faults, at, d->plan, &selector, work_left, attribute_set, &visit);
}

static bool notes_read(struct plan_draft *d, const struct path *at, const tf_json *element)
{
    int64_t work_left = SELECTOR_WORK_MAX;
    const tf_json *notes;
    bool good = true;

    if (!read_array(d->r, at, element, "notes", 0, SELECTORS_MAX, &notes)) return false;
    for (size_t i = 0; i < tf_json_size(notes); i++)
        if (!note_read(d, PATH_INDEX(PATH_MEMBER(at, "notes"), i), tf_json_at(notes, i), &work_left)) good = false;
    return good;
}

static bool places_count(struct plan_draft *d, const struct path *at)
{
    struct plan *p = d->plan;
    int64_t n = p->n_seats;

    for (int i = 0; i < p->n_seats; i++)
        p->categories[p->seats[i].category].n_places++;
    for (int i = 0; i < p->n_areas; i++) {
        p->categories[p->areas[i].category].n_places += p->areas[i].capacity;
        n += p->areas[i].capacity;
    }
    if (n == 0) return fault_add(d->r->faults, at, "has no place");
    if (n > PLAN_PLACES_MAX)
        return fault_add(d->r->faults, at, "has %lld places; at most %d are taken", (long long)n, PLAN_PLACES_MAX);
    p->n_places = (int)n;
    return true;
}

struct plan *plan_read(struct reading *r, const struct path *at, const tf_json *element)
{
    size_t faults_before = r->faults->n;
    struct names categories;
    struct plan_draft draft = {.r = r, .categories = &categories};
    bool words = tf_json_get(element, "sections") != NULL, open = tf_json_get(element, "seating_plan") != NULL;

    names_init(&categories, r->arena);
    draft.plan = TF_NEW(r->arena, struct plan);
    draft.scale = open ? 1 : PLAN_SEAT_PITCH;
    if (!draft.plan) {
        fault_add(r->faults, at, "takes too much memory");
        return NULL;
    }
    if (words && open) {
        fault_add(r->faults, PATH_MEMBER(at, "seating_plan"), "stands beside sections; a plan has one form");
        return NULL;
    }
    if (open ? !plan_read_open(&draft, at, element) : !plan_read_words(&draft, at, element)) return NULL;
    if (!keys_differ(&draft, at) || !places_count(&draft, at) || !rows_sort(&draft)) return NULL;
    qualities_set(draft.plan);
    if (!notes_read(&draft, at, element)) return NULL;
    if (r->faults->n > faults_before) return NULL;
    return draft.plan;
}
