/* Compression over zlib, for answers that are stored ready-made. The output is the same for the same input: the gzip header
 * carries no time and no name. */
#pragma once

#include "common/base/arena.h"

#include <stddef.h>

/* The data in gzip form (RFC 1952) in the arena; NULL past the arena's ceiling. Takes a few milliseconds a megabyte. */
void *tf_gzip(tf_arena *arena, const void *data, size_t size, size_t *ret_size);
/* The content of one gzip member; NULL when it is malformed, has anything behind it, is larger than size_max, or past the
 * arena's ceiling. */
void *tf_gunzip(tf_arena *arena, const void *data, size_t size, size_t size_max, size_t *ret_size);
