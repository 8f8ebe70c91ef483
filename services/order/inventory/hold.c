/* Hold: the one call that takes places; and the small calls beside it. */
#include "services/order/inventory/call.h"
#include "services/order/inventory/jobs.h"
#include "services/order/config.h"

#include "common/base/log.h"

#include <string.h>

/* Keys are remembered in Redis longer than any hold lasts; afterwards the unique key in PostgreSQL finds them. */
enum { REQUEST_KEY_MARGIN_S = 600, CONFIRM_US_MAX = 2 * TF_US_PER_S };

static tf_histogram hold_seconds = TF_HISTOGRAM("tf_order_hold_seconds", "Time of the hold call in Redis", NULL);
static tf_counter holds = TF_COUNTER("tf_order_holds_total", "Decisions of the inventory by result", "result");

static const struct {
    const char *status;
    enum hold_result result;
} results[] = {
    {"HELD", HOLD_TAKEN},
    {"AGAIN", HOLD_AGAIN},
    {"KEY_REUSED", HOLD_KEY_REUSED},
    {"CLOSED", HOLD_CLOSED},
    {"TERMS", HOLD_TERMS},
    {"PAUSED", HOLD_PAUSED},
    {"WITHDRAWN", HOLD_WITHDRAWN},
    {"LIMIT", HOLD_ACCOUNT_LIMIT},
    {"PERSON", HOLD_PERSON},
    {"PLACES_TAKEN", HOLD_PLACES_TAKEN},
    {"NO_ADJACENT", HOLD_NO_ADJACENT},
    {"NONE_FREE", HOLD_NONE_FREE},
    {"SOLD_OUT", HOLD_SOLD_OUT},
    {"PENDING_ORDER", HOLD_PENDING_ORDER},
};

static bool find_result(const char *status, enum hold_result *ret_result)
{
    for (size_t i = 0; i < TF_COUNT(results); i++) {
        if (strcmp(results[i].status, status) != 0) continue;
        *ret_result = results[i].result;
        return true;
    }
    return false;
}

static int read_places(struct inventory_answer *answer, int32_t places[static SALE_ORDER_PLACES_MAX])
{
    int n = 0;

    if (inventory_answer_left(answer) > SALE_ORDER_PLACES_MAX) {
        answer->bad = true;
        return 0;
    }
    while (inventory_answer_left(answer) > 0)
        places[n++] = (int32_t)inventory_answer_int(answer);
    return n;
}

static void read_hold(struct inventory_answer *answer, struct hold *hold)
{
    int64_t epoch;

    switch (hold->result) {
    case HOLD_TAKEN:
    case HOLD_AGAIN:
        hold->epoch = inventory_answer_int(answer);
        hold->order_no = inventory_answer_int(answer);
        hold->version = inventory_version(hold->epoch, inventory_answer_int(answer));
        hold->n_places = read_places(answer, hold->place_nos);
        return;
    case HOLD_KEY_REUSED:
    case HOLD_CLOSED:
    case HOLD_TERMS:
        return;
    default:
        break;
    }
    hold->known = inventory_answer_int(answer) != 0;
    switch (hold->result) {
    case HOLD_ACCOUNT_LIMIT:
        hold->left = (int)inventory_answer_int(answer);
        break;
    case HOLD_PERSON:
        hold->person_index = (int)inventory_answer_int(answer);
        break;
    case HOLD_PLACES_TAKEN:
        epoch = inventory_answer_int(answer);
        hold->version = inventory_version(epoch, inventory_answer_int(answer));
        hold->n_taken = read_places(answer, hold->taken);
        break;
    case HOLD_NO_ADJACENT:
    case HOLD_NONE_FREE:
    case HOLD_SOLD_OUT:
        hold->tier = (int)inventory_answer_int(answer);
        hold->free = (int32_t)inventory_answer_int(answer);
        hold->held = (int32_t)inventory_answer_int(answer);
        hold->next_release_ms = inventory_answer_int(answer);
        break;
    case HOLD_PENDING_ORDER:
        hold->pending_order_no = inventory_answer_int(answer);
        break;
    default:
        break;
    }
}

