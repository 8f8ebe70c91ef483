/* Children, stand-ins and the many small things that a story needs. */
#include "tests/integration/order/service/harness.h"
#include "tests/integration/child.h"

#include "common/base/text.h"
#include "common/chassis/bus.h"
#include "common/chassis/engine.h"
#include "common/crypto/crypto.h"
#include "common/redis/redis.h"
#include "common/rpc/pb_time.h"
#include "ticketflow/pay/v1/events.tf.h"
#include "ticketflow/program/v1/program.tf.h"
#include "ticketflow/program/v1/sale.tf.h"
#include "ticketflow/user/v1/user.tf.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SNAPSHOTS_MAX = 64, PAGE_BYTES = 300, CALL_MS = 8000, START_MS = 20000, TEXT = 512 };

tf_rpc_client *order_client;
tf_pg *order_pg;

static struct {
    char dir[64], dsn[TEXT];
    char redis_address[32], user_address[32], program_address[32];
    pid_t redis;
    struct instance order;
    struct tf_identity_key key;
    tf_rpc_server *user, *program;
    tf_redis *mux;
    struct tf_redis_config mux_config;
    tf_engine *engine;
    pthread_mutex_t lock; /* of snapshots */
    struct {
        int64_t show_id;
        int32_t version;
        void *data;
        size_t size;
    } snapshots[SNAPSHOTS_MAX];
    size_t n_snapshots;
    int64_t next_id;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- children ------------------------------------------------------------------------------------------------------
 */

static void free_address(char out[static 32])
{
    snprintf(out, 32, "127.0.0.1:%d", free_port());
}

static char *in_dir(char out[static TEXT], const char *name)
{
    snprintf(out, TEXT, "%s/%s", world.dir, name);
    return out;
}

static void start_redis(void)
{
    char log[TEXT];
    const char *argv[] = {"redis-server",
                          "--port",
                          strchr(world.redis_address, ':') + 1,
                          "--bind",
                          "127.0.0.1",
                          "--save",
                          "",
                          "--appendonly",
                          "no",
                          "--dir",
                          world.dir,
                          "--maxmemory-policy",
                          "noeviction",
                          "--repl-diskless-sync-delay",
                          "0",
                          NULL};

    world.redis = child_spawn(in_dir(log, "redis.log"), argv);
    wait_until(listens, world.redis_address, START_MS, "redis-server");
}

void harness_restart_redis(void)
{
    child_stop(&world.redis, SIGKILL);
    start_redis();
}

void harness_freeze_redis(void)
{
    assert_int_equal(kill(world.redis, SIGSTOP), 0);
}

void harness_thaw_redis(void)
{
    assert_int_equal(kill(world.redis, SIGCONT), 0);
}

static void make_keys(void)
{
    char path[TEXT];
    tf_ctx ctx;
    size_t size;

    ctx_start(&ctx, 1000);
    ASSERT_OK(&ctx, tf_key_make(&ctx, in_dir(path, "internal.key"), 32));
    ASSERT_OK(&ctx, tf_key_read(&ctx, path, 32, world.key.secret, sizeof(world.key.secret), &size));
    world.key.size = size;
    ASSERT_OK(&ctx, tf_key_make(&ctx, in_dir(path, "ticket.key"), 32));
    tf_ctx_done(&ctx);
}

static void make_database(void)
{
    struct tf_pg_config config = {.dsn = env_or_fail("TF_TEST_PG_DSN", "where databases may be made"),
                                  .name = "test",
                                  .connections_max = 4,
                                  .connect_timeout_ms = 2000};
    tf_pg *pg = tf_pg_new(&config);
    struct tf_pg_stmt create = {.name = "create", .writes = true};
    char sql[TEXT];
    tf_pg_params params;
    tf_ctx ctx;

    snprintf(sql, sizeof(sql), "CREATE DATABASE %s", unique_word());
    create.sql = sql;
    ctx_start(&ctx, 10000);
    tf_pg_params_init(&params, &ctx);
    ASSERT_OK(&ctx, tf_pg_query(&ctx, pg, &create, &params, NULL));
    tf_ctx_done(&ctx);
    tf_pg_free(pg);

    snprintf(world.dsn, sizeof(world.dsn), "%s dbname=%s", config.dsn, unique_word());
    config.dsn = world.dsn;
    order_pg = tf_pg_new(&config);
}

static void drop_database(void)
{
    struct tf_pg_config config = {
        .dsn = getenv("TF_TEST_PG_DSN"), .name = "test", .connections_max = 1, .connect_timeout_ms = 2000};
    tf_pg *pg = tf_pg_new(&config);
    struct tf_pg_stmt drop = {.name = "drop", .writes = true};
    char sql[TEXT];
    tf_pg_params params;
    tf_ctx ctx;

    snprintf(sql, sizeof(sql), "DROP DATABASE %s WITH (FORCE)", unique_word());
    drop.sql = sql;
    ctx_start(&ctx, 10000);
    tf_pg_params_init(&params, &ctx);
    (void)!tf_pg_query(&ctx, pg, &drop, &params, NULL);
    tf_ctx_done(&ctx);
    tf_pg_free(pg);
}

static struct instance_world instance_world(void)
{
    return (struct instance_world){.dir = world.dir,
                                   .dsn = world.dsn,
                                   .redis_address = world.redis_address,
                                   .user_address = world.user_address,
                                   .program_address = world.program_address,
                                   .key = &world.key};
}

void harness_instance(struct instance *instance, const char *redis_address, int pg_port)
{
    struct instance_world where = instance_world();

    if (redis_address) where.redis_address = redis_address;
    instance_start(instance, &where, pg_port);
    instance_wait(instance);
}

const char *harness_redis(void)
{
    return world.redis_address;
}

const char *harness_dir(void)
{
    return world.dir;
}

int harness_pg_proxy_target(char *out, size_t size)
{
    const char *host = strstr(world.dsn, "host="), *port = strstr(world.dsn, "port=");
    int host_size = host ? (int)strcspn(host + 5, " ") : 0, port_size = port ? (int)strcspn(port + 5, " ") : 0;

    if (host && host[5] == '/')
        return snprintf(out, size, "%.*s/.s.PGSQL.%.*s", host_size, host + 5, port ? port_size : 4,
                        port ? port + 5 : "5432");
    return snprintf(out, size, "%.*s:%.*s", host ? host_size : 9, host ? host + 5 : "127.0.0.1", port ? port_size : 4,
                    port ? port + 5 : "5432");
}

/* ---- stand-ins for user and program
 * ---------------------------------------------------------------------------------- */

static tf_code resolve(tf_ctx *ctx, const ProtobufCMessage *raw_request, ProtobufCMessage *raw_response)
{
    const ResolveAttendeesRequest *request = (const ResolveAttendeesRequest *)raw_request;
    ResolveAttendeesResponse *response = (ResolveAttendeesResponse *)raw_response;

    response->attendees = TF_NEW_ARRAY(ctx->arena, ResolvedAttendee *, request->n_attendee_ids);
    for (size_t i = 0; i < request->n_attendee_ids; i++) {
        int64_t id = request->attendee_ids[i];
        ResolvedAttendee *attendee = TF_NEW(ctx->arena, ResolvedAttendee);

        if (id / 10 != request->user_id) {
            tf_code code = tf_fail(ctx, TF_NOT_FOUND, "another's attendee");

            ctx->error.field = tf_arena_printf(ctx->arena, "attendee_ids[%zu]", i);
            return code;
        }
        *attendee = (ResolvedAttendee)ResolvedAttendee_init;
        attendee->attendee_id = id;
        attendee->name = tf_arena_printf(ctx->arena, "Person %d", (int)(id % 10));
        attendee->id_number_masked = (char *)"1101**********1234";
        attendee->verified = id % 10 != 9;
        attendee->person = tf_arena_printf(ctx->arena, "%064d", (int)(id % 10));
        response->attendees[i] = attendee;
    }
    response->n_attendees = request->n_attendee_ids;
    return TF_OK;
}

static tf_code snapshot(tf_ctx *ctx, const ProtobufCMessage *raw_request, ProtobufCMessage *raw_response)
{
    const GetSaleSnapshotRequest *request = (const GetSaleSnapshotRequest *)raw_request;
    GetSaleSnapshotResponse *response = (GetSaleSnapshotResponse *)raw_response;
    tf_code code = tf_fail(ctx, TF_NOT_FOUND, "no such snapshot");

    pthread_mutex_lock(&world.lock);
    for (size_t i = 0; i < world.n_snapshots; i++) {
        size_t size = world.snapshots[i].size;

        if (world.snapshots[i].show_id != request->show_id || world.snapshots[i].version != request->version) continue;
        response->total_size = (int64_t)size;
        response->data.len = TF_MIN((size_t)PAGE_BYTES, size - (size_t)request->offset);
        response->data.data =
            tf_arena_memdup(ctx->arena, (char *)world.snapshots[i].data + request->offset, response->data.len);
        tf_error_clear(ctx);
        code = TF_OK;
    }
    pthread_mutex_unlock(&world.lock);
    return code;
}

static tf_rpc_server *stand_in(const char *service, char address[static 32],
                               const struct tf_rpc_service *const *services)
{
    struct tf_rpc_server_config config = {.service = service,
                                          .services = services,
                                          .identity_key = &world.key,
                                          .clock = tf_clock_system(),
                                          .workers = 4,
                                          .queue_max = 64,
                                          .message_max = 1 << 20,
                                          .arena_max = 4 << 20};
    tf_rpc_server *server;
    const char *error;

    free_address(address);
    config.address = address;
    if (tf_rpc_server_start(&config, &server, &error)) fail_msg("%s", error);
    tf_rpc_server_set_serving(server, true);
    return server;
}

static void start_stand_ins(void)
{
    static const struct tf_rpc_binding user_bindings[] = {{&resolve_attendees_method, resolve}};
    static const struct tf_rpc_service user = {"ticketflow.user.v1.UserService", user_bindings, 1};
    static const struct tf_rpc_service *const users[] = {&user, NULL};
    static const struct tf_rpc_binding program_bindings[] = {{&get_sale_snapshot_method, snapshot}};
    static const struct tf_rpc_service program = {"ticketflow.program.v1.ProgramService", program_bindings, 1};
    static const struct tf_rpc_service *const programs[] = {&program, NULL};

    world.user = stand_in("user", world.user_address, users);
    world.program = stand_in("program", world.program_address, programs);
}

/* ---- callers
 * ----------------------------------------------------------------------------------------------------------- */

void as_buyer(tf_ctx *ctx, int64_t user_id)
{
    ctx_start(ctx, CALL_MS);
    ctx->identity = (struct tf_identity){.caller = "gateway", .user_id = user_id, .session_id = 1};
    ctx->language = "en";
}

void as_operator(tf_ctx *ctx, uint32_t roles, int64_t organiser_id)
{
    as_buyer(ctx, 999999);
    ctx->identity.roles = roles;
    ctx->identity.organiser_id = organiser_id;
}

static tf_code availability(tf_ctx *ctx, int64_t show_id, GetAvailabilityResponse **ret)
{
    GetAvailabilityRequest request = GetAvailabilityRequest_init;

    request.show_id = show_id;
    return call_get_availability(ctx, order_client, &request, ret);
}

/* Logs stay for reading when TF_TEST_KEEP is set. */
static void remove_dir(void)
{
    static const char *const names[] = {"internal.key", "ticket.key", "redis.log", "order.log"};
    char path[TEXT];

    if (getenv("TF_TEST_KEEP")) return;
    for (size_t i = 0; i < TF_COUNT(names); i++)
        unlink(in_dir(path, names[i]));
    rmdir(world.dir);
}

int harness_start(void **state)
{
    struct instance_world where;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (!tf_crypto_init()) return -1;
    world.next_id = tf_now_us();
    snprintf(world.dir, sizeof(world.dir), "/tmp/%s", unique_word());
    if (mkdir(world.dir, 0700)) return -1;
    make_keys();
    make_database();
    free_address(world.redis_address);
    start_redis();
    start_stand_ins();
    where = instance_world();
    instance_migrate(&where);
    instance_start(&world.order, &where, 0);

    world.mux_config =
        (struct tf_redis_config){.address = world.redis_address, .connect_timeout_ms = 1000, .queue_max = 64};
    world.mux = tf_redis_new(&world.mux_config);
    world.engine = tf_engine_streams_new(world.mux, &world.mux_config);
    order_client = world.order.client;
    instance_wait(&world.order);
    return 0;
}

int harness_stop(void **state)
{
    (void)state;
    instance_stop(&world.order, SIGTERM);
    if (world.engine) world.engine->ops->free(world.engine);
    if (world.mux) tf_redis_free(world.mux);
    if (order_pg) tf_pg_free(order_pg);
    if (world.user) tf_rpc_server_stop(world.user, 100);
    if (world.program) tf_rpc_server_stop(world.program, 100);
    child_stop(&world.redis, SIGKILL);
    drop_database();
    for (size_t i = 0; i < world.n_snapshots; i++)
        free(world.snapshots[i].data);
    remove_dir();
    return 0;
}

/* ---- events
 * ------------------------------------------------------------------------------------------------------------ */

void send_event(const char *topic, const char *type, int64_t aggregate_id, const ProtobufCMessage *payload)
{
    struct tf_event event = {.event_id = ++world.next_id,
                             .topic = topic,
                             .type = type,
                             .version = 1,
                             .aggregate_id = aggregate_id,
                             .organiser_id = FIXTURE_ORGANISER};
    struct tf_engine_message message = {.topic = topic, .key = aggregate_id};
    struct tf_pg_bytes envelope;
    tf_ctx ctx;

    ctx_start(&ctx, CALL_MS);
    event.payload = tf_pb_pack(ctx.arena, payload, &event.size);
    ASSERT_OK(&ctx, tf_event_pack(&ctx, &event, tf_now_us(), &envelope));
    message.data = envelope.data;
    message.size = envelope.size;
    ASSERT_OK(&ctx, world.engine->ops->publish(&ctx, world.engine, &message, 1));
    tf_ctx_done(&ctx);
}

void pay_says(const char *type, int64_t payment_id, int64_t order_no, const char *currency, int64_t amount_minor)
{
    PaymentChanged payment = PaymentChanged_init;

    payment.payment_id = payment_id;
    payment.order_no = order_no;
    payment.method = (char *)"sandbox";
    payment.currency = (char *)currency;
    payment.amount_minor = amount_minor;
    send_event("payment", type, order_no, &payment.base);
}

void pay_says_refund(const char *type, int64_t refund_id, int64_t payment_id, int64_t order_no)
{
    RefundChanged refund = RefundChanged_init;

    refund.refund_id = refund_id;
    refund.payment_id = payment_id;
    refund.order_no = order_no;
    send_event("payment", type, order_no, &refund.base);
}

int64_t new_show_id(void)
{
    return ++world.next_id;
}

struct fixture_show show_on_sale(void)
{
    struct fixture_show show = fixture_show_default;
    int64_t now_s = tf_now_us() / TF_US_PER_S;

