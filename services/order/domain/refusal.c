/* One function per reason; the table is the switch of refusal_of_hold. */
#include "services/order/domain/refusal.h"

#include "services/order/domain/window.h"

enum {
    REBUILDING_RETRY_MS = 500,
    PAUSED_RETRY_MS = 5000,
    NONE_FREE_RETRY_MS = 3000,
    NONE_FREE_RETRY_MS_MAX = 600 * 1000,
    SPREAD_MS = 1000,
};

static void time_param(tf_ctx *ctx, const char *name, tf_time t)
{
    char text[TF_TIME_TEXT];

    tf_time_write(text, t);
    tf_error_param(ctx, name, "%s", text);
}

tf_code refuse_not_open(tf_ctx *ctx, const struct sale *sale, tf_time now, uint32_t random)
{
    tf_code code = tf_fail(ctx, TF_SALE_NOT_OPEN, "before the opening");

    time_param(ctx, "opens_time", sale->opens_time);
    time_param(ctx, "server_time", now);
    tf_error_retry_after(ctx, window_retry_ms(sale->opens_time, now, random));
    return code;
}

tf_code refuse_ended(tf_ctx *ctx)
{
    return tf_fail(ctx, TF_SALE_ENDED, "the window is over or the show is withdrawn");
}

tf_code refuse_paused(tf_ctx *ctx, uint32_t random)
{
    tf_code code = tf_fail(ctx, TF_SALE_PAUSED, "paused by an operator");

    tf_error_retry_after(ctx, PAUSED_RETRY_MS + (int)(random % SPREAD_MS));
    return code;
}

tf_code refuse_rebuilding(tf_ctx *ctx, uint32_t random)
{
    tf_code code = tf_fail(ctx, TF_REBUILDING, "the show's inventory is not of the fence's generation");

    tf_error_retry_after(ctx, REBUILDING_RETRY_MS + (int)(random % SPREAD_MS));
    return code;
}

tf_code refuse_person(tf_ctx *ctx, int index)
{
    tf_code code = tf_fail(ctx, TF_LIMIT_EXCEEDED, "a person has a live ticket of the show");

    if (index >= 0) ctx->error.field = tf_arena_printf(ctx->arena, "attendee_ids[%d]", index);
    tf_error_param(ctx, "limit_of", "PERSON");
    tf_error_param(ctx, "limit", "1");
    tf_error_param(ctx, "left", "0");
    return code;
}

static tf_code refuse_account(tf_ctx *ctx, const struct sale *sale, const struct hold *hold)
{
    tf_code code = tf_fail(ctx, TF_LIMIT_EXCEEDED, "account limit");

    tf_error_param(ctx, "limit_of", "ACCOUNT");
    tf_error_param(ctx, "limit", "%d", sale->account_limit);
    tf_error_param(ctx, "left", "%d", hold->left);
    return code;
}

static tf_code refuse_taken(tf_ctx *ctx, const struct hold *hold)
{
    tf_code code = tf_fail(ctx, TF_PLACES_TAKEN, "%d places are taken", hold->n_taken);
    const char *list = draft_place_list(ctx->arena, hold->taken, hold->n_taken);

    if (list) tf_error_param(ctx, "place_nos", "%s", list);
    tf_error_param(ctx, "version", "%lld", (long long)hold->version);
    return code;
}

static tf_code refuse_tier(tf_ctx *ctx, tf_code reason, const struct hold *hold)
{
    tf_code code = tf_fail(ctx, reason, "tier %d", hold->tier);

    tf_error_param(ctx, "tier", "%d", hold->tier);
    tf_error_param(ctx, "free", "%d", hold->free);
    return code;
}

