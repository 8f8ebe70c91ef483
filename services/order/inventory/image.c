/* Layout: see the head of inventory.lua. All numbers are big-endian; bit n of a bitmap is bit 7 - n % 8 of byte n /
 * 8, as in Redis. */
#include "services/order/inventory/image.h"

#include <string.h>

enum {
    CELL = 16,
    HEAD_BYTES = 64,
    G_HEAD_BYTES = 16,
    G_TIER_BYTES = 32,
    G_RANK_BYTES = 8,
    STRIDE_BITS = 8 /* an index bitmap is a whole number of bytes, at least one */
};

struct cell_rank {
    int32_t quality, cell;
    uint32_t focal; /* twice the best place number of the row */
};

static void put32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

static void put64(unsigned char *at, uint64_t value)
{
    put32(at, (uint32_t)(value >> 32));
    put32(at + 4, (uint32_t)value);
}

static bool bit_get(const unsigned char *bits, size_t n)
{
    return bits[n / 8] >> (7 - n % 8) & 1;
}

static void bit_set(unsigned char *bits, size_t n)
{
    bits[n / 8] |= (unsigned char)(0x80 >> n % 8);
}

static void bit_clear(unsigned char *bits, size_t n)
{
    bits[n / 8] &= (unsigned char)~(0x80 >> n % 8);
}

static unsigned char *area(const struct image *image, int number)
{
    return image->m + HEAD_BYTES + (size_t)number * image->bitmap_bytes;
}

static int by_rank(const void *a, const void *b)
{
    const struct cell_rank *x = a, *y = b;

    if (x->quality != y->quality) return x->quality < y->quality ? -1 : 1;
    return (x->cell > y->cell) - (x->cell < y->cell);
}

static size_t stride_of(size_t cells)
{
    return cells ? (cells + STRIDE_BITS - 1) / STRIDE_BITS * STRIDE_BITS : STRIDE_BITS;
}

/* The tier's cells in order of rank; *ret_first and *ret_last: its byte range in a bitmap. */
static size_t rank_tier(const struct sale *sale, int tier, struct cell_rank *ranks, uint32_t *ret_first,
                        uint32_t *ret_last)
{
    size_t n = 0;

    *ret_first = *ret_last = 0;
    for (size_t i = 0; i < sale->snapshot->n_segments; i++) {
        const SaleSegment *segment = sale->snapshot->segments[i];

        if (segment->tier != tier) continue;
        if (n == 0) *ret_first = (uint32_t)segment->first_place_no / 8;
        *ret_last = (uint32_t)(segment->first_place_no + segment->count - 1) / 8;
        for (size_t k = 0; k < segment->n_cell_quality; k++)
            ranks[n++] = (struct cell_rank){segment->cell_quality[k], segment->first_place_no / CELL + (int32_t)k,
                                            2 * (uint32_t)(segment->first_place_no + segment->focal)};
    }
    qsort(ranks, n, sizeof(*ranks), by_rank);
    return n;
}

static size_t cells_of(const struct sale *sale, int tier)
{
    size_t n = 0;

    for (size_t i = 0; i < sale->snapshot->n_segments; i++)
        if (sale->snapshot->segments[i]->tier == tier) n += sale->snapshot->segments[i]->n_cell_quality;
    return n;
}

static void write_geometry(struct image *image, struct cell_rank *scratch)
{
    const struct sale *sale = image->sale;
    size_t cell_table = G_HEAD_BYTES + (size_t)sale->n_tiers * G_TIER_BYTES;
    size_t rank_at = cell_table + 4 * (size_t)image->n_cells;
    size_t index_at = 8 * (HEAD_BYTES + 3 * image->bitmap_bytes); /* bits */

    put32(image->g, (uint32_t)image->kmax);
    put32(image->g + 4, (uint32_t)sale->n_tiers);
    put32(image->g + 8, (uint32_t)cell_table);
    put32(image->g + 12, (uint32_t)image->n_cells);
    for (int t = 1; t <= sale->n_tiers; t++) {
        unsigned char *at = image->g + G_HEAD_BYTES + (size_t)(t - 1) * G_TIER_BYTES;
        uint32_t first, last;
        size_t n = rank_tier(sale, t, scratch, &first, &last), stride = stride_of(n);

        put32(at, (uint32_t)index_at);
        put32(at + 4, (uint32_t)stride);
        put32(at + 8, (uint32_t)rank_at);
        put32(at + 12, first);
        put32(at + 16, last);
        put32(at + 20, (uint32_t)sale->tiers[t - 1].capacity);
        put32(at + 24, sale->tiers[t - 1].standing);
        put32(at + 28, (uint32_t)n);
        for (size_t rank = 0; rank < n; rank++) {
            put32(image->g + cell_table + 4 * (size_t)scratch[rank].cell, (uint32_t)t << 24 | (uint32_t)rank);
            put32(image->g + rank_at, (uint32_t)scratch[rank].cell);
            put32(image->g + rank_at + 4, scratch[rank].focal);
            rank_at += G_RANK_BYTES;
        }
        index_at += (size_t)image->kmax * stride;
    }
}

