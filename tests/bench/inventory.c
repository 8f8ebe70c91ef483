/* What the function library costs Redis by kind of purchase and fill: µs of Redis' main thread per hold, and per
 * settling that frees one. The show is filled as a sale leaves it: sizes as people buy them, two thirds best available
 * and one third chosen, with two rounds of orders given back on the way. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { SHOTS = 160, ROUNDS = 15, LEFT_PER_CALL = 8, SHOTS_MIN = 16, HELD_MAX = 100000 };

static struct shot shots[SHOTS];
static int64_t orders[SHOTS];

struct hall {
    struct bench *b;
    struct sale *sale;
    pid_t redis;
    int taken;
    struct {
        int64_t order_no;
        int places;
    } * held;
    int n_held;
    int64_t epoch;
};

/* How many places people buy at once. */
static int group(void)
{
    static const int percent[] = {20, 45, 12, 15, 3, 5};
    int at = (int)(random() % 100), k = 0;

    while (at >= percent[k])
        at -= percent[k++];
    return k + 1;
}

static struct volley volley(const struct hall *hall, int n)
{
    return (struct volley){
        .b = hall->b, .sale = hall->sale, .shots = shots, .n = n, .orders = orders, .epoch = hall->epoch};
}

/* ---- filling -------------------------------------------------------------------------------------------------------
 */

static void sell(struct hall *hall, int goal)
{
    int n = TF_MAX(1, TF_MIN(SHOTS, (goal - hall->taken) / 3));
    struct volley v;

    if (random() % 3 == 0)
        n = volley_choose(hall->b, hall->sale, shots, n, 1, TF_MIN(group(), goal - hall->taken));
    else
        for (int i = 0; i < n; i++)
            shots[i] = (struct shot){.count = TF_MIN(group(), goal - hall->taken)};
    v = volley(hall, n);
    volley_fire(&v);
    hall->epoch = atomic_load(&v.epoch);
    for (int i = 0; i < n; i++) {
        if (!orders[i]) continue;
        if (hall->n_held == HELD_MAX) bench_die("more orders than places");
        hall->held[hall->n_held].order_no = orders[i];
        hall->held[hall->n_held].places = shots[i].n_places ? shots[i].n_places : shots[i].count;
        hall->taken += hall->held[hall->n_held++].places;
    }
}

static void give_back(struct hall *hall, int goal)
{
    struct volley v;
    int n = 0;

    while (n < SHOTS && hall->n_held > 0 && hall->taken > goal) {
        int at = (int)(random() % hall->n_held);

        orders[n++] = hall->held[at].order_no;
        hall->taken -= hall->held[at].places;
        hall->held[at] = hall->held[--hall->n_held];
    }
    v = volley(hall, n);
    volley_give_back(&v);
}

static void fill_to(struct hall *hall, int target)
{
    const int goals[] = {target * 6 / 10, target / 2, target * 95 / 100, target * 85 / 100, target};

    for (size_t i = 0; i < TF_COUNT(goals); i++) {
        while (hall->taken < goals[i])
            sell(hall, goals[i]);
        while (hall->taken > goals[i])
            give_back(hall, goals[i]);
    }
}

/* ---- measuring -----------------------------------------------------------------------------------------------------
 */

static const struct kind {
    const char *name;
    int count;        /* best available; 0: as people buy */
    int runs, length; /* chosen */
} kinds[] = {
    {"best_1", 1, 0, 0},   {"best_2", 2, 0, 0},   {"best_4", 4, 0, 0},         {"best_6", 6, 0, 0},
    {"best_mix", 0, 0, 0}, {"chosen_2", 0, 1, 2}, {"chosen_6_apart", 0, 2, 3},
};

/* What is left in a full hall bounds a volley. */
static int aim(struct hall *hall, const struct kind *kind, int n)
{
    if (kind->runs) return volley_choose(hall->b, hall->sale, shots, n, kind->runs, kind->length);
    for (int i = 0; i < n; i++)
        shots[i] = (struct shot){.count = kind->count ? kind->count : group()};
    return n;
}

static double spent_us(const struct hall *hall, int64_t begun_ns, int calls)
{
    return (double)(proc_thread_ns(hall->redis) - begun_ns) / 1000 / calls;
}

/* False: too few of this kind are left to say what one costs. */
static bool measure(struct hall *hall, const struct kind *kind, double *hold_us, double *settle_us)
{
    int n_max = TF_MIN(SHOTS, (hall->sale->n_places - hall->taken) / LEFT_PER_CALL), n, granted;

    for (int round = 0; round < ROUNDS; round++) {
        struct volley v;
        int64_t begun;

        n = aim(hall, kind, n_max);
        if (n < SHOTS_MIN) return false;
        v = volley(hall, n);
        begun = proc_thread_ns(hall->redis);
        granted = volley_fire(&v);
        hold_us[round] = spent_us(hall, begun, n);
        begun = proc_thread_ns(hall->redis);
        volley_give_back(&v);
        if (granted < n * 9 / 10) return false;
        settle_us[round] = spent_us(hall, begun, granted);
    }
    return true;
}

void bench_inventory(struct bench *b)
{
    static const int fills[] = {0, 50, 90, 99};
    struct hall hall = {.b = b, .held = calloc(HELD_MAX, sizeof(*hall.held))};
    double hold_us[ROUNDS], settle_us[ROUNDS];
    char name[64];

    if (!hall.held) bench_die("no memory");
    srandom(1);
    world_open(b);
    hall.redis = proc_part(b, "redis");
    hall.sale = world_show(b, 2);
    printf("%d places; Redis CPU per hold, and per settling that frees it\n", hall.sale->n_places);
    for (size_t i = 0; i < TF_COUNT(fills); i++) {
        fill_to(&hall, (int)((int64_t)hall.sale->n_places * fills[i] / 100));
        for (size_t k = 0; k < TF_COUNT(kinds); k++) {
            if (!measure(&hall, &kinds[k], hold_us, settle_us)) {
                printf("%s at %d %%: too few are left\n", kinds[k].name, fills[i]);
                continue;
            }
            snprintf(name, sizeof name, "inventory_%s_us_at_%d", kinds[k].name, fills[i]);
            report_figure(name, "us", hold_us, ROUNDS);
            if (kinds[k].count || kinds[k].runs) continue;
            snprintf(name, sizeof name, "inventory_settle_us_at_%d", fills[i]);
            report_figure(name, "us", settle_us, ROUNDS);
        }
    }
    free(hall.held);
    sale_unref(hall.sale);
    world_close(b);
}
