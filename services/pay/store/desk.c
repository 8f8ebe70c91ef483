/* The money desk: SQL. */
#include "services/pay/store/desk.h"

#include "common/chassis/history.h"
#include "services/pay/store/payments.h"
#include "services/pay/store/refunds.h"

#include <inttypes.h>
#include <string.h>

/* What was received and has not been given back, nor is on its way. */
#define NOT_GIVEN_BACK                                                                                                 \
    "coalesce(p.received_minor, 0) - coalesce((SELECT sum(g.amount_minor) FROM refund g"                               \
    " WHERE g.bucket = p.bucket AND g.payment_id = p.payment_id AND g.currency = p.received_currency), 0)::int8"

static const struct tf_pg_stmt select_parked = {
    .name = "desk_parked",
    .sql =
        "SELECT payment_id, refund_id, order_no, organiser_id, amount, asked, currency, asked_currency, method,"
        " cause, since, revision, confirmed FROM ("
        "(SELECT p.payment_id, 0::int8 AS refund_id, p.order_no, p.organiser_id, " NOT_GIVEN_BACK " AS amount,"
        "  p.amount_minor AS asked, p.received_currency AS currency, p.currency AS asked_currency, p.method,"
        "  p.failure AS cause, p.parked_at AS since, p.park_revision AS revision, p.park_confirmed AS confirmed,"
        "  p.payment_id AS id"
        "  FROM payment p WHERE p.parked AND ($1 = 0 OR p.organiser_id = $1)"
        "  AND (p.parked_at, p.payment_id) > ($2::timestamptz, $3::int8) ORDER BY p.parked_at, p.payment_id LIMIT $4)"
        " UNION ALL "
        "(SELECT r.payment_id, r.refund_id, r.order_no, r.organiser_id, r.amount_minor,"
        "  p.amount_minor, r.currency, p.currency, p.method,"
        "  r.cause, r.parked_at, r.park_revision, true, r.refund_id"
        "  FROM refund r LEFT JOIN payment p ON p.bucket = (r.payment_id & 1023)::int2"
        "  AND p.payment_id = r.payment_id WHERE r.state = 'PARKED' AND ($1 = 0 OR r.organiser_id = $1)"
        "  AND (r.parked_at, r.refund_id) > ($2::timestamptz, $3::int8) ORDER BY r.parked_at, r.refund_id LIMIT $4)"
        ") parked ORDER BY since, id LIMIT $4",
};

#define DECISION_COLUMNS                                                                                               \
    "decision_id, payment_id, refund_id, order_no, organiser_id, amount_minor, user_id, kind, of_refund, currency, "   \
    "cause, reason, reference, parked_at, decided_at"

static const struct tf_pg_stmt select_decisions = {
    .name = "desk_decisions",
    .sql = "SELECT " DECISION_COLUMNS " FROM money_decision WHERE ($1 = 0 OR organiser_id = $1) AND decision_id < $2"
           " ORDER BY decision_id DESC LIMIT $3",
};
static const struct tf_pg_stmt by_key = {
    .name = "desk_by_key",
    .sql = "SELECT " DECISION_COLUMNS " FROM money_decision WHERE bucket = $1 AND user_id = $2 AND request_id = $3",
};
static const struct tf_pg_stmt insert_decision = {
    .name = "desk_insert",
    .sql = "INSERT INTO money_decision (bucket, " DECISION_COLUMNS ", request_id)"
           " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    .writes = true,
};
static const struct tf_pg_stmt left_of_payment = {
    .name = "desk_left",
    .sql = "SELECT " NOT_GIVEN_BACK " FROM payment p WHERE p.bucket = $1 AND p.payment_id = $2",
};
/* The attempt ends, if it had not: its money never pays the order. */
static const struct tf_pg_stmt decide_payment = {
    .name = "desk_decide_payment",
    .sql =
        "UPDATE payment SET parked = false, parked_at = NULL, park_confirmed = false, decided_minor = received_minor,"
        " decided_currency = received_currency, received_minor = NULL, received_currency = NULL,"
        " state = CASE WHEN state IN (1, 2) THEN 4 ELSE state END, next_query_at = NULL,"
        " failure = 'money of another amount or currency, given back'"
        " WHERE bucket = $1 AND payment_id = $2 AND parked",
    .writes = true,
};
static const struct tf_pg_stmt insert_refund = {
    .name = "desk_refund",
    .sql = "INSERT INTO refund (bucket, refund_id, payment_id, order_no, organiser_id, currency, amount_minor, reason,"
           " state, requested_at, next_try_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    .writes = true,
};
static const struct tf_pg_stmt lock_refund = {
    .name = "desk_lock_refund",
    .sql = "SELECT payment_id, order_no, organiser_id, amount_minor, currency, state, cause, parked_at, park_revision,"
           " reason"
           " FROM refund WHERE bucket = $1 AND refund_id = $2 FOR NO KEY UPDATE",
    .writes = true,
};
static const struct tf_pg_stmt retry_refund = {
    .name = "desk_retry",
    .sql = "UPDATE refund SET state = 'PROCESSING', attempts = 0, cause = NULL, parked_at = NULL, next_try_at = $3"
           " WHERE bucket = $1 AND refund_id = $2 AND state = 'PARKED'",
    .writes = true,
};
static const struct tf_pg_stmt settle_refund = {
    .name = "desk_settle",
    .sql = "UPDATE refund SET state = 'SETTLED', succeeded_at = $3, cause = NULL, parked_at = NULL, next_try_at = NULL"
           " WHERE bucket = $1 AND refund_id = $2 AND state = 'PARKED'",
    .writes = true,
};

