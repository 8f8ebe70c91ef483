/* Money: the provider's books against pay's rows against order's. Received = paid tickets + refunds + parked, payment
 * by payment. */
#include "tools/check/check.h"

#include "common/base/text.h"
#include "common/crypto/crypto.h"
#include "common/http/client.h"
#include "common/json/json.h"
#include "sandbox/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOOKS_MAX = 512 << 20 };

/* Payments that succeeded more than a minute ago: each must be exactly one of a paid order's, or refunded, or parked.
 */
static const struct tf_pg_stmt payments_page = {
    "check_payments",
    "SELECT payment_id, order_no, amount_minor, state, parked, coalesce(extract(epoch FROM clock_timestamp() - "
    "success_at), 0)::int8 FROM payment WHERE payment_id > $1 ORDER BY payment_id LIMIT 5000",
    false};
static const struct tf_pg_stmt order_side = {
    "check_order_side",
    "SELECT p.payment_id, o.state, o.payment_id, o.total_minor, r.refund_id, r.amount_minor, r.state "
    "FROM unnest($1::int8[], $2::int8[]) p(payment_id, order_no) "
    "LEFT JOIN orders o ON o.bucket = (p.order_no & 1023)::int2 AND o.order_no = p.order_no "
    "LEFT JOIN refund_due r ON r.bucket = (p.payment_id & 1023)::int2 AND r.payment_id = p.payment_id ORDER BY "
    "p.payment_id",
    false};
static const struct tf_pg_stmt paid_orders = {"check_paid_orders",
                                              "SELECT order_no, payment_id, total_minor FROM orders WHERE state IN (2, "
                                              "3) AND order_no > $1 ORDER BY order_no LIMIT 5000",
                                              false};
static const struct tf_pg_stmt succeeded_among = {
    "check_succeeded", "SELECT payment_id, amount_minor FROM payment WHERE payment_id = ANY($1) AND state = 3", false};
static const struct tf_pg_stmt refunds_page = {
    "check_refunds",
    "SELECT refund_id, payment_id, amount_minor, state FROM refund WHERE refund_id > $1 ORDER BY refund_id LIMIT 5000",
    false};
static const struct tf_pg_stmt payment_by_ids = {
    "check_payment_by_ids", "SELECT payment_id, amount_minor, state, parked FROM payment WHERE payment_id = ANY($1)",
    false};

enum { GRACE_S = 60, PAYMENT_SUCCEEDED = 3 };

/* One payment that brought money: where is it? */
static void place_money(int64_t payment_id, int64_t amount, bool parked, int64_t age_s, const tf_pg_result *r, int row)
{
    bool order_known = !tf_pg_is_null(r, row, 1), refunded = !tf_pg_is_null(r, row, 4);
    int64_t state = tf_pg_get_int(r, row, 1);
    bool ticket = order_known && !tf_pg_is_null(r, row, 2) && tf_pg_get_int(r, row, 2) == payment_id &&
                  (state == 2 || state == 3);

    if (ticket && refunded && tf_pg_get_int(r, row, 5) >= amount)
        rule_offender("payment %lld: both a ticket and a whole refund", (long long)payment_id);
    else if (!ticket && !refunded && !parked && age_s > GRACE_S)
        rule_offender("payment %lld of %lld: neither ticket nor refund after %lld s", (long long)payment_id,
                      (long long)amount, (long long)age_s);
    else if (ticket && tf_pg_get_int(r, row, 3) != amount)
        rule_offender("payment %lld: paid %lld for an order of %lld", (long long)payment_id, (long long)amount,
                      (long long)tf_pg_get_int(r, row, 3));
}

