/* The world around tf-pay. */
#include "tests/integration/pay_service/harness.h"

#include "common/base/id.h"
#include "common/chassis/bus.h"
#include "common/chassis/engine.h"
#include "common/crypto/crypto.h"
#include "common/http/client.h"
#include "common/http/server.h"
#include "common/json/json.h"
#include "common/redis/redis.h"
#include "common/rpc/pb_time.h"
#include "sandbox/signature.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { ORDERS_MAX = 64, ANSWER_MAX = 1 << 20 };

static struct {
    char redis_address[WORLD_ADDRESS], pay_address[WORLD_ADDRESS], order_address[WORLD_ADDRESS],
        sandbox_address[WORLD_ADDRESS], gateway_address[WORLD_ADDRESS];
    pid_t redis, pay, sandbox;
    struct sandbox_key key;
    tf_rpc_server *order;
    tf_rpc_client *client;
    tf_http_server *gateway;
    tf_http_client *http;
    struct tf_redis_config mux_config;
    tf_redis *mux;
    tf_engine *engine;
    atomic_int notified;
    pthread_mutex_t lock; /* of orders */
    struct {
        int64_t order_no;
        OrderState state;
        tf_time pay_by;
    } orders[ORDERS_MAX];
    size_t n_orders;
    int64_t next_id;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the stand-in for order ---- */

static tf_code get_payable(tf_ctx *ctx, const ProtobufCMessage *raw_request, ProtobufCMessage *raw_response)
{
    const GetPayableRequest *request = (const GetPayableRequest *)raw_request;
    GetPayableResponse *response = (GetPayableResponse *)raw_response;
    tf_time pay_by = 0;

    pthread_mutex_lock(&world.lock);
    for (size_t i = 0; i < world.n_orders; i++)
        if (world.orders[i].order_no == request->order_no && request->user_id == BUYER) {
            response->state = world.orders[i].state;
            pay_by = world.orders[i].pay_by;
        }
    pthread_mutex_unlock(&world.lock);
    if (!pay_by) return tf_fail(ctx, TF_NOT_FOUND, "no such order");

    response->order_no = request->order_no;
    response->organiser_id = 5;
    response->currency = (char *)"CNY";
    response->total_minor = AMOUNT_MINOR;
    response->pay_by_time = tf_pb_time(ctx->arena, pay_by);
    /* Longer than the provider's page takes, so that it must be cut. */
    response->subject = tf_arena_printf(ctx->arena, "%0150d %s × 2", 0, "天鹅湖天鹅湖天鹅湖天鹅湖天鹅湖天鹅湖天鹅湖");
    response->payable = response->state == ORDER_STATE_PENDING_PAYMENT && pay_by > tf_now_us();
    return TF_OK;
}

static void start_order(void)
{
    static const struct tf_rpc_binding bindings[] = {{&get_payable_method, get_payable}};
    static const struct tf_rpc_service order = {"ticketflow.order.v1.OrderService", bindings, 1};
    static const struct tf_rpc_service *const services[] = {&order, NULL};
    struct tf_rpc_server_config config = {.address = world.order_address,
                                          .service = "order",
                                          .services = services,
                                          .identity_key = world_identity_key(),
                                          .clock = tf_clock_system(),
                                          .workers = 2,
                                          .queue_max = 64,
                                          .message_max = 1 << 20,
                                          .arena_max = 4 << 20};
    const char *error;

    if (tf_rpc_server_start(&config, &world.order, &error)) fail_msg("%s", error);
    tf_rpc_server_set_serving(world.order, true);
}

int64_t order_payable(int pay_ms)
{
    int64_t order_no = ++world.next_id << 10 | 77;

    pthread_mutex_lock(&world.lock);
    assert_true(world.n_orders < ORDERS_MAX);
    world.orders[world.n_orders].order_no = order_no;
    world.orders[world.n_orders].state = ORDER_STATE_PENDING_PAYMENT;
    world.orders[world.n_orders++].pay_by = tf_now_us() + (int64_t)pay_ms * TF_US_PER_MS;
    pthread_mutex_unlock(&world.lock);
    return order_no;
}

void order_becomes(int64_t order_no, OrderState state)
{
    pthread_mutex_lock(&world.lock);
    for (size_t i = 0; i < world.n_orders; i++)
        if (world.orders[i].order_no == order_no) world.orders[i].state = state;
    pthread_mutex_unlock(&world.lock);
}

int64_t new_refund_id(int64_t order_no)
{
    return ++world.next_id << 10 | tf_id_bucket(order_no);
}

static void send_event(const char *type, int64_t order_no, const ProtobufCMessage *payload)
{
    struct tf_event event = {
        .event_id = ++world.next_id, .topic = "order", .type = type, .version = 1, .aggregate_id = order_no};
    struct tf_engine_message message = {.topic = "order", .key = order_no};
    struct tf_pg_bytes envelope;
    tf_ctx ctx;

    ctx_start(&ctx, WORLD_CALL_MS);
    event.organiser_id = 5;
    event.payload = tf_pb_pack(ctx.arena, payload, &event.size);
    ASSERT_OK(&ctx, tf_event_pack(&ctx, &event, tf_now_us(), &envelope));
    message.data = envelope.data;
    message.size = envelope.size;
    ASSERT_OK(&ctx, world.engine->ops->publish(&ctx, world.engine, &message, 1));
    tf_ctx_done(&ctx);
}

void order_says(const char *type, int64_t order_no, OrderState state, int64_t payment_id)
{
    OrderChanged changed = OrderChanged_init;

    changed.order_no = order_no;
    changed.state = state;
    changed.payment_id = payment_id;
    send_event(type, order_no, &changed.base);
}

void order_wants_refund(int64_t refund_id, int64_t payment_id, int64_t order_no, int64_t amount_minor,
                        const char *currency)
{
    RefundRequested request = RefundRequested_init;

    request.refund_id = refund_id;
    request.payment_id = payment_id;
    request.order_no = order_no;
    request.organiser_id = 5;
    request.currency = (char *)currency;
    request.amount_minor = amount_minor;
    request.reason = (char *)"LATE_PAYMENT";
    send_event("refund.requested", order_no, &request.base);
}

/* ---- the gateway's part ---- */

static tf_code deliver(tf_ctx *ctx, const char *signature, const void *body, size_t size)
{
    NotifyPaymentRequest request = NotifyPaymentRequest_init;
    NotifyPaymentResponse *response;
    Header header = Header_init, *headers[] = {&header};
    RawBody raw = RawBody_init;

    header.name = (char *)"sandbox-signature";
    header.value = (char *)signature;
    raw.headers = headers;
    raw.n_headers = signature ? 1 : 0;
    raw.data.data = (uint8_t *)body;
    raw.data.len = size;
    request.channel = (char *)"sandbox";
    request.notification = &raw;
    return call_notify_payment(ctx, world.client, &request, &response);
}

static void on_notification(tf_http_request *request, void *arg)
{
    const char *signature = tf_http_header_of(request, "sandbox-signature");
    size_t size;
    const void *body = tf_http_body(request, &size);
    tf_code code;
    tf_ctx ctx;

    (void)arg;
    as_user(&ctx, 0);
    code = deliver(&ctx, signature, body, size);
    atomic_fetch_add(&world.notified, 1);
    tf_ctx_done(&ctx);
    tf_http_respond(request, code ? 503 : 200, NULL, 0, "", 0);
}

int notified(void)
{
    return atomic_load(&world.notified);
}

tf_code notify(tf_ctx *ctx, const char *body, bool forged, int age_s)
{
    const struct sandbox_key other = {.size = 32};

    return deliver(ctx,
                   sandbox_sign(ctx->arena, forged ? &other : &world.key, tf_now_us() / TF_US_PER_S - age_s, NULL, body,
                                strlen(body)),
                   body, strlen(body));
}

tf_code notify_paid(tf_ctx *ctx, int64_t payment_id, int64_t amount_minor)
{
    return notify(ctx,
                  tf_arena_printf(ctx->arena,
                                  "{\"type\":\"charge.succeeded\",\"charge_id\":\"%" PRId64
                                  "\",\"provider_no\":\"1\",\"amount_minor\":%" PRId64
                                  ",\"currency\":\"CNY\",\"paid_ms\":%" PRId64 "}",
                                  payment_id, amount_minor, tf_now_us() / TF_US_PER_MS),
                  false, 0);
}

static void start_gateway(void)
{
    struct tf_http_server_config config = {.address = world.gateway_address,
                                           .loops = 1,
                                           .header_max = 16 << 10,
                                           .body_max = 64 << 10,
                                           .header_timeout_ms = 10000,
                                           .body_timeout_ms = 10000,
                                           .idle_timeout_ms = 60000,
                                           .connections_max = 100,
                                           .handler = on_notification};
    const char *error;

    if (tf_http_server_start(&config, &world.gateway, &error)) fail_msg("%s", error);
}

/* ---- children ---- */

void sandbox_start(void)
{
    char listen[64], key[WORLD_TEXT], key_arg[WORLD_TEXT + 16], books[WORLD_TEXT], books_arg[WORLD_TEXT + 16];
    const char *argv[] = {TF_SANDBOX_PROGRAM,           listen, key_arg, books_arg, "--notify_retry_ms=100",
                          "--admin_listen=127.0.0.1:0", NULL};

    snprintf(listen, sizeof(listen), "--listen=%s", world.sandbox_address);
    snprintf(key_arg, sizeof(key_arg), "--key_file=%s", world_path(key, "sandbox.key"));
    snprintf(books_arg, sizeof(books_arg), "--books_file=%s", world_path(books, "books"));
    world.sandbox = child_start("sandbox", argv);
    wait_until(listens, world.sandbox_address, WORLD_START_MS, "tf-sandbox");
}

void sandbox_stop(void)
{
    child_stop(&world.sandbox, SIGKILL);
}

void sandbox_pause(bool on)
{
    assert_int_equal(kill(world.sandbox, on ? SIGSTOP : SIGCONT), 0);
}

tf_rpc_client *pay_client(void)
{
    return world.client;
}

static void start_pay(void)
{
    char args[WORLD_ARGS_MAX][WORLD_TEXT + 64], path[WORLD_TEXT];
    const char *argv[WORLD_ARGS_MAX + 2] = {TF_PAY_PROGRAM};
    int n = 0;

    snprintf(args[n++], sizeof(args[0]), "--pg_dsn=%s", world_dsn());
    snprintf(args[n++], sizeof(args[0]), "--redis_address=%s", world.redis_address);
    snprintf(args[n++], sizeof(args[0]), "--internal_key_file=%s", world_path(path, "internal.key"));
    snprintf(args[n++], sizeof(args[0]), "--sandbox_key_file=%s", world_path(path, "sandbox.key"));
    snprintf(args[n++], sizeof(args[0]), "--sandbox_url=http://%s", world.sandbox_address);
    snprintf(args[n++], sizeof(args[0]), "--notify_url=http://%s", world.gateway_address);
    snprintf(args[n++], sizeof(args[0]), "--listen=%s", world.pay_address);
    snprintf(args[n++], sizeof(args[0]), "--peers=order=%s", world.order_address);
    snprintf(args[n++], sizeof(args[0]), "--query_after_ms=300");
    snprintf(args[n++], sizeof(args[0]), "--work_interval_ms=50");
    snprintf(args[n++], sizeof(args[0]), "--provider_timeout_ms=1000");
    snprintf(args[n++], sizeof(args[0]), "--attempts_max=5");
    snprintf(args[n++], sizeof(args[0]), "--notification_days=1");
    snprintf(args[n++], sizeof(args[0]), "--retention_interval_ms=100");
    for (int i = 0; i < n; i++)
        argv[i + 1] = args[i];
    argv[n + 1] = "--migrate";
    child_run("pay", argv);
    argv[n + 1] = NULL;
    world.pay = child_start("pay", argv);
}

static bool pay_serves(void *arg)
{
    tf_code code;
    Payment *payment;
    tf_ctx ctx;

    (void)arg;
    as_user(&ctx, BUYER);
    code = pay(&ctx, 1, "a-key-of-no-order", "", &payment);
    tf_ctx_done(&ctx);
    return code == TF_NOT_FOUND;
}

void pay_kill(void)
{
    child_stop(&world.pay, SIGKILL);
}

void pay_again(void)
{
    start_pay();
    wait_until(pay_serves, NULL, WORLD_START_MS, "tf-pay");
}

int harness_start(void **state)
{
    char path[WORLD_TEXT];
    tf_ctx ctx;

    (void)state;
    world_start();
    world.next_id = tf_now_us();
    world_key("sandbox.key");
    ctx_start(&ctx, 1000);
    ASSERT_OK(&ctx, tf_key_read(&ctx, world_path(path, "sandbox.key"), 32, world.key.bytes, sizeof(world.key.bytes),
                                &world.key.size));
    tf_ctx_done(&ctx);
    free_address(world.redis_address);
    world.redis = redis_start(world.redis_address);
    free_address(world.order_address);
    start_order();
    free_address(world.gateway_address);
    start_gateway();
    free_address(world.sandbox_address);
    sandbox_start();
    free_address(world.pay_address);
    world.client = gateway_client("pay", world.pay_address);
    world.http = tf_http_client_new();
    start_pay();
    world.mux_config =
        (struct tf_redis_config){.address = world.redis_address, .connect_timeout_ms = 1000, .queue_max = 64};
    world.mux = tf_redis_new(&world.mux_config);
    world.engine = tf_engine_streams_new(world.mux, &world.mux_config);
    wait_until(pay_serves, NULL, WORLD_START_MS, "tf-pay");
    return 0;
}

int harness_stop(void **state)
{
    (void)state;
    child_stop(&world.pay, SIGTERM);
    sandbox_stop();
    if (world.engine) world.engine->ops->free(world.engine);
    if (world.mux) tf_redis_free(world.mux);
    if (world.client) tf_rpc_client_free(world.client);
    if (world.gateway) tf_http_server_stop(world.gateway, 100);
    if (world.order) tf_rpc_server_stop(world.order, 100);
    tf_http_client_free(world.http);
    child_stop(&world.redis, SIGKILL);
    world_stop();
    return 0;
}

/* ---- callers ---- */

tf_code pay(tf_ctx *ctx, int64_t order_no, const char *key, const char *method, Payment **ret_payment)
{
    CreatePaymentRequest request = CreatePaymentRequest_init;
    CreatePaymentResponse *response;
    tf_code code;

    request.order_no = order_no;
    request.request_id = (char *)key;
    request.method = (char *)method;
    code = call_create_payment(ctx, world.client, &request, &response);
    if (!code) *ret_payment = response->payment;
    return code;
}

int64_t opened(int64_t order_no, char *ret_url)
{
    int64_t payment_id;
    Payment *payment;
    char key[33];
    tf_ctx ctx;

    tf_random_hex(key, 16);
    as_user(&ctx, BUYER);
    ASSERT_OK(&ctx, pay(&ctx, order_no, key, "sandbox", &payment));
    assert_int_equal(payment->state, PAYMENT_STATE_PROCESSING);
    assert_true(strlen(payment->pay_url) > 0);
    if (ret_url) snprintf(ret_url, WORLD_TEXT, "%s", payment->pay_url);
    payment_id = payment->payment_id;
    tf_ctx_done(&ctx);
    return payment_id;
}

static int post(const char *url, const char *body)
{
    struct tf_http_call call = {
        .method = "POST", .url = url, .body = body, .size = strlen(body), .answer_max = ANSWER_MAX};
    struct tf_http_answer answer;
    int status;
    tf_ctx ctx;

    ctx_start(&ctx, WORLD_CALL_MS);
    ASSERT_OK(&ctx, tf_http_perform(&ctx, world.http, &call, &answer));
    status = answer.status;
    tf_ctx_done(&ctx);
    return status;
}

int press(const char *url)
{
    return post(url, "");
}

void fault(int64_t payment_id, const char *members)
{
    char url[WORLD_TEXT], body[WORLD_TEXT];

    snprintf(url, sizeof(url), "http://%s/faults", world.sandbox_address);
    snprintf(body, sizeof(body), "{\"charge_id\":\"%" PRId64 "\",%s}", payment_id, members);
    assert_int_equal(post(url, body), 200);
}

PaymentState state_of(int64_t payment_id, int64_t order_no)
{
    GetPaymentRequest request = GetPaymentRequest_init;
    GetPaymentResponse *response;
    PaymentState state;
    tf_ctx ctx;

    request.payment_id = payment_id;
    request.order_no = order_no;
    as_user(&ctx, BUYER);
    ASSERT_OK(&ctx, call_get_payment(&ctx, world.client, &request, &response));
    state = response->payment->state;
    tf_ctx_done(&ctx);
    return state;
}

void wait_for_payment(int64_t payment_id, PaymentState state, int timeout_ms)
{
    wait_for_sql((int64_t)state, timeout_ms, "SELECT state FROM payment WHERE payment_id = %" PRId64, payment_id);
}

int64_t events(int64_t order_no, const char *type)
{
    return sql("SELECT count(*) FROM outbox WHERE aggregate_id = %" PRId64 " AND position('%s'::bytea IN envelope) > 0",
               order_no, type);
}

int64_t refunded_minor(int64_t payment_id)
{
    struct tf_http_header header = {"Sandbox-Signature", NULL};
    struct tf_http_call call = {
        .method = "GET", .headers = &header, .n_headers = 1, .answer_max = ANSWER_MAX, .idempotent = true};
    struct tf_http_answer answer;
    const char *path, *error;
    tf_json *charge;
    int64_t refunded;
    tf_ctx ctx;

    ctx_start(&ctx, WORLD_CALL_MS);
    path = tf_arena_printf(ctx.arena, "/charges/%" PRId64, payment_id);
    header.value = sandbox_sign(ctx.arena, &world.key, tf_now_us() / TF_US_PER_S,
                                tf_arena_printf(ctx.arena, "GET %s\n", path), NULL, 0);
    call.url = tf_arena_printf(ctx.arena, "http://%s%s", world.sandbox_address, path);
    ASSERT_OK(&ctx, tf_http_perform(&ctx, world.http, &call, &answer));
    assert_int_equal(answer.status, 200);
    charge = tf_json_parse(ctx.arena, answer.body, answer.size, 0, &error);
    refunded = tf_json_int(tf_json_get(charge, "refunded_minor"), -1);
    tf_json_free(charge);
    tf_ctx_done(&ctx);
    return refunded;
}
