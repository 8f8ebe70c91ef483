/* What is made of a show when it is published: the sale snapshot for order and the seat plan for everybody. Pure: the
 * same inputs give the same bytes. */
#pragma once

#include "services/program/domain/numbering.h"
#include "ticketflow/program/v1/sale.tf.h"

struct publication {
    int64_t show_id, program_id, organiser_id;
    int32_t version;
    const LocalizedTexts *title, *venue_name, *venue_address, *entry_rule;
    const char *picture, *time_zone;
    const struct show *show;
    const struct show_times *times;
    const struct plan *plan;
    const struct painting *painting;
    const struct place_map *map;
};

/* The whole snapshot in the arena; NULL without memory. */
SaleSnapshot *snapshot_make(tf_arena *arena, const struct publication *publication);
/* The part of it that may never change once a show was published: numbers, words and blocks of places. NULL without
 * memory. Shares what it can with the snapshot. */
SaleSnapshot *snapshot_map_part(tf_arena *arena, const SaleSnapshot *snapshot);

/* Writes the public seat plan (docs/seat-plan.md). */
void seat_plan_write(tf_buf *out, const struct publication *publication);

/* Color of a tier: its own, its category's in the plan, or one of ours by its number. */
const char *tier_color(const struct publication *publication, size_t tier_index);
/* True when the seats' labels are numbers that go up or down evenly: then told by the first and the step (1 for one).
 */
bool seat_labels_even(const struct plan_seat *seats, int32_t count, int32_t *ret_first, int32_t *ret_step);
