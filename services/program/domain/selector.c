/* Naming places of a plan in words. */
#include "services/program/domain/selector.h"

#include "common/base/text.h"
#include "services/program/domain/names.h"

#include <string.h>

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* "A-F" → both ends; a leading dash belongs to the label. */
static bool range_split(tf_arena *arena, struct label_range *range)
{
    const char *dash = strchr(range->text + 1, '-');

    if (!dash || dash[1] == '\0') return true;
    range->from = tf_arena_strndup(arena, range->text, (size_t)(dash - range->text));
    range->to = tf_arena_strdup(arena, dash + 1);
    if (!range->from || !range->to) return false;
    range->numeric = tf_parse_int64(range->from, &range->low) && tf_parse_int64(range->to, &range->high);
    return true;
}

/* A label, a range, or a list of both. */
static bool labels_read(struct reading *r, const struct path *at, const tf_json *object, const char *name,
                        const struct label_range **ret_ranges, size_t *ret_n)
{
    const tf_json *value = tf_json_get(object, name);
    bool is_list = tf_json_type(value) == TF_JSON_ARRAY;
    const struct path *here = PATH_MEMBER(at, name);
    size_t n = is_list ? tf_json_size(value) : 1;
    struct label_range *ranges;

    if (!value) return true;
    if (n == 0 || n > SELECTOR_LABELS_MAX)
        return fault_add(r->faults, here, "must have from 1 to %d elements", SELECTOR_LABELS_MAX);
    ranges = TF_NEW_ARRAY(r->arena, struct label_range, n);
    if (!ranges) return fault_add(r->faults, here, "takes too much memory");
    for (size_t i = 0; i < n; i++) {
        const struct path *element = is_list ? PATH_INDEX(here, i) : here;

        if (!read_label_value(r, element, is_list ? tf_json_at(value, i) : value, 2 * PLAN_LABEL_MAX + 1,
                              &ranges[i].text))
            return false;
        if (!range_split(r->arena, &ranges[i])) return fault_add(r->faults, element, "takes too much memory");
        if (ranges[i].numeric && ranges[i].low > ranges[i].high) return fault_add(r->faults, element, "runs backwards");
    }
    *ret_ranges = ranges;
    *ret_n = n;
    return true;
}

static bool guids_read(struct reading *r, const struct path *at, const tf_json *object, struct selector *selector)
{
    const struct path *here = PATH_MEMBER(at, "guids");
    const tf_json *array;

    if (!read_array(r, at, object, "guids", 1, SELECTOR_GUIDS_MAX, &array)) return false;
    if (!array) return true;
    selector->n_guids = tf_json_size(array);
    selector->guids = TF_NEW_ARRAY(r->arena, const char *, selector->n_guids);
    if (!selector->guids) return fault_add(r->faults, here, "takes too much memory");
    for (size_t i = 0; i < selector->n_guids; i++)
        if (!read_string_value(r, PATH_INDEX(here, i), tf_json_at(array, i), TEXT_NAME_MAX, &selector->guids[i]))
            return false;
    return true;
}

bool selector_read(struct reading *r, const struct path *at, const tf_json *value, enum selector_use use,
                   struct selector *ret_selector)
{
    static const struct member paints[] = {{"category", false}, {"section", false}, {"area", false}, {"rows", false},
                                           {"seats", false},    {"guids", false},   {NULL, false}};
    static const struct member blocks[] = {{"category", false}, {"section", false}, {"area", false},  {"rows", false},
                                           {"seats", false},    {"guids", false},   {"count", false}, {NULL, false}};
    static const struct member notes[] = {{"section", false}, {"rows", false},      {"seats", false},
                                          {"guids", false},   {"attributes", true}, {NULL, false}};
    static const struct member *const members[] = {
        [SELECTOR_PAINTS] = paints, [SELECTOR_BLOCKS] = blocks, [SELECTOR_NOTES] = notes};
    struct selector s = {0};
    int ways;

    if (!read_object(r, at, value, members[use])) return false;
    if (!read_string(r, at, value, "category", TEXT_NAME_MAX, &s.category)) return false;
    if (!read_string(r, at, value, "section", TEXT_NAME_MAX, &s.section)) return false;
    if (!read_string(r, at, value, "area", TEXT_NAME_MAX, &s.area)) return false;
    if (!labels_read(r, at, value, "rows", &s.rows, &s.n_rows)) return false;
    if (!labels_read(r, at, value, "seats", &s.seats, &s.n_seats)) return false;
    if (!guids_read(r, at, value, &s)) return false;
    if (!read_int(r, at, value, "count", 1, PLAN_PLACES_MAX, &s.count)) return false;

