/* The sale snapshot of a show. */
#include "common/base/text.h"
#include "services/program/domain/publication.h"

#include <string.h>

static const char *const palette[] = {"#c0392b", "#2980b9", "#27ae60", "#8e44ad", "#d35400", "#16a085",
                                      "#2c3e50", "#f39c12", "#7f8c8d", "#e84393", "#6c5ce7", "#00b894"};

const char *tier_color(const struct publication *p, size_t tier_index)
{
    const struct show_tier *tier = &p->show->tiers[tier_index];

    if (tier->color) return tier->color;
    for (int i = 0; i < p->plan->n_categories; i++)
        if (p->plan->categories[i].color && strcmp(p->plan->categories[i].name, tier->ref) == 0)
            return p->plan->categories[i].color;
    return palette[tier_index % TF_COUNT(palette)];
}

/* Messages only read what they point to; protobuf-c's types are not const. */
static LocalizedTexts *texts_borrow(const LocalizedTexts *texts)
{
    return (LocalizedTexts *)(uintptr_t)texts;
}

static char *text_borrow(const char *text)
{
    return (char *)(uintptr_t)text;
}

static Timestamp *timestamp_new(tf_arena *arena, tf_time t)
{
    Timestamp *timestamp = tf_arena_alloc(arena, sizeof(*timestamp));
    tf_time us = ((t % TF_US_PER_S) + TF_US_PER_S) % TF_US_PER_S;

    if (!timestamp) return NULL;
    *timestamp = (Timestamp)Timestamp_init;
    timestamp->seconds = (t - us) / TF_US_PER_S;
    timestamp->nanos = (int32_t)us * 1000;
    return timestamp;
}

/* ---- tiers and sections ----------------------------------------------------------------------------------------- */

static bool tiers_make(tf_arena *arena, const struct publication *p, SaleSnapshot *s)
{
    s->tiers = TF_NEW_ARRAY(arena, SaleTier *, p->show->n_tiers);
    if (!s->tiers) return false;
    for (size_t i = 0; i < p->show->n_tiers; i++) {
        const struct show_tier *from = &p->show->tiers[i];
        SaleTier *tier = tf_arena_alloc(arena, sizeof(*tier));

        if (!tier) return false;
        *tier = (SaleTier)SaleTier_init;
        tier->tier = (int32_t)i + 1;
        tier->name = texts_borrow(from->name);
        tier->kind = p->painting->kinds[i];
        tier->color = text_borrow(tier_color(p, i));
        tier->price_lines = TF_NEW_ARRAY(arena, PriceLine *, from->n_lines);
        if (!tier->price_lines) return false;
        for (size_t k = 0; k < from->n_lines; k++)
            tier->price_lines[tier->n_price_lines++] = (PriceLine *)(uintptr_t)&from->lines[k];
        s->tiers[s->n_tiers++] = tier;
    }
    return true;
}

static bool section_add(tf_arena *arena, SaleSnapshot *s, const LocalizedTexts *name, const LocalizedTexts *entrance)
{
    SaleSection *section = tf_arena_alloc(arena, sizeof(*section));

    if (!section) return false;
    *section = (SaleSection)SaleSection_init;
    section->name = texts_borrow(name);
    section->entrance = texts_borrow(entrance);
    s->sections[s->n_sections++] = section;
    return true;
}

/* The plan's sections, then its standing areas. */
static bool sections_make(tf_arena *arena, const struct publication *p, SaleSnapshot *s)
{
    s->sections = TF_NEW_ARRAY(arena, SaleSection *, (size_t)(p->plan->n_sections + p->plan->n_areas));
    if (!s->sections) return false;
    for (int i = 0; i < p->plan->n_sections; i++)
        if (!section_add(arena, s, p->plan->sections[i].name, p->plan->sections[i].entrance)) return false;
    for (int i = 0; i < p->plan->n_areas; i++)
        if (!section_add(arena, s, p->plan->areas[i].name, p->plan->areas[i].entrance)) return false;
    return true;
}

