/* Payments: SQL. */
#include "services/pay/store/payments.h"

#include "common/base/chaos.h"
#include "common/chassis/history.h"
#include "common/crypto/crypto.h"
#include "common/rpc/pb_time.h"
#include "services/pay/domain/settle.h"
#include "ticketflow/pay/v1/events.tf.h"

#include <string.h>

#define COLUMNS                                                                                                        \
    "payment_id, order_no, user_id, organiser_id, amount_minor, request_id, method, currency, subject, pay_url, "      \
    "provider_no, failure, state, parked, created_at, expires_at, success_at, queries, park_confirmed, "               \
    "park_revision, "                                                                                                  \
    "parked_at, received_minor, received_currency, decided_minor, decided_currency"

#define NOT_PARKED                                                                                                     \
    "parked = false, parked_at = NULL, park_confirmed = false, received_minor = NULL, received_currency = NULL"
#define PARKED_THE_SAME                                                                                                \
    "(parked AND received_minor IS NOT DISTINCT FROM $5 AND received_currency IS NOT DISTINCT FROM $6)"

static const struct tf_pg_stmt insert_payment = {
    .name = "insert_payment",
    .sql = "WITH made AS (INSERT INTO payment (bucket, payment_id, order_no, user_id, organiser_id, request_id, "
           "method, currency,"
           " amount_minor, state, subject, created_at, expires_at, next_query_at)"
           " SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14"
           " WHERE (SELECT count(*) FROM payment WHERE bucket = $1 AND order_no = $3) < $15"
           " ON CONFLICT (bucket, order_no, user_id, request_id) DO NOTHING RETURNING bucket, order_no)"
           " INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)"
           " SELECT made.bucket, made.order_no, $16, $17, $18, $19, $20, jsonb_object($21) FROM made",
    .writes = true,
};
static const struct tf_pg_stmt by_key = {
    .name = "payment_by_key",
    .sql = "SELECT " COLUMNS " FROM payment"
           " WHERE bucket = $1 AND order_no = $2 AND user_id = $3 AND request_id = $4",
};
static const struct tf_pg_stmt by_id = {
    .name = "payment_by_id",
    .sql = "SELECT " COLUMNS " FROM payment WHERE bucket = $1 AND payment_id = $2",
};
static const struct tf_pg_stmt lock_by_id = {
    .name = "payment_lock",
    .sql = "SELECT " COLUMNS " FROM payment WHERE bucket = $1 AND payment_id = $2 FOR NO KEY UPDATE",
    .writes = true,
};
static const struct tf_pg_stmt of_order = {
    .name = "payments_of_order",
    .sql = "SELECT " COLUMNS " FROM payment WHERE bucket = $1 AND order_no = $2 AND user_id = $3"
           " ORDER BY payment_id LIMIT 200",
};
static const struct tf_pg_stmt opened = {
    .name = "payment_opened",
    .sql = "UPDATE payment SET state = 2, pay_url = $3, provider_no = $4"
           " WHERE bucket = $1 AND payment_id = $2 AND state = 1",
    .writes = true,
};
static const struct tf_pg_stmt succeed = {
    .name = "payment_succeed",
    .sql = "UPDATE payment SET state = 3, success_at = $3, provider_no = coalesce($4, provider_no),"
           " next_query_at = NULL, failure = NULL, " NOT_PARKED " WHERE bucket = $1 AND payment_id = $2 AND state <> 3",
    .writes = true,
};
static const struct tf_pg_stmt finish = {
    .name = "payment_finish",
    .sql = "UPDATE payment SET state = $3, failure = $4, next_query_at = NULL, " NOT_PARKED
           " WHERE bucket = $1 AND payment_id = $2 AND state IN (1, 2)",
    .writes = true,
};
static const struct tf_pg_stmt park = {
    .name = "payment_park",
    .sql = "UPDATE payment SET parked = true, parked_at = coalesce(parked_at, $7), received_minor = $5,"
           " received_currency = $6, failure = $3, next_query_at = $4,"
           " park_revision = park_revision + (NOT " PARKED_THE_SAME ")::int,"
           " park_confirmed = $8 OR (" PARKED_THE_SAME " AND park_confirmed)"
           " WHERE bucket = $1 AND payment_id = $2 AND state <> 3",
    .writes = true,
};
static const struct tf_pg_stmt clear = {
    .name = "payment_clear",
    .sql = "UPDATE payment SET " NOT_PARKED ", failure = CASE WHEN decided_currency IS NOT NULL THEN failure END,"
           " next_query_at = CASE WHEN state IN (1, 2) THEN next_query_at END"
           " WHERE bucket = $1 AND payment_id = $2 AND parked",
    .writes = true,
};
static const struct tf_pg_stmt hurry = {
    .name = "payment_hurry",
    .sql = "UPDATE payment SET expires_at = least(expires_at, $3), next_query_at = $3"
           " WHERE bucket = $1 AND order_no = $2 AND state IN (1, 2) AND payment_id <> $4",
    .writes = true,
};
static const struct tf_pg_stmt store_notice = {
    .name = "store_notification",
    .sql = "INSERT INTO notification (bucket, payment_id, digest, channel, body, outcome, received_at, process, trace)"
           " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
           " ON CONFLICT (bucket, payment_id, digest) DO UPDATE SET copies = notification.copies + 1",
    .writes = true,
};
/* The pause before the next question is as long as the payment has waited, within bounds, so that it doubles; it starts
 * anew at the end, when closing is urgent: the places are released soon after. */
