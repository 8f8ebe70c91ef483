/* Holds fired from several threads over the one connection, as in the order process, and given back by settling. */
#include "tests/bench/bench.h"

#include "services/order/inventory/due.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 16, FREE_AT_ONCE = 60, SHARED_READ_MS = 150, TRIES_PER_RUN = 20000 };

static atomic_long serial;

static int64_t hold_one(struct volley *v, tf_ctx *ctx, const struct shot *shot)
{
    struct hold_choice choice = {.tier = 1, .count = shot->count};
    long number = atomic_fetch_add(&serial, 1);
    struct hold_request request = {
        .order_no = world_id(v->b, ctx, v->sale->bucket),
        .user_id = 1000000 + number,
        .request_id = tf_arena_printf(ctx->arena, "bench-%d-%ld", (int)getpid(), number),
        .body_hash = "0123456789abcdef0123456789abcdef",
        .place_nos = shot->n_places ? shot->places : NULL,
        .n_places = shot->n_places,
        .choices = &choice,
        .n_choices = shot->n_places ? 0 : 1,
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
        v->orders[i] = hold_one(v, &ctx, &v->shots[i]);
    }
    tf_ctx_done(&ctx);
    return NULL;
}

int volley_fire(struct volley *v)
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

int volley_give_back(const struct volley *v)
{
    struct settle_entry entries[FREE_AT_ONCE];
    enum settle_result result;
    int n = 0, given = 0;
    tf_ctx ctx;

    world_ctx(v->b, &ctx);
    for (int i = 0; i <= v->n; i++) {
        if (i < v->n && v->orders[i]) entries[n++] = (struct settle_entry){.order_no = v->orders[i], .state = 'H'};
        if (n == 0 || (n < FREE_AT_ONCE && i < v->n)) continue;
        bench_check(&ctx, inventory_settle(&ctx, v->sale->show_id, atomic_load(&v->epoch), entries, (size_t)n, &result),
                    "settle");
        if (result != SETTLE_OK) bench_die("the show closed meanwhile");
        given += n;
        n = 0;
    }
    tf_ctx_done(&ctx);
    return given;
}

static bool is_free(const struct availability *now, int32_t place)
{
    return (now->places[place / 4] >> (2 * (place % 4)) & 3) == 1;
}

/* A run of `length` places at a random spot that are free and not used yet; 0: none was found. */
static int32_t find_run(const struct sale *sale, const struct availability *now, bool *used, int length)
{
    for (int tries = 0; tries < TRIES_PER_RUN; tries++) {
        int32_t first = SALE_FIRST_PLACE_NO + (int32_t)(random() % (sale->npos - SALE_FIRST_PLACE_NO - length + 1));
        int k = 0;

        while (k < length && is_free(now, first + k) && !used[first + k])
            k++;
        if (k < length) continue;
        for (k = 0; k < length; k++)
            used[first + k] = true;
        return first;
    }
    return 0;
}

int volley_choose(struct bench *b, struct sale *sale, struct shot *shots, int n, int runs, int length)
{
    bool *used = calloc((size_t)sale->npos + 1, sizeof *used);
    struct availability now;
    int found = 0;
    tf_ctx ctx;

    if (!used) bench_die("no memory");
    usleep(SHARED_READ_MS * 1000); /* readers share what is at most 100 ms old */
    world_ctx(b, &ctx);
    bench_check(&ctx, inventory_availability(&ctx, sale, &now), "availability");
    for (; found < n; found++) {
        struct shot *shot = &shots[found];

        *shot = (struct shot){0};
        for (int run = 0; run < runs; run++) {
            int32_t first = find_run(sale, &now, used, length);

            if (!first) goto none_left;
            for (int k = 0; k < length; k++)
                shot->places[shot->n_places++] = first + k;
        }
    }
none_left:
    tf_ctx_done(&ctx);
    free(used);
    return found;
}
