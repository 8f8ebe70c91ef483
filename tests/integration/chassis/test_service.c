/* A whole process: this program runs itself as the service "mini" and looks at it from outside. */
#include "tests/integration/chassis/support.h"

#include "common/etcd/etcd.h"
#include "common/http/client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the service ------------------------------------------------------------------------------------------------- */

struct mini_config {
    bool mini_fails;
    bool mini_unready;
};
static struct mini_config mini_config;
static const struct tf_setting mini_settings[] = {
    TF_SETTING_ROW_BOOL(struct mini_config, mini_fails, false, "The start fails")
        TF_SETTING_ROW_BOOL(struct mini_config, mini_unready, false, "It says that it is not ready")};

static const char mini_sql[] = "CREATE TABLE mini_log (n bigserial, what text, id int8);";
static const struct tf_embedded mini_migrations[] = {
    {"0001_mini.sql", (const unsigned char *)mini_sql, sizeof(mini_sql) - 1}, {NULL, NULL, 0}};

static const struct tf_pg_stmt note_put = {"note_put", "INSERT INTO mini_log (what, id) VALUES ($1, $2)", true};

static tf_code note_on(tf_pg_conn *conn, tf_ctx *ctx, const char *what, int64_t id)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_text(&params, what);
    tf_pg_int8(&params, id);
    return tf_pg_exec(conn, ctx, &note_put, &params, NULL);
}

/* A note and an event in one transaction. */
static tf_code note_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct tf_event event = {.topic = getenv("MINI_TOPIC"), .type = arg, .version = 1, .aggregate_id = 1};
    tf_code code;

    code = tf_app_id(ctx, ctx->app, 0, &event.event_id);
    if (!code) code = note_on(conn, ctx, arg, event.event_id);
    if (!code) code = tf_outbox_put(ctx, conn, &event);
    return code;
}

static tf_code note(tf_app *app, const char *what)
{
    tf_ctx ctx;
    tf_code code;

    tf_app_ctx(app, &ctx, "mini", 5 * TF_US_PER_S);
    code = tf_pg_tx(&ctx, tf_app_pg(app), note_in_tx, (void *)what);
    tf_ctx_done(&ctx);
    tf_bus_wake(tf_app_bus(app));
    return code;
}

static tf_code mini_handle(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event)
{
    TF_ASSERT(strcmp(tf_ctx_state(ctx), "the state") == 0); /* consumers run between start and stop only */
    if (getenv("MINI_HANDLER_FAILS") && strcmp(event->type, "started") == 0)
        return tf_fail(ctx, TF_INTERNAL, "as it was told to");
    return note_on(conn, ctx, "received", event->event_id);
}

static tf_periodic *mini_periodic;

static void mini_tick(tf_ctx *ctx, void *arg)
{
    TF_ASSERT(ctx->identity.internal && strcmp(tf_ctx_state(ctx), "the state") == 0);
    (void)!note(arg, "tick");
}

static tf_code mini_start(tf_app *app, const char **ret_error)
{
    static char mini_state[] = "the state";

    if (mini_config.mini_fails) {
        *ret_error = "mini was told to fail";
        return TF_INTERNAL;
    }
    TF_ASSERT(tf_app_redis(app) && tf_app_client(app, "peer") && tf_app_identity_key(app)->size == 40);
    tf_app_set_state(app, mini_state);
    tf_app_set_ready(app, !mini_config.mini_unready);
    mini_periodic = tf_periodic_start(app, "mini", 50, mini_tick, app);
    return note(app, "started");
}

static void mini_stop(tf_app *app)
{
    tf_periodic_stop(mini_periodic);
    (void)!note(app, "stopped");
    tf_app_set_state(app, NULL);
}

static struct tf_bus_consumer mini_consumers[2];
static const struct tf_rpc_service mini_rpc = {.full_name = "test.mini.Mini"};
static const struct tf_rpc_service *const mini_rpc_services[] = {&mini_rpc, NULL};
static const char *const mini_callees[] = {"peer", NULL};

