/* Orders and tickets come by one statement: one snapshot. Users with any order may come by another: between raise and
 * open no order is added. */
#include "services/order/inventory/live.h"
#include "services/order/inventory/call.h"

#include "common/base/id.h"
#include "common/base/log.h"
#include "ticketflow/order/v1/order.tf.h"

#include <stdio.h>
#include <string.h>

static const struct tf_pg_stmt select_live = {
    .name = "inventory_live",
    .sql = "SELECT o.order_no, o.kind, o.state, o.user_id, o.release_at, o.body_hash, t.places, t.persons"
           " FROM (SELECT order_no, array_agg(place_no ORDER BY place_no) AS places,"
           " CASE WHEN count(person) > 0 THEN string_agg(coalesce(person, '-'), ',' ORDER BY place_no) END AS persons"
           " FROM tickets WHERE bucket = $1 AND show_id = $2 AND live GROUP BY order_no) t"
           " JOIN orders o ON o.bucket = $1 AND o.order_no = t.order_no",
};
static const struct tf_pg_stmt select_users = {
    .name = "inventory_users",
    .sql = "SELECT DISTINCT user_id FROM orders"
           " WHERE bucket = $1 AND show_id = $2 AND kind = 1 AND user_id IS NOT NULL ORDER BY user_id",
};

enum { KIND_BLOCK = 2, NUMBER_TEXT = 21 };

static tf_code no_memory(tf_ctx *ctx)
{
    return tf_fail(ctx, TF_INTERNAL, "no memory for the show's live tickets");
}

static tf_code query(tf_ctx *ctx, const struct tf_pg_stmt *stmt, int64_t show_id, tf_pg_result **ret_rows)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_bucket_of_show(show_id));
    tf_pg_int8(&params, show_id);
    return tf_pg_query(ctx, tf_app_pg(inventory_app), stmt, &params, ret_rows);
}

static char state_of(const tf_pg_result *rows, int row)
{
    if (tf_pg_get_int(rows, row, 1) == KIND_BLOCK) return 'B';
    return tf_pg_get_int(rows, row, 2) == ORDER_STATE_PENDING_PAYMENT ? 'H' : 'S';
}

/* "H user body-hash 35,36 person,person" */
static const char *record_of(tf_ctx *ctx, const struct live_order *order, const char *body_hash, const int64_t *places,
                             size_t n, const char *persons)
{
    size_t capacity = strlen(body_hash) + (persons ? strlen(persons) : 1) + (n + 2) * NUMBER_TEXT + 8, size;
    char *text = tf_arena_alloc(ctx->arena, capacity);

    if (!text) return NULL;
    size = (size_t)snprintf(text, capacity, "%c %lld %s ", order->state, (long long)order->user_id, body_hash);
    for (size_t i = 0; i < n; i++)
        size += (size_t)snprintf(text + size, capacity - size, "%s%lld", i ? "," : "", (long long)places[i]);
    snprintf(text + size, capacity - size, " %s", persons ? persons : "-");
    return text;
}

static tf_code read_order(tf_ctx *ctx, const tf_pg_result *rows, int row, struct image *image, struct live_order *order)
{
    const char *body_hash = tf_pg_get_text(rows, row, 5);
    tf_time release_at = tf_pg_get_time(rows, row, 4);
    const int64_t *places;
    size_t n;

    order->order_no = tf_pg_get_int(rows, row, 0);
    order->user_id = tf_pg_get_int(rows, row, 3);
    order->state = state_of(rows, row);
    if (order->state == 'H' && release_at != INT64_MIN) order->due_ms = (release_at + TF_US_PER_MS - 1) / TF_US_PER_MS;
    places = tf_pg_get_int_array(ctx, rows, row, 6, &n);
    if (!places && n > 0) return no_memory(ctx);

    order->n_tickets = (int)n;
    for (size_t i = 0; i < n; i++) {
        enum image_state state = order->state == 'H' ? IMAGE_HELD : order->state == 'S' ? IMAGE_SOLD : IMAGE_BLOCKED;
        char text[2][TF_LOG_INT];

        if (image_take(image, (int32_t)places[i], state)) continue;
        tf_log(TF_LOG_ERROR, "a live ticket's place is not in the show's map", "order_no",
               tf_log_int(text[0], order->order_no), "place_no", tf_log_int(text[1], places[i]), NULL);
    }
    order->record =
        record_of(ctx, order, body_hash && *body_hash ? body_hash : "-", places, n, tf_pg_get_text(rows, row, 7));
    return order->record ? TF_OK : no_memory(ctx);
}