static const struct tf_pg_stmt claim = {
    .name = "payment_claim",
    .sql = "UPDATE payment p SET queries = queries + 1, next_query_at = least("
           "$1 + greatest($3, least(60000, extract(epoch FROM $1 -"
           " CASE WHEN expires_at <= $1 THEN expires_at ELSE created_at END) * 1000)) * interval '1 ms',"
           " CASE WHEN expires_at > $1 THEN expires_at END)"
           " FROM (SELECT bucket, payment_id FROM payment WHERE next_query_at <= $1"
           " ORDER BY next_query_at LIMIT $2 FOR UPDATE SKIP LOCKED) due(due_bucket, due_id)"
           " WHERE p.bucket = due_bucket AND p.payment_id = due_id RETURNING " COLUMNS,
    .writes = true,
};

static int16_t bucket_of(int64_t id)
{
    return (int16_t)tf_id_bucket(id);
}

static void read_row(const tf_pg_result *r, int row, struct payment *p)
{
    *p = (struct payment){
        .payment_id = tf_pg_get_int(r, row, 0),
        .order_no = tf_pg_get_int(r, row, 1),
        .user_id = tf_pg_get_int(r, row, 2),
        .organiser_id = tf_pg_get_int(r, row, 3),
        .amount_minor = tf_pg_get_int(r, row, 4),
        .request_id = tf_pg_get_text(r, row, 5),
        .method = tf_pg_get_text(r, row, 6),
        .currency = tf_pg_get_text(r, row, 7),
        .subject = tf_pg_get_text(r, row, 8),
        .pay_url = tf_pg_get_text(r, row, 9),
        .provider_no = tf_pg_get_text(r, row, 10),
        .failure = tf_pg_get_text(r, row, 11),
        .state = (PaymentState)tf_pg_get_int(r, row, 12),
        .parked = tf_pg_get_bool(r, row, 13),
        .created_at = tf_pg_get_time(r, row, 14),
        .expires_at = tf_pg_get_time(r, row, 15),
        .success_at = tf_pg_get_time(r, row, 16),
        .queries = (int)tf_pg_get_int(r, row, 17),
        .park_confirmed = tf_pg_get_bool(r, row, 18),
        .park_revision = (int)tf_pg_get_int(r, row, 19),
        .parked_at = tf_pg_get_time(r, row, 20),
        .received_minor = tf_pg_get_int(r, row, 21),
        .received_currency = tf_pg_get_text(r, row, 22),
        .decided_minor = tf_pg_get_int(r, row, 23),
        .decided_currency = tf_pg_get_text(r, row, 24),
    };
}

