/* Faults of a file and their JSON pointers. */
#include "services/program/domain/fault.h"

#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* More than is kept of a pointer, so that where it is cut the next character is known. */
enum { POINTER_BUFFER_BYTES = FAULT_POINTER_MAX + 64 };

size_t utf8_cut(const char *text, size_t max)
{
    size_t n = strlen(text);

    if (n <= max) return n;
    for (n = max; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;) /* within a character */
        n--;
    return n;
}

void faults_init(struct faults *faults, tf_arena *arena)
{
    *faults = (struct faults){.arena = arena};
}

static void pointer_write(tf_buf *out, const struct path *path)
{
    if (!path) return;
    pointer_write(out, path->up);
    tf_buf_putc(out, '/');
    if (!path->name) {
        tf_buf_printf(out, "%zu", path->index);
        return;
    }
    for (const char *s = path->name; *s; s++) {
        if (*s == '~')
            tf_buf_puts(out, "~0");
        else if (*s == '/')
            tf_buf_puts(out, "~1");
        else
            tf_buf_putc(out, *s);
    }
}

const char *path_pointer(tf_arena *arena, const struct path *path)
{
    tf_cleanup(tf_buf_done) tf_buf out = {0};
    const char *pointer;

    tf_buf_init(&out, POINTER_BUFFER_BYTES);
    pointer_write(&out, path);
    pointer = out.data ? tf_arena_strndup(arena, out.data, utf8_cut(out.data, FAULT_POINTER_MAX)) : "";
    return pointer ? pointer : "";
}

bool fault_add(struct faults *faults, const struct path *path, const char *format, ...)
{
    struct fault *fault;
    va_list args;
    char *detail;

    if (faults->n == FAULTS_MAX) return false;
    fault = &faults->list[faults->n++];
    va_start(args, format);
    detail = tf_arena_vprintf(faults->arena, format, args);
    va_end(args);
    if (detail) detail[utf8_cut(detail, FAULT_DETAIL_MAX)] = '\0';
    fault->detail = detail ? detail : "is wrong";
    fault->pointer = path_pointer(faults->arena, path);
    return false;
}
