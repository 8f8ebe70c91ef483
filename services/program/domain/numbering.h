/* Place numbers of a show: its plan and painting → segments.
 *
 * A segment is a maximal run of adjacent seats of one row and one tier (an aisle or another tier ends it), or a chunk
 * of a standing area. Numbers begin at 32; a segment begins at a multiple of 16 and at least one number between two
 * segments is no place; the segments of a tier are contiguous, tiers in their order. The numbers are positions in
 * order's bitmap and stand in tickets: the same plan and painting must give the same numbers for ever. */
#pragma once

#include "services/program/domain/show.h"

enum { PLACE_NO_FIRST = 32, PLACE_CELL = 16, STANDING_CHUNK_MAX = 1024 };

struct segment {
    int tier;      /* 1 … */
    int32_t first; /* place number */
    int32_t count;
    int row, seat;  /* row, and index of the first seat in the plan; -1 for standing */
    int area, from; /* standing: area, and how many of its places stand before this chunk; else -1 */
    int32_t focal;
};

struct place_map {
    size_t n;
    struct segment *segments; /* by first */
    int32_t *row_segments;    /* seat → index of its segment, or -1 */
};

/* False only without memory. */
bool place_map_make(tf_arena *arena, const struct plan *plan, const struct show *show, const struct painting *painting,
                    struct place_map *ret_map);
/* The quality of the best place of the segment's cell (16 places from `cell` × 16 on). */
int32_t segment_cell_quality(const struct plan *plan, const struct segment *segment, int cell);
