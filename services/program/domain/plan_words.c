/* Rows in words → plan: labels, numbers and coordinates made from a few sentences per group of rows.
 *
 * The drawing: the stage is the origin, groups without a position stand centred behind one another, standing areas
 * first; at the end everything is moved into positive coordinates. */
#include "common/base/text.h"
#include "services/program/domain/names.h"
#include "services/program/domain/plan.h"
#include "services/program/domain/texts.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
    ROW_PITCH = 24,
    SECTION_GAP = 3 * ROW_PITCH,
    FIRST_DEPTH = 4 * PLAN_SEAT_PITCH, /* from the stage to the first row */
    AREA_WIDTH = 24 * PLAN_SEAT_PITCH,
    AREA_HEIGHT = 8 * PLAN_SEAT_PITCH,
    MARGIN = 2 * PLAN_SEAT_PITCH,
    GROUPS_MAX = 2000,
    GROUP_ROWS_MAX = 1000,
    SKIPPED_ROWS_MAX = 100, /* each is looked for at each row */
    AISLES_MAX = 50,
    SEAT_NUMBER_MAX = 100000,
};

/* How the seats of a row are numbered, from left to right as seen facing the stage. */
struct numbering {
    bool odd_even; /* … 5 3 1 2 4 6 … */
    bool reverse;
    int64_t start, step;
};

/* A group of rows as the file says it. */
struct group {
    const char *section, *tier;
    const LocalizedTexts *name, *entrance;
    int n_rows;
    const char *rows[GROUP_ROWS_MAX];
    int seats[GROUP_ROWS_MAX];
    struct numbering numbering;
    int n_aisles, aisles[AISLES_MAX];
    int64_t quality;
    bool has_position;
    double x, y, rotation;
};

/* Where rows are being set: `depth` behind the point x, y, turned by `rotation` degrees clockwise. */
struct frame {
    double x, y, rotation;
    double depth;
};

/* What is known while the groups are set, one after the other. */
struct words {
    struct plan_draft *draft;
    struct names sections; /* key → index */
    struct names rows;     /* "section/label" of all rows so far */
    int last_section;      /* of the group before; -1 */
    struct frame frame;    /* of the group before */
    double next_depth;     /* where the next section without position begins */
};

/* ---- labels of rows --------------------------------------------------------------------------------------------- */

/* "A" → 0, "Z" → 25, "AA" → 26 …; -1: not one or two capitals. */
static int letters_rank(const char *s)
{
    if (!isupper((unsigned char)s[0])) return -1;
    if (s[1] == '\0') return s[0] - 'A';
    if (!isupper((unsigned char)s[1]) || s[2] != '\0') return -1;
    return (s[0] - 'A' + 1) * 26 + s[1] - 'A';
}

static const char *letters_of(tf_arena *arena, int rank)
{
    if (rank < 26) return tf_arena_printf(arena, "%c", 'A' + rank);
    return tf_arena_printf(arena, "%c%c", 'A' + rank / 26 - 1, 'A' + rank % 26);
}

static bool skipped(const tf_json *skip, const char *label)
{
    for (size_t i = 0; i < tf_json_size(skip); i++)
        if (strcmp(tf_json_string(tf_json_at(skip, i), ""), label) == 0) return true;
    return false;
}

static bool row_label_add(struct reading *r, const struct path *at, struct group *group, const char *label)
{
    if (!label) return fault_add(r->faults, at, "takes too much memory");
    if (group->n_rows == GROUP_ROWS_MAX) return fault_add(r->faults, at, "gives more than %d rows", GROUP_ROWS_MAX);
    group->rows[group->n_rows++] = label;
    return true;
}

/* One element of "rows": a label, or a run "1-20" or "A-H". */
static bool row_labels_expand(struct reading *r, const struct path *at, const tf_json *skip, const char *text,
                              struct group *group)
{
    const char *dash = strchr(text + 1, '-');
    const char *from, *to = dash ? dash + 1 : NULL;
    int64_t low, high;
    bool numbers, letters;