    ways = (s.category != NULL) + (s.section != NULL) + (s.area != NULL) + (s.n_guids > 0);
    if (ways != 1)
        return fault_add(r->faults, at, "must name its places by exactly one of %s",
                         use == SELECTOR_NOTES ? "section, guids" : "category, section, area, guids");
    if (s.n_rows > 0 && !s.section) return fault_add(r->faults, PATH_MEMBER(at, "rows"), "needs a section");
    if (s.n_seats > 0 && s.n_rows == 0) return fault_add(r->faults, PATH_MEMBER(at, "seats"), "needs rows");
    if (s.count > 0 && !s.area) return fault_add(r->faults, PATH_MEMBER(at, "count"), "needs an area");

    s.grade = s.category                   ? SELECTS_CATEGORY
              : s.n_seats > 0 || s.n_guids ? SELECTS_SEATS
              : s.n_rows > 0               ? SELECTS_ROWS
                                           : SELECTS_SECTION;
    *ret_selector = s;
    return true;
}

/* ---- matching --------------------------------------------------------------------------------------------------- */

struct matching {
    struct faults *faults;
    const struct path *at;
    const struct plan *plan;
    const struct selector *selector;
    int64_t *work_left;
    selector_visit visit;
    void *arg;
};

/* Accounts for so much looking; false with a fault when there was too much. */
static bool spend(const struct matching *m, int64_t work)
{
    *m->work_left -= work;
    return *m->work_left >= 0 ||
           fault_add(m->faults, m->at,
                     "takes too long to look up with what came before: name whole rows, sections or "
                     "categories, or ranges of seats");
}

/* The labels of a section's rows, or of one row's seats. */
struct label_list {
    const struct plan *plan;
    bool of_rows;
    int first, count;
};

static const char *label_at(const struct label_list *list, int i)
{
    return list->of_rows ? list->plan->rows[list->first + i].number : list->plan->seats[list->first + i].number;
}

static int label_find(const struct label_list *list, const char *text)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(label_at(list, i), text) == 0) return i;
    return -1;
}

/* Which of the list a range takes: exact label first, then numbers between two numbers, then the stretch between two
 * labels in the plan's order. Marks them; returns how many it took. */
static int range_mark(const struct label_list *list, const struct label_range *range, bool *marks)
{
    int exact = label_find(list, range->text), from, to, taken = 0;

    if (exact >= 0) {
        /* Real plans repeat row numbers within a zone: all of that name. */
        for (int i = exact; i < list->count; i++)
            if (strcmp(label_at(list, i), range->text) == 0) {
                marks[i] = true;
                taken++;
            }
        return taken;
    }
    if (range->numeric) {
        for (int i = 0; i < list->count; i++) {
            int64_t number;

            if (tf_parse_int64(label_at(list, i), &number) && number >= range->low && number <= range->high) {
                marks[i] = true;
                taken++;
            }
        }
        return taken;
    }
    if (!range->from) return 0;
    from = label_find(list, range->from);
    to = label_find(list, range->to);
    if (from < 0 || to < 0) return 0;
    if (from > to) {
        int swap = from;

        from = to;
        to = swap;
    }
    for (int i = from; i <= to; i++)
        marks[i] = true;
    return to - from + 1;
}

/* Path of one element of "rows" or "seats", which may stand there alone. */
static bool range_fault(const struct matching *m, const char *member, size_t n, size_t i)
{
    const struct path *list = PATH_MEMBER(m->at, member);

    return fault_add(m->faults, n > 1 ? PATH_INDEX(list, i) : list, "takes no %s of section \"%s\"",
                     strcmp(member, "rows") == 0 ? "row" : "seat", m->selector->section);
}

static void row_visit(const struct matching *m, const struct plan_row *row)
{
    for (int i = 0; i < row->count; i++)
        m->visit(m->arg, row->first + i, -1);
}

