/* Ids: layout, reservation, clocks that step back, threads. */
#include "tests/unit/base/unit.h"

#include "common/base/id.h"

#include <stdlib.h>

static const tf_time start = 1795373580000000; /* 2026-11-22T18:53:00Z */

static void advance_ticks(struct tf_clock_fixed *clock, int64_t ticks)
{
    clock->wall_us += ticks * TF_ID_TICK_MS * TF_US_PER_MS;
}

static int64_t must_next(tf_idgen *gen, int bucket)
{
    int64_t id = 0;

    assert_int_equal(tf_idgen_next(gen, bucket, &id), TF_OK);
    return id;
}

static void layout_is_as_written(void **state)
{
    struct tf_clock_fixed clock;
    tf_idgen gen;
    int64_t id, tick = (start - 1735689600000000) / 32000;

    (void)state;
    tf_clock_fixed_init(&clock, start);
    tf_idgen_init(&gen, &clock.clock, 255, 0);
    tf_idgen_reserve(&gen, tick + 1000);
    id = must_next(&gen, 1023);
    assert_true(id == (tick << 28 | (int64_t)255 << 20 | 0 << 10 | 1023));
    id = must_next(&gen, 5);
    assert_true(id == (tick << 28 | (int64_t)255 << 20 | 1 << 10 | 5));
    assert_int_equal(tf_id_tick(id), tick);
    assert_int_equal(tf_id_worker(id), 255);
    assert_int_equal(tf_id_bucket(id), 5);
    assert_true(tf_id_time(id) <= start && start - tf_id_time(id) < 32000);
    assert_int_equal(tf_tick_of(start), tick);
    assert_int_equal(tf_tick_of(1735689600000000), 0);
    assert_int_equal(tf_tick_of(1735689600000000 - 1), -1);
    assert_true(tf_tick_of(INT64_MIN) < 0);
    assert_int_equal(tf_id_worker(INT64_MAX), 255);
    assert_true(tf_id_tick(INT64_MAX) == ((int64_t)1 << 35) - 1);
}

static void nothing_reserved_makes_nothing(void **state)
{
    struct tf_clock_fixed clock;
    tf_idgen gen;
    int64_t id = 42;

    (void)state;
    tf_clock_fixed_init(&clock, start);
    tf_idgen_init(&gen, &clock.clock, 0, 0);
    assert_int_equal(tf_idgen_next(&gen, 0, &id), TF_OVERLOADED);
    tf_idgen_reserve(&gen, tf_tick_of(start) - 1);
    assert_int_equal(tf_idgen_next(&gen, 0, &id), TF_OVERLOADED);
    assert_int_equal(id, 42);
    tf_idgen_reserve(&gen, tf_tick_of(start));
    must_next(&gen, 0);
    advance_ticks(&clock, 1);
    assert_int_equal(tf_idgen_next(&gen, 0, &id), TF_OVERLOADED);
    tf_idgen_reserve(&gen, tf_tick_of(start) + 1);
    tf_idgen_reserve(&gen, 5); /* never lowers */
    must_next(&gen, 0);
}

static void a_full_tick_borrows_at_most_a_second(void **state)
{
    struct tf_clock_fixed clock;
    tf_idgen gen;
    int64_t id, last = 0, made = 0;

    (void)state;
    tf_clock_fixed_init(&clock, start);
    tf_idgen_init(&gen, &clock.clock, 1, 0);
    tf_idgen_reserve(&gen, INT64_MAX);
    while (tf_idgen_next(&gen, 0, &id) == TF_OK) {
        assert_true(id > last);
        last = id;
        made++;
    }
    assert_int_equal(made, 33 * TF_ID_SEQUENCES); /* the present tick and 32 borrowed */
    advance_ticks(&clock, 1);
    for (int i = 0; i < TF_ID_SEQUENCES; i++)
        assert_true(must_next(&gen, 0) > last);
    assert_int_equal(tf_idgen_next(&gen, 0, &id), TF_OVERLOADED);
}