/* ---- segments --------------------------------------------------------------------------------------------------- */

bool seat_labels_even(const struct plan_seat *seats, int32_t count, int32_t *ret_first, int32_t *ret_step)
{
    int64_t first, previous, number, step = 1;

    if (!tf_parse_int64(seats[0].label, &first) || first < 0 || first > INT32_MAX / 2) return false;
    if (seats[0].label[0] == '0' && seats[0].label[1] != '\0') return false; /* "007" is no number */
    previous = first;
    for (int32_t i = 1; i < count; i++) {
        if (!tf_parse_int64(seats[i].label, &number) || number < 0 || number > INT32_MAX / 2) return false;
        if (seats[i].label[0] == '0' && seats[i].label[1] != '\0') return false;
        if (i == 1) step = number - previous;
        if (step == 0 || number - previous != step) return false;
        previous = number;
    }
    *ret_first = (int32_t)first;
    *ret_step = (int32_t)step;
    return true;
}

static bool labels_make(tf_arena *arena, const struct publication *p, const struct segment *from, SaleSegment *segment)
{
    const struct plan_seat *seats;

    if (from->area >= 0) {
        segment->label_first = from->from + 1;
        segment->label_step = 1;
        return true;
    }
    seats = &p->plan->seats[from->seat];
    segment->row = text_borrow(p->plan->rows[from->row].label);
    if (seat_labels_even(seats, from->count, &segment->label_first, &segment->label_step)) return true;
    segment->labels = TF_NEW_ARRAY(arena, char *, (size_t)from->count);
    if (!segment->labels) return false;
    for (int32_t i = 0; i < from->count; i++)
        segment->labels[segment->n_labels++] = text_borrow(seats[i].label);
    return true;
}

static bool segments_make(tf_arena *arena, const struct publication *p, SaleSnapshot *s)
{
    s->segments = TF_NEW_ARRAY(arena, SaleSegment *, p->map->n);
    if (!s->segments) return false;
    for (size_t i = 0; i < p->map->n; i++) {
        const struct segment *from = &p->map->segments[i];
        int cells = (from->count + PLACE_CELL - 1) / PLACE_CELL;
        SaleSegment *segment = tf_arena_alloc(arena, sizeof(*segment));

        if (!segment) return false;
        *segment = (SaleSegment)SaleSegment_init;
        segment->tier = from->tier;
        segment->first_place_no = from->first;
        segment->count = from->count;
        segment->section = from->area >= 0 ? p->plan->n_sections + from->area : p->plan->rows[from->row].section;
        segment->focal = from->focal;
        if (!labels_make(arena, p, from, segment)) return false;
        segment->cell_quality = TF_NEW_ARRAY(arena, int32_t, (size_t)cells);
        if (!segment->cell_quality) return false;
        for (int cell = 0; cell < cells; cell++)
            segment->cell_quality[segment->n_cell_quality++] = segment_cell_quality(p->plan, from, cell);
        s->segments[s->n_segments++] = segment;
    }
    return true;
}

/* ---- blocks and notes ------------------------------------------------------------------------------------------- */

static bool place_blocked(const struct publication *p, const struct segment *segment, int32_t offset)
{
    if (segment->area < 0) return p->painting->seat_blocked[segment->seat + offset];
    return segment->from + offset >= p->plan->areas[segment->area].capacity - p->painting->area_blocked[segment->area];
}

static bool blocks_make(tf_arena *arena, const struct publication *p, SaleSnapshot *s)
{
    s->blocked_place_nos = TF_NEW_ARRAY(arena, int32_t, (size_t)p->plan->n_places);
    if (!s->blocked_place_nos) return false;
    for (size_t i = 0; i < p->map->n; i++)
        for (int32_t k = 0; k < p->map->segments[i].count; k++)
            if (place_blocked(p, &p->map->segments[i], k))
                s->blocked_place_nos[s->n_blocked_place_nos++] = p->map->segments[i].first + k;
    return true;
}

