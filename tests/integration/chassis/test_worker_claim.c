/* Worker numbers on a real PostgreSQL: never two holders, never the same id, whatever clocks and crashes do. */
#include "tests/integration/chassis/support.h"

#include <pthread.h>
#include <stdlib.h>

enum { CALL_MS = 20000 };

static struct support support;
static const tf_time start_us = 1790000000 * (tf_time)TF_US_PER_S;

static int open_all(void **state)
{
    (void)state;
    support_open(&support, "claims", NULL);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    support_close(&support);
    return 0;
}

static tf_worker_claim *claim_start(const tf_clock *clock, const char *holder)
{
    tf_worker_claim *claim;
    tf_ctx ctx;

    ctx_start(&ctx, CALL_MS);
    ASSERT_OK(&ctx, tf_worker_claim_start(&ctx, support.app.pg, clock, NULL, holder, &claim));
    tf_ctx_done(&ctx);
    return claim;
}

static void claim_stop(tf_worker_claim *claim)
{
    tf_ctx ctx;

    ctx_start(&ctx, CALL_MS);
    tf_worker_claim_stop(&ctx, claim);
    tf_ctx_done(&ctx);
}

/* Ends the process without a word: the row stays claimed. */
static void claim_crash(tf_worker_claim *claim)
{
    tf_ctx ctx;

    ctx_start(&ctx, 1);
    sleep_ms(2); /* its time is over: the release is not sent */
    tf_worker_claim_stop(&ctx, claim);
    tf_ctx_done(&ctx);
}

static int64_t id_of(tf_worker_claim *claim)
{
    int64_t id = 0;

    assert_int_equal(tf_worker_claim_id(claim, 0, &id), TF_OK);
    return id;
}

static void rows_forget(void)
{
    sql(&support, "DELETE FROM worker_claim");
}

static void test_lowest_number_and_release(void **state)
{
    tf_worker_claim *a, *b, *c;
    int64_t last;

    (void)state;
    rows_forget();
    a = claim_start(tf_clock_system(), "a");
    b = claim_start(tf_clock_system(), "b");
    c = claim_start(tf_clock_system(), "c");
    assert_int_equal(tf_worker_claim_number(a), 0);
    assert_int_equal(tf_worker_claim_number(b), 1);
    assert_int_equal(tf_worker_claim_number(c), 2);
    last = id_of(b);
    assert_int_equal(tf_id_worker(last), 1);
    claim_stop(b);
    assert_int_equal(sql(&support, "SELECT high_tick FROM worker_claim WHERE worker = 1 AND released"),
                     tf_id_tick(last));

    b = claim_start(tf_clock_system(), "again");
    assert_int_equal(tf_worker_claim_number(b), 1);
    assert_true(id_of(b) > last);
    assert_int_equal(sql(&support, "SELECT generation FROM worker_claim WHERE worker = 1"), 2);
    assert_string_equal(sql_text(&support, "SELECT holder FROM worker_claim WHERE worker = 1"), "again");
    claim_stop(a);
    claim_stop(b);
    claim_stop(c);
    assert_int_equal(sql(&support, "SELECT count(*) FROM worker_claim WHERE released"), 3);
}

static void test_crash_leaves_the_number(void **state)
{
    tf_worker_claim *claim;

    (void)state;
    rows_forget();
    claim_crash(claim_start(tf_clock_system(), "crashed"));
    claim = claim_start(tf_clock_system(), "next");
    assert_int_equal(tf_worker_claim_number(claim), 1);
    claim_stop(claim);

    /* after a day of silence it is free again, above the crashed one's mark */
    sql(&support, "UPDATE worker_claim SET heard_at = heard_at - interval '25 hours' WHERE worker = 0");
    claim = claim_start(tf_clock_system(), "a day later");
    assert_int_equal(tf_worker_claim_number(claim), 1); /* the mark of 0 is still 10 s ahead of the clock */
    claim_stop(claim);
    sql(&support, "UPDATE worker_claim SET high_tick = high_tick - 1000 WHERE worker = 0");
    claim = claim_start(tf_clock_system(), "a day later");
    assert_int_equal(tf_worker_claim_number(claim), 0);
    claim_stop(claim);
}

static void test_clock_steps_back(void **state)
{
    static const struct {
        const char *row;
        int64_t back_s;
        bool same_number;
    } cases[] = {
        {"not at all", 0, true}, {"half a second", 0, true}, {"an hour", 3600, false}, {"a year", 31536000, false}};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        struct tf_clock_fixed clock;
        tf_worker_claim *claim;
        int64_t before, after, again;

        rows_forget();
        tf_clock_fixed_init(&clock, start_us);
        claim = claim_start(&clock.clock, "before");
        before = id_of(claim);
        clock.wall_us = start_us - cases[i].back_s * TF_US_PER_S - (i == 1 ? TF_US_PER_S / 2 : 0);
        for (int n = 0; n < 500; n++) { /* the same process goes on, upwards */
            after = id_of(claim);
            if (after <= before) fail_msg("%s: an id went back", cases[i].row);
            before = after;
        }
        claim_stop(claim);

        claim = claim_start(&clock.clock, "restarted");
        again = id_of(claim);
        if ((tf_id_worker(again) == 0) != cases[i].same_number)
            fail_msg("%s: worker %d", cases[i].row, tf_id_worker(again));
        if (tf_id_worker(again) == 0 && again <= before) fail_msg("%s: an id came again", cases[i].row);
        claim_stop(claim);
    }
}

static bool has_id(void *arg)
{
    int64_t id;

    return tf_worker_claim_id(arg, 0, &id) == TF_OK;
}

