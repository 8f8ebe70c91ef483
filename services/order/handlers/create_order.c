/* CreateOrder: parse, decide in Redis, commit in PostgreSQL, answer from the stored row. */
#include "common/rpc/pb_time.h"
#include "services/order/commit/commit.h"
#include "services/order/domain/refusal.h"
#include "services/order/handlers/purchase.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/store/order_read.h"
#include "ticketflow/order/v1/order.server.h"

/* Once more when the terms changed under the first decision. */
enum { ROUNDS = 2 };

static tf_code open_purchase(tf_ctx *ctx, const CreateOrderRequest *request, struct purchase *purchase)
{
    tf_code code;

    code = sale_find(ctx, request->show_id, &purchase->sale); /* local snapshot: prices, limits, window */
    if (code) return code;

    code = draft_parse(ctx, purchase->sale, request, &purchase->draft);
    if (code) return code;

    body_hash(&purchase->draft, purchase->body_hash);
    return TF_OK;
}

static tf_code buy(tf_ctx *ctx, struct purchase *purchase)
{
    tf_code code;

    code = purchase_check_window(ctx, purchase);
    if (code) return code;

    code = purchase_check_offer(ctx, purchase); /* paused, sold out: memory says so */
    if (code) return code;

    code = commit_admit(ctx); /* overload is refused before Redis */
    if (code) return code;

    code = purchase_check_attendees(ctx, purchase); /* they belong to the buyer */
    if (code) return code;

    code = purchase_hold(ctx, purchase); /* atomic, idempotent, settles itself */
    if (code) return code;

    return purchase_commit(ctx, purchase); /* joins the next group commit */
}

/* Could this key have an order although the purchase was refused now? */
static bool may_have_order(const tf_ctx *ctx, const struct purchase *purchase, tf_code refusal)
{
    switch (refusal) {
    case TF_FIELD_INVALID:
    case TF_KEY_REUSED:
    case TF_OVERLOADED:
    case TF_DEADLINE:
    case TF_INTERNAL:
        return false;
    case TF_SALE_ENDED:
        return true; /* the first try may have been in time */
    default:
        return purchase->known || ctx->attempt > 1;
    }
}

/* A key that made an order gets that order, whatever a new purchase would be told. */
static tf_code answer_earlier(tf_ctx *ctx, struct purchase *purchase, tf_code refusal)
{
    struct tf_error first = ctx->error;
    tf_code code;

    if (!may_have_order(ctx, purchase, refusal)) return refusal;
    tf_error_clear(ctx);
    code = purchase_find_earlier(ctx, purchase);
    if (code != TF_NOT_FOUND) return code; /* whoever cannot look does not know: no refusal */
    ctx->error = first;
    return refusal;
}

static tf_code answer(tf_ctx *ctx, const struct purchase *purchase, CreateOrderResponse *response)
{
    unsigned parts = purchase->fresh ? ORDER_TICKETS : ORDER_WHOLE;
    tf_time now = order_now(ctx);

    response->server_time = tf_pb_time(ctx->arena, now);
    return answer_order_parts(ctx, purchase->order_no, parts, now, &response->order);
}

tf_code create_order(tf_ctx *ctx, const CreateOrderRequest *request, CreateOrderResponse *response)
{
    tf_cleanup(purchase_done) struct purchase purchase = {.asked_at = order_now(ctx)};
    tf_code code = TF_ORDER_CHANGED;

    for (int round = 0; round < ROUNDS && code == TF_ORDER_CHANGED; round++) {
        if (round) { /* decided on terms that are no more */
            sale_forget(request->show_id);
            purchase_done(&purchase);
            tf_error_clear(ctx);
        }
        code = open_purchase(ctx, request, &purchase);
        if (code) return code;

        code = buy(ctx, &purchase);
    }
    if (code == TF_ORDER_CHANGED) { /* Redis is behind the fence, and only a rebuild brings it there */
        tf_error_clear(ctx);
        inventory_rebuild_soon(request->show_id);
        code = refuse_rebuilding(ctx, 0);
    }
    if (code) code = answer_earlier(ctx, &purchase, code);
    if (code) return code;

    return answer(ctx, &purchase, response);
}
