/* Refunds: SQL. */
#include "services/pay/store/refunds.h"

#include "common/rpc/pb_time.h"
#include "ticketflow/pay/v1/events.tf.h"

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
           " LEFT JOIN LATERAL (SELECT p.method, p.currency FROM refund d JOIN payment p"
           " ON p.bucket = (d.payment_id & 1023)::int2 AND p.payment_id = d.payment_id"
           " WHERE d.bucket = due.bucket AND d.refund_id = due.refund_id) paid ON true"
           " WHERE r.bucket = due.bucket AND r.refund_id = due.refund_id"
           " RETURNING r.refund_id, r.payment_id, r.order_no, r.organiser_id, r.amount_minor, r.attempts, r.currency,"
           " paid.method, paid.currency",
    .writes = true,
};
static const struct tf_pg_stmt succeeded = {"refund_succeeded",
                                            "UPDATE refund SET state = 'SUCCEEDED', succeeded_at = $3, next_try_at = "
                                            "NULL WHERE bucket = $1 AND refund_id = $2 AND state = 'PROCESSING'",
                                            true};
static const struct tf_pg_stmt parked = {"refund_parked",
                                         "UPDATE refund SET state = 'PARKED', cause = $4, parked_at = $3, next_try_at "
                                         "= NULL WHERE bucket = $1 AND refund_id = $2 AND state = 'PROCESSING'",
                                         true};

tf_code refund_request(tf_ctx *ctx, tf_pg_conn *conn, const RefundRequested *request)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int2(&p, (int16_t)tf_id_bucket(request->refund_id));
    tf_pg_int8(&p, request->refund_id);
    tf_pg_int8(&p, request->payment_id);
    tf_pg_int8(&p, request->order_no);
    tf_pg_int8(&p, request->organiser_id);
    tf_pg_text(&p, request->currency);
    tf_pg_int8(&p, request->amount_minor);
    tf_pg_text(&p, request->reason);
    tf_pg_time(&p, ctx->clock->wall_us(ctx->clock));
    return tf_pg_exec(conn, ctx, &insert_refund, &p, NULL);
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
        (*ret_refunds)[i] = (struct refund){
            .refund_id = tf_pg_get_int(r, (int)i, 0),
            .payment_id = tf_pg_get_int(r, (int)i, 1),
            .order_no = tf_pg_get_int(r, (int)i, 2),
            .organiser_id = tf_pg_get_int(r, (int)i, 3),
            .amount_minor = tf_pg_get_int(r, (int)i, 4),
            .attempts = (int)tf_pg_get_int(r, (int)i, 5),
            .currency = tf_pg_get_text(r, (int)i, 6),
            .method = tf_pg_get_text(r, (int)i, 7),
            .payment_currency = tf_pg_get_text(r, (int)i, 8),
        };
    return TF_OK;
}

struct change {
    const struct refund *refund;
    const char *cause; /* NULL: succeeded */
};

static tf_code put_event(tf_ctx *ctx, tf_pg_conn *conn, const struct change *c, tf_time now)
{
    RefundChanged message = RefundChanged_init;
    struct tf_event event = {
        .bucket = tf_id_bucket(c->refund->refund_id),
        .topic = "payment",
        .type = c->cause ? "refund.failed" : "refund.succeeded",
        .version = 1,
        .aggregate_id = c->refund->order_no,
        .organiser_id = c->refund->organiser_id,
    };
    tf_code code;

    message.refund_id = c->refund->refund_id;
    message.payment_id = c->refund->payment_id;
    message.order_no = c->refund->order_no;
    message.amount_minor = c->refund->amount_minor;
    message.time = tf_pb_time(ctx->arena, now);
    message.cause = tf_arena_strdup(ctx->arena, c->cause ? c->cause : "");
    event.payload = tf_pb_pack(ctx->arena, &message.base, &event.size);
    if (!event.payload) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    code = tf_app_id(ctx, ctx->app, event.bucket, &event.event_id);
    if (code) return code;

    return tf_outbox_put(ctx, conn, &event);
}

static tf_code change_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    const struct change *c = arg;
    tf_time now = ctx->clock->wall_us(ctx->clock);
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int2(&p, (int16_t)tf_id_bucket(c->refund->refund_id));
    tf_pg_int8(&p, c->refund->refund_id);
    tf_pg_time(&p, now);
    if (c->cause) tf_pg_text(&p, c->cause);
    code = tf_pg_exec(conn, ctx, c->cause ? &parked : &succeeded, &p, &r);
    if (code) return code;

    return tf_pg_affected(r) ? put_event(ctx, conn, c, now) : TF_OK; /* somebody else was first */
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