/* Seats of the marked rows; every range must take a seat in at least one of them. */
static bool seats_match(const struct matching *m, const struct plan_section *section, const bool *row_marks)
{
    const struct selector *s = m->selector;
    bool used[SELECTOR_LABELS_MAX] = {false};
    bool marks[PLAN_ROW_SEATS_MAX];

    for (int i = 0; i < section->n_rows; i++) {
        const struct plan_row *row = &m->plan->rows[section->first_row + i];
        const struct label_list list = {.plan = m->plan, .first = row->first, .count = row->count};

        if (!row_marks[i]) continue;
        memset(marks, 0, sizeof(marks));
        if (!spend(m, (int64_t)(s->n_seats + 1) * row->count)) return false;
        for (size_t k = 0; k < s->n_seats; k++)
            if (range_mark(&list, &s->seats[k], marks) > 0) used[k] = true;
        for (int k = 0; k < row->count; k++)
            if (marks[k]) m->visit(m->arg, row->first + k, -1);
    }
    for (size_t k = 0; k < s->n_seats; k++)
        if (!used[k]) return range_fault(m, "seats", s->n_seats, k);
    return true;
}

static bool section_match(const struct matching *m)
{
    const struct selector *s = m->selector;
    const struct plan_section *section = NULL;
    struct label_list rows = {.plan = m->plan, .of_rows = true};
    bool marks[PLAN_ROWS_MAX];

    for (int i = 0; i < m->plan->n_sections && !section; i++)
        if (strcmp(m->plan->sections[i].key, s->section) == 0) section = &m->plan->sections[i];
    if (!section)
        return fault_add(m->faults, PATH_MEMBER(m->at, "section"), "the plan has no section \"%s\"", s->section);

    if (!spend(m, m->plan->n_sections + (int64_t)(s->n_rows + 1) * section->n_rows)) return false;
    memset(marks, s->n_rows == 0, (size_t)section->n_rows * sizeof(marks[0]));
    rows.first = section->first_row;
    rows.count = section->n_rows;
    for (size_t k = 0; k < s->n_rows; k++)
        if (range_mark(&rows, &s->rows[k], marks) == 0) return range_fault(m, "rows", s->n_rows, k);
    if (s->n_seats > 0) return seats_match(m, section, marks);
    for (int i = 0; i < section->n_rows; i++) {
        const struct plan_row *row = &m->plan->rows[section->first_row + i];

        if (!marks[i]) continue;
        if (!spend(m, row->count)) return false;
        row_visit(m, row);
    }
    return true;
}

static bool category_match(const struct matching *m)
{
    int category = -1;

    for (int i = 0; i < m->plan->n_categories && category < 0; i++)
        if (strcmp(m->plan->categories[i].name, m->selector->category) == 0) category = i;
    if (category < 0)
        return fault_add(m->faults, PATH_MEMBER(m->at, "category"), "the plan has no category \"%s\"",
                         m->selector->category);
    if (!spend(m, m->plan->n_seats + m->plan->n_areas)) return false;
    for (int i = 0; i < m->plan->n_seats; i++)
        if (m->plan->seats[i].category == category) m->visit(m->arg, i, -1);
    for (int i = 0; i < m->plan->n_areas; i++)
        if (m->plan->areas[i].category == category) m->visit(m->arg, -1, i);
    return true;
}

static bool area_match(const struct matching *m)
{
    for (int i = 0; i < m->plan->n_areas; i++)
        if (strcmp(m->plan->areas[i].key, m->selector->area) == 0) {
            m->visit(m->arg, -1, i);
            return true;
        }
    return fault_add(m->faults, PATH_MEMBER(m->at, "area"), "the plan has no standing area \"%s\"", m->selector->area);
}

static bool guids_match(const struct matching *m)
{
    const struct path *list = PATH_MEMBER(m->at, "guids");

    for (size_t k = 0; k < m->selector->n_guids; k++) {
        int seat = m->plan->guids ? names_find(m->plan->guids, m->selector->guids[k]) : -1;

        if (seat < 0) return fault_add(m->faults, PATH_INDEX(list, k), "the plan has no seat of that guid");
        m->visit(m->arg, seat, -1);
    }
    return true;
}

bool selector_match(struct faults *faults, const struct path *at, const struct plan *plan,
                    const struct selector *selector, int64_t *work_left, selector_visit visit, void *arg)
{
    const struct matching m = {.faults = faults,
                               .at = at,
                               .plan = plan,
                               .selector = selector,
                               .work_left = work_left,
                               .visit = visit,
                               .arg = arg};

    if (selector->category) return category_match(&m);
    if (selector->area) return area_match(&m);
    return selector->section ? section_match(&m) : guids_match(&m);
}