    show.show_id = new_show_id();
    show.version = 1;
    show.opens_s = now_s - 60;
    show.closes_s = now_s + 3600;
    show.start_s = now_s + 86400;
    return show;
}

void announce(const struct fixture_show *show, const char *type)
{
    ShowPublished published = ShowPublished_init;
    unsigned char digest[TF_SHA256_BYTES];
    tf_ctx ctx;
    void *packed;
    size_t size, i;

    ctx_start(&ctx, CALL_MS);
    packed = fixture_pack(ctx.arena, show, &size);
    tf_sha256(packed, size, digest);
    published.show_id = show->show_id;
    published.version = show->version;
    published.digest.data = digest;
    published.digest.len = sizeof(digest);

    pthread_mutex_lock(&world.lock);
    assert_true(world.n_snapshots < SNAPSHOTS_MAX);
    i = world.n_snapshots++;
    world.snapshots[i].show_id = show->show_id;
    world.snapshots[i].version = show->version;
    world.snapshots[i].data = malloc(size);
    world.snapshots[i].size = size;
    memcpy(world.snapshots[i].data, packed, size);
    pthread_mutex_unlock(&world.lock);
    tf_ctx_done(&ctx);
    send_event("show", type, show->show_id, &published.base);
}

static bool show_answers(void *arg)
{
    const struct fixture_show *show = arg;
    GetAvailabilityResponse *response;
    tf_code code;
    tf_ctx ctx;

    as_buyer(&ctx, 0);
    code = availability(&ctx, show->show_id, &response);
    tf_ctx_done(&ctx);
    return code == TF_OK;
}

void publish(const struct fixture_show *show)
{
    announce(show, "show.published");
    wait_until(show_answers, (void *)show, START_MS, "the published show");
}

/* ---- purchases
 * ----------------------------------------------------------------------------------------------------------- */

tf_code buy(tf_ctx *ctx, const struct buying *buying, Order **ret_order)
{
    CreateOrderRequest request = CreateOrderRequest_init;
    TierChoice choices[SALE_ORDER_PLACES_MAX], *pointers[SALE_ORDER_PLACES_MAX];
    CreateOrderResponse *response;
    char key[33];
    tf_code code;

    tf_random_hex(key, 16);
    request.show_id = buying->show_id;
    request.request_id = (char *)(buying->key ? buying->key : key);
    request.place_nos = (int32_t *)buying->places;
    while (buying->places && buying->places[request.n_place_nos])
        request.n_place_nos++;
    request.attendee_ids = (int64_t *)buying->attendees;
    while (buying->attendees && buying->attendees[request.n_attendee_ids])
        request.n_attendee_ids++;
    for (int i = 0; i < buying->n_choices; i++) {
        choices[i] = (TierChoice)TierChoice_init;
        choices[i].tier = buying->choices[i].tier;
        choices[i].count = buying->choices[i].count;
        choices[i].allow_split = buying->choices[i].allow_split;
        pointers[i] = &choices[i];
    }
    request.choices = pointers;
    request.n_choices = (size_t)buying->n_choices;
    code = call_create_order(ctx, buying->at ? buying->at->client : order_client, &request, &response);
    if (!code) *ret_order = response->order;
    return code;
}

int64_t buy_at(const struct instance *at, int64_t user_id, int64_t show_id, const char *key, int attempt,
               tf_code *ret_code)
{
    struct buying buying = {
        .at = at, .show_id = show_id, .key = key, .choices = &(struct hold_choice){STANDING, 1, false}, .n_choices = 1};
    int64_t order_no = 0;
    Order *order;
    tf_code code;
    tf_ctx ctx;

    as_buyer(&ctx, user_id);
    ctx.attempt = attempt;
    code = buy(&ctx, &buying, &order);
    if (!code) order_no = order->order_no;
    if (ret_code) *ret_code = code;
    tf_ctx_done(&ctx);
    return order_no;
}

int64_t bought(int64_t user_id, int64_t show_id, const int32_t *places)
{
    int64_t order_no;
    Order *order;
    tf_ctx ctx;

    as_buyer(&ctx, user_id);
    ASSERT_OK(&ctx, buy(&ctx, &(struct buying){.show_id = show_id, .places = places}, &order));
    order_no = order->order_no;
    tf_ctx_done(&ctx);
    return order_no;
}

int64_t paid(int64_t user_id, int64_t show_id, const int32_t *places, int64_t payment_id)
{
    int64_t order_no = bought(user_id, show_id, places);
    int64_t total = db_number("SELECT total_minor FROM orders WHERE order_no = $1", order_no);

    pay_says("payment.succeeded", payment_id, order_no, "CNY", total);
    wait_for_state(user_id, order_no, ORDER_STATE_PAID, 5000);
    return order_no;
}

Order *order_of(tf_ctx *ctx, int64_t order_no)
{
    GetOrderRequest request = GetOrderRequest_init;
    GetOrderResponse *response;

    request.order_no = order_no;
    ASSERT_OK(ctx, call_get_order(ctx, order_client, &request, &response));
    return response->order;
}

struct expected_state {
    int64_t user_id, order_no;
    int state;
};

static bool has_state(void *arg)
{
    const struct expected_state *expected = arg;
    bool has;
    tf_ctx ctx;

    as_buyer(&ctx, expected->user_id);
    has = (int)order_of(&ctx, expected->order_no)->state == expected->state;
    tf_ctx_done(&ctx);
    return has;
}

void wait_for_state(int64_t user_id, int64_t order_no, int state, int timeout_ms)
{
    struct expected_state expected = {user_id, order_no, state};

    wait_until(has_state, &expected, timeout_ms, "the order's state");
}

int place_status(int64_t show_id, int32_t place_no)
{
    GetAvailabilityResponse *response;
    int status = -1;
    tf_ctx ctx;

    as_buyer(&ctx, 0);
    if (availability(&ctx, show_id, &response) == TF_OK && (size_t)place_no / 4 < response->places.len)
        status = response->places.data[place_no / 4] >> (2 * (place_no % 4)) & 3;
    tf_ctx_done(&ctx);
    return status;
}

struct expected_place {
    int64_t show_id;
    int32_t place_no;
    int status;
};

static bool place_is(void *arg)
{
    const struct expected_place *expected = arg;

    return place_status(expected->show_id, expected->place_no) == expected->status;
}

void wait_for_place(int64_t show_id, int32_t place_no, int status, int timeout_ms)
{
    struct expected_place expected = {show_id, place_no, status};

    wait_until(place_is, &expected, timeout_ms, "the place's status");
}

/* A statement is known by its address, so each text gets one for the whole program. */
static const struct tf_pg_stmt *stmt_of(const char *sql)
{
    enum { STMTS_MAX = 64, NAME = 16 };
    static struct tf_pg_stmt stmts[STMTS_MAX];
    static char names[STMTS_MAX][NAME];
    static size_t n;

    for (size_t i = 0; i < n; i++)
        if (strcmp(stmts[i].sql, sql) == 0) return &stmts[i];
    assert_true(n < STMTS_MAX);
    snprintf(names[n], NAME, "look_%zu", n);
    stmts[n] = (struct tf_pg_stmt){.name = names[n], .sql = sql};
    return &stmts[n++];
}

int64_t db_number(const char *sql, int64_t parameter)
{
    tf_pg_result *rows;
    tf_pg_params params;
    int64_t number;
    tf_ctx ctx;

    ctx_start(&ctx, CALL_MS);
    tf_pg_params_init(&params, &ctx);
    tf_pg_int8(&params, parameter);
    ASSERT_OK(&ctx, tf_pg_query(&ctx, order_pg, stmt_of(sql), &params, &rows));
    assert_int_equal(tf_pg_rows(rows), 1);
    number = tf_pg_get_int(rows, 0, 0);
    tf_ctx_done(&ctx);
    return number;
}

int64_t order_metric(const char *name_with_labels)
{
    return instance_metric(&world.order, name_with_labels);
}

struct instance *harness_first(void)
{
    return &world.order;
}

const char *error_param(const tf_ctx *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->error.n_params; i++)
        if (strcmp(ctx->error.params[i].name, name) == 0) return ctx->error.params[i].value;
    return NULL;
}