static void hold_command(tf_redis_cmd *cmd, tf_ctx *ctx, const struct sale *sale, const struct hold_request *request)
{
    int64_t hold_s = TF_MAX(sale->hold_seconds, order_config.hold_floor_s);

    inventory_fcall(cmd, ctx, "hold", 7);
    inventory_live_keys(cmd, sale->show_id);
    inventory_due_key(cmd, inventory_partition(sale->bucket));
    inventory_request_key(cmd, sale->show_id, request->user_id, request->request_id);
    tf_redis_arg_int(cmd, sale->show_id);
    tf_redis_arg_int(cmd, request->order_no);
    tf_redis_arg_int(cmd, request->user_id);
    tf_redis_arg(cmd, request->body_hash);
    tf_redis_arg_int(cmd, sale->terms);
    tf_redis_arg_int(cmd, sale->account_limit);
    tf_redis_arg(cmd, sale->one_pending_order ? "1" : "0");
    tf_redis_arg_int(cmd, request->now_ms);
    tf_redis_arg_int(cmd, request->now_ms + order_config.intent_ms);
    tf_redis_arg_int(cmd, hold_s + REQUEST_KEY_MARGIN_S);
    tf_redis_arg_int(cmd, request->persons ? request->n_persons : 0);
    for (int i = 0; request->persons && i < request->n_persons; i++)
        tf_redis_arg(cmd, request->persons[i]);
    if (request->place_nos) {
        tf_redis_arg(cmd, "P");
        for (int i = 0; i < request->n_places; i++)
            tf_redis_arg_int(cmd, request->place_nos[i]);
        return;
    }
    tf_redis_arg(cmd, "B");
    for (int i = 0; i < request->n_choices; i++) {
        tf_redis_arg_int(cmd, request->choices[i].tier);
        tf_redis_arg_int(cmd, request->choices[i].count);
        tf_redis_arg(cmd, request->choices[i].allow_split ? "1" : "0");
    }
}

tf_code inventory_hold(tf_ctx *ctx, const struct sale *sale, const struct hold_request *request, struct hold *ret_hold)
{
    struct inventory_answer answer;
    struct hold hold = {0};
    int64_t start_us = tf_mono_us();
    tf_redis_cmd cmd;
    tf_code code;

    hold_command(&cmd, ctx, sale, request);
    code = inventory_call(ctx, &cmd, &answer);
    tf_histogram_observe_us(&hold_seconds, tf_mono_us() - start_us);
    if (code == TF_INTERNAL && strstr(ctx->error.internal, "CORRUPT")) {
        /* The index and the map disagree: never by our hand. What PostgreSQL knows puts it right. */
        tf_log(TF_LOG_ERROR, "the inventory contradicts itself", "cause", ctx->error.internal, NULL);
        inventory_alarm(sale->show_id);
    }
    if (code) return code;

    if (!find_result(answer.status, &hold.result)) return tf_fail(ctx, TF_INTERNAL, "hold answers %s", answer.status);
    read_hold(&answer, &hold);
    code = inventory_answer_check(ctx, &answer);
    if (code) return code;

    tf_counter_add_label(&holds, answer.status, 1);
    if (hold.result == HOLD_CLOSED) inventory_rebuild_soon(sale->show_id);
    *ret_hold = hold;
    return TF_OK;
}

static void confirmed(tf_code code, const tf_redis_reply *reply, void *arg)
{
    (void)code; /* lost: settled at the intent's due time */
    (void)reply;
    (void)arg;
}

void inventory_confirm(const struct confirm_entry *entries, size_t n)
{
    bool *done = calloc(n, sizeof(*done));
    tf_ctx ctx;

    if (!done) return;
    tf_app_ctx(inventory_app, &ctx, "confirm", CONFIRM_US_MAX);
    for (size_t i = 0; i < n; i++) {
        tf_redis_cmd cmd;

        if (done[i]) continue;
        inventory_fcall(&cmd, &ctx, "confirm", 2);
        inventory_key(&cmd, entries[i].show_id, "m");
        inventory_due_key(&cmd, inventory_partition(entries[i].bucket));
        tf_redis_arg_int(&cmd, entries[i].show_id);
        for (size_t k = i; k < n; k++) {
            if (entries[k].show_id != entries[i].show_id) continue;
            done[k] = true;
            tf_redis_arg_int(&cmd, entries[k].order_no);
            tf_redis_arg_int(&cmd, entries[k].release_at_ms);
        }
        tf_redis_start(tf_app_redis(inventory_app), &cmd, ctx.deadline_us, confirmed, NULL);
    }
    tf_ctx_done(&ctx);
    free(done);
}

tf_code inventory_used(tf_ctx *ctx, const struct sale *sale, int64_t user_id, int *ret_used)
{
    struct inventory_answer answer;
    tf_redis_cmd cmd;
    tf_code code;
    int used;

    inventory_fcall(&cmd, ctx, "used", 2);
    inventory_key(&cmd, sale->show_id, "m");
    inventory_key(&cmd, sale->show_id, "u");
    tf_redis_arg_int(&cmd, sale->show_id);
    tf_redis_arg_int(&cmd, user_id);
    code = inventory_ask(ctx, &cmd, &answer);
    if (code) return code;
    if (inventory_status_is(&answer, "CLOSED")) return inventory_closed(ctx, sale->show_id);

    used = (int)inventory_answer_int(&answer);
    code = inventory_answer_check(ctx, &answer);
    if (code) return code;

    *ret_used = used;
    return TF_OK;
}
