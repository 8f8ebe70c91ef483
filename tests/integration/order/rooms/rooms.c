/* Shared by the room tests: servers, a process made of rooms, shows, purchases, and looking from outside. */
#include "tests/integration/order/rooms/rooms.h"

#include "common/base/buf.h"
#include "common/base/id.h"
#include "common/base/metrics.h"
#include "common/chassis/app_internal.h"
#include "services/order/commit/sale_time.h"
#include "ticketflow/order/v1/order.tf.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct tf_embedded tf_platform_migrations[], order_migrations[], order_redis_libraries[];

enum { TEXT = 1024, NAME = 512 };

struct tf_app *rooms_app;
_Atomic int64_t rooms_clock_shift_us;
struct proxy *rooms_proxy;
struct order_config rooms_config = {.hold_floor_s = 1,
                                    .pay_margin_s = 0,
                                    .commit_batch_max = 300,
                                    .commit_queue_max = 4096,
                                    .intent_ms = 1000,
                                    .settle_interval_ms = 200,
                                    .safety_net_s = 1};

static struct {
    tf_app app;
    struct tf_service service;
    char dsn[TEXT], schema[64], dir[64], redis_address[32];
    tf_pg *direct; /* straight, of the test */
    pid_t redis;
    _Atomic int64_t next_id;
} world = {.next_id = 1};

static int64_t shifted_wall(const tf_clock *clock)
{
    (void)clock;
    return tf_now_us() + atomic_load(&rooms_clock_shift_us);
}

static int64_t true_mono(const tf_clock *clock)
{
    (void)clock;
    return tf_mono_us();
}

static const tf_clock rooms_clock = {shifted_wall, true_mono};

/* ---- servers
 * ----------------------------------------------------------------------------------------------------------- */

/* The value of a keyword of a DSN without quotes. */
static void keyword(const char *name, char out[static NAME], const char *fallback)
{
    size_t n = strlen(name);

    snprintf(out, NAME, "%s", fallback);
    for (const char *p = world.dsn; (p = strstr(p, name)); p += n) {
        if ((p != world.dsn && p[-1] != ' ') || p[n] != '=') continue;
        snprintf(out, NAME, "%.*s", (int)strcspn(p + n + 1, " "), p + n + 1);
    }
}

static struct proxy *proxy_to_pg(void)
{
    char host[NAME], port[NAME], target[2 * NAME + 16];

    keyword("host", host, "/var/run/postgresql");
    keyword("port", port, "5432");
    snprintf(target, sizeof(target), host[0] == '/' ? "%s/.s.PGSQL.%s" : "%s:%s", host, port);
    return proxy_start(target);
}

static tf_pg *pool(bool through_proxy)
{
    char text[2 * TEXT];

    snprintf(text, sizeof(text), "%s options='-c search_path=%s'", world.dsn, world.schema);
    if (through_proxy)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " host=127.0.0.1 port=%d", proxy_port(rooms_proxy));
    return tf_pg_new(
        &(struct tf_pg_config){.dsn = text, .name = "rooms", .connections_max = 12, .connect_timeout_ms = 500});
}

static bool redis_answers(void *arg)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool up;

    (void)arg;
    address.sin_port = htons((uint16_t)atoi(strchr(world.redis_address, ':') + 1));
    up = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return up;
}

