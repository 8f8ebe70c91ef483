/* Refunds: SQL. */
#include "services/pay/store/refunds.h"

#include "common/base/log.h"
#include "common/chassis/history.h"
#include "common/rpc/pb_time.h"
#include "ticketflow/pay/v1/events.tf.h"

#include <inttypes.h>
#include <stdio.h>

/* The payment of a refund row, and the currency of the money that it brought. */
#define PAYMENT_OF(refund) "p.bucket = (" refund ".payment_id & 1023)::int2 AND p.payment_id = " refund ".payment_id"
#define PAID_CURRENCY      "coalesce(p.decided_currency, p.currency)"

static const struct tf_pg_stmt insert_refund = {
    "insert_refund",
    "INSERT INTO refund (bucket, refund_id, payment_id, order_no, organiser_id, currency, amount_minor, reason, "
    "requested_at, next_try_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT (bucket, refund_id) DO NOTHING",
    true};
static const struct tf_pg_stmt claim = {
    .name = "refund_claim",
    .sql = "UPDATE refund r SET attempts = attempts + 1,"
           " next_try_at = $1 + least(60000, 1000 * 2 ^ least(attempts, 10)) * interval '1 ms'"
           " FROM (SELECT bucket, refund_id FROM refund WHERE next_try_at <= $1"
           " ORDER BY next_try_at LIMIT $2 FOR UPDATE SKIP LOCKED) due"
           " LEFT JOIN LATERAL (SELECT p.method, " PAID_CURRENCY " AS currency FROM refund d JOIN payment p"
           " ON " PAYMENT_OF("d") " WHERE d.bucket = due.bucket AND d.refund_id = due.refund_id) paid ON true"
                                  " WHERE r.bucket = due.bucket AND r.refund_id = due.refund_id"
                                  " RETURNING r.refund_id, r.payment_id, r.order_no, r.organiser_id, r.amount_minor, "
                                  "r.attempts, r.currency,"
                                  " paid.method, paid.currency",
    .writes = true,
};
static const struct tf_pg_stmt find = {
    .name = "refund_find",
    .sql = "SELECT r.refund_id, r.payment_id, r.order_no, r.organiser_id, r.amount_minor, r.attempts, r.currency,"
           " p.method, " PAID_CURRENCY
           " FROM refund r LEFT JOIN payment p ON " PAYMENT_OF("r") " WHERE r.bucket = $1 AND r.refund_id = $2",
};
/* Also from PARKED: the provider's word that it paid back is its last. */
static const struct tf_pg_stmt succeeded = {
    .name = "refund_succeeded",
    .sql =
        "UPDATE refund SET state = 'SUCCEEDED', succeeded_at = $3, next_try_at = NULL, cause = NULL, parked_at = NULL"
        " WHERE bucket = $1 AND refund_id = $2 AND state IN ('PROCESSING', 'PARKED')",
    .writes = true,
};
static const struct tf_pg_stmt parked = {
    .name = "refund_parked",
    .sql = "UPDATE refund SET state = 'PARKED', cause = $4, parked_at = $3, next_try_at = NULL,"
           " park_revision = park_revision + 1 WHERE bucket = $1 AND refund_id = $2 AND state = 'PROCESSING'",
    .writes = true,
};
static const struct tf_pg_stmt is_settled = {
    .name = "refund_is_settled",
    .sql = "SELECT state = 'SETTLED' FROM refund WHERE bucket = $1 AND refund_id = $2",
};

static void key_params(tf_pg_params *p, tf_ctx *ctx, int64_t refund_id)
{
    tf_pg_params_init(p, ctx);
    tf_pg_int2(p, (int16_t)tf_id_bucket(refund_id));
    tf_pg_int8(p, refund_id);
}

static void read_row(const tf_pg_result *r, int row, struct refund *ret_refund)
{
    *ret_refund = (struct refund){
        .refund_id = tf_pg_get_int(r, row, 0),
        .payment_id = tf_pg_get_int(r, row, 1),
        .order_no = tf_pg_get_int(r, row, 2),
        .organiser_id = tf_pg_get_int(r, row, 3),
        .amount_minor = tf_pg_get_int(r, row, 4),
        .attempts = (int)tf_pg_get_int(r, row, 5),
        .currency = tf_pg_get_text(r, row, 6),
        .method = tf_pg_get_text(r, row, 7),
        .payment_currency = tf_pg_get_text(r, row, 8),
    };
}

/* The entry in the order's history: what the news say of the refund. */
static tf_code note(tf_ctx *ctx, tf_pg_conn *conn, const struct refund *refund, const struct tf_history *about,
                    const struct refund_news *news)
{
    struct tf_history entry = *about;
    const char *facts[] = {"refund_id",
                           tf_history_int(ctx, refund->refund_id),
                           "payment_id",
                           tf_history_int(ctx, refund->payment_id),
                           "amount_minor",
                           tf_history_int(ctx, refund->amount_minor),
                           "currency",
                           refund->currency,
                           "attempts",
                           refund->attempts ? tf_history_int(ctx, refund->attempts) : NULL,
                           "reason",
                           news->reason,
                           "cause",
                           news->cause,
                           "note",
                           news->note,
                           NULL};

    entry.order_no = refund->order_no;
    entry.facts = facts;
    return tf_history_put(ctx, conn, &entry);
}

