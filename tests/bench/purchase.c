/* Orders over the public API: keep-alive connections, each of a buyer who orders the best two places as soon as the
 * last answer is there. One thread, so that the client takes little of the machine that it measures. */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 64, RUN_S = 10, WARM_S = 1, LATENCIES_MAX = 1000000, ANSWER_MAX = 65536, STALL_MS = 5000 };

struct connection {
    int fd;
    const char *token;
    int64_t sent_us;
    size_t have;
    char bytes[ANSWER_MAX];
};

struct run {
    const char *show;
    struct connection *connections;
    int epoll;
    bool counts; /* after the warm-up */
    int64_t orders, refused;
    char refusal[200]; /* the first */
    uint32_t *latencies;
    size_t n_latencies;
};

static const char *const parts[] = {"gateway", "user", "order", "program", "pay", "redis", "pg", "etcd"};

static void send_order(struct run *run, struct connection *c)
{
    static long serial;
    char body[160], request[2048];
    int n_body, n;

    n_body = snprintf(body, sizeof body, "{\"show_id\":\"%s\",\"choices\":[{\"tier\":1,\"count\":2}]}", run->show);
    n = snprintf(
        request, sizeof request,
        "POST /v1/orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n"
        "Idempotency-Key: bench-%d-%ld\r\nContent-Length: %d\r\n\r\n%s",
        c->token, (int)getpid(), serial++, n_body, body);
    if (n >= (int)sizeof request) bench_die("the token is too long");
    c->sent_us = tf_mono_us();
    c->have = 0;
    if (send(c->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        bench_die("the gateway takes no request: %s", strerror(errno));
}

/* Size of the whole answer when its head is there; 0: not yet. */
static size_t answer_size(const struct connection *c)
{
    const char *end = memmem(c->bytes, c->have, "\r\n\r\n", 4), *length;

    if (!end) return 0;
    length =
        memmem(c->bytes, (size_t)(end - c->bytes), "ontent-", 7) ? strcasestr(c->bytes, "\r\ncontent-length:") : NULL;
    if (!length) bench_die("an answer without its length");
    return (size_t)(end - c->bytes) + 4 + strtoul(length + 17, NULL, 10);
}

static void answered(struct run *run, struct connection *c)
{
    bool ok = c->have > 12 && memcmp(c->bytes + 9, "200", 3) == 0;

    if (run->counts && ok) {
        run->orders++;
        if (run->n_latencies < LATENCIES_MAX)
            run->latencies[run->n_latencies++] = (uint32_t)(tf_mono_us() - c->sent_us);
    }
    if (!ok && run->refused++ == 0) {
        const char *body = strstr(c->bytes, "\r\n\r\n");

        snprintf(run->refusal, sizeof run->refusal, "%.12s %.180s", c->bytes, body ? body + 4 : "");
    }
}

static void receive(struct run *run, struct connection *c)
{
    ssize_t n = recv(c->fd, c->bytes + c->have, sizeof c->bytes - 1 - c->have, MSG_DONTWAIT);
    size_t size;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) bench_die("the gateway closed a connection");
    c->have += (size_t)n;
    c->bytes[c->have] = '\0';
    size = answer_size(c);
    if (size >= sizeof c->bytes) bench_die("an answer of %zu bytes", size);
    if (size == 0 || c->have < size) return;
    answered(run, c);
    send_order(run, c);
}

/* Answers and new orders until then. */
static void drive(struct run *run, int64_t until_us)
{
    struct epoll_event events[CONNECTIONS];

    while (tf_mono_us() < until_us) {
        int n = epoll_wait(run->epoll, events, CONNECTIONS, STALL_MS);

        if (n == 0) bench_die("no answer for %d s", STALL_MS / 1000);
        for (int i = 0; i < n; i++)
            receive(run, events[i].data.ptr);
    }
}

static void connect_all(const struct bench *b, struct run *run, char **tokens)
{
    struct sockaddr_in gateway = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)(b->base_port + 80)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;

    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &run->connections[i];

        c->token = tokens[i];
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&gateway, sizeof gateway))
            bench_die("the gateway takes no connection");
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c}))
            bench_die("epoll");
        send_order(run, c);
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double percentile_ms(const struct run *run, int percent)
{
    return run->n_latencies ? run->latencies[(run->n_latencies - 1) * (size_t)percent / 100] / 1000.0 : 0;
}

struct figures {
    double rate[BENCH_RUNS], p50[BENCH_RUNS], p99[BENCH_RUNS], cpu[TF_COUNT(parts)][BENCH_RUNS];
};

static void measure(const struct bench *b, char **tokens, const char *show, int number, struct figures *figures)
{
    struct run run = {.show = show,
                      .epoll = epoll_create1(EPOLL_CLOEXEC),
                      .connections = calloc(CONNECTIONS, sizeof *run.connections)};
    int64_t before[TF_COUNT(parts)], begun;
    double seconds;

    run.latencies = calloc(LATENCIES_MAX, sizeof *run.latencies);
    if (run.epoll < 0 || !run.connections || !run.latencies) bench_die("no memory");
    connect_all(b, &run, tokens);
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
    qsort(run.latencies, run.n_latencies, sizeof *run.latencies, by_size);
    figures->rate[number] = (double)run.orders / seconds;
    figures->p50[number] = percentile_ms(&run, 50);
    figures->p99[number] = percentile_ms(&run, 99);
    for (int i = 0; i < CONNECTIONS; i++)
        close(run.connections[i].fd);
    close(run.epoll);
    free(run.connections);
    free(run.latencies);
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
