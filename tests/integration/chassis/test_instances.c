/* Two instances of a service as whole processes, found by etcd and called under load, while they are restarted, frozen,
 * killed, or their clock is set. This program runs itself as an instance of the service "echo". */
#include "tests/integration/chassis/support.h"

#include "common/etcd/etcd.h"
#include "common/http/client.h"
#include "tests/integration/child.h"
#include "tests/integration/proxy.h"
#include "ticketflow/echo/v1/echo.tf.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INSTANCES = 2, THREADS = 8, SOON_MS = 20000, KEY_BYTES = 40 };

/* ---- the service ------------------------------------------------------------------------------------------------- */

/* Works for a while, makes an id, says who it is. */
static tf_code answer(tf_ctx *ctx, const ProtobufCMessage *message, ProtobufCMessage *out)
{
    const EchoRequest *request = (const EchoRequest *)message;
    EchoResponse *response = (EchoResponse *)out;
    tf_code code;

    for (int ms = 0; ms < request->work_ms && !tf_rpc_cancelled(ctx); ms += 5)
        sleep_ms(5);
    code = tf_app_id(ctx, ctx->app, 0, &response->user_id);
    if (code) return code;

    response->text = tf_arena_strdup(ctx->arena, tf_app_instance(ctx->app));
    return TF_OK;
}

static const struct tf_rpc_binding bindings[] = {{&echo_method, answer}, {&echo_once_method, answer}};
static const struct tf_rpc_service echo_rpc = {
    .full_name = "ticketflow.echo.v1.EchoService", .bindings = bindings, .n_bindings = TF_COUNT(bindings)};
static const struct tf_rpc_service *const rpc_services[] = {&echo_rpc, NULL};
static const struct tf_service echo_process = {
    .name = "echo",
    .purpose = "is called while it comes and goes",
    .uses = TF_USES_PG | TF_USES_IDS,
    .rpc_services = rpc_services,
};

/* ---- its instances ----------------------------------------------------------------------------------------------- */

static struct support support;
static struct tf_identity_key key = {.size = KEY_BYTES};
static char key_path[] = "/tmp/tf-test-instances-key-XXXXXX", clock_path[] = "/tmp/tf-test-instances-clock-XXXXXX";
static struct instance {
    char name[32], address[32];
    int admin_port;
    pid_t pid;
} instances[INSTANCES];
static struct proxy *etcd_proxy; /* all reach etcd through it */
static tf_etcd *etcd;
static tf_rpc_client *client;