static void key_params(tf_pg_params *p, tf_ctx *ctx, int64_t payment_id)
{
    tf_pg_params_init(p, ctx);
    tf_pg_int2(p, bucket_of(payment_id));
    tf_pg_int8(p, payment_id);
}

/* ---- history ------------------------------------------------------------------------------------------------------
 */

/* What every entry about a payment says, and what this one says besides (as tf_history.facts). */
static void fill_entry(tf_ctx *ctx, struct tf_history *entry, const struct payment *a, const char *kind, tf_time at,
                       const char *const *more)
{
    const char *own[] = {"payment_id",   tf_history_int(ctx, a->payment_id),   "method",   a->method,
                         "amount_minor", tf_history_int(ctx, a->amount_minor), "currency", a->currency};
    const char **facts = TF_NEW_ARRAY(ctx->arena, const char *, 2 * TF_HISTORY_FACTS_MAX + 1);
    size_t n = 0;

    for (size_t i = 0; facts && i < TF_COUNT(own); i++)
        facts[n++] = own[i];
    for (; facts && *more; more += 2) {
        facts[n++] = more[0];
        facts[n++] = more[1];
    }
    entry->order_no = a->order_no;
    entry->kind = kind;
    entry->at = at;
    entry->facts = facts ? facts : more;
}

static const char *const none[] = {NULL};

static tf_code put_entry(tf_ctx *ctx, tf_pg_conn *conn, struct tf_history *entry, const struct payment *a,
                         const char *kind, tf_time at, const char *const *more)
{
    fill_entry(ctx, entry, a, kind, at, more);
    return tf_history_put(ctx, conn, entry);
}

/* An entry that no event tells. */
static tf_code note(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *a, const char *kind, tf_time at,
                    const char *const *more)
{
    struct tf_history entry = {0};

    return put_entry(ctx, conn, &entry, a, kind, at, more);
}

static tf_code history_params(tf_ctx *ctx, tf_pg_params *p, const struct payment *a, const char *kind, tf_time at,
                              const char *const *more)
{
    struct tf_history entry = {0};

    fill_entry(ctx, &entry, a, kind, at, more);
    return tf_history_params(ctx, p, &entry);
}

tf_code payment_insert(tf_ctx *ctx, const struct payment *a, struct payment *ret_payment)
{
    tf_pg_params p;
    tf_code code;

    key_params(&p, ctx, a->payment_id);
    tf_pg_int8(&p, a->order_no);
    tf_pg_int8(&p, a->user_id);
    tf_pg_int8(&p, a->organiser_id);
    tf_pg_text(&p, a->request_id);
    tf_pg_text(&p, a->method);
    tf_pg_text(&p, a->currency);
    tf_pg_int8(&p, a->amount_minor);
    tf_pg_int2(&p, (int16_t)a->state);
    tf_pg_text(&p, a->subject);
    tf_pg_time(&p, a->created_at);
    tf_pg_time(&p, a->expires_at);
    tf_pg_time(&p, TF_MIN(a->created_at + pay_config.query_after_ms * TF_US_PER_MS, a->expires_at));
    tf_pg_int8(&p, pay_config.attempts_max);
    code = history_params(ctx, &p, a, "payment.created", a->created_at, (const char *[]){"key", a->request_id, NULL});
    if (code) return code;

    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &insert_payment, &p, NULL);
    if (code) return code;

    code = payment_of_key(ctx, a->order_no, a->user_id, a->request_id, ret_payment);
    if (code != TF_NOT_FOUND) return code;

    tf_error_clear(ctx);
    tf_fail(ctx, TF_LIMIT_EXCEEDED, "attempts of one order");
    tf_error_param(ctx, "limit", "PAYMENT_ATTEMPTS");
    tf_error_param(ctx, "max", "%lld", (long long)pay_config.attempts_max);
    return TF_LIMIT_EXCEEDED;
}

tf_code payment_of_key(tf_ctx *ctx, int64_t order_no, int64_t user_id, const char *request_id,
                       struct payment *ret_payment)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int2(&p, bucket_of(order_no));
    tf_pg_int8(&p, order_no);
    tf_pg_int8(&p, user_id);
    tf_pg_text(&p, request_id);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &by_key, &p, &r);
    if (code) return code;
    if (tf_pg_rows(r) == 0) return tf_fail(ctx, TF_NOT_FOUND, "no payment of this key");
    read_row(r, 0, ret_payment);
    return TF_OK;
}