tf_code refund_request(tf_ctx *ctx, tf_pg_conn *conn, const RefundRequested *request)
{
    const struct refund refund = {.refund_id = request->refund_id,
                                  .payment_id = request->payment_id,
                                  .order_no = request->order_no,
                                  .amount_minor = request->amount_minor,
                                  .currency = request->currency};
    tf_time now = ctx->clock->wall_us(ctx->clock);
    tf_pg_result *r;
    tf_pg_params p;
    tf_code code;

    key_params(&p, ctx, request->refund_id);
    tf_pg_int8(&p, request->payment_id);
    tf_pg_int8(&p, request->order_no);
    tf_pg_int8(&p, request->organiser_id);
    tf_pg_text(&p, request->currency);
    tf_pg_int8(&p, request->amount_minor);
    tf_pg_text(&p, request->reason);
    tf_pg_time(&p, now);
    code = tf_pg_exec(conn, ctx, &insert_refund, &p, &r);
    if (code || tf_pg_affected(r) == 0) return code;

    return note(ctx, conn, &refund, &(struct tf_history){.kind = "refund.accepted", .at = now},
                &(struct refund_news){.reason = request->reason});
}

tf_code refund_claim(tf_ctx *ctx, tf_time now, int n, struct refund **ret_refunds, size_t *ret_n)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_time(&p, now);
    tf_pg_int4(&p, n);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &claim, &p, &r);
    if (code) return code;

    *ret_n = (size_t)tf_pg_rows(r);
    *ret_refunds = TF_NEW_ARRAY(ctx->arena, struct refund, *ret_n);
    if (!*ret_refunds) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (size_t i = 0; i < *ret_n; i++)
        read_row(r, (int)i, &(*ret_refunds)[i]);
    return TF_OK;
}

tf_code refund_find(tf_ctx *ctx, int64_t refund_id, struct refund *ret_refund)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    key_params(&p, ctx, refund_id);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &find, &p, &r);
    if (code) return code;
    if (tf_pg_rows(r) == 0) return tf_fail(ctx, TF_NOT_FOUND, "no such refund");
    read_row(r, 0, ret_refund);
    return TF_OK;
}

struct change {
    const struct refund *refund;
    const char *cause; /* NULL: succeeded */
};

tf_code refund_event_put(tf_ctx *ctx, tf_pg_conn *conn, const struct refund *refund, const struct refund_news *news,
                         tf_time now)
{
    RefundChanged message = RefundChanged_init;
    struct tf_event event = {
        .bucket = tf_id_bucket(refund->refund_id),
        .topic = "payment",
        .type = news->type,
        .version = 1,
        .aggregate_id = refund->order_no,
        .organiser_id = refund->organiser_id,
    };
    tf_code code;

    message.refund_id = refund->refund_id;
    message.payment_id = refund->payment_id;
    message.order_no = refund->order_no;
    message.amount_minor = refund->amount_minor;
    message.time = tf_pb_time(ctx->arena, now);
    message.cause = tf_arena_strdup(ctx->arena, news->cause ? news->cause : "");
    message.currency = tf_arena_strdup(ctx->arena, refund->currency);
    message.reason = tf_arena_strdup(ctx->arena, news->reason ? news->reason : "");
    message.note = tf_arena_strdup(ctx->arena, news->note ? news->note : "");
    event.payload = tf_pb_pack(ctx->arena, &message.base, &event.size);
    if (!event.payload) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    code = tf_app_id(ctx, ctx->app, event.bucket, &event.event_id);
    if (code) return code;

    code = tf_outbox_put(ctx, conn, &event);
    if (code) return code;

    return note(ctx, conn, refund,
                &(struct tf_history){.event_id = event.event_id, .told = true, .kind = news->type, .at = now}, news);
}

/* The row was not as expected: somebody else was first. That money went back twice, by the provider and by an
 * operator's other means, is the one case to cry out about; ./ticketflow check names it too. */
static tf_code meet_settled(tf_ctx *ctx, tf_pg_conn *conn, const struct refund *refund)
{
    char id[24];
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    key_params(&p, ctx, refund->refund_id);
    code = tf_pg_exec(conn, ctx, &is_settled, &p, &r);
    if (code) return code;

    snprintf(id, sizeof id, "%" PRId64, refund->refund_id);
    if (tf_pg_rows(r) && tf_pg_get_bool(r, 0, 0))
        tf_log(TF_LOG_ERROR, "the provider paid back what an operator had settled elsewhere", "refund_id", id, NULL);
    return TF_OK;
}

static tf_code change_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    const struct change *c = arg;
    const struct refund_news news = {.type = c->cause ? "refund.failed" : "refund.succeeded", .cause = c->cause};
    tf_time now = ctx->clock->wall_us(ctx->clock);
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    key_params(&p, ctx, c->refund->refund_id);
    tf_pg_time(&p, now);
    if (c->cause) tf_pg_text(&p, c->cause);
    code = tf_pg_exec(conn, ctx, c->cause ? &parked : &succeeded, &p, &r);
    if (code) return code;

    if (tf_pg_affected(r)) return refund_event_put(ctx, conn, c->refund, &news, now);
    return c->cause ? TF_OK : meet_settled(ctx, conn, c->refund);
}

static tf_code change(tf_ctx *ctx, const struct refund *refund, const char *cause)
{
    struct change c = {.refund = refund, .cause = cause};
    tf_code code = tf_pg_tx(ctx, tf_app_pg(ctx->app), change_in_tx, &c);

    if (code) return code;
    tf_bus_wake(tf_app_bus(ctx->app));
    return TF_OK;
}

tf_code refund_succeeded(tf_ctx *ctx, const struct refund *refund)
{
    return change(ctx, refund, NULL);
}

tf_code refund_park(tf_ctx *ctx, const struct refund *refund, const char *cause)
{
    return change(ctx, refund, cause);
}
