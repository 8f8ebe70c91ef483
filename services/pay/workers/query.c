/* Unanswered payments: asked for after a while, closed at the provider when their time is over. A provider that does
 * not answer is asked again later. */
#include "common/base/chaos.h"
#include "common/base/log.h"
#include "services/pay/store/payments.h"
#include "services/pay/workers/workers.h"

/* What one tick's deadline has room for while the provider times out; a full batch is followed by the next tick at
 * once, with fresh memory. */
enum { BATCH = 20 };

static void settle_one(tf_ctx *ctx, const struct payment *p)
{
    const struct provider *provider = provider_find(p->method);
    struct charge_answer answer = {0};
    struct payment_word word = {.payment_id = p->payment_id, .answer = &answer};
    struct payment after;
    tf_code code;

    if (!provider) return; /* no longer offered: the lease brings it back when it is */
    if (ctx->clock->wall_us(ctx->clock) >= p->expires_at)
        code = provider->close(ctx, p->payment_id, &answer);
    else
        code = provider->query(ctx, p->payment_id, &answer);
    TF_KILL_POINT(pay_books_answered);
    if (!code) code = payment_apply(ctx, &word, &after);
    if (code) {
        tf_log(TF_LOG_DEBUG, "payment not settled yet", "cause", ctx->error.internal, NULL);
        tf_error_clear(ctx);
    }
}

void query_tick(tf_ctx *ctx, void *arg)
{
    struct payment *due;
    size_t n;

    (void)arg;
    if (payment_claim(ctx, ctx->clock->wall_us(ctx->clock), BATCH, &due, &n)) return;

    for (size_t i = 0; i < n && tf_ctx_left_us(ctx) > 0; i++)
        settle_one(ctx, &due[i]);
    if (n == BATCH) tf_periodic_wake(pay_state(ctx)->queries);
}
