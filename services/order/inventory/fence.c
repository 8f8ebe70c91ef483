/* The fence row as the inventory follows it. */
#include "services/order/inventory/call.h"
#include "services/order/inventory/rebuild.h"

#include "common/base/id.h"

enum { FOLLOW_ROUNDS_MAX = 5, SET_US_MAX = TF_US_PER_S };

static const struct tf_pg_stmt select_fence = {
    .name = "fence_read",
    .sql = "SELECT epoch, terms, sale_state FROM inventory WHERE bucket = $1 AND show_id = $2",
};

tf_code fence_read(tf_ctx *ctx, int64_t show_id, struct fence *ret_fence)
{
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)tf_bucket_of_show(show_id));
    tf_pg_int8(&params, show_id);
    code = tf_pg_query(ctx, tf_app_pg(inventory_app), &select_fence, &params, &rows);
    if (code) return code;
    if (tf_pg_rows(rows) == 0) return tf_fail(ctx, TF_NOT_FOUND, "show %lld has no fence row", (long long)show_id);

    *ret_fence = (struct fence){.epoch = tf_pg_get_int(rows, 0, 0),
                                .terms = (int32_t)tf_pg_get_int(rows, 0, 1),
                                .sale_state = (int)tf_pg_get_int(rows, 0, 2)};
    return TF_OK;
}

tf_code fence_follow(tf_ctx *ctx, int64_t show_id, int sale_state)
{
    /* Who writes to Redis last reads PostgreSQL after that; so the last word in Redis is PostgreSQL's. */
    for (int round = 0; round < FOLLOW_ROUNDS_MAX; round++) {
        struct inventory_answer answer;
        struct fence fence;
        tf_redis_cmd cmd;
        tf_code code;

        inventory_fcall(&cmd, ctx, "state", 1);
        inventory_key(&cmd, show_id, "m");
        tf_redis_arg_int(&cmd, show_id);
        tf_redis_arg_int(&cmd, sale_state);
        code = inventory_call(ctx, &cmd, &answer);
        if (code) return code;
        if (inventory_status_is(&answer, "CLOSED")) return TF_OK; /* a rebuild reads the fence when it ends */

        code = fence_read(ctx, show_id, &fence);
        if (code) return code;
        if (fence.sale_state == sale_state) return TF_OK;
        sale_state = fence.sale_state;
    }
    return TF_OK; /* whoever changes it so often follows up himself */
}

tf_code inventory_set_sale_state(tf_ctx *ctx, int64_t show_id, int sale_state)
{
    int64_t deadline_us = ctx->deadline_us;
    tf_code code;

    ctx->deadline_us =
        TF_MIN(deadline_us, tf_mono_us() + SET_US_MAX); /* the fence has decided: Redis may be told later */
    code = fence_follow(ctx, show_id, sale_state);
    ctx->deadline_us = deadline_us;
    inventory_availability_forget(show_id);
    return code;
}