tf_code payment_find(tf_ctx *ctx, int64_t payment_id, int64_t order_no, int64_t user_id, struct payment *ret_payment)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    key_params(&p, ctx, payment_id);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &by_id, &p, &r);
    if (code) return code;
    if (tf_pg_rows(r) == 0) return tf_fail(ctx, TF_NOT_FOUND, "no such payment");
    read_row(r, 0, ret_payment);
    if (user_id && (ret_payment->order_no != order_no || ret_payment->user_id != user_id))
        return tf_fail(ctx, TF_NOT_FOUND, "another's payment");
    return TF_OK;
}

static tf_code read_rows(tf_ctx *ctx, const tf_pg_result *r, struct payment **ret_payments, size_t *ret_n)
{
    *ret_n = (size_t)tf_pg_rows(r);
    *ret_payments = TF_NEW_ARRAY(ctx->arena, struct payment, *ret_n);
    if (!*ret_payments) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (size_t i = 0; i < *ret_n; i++)
        read_row(r, (int)i, &(*ret_payments)[i]);
    return TF_OK;
}

tf_code payment_list(tf_ctx *ctx, int64_t order_no, int64_t user_id, struct payment **ret_payments, size_t *ret_n)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int2(&p, bucket_of(order_no));
    tf_pg_int8(&p, order_no);
    tf_pg_int8(&p, user_id);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &of_order, &p, &r);
    if (code) return code;

    return read_rows(ctx, r, ret_payments, ret_n);
}

tf_code payment_lock(tf_ctx *ctx, tf_pg_conn *conn, int64_t payment_id, struct payment *ret_payment)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    key_params(&p, ctx, payment_id);
    code = tf_pg_exec(conn, ctx, &lock_by_id, &p, &r);
    if (code) return code;
    if (tf_pg_rows(r) == 0) return tf_fail(ctx, TF_NOT_FOUND, "no such payment");
    read_row(r, 0, ret_payment);
    return TF_OK;
}

tf_code payment_hurry(tf_ctx *ctx, tf_pg_conn *conn, int64_t order_no, int64_t except_payment_id)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int2(&p, bucket_of(order_no));
    tf_pg_int8(&p, order_no);
    tf_pg_time(&p, ctx->clock->wall_us(ctx->clock));
    tf_pg_int8(&p, except_payment_id);
    return tf_pg_exec(conn, ctx, &hurry, &p, NULL);
}

/* ---- events -------------------------------------------------------------------------------------------------------
 */

/* The event and its entry; at: of the event, which a provider may date back. */
static tf_code tell(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *a, const char *type, tf_time at,
                    const char *const *more)
{
    PaymentChanged message = PaymentChanged_init;
    struct tf_event event = {.bucket = bucket_of(a->payment_id),
                             .topic = "payment",
                             .type = type,
                             .version = 1,
                             .aggregate_id = a->order_no,
                             .organiser_id = a->organiser_id};
    struct tf_history entry;
    tf_code code;

    message.payment_id = a->payment_id;
    message.order_no = a->order_no;
    message.method = tf_arena_strdup(ctx->arena, a->method);
    message.currency = tf_arena_strdup(ctx->arena, a->currency);
    message.amount_minor = a->amount_minor;
    message.time = tf_pb_time(ctx->arena, at);
    event.payload = tf_pb_pack(ctx->arena, &message.base, &event.size);
    if (!event.payload) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    code = tf_app_id(ctx, ctx->app, event.bucket, &event.event_id);
    if (code) return code;

    code = tf_outbox_put(ctx, conn, &event);
    if (code) return code;

    entry = (struct tf_history){.event_id = event.event_id, .told = true};
    return put_entry(ctx, conn, &entry, a, type, ctx->clock->wall_us(ctx->clock), more);
}

tf_code payment_event_put(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *a, const char *type, tf_time at)
{
    return tell(ctx, conn, a, type, at, none);
}

