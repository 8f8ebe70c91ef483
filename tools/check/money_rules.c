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
static const struct tf_pg_stmt succeeded_among = {"check_succeeded",
                                                  "SELECT payment_id FROM payment WHERE (bucket, payment_id) IN "
                                                  "(SELECT (u & 1023)::int2, u FROM unnest($1::int8[]) u)"
                                                  " AND state = 3",
                                                  false};
static const struct tf_pg_stmt refunds_page = {
    "check_refunds",
    "SELECT refund_id, payment_id, amount_minor, state FROM refund WHERE refund_id > $1 ORDER BY refund_id LIMIT 5000",
    false};
static const struct tf_pg_stmt payment_by_ids = {
    "check_payment_by_ids",
    "SELECT payment_id, coalesce(decided_minor, amount_minor), state, parked, decided_currency IS NOT NULL FROM payment"
    " WHERE (bucket, payment_id) IN (SELECT (u & 1023)::int2, u FROM unnest($1::int8[]) u) ORDER BY payment_id",
    false};

enum { GRACE_S = 60, PAYMENT_SUCCEEDED = 3, CURRENCIES_MAX = 16, CHUNK = 5000 };

/* Charges of the provider's books that have money, by id. */
struct book_charge {
    int64_t id, amount, paid_ms;
    char currency[4];
};
static struct book_charge *charges;
static size_t n_charges;

/* Where the money of the books is, by currency. Underway: received so lately that order may not have decided yet. */
static struct sums {
    char currency[4];
    int64_t received, tickets, refunds, parked, underway;
} sums[CURRENCIES_MAX];

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static struct sums *sums_of(const char *currency)
{
    for (size_t i = 0; i < CURRENCIES_MAX; i++) {
        if (!sums[i].received) memcpy(sums[i].currency, currency, sizeof sums[i].currency);
        if (strcmp(sums[i].currency, currency) == 0) return &sums[i];
    }
    return NULL;
}

/* Puts a charge's money where order says it is; what is nowhere stays out of every sum but that of the received. */
static void sum_up(const struct book_charge *charge, bool parked, const tf_pg_result *r, int row)
{
    struct sums *s = sums_of(charge->currency);
    int64_t state = tf_pg_get_int(r, row, 1), back = 0;
    bool ticket = (state == 2 || state == 3) && tf_pg_get_int(r, row, 2) == charge->id;

    if (!s) return;
    s->received += charge->amount;
    if (!tf_pg_is_null(r, row, 4)) {
        back = tf_pg_get_int(r, row, 5);
        if (strcmp(tf_pg_get_text(r, row, 6), "PARKED") == 0)
            s->parked += back;
        else
            s->refunds += back;
    }
    if (ticket)
        s->tickets += charge->amount - back;
    else if (back)
        return;
    else if (parked)
        s->parked += charge->amount;
    else if (tf_now_us() / TF_US_PER_MS - charge->paid_ms < GRACE_S * 1000)
        s->underway += charge->amount;
}

static void note_sums(void)
{
    for (size_t i = 0; i < CURRENCIES_MAX && sums[i].received; i++)
        rule_note("%s: received %lld = paid tickets %lld + refunds %lld + parked %lld + under way %lld%s",
                  sums[i].currency, (long long)sums[i].received, (long long)sums[i].tickets, (long long)sums[i].refunds,
                  (long long)sums[i].parked, (long long)sums[i].underway,
                  sums[i].received == sums[i].tickets + sums[i].refunds + sums[i].parked + sums[i].underway
                      ? ""
                      : ": the sums differ");
}

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
        if (!pay || (n = tf_pg_rows(pay)) == 0) break;
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
        for (int i = 0; i < n && i < tf_pg_rows(order); i++) {
            const struct book_charge *charge =
                bsearch(&payments[i], charges, n_charges, sizeof *charges, compare_int64);
            bool parked = tf_pg_get_bool(pay, i, 4);

            if (charge) sum_up(charge, parked, order, i);
            if (tf_pg_get_int(pay, i, 3) != PAYMENT_SUCCEEDED) continue;
            rule_looked_at(1);
            place_money(payments[i], tf_pg_get_int(pay, i, 2), parked, tf_pg_get_int(pay, i, 5), order, i);
        }
    }
    note_sums();
}

/* ---- operators' decisions -----------------------------------------------------------------------------------------
 */