static void file_write(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

static bool serves(void *arg)
{
    const struct instance *instance = arg;
    tf_http_client *http = tf_http_client_new();
    struct tf_http_answer health;
    char url[64];
    tf_ctx ctx;
    bool ok;

    ctx_start(&ctx, 2000);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/healthz", instance->admin_port);
    ok = !tf_http_perform(&ctx, http, &(struct tf_http_call){.method = "GET", .url = url, .answer_max = 16384},
                          &health) &&
         health.status == 200;
    tf_ctx_done(&ctx);
    tf_http_client_free(http);
    return ok;
}

static bool serves_not(void *arg)
{
    return !serves(arg);
}

static void launch(struct instance *instance)
{
    char listen[64], admin[64], name[64];
    const char *argv[] = {"/proc/self/exe", "--service", listen, admin, name, NULL};

    snprintf(listen, sizeof(listen), "--listen=%s", instance->address);
    snprintf(admin, sizeof(admin), "--admin_listen=127.0.0.1:%d", instance->admin_port);
    snprintf(name, sizeof(name), "--instance=%s", instance->name);
    instance->pid = child_spawn(NULL, argv);
    wait_until(serves, instance, SOON_MS, "the instance serves");
}

static void members_changed(const char *const *addresses, size_t n, void *arg)
{
    tf_rpc_client_set_endpoints(arg, addresses, n);
}

static int instance_of(const char *name)
{
    for (int i = 0; i < INSTANCES; i++)
        if (strcmp(instances[i].name, name) == 0) return i;
    fail_msg("an answer of %s", name);
    return 0;
}

/* Each has answered a call of the client's. */
static bool all_reached(void *arg)
{
    bool *reached = arg, all = true;
    EchoRequest request = EchoRequest_init;
    EchoResponse *response;
    tf_ctx ctx;

    ctx_start(&ctx, 1000);
    if (call_echo(&ctx, client, &request, &response) == TF_OK) reached[instance_of(response->text)] = true;
    for (int i = 0; i < INSTANCES; i++)
        all = all && reached[i];
    tf_ctx_done(&ctx);
    return all;
}

static void await_all(void)
{
    bool reached[INSTANCES] = {false};

    wait_until(all_reached, reached, SOON_MS, "all are reached");
}

static int open_all(void **state)
{
    static char prefix[80], endpoint[32];
    int fds[] = {mkstemp(key_path), mkstemp(clock_path)};

    (void)state;
    if (fds[0] < 0 || fds[1] < 0) return -1;
    memset(key.secret, 'k', KEY_BYTES);
    file_write(key_path, key.secret, KEY_BYTES);
    file_write(clock_path, "+0\n", 3);
    close(fds[0]);
    close(fds[1]);
    support_open(&support, "echo", NULL);
    snprintf(prefix, sizeof(prefix), "/%s", unique_word());
    setenv("TF_PG_DSN", support_dsn(&support), 1);
    etcd_proxy = proxy_start(env_or_fail("TF_TEST_ETCD", "host:port of an etcd"));
    snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%d", proxy_port(etcd_proxy));
    setenv("TF_ETCD_ENDPOINTS", endpoint, 1);
    setenv("TF_ETCD_PREFIX", prefix, 1);
    setenv("TF_ETCD_TTL_S", "3", 1);
    setenv("TF_INTERNAL_KEY_FILE", key_path, 1);
    setenv("TF_LOG_LEVEL", "warn", 1);
    for (int i = 0; i < INSTANCES; i++) {
        snprintf(instances[i].name, sizeof(instances[i].name), "echo-%d", i + 1);
        snprintf(instances[i].address, sizeof(instances[i].address), "127.0.0.1:%d", free_port());
        instances[i].admin_port = free_port();
    }
    etcd = tf_etcd_new(&(struct tf_etcd_config){.endpoints = getenv("TF_ETCD_ENDPOINTS"), .prefix = prefix});
    client = tf_rpc_client_new(&(struct tf_rpc_client_config){
        .service = "echo", .caller = "test", .identity_key = &key, .clock = tf_clock_system(), .message_max = 65536});
    tf_etcd_watch(etcd, "echo", members_changed, client);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    tf_etcd_free(etcd);
    tf_rpc_client_free(client);
    proxy_stop(etcd_proxy);
    support_close(&support);
    return unlink(key_path) | unlink(clock_path);
}

static int start_all(void **state)
{
    (void)state;
    for (int i = 0; i < INSTANCES; i++)
        launch(&instances[i]);
    await_all();
    return 0;
}

static int stop_all(void **state)
{
    (void)state;
    for (int i = 0; i < INSTANCES; i++)
        child_stop(&instances[i].pid, SIGTERM);
    return 0;
}

/* ---- the load ---------------------------------------------------------------------------------------------------- */

static struct {
    _Atomic bool over;
    _Atomic int answered, failed, slow; /* slow: more than SLOW_MS */
    _Atomic int by[INSTANCES];
    const struct tf_rpc_method *method;
    int work_ms;
    pthread_t threads[THREADS];
} load;
enum { SLOW_MS = 400 };

static void call_one(tf_ctx *ctx)
{
    EchoRequest request = EchoRequest_init;
    ProtobufCMessage *response;
    int64_t began_us = tf_mono_us();

    request.work_ms = load.work_ms;
    tf_ctx_reset(ctx, 4 * TF_US_PER_S);
    if (tf_rpc_call(ctx, client, load.method, &request.base, &response)) {
        fprintf(stderr, "failed: %s\n", ctx->error.internal);
        atomic_fetch_add(&load.failed, 1);
    } else {
        atomic_fetch_add(&load.by[instance_of(((EchoResponse *)response)->text)], 1);
        atomic_fetch_add(&load.answered, 1);
    }
    if (tf_mono_us() - began_us > SLOW_MS * TF_US_PER_MS) atomic_fetch_add(&load.slow, 1);
}

static void *call_often(void *arg TF_UNUSED)
{
    tf_ctx ctx;

    ctx_start(&ctx, 1000);
    while (!atomic_load(&load.over))
        call_one(&ctx);
    tf_ctx_done(&ctx);
    return NULL;
}

static void load_start(const struct tf_rpc_method *method, int work_ms)
{
    load.method = method;
    load.work_ms = work_ms;
    atomic_store(&load.over, false);
    atomic_store(&load.answered, 0);
    atomic_store(&load.failed, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&load.threads[i], NULL, call_often, NULL), 0);
}

