/* Building commands in a request's arena, and writing them for the wire. */
#include "common/redis/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ARGS_FIRST = 8 };

void tf_redis_cmd_init(tf_redis_cmd *cmd, tf_ctx *ctx)
{
    *cmd = (tf_redis_cmd){.ctx = ctx};
}

static bool grow(tf_redis_cmd *cmd)
{
    size_t capacity = cmd->capacity ? cmd->capacity * 2 : ARGS_FIRST;
    const char **args = TF_NEW_ARRAY(cmd->ctx->arena, const char *, capacity);
    size_t *sizes = TF_NEW_ARRAY(cmd->ctx->arena, size_t, capacity);

    if (!args || !sizes) return false;
    if (cmd->n) {
        memcpy(args, cmd->args, cmd->n * sizeof(*args));
        memcpy(sizes, cmd->sizes, cmd->n * sizeof(*sizes));
    }
    cmd->args = args;
    cmd->sizes = sizes;
    cmd->capacity = capacity;
    return true;
}

/* text: already in the arena, or NULL when it did not fit. */
static void add(tf_redis_cmd *cmd, const char *text, size_t size)
{
    if (cmd->broken) return;
    if (!text || (cmd->n == cmd->capacity && !grow(cmd))) {
        cmd->broken = true;
        return;
    }
    cmd->args[cmd->n] = text;
    cmd->sizes[cmd->n] = size;
    cmd->n++;
}

void tf_redis_arg(tf_redis_cmd *cmd, const char *text)
{
    tf_redis_arg_bytes(cmd, text, strlen(text));
}

void tf_redis_arg_bytes(tf_redis_cmd *cmd, const void *data, size_t size)
{
    if (cmd->broken) return;
    add(cmd, tf_arena_strndup(cmd->ctx->arena, data, size), size); /* ends with a NUL, for messages */
}

void tf_redis_arg_int(tf_redis_cmd *cmd, int64_t value)
{
    tf_redis_arg_printf(cmd, "%" PRId64, value);
}

void tf_redis_arg_printf(tf_redis_cmd *cmd, const char *format, ...)
{
    const char *text;
    va_list args;

    if (cmd->broken) return;
    va_start(args, format);
    text = tf_arena_vprintf(cmd->ctx->arena, format, args);
    va_end(args);
    add(cmd, text, text ? strlen(text) : 0);
}

static size_t digits(size_t n)
{
    size_t d = 1;

    while (n >= 10) {
        n /= 10;
        d++;
    }
    return d;
}

/* "*12\r\n" or "$12\r\n". */
static size_t head_size(size_t n)
{
    return 1 + digits(n) + 2;
}

static char *write_head(char *to, char kind, size_t n)
{
    char *end = to + head_size(n);

    *to = kind;
    for (char *p = end - 3; p > to; p--, n /= 10)
        *p = (char)('0' + n % 10);
    end[-2] = '\r';
    end[-1] = '\n';
    return end;
}

size_t tf_redis_wire_size(const tf_redis_cmd *cmd)
{
    size_t size = head_size(cmd->n);

    for (size_t i = 0; i < cmd->n; i++)
        size += head_size(cmd->sizes[i]) + cmd->sizes[i] + 2;
    return size;
}

char *tf_redis_wire_write(const tf_redis_cmd *cmd, char *to)
{
    to = write_head(to, '*', cmd->n);
    for (size_t i = 0; i < cmd->n; i++) {
        to = write_head(to, '$', cmd->sizes[i]);
        memcpy(to, cmd->args[i], cmd->sizes[i]);
        to += cmd->sizes[i];
        *to++ = '\r';
        *to++ = '\n';
    }
    return to;
}
