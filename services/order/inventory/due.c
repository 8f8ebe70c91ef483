/* Claim and settle, the calls; who decides what to settle is the settle room. */
#include "services/order/inventory/due.h"
#include "services/order/inventory/call.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

static void claim_command(tf_redis_cmd *cmd, tf_ctx *ctx, int partition, int64_t now_ms)
{
    inventory_fcall(cmd, ctx, "claim", 1);
    inventory_due_key(cmd, partition);
    tf_redis_arg_int(cmd, now_ms);
    tf_redis_arg_int(cmd, now_ms + LEASE_MS);
    tf_redis_arg_int(cmd, DUE_BATCH_MAX);
}

/* "show:order" */
static bool parse_member(const char *member, struct due_order *order)
{
    const char *colon = strchr(member, ':');
    char show[24];

    if (!colon || (size_t)(colon - member) >= sizeof(show)) return false;
    memcpy(show, member, (size_t)(colon - member));
    show[colon - member] = '\0';
    return tf_parse_int64(show, &order->show_id) && tf_parse_int64(colon + 1, &order->order_no);
}

static tf_code read_claim(tf_ctx *ctx, const tf_redis_reply *reply, struct due_order *orders, size_t *n)
{
    const tf_redis_reply *due, *closed;

    if (reply->type == TF_REDIS_ERROR) {
        struct inventory_answer ignored;

        return inventory_answer_of(ctx, reply, &ignored);
    }
    if (reply->type != TF_REDIS_ARRAY || reply->n_items != 2 || reply->items[0]->type != TF_REDIS_ARRAY ||
        reply->items[1]->type != TF_REDIS_ARRAY || reply->items[0]->n_items > DUE_BATCH_MAX)
        return tf_fail(ctx, TF_INTERNAL, "claim answers in another shape");

    due = reply->items[0];
    for (size_t i = 0; i < due->n_items; i++) {
        if (due->items[i]->type != TF_REDIS_STRING || !parse_member(due->items[i]->text, &orders[*n]))
            return tf_fail(ctx, TF_INTERNAL, "a due entry has another form");
        (*n)++;
    }
    closed = reply->items[1];
    for (size_t i = 0; i < closed->n_items; i++) {
        int64_t show_id;

        if (closed->items[i]->type == TF_REDIS_STRING && tf_parse_int64(closed->items[i]->text, &show_id))
            inventory_rebuild_soon(show_id);
    }
    return TF_OK;
}

tf_code inventory_claim(tf_ctx *ctx, int64_t now_ms, struct due_order **ret_orders, size_t *ret_n, bool *ret_more)
{
    tf_redis_cmd *cmds = TF_NEW_ARRAY(ctx->arena, tf_redis_cmd, INVENTORY_PARTITIONS);
    struct due_order *orders = TF_NEW_ARRAY(ctx->arena, struct due_order, (size_t)INVENTORY_PARTITIONS * DUE_BATCH_MAX);
    tf_redis_reply **replies;
    bool more = false;
    size_t n = 0;
    tf_code code;

    if (!cmds || !orders) return tf_fail(ctx, TF_INTERNAL, "no memory for due orders");
    for (int i = 0; i < INVENTORY_PARTITIONS; i++)
        claim_command(&cmds[i], ctx, i, now_ms);
    code = tf_redis_pipeline(ctx, tf_app_redis(inventory_app), cmds, INVENTORY_PARTITIONS, &replies);
    if (code) return code;

    for (int i = 0; i < INVENTORY_PARTITIONS; i++) {
        size_t before = n;

        code = read_claim(ctx, replies[i], orders, &n);
        if (code) return code;
        more = more || n - before == DUE_BATCH_MAX;
    }
    *ret_orders = orders;
    *ret_n = n;
    *ret_more = more;
    return TF_OK;
}

static void add_places(tf_redis_cmd *cmd, tf_ctx *ctx, const int64_t *places, size_t n)
{
    enum { PLACE_TEXT = 12 };
    char *text = tf_arena_alloc(ctx->arena, n * PLACE_TEXT + 2);
    size_t size = 0;

    if (!text) {
        cmd->broken = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        size += (size_t)snprintf(text + size, PLACE_TEXT, "%s%lld", i ? "," : "", (long long)places[i]);
    tf_redis_arg_bytes(cmd, n ? text : "-", n ? size : 1);
}

tf_code inventory_settle(tf_ctx *ctx, int64_t show_id, int64_t epoch_read, const struct settle_entry *entries, size_t n,
                         enum settle_result *ret_result)
{
    struct inventory_answer answer;
    tf_redis_cmd cmd;
    tf_code code;

    inventory_fcall(&cmd, ctx, "settle", 6);
    inventory_live_keys(&cmd, show_id);
    inventory_due_key(&cmd, inventory_partition(tf_bucket_of_show(show_id)));
    tf_redis_arg_int(&cmd, show_id);
    tf_redis_arg_int(&cmd, epoch_read);
    for (size_t i = 0; i < n; i++) {
        tf_redis_arg_int(&cmd, entries[i].order_no);
        tf_redis_arg_bytes(&cmd, &entries[i].state, 1);
        tf_redis_arg_int(&cmd, entries[i].due_ms);
        add_places(&cmd, ctx, entries[i].live, entries[i].n_live);
    }
    code = inventory_call(ctx, &cmd, &answer);
    if (code) return code;

    if (inventory_status_is(&answer, "OK")) {
        *ret_result = SETTLE_OK;
        return TF_OK;
    }
    inventory_rebuild_soon(show_id);
    *ret_result = inventory_status_is(&answer, "STALE") ? SETTLE_STALE : SETTLE_CLOSED;
    return TF_OK;
}