static const struct tf_service mini = {
    .name = "mini",
    .purpose = "is looked at from outside",
    .uses = TF_USES_PG | TF_USES_REDIS | TF_USES_BUS | TF_USES_IDS,
    .rpc_services = mini_rpc_services,
    .migrations = mini_migrations,
    .callees = mini_callees,
    .consumers = mini_consumers,
    .settings = mini_settings,
    .n_settings = TF_COUNT(mini_settings),
    .config = &mini_config,
    .start = mini_start,
    .stop = mini_stop,
};

/* ---- looking at it ----------------------------------------------------------------------------------------------- */

enum { SOON_MS = 20000, ARGS_MAX = 24 };

static struct support support; /* its schema is the service's */
static char key_path[] = "/tmp/tf-test-mini-key-XXXXXX";
static int port, admin_port;

static void environment_set(const char *name, const char *format, ...) TF_PRINTF(2, 3);
static void environment_set(const char *name, const char *format, ...)
{
    char value[1200];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    setenv(name, value, 1);
}

static int open_all(void **state)
{
    char key[40];
    int fd = mkstemp(key_path);

    (void)state;
    memset(key, 'k', sizeof(key));
    if (fd < 0 || write(fd, key, sizeof(key)) != sizeof(key)) return -1;
    close(fd);
    support_open_bare(&support, "mini", NULL);
    port = free_port();
    admin_port = free_port();
    environment_set("MINI_TOPIC", "mini-%s", unique_word());
    environment_set("TF_PG_DSN", "%s", support_dsn(&support));
    environment_set("TF_REDIS_ADDRESS", "%s", env_or_fail("TF_TEST_REDIS", "host:port of a Redis"));
    if (getenv("TF_TEST_REDIS_PASSWORD_FILE"))
        environment_set("TF_REDIS_PASSWORD_FILE", "%s", getenv("TF_TEST_REDIS_PASSWORD_FILE"));
    environment_set("TF_ETCD_ENDPOINTS", "%s", env_or_fail("TF_TEST_ETCD", "host:port of an etcd"));
    environment_set("TF_ETCD_PREFIX", "/%s", unique_word());
    environment_set("TF_LISTEN", "127.0.0.1:%d", port);
    environment_set("TF_ADMIN_LISTEN", "127.0.0.1:%d", admin_port);
    environment_set("TF_INSTANCE", "mini-1");
    environment_set("TF_INTERNAL_KEY_FILE", "%s", key_path);
    environment_set("TF_PEERS", "peer=127.0.0.1:1");
    environment_set("TF_BUS_RETRY_MS", "20");
    environment_set("TF_BUS_ATTEMPTS_MAX", "2");
    return 0;
}

static int close_all(void **state)
{
    char stream[128];

    (void)state;
    snprintf(stream, sizeof(stream), "tf:bus:%s", getenv("MINI_TOPIC"));
    redis(&support, "DEL", stream, NULL);
    support_close(&support);
    return unlink(key_path);
}

struct child {
    pid_t pid;
    int out; /* a file of what it says on both outputs: a pipe that nobody reads would stop it when it says much */
};

/* arguments: separated by blanks. */
static struct child spawn(const char *arguments)
{
    static char copy[1024];
    char *argv[ARGS_MAX] = {copy, copy};
    struct child child = {.out = memfd_create("said", MFD_CLOEXEC)};
    int argc = 2;

    snprintf(copy, sizeof(copy), "--service %s", arguments);
    strtok(copy, " ");
    for (char *word; argc < ARGS_MAX - 1 && (word = strtok(NULL, " "));)
        argv[argc++] = word;
    assert_true(child.out >= 0);
    fflush(stdout);
    child.pid = fork();
    if (child.pid == 0) {
        dup2(child.out, STDOUT_FILENO);
        dup2(child.out, STDERR_FILENO);
        execv("/proc/self/exe", argv);
        _exit(99);
    }
    return child;
}

