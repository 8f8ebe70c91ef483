/* Arguments, start and end of tf-order; its admin port read as operators read it. */
#include "tests/integration/order/service/instance.h"

#include "common/base/buf.h"
#include "tests/integration/child.h"
#include "tests/integration/fixture.h"
#include "ticketflow/order/v1/order.tf.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS = 12, TEXT = 640, START_MS = 20000, LOOK_MS = 2000 };

static void start_program(const struct instance *instance, const struct instance_world *world, int pg_port,
                          const char *last, pid_t *ret_pid)
{
    static char args[ARGS][TEXT];
    const char *argv[ARGS + 3] = {TF_ORDER_PROGRAM};
    char log[TEXT], proxy[64] = "";
    int n = 0;

    if (pg_port) snprintf(proxy, sizeof(proxy), " host=127.0.0.1 port=%d", pg_port);
    snprintf(args[n++], TEXT, "--pg_dsn=%s%s", world->dsn, proxy);
    snprintf(args[n++], TEXT, "--redis_address=%s", world->redis_address);
    snprintf(args[n++], TEXT, "--internal_key_file=%s/internal.key", world->dir);
    snprintf(args[n++], TEXT, "--ticket_key_file=%s/ticket.key", world->dir);
    snprintf(args[n++], TEXT, "--listen=%s", instance->address);
    snprintf(args[n++], TEXT, "--admin_listen=%s", instance->admin_address);
    snprintf(args[n++], TEXT, "--peers=user=%s,program=%s,pay=127.0.0.1:1", world->user_address,
             world->program_address);
    snprintf(args[n++], TEXT, "--hold_floor_s=1");
    snprintf(args[n++], TEXT, "--intent_ms=1000");
    snprintf(args[n++], TEXT, "--bus_attempts_max=2");
    for (int i = 0; i < n; i++)
        argv[i + 1] = args[i];
    argv[n + 1] = last;
    snprintf(log, sizeof(log), "%s/order.log", world->dir);
    *ret_pid = child_spawn(log, argv);
}

void instance_migrate(const struct instance_world *world)
{
    struct instance none = {.address = "127.0.0.1:1", .admin_address = "127.0.0.1:2"};
    pid_t pid;
    int status;

    start_program(&none, world, 0, "--migrate", &pid);
    status = child_stop(&pid, 0);
    if (status) fail_msg("tf-order --migrate failed: see %s/order.log", world->dir);
}

void instance_start(struct instance *instance, const struct instance_world *world, int pg_port)
{
    struct tf_rpc_client_config config = {.service = "order",
                                          .caller = "gateway",
                                          .identity_key = world->key,
                                          .clock = tf_clock_system(),
                                          .message_max = 4 << 20};
    const char *endpoint = instance->address;

    snprintf(instance->address, sizeof(instance->address), "127.0.0.1:%d", free_port());
    snprintf(instance->admin_address, sizeof(instance->admin_address), "127.0.0.1:%d", free_port());
    start_program(instance, world, pg_port, NULL, &instance->pid);
    instance->client = tf_rpc_client_new(&config);
    tf_rpc_client_set_endpoints(instance->client, &endpoint, 1);
}

/* An unknown show is answered only by one that is up. */
static bool answers(void *arg)
{
    struct instance *instance = arg;
    GetAvailabilityRequest request = GetAvailabilityRequest_init;
    GetAvailabilityResponse *response;
    tf_code code;
    tf_ctx ctx;

    assert_int_equal(waitpid(instance->pid, NULL, WNOHANG), 0);
    ctx_start(&ctx, LOOK_MS);
    ctx.identity = (struct tf_identity){.caller = "gateway", .session_id = 1};
    request.show_id = 1;
    code = call_get_availability(&ctx, instance->client, &request, &response);
    tf_ctx_done(&ctx);
    return code == TF_NOT_FOUND;
}

void instance_wait(struct instance *instance)
{
    wait_until(answers, instance, START_MS, "tf-order");
}

void instance_stop(struct instance *instance, int signal)
{
    if (instance->pid) child_stop(&instance->pid, signal);
    if (instance->client) tf_rpc_client_free(TF_TAKE(instance->client));
}

/* The whole answer to GET path on the admin port, status line included; "" when nobody answers. */
static void get(const struct instance *instance, const char *path, tf_buf *text)
{
    const char *port = strchr(instance->admin_address, ':') + 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char chunk[4096];
    ssize_t n;

    tf_buf_init(text, 1 << 20);
    tf_buf_append(text, "", 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        n = snprintf(chunk, sizeof(chunk), "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", path);
        assert_int_equal(write(fd, chunk, (size_t)n), n);
        while ((n = read(fd, chunk, sizeof(chunk))) > 0)
            tf_buf_append(text, chunk, (size_t)n);
    }
    close(fd);
}

int64_t instance_metric(const struct instance *instance, const char *name_with_labels)
{
    char line[128];
    const char *at;
    int64_t value = 0;
    tf_buf text;

    get(instance, "/metrics", &text);
    snprintf(line, sizeof(line), "\n%s ", name_with_labels);
    at = text.data ? strstr(text.data, line) : NULL;
    if (at) value = strtoll(at + strlen(line), NULL, 10);
    tf_buf_done(&text);
    return value;
}

bool instance_ready(const struct instance *instance)
{
    tf_buf text;
    bool ready;

    get(instance, "/healthz", &text);
    ready = text.data && strncmp(text.data, "HTTP/1.1 200", 12) == 0;
    tf_buf_done(&text);
    return ready;
}
