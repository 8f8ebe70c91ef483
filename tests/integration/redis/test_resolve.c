/* Redis by a host name whose resolution hangs, comes late, or gives an address that swallows packets: nobody waits past
 * a deadline. This program's own getaddrinfo stands before libc's. */
#include "tests/integration/fixture.h"
#include "tests/integration/redis/private.h"

#include "common/redis/stream.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LATE_US = 1000 * TF_US_PER_MS }; /* for a busy machine; who waits for the resolver waits for ever */

static struct private_redis server;
static atomic_bool hangs;
static _Atomic int hanging, hanging_max;

/* "real.test" is the server's address, once nothing hangs; "two.test" an address that swallows packets and the
 * server's. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    int error;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if ((hints->ai_flags & AI_NUMERICHOST) || !strstr(host, ".test")) return real(host, port, hints, ret);
    if (++hanging > hanging_max) hanging_max = hanging;
    while (hangs)
        sleep_ms(5);
    hanging--;
    error = real(strcmp(host, "two.test") == 0 ? "127.0.0.2" : "127.0.0.1", port, hints, ret);
    if (!error && strcmp(host, "two.test") == 0) error = real("127.0.0.1", port, hints, &(*ret)->ai_next);
    return error;
}

static struct tf_redis_config config_of(const char *host)
{
    static char address[64];

    snprintf(address, sizeof address, "%s%s", host, strchr(server.address, ':'));
    return (struct tf_redis_config){.address = address, .connect_timeout_ms = 300, .queue_max = 100};
}

static int set_up(void **state)
{
    (void)state;
    private_redis_start(&server, "");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    private_redis_stop(&server);
    return 0;
}

static int release(void **state)
{
    (void)state;
    hangs = false;
    while (hanging)
        sleep_ms(5);
    return 0;
}

static bool is_up(void *arg)
{
    return tf_redis_up(arg);
}

static void told(tf_code code, const tf_redis_reply *reply, void *arg)
{
    (void)reply;
    atomic_store((_Atomic int *)arg, (int)code);
}

static bool is_told(void *arg)
{
    return atomic_load((_Atomic int *)arg) >= 0;
}

static void ignore(tf_ctx *ctx, const struct tf_stream_entry *entries, size_t n, bool *acks, void *arg)
{
    (void)ctx, (void)entries, (void)n, (void)acks, (void)arg;
}

static void nobody_waits_for_a_resolver_that_hangs(void **state)
{
    struct tf_redis_config config = config_of("real.test");
    tf_redis_blocking *blocking;
    tf_stream_consumer *consumer;
    _Atomic int code = -1;
    tf_redis_reply *reply;
    tf_redis *redis;
    tf_redis_cmd cmd;
    int64_t began;
    char cause[200];
    tf_ctx ctx;

    (void)state;
    hangs = true;
    redis = tf_redis_new(&config);
    ctx_start(&ctx, 100);
    tf_redis_cmd_init(&cmd, &ctx);
    tf_redis_arg(&cmd, "PING");
    began = tf_mono_us();
    tf_redis_start(redis, &cmd, began + 50 * TF_US_PER_MS, told, &code);
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL), TF_STORE_DOWN);
    assert_in_range(tf_mono_us() - began, 100 * TF_US_PER_MS, LATE_US);
    wait_until(is_told, (void *)&code, 500, "the asynchronous call is told");
    assert_int_equal(code, TF_STORE_DOWN);

    blocking = tf_redis_blocking_new(&config);
    tf_ctx_reset(&ctx, 100 * TF_US_PER_MS);
    tf_redis_cmd_init(&cmd, &ctx);
    tf_redis_arg(&cmd, "PING");
    began = tf_mono_us();
    ASSERT_CODE(&ctx, tf_redis_blocking_call(&ctx, blocking, &cmd, &reply), TF_STORE_DOWN);
    assert_in_range(tf_mono_us() - began, 100 * TF_US_PER_MS, LATE_US);

    /* Attempts go on; one search is under way, however many attempts and connections there are. */
    consumer = tf_stream_consumer_start(&(struct tf_stream_config){
        .redis = &config,
        .stream = "s",
        .group = "g",
        .consumer = "c",
        .batch_max = 1,
        .retry_after_ms = 100,
        .handler_timeout_ms = 100,
        .handler = ignore,
    });
    sleep_ms(1500);
    (void)tf_redis_cause(redis, cause, sizeof cause);
    assert_non_null(strstr(cause, "the host name is not resolved: DEADLINE"));
    assert_int_equal(hanging_max, 1);
    tf_ctx_reset(&ctx, 2 * TF_US_PER_S);
    began = tf_mono_us();
    ASSERT_CODE(&ctx, tf_redis_do(&ctx, redis, &reply, "PING", NULL), TF_STORE_DOWN); /* known to be away: at once */
    assert_true(tf_mono_us() - began < LATE_US);
    began = tf_mono_us();
    tf_stream_consumer_stop(consumer);
    tf_redis_blocking_free(blocking);
    assert_true(tf_mono_us() - began < LATE_US);

    /* The resolver comes back: so does the connection. */
    hangs = false;
    wait_until(is_up, redis, 5000, "the connection");
    tf_redis_free(redis);

    hangs = true;
    config = config_of("other.test");
    redis = tf_redis_new(&config);
    sleep_ms(50);
    began = tf_mono_us();
    tf_redis_free(redis);
    assert_true(tf_mono_us() - began < LATE_US);
    tf_ctx_done(&ctx);
}

/* A listener whose queue is full answers no further connection. */
static void an_address_that_swallows_packets_leaves_time_for_the_next(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct tf_redis_config config = config_of("two.test");
    int listener = socket(AF_INET, SOCK_STREAM, 0), fill[3];
    tf_redis *redis;

    (void)state;
    inet_pton(AF_INET, "127.0.0.2", &at.sin_addr);
    at.sin_port = htons((uint16_t)atoi(strchr(server.address, ':') + 1));
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 0), 0);
    for (size_t i = 0; i < TF_COUNT(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&at, sizeof at);
    }
    sleep_ms(50);
    redis = tf_redis_new(&config);
    wait_until(is_up, redis, 2000, "the second address");
    tf_redis_free(redis);
    for (size_t i = 0; i < TF_COUNT(fill); i++)
        close(fill[i]);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nobody_waits_for_a_resolver_that_hangs, release),
        cmocka_unit_test(an_address_that_swallows_packets_leaves_time_for_the_next),
    };

    return cmocka_run_group_tests_name("redis resolve", tests, set_up, tear_down);
}