/* Each decision left its refund, of its amount, in a state to which it leads; money decided about has its decision. */
static const struct tf_pg_stmt decisions_offend = {
    .name = "check_decisions_offend",
    .sql = "SELECT format('decision %s (%s) on payment %s: refund %s is %s', d.decision_id,"
           " (ARRAY['REFUND', 'RETRY', 'SETTLED_ELSEWHERE'])[d.kind], d.payment_id, d.refund_id,"
           " coalesce(r.state || ' of ' || r.amount_minor || ' ' || r.currency, 'not there'))"
           " FROM money_decision d LEFT JOIN refund r ON r.bucket = d.bucket AND r.refund_id = d.refund_id"
           " WHERE d.refund_id <> 0 AND (r.refund_id IS NULL OR (r.amount_minor, r.currency) <> (d.amount_minor,"
           " d.currency) OR (d.kind = 3) AND r.state <> 'SETTLED')"
           " UNION ALL SELECT format('refund %s of payment %s is SETTLED and nobody decided so', r.refund_id, "
           "r.payment_id)"
           " FROM refund r WHERE r.state = 'SETTLED' AND NOT EXISTS (SELECT FROM money_decision d"
           " WHERE d.bucket = r.bucket AND d.refund_id = r.refund_id AND d.kind = 3)"
           " UNION ALL SELECT format('payment %s is decided about and nobody did', p.payment_id) FROM payment p"
           " WHERE p.decided_currency IS NOT NULL AND NOT EXISTS (SELECT FROM money_decision d"
           " WHERE d.bucket = p.bucket AND d.payment_id = p.payment_id AND NOT d.of_refund) LIMIT 1000",
};
static const struct tf_pg_stmt decisions_count = {"check_decisions", "SELECT count(*) FROM money_decision", false};
/* The newest, one by one: what was parked and why, for how long, and what became of it. */
static const struct tf_pg_stmt decisions_list = {
    .name = "check_decisions_list",
    .sql =
        "SELECT format('%s %s of order %s: %s %s, %s; parked for %s s, %s by user %s %s s ago: %s',"
        " CASE WHEN of_refund THEN 'refund' ELSE 'payment' END, CASE WHEN of_refund THEN refund_id ELSE payment_id END,"
        " order_no, amount_minor, currency, cause, round(extract(epoch FROM decided_at - parked_at)),"
        " (ARRAY['REFUND', 'RETRY', 'SETTLED_ELSEWHERE'])[kind], user_id,"
        " round(extract(epoch FROM clock_timestamp() - decided_at)), reason)"
        " FROM money_decision ORDER BY decision_id DESC LIMIT $1",
};

static void check_decisions(struct check *c)
{
    tf_pg_params p;
    tf_pg_result *r;

    rule_begin("decisions_stand", "every operator's decision on parked money is what became of it");
    check_reset(c);
    r = check_query(c, DB_PAY, &decisions_count, NULL);
    if (!r) return;
    rule_looked_at(tf_pg_get_int(r, 0, 0));
    r = check_query(c, DB_PAY, &decisions_offend, NULL);
    for (int i = 0; r && i < tf_pg_rows(r); i++)
        rule_offender("%s", tf_pg_get_text(r, i, 0));
    tf_pg_params_init(&p, &c->ctx);
    tf_pg_int4(&p, NOTES_MAX);
    r = check_query(c, DB_PAY, &decisions_list, &p);
    for (int i = 0; r && i < tf_pg_rows(r); i++)
        rule_note("%s", tf_pg_get_text(r, i, 0));
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

    if (!client) {
        rule_offender("could not be checked: no HTTP client");
        return NULL;
    }
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
    else if (!(books = tf_json_parse(c->ctx.arena, answer.body, answer.size, 8, &error)))
        rule_offender("the provider's books cannot be read: %s", error);
    tf_http_client_free(client);
    tf_wipe(&key, sizeof key);
    return books;
}

