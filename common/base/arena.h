/* A request's memory: allocate forward, release all at once. Nothing to free, nothing to forget.
 *
 * Has a ceiling, because every input is someone else's: past it allocations return NULL and the arena remembers
 * (tf_arena_exhausted), so that a handler may check once at the end. Not thread-safe: one owner at a time.
 * Under the sanitizers each allocation is a malloc of its own, so that overruns are seen. */
#pragma once

#include "common/base/macros.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct tf_arena tf_arena;

/* ceiling_bytes: most that all live allocations may take together. NULL only when the system has no memory. */
tf_arena *tf_arena_new(size_t ceiling_bytes);
/* Forgets all allocations and keeps a first block for the next request. */
void tf_arena_reset(tf_arena *arena);
/* Accepts NULL. */
void tf_arena_free(tf_arena *arena);
void tf_arena_freep(tf_arena **arena); /* for tf_cleanup */

bool tf_arena_exhausted(const tf_arena *arena);
size_t tf_arena_used(const tf_arena *arena);

/* 16-byte aligned, not zeroed; NULL past the ceiling. size 0 gives a valid pointer. */
void *tf_arena_alloc(tf_arena *arena, size_t size);
/* Zeroed; NULL when count * size overflows or passes the ceiling. */
void *tf_arena_calloc(tf_arena *arena, size_t count, size_t size);
void *tf_arena_memdup(tf_arena *arena, const void *data, size_t size);
/* NULL in gives NULL out. */
char *tf_arena_strdup(tf_arena *arena, const char *s);
/* Copies n bytes and adds a NUL. */
char *tf_arena_strndup(tf_arena *arena, const char *s, size_t n);
char *tf_arena_printf(tf_arena *arena, const char *format, ...) TF_PRINTF(2, 3);
char *tf_arena_vprintf(tf_arena *arena, const char *format, va_list args) TF_PRINTF(2, 0);

/* Typed: struct x *x = TF_NEW(arena, struct x); struct x *xs = TF_NEW_ARRAY(arena, struct x, n); both zeroed. */
#define TF_NEW(arena, type)              ((type *)tf_arena_calloc((arena), 1, sizeof(type)))
#define TF_NEW_ARRAY(arena, type, count) ((type *)tf_arena_calloc((arena), (count), sizeof(type)))
