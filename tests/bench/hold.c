/* What one hold costs Redis: CPU of its main thread per call of inventory_hold, from several threads over the one
 * connection as in the order process, at several fills of a large show. The places are chosen (two free neighbours
 * anywhere) or the best available two. */
#include "tests/bench/bench.h"

#include "services/order/inventory/due.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 16, CALLS = 480, FREE_AT_ONCE = 60, SHARED_READ_MS = 150 };

struct volley {
    struct bench *b;
    struct sale *sale;
    int32_t (*pairs)[2]; /* NULL: best available */
    int n;
    atomic_int next;
    int64_t *orders; /* of each call; 0: refused */
    _Atomic int64_t epoch;
};

static atomic_long serial;

static int64_t hold_one(struct volley *v, tf_ctx *ctx, int i)
{
    struct hold_choice two = {.tier = 1, .count = 2};
    long number = atomic_fetch_add(&serial, 1);
    struct hold_request request = {
        .order_no = world_id(v->b, ctx, v->sale->bucket),
        .user_id = 1000000 + number,
        .request_id = tf_arena_printf(ctx->arena, "bench-%d-%ld", (int)getpid(), number),
        .body_hash = "0123456789abcdef0123456789abcdef",
        .place_nos = v->pairs ? v->pairs[i] : NULL,
        .n_places = v->pairs ? 2 : 0,
        .choices = &two,
        .n_choices = v->pairs ? 0 : 1,
        .now_ms = tf_now_us() / TF_US_PER_MS,
    };
    struct hold hold;

    bench_check(ctx, inventory_hold(ctx, v->sale, &request, &hold), "hold");
    if (hold.result != HOLD_TAKEN) return 0;
    atomic_store(&v->epoch, hold.epoch);
    return hold.order_no;
}

static void *caller(void *arg)
{
    struct volley *v = arg;
    tf_ctx ctx;
    int i;

    world_ctx(v->b, &ctx);
    while ((i = atomic_fetch_add(&v->next, 1)) < v->n) {
        tf_ctx_reset(&ctx, 60 * TF_US_PER_S);
        v->orders[i] = hold_one(v, &ctx, i);
    }
    tf_ctx_done(&ctx);
    return NULL;
}

/* All calls; how many were granted. */
static int fire(struct volley *v)
{
    pthread_t threads[THREADS];
    int granted = 0;

    atomic_store(&v->next, 0);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, caller, v)) bench_die("no thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < v->n; i++)
        granted += v->orders[i] != 0;
    return granted;
}

/* Two free neighbours at n random spots. Readers share what is at most 100 ms old, so it is waited out. */
static void choose_pairs(struct bench *b, struct sale *sale, int32_t (*pairs)[2], int n)
{
    struct availability now;
    bool *used = calloc((size_t)sale->npos + 2, sizeof *used);
    tf_ctx ctx;

    if (!used) bench_die("no memory");
    usleep(SHARED_READ_MS * 1000);
    world_ctx(b, &ctx);
    bench_check(&ctx, inventory_availability(&ctx, sale, &now), "availability");
    for (int found = 0, tries = 0; found < n; tries++) {
        int32_t place = (int32_t)(random() % (sale->npos - 1));

        if (tries > 10000000) bench_die("no free neighbours left");
        for (int32_t k = place; k < place + 2; k++)
            if (used[k] || (now.places[k / 4] >> (2 * (k % 4)) & 3) != 1) goto taken;
        used[place] = used[place + 1] = true;
        pairs[found][0] = place;
        pairs[found][1] = place + 1;
        found++;
    taken:;
    }
    tf_ctx_done(&ctx);
    free(used);
}

/* Settling frees what was only measured. */
static void give_back(struct bench *b, const struct volley *v)
{
    struct settle_entry entries[FREE_AT_ONCE];
    enum settle_result result;
    tf_ctx ctx;
    int n = 0;

    world_ctx(b, &ctx);
    for (int i = 0; i <= v->n; i++) {
        if (i < v->n && v->orders[i]) entries[n++] = (struct settle_entry){.order_no = v->orders[i], .state = 'H'};
        if (n == 0 || (n < FREE_AT_ONCE && i < v->n)) continue;
        bench_check(&ctx, inventory_settle(&ctx, v->sale->show_id, atomic_load(&v->epoch), entries, (size_t)n, &result),
                    "settle");
        if (result != SETTLE_OK) bench_die("the show closed meanwhile");
        n = 0;
    }
    tf_ctx_done(&ctx);
}

static void fill_to(struct bench *b, struct sale *sale, int *taken, int target)
{
    int32_t(*pairs)[2] = calloc(CALLS, sizeof *pairs);
    int64_t *orders = calloc(CALLS, sizeof *orders);

    if (!pairs || !orders) bench_die("no memory");
    while (*taken < target) {
        struct volley v = {.b = b, .sale = sale, .n = TF_MIN(CALLS, (target - *taken + 1) / 2), .orders = orders};

        if (random() % 3 == 0) { /* a third is chosen, and leaves gaps */
            choose_pairs(b, sale, pairs, v.n);
            v.pairs = pairs;
        }
        *taken += 2 * fire(&v);
    }
    free(pairs);
    free(orders);
}

static double measure(struct bench *b, struct sale *sale, bool chosen, pid_t redis)
{
    static int32_t pairs[CALLS][2];
    static int64_t orders[CALLS];
    struct volley v = {.b = b, .sale = sale, .n = CALLS, .orders = orders};
    int64_t begun, spent;

    if (chosen) {
        choose_pairs(b, sale, pairs, CALLS);
        v.pairs = pairs;
    }
    begun = proc_thread_ns(redis);
    if (fire(&v) != CALLS) bench_die("a hold was refused");
    spent = proc_thread_ns(redis) - begun;
    give_back(b, &v);
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
