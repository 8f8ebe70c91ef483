/* Faults of a file and their JSON pointers. */
#include "services/program/domain/fault.h"

#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer ones (absurd member names) are cut. */
enum { POINTER_BYTES_MAX = 512 };

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

    tf_buf_init(&out, POINTER_BYTES_MAX);
    pointer_write(&out, path);
    pointer = tf_arena_strndup(arena, out.data ? out.data : "", out.size);
    return pointer ? pointer : "";
}

bool fault_add(struct faults *faults, const struct path *path, const char *format, ...)
{
    struct fault *fault;
    va_list args;

    if (faults->n == FAULTS_MAX) return false;
    fault = &faults->list[faults->n++];
    va_start(args, format);
    fault->detail = tf_arena_vprintf(faults->arena, format, args);
    va_end(args);
    if (!fault->detail) fault->detail = "is wrong";
    fault->pointer = path_pointer(faults->arena, path);
    return false;
}
