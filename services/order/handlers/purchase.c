/* Each step leaves either a durable record or something that undoes itself: a hold without an order is settled at its
 * due time. */
#include "services/order/handlers/purchase.h"

#include "common/base/chaos.h"
#include "common/chassis/service.h"
#include "common/crypto/crypto.h"
#include "services/order/commit/commit.h"
#include "services/order/config.h"
#include "services/order/domain/order_state.h"
#include "services/order/domain/price.h"
#include "services/order/domain/refusal.h"
#include "services/order/domain/trace.h"
#include "services/order/domain/window.h"
#include "services/order/events/order_event.h"
#include "services/order/order.h"
#include "services/order/settle/settle.h"
#include "services/order/store/order_read.h"

#include <stdlib.h>
#include <string.h>

enum { HOLD_TRIES = 2, HOLD_US_MAX = 2 * TF_US_PER_S };

static tf_counter foreseen =
    TF_COUNTER("tf_order_foreseen_total", "Purchases refused without Redis, by reason", "reason");

static uint32_t random_u32(void)
{
    uint32_t value;

    tf_random(&value, sizeof(value));
    return value;
}

void purchase_done(struct purchase *purchase)
{
    sale_unref(purchase->sale);
    purchase->sale = NULL;
}

tf_code purchase_check_window(tf_ctx *ctx, const struct purchase *purchase)
{
    int64_t now_ms, error_ms;
    tf_time now;

    if (!sale_time_now(&now_ms, &error_ms)) return tf_fail(ctx, TF_STORE_DOWN, "sale time is not known yet");
    now = now_ms * TF_US_PER_MS;
    switch (window_at(purchase->sale, now, error_ms * TF_US_PER_MS)) {
    case WINDOW_SOON:
        return refuse_not_open(ctx, purchase->sale, now, random_u32());
    case WINDOW_ENDED:
        return refuse_ended(ctx);
    case WINDOW_OPEN:
        break;
    }
    return TF_OK;
}

tf_code purchase_check_offer(tf_ctx *ctx, const struct purchase *purchase)
{
    struct availability seen;
    struct hold hold;
    tf_code code;

    if (ctx->attempt > 1 || !inventory_glance(purchase->sale, &seen)) return TF_OK;
    if (!refusal_foreseen(purchase->sale, &purchase->draft, &seen, &hold)) return TF_OK;

    code = refusal_of_hold(ctx, purchase->sale, &hold, 0, random_u32()); /* none of these speaks of time */
    tf_counter_add_label(&foreseen, tf_code_info(code)->reason, 1);
    return code;
}

/* Many come for what is gone: one of them reads it for the others, who are then answered from memory for a moment. */
static void look_for_others(tf_ctx *ctx, const struct sale *sale)
{
    struct availability seen;

    if (inventory_availability(ctx, sale, &seen)) tf_error_clear(ctx);
}

tf_code purchase_check_attendees(tf_ctx *ctx, struct purchase *purchase)
{
    const struct draft *draft = &purchase->draft;

    if (!draft->attendee_ids) return TF_OK;
    return attendees_resolve(ctx, order_process(ctx)->attendees, draft->user_id, draft->attendee_ids, draft->n_tickets,
                             purchase->people);
}

/* ---- hold ---------------------------------------------------------------------------------------------------------
 */

/* An order number is sent to hold once: an unknown reply is followed by a new number under the same key, which finds
 * the first decision if there was one. A Redis that is silent for so long does not get all of the caller's time and our
 * workers with it. */
static tf_code call_hold(tf_ctx *ctx, const struct purchase *purchase, struct hold_request *request,
                         struct hold *ret_hold)
{
    int64_t deadline_us = ctx->deadline_us;
    tf_code code = TF_UNKNOWN_OUTCOME;

    for (int i = 0; i < HOLD_TRIES && code == TF_UNKNOWN_OUTCOME; i++) {
        if (i) tf_error_clear(ctx);
        code = tf_app_id(ctx, ctx->app, purchase->sale->bucket, &request->order_no);
        if (code) return code;

        TF_KILL_POINT(order_hold_before);
        ctx->deadline_us = TF_MIN(deadline_us, tf_mono_us() + HOLD_US_MAX);
        code = inventory_hold(ctx, purchase->sale, request, ret_hold);
        ctx->deadline_us = deadline_us;
    }
    return code;
}

