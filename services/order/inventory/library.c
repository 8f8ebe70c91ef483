/* Which version of the function library is in force, while instances of two versions run side by side (a rolling
 * upgrade, or its way back). A courtesy only: safety hangs on the epoch and the token. Without it the two would close
 * every show to each other again and again. */
#include "services/order/inventory/call.h"

#include "common/base/log.h"

#include <stdatomic.h>

enum { LEAD_MS = 10000 }; /* without any word of an instance in force, those that stood back come forward again */
#define LIBRARY_KEY "tf:library"

static atomic_bool superseded, taken;

bool inventory_superseded(void)
{
    return atomic_load_explicit(&superseded, memory_order_relaxed);
}

void inventory_look_for_leader(tf_ctx *ctx)
{
    struct inventory_answer answer;
    tf_redis_cmd cmd;
    bool back;

    inventory_fcall(&cmd, ctx, "lead", 1);
    tf_redis_arg(&cmd, LIBRARY_KEY);
    tf_redis_arg(&cmd, atomic_load(&taken) ? "0" : "1");
    tf_redis_arg_int(&cmd, LEAD_MS);
    if (inventory_ask(ctx, &cmd, &answer)) { /* Redis is away: as before */
        tf_error_clear(ctx);
        return;
    }
    atomic_store(&taken, true);
    back = !inventory_status_is(&answer, "OK");
    if (atomic_exchange(&superseded, back) == back) return;
    tf_log(back ? TF_LOG_WARN : TF_LOG_INFO,
           back ? "instances of another version sell; this one stands back" : "this version sells again", NULL);
}