/* Persons of an order, cut out of its record's last word. */
static tf_code read_persons(tf_ctx *ctx, const char *persons, int64_t order_no, struct live *live)
{
    char *rest = tf_arena_strdup(ctx->arena, persons), *save = NULL;

    if (!rest) return no_memory(ctx);
    for (char *person = strtok_r(rest, ",", &save); person; person = strtok_r(NULL, ",", &save))
        if (strcmp(person, "-") != 0) live->persons[live->n_persons++] = (struct live_person){person, order_no};
    return TF_OK;
}

static int by_user(const void *a, const void *b)
{
    const struct live_order *x = *(const struct live_order *const *)a, *y = *(const struct live_order *const *)b;

    if (x->user_id != y->user_id) return x->user_id < y->user_id ? -1 : 1;
    return (x->order_no > y->order_no) - (x->order_no < y->order_no);
}

/* "tickets order …" of n orders of one user. */
static const char *user_field(tf_ctx *ctx, struct live_order *const *orders, size_t n)
{
    size_t capacity = (n + 1) * NUMBER_TEXT + 1, size;
    char *text = tf_arena_alloc(ctx->arena, capacity);
    int64_t tickets = 0;

    if (!text) return NULL;
    for (size_t i = 0; i < n; i++)
        tickets += orders[i]->n_tickets;
    size = (size_t)snprintf(text, capacity, "%lld", (long long)tickets);
    for (size_t i = 0; i < n; i++)
        if (orders[i]->state == 'H')
            size += (size_t)snprintf(text + size, capacity - size, " %lld", (long long)orders[i]->order_no);
    return text;
}

/* users: of all who ever ordered, ascending; a superset of those with live orders. */
static tf_code count_users(tf_ctx *ctx, const tf_pg_result *users, struct live *live)
{
    struct live_order **sorted = TF_NEW_ARRAY(ctx->arena, struct live_order *, live->n_orders);
    size_t n = 0, at = 0;

    live->users = TF_NEW_ARRAY(ctx->arena, struct live_user, (size_t)tf_pg_rows(users));
    if (!sorted || !live->users) return no_memory(ctx);
    for (size_t i = 0; i < live->n_orders; i++)
        if (live->orders[i].state != 'B') sorted[n++] = &live->orders[i];
    if (n) qsort(sorted, n, sizeof(struct live_order *), by_user);

    for (int row = 0; row < tf_pg_rows(users); row++) {
        struct live_user *user = &live->users[live->n_users++];
        size_t first;

        user->user_id = tf_pg_get_int(users, row, 0);
        while (at < n && sorted[at]->user_id < user->user_id)
            at++;
        first = at;
        while (at < n && sorted[at]->user_id == user->user_id)
            at++;
        user->field = user_field(ctx, sorted + first, at - first);
        if (!user->field) return no_memory(ctx);
    }
    return TF_OK;
}

tf_code live_read(tf_ctx *ctx, int64_t show_id, struct image *image, struct live *ret_live)
{
    tf_pg_result *rows, *users;
    struct live live = {0};
    size_t n_tickets = 0;
    tf_code code;

    code = query(ctx, &select_live, show_id, &rows);
    if (code) return code;
    code = query(ctx, &select_users, show_id, &users);
    if (code) return code;

    live.n_orders = (size_t)tf_pg_rows(rows);
    live.orders = TF_NEW_ARRAY(ctx->arena, struct live_order, live.n_orders);
    if (!live.orders) return no_memory(ctx);
    for (size_t i = 0; i < live.n_orders; i++) {
        code = read_order(ctx, rows, (int)i, image, &live.orders[i]);
        if (code) return code;
        n_tickets += (size_t)live.orders[i].n_tickets;
    }
    live.persons = TF_NEW_ARRAY(ctx->arena, struct live_person, n_tickets);
    if (!live.persons) return no_memory(ctx);
    for (size_t i = 0; i < live.n_orders; i++) {
        const char *persons = tf_pg_get_text(rows, (int)i, 7);

        if (!persons) continue;
        code = read_persons(ctx, persons, live.orders[i].order_no, &live);
        if (code) return code;
    }
    code = count_users(ctx, users, &live);
    if (code) return code;

    *ret_live = live;
    return TF_OK;
}
