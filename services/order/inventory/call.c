/* Names of keys and the shape of answers: one place for both, beside the library's own comments. */
#include "services/order/inventory/call.h"

#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/text.h"

#include <stdatomic.h>
#include <string.h>

enum { CLOSED_RETRY_MS = 500, CLOSED_JITTER_MS = 500, DOWN_RETRY_MS = 1000, DOWN_JITTER_MS = 1000 };
enum { RELINK_EVERY_US = TF_US_PER_S };

tf_app *inventory_app;

static const char *const names[] = {"m", "g", "h", "u", "p"};

static int partition_of(int64_t show_id)
{
    return inventory_partition(tf_bucket_of_show(show_id));
}

void inventory_fcall(tf_redis_cmd *cmd, tf_ctx *ctx, const char *function, int n_keys)
{
    tf_redis_cmd_init(cmd, ctx);
    tf_redis_arg(cmd, "FCALL");
    tf_redis_arg_printf(cmd, "tf_" TF_INVENTORY "_%s", function);
    tf_redis_arg_int(cmd, n_keys);
}

void inventory_key(tf_redis_cmd *cmd, int64_t show_id, const char *name)
{
    tf_redis_arg_printf(cmd, "tf:{%d}:%lld:%s", partition_of(show_id), (long long)show_id, name);
}

void inventory_live_keys(tf_redis_cmd *cmd, int64_t show_id)
{
    for (size_t i = 0; i < TF_COUNT(names); i++)
        inventory_key(cmd, show_id, names[i]);
}

void inventory_staging_keys(tf_redis_cmd *cmd, int64_t show_id)
{
    for (size_t i = 0; i < TF_COUNT(names); i++)
        tf_redis_arg_printf(cmd, "tf:{%d}:%lld:new:%s", partition_of(show_id), (long long)show_id, names[i]);
}

void inventory_request_key(tf_redis_cmd *cmd, int64_t show_id, int64_t user_id, const char *request_id)
{
    tf_redis_arg_printf(cmd, "tf:{%d}:%lld:r:%lld:%s", partition_of(show_id), (long long)show_id, (long long)user_id,
                        request_id);
}

void inventory_due_key(tf_redis_cmd *cmd, int partition)
{
    tf_redis_arg_printf(cmd, "tf:{%d}:due", partition);
}

void inventory_relink(void)
{
    static _Atomic int64_t last_us = INT64_MIN / 2;
    int64_t now = tf_mono_us(), last = atomic_load(&last_us);

    if (now - last < RELINK_EVERY_US || !atomic_compare_exchange_strong(&last_us, &last, now)) return;
    tf_log(TF_LOG_WARN, "Redis is connected anew: what answers is not the server that sells", NULL);
    tf_redis_reconnect(tf_app_redis(inventory_app));
}

/* What the server says when it, not the call, is at fault. */
static bool server_unable(const char *text)
{
    static const char *const prefixes[] = {"OOM ",
                                           "LOADING ",
                                           "READONLY ",
                                           "MISCONF ",
                                           "BUSY ",
                                           "TRYAGAIN ",
                                           "MOVED ",
                                           "ASK ",
                                           "CLUSTERDOWN ",
                                           "MASTERDOWN ",
                                           "ERR Function not found"};

    for (size_t i = 0; i < TF_COUNT(prefixes); i++)
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0) return true;
    return false;
}

tf_code inventory_answer_of(tf_ctx *ctx, const tf_redis_reply *reply, struct inventory_answer *ret_answer)
{
    if (reply->type == TF_REDIS_ERROR) {
        if (!server_unable(reply->text)) return tf_fail(ctx, TF_INTERNAL, "inventory function: %s", reply->text);
        /* The library comes with a new connection (somebody flushed the functions); a replica is no place to decide. */
        if (strstr(reply->text, "Function not found")) tf_redis_reconnect(tf_app_redis(inventory_app));
        if (strncmp(reply->text, "READONLY ", 9) == 0 || strncmp(reply->text, "MASTERDOWN ", 11) == 0)
            inventory_relink();
        return tf_fail(ctx, TF_STORE_DOWN, "Redis: %s", reply->text);
    }
    if (reply->type != TF_REDIS_ARRAY || reply->n_items < 1 || reply->items[0]->type != TF_REDIS_STRING)
        return tf_fail(ctx, TF_INTERNAL, "inventory function answers in another shape");

    *ret_answer = (struct inventory_answer){.reply = reply, .status = reply->items[0]->text, .at = 1};
    return TF_OK;
}

tf_code inventory_call(tf_ctx *ctx, const tf_redis_cmd *cmd, struct inventory_answer *ret_answer)
{
    tf_redis_reply *reply;
    tf_code code;

    code = tf_redis_call(ctx, tf_app_redis(inventory_app), cmd, &reply);
    if (code) return code;

    return inventory_answer_of(ctx, reply, ret_answer);
}

/* Spreads those who come back. */
static int jitter_ms(int range)
{
    return (int)(tf_mix64((uint64_t)tf_mono_us()) % (uint64_t)range);
}

tf_code inventory_ask(tf_ctx *ctx, const tf_redis_cmd *cmd, struct inventory_answer *ret_answer)
{
    int64_t deadline_us = ctx->deadline_us;
    tf_code code;

    ctx->deadline_us = TF_MIN(deadline_us, tf_mono_us() + INVENTORY_READ_US_MAX);
    code = inventory_call(ctx, cmd, ret_answer);
    ctx->deadline_us = deadline_us;
    if (code != TF_UNKNOWN_OUTCOME && code != TF_STORE_DOWN) return code;

    /* Nothing was to be done, so nothing is unknown. */
    tf_error_clear(ctx);
    return inventory_down(ctx, code == TF_STORE_DOWN ? "Redis is away" : "Redis does not answer");
}

tf_code inventory_down(tf_ctx *ctx, const char *why)
{
    tf_code code = tf_fail(ctx, TF_STORE_DOWN, "%s", why);

    tf_error_retry_after(ctx, DOWN_RETRY_MS + jitter_ms(DOWN_JITTER_MS));
    return code;
}

bool inventory_status_is(const struct inventory_answer *answer, const char *status)
{
    return strcmp(answer->status, status) == 0;
}

int64_t inventory_answer_int(struct inventory_answer *answer)
{
    const tf_redis_reply *item;
    int64_t value = 0;

    if (answer->at >= answer->reply->n_items) {
        answer->bad = true;
        return 0;
    }
    item = answer->reply->items[answer->at++];
    if (item->type == TF_REDIS_INT) return item->integer;
    if (item->type != TF_REDIS_STRING || !tf_parse_int64(item->text, &value)) answer->bad = true;
    return value;
}

size_t inventory_answer_left(const struct inventory_answer *answer)
{
    return answer->reply->n_items - answer->at;
}

tf_code inventory_answer_check(tf_ctx *ctx, const struct inventory_answer *answer)
{
    if (!answer->bad) return TF_OK;
    return tf_fail(ctx, TF_INTERNAL, "inventory function answers %s in another shape", answer->status);
}

tf_code inventory_closed(tf_ctx *ctx, int64_t show_id)
{
    tf_code code;

    inventory_rebuild_soon(show_id);
    code = tf_fail(ctx, TF_REBUILDING, "the inventory of show %lld is closed", (long long)show_id);
    tf_error_retry_after(ctx, CLOSED_RETRY_MS + jitter_ms(CLOSED_JITTER_MS));
    return code;
}