/* Its exit status, and all that it said; static memory. */
static const char *await_exit(struct child child, int *ret_status)
{
    static char said[256 * 1024];
    size_t n = 0;
    ssize_t got;

    assert_int_equal(waitpid(child.pid, ret_status, 0), child.pid);
    while (n + 1 < sizeof(said) && (got = pread(child.out, said + n, sizeof(said) - n - 1, (off_t)n)) > 0)
        n += (size_t)got;
    said[n] = '\0';
    close(child.out);
    return said;
}

static void expect_exit(const char *arguments, int status, const char *contains)
{
    int got;
    const char *said = await_exit(spawn(arguments), &got);

    if (!WIFEXITED(got) || WEXITSTATUS(got) != status || !strstr(said, contains))
        fail_msg("\"%s\": status %x, said: %s", arguments, got, said);
}

/* The answer's body, static memory; *ret_status 0: none. */
static const char *fetch(const char *method, const char *path, int *ret_status)
{
    static char body[512 * 1024];
    tf_http_client *client = tf_http_client_new();
    struct tf_http_answer answer;
    char url[128];
    tf_ctx ctx;

    ctx_start(&ctx, 2000);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", admin_port, path);
    *ret_status = 0;
    if (!tf_http_perform(&ctx, client,
                         &(struct tf_http_call){.method = method, .url = url, .answer_max = sizeof(body) - 1},
                         &answer)) {
        *ret_status = answer.status;
        memcpy(body, answer.body, answer.size);
        body[answer.size] = '\0';
    }
    tf_ctx_done(&ctx);
    tf_http_client_free(client);
    return body;
}

static bool serves(void *arg)
{
    int status;

    (void)arg;
    fetch("GET", "/healthz", &status);
    return status == 200;
}

static bool answers(void *arg)
{
    int status;

    (void)arg;
    fetch("GET", "/healthz", &status);
    return status != 0;
}

static bool noted(void *arg)
{
    return sql(&support, "SELECT count(*) FROM mini_log WHERE what = '%s'", (const char *)arg) > 0;
}

static void stop(struct child child, int signal_number)
{
    const char *said;
    int status;

    kill(child.pid, signal_number);
    said = await_exit(child, &status);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("status %x, said: %s", status, said);
}

/* What etcd says of the service. */
struct members {
    pthread_mutex_t lock;
    char first[128];
    size_t n;
};

static void members_changed(const char *const *addresses, size_t n, void *arg)
{
    struct members *members = arg;

    pthread_mutex_lock(&members->lock);
    members->n = n;
    snprintf(members->first, sizeof(members->first), "%s", n ? addresses[0] : "");
    pthread_mutex_unlock(&members->lock);
}

static bool is_member(void *arg)
{
    struct members *members = arg;
    char expected[64];
    bool is;

    snprintf(expected, sizeof(expected), "127.0.0.1:%d", port);
    pthread_mutex_lock(&members->lock);
    is = members->n == 1 && strcmp(members->first, expected) == 0;
    pthread_mutex_unlock(&members->lock);
    return is;
}