    if (!dash) return row_label_add(r, at, group, text);
    from = tf_arena_strndup(r->arena, text, (size_t)(dash - text));
    if (!from) return fault_add(r->faults, at, "takes too much memory");
    numbers = tf_parse_int64(from, &low) && tf_parse_int64(to, &high);
    letters = !numbers && letters_rank(from) >= 0 && letters_rank(to) >= 0;
    if (letters) {
        low = letters_rank(from);
        high = letters_rank(to);
    }
    if (!numbers && !letters) return row_label_add(r, at, group, text);
    if (low > high) return fault_add(r->faults, at, "runs backwards");
    if (high - low >= GROUP_ROWS_MAX) return fault_add(r->faults, at, "gives more than %d rows", GROUP_ROWS_MAX);
    for (int64_t i = low; i <= high; i++) {
        const char *label = letters ? letters_of(r->arena, (int)i) : tf_arena_printf(r->arena, "%" PRId64, i);

        if (label && skipped(skip, label)) continue;
        if (!row_label_add(r, at, group, label)) return false;
    }
    return true;
}

static bool row_labels_read(struct reading *r, const struct path *at, const tf_json *value, struct group *group)
{
    const tf_json *rows = tf_json_get(value, "rows"), *skip;
    bool is_list = tf_json_type(rows) == TF_JSON_ARRAY;
    const struct path *here = PATH_MEMBER(at, "rows");
    size_t n = is_list ? tf_json_size(rows) : 1;

    if (!read_array(r, at, value, "skip_rows", 1, SKIPPED_ROWS_MAX, &skip)) return false;
    for (size_t i = 0; i < tf_json_size(skip); i++) {
        const char *label;

        if (!read_string_value(r, PATH_INDEX(PATH_MEMBER(at, "skip_rows"), i), tf_json_at(skip, i), PLAN_LABEL_MAX,
                               &label))
            return false;
    }
    if (n > GROUP_ROWS_MAX) return fault_add(r->faults, here, "gives more than %d rows", GROUP_ROWS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct path *element = is_list ? PATH_INDEX(here, i) : here;
        const char *text;

        if (!read_label_value(r, element, is_list ? tf_json_at(rows, i) : rows, PLAN_LABEL_MAX, &text)) return false;
        if (!row_labels_expand(r, element, skip, text, group)) return false;
    }
    if (group->n_rows == 0) return fault_add(r->faults, here, "gives no row");
    return true;
}

/* ---- the other members of a group ------------------------------------------------------------------------------- */

static bool seat_counts_read(struct reading *r, const struct path *at, const tf_json *value, struct group *group)
{
    const tf_json *counts = tf_json_get(value, "seats_per_row");
    const struct path *here = PATH_MEMBER(at, "seats_per_row");
    int64_t count;

    if (tf_json_type(counts) != TF_JSON_ARRAY) {
        if (!read_int_value(r, here, counts, 1, PLAN_ROW_SEATS_MAX, &count)) return false;
        for (int i = 0; i < group->n_rows; i++)
            group->seats[i] = (int)count;
        return true;
    }
    if (tf_json_size(counts) != (size_t)group->n_rows)
        return fault_add(r->faults, here, "has %zu numbers for %d rows", tf_json_size(counts), group->n_rows);
    for (int i = 0; i < group->n_rows; i++) {
        if (!read_int_value(r, PATH_INDEX(here, (size_t)i), tf_json_at(counts, (size_t)i), 1, PLAN_ROW_SEATS_MAX,
                            &count))
            return false;
        group->seats[i] = (int)count;
    }
    return true;
}