static bool note_make(tf_arena *arena, SaleSnapshot *s, int32_t place_no, uint8_t attributes)
{
    SalePlaceNote *note = tf_arena_alloc(arena, sizeof(*note));

    if (!note) return false;
    *note = (SalePlaceNote)SalePlaceNote_init;
    note->place_no = place_no;
    note->attributes = TF_NEW_ARRAY(arena, char *, PLACE_ATTRIBUTES);
    if (!note->attributes) return false;
    for (int bit = 0; bit < PLACE_ATTRIBUTES; bit++)
        if (attributes & 1 << bit) note->attributes[note->n_attributes++] = text_borrow(plan_attribute_names[bit]);
    s->notes[s->n_notes++] = note;
    return true;
}

static bool notes_make(tf_arena *arena, const struct publication *p, SaleSnapshot *s)
{
    size_t n = 0;

    for (int i = 0; i < p->plan->n_seats; i++)
        n += p->plan->seats[i].attributes != 0 && p->painting->seat_tiers[i] != 0;
    s->notes = TF_NEW_ARRAY(arena, SalePlaceNote *, n);
    if (!s->notes) return false;
    for (size_t i = 0; i < p->map->n; i++) {
        const struct segment *segment = &p->map->segments[i];

        for (int32_t k = 0; segment->area < 0 && k < segment->count; k++) {
            uint8_t attributes = p->plan->seats[segment->seat + k].attributes;

            if (attributes && !note_make(arena, s, segment->first + k, attributes)) return false;
        }
    }
    return true;
}

SaleSnapshot *snapshot_make(tf_arena *arena, const struct publication *p)
{
    SaleSnapshot *s = tf_arena_alloc(arena, sizeof(*s));

    if (!s) return NULL;
    *s = (SaleSnapshot)SaleSnapshot_init;
    s->show_id = p->show_id;
    s->version = p->version;
    s->organiser_id = p->organiser_id;
    s->program_id = p->program_id;
    s->title = texts_borrow(p->title);
    s->show_name = texts_borrow(p->show->name);
    s->picture = text_borrow(p->picture);
    s->venue_name = texts_borrow(p->venue_name);
    s->venue_address = texts_borrow(p->venue_address);
    s->time_zone = text_borrow(p->time_zone);
    s->start_time = timestamp_new(arena, p->times->start);
    s->opens_time = timestamp_new(arena, p->times->opens);
    s->closes_time = timestamp_new(arena, p->times->closes);
    s->currency = text_borrow(p->show->currency);
    s->account_limit = (int32_t)p->show->account_limit;
    s->order_limit = (int32_t)p->show->order_limit;
    s->hold_seconds = (int32_t)p->show->hold_seconds;
    s->attendee_rule = p->show->attendee_rule;
    s->one_pending_order = p->show->one_pending_order;
    s->choice_allowed = p->show->choice_allowed;
    s->unlisted = p->show->unlisted;
    s->entry_rule = texts_borrow(p->entry_rule);
    if (!tiers_make(arena, p, s) || !sections_make(arena, p, s) || !segments_make(arena, p, s)) return NULL;
    if (!blocks_make(arena, p, s) || !notes_make(arena, p, s)) return NULL;
    return tf_arena_exhausted(arena) ? NULL : s;
}

SaleSnapshot *snapshot_map_part(tf_arena *arena, const SaleSnapshot *snapshot)
{
    SaleSnapshot *part = tf_arena_alloc(arena, sizeof(*part));

    if (!part) return NULL;
    *part = (SaleSnapshot)SaleSnapshot_init;
    part->n_sections = snapshot->n_sections;
    part->sections = snapshot->sections;
    part->n_segments = snapshot->n_segments;
    part->segments = snapshot->segments;
    part->n_blocked_place_nos = snapshot->n_blocked_place_nos;
    part->blocked_place_nos = snapshot->blocked_place_nos;
    part->n_notes = snapshot->n_notes;
    part->notes = snapshot->notes;
    return part;
}
