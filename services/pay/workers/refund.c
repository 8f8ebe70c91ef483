/* Refunds: the refund id is the idempotency key, so every doubt is answered by asking again. */
#include "common/base/chaos.h"
#include "common/base/log.h"
#include "services/pay/providers/provider.h"
#include "services/pay/store/refunds.h"
#include "services/pay/workers/workers.h"

#include <string.h>

/* Few enough that each is tried before the tick's deadline although the provider times out on all: an attempt that is
 * counted was made. A full batch is followed by the next tick at once, with fresh memory. */
enum { BATCH = 8 };

/* Why this refund cannot be asked for; NULL when it can. */
static const char *hindrance(const struct refund *r, const struct provider *provider)
{
    if (!r->method) return "no such payment";
    if (!provider) return "the provider is no longer offered";
    if (strcmp(r->currency, r->payment_currency) != 0) return "another currency than the payment's";
    return NULL;
}

static void carry_out(tf_ctx *ctx, const struct refund *r)
{
    const struct provider *provider = r->method ? provider_find(r->method) : NULL;
    const char *cause = hindrance(r, provider);
    enum refund_outcome outcome;
    tf_code code;

    if (cause) {
        code = refund_park(ctx, r, cause);
    } else {
        code = provider->refund(ctx, r->refund_id, r->payment_id, r->amount_minor, &outcome, &cause);
        TF_KILL_POINT(pay_refund_asked);
        if (!code) {
            code = outcome == REFUND_DONE ? refund_succeeded(ctx, r) : refund_park(ctx, r, cause);
            TF_KILL_POINT(pay_refund_stored);
        } else if (pay_config.refund_attempts_max && r->attempts >= pay_config.refund_attempts_max) {
            tf_error_clear(ctx);
            code = refund_park(ctx, r, "the provider does not answer");
        }
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
    if (refund_claim(ctx, ctx->clock->wall_us(ctx->clock), BATCH, &due, &n)) return;
    if (n) TF_KILL_POINT(pay_refund_claimed);

    for (size_t i = 0; i < n && tf_ctx_left_us(ctx) > 0; i++)
        carry_out(ctx, &due[i]);
    if (n == BATCH) tf_periodic_wake(pay_state(ctx)->refunds);
}
