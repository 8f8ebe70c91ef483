/* Refunds: the refund id is the idempotency key, so every doubt is answered by asking again. */
#include "common/base/log.h"
#include "services/pay/providers/provider.h"
#include "services/pay/store/refunds.h"
#include "services/pay/workers/workers.h"

enum { BATCH = 50 };

static void carry_out(tf_ctx *ctx, const struct refund *r)
{
    const struct provider *provider = r->method ? provider_find(r->method) : NULL;
    enum refund_outcome outcome;
    const char *cause;
    tf_code code;

    if (!provider) {
        code = refund_park(ctx, r, r->method ? "the provider is no longer offered" : "no such payment");
    } else {
        code = provider->refund(ctx, r->refund_id, r->payment_id, r->amount_minor, &outcome, &cause);
        if (!code)
            code = outcome == REFUND_DONE ? refund_succeeded(ctx, r) : refund_park(ctx, r, cause);
        else if (pay_config.refund_attempts_max && r->attempts >= pay_config.refund_attempts_max)
            code = refund_park(ctx, r, "the provider does not answer");
    }
    if (code) {
        tf_log(TF_LOG_WARN, "refund not done yet", "cause", ctx->error.internal, NULL);
        tf_error_clear(ctx);
    }
}

void refund_tick(tf_ctx *ctx, void *arg)
{
    struct refund *due;
    size_t n;

    (void)arg;
    do {
        if (refund_claim(ctx, ctx->clock->wall_us(ctx->clock), BATCH, &due, &n)) return;
        for (size_t i = 0; i < n && tf_ctx_left_us(ctx) > 0; i++)
            carry_out(ctx, &due[i]);
    } while (n == BATCH && tf_ctx_left_us(ctx) > 0);
}