static void test_ids_end_at_the_mark(void **state)
{
    struct tf_clock_fixed clock;
    tf_worker_claim *claim;
    int64_t id, mark;

    (void)state;
    rows_forget();
    tf_clock_fixed_init(&clock, start_us);
    claim = claim_start(&clock.clock, "a");
    mark = sql(&support, "SELECT high_tick FROM worker_claim");
    assert_in_range(mark - tf_tick_of(start_us), 10 * 1000 / TF_ID_TICK_MS, 10 * 1000 / TF_ID_TICK_MS + 1);
    sql(&support, "ALTER TABLE worker_claim RENAME TO hidden"); /* nothing can be renewed */
    clock.wall_us += 9 * TF_US_PER_S;
    id = id_of(claim);
    assert_true(tf_id_tick(id) <= mark);
    clock.wall_us += 2 * TF_US_PER_S;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(tf_worker_claim_id(claim, 0, &id), TF_OVERLOADED);
        sleep_ms(5);
    }
    sql(&support, "ALTER TABLE hidden RENAME TO worker_claim");
    wait_until(has_id, claim, 5000, "ids go on once the database answers");
    claim_stop(claim);
}

static bool has_other_number(void *arg)
{
    return tf_worker_claim_number(arg) > 0;
}

static void test_lost_claim(void **state)
{
    struct tf_clock_fixed clock, later;
    tf_worker_claim *claim, *thief;
    int64_t mine, theirs, next;

    (void)state;
    rows_forget();
    tf_clock_fixed_init(&clock, start_us);
    tf_clock_fixed_init(&later, start_us + 20 * TF_US_PER_S);
    claim = claim_start(&clock.clock, "robbed");
    mine = id_of(claim);
    for (int i = 0;; i++) { /* a renewal between the silence and the theft saves the number: then once more */
        sql(&support, "UPDATE worker_claim SET heard_at = heard_at - interval '25 hours'");
        thief = claim_start(&later.clock, "thief");
        if (tf_worker_claim_number(thief) == 0 || i == 10) break;
        claim_stop(thief);
        sql(&support, "DELETE FROM worker_claim WHERE worker <> 0");
    }
    assert_int_equal(tf_worker_claim_number(thief), 0);
    theirs = id_of(thief);
    for (int i = 0; i < 1000; i++) { /* until the robbed one notices it makes ids below its mark, the thief above it */
        mine = id_of(claim);
        assert_true(mine < theirs);
    }

    tf_worker_claim_wake(claim);
    wait_until(has_other_number, claim, 5000, "the robbed one takes another number");
    next = id_of(claim);
    assert_int_equal(tf_id_worker(next), 1);
    assert_int_equal(tf_worker_claim_number(thief), 0);
    claim_stop(claim);
    claim_stop(thief);
    assert_int_equal(sql(&support, "SELECT count(*) FROM worker_claim WHERE released"), 2);
}

static void test_all_taken(void **state)
{
    tf_worker_claim *claim;
    tf_ctx ctx;

    (void)state;
    rows_forget();
    sql(&support,
        "INSERT INTO worker_claim SELECT n, 1, 'other', 1000 + n, false, now() FROM generate_series(0, 255) n");
    ctx_start(&ctx, CALL_MS);
    ASSERT_CODE(&ctx, tf_worker_claim_start(&ctx, support.app.pg, tf_clock_system(), NULL, "late", &claim),
                TF_OVERLOADED);
    tf_ctx_done(&ctx);

    /* crashed processes must not keep the service down for a day */
    sql(&support, "UPDATE worker_claim SET heard_at = now() - interval '11 minutes' WHERE worker IN (7, 9)");
    claim = claim_start(tf_clock_system(), "late");
    assert_int_equal(tf_worker_claim_number(claim), 7);
    claim_stop(claim);
}

enum { RACERS = 8, ROUNDS = 6, RACER_IDS = 2000 };

struct racer {
    pthread_t thread;
    int64_t ids[ROUNDS * RACER_IDS];
    size_t n;
};

/* Claims, makes ids, and leaves: politely or not. */
static void *race(void *arg)
{
    struct racer *racer = arg;

    for (int round = 0; round < ROUNDS; round++) {
        tf_worker_claim *claim = claim_start(tf_clock_system(), "racer");

        for (int i = 0; i < RACER_IDS; i++)
            if (tf_worker_claim_id(claim, i % TF_BUCKETS, &racer->ids[racer->n]) == TF_OK) racer->n++;
        if (round % 2)
            claim_stop(claim);
        else
            claim_crash(claim);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a >> 10, y = *(const int64_t *)b >> 10; /* unique even without the bucket */

    return x < y ? -1 : x > y;
}

static void test_many_at_once(void **state)
{
    static struct racer racers[RACERS];
    static int64_t ids[RACERS * ROUNDS * RACER_IDS];
    size_t n = 0;

    (void)state;
    rows_forget();
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    for (int i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        memcpy(ids + n, racers[i].ids, racers[i].n * sizeof(ids[0]));
        n += racers[i].n;
    }
    assert_true(n > RACERS * RACER_IDS);
    qsort(ids, n, sizeof(ids[0]), compare);
    for (size_t i = 1; i < n; i++)
        if (compare(&ids[i - 1], &ids[i]) == 0) fail_msg("an id was made twice: %lld", (long long)ids[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lowest_number_and_release),
        cmocka_unit_test(test_crash_leaves_the_number),
        cmocka_unit_test(test_clock_steps_back),
        cmocka_unit_test(test_ids_end_at_the_mark),
        cmocka_unit_test(test_lost_claim),
        cmocka_unit_test(test_all_taken),
        cmocka_unit_test(test_many_at_once),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