/* Why a decision on a payment gives money back, as order words it. */
#define REASON "WRONG_AMOUNT"

/* Of payments and refunds of pay's own making alike: ids carry the bucket of their order. */
static void key_params(tf_pg_params *p, tf_ctx *ctx, int64_t id)
{
    tf_pg_params_init(p, ctx);
    tf_pg_int2(p, (int16_t)tf_id_bucket(id));
    tf_pg_int8(p, id);
}

tf_code desk_parked(tf_ctx *ctx, int64_t scope, const struct parked_position *after, int n,
                    struct parked_money **ret_parked, size_t *ret_n)
{
    struct parked_money *out;
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, scope);
    tf_pg_time(&p, after->parked_at);
    tf_pg_int8(&p, after->id);
    tf_pg_int4(&p, n);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &select_parked, &p, &r);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(r);
    *ret_parked = out = TF_NEW_ARRAY(ctx->arena, struct parked_money, *ret_n);
    if (!out) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (int i = 0; i < (int)*ret_n; i++)
        out[i] = (struct parked_money){
            .payment_id = tf_pg_get_int(r, i, 0),
            .refund_id = tf_pg_get_int(r, i, 1),
            .order_no = tf_pg_get_int(r, i, 2),
            .organiser_id = tf_pg_get_int(r, i, 3),
            .amount_minor = tf_pg_get_int(r, i, 4),
            .asked_minor = tf_pg_get_int(r, i, 5),
            .currency = tf_pg_get_text(r, i, 6),
            .asked_currency = tf_pg_get_text(r, i, 7),
            .method = tf_pg_get_text(r, i, 8),
            .cause = tf_pg_get_text(r, i, 9),
            .parked_at = tf_pg_get_time(r, i, 10),
            .revision = (int)tf_pg_get_int(r, i, 11),
            .confirmed = tf_pg_get_bool(r, i, 12),
        };
    return TF_OK;
}

static void read_decision(const tf_pg_result *r, int row, struct money_decision *d)
{
    *d = (struct money_decision){
        .decision_id = tf_pg_get_int(r, row, 0),
        .payment_id = tf_pg_get_int(r, row, 1),
        .refund_id = tf_pg_get_int(r, row, 2),
        .order_no = tf_pg_get_int(r, row, 3),
        .organiser_id = tf_pg_get_int(r, row, 4),
        .amount_minor = tf_pg_get_int(r, row, 5),
        .user_id = tf_pg_get_int(r, row, 6),
        .kind = (DecisionKind)tf_pg_get_int(r, row, 7),
        .of_refund = tf_pg_get_bool(r, row, 8),
        .currency = tf_pg_get_text(r, row, 9),
        .cause = tf_pg_get_text(r, row, 10),
        .reason = tf_pg_get_text(r, row, 11),
        .reference = tf_pg_get_text(r, row, 12),
        .parked_at = tf_pg_get_time(r, row, 13),
        .decided_at = tf_pg_get_time(r, row, 14),
    };
}

