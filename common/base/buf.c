/* The growing byte buffer with a ceiling. capacity counts the NUL, size and ceiling do not. */
#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CAPACITY_FIRST = 256 };

void tf_buf_init(tf_buf *buf, size_t ceiling_bytes)
{
    *buf = (tf_buf){.ceiling = ceiling_bytes};
}

void tf_buf_done(tf_buf *buf)
{
    free(buf->data);
    tf_buf_init(buf, buf->ceiling);
}

void tf_buf_clear(tf_buf *buf)
{
    buf->size = 0;
    buf->broken = false;
    if (buf->data) buf->data[0] = '\0';
}

/* Room for `more` bytes and the NUL, or broken. */
static bool make_room(tf_buf *buf, size_t more)
{
    size_t capacity;
    char *data;

    if (buf->broken) return false;
    if (more > buf->ceiling - buf->size || buf->ceiling == SIZE_MAX) {
        buf->broken = true;
        return false;
    }
    if (buf->capacity > buf->size + more) return true;
    capacity = TF_MAX(buf->capacity, (size_t)CAPACITY_FIRST);
    while (capacity <= buf->size + more)
        capacity = capacity > SIZE_MAX / 2 ? SIZE_MAX : capacity * 2;
    capacity = TF_MIN(capacity, buf->ceiling + 1);
    data = realloc(buf->data, capacity);
    if (!data) {
        buf->broken = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void tf_buf_append(tf_buf *buf, const void *data, size_t size)
{
    if (!make_room(buf, size)) return;
    if (size) memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void tf_buf_puts(tf_buf *buf, const char *s)
{
    tf_buf_append(buf, s, strlen(s));
}

void tf_buf_putc(tf_buf *buf, char c)
{
    tf_buf_append(buf, &c, 1);
}

void tf_buf_printf(tf_buf *buf, const char *format, ...)
{
    va_list args, again;
    size_t left;
    int n;

    if (!make_room(buf, 0)) return;
    left = buf->capacity - buf->size;
    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(buf->data + buf->size, left, format, args);
    va_end(args);
    if (n < 0) {
        buf->data[buf->size] = '\0';
        buf->broken = true;
    } else if ((size_t)n < left) {
        buf->size += (size_t)n;
    } else if (make_room(buf, (size_t)n)) {
        vsnprintf(buf->data + buf->size, (size_t)n + 1, format, again);
        buf->size += (size_t)n;
    } else {
        buf->data[buf->size] = '\0'; /* all of it or nothing */
    }
    va_end(again);
}