static void check_received(struct check *c)
{
    int64_t last = 0;

    rule_begin("money_in_one_place", "each payment received is exactly one of ticket, refund, parked");
    for (;;) {
        tf_pg_result *pay, *order;
        int64_t *payments, *orders;
        tf_pg_params p;
        int n;

        check_reset(c);
        tf_pg_params_init(&p, &c->ctx);
        tf_pg_int8(&p, last);
        pay = check_query(c, DB_PAY, &payments_page, &p);
        if (!pay || (n = tf_pg_rows(pay)) == 0) return;
        payments = TF_NEW_ARRAY(c->ctx.arena, int64_t, (size_t)n);
        orders = TF_NEW_ARRAY(c->ctx.arena, int64_t, (size_t)n);
        for (int i = 0; i < n; i++) {
            payments[i] = last = tf_pg_get_int(pay, i, 0);
            orders[i] = tf_pg_get_int(pay, i, 1);
        }
        tf_pg_params_init(&p, &c->ctx);
        tf_pg_int8_array(&p, payments, (size_t)n);
        tf_pg_int8_array(&p, orders, (size_t)n);
        order = check_query(c, DB_ORDER, &order_side, &p);
        if (!order) return;
        for (int i = 0; i < n && i < tf_pg_rows(order); i++)
            if (tf_pg_get_int(pay, i, 3) == PAYMENT_SUCCEEDED) {
                rule_looked_at(1);
                place_money(payments[i], tf_pg_get_int(pay, i, 2), tf_pg_get_bool(pay, i, 4), tf_pg_get_int(pay, i, 5),
                            order, i);
            }
    }
}

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void check_tickets_paid(struct check *c)
{
    int64_t last = 0;

    rule_begin("no_ticket_without_money", "every paid order has its payment");
    for (;;) {
        tf_pg_result *order, *pay;
        int64_t *ids, *paid;
        tf_pg_params p;
        int n, m;

        check_reset(c);
        tf_pg_params_init(&p, &c->ctx);
        tf_pg_int8(&p, last);
        order = check_query(c, DB_ORDER, &paid_orders, &p);
        if (!order || (n = tf_pg_rows(order)) == 0) return;
        rule_looked_at(n);
        last = tf_pg_get_int(order, n - 1, 0);
        ids = TF_NEW_ARRAY(c->ctx.arena, int64_t, (size_t)n);
        for (int i = 0; i < n; i++)
            ids[i] = tf_pg_get_int(order, i, 1);
        tf_pg_params_init(&p, &c->ctx);
        tf_pg_int8_array(&p, ids, (size_t)n);
        pay = check_query(c, DB_PAY, &succeeded_among, &p);
        if (!pay) return;
        m = tf_pg_rows(pay);
        paid = TF_NEW_ARRAY(c->ctx.arena, int64_t, (size_t)m);
        for (int i = 0; i < m; i++)
            paid[i] = tf_pg_get_int(pay, i, 0);
        qsort(paid, (size_t)m, sizeof *paid, compare_int64);
        for (int i = 0; i < n; i++)
            if (!bsearch(&ids[i], paid, (size_t)m, sizeof *paid, compare_int64))
                rule_offender("order %lld is paid by payment %lld, which brought no money",
                              (long long)tf_pg_get_int(order, i, 0), (long long)ids[i]);
    }
}

/* ---- the provider's books -----------------------------------------------------------------------------------------
 */

static tf_json *fetch_books(struct check *c)
{
    struct sandbox_key key;
    struct tf_http_header header = {"Sandbox-Signature", NULL};
    struct tf_http_call call = {
        .method = "GET", .headers = &header, .n_headers = 1, .answer_max = BOOKS_MAX, .idempotent = true};
    struct tf_http_answer answer;
    tf_http_client *client = tf_http_client_new();
    tf_json *books = NULL;
    const char *error;
    tf_code code;

    call.url = tf_arena_printf(c->ctx.arena, "%s/books", c->sandbox_url);
    code = tf_key_read(&c->ctx, c->sandbox_key_file, 32, key.bytes, sizeof key.bytes, &key.size);
    if (!code) {
        header.value = sandbox_sign(c->ctx.arena, &key, tf_now_us() / TF_US_PER_S, "GET /books\n", "", 0);
        code = tf_http_perform(&c->ctx, client, &call, &answer);
    }
    if (code)
        rule_failed(c, "the provider's books");
    else if (answer.status != 200)
        rule_offender("the provider's books answered %d", answer.status);
    else
        books = tf_json_parse(c->ctx.arena, answer.body, answer.size, 8, &error);
    tf_http_client_free(client);
    return books;
}

