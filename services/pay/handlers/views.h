/* Payments as the contract shows them. */
#pragma once

#include "services/pay/store/payments.h"

/* In ctx->arena; NULL when it is exhausted. */
Payment *view_payment(tf_ctx *ctx, const struct payment *payment);
/* Now, as server_time of an answer. */
Timestamp *view_now(tf_ctx *ctx);
