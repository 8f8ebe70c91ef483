/* Rules that one statement in one database can tell. Each statement answers offenders as text; a second one counts what
 * was looked at. */
#include "tools/check/check.h"

#include <string.h>

static const struct {
    const char *name, *sentence;
    int db;
    struct tf_pg_stmt count, offenders;
} rules[] = {
    {"place_once",
     "no place is in two live tickets",
     DB_ORDER,
     {"count_live", "SELECT count(*) FROM tickets WHERE live", false},
     {"place_once",
      "SELECT format('show %s place %s: orders %s', show_id, place_no, string_agg(order_no::text, ', ')) FROM tickets "
      "WHERE live "
      "GROUP BY bucket, show_id, place_no HAVING count(*) > 1 LIMIT 1000",
      false}},
    {"ticket_of_live_order",
     "a ticket is live exactly while its order is pending or paid",
     DB_ORDER,
     {"count_tickets", "SELECT count(*) FROM tickets", false},
     {"ticket_of_live_order",
      "SELECT format('order %s (state %s) place %s: live is %s', o.order_no, o.state, t.place_no, t.live) FROM tickets "
      "t JOIN orders o USING (bucket, order_no) "
      "WHERE t.live <> (o.state IN (1, 2, 3)) AND o.state <> 3 LIMIT 1000",
      false}},
    {"order_has_its_tickets",
     "a pending or paid order has as many live tickets as it was made with",
     DB_ORDER,
     {"count_orders_live", "SELECT count(*) FROM orders WHERE state IN (1, 2)", false},
     {"order_has_its_tickets",
      "SELECT format('order %s: %s live tickets of %s', o.order_no, count(t.place_no), o.n_tickets) FROM orders o LEFT "
      "JOIN tickets t "
      "ON t.bucket = o.bucket AND t.order_no = o.order_no AND t.live WHERE o.state IN (1, 2) GROUP BY o.bucket, "
      "o.order_no, o.n_tickets "
      "HAVING count(t.place_no) <> o.n_tickets LIMIT 1000",
      false}},
    {"order_total",
     "an order's total is the sum of its tickets",
     DB_ORDER,
     {"count_orders_sale", "SELECT count(*) FROM orders WHERE kind = 1 AND state <> 9", false},
     {"order_total",
      "SELECT format('order %s: total %s, tickets %s', o.order_no, o.total_minor, sum(t.price_minor)) FROM orders o "
      "JOIN tickets t USING (bucket, order_no) "
      "WHERE o.kind = 1 AND o.state <> 9 GROUP BY o.bucket, o.order_no, o.total_minor HAVING sum(t.price_minor) <> "
      "o.total_minor LIMIT 1000",
      false}},
    {"person_limit",
     "no person has two live tickets of one show",
     DB_ORDER,
     {"count_persons", "SELECT count(*) FROM tickets WHERE live AND person IS NOT NULL", false},
     {"person_limit",
      "SELECT format('show %s person %s…: %s tickets', show_id, left(person, 8), count(*)) FROM tickets WHERE live AND "
      "person IS NOT NULL "
      "GROUP BY bucket, show_id, person HAVING count(*) > 1 LIMIT 1000",
      false}},
    {"hold_not_overdue",
     "no hold is older than its time and 5 s",
     DB_ORDER,
     {"count_pending", "SELECT count(*) FROM orders WHERE state = 1", false},
     {"hold_not_overdue",
      "SELECT format('order %s was to be released at %s', order_no, release_at) FROM orders WHERE state = 1 AND kind = "
      "1 AND release_at < clock_timestamp() - interval '5 s' LIMIT 1000",
      false}},
    {"settle_queue_moves",
     "no change waits longer than 60 s to reach Redis",
     DB_ORDER,
     {"count_settle_queue", "SELECT count(*) FROM settle_queue", false},
     {"settle_queue_moves",
      "SELECT format('order %s since %s', order_no, created_at) FROM settle_queue WHERE created_at < clock_timestamp() "
      "- interval '60 s' LIMIT 1000",
      false}},
    {"notifications_fit",
     "no notification contradicts the provider's books",
     DB_PAY,
     {"count_notifications", "SELECT count(*) FROM notification", false},
     {"notifications_fit",
      "SELECT format('payment %s: %s', payment_id, failure) FROM payment WHERE parked AND coalesce(parked_at, "
      "created_at) < "
      "clock_timestamp() - interval '5 min' LIMIT 1000",
      false}},
    {"refunds_decided",
     "no refund is parked longer than 5 minutes without an operator's decision",
     DB_PAY,
     {"count_refunds", "SELECT count(*) FROM refund", false},
     {"refunds_decided",
      "SELECT format('refund %s of order %s: %s', refund_id, order_no, cause) FROM refund WHERE state = 'PARKED' AND "
      "parked_at < clock_timestamp() - interval '5 min' LIMIT 1000",
      false}},
};