/* The charges with money, sorted. False: no memory. */
static bool load_charges(const tf_json *all)
{
    size_t n = tf_json_size(all);

    charges = calloc(n + 1, sizeof *charges);
    for (size_t i = 0; charges && i < n; i++) {
        const tf_json *j = tf_json_at(all, i);
        struct book_charge charge = {.amount = tf_json_int(tf_json_get(j, "received_minor"), -1),
                                     .paid_ms = tf_json_int(tf_json_get(j, "paid_ms"), 0)};

        if (strcmp(tf_json_string(tf_json_get(j, "state"), ""), "SUCCEEDED") != 0) continue;
        tf_parse_int64(tf_json_string(tf_json_get(j, "charge_id"), ""), &charge.id);
        snprintf(charge.currency, sizeof charge.currency, "%s", tf_json_string(tf_json_get(j, "currency"), ""));
        charges[n_charges++] = charge;
    }
    if (charges) qsort(charges, n_charges, sizeof *charges, compare_int64); /* the id is the first member */
    return charges != NULL;
}

static void compare_charge(const struct book_charge *charge, const tf_pg_result *r, int row)
{
    int64_t age_ms = tf_now_us() / TF_US_PER_MS - charge->paid_ms;

    if (row < 0)
        rule_offender("charge %lld: money at the provider, no payment here", (long long)charge->id);
    else if (tf_pg_get_int(r, row, 2) != PAYMENT_SUCCEEDED && !tf_pg_get_bool(r, row, 3) &&
             !tf_pg_get_bool(r, row, 4) && age_ms > GRACE_S * 1000)
        rule_offender("charge %lld: money at the provider for over a minute, payment state %lld here",
                      (long long)charge->id, (long long)tf_pg_get_int(r, row, 2));
    else if (tf_pg_get_int(r, row, 1) != charge->amount && !tf_pg_get_bool(r, row, 3))
        rule_offender("charge %lld: %lld at the provider, %lld here", (long long)charge->id, (long long)charge->amount,
                      (long long)tf_pg_get_int(r, row, 1));
}

/* Every charge of the books that has money is known to pay, with the same amount, or parked, or decided about. */
static void compare_charges(struct check *c)
{
    for (size_t from = 0; from < n_charges; from += CHUNK) {
        size_t n = TF_MIN((size_t)CHUNK, n_charges - from);
        int64_t *ids;
        tf_pg_params p;
        tf_pg_result *r;

        check_reset(c);
        ids = TF_NEW_ARRAY(c->ctx.arena, int64_t, n);
        for (size_t i = 0; i < n; i++)
            ids[i] = charges[from + i].id;
        tf_pg_params_init(&p, &c->ctx);
        tf_pg_int8_array(&p, ids, n);
        r = check_query(c, DB_PAY, &payment_by_ids, &p);
        if (!r) return;
        rule_looked_at((int64_t)n);
        for (size_t i = 0, row = 0; i < n; i++) { /* both by id */
            bool known = row < (size_t)tf_pg_rows(r) && tf_pg_get_int(r, (int)row, 0) == ids[i];

            compare_charge(&charges[from + i], r, known ? (int)row : -1);
            row += known;
        }
    }
}

/* Ids and amounts of the books' refunds, sorted by id. */
struct book_refund {
    int64_t id, amount;
};

static int compare_refund(const void *a, const void *b)
{
    return compare_int64(&((const struct book_refund *)a)->id, &((const struct book_refund *)b)->id);
}

/* pay's refunds that SUCCEEDED are exactly the provider's; those SETTLED by other means are none of them. */
static void compare_refunds(struct check *c, const tf_json *refunds)
{
    size_t n = tf_json_size(refunds), matched = 0;
    struct book_refund *sorted = calloc(n + 1, sizeof *sorted);
    int64_t last = 0;

    if (!sorted) {
        rule_offender("could not be checked: no memory");
        return;
    }
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
            bool settled = strcmp(tf_pg_get_text(r, i, 3), "SETTLED") == 0;

            matched += book != NULL;
            if (done && !book)
                rule_offender("refund %lld: SUCCEEDED here, unknown to the provider", (long long)key.id);
            else if (settled && book)
                rule_offender("refund %lld: settled elsewhere, and the provider paid back too", (long long)key.id);
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
    if (load_charges(tf_json_get(books, "charges")))
        compare_charges(c);
    else
        rule_offender("could not be checked: no memory");
    compare_refunds(c, tf_json_get(books, "refunds"));
    tf_json_free(books);
}

void check_money_rules(struct check *c)
{
    if (c->sandbox_url) check_books(c); /* first: the sums are those of the books */
    check_received(c);
    check_tickets_paid(c);
    check_decisions(c);
    free(charges);
}