static void load_stop(void)
{
    atomic_store(&load.over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(load.threads[i], NULL);
}

static int answers_of(int instance)
{
    return atomic_load(&load.by[instance]);
}

struct progress {
    int instance, least;
};

static bool progressed(void *arg)
{
    const struct progress *progress = arg;

    return answers_of(progress->instance) >= progress->least;
}

static void await_progress(int instance)
{
    wait_until(progressed, &(struct progress){instance, answers_of(instance) + 20}, SOON_MS, "it is called again");
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

/* Calls that nobody may repeat, and none is lost. */
static void test_rolling_restart(void **state)
{
    int rounds = getenv("TF_LONG") ? 20 : 4;

    (void)state;
    load_start(&echo_once_method, 5);
    for (int round = 0; round < rounds; round++) {
        struct instance *instance = &instances[round % INSTANCES];
        int status;

        await_progress(round % INSTANCES);
        status = child_stop(&instance->pid, SIGTERM);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        launch(instance);
        await_progress(round % INSTANCES);
    }
    load_stop();
    assert_int_equal(atomic_load(&load.failed), 0);
    assert_true(atomic_load(&load.answered) > 100);
}

/* What is under way is repeated at the other; what comes later does not wait. */
static void test_frozen(void **state)
{
    int before;

    (void)state;
    load_start(&echo_method, 5);
    await_progress(0);
    await_progress(1);
    kill(instances[0].pid, SIGSTOP);
    sleep_ms(4000);
    before = atomic_load(&load.slow);
    await_progress(1);
    sleep_ms(2000);
    assert_true(atomic_load(&load.slow) - before <= 3); /* those that try whether it is back */
    kill(instances[0].pid, SIGCONT);
    await_progress(0);
    load_stop();
    assert_int_equal(atomic_load(&load.failed), 0);
}

static void test_killed(void **state)
{
    (void)state;
    load_start(&echo_method, 20);
    for (int round = 0; round < 4; round++) {
        struct instance *instance = &instances[round % INSTANCES];

        await_progress(round % INSTANCES);
        child_stop(&instance->pid, SIGKILL);
        await_progress(1 - round % INSTANCES);
        launch(instance);
        await_progress(round % INSTANCES);
    }
    load_stop();
    assert_int_equal(atomic_load(&load.failed), 0);
}

/* etcd is away: the last known members stay in use, and one that is started again at its address is found again. */
static void test_without_etcd(void **state)
{
    static const enum proxy_mode outages[] = {PROXY_REFUSE, PROXY_FREEZE};

    (void)state;
    load_start(&echo_method, 5);
    for (size_t i = 0; i < TF_COUNT(outages); i++) {
        await_progress(0);
        proxy_set(etcd_proxy, outages[i]);
        sleep_ms(getenv("TF_LONG") ? 60000 : 4000); /* longer than the leases */
        await_progress(0);
        await_progress(1);
        child_stop(&instances[i].pid, SIGKILL);
        launch(&instances[i]);
        await_progress((int)i);
        proxy_set(etcd_proxy, PROXY_PASS);
        sleep_ms(2000);
        await_progress(0);
        await_progress(1);
    }
    load_stop();
    assert_int_equal(atomic_load(&load.failed), 0);
}

/* ---- the clock --------------------------------------------------------------------------------------------------- */

/* The library that fakes the time; the sanitizer's, if this program has one, must come before it. */
static void preload(char *out, size_t size)
{
    char line[512], path[400] = "";
    FILE *maps = fopen("/proc/self/maps", "re");

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps))
        if (strstr(line, "/libasan.so") || strstr(line, "/libtsan.so")) sscanf(strchr(line, '/'), "%399[^\n]", path);
    fclose(maps);
    snprintf(out, size, "%s%s/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", path, *path ? ":" : "");
}