tf_code desk_decisions(tf_ctx *ctx, int64_t scope, int64_t before, int n, struct money_decision **ret_decisions,
                       size_t *ret_n)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, scope);
    tf_pg_int8(&p, before);
    tf_pg_int4(&p, n);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &select_decisions, &p, &r);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(r);
    *ret_decisions = TF_NEW_ARRAY(ctx->arena, struct money_decision, *ret_n);
    if (!*ret_decisions) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (size_t i = 0; i < *ret_n; i++)
        read_decision(r, (int)i, &(*ret_decisions)[i]);
    return TF_OK;
}

static void by_key_params(tf_pg_params *p, tf_ctx *ctx, const struct desk_request *request)
{
    tf_pg_params_init(p, ctx);
    tf_pg_int2(p, (int16_t)tf_id_bucket(request->id));
    tf_pg_int8(p, ctx->identity.user_id);
    tf_pg_text(p, request->request_id);
}

static tf_code read_own(tf_ctx *ctx, const struct desk_request *request, const tf_pg_result *r, bool *ret_found,
                        struct money_decision *d)
{
    *ret_found = tf_pg_rows(r) > 0;
    if (!*ret_found) return TF_OK;
    read_decision(r, 0, d);
    if (d->of_refund != request->of_refund || (d->of_refund ? d->refund_id : d->payment_id) != request->id ||
        d->kind != request->kind || strcmp(d->reason, request->reason) != 0 ||
        strcmp(d->reference, request->reference) != 0)
        return tf_fail(ctx, TF_KEY_REUSED, "the key made another decision");
    return TF_OK;
}

tf_code desk_find(tf_ctx *ctx, const struct desk_request *request, bool *ret_found, struct money_decision *ret_decision)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    by_key_params(&p, ctx, request);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &by_key, &p, &r);
    return code ? code : read_own(ctx, request, r, ret_found, ret_decision);
}

/* A decision under way: what is asked, and the row that becomes of it. */
struct deciding {
    const struct desk_request *request;
    struct money_decision *decision;
    tf_time now;
};

static tf_code find_again(tf_ctx *ctx, tf_pg_conn *conn, const struct deciding *d, bool *ret_found)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    by_key_params(&p, ctx, d->request);
    code = tf_pg_exec(conn, ctx, &by_key, &p, &r);
    return code ? code : read_own(ctx, d->request, r, ret_found, d->decision);
}

/* The entry is not, or no longer, what the operator saw. */
static tf_code not_as_seen(tf_ctx *ctx, const char *state, int revision)
{
    tf_fail(ctx, TF_STATE_WRONG, "the entry is %s, revision %d", state, revision);
    tf_error_param(ctx, "state", "%s", state);
    tf_error_param(ctx, "revision", "%d", revision);
    return TF_STATE_WRONG;
}

/* Its entry in the order's history. */
static tf_code note_decision(tf_ctx *ctx, tf_pg_conn *conn, const struct money_decision *m)
{
    static const char *const kinds[] = {[DECISION_KIND_REFUND] = "REFUND",
                                        [DECISION_KIND_RETRY] = "RETRY",
                                        [DECISION_KIND_SETTLED_ELSEWHERE] = "SETTLED_ELSEWHERE"};
    const char *facts[] = {"decision",
                           kinds[m->kind],
                           "decision_id",
                           tf_history_int(ctx, m->decision_id),
                           "payment_id",
                           tf_history_int(ctx, m->payment_id),
                           "refund_id",
                           m->refund_id ? tf_history_int(ctx, m->refund_id) : NULL,
                           "amount_minor",
                           tf_history_int(ctx, m->amount_minor),
                           "currency",
                           m->currency,
                           "cause",
                           m->cause,
                           "reason",
                           m->reason,
                           "reference",
                           m->reference,
                           "by_user_id",
                           tf_history_int(ctx, m->user_id),
                           NULL};

    return tf_history_put(
        ctx, conn,
        &(struct tf_history){.order_no = m->order_no, .kind = "money.decided", .at = m->decided_at, .facts = facts});
}

