/* Compression over zlib, for answers that are stored ready-made and for answers on their way. The output is the same
 * for the same input: the gzip header carries no time and no name. */
#pragma once

#include "common/base/arena.h"

#include <stddef.h>

enum tf_gzip_level {
    TF_GZIP_FAST, /* for one reader: 50 µs for 20 KB of JSON, down to a fifth; a thread that uses it keeps 270 KB */
    TF_GZIP_BEST, /* for many readers: some milliseconds a megabyte */
};

/* The data in gzip form (RFC 1952) in the arena; NULL past the arena's ceiling. */
void *tf_gzip(tf_arena *arena, const void *data, size_t size, enum tf_gzip_level level, size_t *ret_size);
/* The content of one gzip member; NULL when it is malformed, has anything behind it, is larger than size_max, or past
 * the arena's ceiling. */
void *tf_gunzip(tf_arena *arena, const void *data, size_t size, size_t size_max, size_t *ret_size);
