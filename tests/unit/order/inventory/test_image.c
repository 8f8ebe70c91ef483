/* The image of an inventory, read back as the library reads it and compared with a plain search. */
#include "services/order/inventory/image.h"
#include "tests/unit/order/fixture.h"

#include <stdlib.h>

enum { HEAD = 64, SIZE = 4096 };

static uint32_t get32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool bit(const unsigned char *bits, size_t n)
{
    return bits[n / 8] >> (7 - n % 8) & 1;
}

/* What the test believes of each place. */
enum belief { NONE, FREE, HELD, SOLD, BLOCKED };

static void expect_areas(const struct image *image, const enum belief *beliefs)
{
    const unsigned char *areas = image->m + HEAD;

    for (int32_t place = 0; place < image->sale->npos; place++) {
        bool is_free = bit(areas, (size_t)place), sold = bit(areas + image->bitmap_bytes, (size_t)place);
        bool blocked = bit(areas + 2 * image->bitmap_bytes, (size_t)place);

        if (is_free != (beliefs[place] == FREE) || sold != (beliefs[place] == SOLD) ||
            blocked != (beliefs[place] == BLOCKED))
            fail_msg("place %d: free %d sold %d blocked %d", (int)place, is_free, sold, blocked);
    }
}

/* Is there a start of k free places in the cell? */
static bool has_start(const struct sale *sale, const enum belief *beliefs, int32_t cell, int k)
{
    for (int32_t start = 16 * cell; start < 16 * cell + 16; start++) {
        int n = 0;

        while (n < k && start + n < sale->npos && beliefs[start + n] == FREE)
            n++;
        if (n == k) return true;
    }
    return false;
}

static void expect_index(const struct image *image, const enum belief *beliefs)
{
    const struct sale *sale = image->sale;
    size_t cell_table = get32(image->g + 8);

    assert_int_equal(get32(image->g), image->kmax);
    assert_int_equal(get32(image->g + 4), sale->n_tiers);
    for (int t = 1; t <= sale->n_tiers; t++) {
        const unsigned char *tier = image->g + 16 + 32 * (t - 1);
        size_t index = get32(tier), stride = get32(tier + 4), ranks = get32(tier + 8), n = get32(tier + 28);
        int32_t quality = INT32_MIN;

        assert_int_equal(get32(tier + 20), sale->tiers[t - 1].capacity);
        assert_true(stride % 8 == 0 && stride >= n);
        for (size_t rank = 0; rank < stride; rank++) {
            int32_t cell = rank < n ? (int32_t)get32(image->g + ranks + 8 * rank) : -1;

            for (int k = 1; k <= image->kmax; k++) {
                bool expected = cell >= 0 && has_start(sale, beliefs, cell, k);

                if (bit(image->m, index + (size_t)(k - 1) * stride + rank) != expected)
                    fail_msg("tier %d rank %zu cell %d k %d: not %d", t, rank, (int)cell, k, expected);
            }
            if (cell < 0) continue;
            const SaleSegment *segment = sale_segment_of(sale, cell * 16);
            int32_t own = segment->cell_quality[cell - segment->first_place_no / 16];

            assert_int_equal(segment->tier, t);
            assert_int_equal(get32(image->g + cell_table + 4 * (size_t)cell), (uint32_t)t << 24 | (uint32_t)rank);
            assert_int_equal(get32(image->g + ranks + 8 * rank + 4), 2 * (segment->first_place_no + segment->focal));
            assert_true(own >= quality);
            quality = own;
        }
    }
}

static void test_fixture_show(void **state)
{
    struct fixture *f = *state;
    enum belief beliefs[SIZE] = {NONE};
    struct image image;

    assert_int_equal(image_new(&f->ctx, f->sale, &image), TF_OK);
    for (int32_t place = 0; place < f->sale->npos; place++)
        if (sale_segment_of(f->sale, place)) beliefs[place] = sale_is_blocked(f->sale, place) ? BLOCKED : FREE;
    image_finish(&image, 77, 2);
    expect_areas(&image, beliefs);
    expect_index(&image, beliefs);
    assert_int_equal(get32(image.m + 4), 77);
    assert_int_equal(get32(image.m + 16), f->sale->terms);
    assert_int_equal(get32(image.m + 20), 2);
    assert_int_equal(get32(image.m + 24), f->sale->npos);
    assert_int_equal(get32(image.m + 28), 8 * image.bitmap_bytes);
}

static void test_what_is_taken(void **state)
{
    static const struct {
        const char *name;
        int32_t place;
        enum image_state state;
        bool known;
        enum belief belief;
    } rows[] = {
        {"held", 33, IMAGE_HELD, true, HELD},
        {"sold", 35, IMAGE_SOLD, true, SOLD},
        {"blocked by an order", 48, IMAGE_BLOCKED, true, BLOCKED},
        {"sold although the plan blocks it", 40, IMAGE_SOLD, true, SOLD},
        {"a standing place", 100, IMAGE_HELD, true, HELD},
        {"no place: a pad", 42, IMAGE_SOLD, false, NONE},
        {"no place: beyond the end", 5000, IMAGE_SOLD, false, NONE},
        {"no place: before the first", 3, IMAGE_HELD, false, NONE},
    };
    struct fixture *f = *state;
    enum belief beliefs[SIZE] = {NONE};
    struct image image;

    assert_int_equal(image_new(&f->ctx, f->sale, &image), TF_OK);
    for (int32_t place = 0; place < f->sale->npos; place++)
        if (sale_segment_of(f->sale, place)) beliefs[place] = sale_is_blocked(f->sale, place) ? BLOCKED : FREE;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        CHECK(rows[i].name, image_take(&image, rows[i].place, rows[i].state) == rows[i].known);
        if (rows[i].known) beliefs[rows[i].place] = rows[i].belief;
    }
    image_finish(&image, 1, 1);
    expect_areas(&image, beliefs);
    expect_index(&image, beliefs);
}

/* Random fills of the same show, at every order limit. */
static void test_random_fills(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 20261122;

    for (int round = 0; round < 200; round++) {
        enum belief beliefs[SIZE] = {NONE};
        struct image image;
        int fill = rand_r(&seed) % 101;

        fixture_reset(f);
        f->sale->order_limit = 1 + round % SALE_ORDER_PLACES_MAX;
        assert_int_equal(image_new(&f->ctx, f->sale, &image), TF_OK);
        for (int32_t place = 0; place < f->sale->npos; place++) {
            if (!sale_segment_of(f->sale, place)) continue;
            beliefs[place] = sale_is_blocked(f->sale, place) ? BLOCKED : FREE;
            if (rand_r(&seed) % 100 >= fill) continue;
            beliefs[place] = rand_r(&seed) % 2 ? HELD : SOLD;
            assert_true(image_take(&image, place, beliefs[place] == HELD ? IMAGE_HELD : IMAGE_SOLD));
        }
        image_finish(&image, round + 1, 1);
        expect_areas(&image, beliefs);
        expect_index(&image, beliefs);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fixture_show, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_taken, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_random_fills, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
