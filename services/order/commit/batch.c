/* Parallel arrays in, parallel arrays out. */
#include "services/order/commit/batch.h"

#include <stdlib.h>

static const struct tf_pg_stmt commit_orders = {
    .name = "commit_orders",
    .sql = "SELECT results, order_nos, release_ms, clock FROM commit_orders($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
           "$11, $12, $13, $14,"
           " $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)",
    .writes = true,
};

struct order_columns {
    int16_t *bucket, *kind, *tickets;
    int32_t *terms, *hold_s, *margin_s;
    int64_t *no, *show, *organiser, *user, *epoch, *total, *event_id;
    bool *adjacent;
    const char **request, **body, **currency, **trace;
    struct tf_pg_bytes *event;
};

struct ticket_columns {
    int16_t *tier;
    int32_t *order, *place;
    int64_t *id, *price, *attendee;
    const char **name, **masked, **person;
};

/* A ticket with the position of its order, for sorting. */
struct ticket_at {
    const struct new_ticket *ticket;
    const struct new_order *order;
    int32_t position; /* 1-based */
};

static int by_order(const void *a, const void *b)
{
    const struct new_order *x = &(*(struct commit_entry *const *)a)->order,
                           *y = &(*(struct commit_entry *const *)b)->order;

    if (x->bucket != y->bucket) return x->bucket < y->bucket ? -1 : 1;
    return (x->order_no > y->order_no) - (x->order_no < y->order_no);
}

void batch_sort(struct commit_entry **entries, size_t n)
{
    qsort(entries, n, sizeof(*entries), by_order);
}

static int by_place(const void *a, const void *b)
{
    const struct ticket_at *x = a, *y = b;

    if (x->order->bucket != y->order->bucket) return x->order->bucket < y->order->bucket ? -1 : 1;
    if (x->order->show_id != y->order->show_id) return x->order->show_id < y->order->show_id ? -1 : 1;
    return (x->ticket->place_no > y->ticket->place_no) - (x->ticket->place_no < y->ticket->place_no);
}

/* Columns of n rows; false: the arena is full. */
#define COLUMN(ctx, columns, name, n) ((columns)->name = tf_arena_calloc((ctx)->arena, (n), sizeof(*(columns)->name)))

static bool order_columns(tf_ctx *ctx, struct order_columns *c, struct commit_entry *const *entries, size_t n)
{
    if (!COLUMN(ctx, c, bucket, n) || !COLUMN(ctx, c, kind, n) || !COLUMN(ctx, c, tickets, n) ||
        !COLUMN(ctx, c, terms, n) || !COLUMN(ctx, c, hold_s, n) || !COLUMN(ctx, c, margin_s, n) ||
        !COLUMN(ctx, c, no, n) || !COLUMN(ctx, c, show, n) || !COLUMN(ctx, c, organiser, n) ||
        !COLUMN(ctx, c, user, n) || !COLUMN(ctx, c, epoch, n) || !COLUMN(ctx, c, total, n) ||
        !COLUMN(ctx, c, event_id, n) || !COLUMN(ctx, c, adjacent, n) || !COLUMN(ctx, c, request, n) ||
        !COLUMN(ctx, c, body, n) || !COLUMN(ctx, c, currency, n) || !COLUMN(ctx, c, trace, n) ||
        !COLUMN(ctx, c, event, n))
        return false;

    for (size_t i = 0; i < n; i++) {
        const struct new_order *order = &entries[i]->order;

        c->bucket[i] = (int16_t)order->bucket;
        c->kind[i] = (int16_t)order->kind;
        c->tickets[i] = (int16_t)order->n_tickets;
        c->terms[i] = order->terms;
        c->hold_s[i] = order->hold_seconds;
        c->margin_s[i] = order->pay_margin_seconds;
        c->no[i] = order->order_no;
        c->show[i] = order->show_id;
        c->organiser[i] = order->organiser_id;
        c->user[i] = order->user_id;
        c->epoch[i] = order->epoch;
        c->total[i] = order->total_minor;
        c->event_id[i] = order->created_event_id;
        c->adjacent[i] = order->adjacent;
        c->request[i] = order->request_id;
        c->body[i] = order->body_hash;
        c->currency[i] = order->currency;
        c->trace[i] = order->trace;
        c->event[i] = order->created_event;
    }
    return true;
}

