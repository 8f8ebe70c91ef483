/* What the money desk's handlers share. */
#pragma once

#include "services/pay/handlers/views.h"
#include "services/pay/store/desk.h"

/* In ctx->arena; NULL when it is exhausted. */
MoneyDecision *view_decision(tf_ctx *ctx, const struct money_decision *decision);
