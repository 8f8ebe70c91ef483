/* Connecting by host names: a name server that hangs holds nobody beyond the deadline, and every address of a name is
 * tried. The name server is this program's getaddrinfo; it stands before libc's, for libpq too. */
#include "tests/integration/pg/support.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_bool hangs;
static tf_ctx ctx;

static bool ends_in(const char *host, const char *end)
{
    return strlen(host) >= strlen(end) && strcmp(host + strlen(host) - strlen(end), end) == 0;
}

/* "….test" is the loopback, "….none.test" no name, "….two.test" an address where nobody listens, then the loopback. */
int getaddrinfo(const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
                struct addrinfo **restrict ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    int status;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!host || !ends_in(host, ".test")) return real(host, port, hints, ret);
    while (atomic_load(&hangs) && ends_in(host, ".slow.test"))
        sleep_ms(5);
    if (ends_in(host, ".none.test")) return EAI_NONAME;
    status = real(ends_in(host, ".two.test") ? "127.0.0.77" : "127.0.0.1", port, hints, ret);
    if (!status && ends_in(host, ".two.test")) status = real("127.0.0.1", port, hints, &(*ret)->ai_next);
    return status;
}

static int setup(void **state)
{
    (void)state;
    ctx_start(&ctx, 5000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    atomic_store(&hangs, false);
    tf_ctx_done(&ctx);
    return 0;
}

/* A pool to the real server, its host named otherwise. */
static tf_pg *pool_at(const char *host, int connect_timeout_ms)
{
    char text[1400];

    snprintf(text, sizeof(text), "%s host=%s", env_or_fail("TF_TEST_PG_DSN", "a DSN in keyword form"), host);
    return tf_pg_new(&(struct tf_pg_config){
        .dsn = text, .name = "tf_names", .connections_max = 4, .connect_timeout_ms = connect_timeout_ms});
}

static void names_lead_to_the_server(void **state)
{
    static const char *const hosts[] = {
        "plain.test", "a.two.test", "x.none.test,plain.test", "plain.test,y.none.test", "127.0.0.77,plain.test",
        "127.0.0.1"};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(hosts); i++) {
        tf_pg *pool = pool_at(hosts[i], 2000);
        tf_pg_conn *conn = NULL;

        ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &conn));
        tf_pg_give(conn);
        tf_pg_free(pool);
    }
}

static void a_name_that_is_none_says_so(void **state)
{
    tf_pg *pool = pool_at("away.none.test", 2000);
    tf_pg_conn *conn = NULL;

    (void)state;
    assert_int_equal(tf_pg_take(&ctx, pool, &conn), TF_STORE_DOWN);
    assert_non_null(strstr(ctx.error.internal, "away.none.test cannot be resolved"));
    tf_error_clear(&ctx);
    tf_pg_free(pool);
}

static void a_name_server_that_hangs_holds_nobody(void **state)
{
    tf_pg *by_caller = pool_at("first.slow.test", 4000), *by_setting = pool_at("second.slow.test", 200);
    tf_pg_conn *conn = NULL;
    int64_t began = tf_mono_us();

    (void)state;
    atomic_store(&hangs, true);
    tf_ctx_reset(&ctx, 150 * TF_US_PER_MS);
    assert_int_equal(tf_pg_take(&ctx, by_caller, &conn), TF_STORE_DOWN);
    assert_non_null(strstr(ctx.error.internal, "not resolved in time"));
    assert_in_range(tf_mono_us() - began, 140 * TF_US_PER_MS, 600 * TF_US_PER_MS);

    tf_ctx_reset(&ctx, 4 * TF_US_PER_S);
    began = tf_mono_us();
    assert_int_equal(tf_pg_connect(&ctx, by_setting, &conn), TF_STORE_DOWN);
    assert_in_range(tf_mono_us() - began, 190 * TF_US_PER_MS, 800 * TF_US_PER_MS);

    atomic_store(&hangs, false);
    sleep_ms(300); /* beyond the pools' backoff */
    tf_ctx_reset(&ctx, 4 * TF_US_PER_S);
    ASSERT_OK(&ctx, tf_pg_take(&ctx, by_caller, &conn));
    tf_pg_give(conn);
    tf_pg_free(by_caller);
    tf_pg_free(by_setting);
}

/* One that hangs does not take the time of the others. */
static void names_are_looked_for_together(void **state)
{
    tf_pg *pool = pool_at("plain.test,third.slow.test", 1500);
    tf_pg_conn *conn = NULL;

    (void)state;
    atomic_store(&hangs, true);
    ASSERT_OK(&ctx, tf_pg_take(&ctx, pool, &conn));
    tf_pg_give(conn);
    tf_pg_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_lead_to_the_server, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_none_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_server_that_hangs_holds_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_looked_for_together, setup, teardown),
    };

    return cmocka_run_group_tests(tests, pg_setup, pg_teardown);
}