static bool ticket_columns(tf_ctx *ctx, struct ticket_columns *c, struct commit_entry *const *entries, size_t n,
                           size_t n_tickets)
{
    struct ticket_at *sorted = TF_NEW_ARRAY(ctx->arena, struct ticket_at, n_tickets);
    size_t at = 0;

    if (!sorted || !COLUMN(ctx, c, tier, n_tickets) || !COLUMN(ctx, c, order, n_tickets) ||
        !COLUMN(ctx, c, place, n_tickets) || !COLUMN(ctx, c, id, n_tickets) || !COLUMN(ctx, c, price, n_tickets) ||
        !COLUMN(ctx, c, attendee, n_tickets) || !COLUMN(ctx, c, name, n_tickets) ||
        !COLUMN(ctx, c, masked, n_tickets) || !COLUMN(ctx, c, person, n_tickets))
        return false;

    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < entries[i]->order.n_tickets; k++)
            sorted[at++] = (struct ticket_at){&entries[i]->order.tickets[k], &entries[i]->order, (int32_t)i + 1};
    if (at) qsort(sorted, at, sizeof(*sorted), by_place);

    for (size_t i = 0; i < n_tickets; i++) {
        const struct new_ticket *ticket = sorted[i].ticket;

        c->tier[i] = (int16_t)ticket->tier;
        c->order[i] = sorted[i].position;
        c->place[i] = ticket->place_no;
        c->id[i] = ticket->ticket_id;
        c->price[i] = ticket->price_minor;
        c->attendee[i] = ticket->attendee_id;
        c->name[i] = ticket->attendee_name;
        c->masked[i] = ticket->attendee_id_masked;
        c->person[i] = ticket->person;
    }
    return true;
}

static void add_params(tf_pg_params *params, const struct order_columns *o, size_t n, const struct ticket_columns *t,
                       size_t n_tickets)
{
    tf_pg_int2_array(params, o->bucket, n);
    tf_pg_int8_array(params, o->no, n);
    tf_pg_int2_array(params, o->kind, n);
    tf_pg_int8_array(params, o->show, n);
    tf_pg_int8_array(params, o->organiser, n);
    tf_pg_int8_array(params, o->user, n);
    tf_pg_text_array(params, o->request, n);
    tf_pg_text_array(params, o->body, n);
    tf_pg_int8_array(params, o->epoch, n);
    tf_pg_int4_array(params, o->terms, n);
    tf_pg_text_array(params, o->currency, n);
    tf_pg_int8_array(params, o->total, n);
    tf_pg_int2_array(params, o->tickets, n);
    tf_pg_bool_array(params, o->adjacent, n);
    tf_pg_int4_array(params, o->hold_s, n);
    tf_pg_int4_array(params, o->margin_s, n);
    tf_pg_text_array(params, o->trace, n);
    tf_pg_int8_array(params, o->event_id, n);
    tf_pg_bytes_array(params, o->event, n);
    tf_pg_int4_array(params, t->order, n_tickets);
    tf_pg_int4_array(params, t->place, n_tickets);
    tf_pg_int8_array(params, t->id, n_tickets);
    tf_pg_int2_array(params, t->tier, n_tickets);
    tf_pg_int8_array(params, t->price, n_tickets);
    tf_pg_int8_array(params, t->attendee, n_tickets);
    tf_pg_text_array(params, t->name, n_tickets);
    tf_pg_text_array(params, t->masked, n_tickets);
    tf_pg_text_array(params, t->person, n_tickets);
}

static tf_code read_answers(tf_ctx *ctx, const tf_pg_result *rows, size_t n, struct batch_answer *answers,
                            tf_time *ret_clock)
{
    size_t n_results, n_numbers, n_releases;
    const int64_t *results = tf_pg_get_int_array(ctx, rows, 0, 0, &n_results);
    const int64_t *numbers = tf_pg_get_int_array(ctx, rows, 0, 1, &n_numbers);
    const int64_t *releases = tf_pg_get_int_array(ctx, rows, 0, 2, &n_releases);

    if (n_results != n || n_numbers != n || n_releases != n || !results || !numbers || !releases)
        return tf_fail(ctx, TF_INTERNAL, "commit_orders answers %zu of %zu orders", n_results, n);
    for (size_t i = 0; i < n; i++) {
        TF_ASSERT(results[i] >= COMMIT_OK && results[i] <= COMMIT_CONFLICT);
        answers[i] = (struct batch_answer){(enum commit_result)results[i], numbers[i], releases[i]};
    }
    *ret_clock = tf_pg_get_time(rows, 0, 3);
    return TF_OK;
}

tf_code batch_commit(tf_ctx *ctx, tf_pg_conn *conn, struct commit_entry *const *entries, size_t n,
                     struct batch_answer *answers, tf_time *ret_clock)
{
    struct order_columns orders = {0};
    struct ticket_columns tickets = {0};
    size_t n_tickets = 0;
    tf_pg_params params;
    tf_pg_result *rows;
    tf_code code;

    for (size_t i = 0; i < n; i++)
        n_tickets += (size_t)entries[i]->order.n_tickets;
    if (!order_columns(ctx, &orders, entries, n) || !ticket_columns(ctx, &tickets, entries, n, n_tickets))
        return tf_fail(ctx, TF_INTERNAL, "no memory for a batch of %zu orders", n);

    tf_pg_params_init(&params, ctx);
    add_params(&params, &orders, n, &tickets, n_tickets);
    code = tf_pg_exec(conn, ctx, &commit_orders, &params, &rows);
    if (code) return code;

    return read_answers(ctx, rows, n, answers, ret_clock);
}
