/* A growing byte buffer on the heap with a ceiling. After a failed append the buffer is `broken`: later appends do
 * nothing, so a writer checks once at the end. data is always NUL-terminated once something was appended. */
#pragma once

#include "common/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tf_buf {
    char *data;
    size_t size, capacity, ceiling;
    bool broken; /* ceiling reached or no memory */
} tf_buf;

/* No allocation yet. */
void tf_buf_init(tf_buf *buf, size_t ceiling_bytes);
/* Releases; the buffer may be used again with the same ceiling. Accepts a zeroed buffer. */
void tf_buf_done(tf_buf *buf);
/* Keeps memory, forgets content and `broken`. */
void tf_buf_clear(tf_buf *buf);
void tf_buf_append(tf_buf *buf, const void *data, size_t size);
void tf_buf_puts(tf_buf *buf, const char *s);
void tf_buf_putc(tf_buf *buf, char c);
void tf_buf_printf(tf_buf *buf, const char *format, ...) TF_PRINTF(2, 3);