static int start_with_clock(void **state)
{
    char libraries[512];

    (void)state;
    preload(libraries, sizeof(libraries));
    launch(&instances[1]);
    setenv("FAKETIME_TIMESTAMP_FILE", clock_path, 1);
    setenv("FAKETIME_NO_CACHE", "1", 1);
    setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1);
    setenv("LD_PRELOAD", libraries, 1);
    launch(&instances[0]);
    unsetenv("LD_PRELOAD");
    await_all();
    return 0;
}

static void clock_set(const char *spec)
{
    file_write(clock_path, spec, strlen(spec));
}

/* An id of that instance and no other. */
static tf_code id_of(const struct instance *instance, int64_t *ret_id)
{
    const char *address = instance->address;
    tf_rpc_client *direct = tf_rpc_client_new(&(struct tf_rpc_client_config){
        .service = "echo", .caller = "test", .identity_key = &key, .clock = tf_clock_system(), .message_max = 65536});
    EchoRequest request = EchoRequest_init;
    EchoResponse *response;
    tf_ctx ctx;
    tf_code code;

    tf_rpc_client_set_endpoints(direct, &address, 1);
    ctx_start(&ctx, 2000);
    code = call_echo_once(&ctx, direct, &request, &response);
    if (!code) *ret_id = response->user_id;
    tf_ctx_done(&ctx);
    tf_rpc_client_free(direct);
    return code;
}

static bool makes_ids(void *arg)
{
    int64_t id;

    return id_of(arg, &id) == TF_OK;
}

static void test_clock_steps(void **state)
{
    static const char *const steps[] = {"+600\n", "-3600\n", "+5\n", "frozen"};
    struct instance *odd = &instances[0];
    int64_t last = 0, id;
    char frozen[64];
    int before;

    (void)state;
    load_start(&echo_method, 5);
    for (size_t i = 0; i < TF_COUNT(steps); i++) {
        time_t now = time(NULL);

        await_progress(0);
        assert_int_equal(id_of(odd, &id), TF_OK);
        assert_true(id > last);
        last = id;
        strftime(frozen, sizeof(frozen), "%Y-%m-%d %H:%M:%S\n", localtime(&now));
        clock_set(strcmp(steps[i], "frozen") == 0 ? frozen : steps[i]);
        if (steps[i][0] != 'f') assert_int_not_equal(id_of(odd, &id), TF_OK); /* at once, whatever health says yet */
        wait_until(serves_not, odd, SOON_MS, "it does not serve");
        assert_int_not_equal(id_of(odd, &id), TF_OK);
        sleep_ms(1000);
        before = answers_of(0);
        await_progress(1);
        assert_int_equal(answers_of(0), before); /* nobody asks it */
        clock_set("+0\n");
        wait_until(serves, odd, SOON_MS, "it serves again");
        wait_until(makes_ids, odd, SOON_MS, "it makes ids again");
    }
    load_stop();
    /* What a handler noticed half-way; every other call was answered, by the instance whose clock is right. */
    assert_true(atomic_load(&load.failed) <= THREADS * (int)TF_COUNT(steps));
    /* No tick of a wrong clock was written down. */
    assert_int_equal(sql(&support, "SELECT count(*) FROM worker_claim WHERE high_tick > %lld",
                         (long long)tf_tick_of(tf_now_us() + 20 * TF_US_PER_S)),
                     0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rolling_restart, start_all, stop_all),
        cmocka_unit_test_setup_teardown(test_frozen, start_all, stop_all),
        cmocka_unit_test_setup_teardown(test_killed, start_all, stop_all),
        cmocka_unit_test_setup_teardown(test_without_etcd, start_all, stop_all),
        cmocka_unit_test_setup_teardown(test_clock_steps, start_with_clock, stop_all),
    };

    if (argc > 1 && strcmp(argv[1], "--service") == 0) return tf_service_main(argc - 1, argv + 1, &echo_process);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