static tf_code put_decision(tf_ctx *ctx, tf_pg_conn *conn, const struct deciding *d)
{
    struct money_decision *m = d->decision;
    tf_pg_params p;
    tf_code code;

    m->kind = d->request->kind;
    m->of_refund = d->request->of_refund;
    m->reason = d->request->reason;
    m->reference = d->request->reference;
    m->user_id = ctx->identity.user_id;
    m->decided_at = d->now;
    code = tf_app_id(ctx, ctx->app, tf_id_bucket(d->request->id), &m->decision_id);
    if (code) return code;

    key_params(&p, ctx, m->decision_id);
    tf_pg_int8(&p, m->payment_id);
    tf_pg_int8(&p, m->refund_id);
    tf_pg_int8(&p, m->order_no);
    tf_pg_int8(&p, m->organiser_id);
    tf_pg_int8(&p, m->amount_minor);
    tf_pg_int8(&p, m->user_id);
    tf_pg_int2(&p, (int16_t)m->kind);
    tf_pg_bool(&p, m->of_refund);
    tf_pg_text(&p, m->currency);
    tf_pg_text(&p, m->cause);
    tf_pg_text(&p, m->reason);
    tf_pg_text(&p, m->reference);
    tf_pg_time(&p, m->parked_at);
    tf_pg_time(&p, m->decided_at);
    tf_pg_text(&p, d->request->request_id);
    code = tf_pg_exec(conn, ctx, &insert_decision, &p, NULL);
    return code ? code : note_decision(ctx, conn, m);
}

static struct refund refund_of(const struct money_decision *m)
{
    return (struct refund){.refund_id = m->refund_id,
                           .payment_id = m->payment_id,
                           .order_no = m->order_no,
                           .organiser_id = m->organiser_id,
                           .amount_minor = m->amount_minor,
                           .currency = m->currency};
}

static tf_code tell_started(tf_ctx *ctx, tf_pg_conn *conn, const struct deciding *d, const char *reason)
{
    const struct refund refund = refund_of(d->decision);
    const struct refund_news news = {.type = "refund.started", .reason = reason, .note = d->request->reason};

    return refund_event_put(ctx, conn, &refund, &news, d->now);
}

static tf_code tell_succeeded(tf_ctx *ctx, tf_pg_conn *conn, const struct deciding *d)
{
    const struct refund refund = refund_of(d->decision);
    const struct refund_news news = {.type = "refund.succeeded"};

    return refund_event_put(ctx, conn, &refund, &news, d->now);
}

/* The refund that gives a parked payment's money back: by the provider, or already by other means. */
static tf_code make_refund(tf_ctx *ctx, tf_pg_conn *conn, const struct deciding *d)
{
    struct money_decision *m = d->decision;
    bool elsewhere = d->request->kind == DECISION_KIND_SETTLED_ELSEWHERE;
    tf_pg_params p;
    tf_code code;

    code = tf_app_id(ctx, ctx->app, tf_id_bucket(m->order_no), &m->refund_id);
    if (code) return code;

    key_params(&p, ctx, m->refund_id);
    tf_pg_int8(&p, m->payment_id);
    tf_pg_int8(&p, m->order_no);
    tf_pg_int8(&p, m->organiser_id);
    tf_pg_text(&p, m->currency);
    tf_pg_int8(&p, m->amount_minor);
    tf_pg_text(&p, REASON);
    tf_pg_text(&p, elsewhere ? "SETTLED" : "PROCESSING");
    tf_pg_time(&p, d->now);
    tf_pg_time(&p, elsewhere ? INT64_MIN : d->now);
    code = tf_pg_exec(conn, ctx, &insert_refund, &p, NULL);
    if (!code) code = tell_started(ctx, conn, d, REASON);
    if (!code && elsewhere) code = tell_succeeded(ctx, conn, d);
    return code;
}

