/* The context of one unit of work: life, deadline and the first error. */
#include "common/base/ctx.h"

#include <string.h>

enum { CTX_ARENA_BYTES = 8 * 1024 * 1024 };

/* What stands for a text that the arena had no room for: an error must not vanish because memory did. */
static const char no_room[] = "(no memory left for the text)";

static int64_t deadline_after(const tf_clock *clock, int64_t timeout_us)
{
    int64_t deadline;

    if (timeout_us <= 0) return INT64_MAX;
    if (__builtin_add_overflow(clock->mono_us(clock), timeout_us, &deadline)) return INT64_MAX;
    return deadline;
}

/* request_id is borrowed: it outlives the context (tf_ctx_reset forgets the arena). */
void tf_ctx_init(tf_ctx *ctx, const char *request_id, int64_t timeout_us)
{
    *ctx = (tf_ctx){
        .arena = tf_arena_new(CTX_ARENA_BYTES),
        .clock = tf_clock_system(),
        .identity = {.caller = ""},
        .request_id = request_id ? request_id : "",
        .language = "en",
        .attempt = 1,
    };
    TF_ASSERT(ctx->arena); /* no 4 KiB left: nothing can be done or even reported */
    ctx->deadline_us = deadline_after(ctx->clock, timeout_us);
}

void tf_ctx_reset(tf_ctx *ctx, int64_t timeout_us)
{
    tf_arena_reset(ctx->arena);
    tf_error_clear(ctx);
    ctx->deadline_us = deadline_after(ctx->clock, timeout_us);
}

void tf_ctx_done(tf_ctx *ctx)
{
    tf_arena_freep(&ctx->arena);
    tf_error_clear(ctx); /* its strings are gone */
}

int64_t tf_ctx_left_us(const tf_ctx *ctx)
{
    int64_t left;

    if (ctx->deadline_us == INT64_MAX) return INT64_MAX;
    if (__builtin_sub_overflow(ctx->deadline_us, ctx->clock->mono_us(ctx->clock), &left)) return 0;
    return left > 0 ? left : 0;
}

tf_code tf_ctx_check(tf_ctx *ctx)
{
    if (tf_ctx_left_us(ctx) > 0) return TF_OK;
    return tf_fail(ctx, TF_DEADLINE, "the deadline has passed");
}

tf_code tf_fail(tf_ctx *ctx, tf_code code, const char *internal, ...)
{
    va_list args;

    TF_ASSERT(code > TF_OK && code < TF_CODES);
    if (ctx->error.code) return ctx->error.code;
    ctx->error.code = code;
    if (internal) {
        va_start(args, internal);
        ctx->error.internal = tf_arena_vprintf(ctx->arena, internal, args);
        va_end(args);
        if (!ctx->error.internal) ctx->error.internal = no_room;
    }
    return code;
}

tf_code tf_fail_field(tf_ctx *ctx, const char *field, const char *detail, ...)
{
    va_list args;

    if (ctx->error.code) return ctx->error.code;
    ctx->error.code = TF_FIELD_INVALID;
    ctx->error.field = tf_arena_strdup(ctx->arena, field);
    if (detail) {
        va_start(args, detail);
        ctx->error.detail = tf_arena_vprintf(ctx->arena, detail, args);
        va_end(args);
        if (!ctx->error.detail) ctx->error.detail = no_room;
    }
    return TF_FIELD_INVALID;
}

/* Each name once: parameters become members of a JSON object. */
void tf_error_param(tf_ctx *ctx, const char *name, const char *format, ...)
{
    struct tf_error *error = &ctx->error;
    va_list args;
    char *value;

    if (!error->code || error->n_params == TF_ERROR_PARAMS_MAX) return;
    for (size_t i = 0; i < error->n_params; i++)
        if (strcmp(error->params[i].name, name) == 0) return;
    va_start(args, format);
    value = tf_arena_vprintf(ctx->arena, format, args);
    va_end(args);
    if (value) error->params[error->n_params++] = (struct tf_error_param){name, value};
}

void tf_error_retry_after(tf_ctx *ctx, int retry_after_ms)
{
    if (ctx->error.code && retry_after_ms > 0) ctx->error.retry_after_ms = retry_after_ms;
}

void tf_error_clear(tf_ctx *ctx)
{
    ctx->error = (struct tf_error){0};
}