static tf_code refuse_none_free(tf_ctx *ctx, const struct hold *hold, tf_time now)
{
    tf_code code = refuse_tier(ctx, TF_NONE_FREE_NOW, hold);
    tf_time release = hold->next_release_ms * TF_US_PER_MS;
    int64_t wait_ms = NONE_FREE_RETRY_MS;

    tf_error_param(ctx, "held", "%d", hold->held);
    if (!hold->held) return code; /* waiting brings nothing; asking for fewer may */
    if (hold->next_release_ms) {
        time_param(ctx, "next_release_time", release);
        wait_ms = TF_MAX((release - now) / TF_US_PER_MS, SPREAD_MS);
    }
    tf_error_retry_after(ctx, (int)TF_MIN(wait_ms, NONE_FREE_RETRY_MS_MAX));
    return code;
}

static tf_code refuse_pending(tf_ctx *ctx, const struct hold *hold)
{
    tf_code code = tf_fail(ctx, TF_PENDING_ORDER, "an unpaid order of the same buyer");

    tf_error_param(ctx, "order_no", "%lld", (long long)hold->pending_order_no);
    return code;
}

static bool sold_out(const struct availability *seen, const struct sale_tier *tier)
{
    int i = tier->tier - 1;

    return seen->tiers[i].free == 0 && seen->tiers[i].held == 0 &&
           seen->tiers[i].sold + seen->tiers[i].blocked == tier->capacity;
}

/* Of some that are taken and some that may be free only Redis can say which. */
static bool all_taken(const struct sale *sale, const struct draft *draft, const struct availability *seen,
                      struct hold *hold)
{
    for (int i = 0; i < draft->n_tickets; i++) {
        if (!sold_out(seen, sale_tier_of(sale, draft->place_nos[i]))) return false;
        hold->taken[hold->n_taken++] = draft->place_nos[i];
    }
    hold->result = HOLD_PLACES_TAKEN;
    hold->version = seen->version;
    return true;
}

bool refusal_foreseen(const struct sale *sale, const struct draft *draft, const struct availability *seen,
                      struct hold *ret_hold)
{
    struct hold hold = {0};

    if (seen->sale_state == SALE_STATE_PAUSED || seen->sale_state == SALE_STATE_WITHDRAWN) {
        hold.result = seen->sale_state == SALE_STATE_PAUSED ? HOLD_PAUSED : HOLD_WITHDRAWN;
        *ret_hold = hold;
        return true;
    }
    if (draft->place_nos) {
        if (!all_taken(sale, draft, seen, &hold)) return false;
        *ret_hold = hold;
        return true;
    }
    for (int i = 0; i < draft->n_choices; i++) {
        if (!sold_out(seen, sale_tier(sale, draft->choices[i].tier))) continue;
        hold.result = HOLD_SOLD_OUT;
        hold.tier = draft->choices[i].tier;
        *ret_hold = hold;
        return true;
    }
    return false;
}

tf_code refusal_of_hold(tf_ctx *ctx, const struct sale *sale, const struct hold *hold, tf_time now, uint32_t random)
{
    switch (hold->result) {
    case HOLD_KEY_REUSED:
        return tf_fail(ctx, TF_KEY_REUSED, "the key is of another purchase");
    case HOLD_CLOSED:
        return refuse_rebuilding(ctx, random);
    case HOLD_PAUSED:
        return refuse_paused(ctx, random);
    case HOLD_WITHDRAWN:
        return refuse_ended(ctx);
    case HOLD_ACCOUNT_LIMIT:
        return refuse_account(ctx, sale, hold);
    case HOLD_PERSON:
        return refuse_person(ctx, hold->person_index);
    case HOLD_PLACES_TAKEN:
        return refuse_taken(ctx, hold);
    case HOLD_NO_ADJACENT:
        return refuse_tier(ctx, TF_NO_ADJACENT, hold);
    case HOLD_NONE_FREE:
        return refuse_none_free(ctx, hold, now);
    case HOLD_SOLD_OUT:
        return refuse_tier(ctx, TF_SOLD_OUT, hold);
    case HOLD_PENDING_ORDER:
        return refuse_pending(ctx, hold);
    case HOLD_TAKEN:
    case HOLD_AGAIN:
    case HOLD_TERMS:
        break;
    }
    return tf_fail(ctx, TF_INTERNAL, "hold answered %d", (int)hold->result);
}
