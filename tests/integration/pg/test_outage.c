/* PostgreSQL away for a while under traffic: answers come quickly, attempts to connect stay few, memory stays flat, and
 * all is well again by itself soon after. With TF_LONG the outages last a minute. */
#include "tests/integration/pg/support.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { POOL = 16, THREADS = 24, CONNECT_MS = 500, CALL_MS = 1500, BACK_MS = 4000, GROWTH_MAX_KIB = 8 * 1024 };

static const struct tf_pg_stmt one_stmt = {"outage_one", "SELECT 1", false};

static int outage_ms(void)
{
    return getenv("TF_LONG") ? 60000 : 3000;
}

/* ---- traffic ----------------------------------------------------------------------------------------------------- */

static struct {
    tf_pg *pool;
    _Atomic bool over;
    _Atomic int answered, refused;
    _Atomic int64_t slowest_us;
    pthread_t threads[THREADS];
} traffic;

static void ask(tf_ctx *ctx)
{
    int64_t began_us = tf_mono_us(), took_us, slowest_us = atomic_load(&traffic.slowest_us);
    tf_pg_params params;
    tf_code code;

    tf_ctx_reset(ctx, CALL_MS * TF_US_PER_MS);
    tf_pg_params_init(&params, ctx);
    code = tf_pg_query(ctx, traffic.pool, &one_stmt, &params, NULL);
    atomic_fetch_add(code ? &traffic.refused : &traffic.answered, 1);
    took_us = tf_mono_us() - began_us;
    while (took_us > slowest_us && !atomic_compare_exchange_weak(&traffic.slowest_us, &slowest_us, took_us))
        continue;
    sleep_ms(1);
}

static void *ask_often(void *arg)
{
    tf_ctx ctx;

    (void)arg;
    ctx_start(&ctx, CALL_MS);
    while (!atomic_load(&traffic.over))
        ask(&ctx);
    tf_ctx_done(&ctx);
    return NULL;
}

static void traffic_start(tf_pg *pool)
{
    traffic.pool = pool;
    atomic_store(&traffic.over, false);
    atomic_store(&traffic.answered, 0);
    atomic_store(&traffic.refused, 0);
    atomic_store(&traffic.slowest_us, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&traffic.threads[i], NULL, ask_often, NULL), 0);
}

static void traffic_stop(void)
{
    atomic_store(&traffic.over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(traffic.threads[i], NULL);
}

static bool answered_again(void *arg)
{
    return atomic_load(&traffic.answered) > *(int *)arg + THREADS;
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    assert_true(f && fscanf(f, "%*d %ld", &pages) == 1);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- a server that is none --------------------------------------------------------------------------------------- */

static struct {
    int listener, port;
    bool mute; /* keeps connections without a word; else it closes them */
    _Atomic int attempts;
    pthread_t thread;
} dummy;

static void *dummy_run(void *arg)
{
    int fd;

    (void)arg;
    while ((fd = accept(dummy.listener, NULL, NULL)) >= 0) {
        atomic_fetch_add(&dummy.attempts, 1);
        if (!dummy.mute) close(fd); /* else the clients close theirs; ours end with the program */
    }
    return NULL;
}

static tf_pg *dummy_start(bool mute, char dsn[static 128])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    dummy.port = free_port();
    dummy.mute = mute;
    atomic_store(&dummy.attempts, 0);
    address.sin_port = htons((uint16_t)dummy.port);
    dummy.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dummy.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(dummy.listener, 128), 0);
    assert_int_equal(pthread_create(&dummy.thread, NULL, dummy_run, NULL), 0);
    snprintf(dsn, 128, "host=127.0.0.1 port=%d user=nobody dbname=none sslmode=disable", dummy.port);
    return tf_pg_new(
        &(struct tf_pg_config){.dsn = dsn, .name = "dummy", .connections_max = POOL, .connect_timeout_ms = CONNECT_MS});
}

static void dummy_stop(void)
{
    shutdown(dummy.listener, SHUT_RDWR);
    pthread_join(dummy.thread, NULL);
    close(dummy.listener);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void attempts_stay_few(void **state)
{
    enum { WATCH_MS = 3000, MOST = 12 }; /* pauses of at least 50, 100, 200 … 1000 ms */
    char dsn[128];

    (void)state;
    for (int mute = 0; mute < 2; mute++) {
        tf_pg *pool = dummy_start(mute, dsn);
        int first;

        traffic_start(pool);
        sleep_ms(2 * CONNECT_MS); /* before the first failure the pool may be filled */
        first = atomic_load(&dummy.attempts);
        assert_in_range(first, 1, POOL + MOST);
        sleep_ms(WATCH_MS);
        traffic_stop();
        if (atomic_load(&dummy.attempts) - first > MOST)
            fail_msg("%d attempts in %d ms", atomic_load(&dummy.attempts) - first, WATCH_MS);
        assert_true(atomic_load(&dummy.attempts) > first); /* it is looked for */
        assert_true(atomic_load(&traffic.slowest_us) < (CALL_MS + 500) * TF_US_PER_MS);
        assert_int_equal(atomic_load(&traffic.answered), 0);
        assert_true(atomic_load(&traffic.refused) > 1000); /* not waiting, each of them */
        dummy_stop();
        tf_pg_free(pool);
    }
}

static void it_comes_back_by_itself(void **state)
{
    static const enum proxy_mode outages[] = {PROXY_REFUSE, PROXY_FREEZE};
    tf_pg *pool = pool_of(POOL, CONNECT_MS, true);
    long before_kib, after_kib;
    int answered = 0;

    (void)state;
    traffic_start(pool);
    wait_until(answered_again, &answered, 10000, "traffic runs");
    for (size_t i = 0; i < TF_COUNT(outages); i++) {
        proxy_set(proxy, outages[i]);
        sleep_ms(outage_ms() / 3);
        before_kib = resident_kib();
        sleep_ms(outage_ms() * 2 / 3);
        after_kib = resident_kib();
        if (after_kib - before_kib > GROWTH_MAX_KIB) fail_msg("%ld KiB more in an outage", after_kib - before_kib);
        assert_true(atomic_load(&traffic.slowest_us) < (CALL_MS + 500) * TF_US_PER_MS);
        answered = atomic_load(&traffic.answered);
        proxy_set(proxy, PROXY_PASS);
        wait_until(answered_again, &answered, BACK_MS, "it answers again");
    }
    traffic_stop();
    tf_pg_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(attempts_stay_few), cmocka_unit_test(it_comes_back_by_itself)};

    return cmocka_run_group_tests(tests, pg_setup, pg_teardown);
}