static bool is_no_member(void *arg)
{
    struct members *members = arg;
    bool is;

    pthread_mutex_lock(&members->lock);
    is = members->n == 0;
    pthread_mutex_unlock(&members->lock);
    return is;
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void test_migrate(void **state)
{
    (void)state;
    expect_exit("", 1, "tf-mini: the database's schema is not ready: ");
    expect_exit("", 1, "run tf-mini --migrate");
    expect_exit("--dead-letters list", 1, "run tf-mini --migrate");
    expect_exit("--migrate", 0, "tf-mini: the schema is up to date");
    expect_exit("--migrate", 0, "tf-mini: the schema is up to date");
    expect_exit("--dead-letters list", 0, "0 open dead letters");
}

static void test_refusals(void **state)
{
    static const struct {
        const char *arguments, *says;
    } cases[] = {
        {"--listen=127.0.0.1:0", "listen: \"127.0.0.1:0\" names no port"},
        {"--listen=nonsense", "listen: \"nonsense\" names no port"},
        {"--admin_listen=127.0.0.1:99999", "admin_listen: "},
        {"--listen=0.0.0.0:17999", "say in advertise at which one others reach it"},
        {"--log_level=loud", "log_level: one of debug, info, warn, error"},
        {"--instance=a/b", "instance: only letters"},
        {"--peers=nonsense", "peers: not of the form"},
        {"--peers= --etcd_endpoints=", "peer is called, but neither etcd_endpoints nor peers tells where it is"},
        {"--internal_key_file=", "internal_key_file is empty"},
        {"--internal_key_file=/dev/null", "/dev/null: is not a regular file"},
        {"--pg_dsn=", "pg_dsn is empty"},
        {"--pg_password_file=/nonexistent", "/nonexistent: cannot be read"},
        {"--etcd_user=app --etcd_password_file=", "etcd_user and etcd_password_file go together"},
        {"--etcd_user= --etcd_password_file=/x", "etcd_user and etcd_password_file go together"},
        {"--etcd_user=app --etcd_password_file=/nonexistent", "/nonexistent: cannot be read"},
        {"--workers=0", "workers (argument --workers): 0 is not between 1 and 256"},
        {"--mini_fails=yes", "tf-mini: mini was told to fail"},
        {"--dead-letters burn", "--dead-letters takes"},
        {"--dead-letters replay 5", "there is no dead letter by that id"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++)
        expect_exit(cases[i].arguments, 1, cases[i].says);
    assert_int_equal(sql(&support, "SELECT count(*) FROM worker_claim WHERE NOT released"),
                     0); /* given back half-way too */
}

/* Whether Redis expects another password or none: the start ends at once, and its error names the setting. */
static void test_a_wrong_redis_password(void **state)
{
    int64_t begun_us = tf_mono_us();
    char arguments[128];
    const char *said;
    int status;

    (void)state;
    snprintf(arguments, sizeof(arguments), "--redis_password_file=%s", key_path); /* what is in there is no password */
    said = await_exit(spawn(arguments), &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    if (!strstr(said, "tf-mini: Redis at ") || !strstr(said, ": AUTH refused: ") ||
        !strstr(said, "(redis_password_file)"))
        fail_msg("said: %s", said);
    assert_null(strstr(said, "kkkk"));
    assert_true(tf_mono_us() - begun_us < 10 * TF_US_PER_S);
}

static void test_life(void **state)
{
    struct members members = {.lock = PTHREAD_MUTEX_INITIALIZER, .n = 99};
    tf_etcd *etcd = tf_etcd_new(
        &(struct tf_etcd_config){.endpoints = getenv("TF_ETCD_ENDPOINTS"), .prefix = getenv("TF_ETCD_PREFIX")});
    struct child child = spawn("");
    const char *body;
    char busy[64];
    int64_t begun;
    int status;

    (void)state;
    tf_etcd_watch(etcd, "mini", members_changed, &members);
    wait_until(serves, NULL, SOON_MS, "it serves");
    wait_until(is_member, &members, SOON_MS, "it is registered");
    body = fetch("GET", "/healthz", &status);
    assert_int_equal(status, 200);
    assert_non_null(
        strstr(body, "\"name\":\"mini\",\"instance\":\"mini-1\",\"state\":\"SERVING\",\"version\":\"" TF_VERSION));
    assert_non_null(strstr(body, "\"pg\":true,\"clock\":true,\"redis\":true,\"etcd_registered\":true,\"missing\":[]"));
    wait_until(noted, (void *)"started", SOON_MS, "it started");
    wait_until(noted, (void *)"tick", SOON_MS, "its periodic work runs");
    wait_until(noted, (void *)"received", SOON_MS, "its events come back");

    body = fetch("GET", "/metrics", &status);
    assert_int_equal(status, 200);
    assert_non_null(strstr(body, "tf_bus_handled_total{type=\"started\"} "));
    assert_non_null(strstr(body, "tf_worker_number "));
    fetch("GET", "/nothing", &status);
    assert_int_equal(status, 404);
    fetch("POST", "/healthz", &status);
    assert_int_equal(status, 405);

    snprintf(busy, sizeof(busy), "--admin_listen=127.0.0.1:%d --instance=mini-2", free_port());
    expect_exit(busy, 1, "127.0.0.1"); /* the port in use is named */
    assert_true(serves(NULL));

    begun = tf_mono_us();
    stop(child, SIGTERM);
    assert_true(tf_mono_us() - begun < 4 * TF_US_PER_S);
    wait_until(is_no_member, &members, 2000, "it is not registered any more");
    tf_etcd_free(etcd);
    assert_true(noted((void *)"stopped"));
    assert_string_equal(sql_text(&support, "SELECT what FROM mini_log ORDER BY n DESC LIMIT 1"), "stopped");
    assert_int_equal(sql(&support, "SELECT count(*) FROM outbox WHERE sent_at IS NULL"), 0); /* the last event too */
    assert_int_equal(sql(&support, "SELECT count(*) FROM worker_claim WHERE NOT released"), 0);
    assert_int_equal(sql(&support, "SELECT count(*) - count(DISTINCT id) FROM mini_log WHERE what <> 'received'"), 0);
}

static void test_not_ready(void **state)
{
    struct child child = spawn("--mini_unready=yes");
    const char *body;
    int status;

    (void)state;
    wait_until(answers, NULL, SOON_MS, "it answers");
    sleep_ms(300);
    body = fetch("GET", "/healthz", &status);
    assert_int_equal(status, 503);
    assert_non_null(strstr(body, "\"state\":\"NOT_SERVING\""));
    assert_non_null(strstr(body, "\"missing\":[\"ready\"]"));
    stop(child, SIGINT);
}

static bool letter_open(void *arg)
{
    (void)arg;
    return sql(&support, "SELECT count(*) FROM dead_letter WHERE resolved_at IS NULL AND type = 'started'") > 0;
}

static void test_dead_letters(void **state)
{
    char arguments[200];
    struct child child;
    long long id;

    (void)state;
    setenv("MINI_HANDLER_FAILS", "1", 1);
    child = spawn("");
    wait_until(letter_open, NULL, SOON_MS, "an event is parked");
    id = sql(&support, "SELECT event_id FROM dead_letter WHERE type = 'started'");
    snprintf(arguments, sizeof(arguments), "--dead-letters replay %lld", id);
    expect_exit(arguments, 1, "the replay failed: INTERNAL: as it was told to");
    expect_exit("--dead-letters list", 0, "as it was told to");
    stop(child, SIGTERM);

    unsetenv("MINI_HANDLER_FAILS");
    child = spawn("");
    wait_until(serves, NULL, SOON_MS, "it serves");
    expect_exit(arguments, 0, ": replayed");
    assert_int_equal(sql(&support, "SELECT count(*) FROM mini_log WHERE what = 'received' AND id = %lld", id), 1);
    stop(child, SIGTERM);

    sql(&support,
        "INSERT INTO dead_letter (topic, event_id, type, envelope, cause, attempts) VALUES ('t', 5, 'x', '', 'c', 1)");
    expect_exit("--dead-letters discard t/5 obsolete", 0, "5: discarded");
    expect_exit("--dead-letters discard t/5 obsolete", 1, "not open any more");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_migrate), cmocka_unit_test(test_refusals),  cmocka_unit_test(test_a_wrong_redis_password),
        cmocka_unit_test(test_life),    cmocka_unit_test(test_not_ready), cmocka_unit_test(test_dead_letters),
    };

    if (argc > 1 && strcmp(argv[1], "--service") == 0) {
        mini_consumers[0] = (struct tf_bus_consumer){getenv("MINI_TOPIC"), mini_handle, NULL};
        return tf_service_main(argc - 1, argv + 1, &mini);
    }
    return cmocka_run_group_tests(tests, open_all, close_all);
}
