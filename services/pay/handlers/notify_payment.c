/* NotifyPayment: a provider's notification. Verified, stored with its effect and its event in one transaction, then
 * acknowledged. */
#include "common/base/chaos.h"
#include "common/base/metrics.h"
#include "services/pay/handlers/views.h"

#include <string.h>

enum { NOTIFICATION_MAX = 65536 };

static tf_counter forged =
    TF_COUNTER("tf_pay_notifications_forged_total", "Notifications with a wrong signature", NULL);

static tf_code acknowledge(tf_ctx *ctx, const struct provider *provider, NotifyPaymentResponse *response)
{
    RawBody *body = TF_NEW(ctx->arena, RawBody);

    if (!body) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    *body = (RawBody)RawBody_init;
    body->content_type = tf_arena_strdup(ctx->arena, "application/json");
    body->data.data = (uint8_t *)tf_arena_strdup(ctx->arena, provider->acknowledgement);
    if (!body->data.data || !body->content_type) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    body->data.len = strlen(provider->acknowledgement);
    response->body = body;
    return TF_OK;
}

tf_code notify_payment(tf_ctx *ctx, const NotifyPaymentRequest *request, NotifyPaymentResponse *response)
{
    const struct provider *provider = *request->channel ? provider_find(request->channel) : NULL;
    struct provider_notice notice;
    struct payment_word word = {.channel = request->channel};
    struct payment after;
    tf_code code;

    if (!provider) return tf_fail(ctx, TF_NOT_FOUND, "no such channel");
    if (!request->notification || request->notification->data.len == 0)
        return tf_fail_field(ctx, "notification", "empty");
    if (request->notification->data.len > NOTIFICATION_MAX) return tf_fail(ctx, TF_TOO_LARGE, "notification too large");

    code = provider->verify(ctx, request->notification, &notice);
    if (code == TF_UNAUTHENTICATED) tf_counter_add(&forged, 1);
    if (code) return code;
    TF_KILL_POINT(pay_notice_verified);

    word.payment_id = notice.payment_id;
    word.answer = &notice.charge;
    word.body = request->notification->data.data;
    word.size = request->notification->data.len;
    code = payment_apply(ctx, &word, &after);
    if (code) return code;
    TF_KILL_POINT(pay_notice_stored);

    if (after.parked) tf_periodic_wake(pay_state(ctx)->queries); /* ask the provider's books at once */
    return acknowledge(ctx, provider, response);
}
