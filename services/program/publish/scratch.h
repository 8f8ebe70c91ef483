/* Memory of its own for heavy work inside a call: a context like the caller's with another arena, given back at the
 * end. */
#pragma once

#include "common/base/ctx.h"

/* scratch shares everything of ctx but the arena (at most ceiling_bytes) and the error. */
TF_MUSTCHECK tf_code scratch_begin(tf_ctx *ctx, tf_ctx *scratch, size_t ceiling_bytes);
/* Moves the error, if any, into ctx and frees the arena. Returns code. */
tf_code scratch_end(tf_ctx *ctx, tf_ctx *scratch, tf_code code);
