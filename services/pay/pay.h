/* The pay service's own state. */
#pragma once

#include "common/chassis/service.h"
#include "services/pay/config.h"

struct pay_state {
    tf_app *app;
    tf_periodic *queries;   /* asks providers for payments that did not report */
    tf_periodic *refunds;   /* carries refunds to providers */
    tf_periodic *retention; /* drops old notifications */
};

static inline struct pay_state *pay_state(const tf_ctx *ctx)
{
    return tf_ctx_state(ctx);
}