static tf_code put_notice(tf_ctx *ctx, tf_pg_conn *conn, const struct payment_word *word, const char *outcome,
                          tf_time now)
{
    unsigned char digest[TF_SHA256_BYTES];
    tf_pg_params p;

    if (!word->channel) return TF_OK;
    tf_sha256(word->body, word->size, digest);
    key_params(&p, ctx, word->payment_id);
    tf_pg_bytes(&p, digest, sizeof digest);
    tf_pg_text(&p, word->channel);
    tf_pg_bytes(&p, word->body, word->size);
    tf_pg_text(&p, outcome);
    tf_pg_time(&p, now);
    tf_pg_text(&p, tf_app_instance(ctx->app));
    tf_pg_text(&p, ctx->request_id);
    return tf_pg_exec(conn, ctx, &store_notice, &p, NULL);
}

static tf_code do_open(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *a, const struct charge_answer *answer,
                       tf_time now)
{
    tf_pg_params p;
    tf_code code;

    key_params(&p, ctx, a->payment_id);
    tf_pg_text(&p, answer->pay_url);
    tf_pg_text(&p, answer->provider_no);
    code = tf_pg_exec(conn, ctx, &opened, &p, NULL);
    if (code) return code;

    return note(ctx, conn, a, "payment.opened", now, (const char *[]){"provider_no", answer->provider_no, NULL});
}

static tf_code do_succeed(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *a, const struct charge_answer *answer,
                          tf_time now)
{
    tf_pg_params p;
    tf_code code;

    key_params(&p, ctx, a->payment_id);
    tf_pg_time(&p, answer->paid_at ? answer->paid_at : now);
    tf_pg_text(&p, answer->provider_no);
    code = tf_pg_exec(conn, ctx, &succeed, &p, NULL);
    if (code) return code;

    return tell(ctx, conn, a, "payment.succeeded", answer->paid_at ? answer->paid_at : now,
                (const char *[]){"provider_no", answer->provider_no, NULL});
}

static const char never_heard[] = "the provider never heard of this payment", no_money[] = "ended without money";

static tf_code do_finish(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *a, PaymentState state, tf_time now)
{
    bool failed = state == PAYMENT_STATE_FAILED;
    tf_pg_params p;
    tf_code code;

    key_params(&p, ctx, a->payment_id);
    tf_pg_int2(&p, (int16_t)state);
    tf_pg_text(&p, failed ? never_heard : no_money);
    code = tf_pg_exec(conn, ctx, &finish, &p, NULL);
    if (code) return code;

    return tell(ctx, conn, a, failed ? "payment.failed" : "payment.closed", now,
                (const char *[]){"cause", failed ? never_heard : no_money, NULL});
}

/* A notification with a wrong amount may be a fault of its own, so the provider is asked at once; what its books say
 * decides, and only that is told. */
static tf_code do_park(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *a, const struct payment_word *word,
                       tf_time now)
{
    bool confirmed = !word->channel;
    bool told = a->park_confirmed && a->received_minor == word->answer->amount_minor && a->received_currency &&
                strcmp(a->received_currency, word->answer->currency) == 0;
    tf_pg_params p;
    tf_code code;

    key_params(&p, ctx, a->payment_id);
    tf_pg_text(&p, "money of another amount or currency");
    tf_pg_time(&p, word->channel ? now : INT64_MIN);
    tf_pg_int8(&p, word->answer->amount_minor);
    tf_pg_text(&p, word->answer->currency);
    tf_pg_time(&p, now);
    tf_pg_bool(&p, confirmed);
    code = tf_pg_exec(conn, ctx, &park, &p, NULL);
    if (code || !confirmed || told) return code;

    return tell(ctx, conn, a, "payment.parked", now,
                (const char *[]){"received_minor", tf_history_int(ctx, word->answer->amount_minor), "received_currency",
                                 word->answer->currency, "provider_no", word->answer->provider_no, NULL});
}

