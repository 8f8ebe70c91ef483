/* What the group commit costs PostgreSQL: orders of two places by commit_orders at several batch sizes, from one
 * connection, one batch after the other. CPU is that of the connection's own backend. */
#include "tests/bench/bench.h"

#include "common/chassis/app_internal.h"
#include "services/order/commit/batch.h"
#include "services/order/domain/trace.h"
#include "services/order/events/order_event.h"
#include "services/order/inventory/inventory.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH_MAX = 100, PLACES = 2 };

struct work {
    struct bench *b;
    struct sale *sale;
    int64_t epoch;
    int32_t place; /* next one to try */
    tf_pg_conn *conn;
    pid_t backend;
};

static pid_t backend_of(tf_pg_conn *conn, tf_ctx *ctx)
{
    static const struct tf_pg_stmt backend = {"bench_backend", "SELECT pg_backend_pid()", false};
    tf_pg_params params;
    tf_pg_result *rows;

    tf_pg_params_init(&params, ctx);
    bench_check(ctx, tf_pg_exec(conn, ctx, &backend, &params, &rows), "pg_backend_pid");
    return (pid_t)tf_pg_get_int(rows, 0, 0);
}

static int32_t next_place(struct work *w)
{
    while (w->place < w->sale->npos && !sale_tier_of(w->sale, w->place))
        w->place++;
    if (w->place >= w->sale->npos) bench_die("the show has no places left");
    return w->place++;
}

static struct commit_entry *entry_new(struct work *w, tf_ctx *ctx)
{
    struct new_ticket tickets[PLACES];
    struct new_order order = {
        .order_no = world_id(w->b, ctx, w->sale->bucket),
        .kind = 1,
        .bucket = w->sale->bucket,
        .show_id = w->sale->show_id,
        .organiser_id = w->sale->organiser_id,
        .body_hash = "0123456789abcdef0123456789abcdef",
        .epoch = w->epoch,
        .terms = w->sale->terms,
        .currency = w->sale->currency,
        .adjacent = true,
        .hold_seconds = 600,
        .pay_margin_seconds = 30,
        .tickets = tickets,
        .n_tickets = PLACES,
    };
    struct order_row row;
    struct commit_entry *entry;

    order.user_id = order.order_no;
    order.request_id = tf_arena_printf(ctx->arena, "bench-%lld", (long long)order.order_no);
    for (int i = 0; i < PLACES; i++) {
        int32_t place = next_place(w);
        const struct sale_tier *tier = sale_tier_of(w->sale, place);

        tickets[i] = (struct new_ticket){.ticket_id = world_id(w->b, ctx, w->sale->bucket),
                                         .place_no = place,
                                         .tier = tier->tier,
                                         .price_minor = tier->price_minor};
        order.total_minor += tier->price_minor;
    }
    row = (struct order_row){.bucket = order.bucket,
                             .order_no = order.order_no,
                             .show_id = order.show_id,
                             .organiser_id = order.organiser_id,
                             .user_id = order.user_id,
                             .state = 1,
                             .currency = order.currency,
                             .total_minor = order.total_minor,
                             .pay_by_at = tf_now_us()};
    bench_check(ctx, order_event_created(ctx, &row, tf_now_us(), &order.created_event_id, &order.created_event),
                "event");
    order.trace = order_trace_write(ctx->arena, &(struct order_trace){.request_id = "0123456789abcdef01234567",
                                                                      .process = "order-2",
                                                                      .asked_at = tf_now_us(),
                                                                      .held_at = tf_now_us(),
                                                                      .event_id = order.created_event_id});
    entry = commit_entry_new(&order);
    if (!entry) bench_die("no memory");
    return entry;
}

/* Orders in batches of that size; seconds and backend CPU of the calls alone. */
static void measure(struct work *w, int n_orders, int batch, double *ret_rate, double *ret_cpu_us)
{
    int64_t wall_us = 0, cpu_ns = 0;

    for (int done = 0; done < n_orders; done += batch) {
        struct commit_entry *entries[BATCH_MAX];
        struct batch_answer answers[BATCH_MAX];
        int64_t begun_us, begun_ns;
        tf_time clock;
        tf_ctx ctx;

        world_ctx(w->b, &ctx);
        for (int i = 0; i < batch; i++)
            entries[i] = entry_new(w, &ctx);
        batch_sort(entries, (size_t)batch);
        begun_ns = proc_thread_ns(w->backend);
        begun_us = tf_mono_us();
        bench_check(&ctx, batch_commit(&ctx, w->conn, entries, (size_t)batch, answers, &clock), "commit_orders");
        wall_us += tf_mono_us() - begun_us;
        cpu_ns += proc_thread_ns(w->backend) - begun_ns;
        for (int i = 0; i < batch; i++) {
            if (answers[i].result != COMMIT_OK) bench_die("an order was not committed (%d)", (int)answers[i].result);
            commit_entry_unref(entries[i]);
        }
        tf_ctx_done(&ctx);
    }
    *ret_rate = (double)n_orders * 1e6 / (double)wall_us;
    *ret_cpu_us = (double)cpu_ns / 1000 / n_orders;
}

void bench_commit(struct bench *b)
{
    static const struct {
        int batch, orders;
    } sizes[] = {{1, 500}, {10, 1500}, {100, 4000}};
    struct work w = {.b = b, .place = SALE_FIRST_PLACE_NO};
    double rate[BENCH_RUNS], cpu[BENCH_RUNS];
    struct availability now;
    char name[64];
    tf_ctx ctx;

    world_open(b);
    w.sale = world_show(b, 1);
    world_ctx(b, &ctx);
    bench_check(&ctx, inventory_availability(&ctx, w.sale, &now), "availability");
    w.epoch = now.epoch;
    bench_check(&ctx, tf_pg_connect(&ctx, b->app->pg, &w.conn), "connection");
    w.backend = backend_of(w.conn, &ctx);
    measure(&w, 200, 10, &rate[0], &cpu[0]); /* warm: plans and caches */
    printf("Orders of two places, one connection; CPU of its backend\n");
    for (size_t i = 0; i < TF_COUNT(sizes); i++) {
        for (int run = 0; run < BENCH_RUNS; run++)
            measure(&w, sizes[i].orders, sizes[i].batch, &rate[run], &cpu[run]);
        snprintf(name, sizeof name, "commit_orders_per_s_batch_%d", sizes[i].batch);
        report_figure(name, "1/s", rate, BENCH_RUNS);
        snprintf(name, sizeof name, "commit_pg_us_per_order_batch_%d", sizes[i].batch);
        report_figure(name, "us", cpu, BENCH_RUNS);
    }
    tf_pg_give(w.conn);
    tf_ctx_done(&ctx);
    sale_unref(w.sale);
    world_close(b);
}
