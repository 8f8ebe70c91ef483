/* A context with memory of its own. */
#include "services/program/publish/scratch.h"

tf_code scratch_begin(tf_ctx *ctx, tf_ctx *scratch, size_t ceiling_bytes)
{
    *scratch = *ctx;
    tf_error_clear(scratch);
    scratch->arena = tf_arena_new(ceiling_bytes);
    return scratch->arena ? TF_OK : tf_fail(ctx, TF_OVERLOADED, "no memory for an arena");
}

tf_code scratch_end(tf_ctx *ctx, tf_ctx *scratch, tf_code code)
{
    const struct tf_error *error = &scratch->error;

    if (error->code && error->field)
        tf_fail_field(ctx, error->field, "%s", error->detail ? error->detail : "");
    else if (error->code)
        tf_fail(ctx, error->code, "%s", error->internal ? error->internal : "");
    for (size_t i = 0; i < error->n_params; i++)
        tf_error_param(ctx, error->params[i].name, "%s", error->params[i].value);
    tf_error_retry_after(ctx, error->retry_after_ms);
    tf_arena_freep(&scratch->arena);
    return code;
}