/* What was told as parked is told to be as it was before. */
static tf_code do_clear(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *a, tf_time now)
{
    tf_pg_params p;
    tf_code code;

    key_params(&p, ctx, a->payment_id);
    code = tf_pg_exec(conn, ctx, &clear, &p, NULL);
    if (code || !a->park_confirmed) return code;

    return payment_event_put(ctx, conn, a,
                             a->state == PAYMENT_STATE_CLOSED   ? "payment.closed"
                             : a->state == PAYMENT_STATE_FAILED ? "payment.failed"
                                                                : "payment.waiting",
                             now);
}

static tf_code move(tf_ctx *ctx, tf_pg_conn *conn, const struct payment *a, const struct payment_word *word,
                    enum payment_move move, tf_time now)
{
    switch (move) {
    case MOVE_OPEN:
        return do_open(ctx, conn, a, word->answer, now);
    case MOVE_SUCCEED:
        return do_succeed(ctx, conn, a, word->answer, now);
    case MOVE_CLOSE:
        return do_finish(ctx, conn, a, PAYMENT_STATE_CLOSED, now);
    case MOVE_FAIL:
        return do_finish(ctx, conn, a, PAYMENT_STATE_FAILED, now);
    case MOVE_MISMATCH:
        return do_park(ctx, conn, a, word, now);
    case MOVE_CLEAR:
        return do_clear(ctx, conn, a, now);
    case MOVE_NONE:
        return TF_OK;
    }
    return TF_OK;
}

struct application {
    const struct payment_word *word;
    struct payment *payment;
};

/* The row's lock makes reading, deciding and writing one step; whoever comes second finds the first one's outcome. */
static tf_code apply_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct application *a = arg;
    const struct charge_answer *answer = a->word->answer;
    enum word_source source = a->word->channel ? WORD_OF_NOTIFICATION : WORD_OF_BOOKS;
    tf_time now = ctx->clock->wall_us(ctx->clock);
    struct payment_facts facts;
    enum payment_move decided;
    const char *outcome;
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    code = payment_lock(ctx, conn, a->word->payment_id, a->payment);
    if (code) return code;
    if (a->word->channel && strcmp(a->word->channel, a->payment->method) != 0)
        return tf_fail(ctx, TF_NOT_FOUND, "a notification by %s of a payment by %s", a->word->channel,
                       a->payment->method);

    facts = (struct payment_facts){.state = a->payment->state,
                                   .amount_minor = a->payment->amount_minor,
                                   .currency = a->payment->currency,
                                   .over = now >= a->payment->expires_at,
                                   .parked = a->payment->parked,
                                   .decided_minor = a->payment->decided_minor,
                                   .decided_currency = a->payment->decided_currency};
    decided = payment_decide(&facts, source, (int)answer->outcome, answer->amount_minor, answer->currency);
    code = move(ctx, conn, a->payment, a->word, decided, now);
    if (code) return code;

    outcome = decided == MOVE_NONE ? "REPEATED" : "APPLIED";
    if (source == WORD_OF_NOTIFICATION && !payment_fits(&facts, answer->amount_minor, answer->currency))
        outcome = "MISMATCH";
    code = put_notice(ctx, conn, a->word, outcome, now);
    if (code) return code;

    key_params(&p, ctx, a->word->payment_id);
    code = tf_pg_exec(conn, ctx, &by_id, &p, &r);
    if (code) return code;

    read_row(r, 0, a->payment);
    TF_KILL_POINT(pay_word_written);
    return TF_OK;
}

tf_code payment_apply(tf_ctx *ctx, const struct payment_word *word, struct payment *ret_payment)
{
    struct application a = {.word = word, .payment = ret_payment};
    tf_code code;

    code = tf_pg_tx(ctx, tf_app_pg(ctx->app), apply_in_tx, &a);
    if (code) return code;

    tf_bus_wake(tf_app_bus(ctx->app));
    return TF_OK;
}

tf_code payment_claim(tf_ctx *ctx, tf_time now, int n, struct payment **ret_payments, size_t *ret_n)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_time(&p, now);
    tf_pg_int4(&p, n);
    tf_pg_int8(&p, pay_config.query_after_ms);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &claim, &p, &r);
    if (code) return code;

    return read_rows(ctx, r, ret_payments, ret_n);
}