/* A charge of the books that has money must be known to pay with the same amount. */
static void compare_charge(struct check *c, const tf_json *charge)
{
    int64_t id = 0, amount = tf_json_int(tf_json_get(charge, "amount_minor"), -1);
    tf_pg_params p;
    tf_pg_result *r;

    if (strcmp(tf_json_string(tf_json_get(charge, "state"), ""), "SUCCEEDED") != 0) return;
    rule_looked_at(1);
    tf_parse_int64(tf_json_string(tf_json_get(charge, "charge_id"), ""), &id);
    tf_pg_params_init(&p, &c->ctx);
    tf_pg_int8_array(&p, &id, 1);
    r = check_query(c, DB_PAY, &payment_by_ids, &p);
    if (!r) return;
    if (tf_pg_rows(r) == 0)
        rule_offender("charge %lld: money at the provider, no payment here", (long long)id);
    else if (tf_pg_get_int(r, 0, 2) != PAYMENT_SUCCEEDED && !tf_pg_get_bool(r, 0, 3) &&
             tf_now_us() / TF_US_PER_MS - tf_json_int(tf_json_get(charge, "paid_ms"), 0) > 60000)
        rule_offender("charge %lld: money at the provider for over a minute, payment state %lld here", (long long)id,
                      (long long)tf_pg_get_int(r, 0, 2));
    else if (tf_pg_get_int(r, 0, 1) != amount)
        rule_offender("charge %lld: %lld at the provider, %lld here", (long long)id, (long long)amount,
                      (long long)tf_pg_get_int(r, 0, 1));
}

/* Ids and amounts of the books' refunds, sorted by id. */
struct book_refund {
    int64_t id, amount;
};

static int compare_refund(const void *a, const void *b)
{
    return compare_int64(&((const struct book_refund *)a)->id, &((const struct book_refund *)b)->id);
}

/* pay's refunds that SUCCEEDED are exactly the provider's. */
static void compare_refunds(struct check *c, const tf_json *refunds)
{
    size_t n = tf_json_size(refunds), matched = 0;
    struct book_refund *sorted = calloc(n + 1, sizeof *sorted);
    int64_t last = 0;

    if (!sorted) return;
    for (size_t i = 0; i < n; i++) {
        tf_parse_int64(tf_json_string(tf_json_get(tf_json_at(refunds, i), "refund_id"), ""), &sorted[i].id);
        sorted[i].amount = tf_json_int(tf_json_get(tf_json_at(refunds, i), "amount_minor"), -1);
    }
    qsort(sorted, n, sizeof *sorted, compare_refund);
    for (;;) {
        tf_pg_params p;
        tf_pg_result *r;
        int rows;

        check_reset(c);
        tf_pg_params_init(&p, &c->ctx);
        tf_pg_int8(&p, last);
        r = check_query(c, DB_PAY, &refunds_page, &p);
        if (!r || (rows = tf_pg_rows(r)) == 0) break;
        rule_looked_at(rows);
        for (int i = 0; i < rows; i++) {
            struct book_refund key = {last = tf_pg_get_int(r, i, 0), 0},
                               *book = bsearch(&key, sorted, n, sizeof *sorted, compare_refund);
            bool done = strcmp(tf_pg_get_text(r, i, 3), "SUCCEEDED") == 0;

            matched += book != NULL;
            if (done && !book)
                rule_offender("refund %lld: SUCCEEDED here, unknown to the provider", (long long)key.id);
            else if (book && book->amount != tf_pg_get_int(r, i, 2))
                rule_offender("refund %lld: %lld at the provider, %lld here", (long long)key.id,
                              (long long)book->amount, (long long)tf_pg_get_int(r, i, 2));
        }
    }
    if (matched < n) rule_offender("%zu refunds at the provider are unknown here", n - matched);
    free(sorted);
}

static void check_books(struct check *c)
{
    tf_json *books;

    rule_begin("books_of_the_provider", "the provider's charges and refunds are ours");
    check_reset(c);
    books = fetch_books(c);
    if (!books) return;
    for (size_t i = 0; i < tf_json_size(tf_json_get(books, "charges")); i++) {
        check_reset(c);
        compare_charge(c, tf_json_at(tf_json_get(books, "charges"), i));
    }
    compare_refunds(c, tf_json_get(books, "refunds"));
    tf_json_free(books);
}

void check_money_rules(struct check *c)
{
    check_received(c);
    check_tickets_paid(c);
    if (c->sandbox_url) check_books(c);
}