static tf_code on_payment(tf_ctx *ctx, tf_pg_conn *conn, const struct deciding *d)
{
    static const char *const states[] = {"UNKNOWN", "CREATED", "PROCESSING", "SUCCEEDED", "FAILED", "CLOSED"};
    struct money_decision *m = d->decision;
    struct payment payment;
    tf_pg_params p;
    tf_pg_result *r;
    bool found;
    tf_code code;

    code = payment_lock(ctx, conn, d->request->id, &payment);
    if (!code) code = find_again(ctx, conn, d, &found);
    if (code || found) return code;
    if (!payment.parked || payment.park_revision != d->request->revision)
        return not_as_seen(ctx,
                           payment.parked                             ? "PARKED"
                           : (size_t)payment.state < TF_COUNT(states) ? states[payment.state]
                                                                      : "UNKNOWN",
                           payment.park_revision);

    key_params(&p, ctx, payment.payment_id);
    code = tf_pg_exec(conn, ctx, &left_of_payment, &p, &r);
    if (code) return code;
    *m = (struct money_decision){.payment_id = payment.payment_id,
                                 .order_no = payment.order_no,
                                 .organiser_id = payment.organiser_id,
                                 .amount_minor = tf_pg_get_int(r, 0, 0),
                                 .currency = payment.received_currency ? payment.received_currency : "",
                                 .cause = payment.failure ? payment.failure : "",
                                 .parked_at = payment.parked_at};
    if (!desk_allows(false, m->amount_minor, d->request->kind))
        return not_as_seen(ctx, "GIVEN_BACK", payment.park_revision);

    key_params(&p, ctx, payment.payment_id);
    code = tf_pg_exec(conn, ctx, &decide_payment, &p, NULL);
    if (!code)
        code = payment_event_put(ctx, conn, &payment,
                                 payment.state == PAYMENT_STATE_CLOSED ? "payment.closed" : "payment.failed", d->now);
    if (!code && m->amount_minor > 0) code = make_refund(ctx, conn, d);
    return code ? code : put_decision(ctx, conn, d);
}

static tf_code on_refund(tf_ctx *ctx, tf_pg_conn *conn, const struct deciding *d)
{
    struct money_decision *m = d->decision;
    bool retry = d->request->kind == DECISION_KIND_RETRY, found;
    const char *state;
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    key_params(&p, ctx, d->request->id);
    code = tf_pg_exec(conn, ctx, &lock_refund, &p, &r);
    if (code) return code;
    if (tf_pg_rows(r) == 0) return tf_fail(ctx, TF_NOT_FOUND, "no such refund");
    code = find_again(ctx, conn, d, &found);
    if (code || found) return code;

    state = tf_pg_get_text(r, 0, 5);
    if (strcmp(state, "PARKED") != 0 || tf_pg_get_int(r, 0, 8) != d->request->revision)
        return not_as_seen(ctx, state, (int)tf_pg_get_int(r, 0, 8));
    *m = (struct money_decision){.refund_id = d->request->id,
                                 .payment_id = tf_pg_get_int(r, 0, 0),
                                 .order_no = tf_pg_get_int(r, 0, 1),
                                 .organiser_id = tf_pg_get_int(r, 0, 2),
                                 .amount_minor = tf_pg_get_int(r, 0, 3),
                                 .currency = tf_pg_get_text(r, 0, 4),
                                 .cause = tf_pg_get_text(r, 0, 6),
                                 .parked_at = tf_pg_get_time(r, 0, 7)};

    key_params(&p, ctx, d->request->id);
    tf_pg_time(&p, d->now);
    code = tf_pg_exec(conn, ctx, retry ? &retry_refund : &settle_refund, &p, NULL);
    if (!code) code = retry ? tell_started(ctx, conn, d, tf_pg_get_text(r, 0, 9)) : tell_succeeded(ctx, conn, d);
    return code ? code : put_decision(ctx, conn, d);
}

static tf_code decide_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct deciding *d = arg;

    d->now = ctx->clock->wall_us(ctx->clock);
    return d->request->of_refund ? on_refund(ctx, conn, d) : on_payment(ctx, conn, d);
}

tf_code desk_decide(tf_ctx *ctx, const struct desk_request *request, struct money_decision *ret_decision)
{
    struct deciding d = {.request = request, .decision = ret_decision};
    tf_code code = tf_pg_tx(ctx, tf_app_pg(ctx->app), decide_in_tx, &d);

    if (code) return code;
    tf_bus_wake(tf_app_bus(ctx->app));
    return TF_OK;
}