static void free_all(struct image *image)
{
    const SaleSnapshot *snapshot = image->sale->snapshot;

    for (size_t i = 0; i < snapshot->n_segments; i++)
        for (int32_t k = 0; k < snapshot->segments[i]->count; k++)
            bit_set(area(image, 0), (size_t)(snapshot->segments[i]->first_place_no + k));
    for (size_t i = 0; i < snapshot->n_blocked_place_nos; i++)
        image_take(image, snapshot->blocked_place_nos[i], IMAGE_BLOCKED);
}

tf_code image_new(tf_ctx *ctx, const struct sale *sale, struct image *ret_image)
{
    struct image image = {.sale = sale, .kmax = sale->order_limit};
    struct cell_rank *scratch;
    size_t index_bytes = 0, ranks = 0;

    image.n_cells = sale->npos / CELL;
    image.bitmap_bytes = ((size_t)sale->npos + 63) / 64 * 8;
    for (int t = 1; t <= sale->n_tiers; t++) {
        size_t cells = cells_of(sale, t);

        index_bytes += (size_t)image.kmax * stride_of(cells) / 8;
        ranks += cells;
    }
    image.m_size = HEAD_BYTES + 3 * image.bitmap_bytes + index_bytes;
    image.g_size =
        G_HEAD_BYTES + (size_t)sale->n_tiers * G_TIER_BYTES + 4 * (size_t)image.n_cells + G_RANK_BYTES * ranks;
    image.m = tf_arena_calloc(ctx->arena, 1, image.m_size);
    image.g = tf_arena_calloc(ctx->arena, 1, image.g_size);
    scratch = TF_NEW_ARRAY(ctx->arena, struct cell_rank, ranks);
    if (!image.m || !image.g || !scratch)
        return tf_fail(ctx, TF_INTERNAL, "no memory for an inventory of %d numbers", (int)sale->npos);

    write_geometry(&image, scratch);
    free_all(&image);
    *ret_image = image;
    return TF_OK;
}

bool image_take(struct image *image, int32_t place_no, enum image_state state)
{
    if (!sale_segment_of(image->sale, place_no)) return false;

    bit_clear(area(image, 0), (size_t)place_no);
    bit_clear(area(image, 2),
              (size_t)place_no); /* a ticket lives where the plan says blocked: the ticket is the truth */
    if (state == IMAGE_SOLD) bit_set(area(image, 1), (size_t)place_no);
    if (state == IMAGE_BLOCKED) bit_set(area(image, 2), (size_t)place_no);
    return true;
}

/* Longest run of free places that starts in the cell, at most kmax. */
static int longest(const struct image *image, int32_t cell)
{
    const unsigned char *free_places = area(image, 0);
    int32_t first = cell * CELL;
    int best = 0;

    for (int32_t start = first; start < first + CELL && best < image->kmax; start++) {
        int n = 0;

        while (n < image->kmax && start + n < image->sale->npos && bit_get(free_places, (size_t)(start + n)))
            n++;
        if (n > best) best = n;
        start += n; /* the next run starts behind the place that ended this one */
    }
    return best;
}

static uint32_t get32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void image_finish(struct image *image, int64_t epoch, int sale_state)
{
    for (int t = 1; t <= image->sale->n_tiers; t++) {
        const unsigned char *at = image->g + G_HEAD_BYTES + (size_t)(t - 1) * G_TIER_BYTES;
        size_t index = get32(at), stride = get32(at + 4), rank_at = get32(at + 8), n = get32(at + 28);

        memset(image->m + index / 8, 0, (size_t)image->kmax * stride / 8);
        for (size_t rank = 0; rank < n; rank++) {
            int32_t cell = (int32_t)get32(image->g + rank_at + rank * G_RANK_BYTES);
            int length = longest(image, cell);

            for (int k = 0; k < length; k++)
                bit_set(image->m, index + (size_t)k * stride + rank);
        }
    }
    put64(image->m, (uint64_t)epoch);
    put64(image->m + 8, 0);
    put32(image->m + 16, (uint32_t)image->sale->terms);
    put32(image->m + 20, (uint32_t)sale_state);
    put32(image->m + 24, (uint32_t)image->sale->npos);
    put32(image->m + 28, (uint32_t)(8 * image->bitmap_bytes));
}