/* What is parked, by cause and age: notes of notifications_fit. */
static const struct tf_pg_stmt parked_list = {
    .name = "parked_list",
    .sql = "SELECT format('%s parked, %s %s, oldest %s s: %s', count(*), sum(amount), currency,"
           " round(extract(epoch FROM clock_timestamp() - min(since))), cause) FROM"
           " (SELECT coalesce(received_minor, amount_minor) AS amount, coalesce(received_currency, currency) AS"
           " currency, parked_at AS since, failure AS cause FROM payment WHERE parked UNION ALL"
           " SELECT amount_minor, currency, parked_at, 'refund: ' || cause FROM refund WHERE state = 'PARKED') p"
           " GROUP BY currency, cause ORDER BY min(since) LIMIT 32",
};

/* Rules of the platform's tables, in every database. */
static const struct tf_pg_stmt outbox_count = {"outbox_count", "SELECT count(*) FROM outbox", false};
static const struct tf_pg_stmt outbox_late = {
    "outbox_late",
    "SELECT format('event %s (topic %s) since %s', event_id, topic, created_at) FROM outbox WHERE sent_at IS NULL AND "
    "created_at < clock_timestamp() - interval '60 s' LIMIT 1000",
    false};
static const struct tf_pg_stmt dead_count = {"dead_count", "SELECT count(*) FROM dead_letter", false};
static const struct tf_pg_stmt dead_open = {
    "dead_open",
    "SELECT format('event %s (%s): %s', event_id, type, cause) FROM dead_letter WHERE resolved_at IS NULL OR "
    "coalesce(resolution, '') = '' LIMIT 1000",
    false};

static void run_rule(struct check *c, int db, const struct tf_pg_stmt *count, const struct tf_pg_stmt *offenders)
{
    tf_pg_result *r;

    check_reset(c);
    r = check_query(c, db, count, NULL);
    if (!r) return;
    rule_looked_at(tf_pg_get_int(r, 0, 0));
    r = check_query(c, db, offenders, NULL);
    if (!r) return;
    for (int i = 0; i < tf_pg_rows(r); i++)
        rule_offender("%s", tf_pg_get_text(r, i, 0));
}

static void note_parked(struct check *c)
{
    tf_pg_result *r = check_query(c, DB_PAY, &parked_list, NULL);

    for (int i = 0; r && i < tf_pg_rows(r); i++)
        rule_note("%s", tf_pg_get_text(r, i, 0));
}

void check_sql_rules(struct check *c)
{
    for (size_t i = 0; i < TF_COUNT(rules); i++) {
        rule_begin(rules[i].name, rules[i].sentence);
        run_rule(c, rules[i].db, &rules[i].count, &rules[i].offenders);
        if (strcmp(rules[i].name, "notifications_fit") == 0) note_parked(c);
    }
    rule_begin("events_sent", "no event waits longer than 60 s to be sent");
    for (int db = 0; db < DBS; db++)
        run_rule(c, db, &outbox_count, &outbox_late);
    rule_begin("no_dead_letters", "every dead letter is replayed or discarded with a reason");
    for (int db = 0; db < DBS; db++)
        run_rule(c, db, &dead_count, &dead_open);
}
