/* Shared by the tests of common/pg. */
#include "tests/integration/pg/support.h"

#include <stdio.h>

tf_pg *direct, *proxied;
struct proxy *proxy;

static char dsn[1024], target[256];

/* The value of a keyword of a DSN without quotes; "" when it is not there. */
static void keyword(const char *text, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);

    out[0] = '\0';
    for (const char *p = text; (p = strstr(p, name)); p += n) {
        if ((p != text && p[-1] != ' ') || p[n] != '=') continue;
        snprintf(out, size, "%.*s", (int)strcspn(p + n + 1, " "), p + n + 1);
    }
}

/* Where the proxy connects to. */
static void find_target(void)
{
    char host[128], port[16];

    keyword(dsn, "host", host, sizeof(host));
    keyword(dsn, "port", port, sizeof(port));
    if (!port[0]) snprintf(port, sizeof(port), "5432");
    if (!host[0]) snprintf(host, sizeof(host), "/var/run/postgresql");
    if (host[0] == '/')
        snprintf(target, sizeof(target), "%s/.s.PGSQL.%s", host, port);
    else
        snprintf(target, sizeof(target), "%s:%s", host, port);
}

tf_pg *pool_of(int connections, int connect_timeout_ms, bool through_proxy)
{
    char text[1400];
    struct tf_pg_config config = {
        .dsn = text, .name = "tf_test", .connections_max = connections, .connect_timeout_ms = connect_timeout_ms};

    snprintf(text, sizeof(text), "%s options='-c search_path=%s'", dsn, unique_word());
    if (through_proxy)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " host=127.0.0.1 port=%d", proxy_port(proxy));
    return tf_pg_new(&config);
}

int pg_setup(void **state)
{
    char text[128];

    (void)state;
    snprintf(dsn, sizeof(dsn), "%s",
             env_or_fail("TF_TEST_PG_DSN", "a DSN in keyword form (host=… port=… user=… dbname=…)"));
    find_target();
    proxy = proxy_start(target);
    direct = pool_of(4, 2000, false);
    proxied = pool_of(4, 500, true);
    snprintf(text, sizeof(text), "CREATE SCHEMA %s", unique_word());
    sql(text);
    return 0;
}

int pg_teardown(void **state)
{
    char text[128];

    (void)state;
    snprintf(text, sizeof(text), "DROP SCHEMA %s CASCADE", unique_word());
    sql(text);
    tf_pg_free(direct);
    tf_pg_free(proxied);
    proxy_stop(proxy);
    return 0;
}

/* Text as a statement: each text is one of its own, named by where it is. */
static tf_code run(tf_ctx *ctx, const char *text, tf_pg_result **ret_result)
{
    char name[32];
    struct tf_pg_stmt stmt = {.name = name, .sql = text, .writes = true};
    tf_cleanup(tf_pg_givep) tf_pg_conn *conn = NULL;
    tf_code code;

    snprintf(name, sizeof(name), "text");
    code = tf_pg_connect(ctx, direct, &conn); /* a fresh one: statements are kept by name */
    return code ? code : tf_pg_exec(conn, ctx, &stmt, NULL, ret_result);
}

void sql(const char *text)
{
    tf_ctx ctx;

    ctx_start(&ctx, 5000);
    ASSERT_OK(&ctx, run(&ctx, text, NULL));
    tf_ctx_done(&ctx);
}

int64_t sql_int(const char *text)
{
    tf_pg_result *result;
    int64_t value;
    tf_ctx ctx;

    ctx_start(&ctx, 5000);
    ASSERT_OK(&ctx, run(&ctx, text, &result));
    value = tf_pg_get_int(result, 0, 0);
    tf_ctx_done(&ctx);
    return value;
}

int64_t backend_of(tf_pg_conn *conn, tf_ctx *ctx)
{
    static const struct tf_pg_stmt stmt = {"test_backend", "SELECT pg_backend_pid()", false};
    tf_pg_result *result;

    ASSERT_OK(ctx, tf_pg_exec(conn, ctx, &stmt, NULL, &result));
    return tf_pg_get_int(result, 0, 0);
}

void terminate(int64_t backend)
{
    char text[96];

    snprintf(text, sizeof(text), "SELECT pg_terminate_backend(%d, 2000)", (int)backend);
    sql(text);
}

static int delay_ms;
static int64_t victim;

static void *terminate_later(void *arg)
{
    (void)arg;
    sleep_ms(delay_ms);
    terminate(victim);
    return NULL;
}

pthread_t terminate_after(int ms, int64_t backend)
{
    pthread_t thread;

    delay_ms = ms;
    victim = backend;
    assert_int_equal(pthread_create(&thread, NULL, terminate_later, NULL), 0);
    return thread;
}

static void *cut_later(void *arg)
{
    (void)arg;
    sleep_ms(delay_ms);
    proxy_cut(proxy);
    return NULL;
}

pthread_t cut_after(int ms)
{
    pthread_t thread;

    delay_ms = ms;
    assert_int_equal(pthread_create(&thread, NULL, cut_later, NULL), 0);
    return thread;
}