static void borrowing_stops_at_the_reservation(void **state)
{
    struct tf_clock_fixed clock;
    tf_idgen gen;
    int64_t id, made = 0;

    (void)state;
    tf_clock_fixed_init(&clock, start);
    tf_idgen_init(&gen, &clock.clock, 1, 0);
    tf_idgen_reserve(&gen, tf_tick_of(start) + 3);
    while (tf_idgen_next(&gen, 0, &id) == TF_OK)
        made++;
    assert_int_equal(made, 4 * TF_ID_SEQUENCES);
    assert_int_equal(tf_id_tick(id), tf_tick_of(start) + 3);
}

static void a_clock_that_steps_back_repeats_nothing(void **state)
{
    struct tf_clock_fixed clock;
    tf_idgen gen;
    int64_t id, last;
    int made = 1;

    (void)state;
    tf_clock_fixed_init(&clock, start);
    tf_idgen_init(&gen, &clock.clock, 1, 0);
    tf_idgen_reserve(&gen, INT64_MAX);
    last = must_next(&gen, 0);
    advance_ticks(&clock, -1000);
    while (tf_idgen_next(&gen, 0, &id) == TF_OK) {
        assert_true(id > last);
        last = id;
        made++;
    }
    assert_int_equal(made, TF_ID_SEQUENCES); /* the rest of its tick, then it waits for the clock */
    advance_ticks(&clock, 1000);
    assert_true(must_next(&gen, 0) > last);
}

static void a_new_claim_starts_at_its_mark(void **state)
{
    struct tf_clock_fixed clock;
    tf_idgen gen;
    int64_t mark = tf_tick_of(start) + 10;

    (void)state;
    tf_clock_fixed_init(&clock, start);
    tf_idgen_init(&gen, &clock.clock, 1, mark);
    tf_idgen_reserve(&gen, mark + 100);
    assert_int_equal(tf_id_tick(must_next(&gen, 0)), mark);
    tf_clock_fixed_init(&clock, 0); /* long before the epoch */
    tf_idgen_init(&gen, &clock.clock, 0, 0);
    tf_idgen_reserve(&gen, 100);
    assert_true(must_next(&gen, 0) > 0);
}

enum { THREADS = 4, PER_THREAD = 20000 };
static int64_t made_by[THREADS][PER_THREAD];
static tf_idgen shared;

static void *make_many(void *arg)
{
    int64_t *ids = arg;

    for (int i = 0; i < PER_THREAD;)
        i += tf_idgen_next(&shared, i % TF_BUCKETS, &ids[i]) == TF_OK;
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void threads_make_no_duplicate(void **state)
{
    pthread_t threads[THREADS];
    int64_t *all = &made_by[0][0];

    (void)state;
    tf_idgen_init(&shared, tf_clock_system(), 9, 0);
    tf_idgen_reserve(&shared, INT64_MAX);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, made_by[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        for (int k = 1; k < PER_THREAD; k++)
            assert_true(made_by[i][k] > made_by[i][k - 1]);
    qsort(all, THREADS * PER_THREAD, sizeof(*all), by_value);
    for (int i = 1; i < THREADS * PER_THREAD; i++)
        assert_true(all[i] != all[i - 1]);
}

static void buckets_never_change(void **state)
{
    static const struct {
        int64_t show;
        int bucket;
    } rows[] = {{0, 0}, {1, 485}, {2, 138}, {500674465230749703, 661}, {INT64_MAX, 701}};
    int counts[TF_BUCKETS] = {0};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        assert_int_equal(tf_bucket_of_show(rows[i].show), rows[i].bucket);
    for (int64_t show = 0; show < 102400; show++)
        counts[tf_bucket_of_show(show << 10)]++;
    for (int i = 0; i < TF_BUCKETS; i++)
        assert_in_range(counts[i], 50, 150); /* ids end in zeros, buckets spread still */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_as_written),
        cmocka_unit_test(nothing_reserved_makes_nothing),
        cmocka_unit_test(a_full_tick_borrows_at_most_a_second),
        cmocka_unit_test(borrowing_stops_at_the_reservation),
        cmocka_unit_test(a_clock_that_steps_back_repeats_nothing),
        cmocka_unit_test(a_new_claim_starts_at_its_mark),
        cmocka_unit_test(threads_make_no_duplicate),
        cmocka_unit_test(buckets_never_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