static bool numbering_read(struct reading *r, const struct path *at, const tf_json *object, struct numbering *numbering)
{
    static const struct member members[] = {{"start", false}, {"step", false}, {"reverse", false}, {NULL, false}};
    const tf_json *value = tf_json_get(object, "numbering");
    const struct path *here = PATH_MEMBER(at, "numbering");
    const char *text = tf_json_string(value, NULL);
    size_t n = text ? strlen(text) : 0;

    *numbering = (struct numbering){.start = 1, .step = 1};
    if (!value) return true;
    if (tf_json_type(value) == TF_JSON_OBJECT)
        return read_object(r, here, value, members) &&
               read_int(r, here, value, "start", 0, SEAT_NUMBER_MAX, &numbering->start) &&
               read_int(r, here, value, "step", 1, 100, &numbering->step) &&
               read_bool(r, here, value, "reverse", &numbering->reverse);
    if (text && strcmp(text, "odd-even") == 0) {
        numbering->odd_even = true;
        return true;
    }
    if (text && strcmp(text, "reverse") == 0) {
        numbering->reverse = true;
        return true;
    }
    if (n > 2 && strcmp(text + n - 2, "..") == 0) {
        const char *number = tf_arena_strndup(r->arena, text, n - 2);

        if (number && tf_parse_int64(number, &numbering->start) && numbering->start >= 0 &&
            numbering->start <= SEAT_NUMBER_MAX)
            return true;
    }
    return fault_add(r->faults, here,
                     "must be \"1..\" (or another first number), \"reverse\", \"odd-even\" or an object with start, "
                     "step, reverse");
}

static bool aisles_read(struct reading *r, const struct path *at, const tf_json *value, struct group *group)
{
    const struct path *here = PATH_MEMBER(at, "aisle_after");
    const tf_json *aisles;
    int longest = 0;

    if (!read_array(r, at, value, "aisle_after", 0, AISLES_MAX, &aisles)) return false;
    for (int i = 0; i < group->n_rows; i++)
        longest = TF_MAX(longest, group->seats[i]);
    for (size_t i = 0; i < tf_json_size(aisles); i++) {
        int64_t after;

        if (!read_int_value(r, PATH_INDEX(here, i), tf_json_at(aisles, i), 1, TF_MAX(1, longest - 1), &after))
            return false;
        group->aisles[group->n_aisles++] = (int)after;
    }
    return true;
}

static bool group_read(struct reading *r, const struct path *at, const tf_json *value, struct group *group)
{
    static const struct member members[] = {{"section", true},    {"rows", true},         {"seats_per_row", true},
                                            {"tier", true},       {"name", false},        {"skip_rows", false},
                                            {"numbering", false}, {"aisle_after", false}, {"entrance", false},
                                            {"quality", false},   {"position", false},    {"rotation", false},
                                            {NULL, false}};

    *group = (struct group){.quality = -1};
    group->has_position = tf_json_get(value, "position") != NULL;
    return read_object(r, at, value, members) && read_string(r, at, value, "section", TEXT_NAME_MAX, &group->section) &&
           read_string(r, at, value, "tier", TEXT_NAME_MAX, &group->tier) &&
           read_texts(r, at, value, "name", TEXT_NAME_MAX, &group->name) &&
           read_texts(r, at, value, "entrance", TEXT_NAME_MAX, &group->entrance) &&
           read_int(r, at, value, "quality", 0, PLAN_QUALITY_MAX, &group->quality) &&
           read_position(r, at, value, "position", (double)PLAN_SIZE_MAX / PLAN_SEAT_PITCH, &group->x, &group->y) &&
           read_real(r, at, value, "rotation", -360, 360, &group->rotation) && row_labels_read(r, at, value, group) &&
           seat_counts_read(r, at, value, group) && numbering_read(r, at, value, &group->numbering) &&
           aisles_read(r, at, value, group);
}

/* ---- setting seats ---------------------------------------------------------------------------------------------- */

/* Number of the seat at `place` (0-based, from the left) in a row of n. */
static int64_t seat_number(const struct numbering *numbering, int place, int n)
{
    int odds = (n + 1) / 2;

    if (numbering->odd_even) return place < odds ? 2 * (odds - place) - 1 : 2 * (place - odds + 1);
    return numbering->start + numbering->step * (numbering->reverse ? n - 1 - place : place);
}

static int aisles_after(const struct group *group, int place)
{
    int n = 0;

    for (int i = 0; i < group->n_aisles; i++)
        n += group->aisles[i] == place;
    return n;
}

