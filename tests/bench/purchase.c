/* Orders over the public API: keep-alive connections, each of a buyer who orders the best two places as soon as the
 * last answer is there. One thread, so that the client takes little of the machine that it measures. */
#include "tests/bench/bench.h"

#include "tools/load/histogram.h"
#include "tools/load/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS = 64, RUN_S = 8, WARM_S = 1, /* of 25,000 pairs a run */ TIMEOUT_US = 5 * TF_US_PER_S };

struct connection {
    struct run *run;
    struct wire wire;
    const char *token;
};

struct run {
    const char *show;
    const struct target *gateway;
    struct connection *connections;
    struct loop loop;
    bool counts; /* after the warm-up */
    int64_t orders, refused;
    char refusal[200]; /* the first */
    struct histogram latencies;
};

static const char *const parts[] = {"gateway", "user", "order", "program", "pay", "redis", "pg", "etcd"};

static void send_order(struct connection *c)
{
    static long serial;
    char body[160], request[2048];
    int n_body, n;

    n_body = snprintf(body, sizeof body, "{\"show_id\":\"%s\",\"choices\":[{\"tier\":1,\"count\":2}]}", c->run->show);
    n = snprintf(
        request, sizeof request,
        "POST /v1/orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n"
        "Idempotency-Key: bench-%d-%ld\r\nContent-Length: %d\r\n\r\n%s",
        c->token, (int)getpid(), serial++, n_body, body);
    if (n >= (int)sizeof request) bench_die("the token is too long");
    wire_send(&c->wire, c->run->gateway, request, (size_t)n, TIMEOUT_US);
}

static void answered(void *arg, const struct wire_end *end)
{
    struct connection *c = arg;
    struct run *run = c->run;

    if (end->end != CALL_ANSWERED) bench_die("an order without an answer");
    if (end->answer->status != 200 && run->refused++ == 0)
        snprintf(run->refusal, sizeof run->refusal, "%d %.*s", end->answer->status,
                 (int)TF_MIN(end->answer->body_size, (size_t)180), end->body);
    if (run->counts && end->answer->status == 200) {
        run->orders++;
        histogram_record(&run->latencies, end->ended_us - end->sent_us);
    }
    send_order(c);
}

/* Answers and new orders until then. */
static void drive(struct run *run, int64_t until_us)
{
    while (tf_mono_us() < until_us)
        loop_turn(&run->loop, until_us);
}

static void begin_all(struct run *run, char **tokens)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &run->connections[i];

        *c = (struct connection){.run = run, .token = tokens[i]};
        wire_init(&c->wire, &run->loop, answered, c);
        send_order(c);
    }
}

static void find_gateway(const struct bench *b, struct target *gateway)
{
    char url[64];
    const char *path;

    snprintf(url, sizeof url, "http://127.0.0.1:%d", b->base_port + 80);
    if (!target_parse(url, gateway, &path) || !target_resolve(gateway)) bench_die("%s is no address", url);
}

struct figures {
    double rate[BENCH_RUNS], p50[BENCH_RUNS], p99[BENCH_RUNS], cpu[TF_COUNT(parts)][BENCH_RUNS];
};

static void measure(const struct bench *b, char **tokens, const char *show, int number, struct figures *figures)
{
    static struct target gateway;
    static struct run run;
    int64_t before[TF_COUNT(parts)], begun;
    double seconds;

    find_gateway(b, &gateway);
    run = (struct run){.show = show, .gateway = &gateway, .connections = calloc(CONNECTIONS, sizeof *run.connections)};
    if (!run.connections || !loop_open(&run.loop)) bench_die("no memory");
    begin_all(&run, tokens);
    drive(&run, tf_mono_us() + WARM_S * TF_US_PER_S);
    for (size_t i = 0; i < TF_COUNT(parts); i++)
        before[i] = proc_tree_us(proc_part(b, parts[i]));
    run.counts = true;
    begun = tf_mono_us();
    drive(&run, begun + RUN_S * TF_US_PER_S);
    seconds = (double)(tf_mono_us() - begun) / 1e6;
    if (run.orders == 0 || run.refused)
        bench_die("%lld orders, %lld refused: %s", (long long)run.orders, (long long)run.refused, run.refusal);
    for (size_t i = 0; i < TF_COUNT(parts); i++)
        figures->cpu[i][number] = (double)(proc_tree_us(proc_part(b, parts[i])) - before[i]) / (double)run.orders;
    figures->rate[number] = (double)run.orders / seconds;
    figures->p50[number] = (double)histogram_percentile(&run.latencies, 50) / TF_US_PER_MS;
    figures->p99[number] = (double)histogram_percentile(&run.latencies, 99) / TF_US_PER_MS;
    for (int i = 0; i < CONNECTIONS; i++)
        wire_free(&run.connections[i].wire);
    loop_close(&run.loop);
    free(run.connections);
}

void bench_purchase(struct bench *b)
{
    static struct figures figures;
    char **tokens, **shows, name[64];
    int n_shows;
    tf_ctx ctx;

    tf_ctx_init(&ctx, "bench", 120 * TF_US_PER_S);
    shows = buyers_shows(b, &ctx, &n_shows);
    if (n_shows < BENCH_RUNS + 2) bench_die("%d shows are on offer; %d are needed", n_shows, BENCH_RUNS + 2);
    tokens = buyers_make(b, &ctx, CONNECTIONS);
    printf("%d connections, orders of the best two places for %d s a run\n", CONNECTIONS, RUN_S);
    for (int run = 0; run < BENCH_RUNS; run++)
        measure(b, tokens, shows[n_shows - 1 - run], run, &figures);
    report_figure("purchase_orders_per_s", "1/s", figures.rate, BENCH_RUNS);
    report_figure("purchase_p50_ms", "ms", figures.p50, BENCH_RUNS);
    report_figure("purchase_p99_ms", "ms", figures.p99, BENCH_RUNS);
    for (size_t i = 0; i < TF_COUNT(parts); i++) {
        snprintf(name, sizeof name, "purchase_%s_us_per_order", parts[i]);
        report_figure(name, "us", figures.cpu[i], BENCH_RUNS);
    }
    tf_ctx_done(&ctx);
}