void rooms_redis_start(bool keep)
{
    char *port = strchr(world.redis_address, ':') + 1;
    char *argv[] = {(char *)"redis-server",
                    (char *)"--port",
                    port,
                    (char *)"--bind",
                    (char *)"127.0.0.1",
                    (char *)"--save",
                    (char *)"",
                    (char *)"--appendonly",
                    (char *)"yes",
                    (char *)"--appendfsync",
                    (char *)"always",
                    (char *)"--dir",
                    world.dir,
                    (char *)"--maxmemory-policy",
                    (char *)"noeviction",
                    NULL};
    char command[NAME];

    if (!keep) {
        snprintf(command, sizeof(command), "rm -rf %s/appendonlydir", world.dir);
        assert_int_equal(system(command), 0);
    }
    world.redis = fork();
    assert_true(world.redis >= 0);
    if (world.redis == 0) {
        int fd = open("/dev/null", O_WRONLY);

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nothing behind */
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    wait_until(redis_answers, NULL, 10000, "redis-server");
}

void rooms_redis_stop(void)
{
    if (world.redis <= 0) return;
    kill(world.redis, SIGKILL);
    waitpid(world.redis, NULL, 0);
    world.redis = 0;
}

static bool redis_up(void *arg)
{
    (void)arg;
    return tf_redis_up(world.app.redis);
}

int rooms_start(void **state)
{
    tf_app *app = &world.app;
    tf_ctx ctx;

    (void)state;
    snprintf(world.dsn, sizeof(world.dsn), "%s", env_or_fail("TF_TEST_PG_DSN", "a database in libpq's keyword form"));
    snprintf(world.schema, sizeof(world.schema), "rooms_%s", unique_word());
    snprintf(world.dir, sizeof(world.dir), "/tmp/tf-rooms-XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    snprintf(world.redis_address, sizeof(world.redis_address), "127.0.0.1:%d", free_port());
    rooms_redis_start(false);
    rooms_proxy = proxy_to_pg();
    world.direct = pool(false);
    sql_do("CREATE SCHEMA %s", world.schema);

    world.service = (struct tf_service){.name = "order", .purpose = "is tested"};
    *app = (tf_app){.service = &world.service, .clock = &rooms_clock, .instance = "rooms"};
    atomic_store(&app->ready, true);
    app->pg = pool(true);
    ctx_start(&ctx, 20000);
    ASSERT_OK(&ctx, tf_pg_migrate(&ctx, app->pg, "platform", tf_platform_migrations));
    ASSERT_OK(&ctx, tf_pg_migrate(&ctx, app->pg, "order", order_migrations));
    ASSERT_OK(&ctx, tf_worker_claim_start(&ctx, app->pg, app->clock, NULL, "rooms", &app->claim));
    tf_ctx_done(&ctx);
    app->redis_config = (struct tf_redis_config){.address = world.redis_address,
                                                 .connect_timeout_ms = 1000,
                                                 .queue_max = 10000,
                                                 .libraries = order_redis_libraries};
    app->redis = tf_redis_new(&app->redis_config);
    wait_until(redis_up, NULL, 5000, "the connection to Redis");

    rooms_app = app;
    order_config = rooms_config;
    assert_int_equal(commit_start(app), TF_OK);
    assert_int_equal(inventory_start(app), TF_OK);
    assert_int_equal(settle_start(app), TF_OK);
    return 0;
}

int rooms_stop(void **state)
{
    char command[NAME];
    tf_ctx ctx;

    (void)state;
    settle_stop();
    inventory_stop();
    commit_stop();
    ctx_start(&ctx, 5000);
    tf_worker_claim_stop(&ctx, world.app.claim);
    tf_ctx_done(&ctx);
    tf_redis_free(world.app.redis);
    tf_pg_free(world.app.pg);
    sql_do("DROP SCHEMA %s CASCADE", world.schema);
    tf_pg_free(world.direct);
    proxy_stop(rooms_proxy);
    rooms_redis_stop();
    snprintf(command, sizeof(command), "rm -rf %s", world.dir);
    return system(command);
}

void rooms_ctx(tf_ctx *ctx, int timeout_ms)
{
    tf_app_ctx(&world.app, ctx, "rooms-test", (int64_t)timeout_ms * TF_US_PER_MS);
}

static int64_t fresh_number(void)
{
    return atomic_fetch_add(&world.next_id, 1);
}

/* ---- shows
 * ------------------------------------------------------------------------------------------------------------- */

static void add_segment(tf_arena *arena, SaleSnapshot *snapshot, int tier, int32_t *at, int count)
{
    SaleSegment *segment = TF_NEW(arena, SaleSegment);

    *segment = (SaleSegment)SaleSegment_init;
    segment->tier = tier;
    segment->first_place_no = *at;
    segment->count = count;
    segment->row = (char *)"1";
    segment->label_first = segment->label_step = 1;
    segment->focal = count / 2;
    segment->n_cell_quality = (size_t)(count + 15) / 16;
    segment->cell_quality = TF_NEW_ARRAY(arena, int32_t, segment->n_cell_quality);
    for (size_t i = 0; i < segment->n_cell_quality; i++)
        segment->cell_quality[i] =
            (int32_t)snapshot->n_segments * 10 + abs((int)(2 * i + 1) - (int)segment->n_cell_quality);
    snapshot->segments[snapshot->n_segments++] = segment;
    *at = (*at + count + 16) / 16 * 16;
}

static Timestamp *seconds_from_now(tf_arena *arena, int64_t s)
{
    Timestamp *time = TF_NEW(arena, Timestamp);

    *time = (Timestamp)Timestamp_init;
    time->seconds = tf_now_us() / TF_US_PER_S + s;
    return time;
}

static void *pack_show(tf_arena *a, const struct test_show *show, int64_t show_id, size_t *ret_size)
{
    SaleSnapshot snapshot = SaleSnapshot_init;
    SaleSection section = SaleSection_init, *sections[] = {&section};
    SaleTier tiers[2] = {SaleTier_init, SaleTier_init}, *tier_list[] = {&tiers[0], &tiers[1]};
    PriceLine line = PriceLine_init, *lines[] = {&line};
    int32_t at = SALE_FIRST_PLACE_NO;

    line.kind = PRICE_KIND_FACE;
    line.amount_minor = 100;
    for (int i = 0; i < 2; i++) {
        tiers[i].tier = i + 1;
        tiers[i].kind = i ? TIER_KIND_STANDING : TIER_KIND_SEATED;
        tiers[i].price_lines = lines;
        tiers[i].n_price_lines = 1;
    }
    snapshot.show_id = show_id;
    snapshot.version = show->version;
    snapshot.organiser_id = 11;
    snapshot.program_id = 12;
    snapshot.start_time = seconds_from_now(a, 7200);
    snapshot.opens_time = seconds_from_now(a, -60);
    snapshot.closes_time = seconds_from_now(a, 3600);
    snapshot.currency = (char *)"CNY";
    snapshot.account_limit = show->account_limit;
    snapshot.order_limit = show->order_limit;
    snapshot.hold_seconds = show->hold_seconds;
    snapshot.attendee_rule = show->real_name ? ATTENDEE_RULE_REAL_NAME : ATTENDEE_RULE_NONE;
    snapshot.one_pending_order = show->one_pending_order;
    snapshot.choice_allowed = true;
    snapshot.tiers = tier_list;
    snapshot.n_tiers = show->standing ? 2 : 1;
    snapshot.sections = sections;
    snapshot.n_sections = 1;
    snapshot.segments = TF_NEW_ARRAY(a, SaleSegment *, (size_t)show->rows + 100);
    for (int row = 0; row < show->rows; row++)
        add_segment(a, &snapshot, 1, &at, show->row_places);
    for (int left = show->standing; left > 0; left -= 1024)
        add_segment(a, &snapshot, 2, &at, TF_MIN(left, 1024));
    snapshot.blocked_place_nos = TF_NEW_ARRAY(a, int32_t, (size_t)show->blocked);
    for (int i = 0; i < show->blocked; i++)
        snapshot.blocked_place_nos[snapshot.n_blocked_place_nos++] = SALE_FIRST_PLACE_NO + i;
    return tf_pb_pack(a, &snapshot.base, ret_size);
}

static struct sale *store(const struct test_show *given, int64_t show_id)
{
    struct test_show show = *given;
    struct sale *sale;
    tf_pg_params params;
    size_t size;
    void *data;
    tf_ctx ctx;
    static const struct tf_pg_stmt insert = {
        "test_snapshot",
        "INSERT INTO sale_snapshot (bucket, show_id, version, digest, data) VALUES ($1, $2, $3, '', $4)", true};

    if (!show.account_limit) show.account_limit = 1000;
    if (!show.order_limit) show.order_limit = 6;
    if (!show.hold_seconds) show.hold_seconds = 600;
    if (!show.version) show.version = 1;
    rooms_ctx(&ctx, 20000);
    data = pack_show(ctx.arena, &show, show_id, &size);
    assert_non_null(data);
    ASSERT_OK(&ctx, sale_decode(&ctx, data, size, &sale));
    tf_pg_params_init(&params, &ctx);
    tf_pg_int2(&params, (int16_t)sale->bucket);
    tf_pg_int8(&params, show_id);
    tf_pg_int4(&params, sale->terms);
    tf_pg_bytes(&params, data, size);
    ASSERT_OK(&ctx, tf_pg_query(&ctx, world.direct, &insert, &params, NULL));
    sql_do("INSERT INTO inventory (bucket, show_id, organiser_id, terms) VALUES (%d, %lld, 11, %d)"
           " ON CONFLICT (bucket, show_id) DO UPDATE SET terms = excluded.terms",
           sale->bucket, (long long)show_id, (int)sale->terms);
    tf_ctx_done(&ctx);
    return sale;
}

struct sale *show_new(const struct test_show *show)
{
    struct sale *sale = store(show, tf_now_us() * 1000 + fresh_number());
    tf_ctx ctx;

    rooms_ctx(&ctx, 20000);
    ASSERT_OK(&ctx, inventory_rebuild(&ctx, sale->show_id));
    tf_ctx_done(&ctx);
    return sale;
}

struct sale *show_change(const struct sale *sale, const struct test_show *show)
{
    return store(show, sale->show_id);
}

/* ---- buying
 * ------------------------------------------------------------------------------------------------------------ */

static int64_t new_id(tf_ctx *ctx, int bucket)
{
    int64_t id = 0;

    for (int i = 0; i < 200 && !id; i++) {
        if (!tf_app_id(ctx, &world.app, bucket, &id)) break;
        tf_error_clear(ctx);
        sleep_ms(10);
    }
    assert_true(id > 0);
    return id;
}

tf_code try_hold(tf_ctx *ctx, const struct sale *sale, const struct purchase_try *purchase, struct hold *ret_hold)
{
    struct hold_choice choice = {.tier = 1, .count = purchase->count, .allow_split = true};
    struct hold_request request = {
        .order_no = new_id(ctx, sale->bucket),
        .user_id = purchase->user_id,
        .request_id =
            purchase->key ? purchase->key : tf_arena_printf(ctx->arena, "key-%lld", (long long)fresh_number()),
        .body_hash = "0123456789abcdef0123456789abcdef",
        .place_nos = purchase->places,
        .n_places = purchase->n_places,
        .choices = &choice,
        .n_choices = purchase->places ? 0 : 1,
        .persons = purchase->persons,
        .n_persons = purchase->persons ? (purchase->places ? purchase->n_places : purchase->count) : 0,
    };
    int64_t error_ms;

    assert_true(sale_time_now(&request.now_ms, &error_ms));
    return inventory_hold(ctx, sale, &request, ret_hold);
}

struct new_order *order_of_hold(tf_ctx *ctx, const struct sale *sale, const struct purchase_try *purchase,
                                const struct hold *hold)
{
    struct new_order *order = TF_NEW(ctx->arena, struct new_order);
    struct new_ticket *tickets = TF_NEW_ARRAY(ctx->arena, struct new_ticket, (size_t)hold->n_places);

    for (int i = 0; i < hold->n_places; i++)
        tickets[i] = (struct new_ticket){.ticket_id = new_id(ctx, sale->bucket),
                                         .place_no = hold->place_nos[i],
                                         .tier = sale_tier_of(sale, hold->place_nos[i])->tier,
                                         .price_minor = 100,
                                         .person = purchase->persons ? purchase->persons[i] : NULL};
    *order = (struct new_order){
        .order_no = hold->order_no,
        .kind = 1,
        .bucket = sale->bucket,
        .show_id = sale->show_id,
        .organiser_id = 11,
        .user_id = purchase->user_id,
        .request_id =
            purchase->key ? purchase->key : tf_arena_printf(ctx->arena, "committed-%lld", (long long)hold->order_no),
        .body_hash = "0123456789abcdef0123456789abcdef",
        .epoch = hold->epoch,
        .terms = sale->terms,
        .currency = "CNY",
        .total_minor = 100 * hold->n_places,
        .hold_seconds = sale->hold_seconds,
        .pay_margin_seconds = 0,
        .trace = "rooms-test",
        .tickets = tickets,
        .n_tickets = hold->n_places,
        .created_event = {"created", 7},
        .created_event_id = new_id(ctx, sale->bucket),
    };
    return order;
}

int64_t buy_now(const struct sale *sale, const struct purchase_try *purchase, int32_t *ret_place)
{
    struct commit_answer answer;
    struct hold hold;
    tf_ctx ctx;

    rooms_ctx(&ctx, 10000);
    ASSERT_OK(&ctx, try_hold(&ctx, sale, purchase, &hold));
    assert_int_equal(hold.result, HOLD_TAKEN);
    ASSERT_OK(&ctx, commit_order(&ctx, order_of_hold(&ctx, sale, purchase, &hold), &answer));
    assert_int_equal(answer.result, COMMIT_OK);
    if (ret_place) *ret_place = hold.place_nos[0];
    tf_ctx_done(&ctx);
    return hold.order_no;
}

/* ---- looking
 * ----------------------------------------------------------------------------------------------------------- */

/* Each text is one statement, kept as long as the connections that prepared it. */
static const struct tf_pg_stmt *stmt_of(const char *text)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct text_stmt {
        struct text_stmt *next;
        struct tf_pg_stmt stmt;
        char name[32];
    } * known;
    static int count;
    struct text_stmt *found;

    pthread_mutex_lock(&lock);
    for (found = known; found && strcmp(found->stmt.sql, text) != 0;)
        found = found->next;
    if (!found) {
        found = calloc(1, sizeof(*found));
        snprintf(found->name, sizeof(found->name), "rooms_%d", ++count);
        found->stmt = (struct tf_pg_stmt){found->name, strdup(text), true};
        found->next = known;
        known = found;
    }
    pthread_mutex_unlock(&lock);
    return &found->stmt;
}

TF_PRINTF(1, 0) static int64_t run_sql(const char *format, va_list args)
{
    tf_pg_result *result;
    tf_pg_params params;
    int64_t value;
    tf_ctx ctx;

    ctx_start(&ctx, 20000);
    tf_pg_params_init(&params, &ctx);
    ASSERT_OK(&ctx,
              tf_pg_query(&ctx, world.direct, stmt_of(tf_arena_vprintf(ctx.arena, format, args)), &params, &result));
    value = tf_pg_rows(result) ? tf_pg_get_int(result, 0, 0) : 0;
    tf_ctx_done(&ctx);
    return value;
}

int64_t sql_number(const char *format, ...)
{
    va_list args;
    int64_t value;

    va_start(args, format);
    value = run_sql(format, args);
    va_end(args);
    return value;
}

void sql_do(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    run_sql(format, args);
    va_end(args);
}

int64_t metric_value(const char *name_with_labels)
{
    char line[128];
    const char *at;
    int64_t value = 0;
    tf_buf text;

    snprintf(line, sizeof(line), "\n%s ", name_with_labels);
    tf_buf_init(&text, 1 << 20);
    tf_metrics_render(&text);
    at = strstr(text.data, line);
    if (at) value = strtoll(at + strlen(line), NULL, 10);
    tf_buf_done(&text);
    return value;
}

int64_t redis_number(const char *word, ...)
{
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    int64_t value;
    va_list args;
    tf_ctx ctx;

    rooms_ctx(&ctx, 5000);
    tf_redis_cmd_init(&cmd, &ctx);
    va_start(args, word);
    for (; word; word = va_arg(args, const char *))
        tf_redis_arg(&cmd, word);
    va_end(args);
    ASSERT_OK(&ctx, tf_redis_call(&ctx, world.app.redis, &cmd, &reply));
    value = reply->type == TF_REDIS_INT                                        ? reply->integer
            : reply->type == TF_REDIS_ARRAY                                    ? (int64_t)reply->n_items
            : reply->type == TF_REDIS_STRING || reply->type == TF_REDIS_STATUS ? (int64_t)reply->size
                                                                               : -1;
    tf_ctx_done(&ctx);
    return value;
}

static int status_of(const struct availability *availability, int32_t place)
{
    return availability->places[place / 4] >> (2 * (place % 4)) & 3;
}

int place_status(const struct sale *sale, int32_t place)
{
    struct availability availability;
    int status = -1;
    tf_ctx ctx;

    sleep_ms(110); /* older reads are shared that long */
    rooms_ctx(&ctx, 5000);
    if (!inventory_availability(&ctx, sale, &availability)) status = status_of(&availability, place);
    tf_ctx_done(&ctx);
    return status;
}

void wait_status(const struct sale *sale, int32_t place, int status, int timeout_ms)
{
    int64_t until = tf_mono_us() + (int64_t)timeout_ms * TF_US_PER_MS;
    int now;

    while ((now = place_status(sale, place)) != status)
        if (tf_mono_us() > until)
            fail_msg("place %d is %d and not %d within %d ms", (int)place, now, status, timeout_ms);
}

void check_agreement(const struct sale *sale)
{
    static const struct tf_pg_stmt live = {"rooms_live",
                                           "SELECT t.place_no, o.state, o.kind FROM tickets t JOIN orders o USING "
                                           "(bucket, order_no) WHERE t.show_id = $1 AND t.live",
                                           false};
    struct availability availability;
    tf_pg_result *rows;
    tf_pg_params params;
    int64_t taken = 0, expected = 0;
    tf_ctx ctx;

    sleep_ms(110);
    rooms_ctx(&ctx, 20000);
    ASSERT_OK(&ctx, inventory_availability(&ctx, sale, &availability));
    tf_pg_params_init(&params, &ctx);
    tf_pg_int8(&params, sale->show_id);
    ASSERT_OK(&ctx, tf_pg_query(&ctx, world.direct, &live, &params, &rows));
    for (int i = 0; i < tf_pg_rows(rows); i++) {
        int32_t place = (int32_t)tf_pg_get_int(rows, i, 0);
        int status = tf_pg_get_int(rows, i, 2) == 2                             ? 0
                     : tf_pg_get_int(rows, i, 1) == ORDER_STATE_PENDING_PAYMENT ? 2
                                                                                : 3;

        if (status_of(&availability, place) != status)
            fail_msg("place %d: readers see %d, the tickets say %d", (int)place, status_of(&availability, place),
                     status);
        expected++;
    }
    for (size_t i = 0; i < sale->snapshot->n_blocked_place_nos; i++)
        assert_int_equal(status_of(&availability, sale->snapshot->blocked_place_nos[i]), 0);
    expected += (int64_t)sale->snapshot->n_blocked_place_nos;
    for (int t = 0; t < sale->n_tiers; t++) {
        taken += availability.tiers[t].held + availability.tiers[t].sold + availability.tiers[t].blocked;
        assert_int_equal(availability.tiers[t].free + availability.tiers[t].held + availability.tiers[t].sold +
                             availability.tiers[t].blocked,
                         sale->tiers[t].capacity);
    }
    assert_int_equal(taken, expected);
    tf_ctx_done(&ctx);
}