/* One row at the frame's depth. */
static bool row_set(struct words *words, const struct path *at, const struct group *group, int index, int section,
                    int category)
{
    struct plan_draft *d = words->draft;
    const struct frame *frame = &words->frame;
    int n = group->seats[index], first = d->plan->n_seats;
    double turn = frame->rotation * M_PI / 180, width = (n - 1) * PLAN_SEAT_PITCH, x;
    struct plan_row *row = plan_add_row(d, PATH_MEMBER(at, "rows"));

    if (!row) return false;
    *row = (struct plan_row){
        .number = group->rows[index], .label = group->rows[index], .section = section, .first = first, .count = n};
    for (int i = 0; i < group->n_aisles; i++)
        if (group->aisles[i] < n) width += PLAN_SEAT_PITCH;

    x = -width / 2;
    for (int i = 0; i < n; i++) {
        struct plan_seat *seat = plan_add_seat(d, PATH_MEMBER(at, "seats_per_row"));

        if (!seat) return false;
        seat->number = tf_arena_printf(d->r->arena, "%" PRId64, seat_number(&group->numbering, i, n));
        if (!seat->number) return fault_add(d->r->faults, at, "takes too much memory");
        seat->label = seat->number;
        seat->category = (int16_t)category;
        seat->gap_after = i < n - 1 && aisles_after(group, i + 1) > 0;
        seat->x = (int32_t)lround(frame->x + x * cos(turn) - frame->depth * sin(turn));
        seat->y = (int32_t)lround(frame->y + x * sin(turn) + frame->depth * cos(turn));
        x += PLAN_SEAT_PITCH * (1 + aisles_after(group, i + 1));
    }
    return true;
}

/* A group's section: a new one, or the one that an earlier group began. */
static int group_section(struct words *words, const struct path *at, const struct group *group)
{
    struct plan_draft *d = words->draft;
    int index = names_find(&words->sections, group->section);
    struct plan_section *section;

    if (index >= 0) {
        if (group->name || group->entrance || group->quality >= 0)
            fault_add(d->r->faults,
                      PATH_MEMBER(at, group->name       ? "name"
                                      : group->entrance ? "entrance"
                                                        : "quality"),
                      "is said where section \"%s\" begins", group->section);
        return index;
    }
    section = plan_add_section(d, at);
    if (!section) return -1;
    section->key = group->section;
    section->name = group->name ? group->name : texts_plain(d->r->arena, group->section);
    section->entrance = group->entrance;
    section->quality = group->quality < 0 ? 0 : (int)group->quality;
    index = d->plan->n_sections - 1;
    names_add(&words->sections, group->section, index);
    return section->name ? index : -1;
}

/* A row's label is its own within a section. */
static bool row_label_new(struct words *words, const struct path *at, const struct group *group, int index, int section)
{
    struct reading *r = words->draft->r;
    const char *key = tf_arena_printf(r->arena, "%d/%s", section, group->rows[index]);

    if (!key) return fault_add(r->faults, at, "takes too much memory");
    if (names_add(&words->rows, key, index) < 0) return true;
    return fault_add(r->faults, PATH_MEMBER(at, "rows"), "row \"%s\" is in section \"%s\" already", group->rows[index],
                     group->section);
}

static bool group_set(struct words *words, const struct path *at, const struct group *group)
{
    int section = group_section(words, at, group);
    int category = plan_category(words->draft, PATH_MEMBER(at, "tier"), group->tier);
    struct frame *frame = &words->frame;

    if (section < 0 || category < 0) return false;
    /* A group without position goes on behind the one before it when both are of one section. */
    if (group->has_position)
        *frame = (struct frame){group->x * PLAN_SEAT_PITCH, group->y * PLAN_SEAT_PITCH, group->rotation, 0};
    else if (section != words->last_section)
        *frame = (struct frame){0, words->next_depth, group->rotation, 0};
    words->last_section = section;
    for (int i = 0; i < group->n_rows; i++) {
        if (!row_label_new(words, at, group, i, section)) return false;
        if (!row_set(words, at, group, i, section, category)) return false;
        frame->depth += ROW_PITCH;
    }
    /* What stands centred pushes the next one back. */
    if (frame->x == 0) words->next_depth = fmax(words->next_depth, frame->y + frame->depth + SECTION_GAP);
    return true;
}