tf_code purchase_hold(tf_ctx *ctx, struct purchase *purchase)
{
    const struct draft *draft = &purchase->draft;
    const char *persons[SALE_ORDER_PLACES_MAX];
    struct hold_request request = {
        .user_id = draft->user_id,
        .request_id = draft->request_id,
        .body_hash = purchase->body_hash,
        .place_nos = draft->place_nos,
        .n_places = draft->place_nos ? draft->n_tickets : 0,
        .choices = draft->place_nos ? NULL : draft->choices,
        .n_choices = draft->n_choices,
    };
    int64_t error_ms;
    tf_code code;

    if (draft->attendee_ids) {
        for (int i = 0; i < draft->n_tickets; i++)
            persons[i] = purchase->people[i].person;
        request.persons = persons;
        request.n_persons = draft->n_tickets;
    }
    if (!sale_time_now(&request.now_ms, &error_ms)) return tf_fail(ctx, TF_STORE_DOWN, "sale time is not known yet");

    code = call_hold(ctx, purchase, &request, &purchase->hold);
    if (code) return code;

    switch (purchase->hold.result) {
    case HOLD_TAKEN:
    case HOLD_AGAIN:
        TF_KILL_POINT(order_hold_after);
        purchase->held_at = order_now(ctx);
        return TF_OK;
    case HOLD_TERMS:
        return TF_ORDER_CHANGED;
    case HOLD_PAUSED:
    case HOLD_WITHDRAWN:
    case HOLD_SOLD_OUT:
        look_for_others(ctx, purchase->sale);
        purchase->known = purchase->hold.known;
        break;
    default:
        purchase->known = purchase->hold.known;
        break;
    }
    return refusal_of_hold(ctx, purchase->sale, &purchase->hold, request.now_ms * TF_US_PER_MS, random_u32());
}

/* ---- commit -------------------------------------------------------------------------------------------------------
 */

static int compare_tickets(const void *a, const void *b)
{
    const struct new_ticket *x = a, *y = b;

    return (x->place_no > y->place_no) - (x->place_no < y->place_no);
}

/* One ticket per held place, by place, with its price and whom it is for. */
static tf_code make_tickets(tf_ctx *ctx, const struct purchase *purchase, struct new_ticket *tickets)
{
    const struct draft *draft = &purchase->draft;
    const struct sale *sale = purchase->sale;
    int32_t places[SALE_ORDER_PLACES_MAX];

    if (!draft_assign(draft, sale, purchase->hold.place_nos, purchase->hold.n_places, places))
        return tf_fail(ctx, TF_INTERNAL, "hold of order %lld gave other places than asked",
                       (long long)purchase->hold.order_no);
    for (int i = 0; i < draft->n_tickets; i++) {
        const struct sale_tier *tier = sale_tier_of(sale, places[i]);
        tf_code code;

        tickets[i] = (struct new_ticket){.place_no = places[i], .tier = tier->tier, .price_minor = tier->price_minor};
        if (draft->attendee_ids) {
            tickets[i].attendee_id = purchase->people[i].attendee_id;
            tickets[i].attendee_name = purchase->people[i].name;
            tickets[i].attendee_id_masked = purchase->people[i].id_masked;
            tickets[i].person = purchase->people[i].person;
        } else if (draft->names) {
            tickets[i].attendee_name = draft->names[i];
        }
        code = tf_app_id(ctx, ctx->app, sale->bucket, &tickets[i].ticket_id);
        if (code) return code;
    }
    qsort(tickets, (size_t)draft->n_tickets, sizeof(*tickets), compare_tickets);
    return TF_OK;
}

static tf_code make_event(tf_ctx *ctx, struct new_order *order)
{
    tf_time now = order_now(ctx);
    struct order_row row = {
        .bucket = order->bucket,
        .order_no = order->order_no,
        .show_id = order->show_id,
        .organiser_id = order->organiser_id,
        .user_id = order->user_id,
        .state = ORDER_STATE_PENDING_PAYMENT,
        .currency = order->currency,
        .total_minor = order->total_minor,
        .pay_by_at = now + (tf_time)(order->hold_seconds - order->pay_margin_seconds) * TF_US_PER_S,
    };

    return order_event_created(ctx, &row, now, &order->created_event_id, &order->created_event);
}

static tf_code make_order(tf_ctx *ctx, const struct purchase *purchase, struct new_ticket *tickets,
                          struct new_order *ret_order)
{
    const struct sale *sale = purchase->sale;
    const struct hold *hold = &purchase->hold;
    int hold_seconds = (int)TF_MAX((int64_t)sale->hold_seconds, order_config.hold_floor_s);
    tf_code code;

