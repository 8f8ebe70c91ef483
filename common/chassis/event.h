/* Reading envelopes; the writing side is in bus.h. */
#pragma once

#include "common/chassis/bus.h"

enum { TF_ENVELOPE_BYTES_MAX = 256 * 1024 }; /* the check of outbox.envelope says the same */

/* The event in an envelope; strings and payload in ctx->arena. False: not an envelope, or one without id or type. */
bool tf_event_unpack(tf_ctx *ctx, const void *data, size_t size, struct tf_received *ret_event,
                     const char **ret_traceparent);
