/* The public seat plan: row-wise JSON, the same for every language (docs/seat-plan.md is its specification). */
#include "services/program/domain/publication.h"
#include "services/program/domain/texts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct writing {
    tf_json_writer w;
    const struct publication *p;
};

static void put_id(tf_json_writer *w, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    tf_json_key(w, name);
    tf_json_put_string(w, text);
}

static void put_int(tf_json_writer *w, const char *name, int64_t value)
{
    tf_json_key(w, name);
    tf_json_put_int(w, value);
}

static void put_text(tf_json_writer *w, const char *name, const char *value)
{
    tf_json_key(w, name);
    tf_json_put_string(w, value);
}

static void put_texts(tf_json_writer *w, const char *name, const LocalizedTexts *texts)
{
    if (!texts) return;
    tf_json_key(w, name);
    texts_write(w, texts);
}

static void tier_write(struct writing *out, size_t i)
{
    static const char *const kinds[] = {[PRICE_KIND_FACE] = "FACE",
                                        [PRICE_KIND_FEE] = "FEE",
                                        [PRICE_KIND_TAX] = "TAX",
                                        [PRICE_KIND_DISCOUNT] = "DISCOUNT"};
    const struct show_tier *tier = &out->p->show->tiers[i];
    tf_json_writer *w = &out->w;

    tf_json_begin_object(w);
    put_int(w, "tier", (int64_t)i + 1);
    put_texts(w, "name", tier->name);
    put_text(w, "kind", out->p->painting->kinds[i] == TIER_KIND_STANDING ? "STANDING" : "SEATED");
    put_text(w, "color", tier_color(out->p, i));
    put_id(w, "price_minor", tier->price_minor);
    tf_json_key(w, "price_lines");
    tf_json_begin_array(w);
    for (size_t k = 0; k < tier->n_lines; k++) {
        tf_json_begin_object(w);
        put_text(w, "kind", kinds[tier->lines[k].kind]);
        put_id(w, "amount_minor", tier->lines[k].amount_minor);
        tf_json_end_object(w);
    }
    tf_json_end_array(w);
    put_int(w, "capacity", out->p->painting->capacities[i]);
    tf_json_end_object(w);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* Even steps of coordinates are told by the step. */
static bool points_even(const struct plan_seat *seats, int count)
{
    for (int i = 2; i < count; i++)
        if (seats[i].x - seats[i - 1].x != seats[1].x - seats[0].x ||
            seats[i].y - seats[i - 1].y != seats[1].y - seats[0].y)
            return false;
    return true;
}

static void points_write(tf_json_writer *w, const struct plan_seat *seats, int count)
{
    if (points_even(seats, count)) {
        put_int(w, "x", seats[0].x);
        put_int(w, "y", seats[0].y);
        if (count == 1) return;
        put_int(w, "dx", seats[1].x - seats[0].x);
        put_int(w, "dy", seats[1].y - seats[0].y);
        return;
    }
    tf_json_key(w, "xy");
    tf_json_begin_array(w);
    for (int i = 0; i < count; i++) {
        tf_json_put_int(w, seats[i].x);
        tf_json_put_int(w, seats[i].y);
    }
    tf_json_end_array(w);
}

static void labels_write(tf_json_writer *w, const struct plan_seat *seats, int count)
{
    int32_t first, step;

    if (seat_labels_even(seats, count, &first, &step)) {
        put_int(w, "label_first", first);
        if (count > 1) put_int(w, "label_step", step);
        return;
    }
    tf_json_key(w, "labels");
    tf_json_begin_array(w);
    for (int i = 0; i < count; i++)
        tf_json_put_string(w, seats[i].label);
    tf_json_end_array(w);
}

/* A run of seats of one segment, or of neighbours that are not on sale. */
static void run_write(struct writing *out, int seat, int count)
{
    int32_t segment = out->p->map->row_segments[seat];
    const struct plan_seat *seats = &out->p->plan->seats[seat];

    tf_json_begin_object(&out->w);
    if (segment >= 0) {
        put_int(&out->w, "tier", out->p->map->segments[segment].tier);
        put_int(&out->w, "place_no", out->p->map->segments[segment].first);
    }
    put_int(&out->w, "count", count);
    labels_write(&out->w, seats, count);
    points_write(&out->w, seats, count);
    tf_json_end_object(&out->w);
}

static void row_write(struct writing *out, const struct plan_row *row)
{
    const int32_t *segments = out->p->map->row_segments;
    int end = row->first + row->count;

    tf_json_begin_object(&out->w);
    put_text(&out->w, "row", row->label);
    tf_json_key(&out->w, "runs");
    tf_json_begin_array(&out->w);
    for (int seat = row->first; seat < end;) {
        int count = 1;

        while (seat + count < end && segments[seat + count] == segments[seat] &&
               !out->p->plan->seats[seat + count - 1].gap_after)
            count++;
        run_write(out, seat, count);
        seat += count;
    }
    tf_json_end_array(&out->w);
    tf_json_end_object(&out->w);
}

static void section_write(struct writing *out, const struct plan_section *section)
{
    tf_json_begin_object(&out->w);
    put_texts(&out->w, "name", section->name);
    put_texts(&out->w, "entrance", section->entrance);
    tf_json_key(&out->w, "rows");
    tf_json_begin_array(&out->w);
    for (int i = 0; i < section->n_rows; i++)
        row_write(out, &out->p->plan->rows[section->first_row + i]);
    tf_json_end_array(&out->w);
    tf_json_end_object(&out->w);
}

/* ---- areas, attributes, shapes ---------------------------------------------------------------------------------- */

static void area_write(struct writing *out, int index)
{
    const struct plan_area *area = &out->p->plan->areas[index];
    tf_json_writer *w = &out->w;

    tf_json_begin_object(w);
    put_texts(w, "name", area->name);
    put_texts(w, "entrance", area->entrance);
    if (out->p->painting->area_tiers[index]) put_int(w, "tier", out->p->painting->area_tiers[index]);
    put_int(w, "capacity", area->capacity);
    put_int(w, "x", area->x);
    put_int(w, "y", area->y);
    put_int(w, "width", area->width);
    put_int(w, "height", area->height);
    tf_json_key(w, "runs");
    tf_json_begin_array(w);
    for (size_t i = 0; i < out->p->map->n; i++) {
        const struct segment *segment = &out->p->map->segments[i];

        if (segment->area != index) continue;
        tf_json_begin_object(w);
        put_int(w, "place_no", segment->first);
        put_int(w, "count", segment->count);
        put_int(w, "label_first", segment->from + 1);
        tf_json_end_object(w);
    }
    tf_json_end_array(w);
    tf_json_end_object(w);
}

static void attributes_write(struct writing *out)
{
    tf_json_begin_object(&out->w);
    for (int bit = 0; bit < PLACE_ATTRIBUTES; bit++) {
        tf_json_key(&out->w, plan_attribute_names[bit]);
        tf_json_begin_array(&out->w);
        for (size_t i = 0; i < out->p->map->n; i++) {
            const struct segment *segment = &out->p->map->segments[i];

            for (int32_t k = 0; segment->area < 0 && k < segment->count; k++)
                if (out->p->plan->seats[segment->seat + k].attributes & 1 << bit)
                    tf_json_put_int(&out->w, segment->first + k);
        }
        tf_json_end_array(&out->w);
    }
    tf_json_end_object(&out->w);
}

static void shape_write(struct writing *out, const struct plan_shape *shape)
{
    tf_json_writer *w = &out->w;

    tf_json_begin_object(w);
    put_text(w, "shape", plan_shape_names[shape->kind]);
    put_int(w, "x", shape->x);
    put_int(w, "y", shape->y);
    if (shape->rotation != 0) put_int(w, "rotation", (int64_t)shape->rotation);
    if (shape->color) put_text(w, "color", shape->color);
    if (shape->border_color) put_text(w, "border_color", shape->border_color);
    if (shape->kind == SHAPE_POLYGON) {
        tf_json_key(w, "points");
        tf_json_begin_array(w);
        for (int i = 0; i < 2 * shape->n_points; i++)
            tf_json_put_int(w, shape->points[i]);
        tf_json_end_array(w);
    } else if (shape->kind != SHAPE_TEXT) {
        put_int(w, "width", shape->width);
        put_int(w, "height", shape->height);
    }
    if (shape->text) {
        tf_json_key(w, "text");
        tf_json_begin_object(w);
        put_text(w, "text", shape->text);
        put_int(w, "x", shape->text_x);
        put_int(w, "y", shape->text_y);
        put_int(w, "size", shape->text_size);
        if (shape->text_color) put_text(w, "color", shape->text_color);
        tf_json_end_object(w);
    }
    tf_json_end_object(w);
}

void seat_plan_write(tf_buf *buf, const struct publication *p)
{
    struct writing out = {.w = {.out = buf}, .p = p};
    tf_json_writer *w = &out.w;

    tf_json_begin_object(w);
    put_text(w, "format", "ticketflow-seat-plan/1");
    put_id(w, "show_id", p->show_id);
    put_int(w, "version", p->version);
    put_text(w, "currency", p->show->currency);
    put_int(w, "width", p->plan->width);
    put_int(w, "height", p->plan->height);
    tf_json_key(w, "stage");
    tf_json_begin_object(w);
    put_int(w, "x", p->plan->stage_x);
    put_int(w, "y", p->plan->stage_y);
    tf_json_end_object(w);
    tf_json_key(w, "tiers");
    tf_json_begin_array(w);
    for (size_t i = 0; i < p->show->n_tiers; i++)
        tier_write(&out, i);
    tf_json_end_array(w);
    tf_json_key(w, "sections");
    tf_json_begin_array(w);
    for (int i = 0; i < p->plan->n_sections; i++)
        section_write(&out, &p->plan->sections[i]);
    tf_json_end_array(w);
    tf_json_key(w, "areas");
    tf_json_begin_array(w);
    for (int i = 0; i < p->plan->n_areas; i++)
        area_write(&out, i);
    tf_json_end_array(w);
    tf_json_key(w, "attributes");
    attributes_write(&out);
    tf_json_key(w, "shapes");
    tf_json_begin_array(w);
    for (int i = 0; i < p->plan->n_shapes; i++)
        shape_write(&out, &p->plan->shapes[i]);
    tf_json_end_array(w);
    tf_json_end_object(w);
}
