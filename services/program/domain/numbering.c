/* Place numbers. */
#include "services/program/domain/numbering.h"

#include <string.h>

struct numberer {
    tf_arena *arena;
    const struct plan *plan;
    const struct painting *painting;
    struct place_map *map;
    size_t capacity;
    int32_t next; /* number */
};

static bool segment_add(struct numberer *n, struct segment segment)
{
    struct place_map *map = n->map;

    if (map->n == n->capacity) {
        size_t wanted = TF_MAX((size_t)64, n->capacity * 2);
        struct segment *bigger = TF_NEW_ARRAY(n->arena, struct segment, wanted);

        if (!bigger) return false;
        if (map->n > 0) memcpy(bigger, map->segments, map->n * sizeof(*bigger));
        map->segments = bigger;
        n->capacity = wanted;
    }
    segment.first = n->next;
    map->segments[map->n++] = segment;
    /* One number at least stays free behind the segment. */
    n->next = (n->next + segment.count + PLACE_CELL) / PLACE_CELL * PLACE_CELL;
    return true;
}

/* Offset within the segment nearest to the best seat of the whole row; between two equally good ones. */
static int32_t focal_of(const struct plan *plan, const struct plan_row *row, int seat, int count)
{
    int first = row->first, last = row->first;

    for (int i = row->first + 1; i < row->first + row->count; i++) {
        if (plan->seats[i].quality < plan->seats[first].quality) first = i;
        if (plan->seats[i].quality <= plan->seats[last].quality) last = i;
    }
    return TF_MIN(TF_MAX((first + last) / 2 - seat, 0), count - 1);
}

static bool row_number(struct numberer *n, int row_index, int tier)
{
    const struct plan_row *row = &n->plan->rows[row_index];
    int end = row->first + row->count;

    for (int seat = row->first; seat < end;) {
        int count = 0;

        if (n->painting->seat_tiers[seat] != tier) {
            seat++;
            continue;
        }
        while (seat + count < end && n->painting->seat_tiers[seat + count] == tier) {
            n->map->row_segments[seat + count] = (int32_t)n->map->n;
            count++;
            if (n->plan->seats[seat + count - 1].gap_after) break;
        }
        if (!segment_add(n, (struct segment){.tier = tier,
                                             .count = count,
                                             .row = row_index,
                                             .seat = seat,
                                             .area = -1,
                                             .from = -1,
                                             .focal = focal_of(n->plan, row, seat, count)}))
            return false;
        seat += count;
    }
    return true;
}

static bool area_number(struct numberer *n, int area, int tier)
{
    int capacity = n->plan->areas[area].capacity;

    for (int from = 0; from < capacity; from += STANDING_CHUNK_MAX)
        if (!segment_add(n, (struct segment){.tier = tier,
                                             .count = TF_MIN(STANDING_CHUNK_MAX, capacity - from),
                                             .row = -1,
                                             .seat = -1,
                                             .area = area,
                                             .from = from}))
            return false;
    return true;
}

bool place_map_make(tf_arena *arena, const struct plan *plan, const struct show *show, const struct painting *painting,
                    struct place_map *ret_map)
{
    struct place_map map = {.row_segments = TF_NEW_ARRAY(arena, int32_t, (size_t)plan->n_seats)};
    struct numberer n = {.arena = arena, .plan = plan, .painting = painting, .map = &map, .next = PLACE_NO_FIRST};

    if (!map.row_segments) return false;
    memset(map.row_segments, -1, (size_t)plan->n_seats * sizeof(map.row_segments[0]));
    for (int tier = 1; tier <= (int)show->n_tiers; tier++) {
        for (int i = 0; i < plan->n_rows; i++)
            if (!row_number(&n, i, tier)) return false;
        for (int i = 0; i < plan->n_areas; i++)
            if (painting->area_tiers[i] == tier && !area_number(&n, i, tier)) return false;
    }
    *ret_map = map;
    return true;
}

int32_t segment_cell_quality(const struct plan *plan, const struct segment *segment, int cell)
{
    int from = cell * PLACE_CELL, to = TF_MIN(from + PLACE_CELL, segment->count);
    int32_t best = INT32_MAX;

    /* Standing places are alike: the area's rank, then in the order of their numbers. */
    if (segment->area >= 0) return plan->areas[segment->area].quality + (segment->from + from) / PLACE_CELL;
    for (int i = from; i < to; i++)
        best = TF_MIN(best, plan->seats[segment->seat + i].quality);
    return best;
}
