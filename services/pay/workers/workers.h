/* Work that no call starts: asking providers, giving money back, and forgetting. Ticks of tf_periodic. */
#pragma once

#include "common/base/ctx.h"

/* Asks providers for payments that did not report, and closes those whose time is over. */
void query_tick(tf_ctx *ctx, void *arg);
/* Carries due refunds to their providers. */
void refund_tick(tf_ctx *ctx, void *arg);
/* Drops notifications that are older than they are kept. */
void retention_tick(tf_ctx *ctx, void *arg);