/* ---- the drawing ------------------------------------------------------------------------------------------------ */

/* Areas without a position stand centred before the stage, one behind the other. */
static double areas_place(struct plan *p)
{
    double depth = FIRST_DEPTH;

    for (int i = 0; i < p->n_areas; i++) {
        struct plan_area *area = &p->areas[i];

        if (area->width == 0) {
            area->width = AREA_WIDTH;
            area->height = AREA_HEIGHT;
        }
        if (area->x != INT32_MIN) continue;
        area->x = -area->width / 2;
        area->y = (int32_t)depth;
        depth += area->height + SECTION_GAP;
    }
    return depth;
}

static void extend(int32_t bounds[4], int32_t x, int32_t y)
{
    bounds[0] = TF_MIN(bounds[0], x);
    bounds[1] = TF_MIN(bounds[1], y);
    bounds[2] = TF_MAX(bounds[2], x);
    bounds[3] = TF_MAX(bounds[3], y);
}

/* Moves all into positive coordinates and sets the size. */
static bool frame_fit(struct plan_draft *d, const struct path *at)
{
    struct plan *p = d->plan;
    int32_t bounds[4] = {p->stage_x, p->stage_y, p->stage_x, p->stage_y};
    int32_t dx, dy;

    for (int i = 0; i < p->n_seats; i++)
        extend(bounds, p->seats[i].x, p->seats[i].y);
    for (int i = 0; i < p->n_areas; i++) {
        extend(bounds, p->areas[i].x, p->areas[i].y);
        extend(bounds, p->areas[i].x + p->areas[i].width, p->areas[i].y + p->areas[i].height);
    }
    dx = MARGIN - bounds[0];
    dy = MARGIN - bounds[1];
    for (int i = 0; i < p->n_seats; i++) {
        p->seats[i].x += dx;
        p->seats[i].y += dy;
    }
    for (int i = 0; i < p->n_areas; i++) {
        p->areas[i].x += dx;
        p->areas[i].y += dy;
    }
    p->stage_x += dx;
    p->stage_y += dy;
    p->width = bounds[2] + dx + MARGIN;
    p->height = bounds[3] + dy + MARGIN;
    if (p->width > 4 * PLAN_SIZE_MAX || p->height > 4 * PLAN_SIZE_MAX)
        return fault_add(d->r->faults, PATH_MEMBER(at, "sections"), "is drawn too large: look at the positions");
    return true;
}

bool plan_read_words(struct plan_draft *d, const struct path *at, const tf_json *element)
{
    const struct path *list = PATH_MEMBER(at, "sections");
    struct group *group = TF_NEW(d->r->arena, struct group);
    struct words words = {.draft = d, .last_section = -1};
    const tf_json *groups;
    double stage_x = 0, stage_y = 0;
    bool good = true;

    if (!group) return fault_add(d->r->faults, at, "takes too much memory");
    if (tf_json_get(element, "zones")) return fault_add(d->r->faults, PATH_MEMBER(at, "zones"), "needs seating_plan");
    if (!read_position(d->r, at, element, "stage", (double)PLAN_SIZE_MAX / PLAN_SEAT_PITCH, &stage_x, &stage_y))
        return false;
    d->plan->stage_x = (int32_t)lround(stage_x * PLAN_SEAT_PITCH);
    d->plan->stage_y = (int32_t)lround(stage_y * PLAN_SEAT_PITCH);
    if (!read_array(d->r, at, element, "sections", 0, GROUPS_MAX, &groups)) return false;
    if (!plan_read_areas(d, at, element)) good = false;

    names_init(&words.sections, d->r->arena);
    names_init(&words.rows, d->r->arena);
    words.next_depth = areas_place(d->plan);
    for (size_t i = 0; i < tf_json_size(groups); i++) {
        const struct path *here = PATH_INDEX(list, i);

        if (!group_read(d->r, here, tf_json_at(groups, i), group) || !group_set(&words, here, group)) good = false;
    }
    return good && frame_fit(d, at);
}