    *ret_order = (struct new_order){
        .order_no = hold->order_no,
        .kind = ORDER_KIND_SALE,
        .bucket = sale->bucket,
        .show_id = sale->show_id,
        .organiser_id = sale->organiser_id,
        .user_id = purchase->draft.user_id,
        .request_id = purchase->draft.request_id,
        .body_hash = purchase->body_hash,
        .epoch = hold->epoch,
        .terms = sale->terms,
        .currency = sale->currency,
        .adjacent = places_adjacent(sale, hold->place_nos, hold->n_places),
        .hold_seconds = hold_seconds,
        /* Short holds (tests) keep half their time for paying. */
        .pay_margin_seconds = (int)TF_MIN(order_config.pay_margin_s, (int64_t)hold_seconds / 2),
        .tickets = tickets,
        .n_tickets = hold->n_places,
    };
    code = make_tickets(ctx, purchase, tickets);
    if (code) return code;
    if (!price_total(sale, hold->place_nos, hold->n_places, &ret_order->total_minor))
        return tf_fail(ctx, TF_INTERNAL, "order %lld has no sum", (long long)hold->order_no);
    code = make_event(ctx, ret_order);
    if (code) return code;

    ret_order->trace = order_trace_write(ctx->arena, &(struct order_trace){.request_id = ctx->request_id,
                                                                           .process = tf_app_instance(ctx->app),
                                                                           .asked_at = purchase->asked_at,
                                                                           .held_at = purchase->held_at,
                                                                           .event_id = ret_order->created_event_id});
    return ret_order->trace ? TF_OK : tf_fail(ctx, TF_INTERNAL, "no memory for an order's trace");
}

/* What a hold took and no order will keep is freed now rather than at its due time; a failure leaves it to that. */
static void give_back(tf_ctx *ctx, const struct purchase *purchase)
{
    settle_now(ctx, purchase->sale->bucket, purchase->sale->show_id, purchase->hold.order_no);
    tf_error_clear(ctx);
}

tf_code purchase_commit(tf_ctx *ctx, struct purchase *purchase)
{
    struct new_ticket tickets[SALE_ORDER_PLACES_MAX];
    struct commit_answer answer;
    struct new_order order;
    tf_code code;

    code = make_order(ctx, purchase, tickets, &order);
    if (code) return code;

    code = commit_order(ctx, &order, &answer);
    if (code) return code;
    TF_KILL_POINT(order_answer_before);

    switch (answer.result) {
    case COMMIT_OK:
        purchase->order_no = answer.order_no;
        purchase->fresh = true;
        return TF_OK;
    case COMMIT_DUPLICATE: /* with another number: Redis had forgotten the key */
        if (answer.order_no != order.order_no) give_back(ctx, purchase);
        purchase->order_no = answer.order_no;
        return TF_OK;
    case COMMIT_KEY_REUSED:
        give_back(ctx, purchase);
        return tf_fail(ctx, TF_KEY_REUSED, "the key is of another purchase");
    case COMMIT_TOMBSTONE: /* settled while we thought; the key may decide anew */
        give_back(ctx, purchase);
        return refuse_rebuilding(ctx, random_u32());
    case COMMIT_EPOCH: /* the hold died with its generation: nothing to give back; commit/ has asked for the rebuild */
        return refuse_rebuilding(ctx, random_u32());
    case COMMIT_TERMS:
        give_back(ctx, purchase);
        return TF_ORDER_CHANGED;
    case COMMIT_PAUSED:
        give_back(ctx, purchase);
        return refuse_paused(ctx, random_u32());
    case COMMIT_PERSON:
        give_back(ctx, purchase);
        return refuse_person(ctx, -1);
    case COMMIT_CONFLICT: /* the committer, which hears of it even when we do not, has counted and told it */
        return refuse_rebuilding(ctx, random_u32());
    }
    return tf_fail(ctx, TF_INTERNAL, "commit answered %d", (int)answer.result);
}

tf_code purchase_find_earlier(tf_ctx *ctx, struct purchase *purchase)
{
    const struct draft *draft = &purchase->draft;
    const char *body_hash;
    int64_t order_no;
    tf_code code;

    code = order_find_key(ctx, draft->show_id, draft->user_id, draft->request_id, &order_no, &body_hash);
    if (code) return code;
    if (!body_hash || strcmp(body_hash, purchase->body_hash) != 0)
        return tf_fail(ctx, TF_KEY_REUSED, "the key made order %lld of another purchase", (long long)order_no);

    purchase->order_no = order_no;
    return TF_OK;
}
