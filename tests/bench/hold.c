/* What one hold costs Redis as the order process asks for it: CPU of Redis' main thread per call of inventory_hold, at
 * several fills of a large show. The places are chosen (two free neighbours anywhere) or the best available two. What
 * other kinds of purchases cost is in inventory.c. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 480 };

static struct shot shots[CALLS];
static int64_t orders[CALLS];

static void aim(struct bench *b, struct sale *sale, bool chosen, int n)
{
    if (chosen && volley_choose(b, sale, shots, n, 1, 2) < n) bench_die("no free neighbours left");
    for (int i = 0; !chosen && i < n; i++)
        shots[i] = (struct shot){.count = 2};
}

static void fill_to(struct bench *b, struct sale *sale, int *taken, int target)
{
    while (*taken < target) {
        struct volley v = {
            .b = b, .sale = sale, .shots = shots, .n = TF_MIN(CALLS, (target - *taken + 1) / 2), .orders = orders};

        aim(b, sale, random() % 3 == 0, v.n); /* a third is chosen, and leaves gaps */
        *taken += 2 * volley_fire(&v);
    }
}

static double measure(struct bench *b, struct sale *sale, bool chosen, pid_t redis)
{
    struct volley v = {.b = b, .sale = sale, .shots = shots, .n = CALLS, .orders = orders};
    int64_t begun, spent;

    aim(b, sale, chosen, CALLS);
    begun = proc_thread_ns(redis);
    if (volley_fire(&v) != CALLS) bench_die("a hold was refused");
    spent = proc_thread_ns(redis) - begun;
    volley_give_back(&v);
    return (double)spent / 1000 / CALLS;
}

void bench_hold(struct bench *b)
{
    static const int fills[] = {0, 50, 90};
    pid_t redis = proc_part(b, "redis");
    double best[BENCH_RUNS], chosen[BENCH_RUNS];
    struct sale *sale;
    int taken = 0;
    char name[64];

    srandom(1);
    world_open(b);
    sale = world_show(b, 0);
    printf("%d places; Redis CPU per hold of two places\n", sale->n_places);
    for (size_t i = 0; i < TF_COUNT(fills); i++) {
        fill_to(b, sale, &taken, (int)((int64_t)sale->n_places * fills[i] / 100));
        for (int run = 0; run < BENCH_RUNS; run++) {
            best[run] = measure(b, sale, false, redis);
            chosen[run] = measure(b, sale, true, redis);
        }
        snprintf(name, sizeof name, "hold_best_redis_us_at_%d", fills[i]);
        report_figure(name, "us", best, BENCH_RUNS);
        snprintf(name, sizeof name, "hold_chosen_redis_us_at_%d", fills[i]);
        report_figure(name, "us", chosen, BENCH_RUNS);
    }
    sale_unref(sale);
    world_close(b);
}
