/* The request arena: bump allocation in blocks, released together. Blocks double up to BLOCK_MAX; an allocation that
 * does not fit gets a block of its own size. Under the sanitizers every allocation is its own malloc. */
#include "common/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ALIGN = 16, BLOCK_FIRST = 4096, BLOCK_MAX = 256 * 1024 };

struct block {
    struct block *next;
    size_t size, used; /* bytes of data */
    _Alignas(ALIGN) unsigned char data[];
};

struct tf_arena {
    size_t ceiling, used;
    bool exhausted;
    struct block *newest; /* allocations come from here; the first block is the last of the list */
};

#ifndef TF_SANITIZED
static struct block *block_new(size_t size)
{
    struct block *block = malloc(sizeof(*block) + size);

    if (!block) return NULL;
    block->next = NULL;
    block->size = size;
    block->used = 0;
    return block;
}
#endif

tf_arena *tf_arena_new(size_t ceiling_bytes)
{
    tf_arena *arena = calloc(1, sizeof(*arena));

    if (!arena) return NULL;
    arena->ceiling = ceiling_bytes;
#ifndef TF_SANITIZED
    arena->newest = block_new(BLOCK_FIRST - sizeof(struct block));
    if (!arena->newest) {
        free(arena);
        return NULL;
    }
#endif
    return arena;
}

void tf_arena_reset(tf_arena *arena)
{
    struct block *block = arena->newest;

#ifdef TF_SANITIZED
    while (block) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
    arena->newest = NULL;
#else
    while (block->next) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
    block->used = 0;
    arena->newest = block;
#endif
    arena->used = 0;
    arena->exhausted = false;
}

void tf_arena_free(tf_arena *arena)
{
    if (!arena) return;
    for (struct block *block = arena->newest; block;) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
    free(arena);
}

void tf_arena_freep(tf_arena **arena)
{
    tf_arena_free(*arena);
    *arena = NULL;
}

bool tf_arena_exhausted(const tf_arena *arena)
{
    return arena->exhausted;
}

size_t tf_arena_used(const tf_arena *arena)
{
    return arena->used;
}

static void *take(tf_arena *arena, size_t size, size_t rounded)
{
#ifdef TF_SANITIZED
    struct block *block = malloc(sizeof(*block) + size); /* exactly, so that the first byte too many is seen */

    (void)rounded;
    if (!block) return NULL;
    block->next = arena->newest;
    arena->newest = block;
    return block->data;
#else
    struct block *block = arena->newest;

    (void)size;
    if (block->size - block->used < rounded) {
        size_t room = TF_MIN(block->size * 2, (size_t)BLOCK_MAX - sizeof(struct block)) & ~(size_t)(ALIGN - 1);

        block = block_new(TF_MAX(room, rounded));
        if (!block) return NULL;
        block->next = arena->newest;
        arena->newest = block;
    }
    block->used += rounded;
    return block->data + block->used - rounded;
#endif
}

void *tf_arena_alloc(tf_arena *arena, size_t size)
{
    size_t rounded = size ? (size + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    void *p = NULL;

    if (rounded >= size && rounded <= arena->ceiling - arena->used) p = take(arena, size, rounded);
    if (!p) {
        arena->exhausted = true;
        return NULL;
    }
    arena->used += rounded;
    return p;
}

void *tf_arena_calloc(tf_arena *arena, size_t count, size_t size)
{
    size_t total;
    void *p;

    if (__builtin_mul_overflow(count, size, &total)) {
        arena->exhausted = true;
        return NULL;
    }
    p = tf_arena_alloc(arena, total);
    if (p) memset(p, 0, total);
    return p;
}

void *tf_arena_memdup(tf_arena *arena, const void *data, size_t size)
{
    void *p = tf_arena_alloc(arena, size);

    if (p && size) memcpy(p, data, size);
    return p;
}

char *tf_arena_strdup(tf_arena *arena, const char *s)
{
    return s ? tf_arena_memdup(arena, s, strlen(s) + 1) : NULL;
}

char *tf_arena_strndup(tf_arena *arena, const char *s, size_t n)
{
    char *p;

    if (n == SIZE_MAX) {
        arena->exhausted = true;
        return NULL;
    }
    p = tf_arena_alloc(arena, n + 1);
    if (!p) return NULL;
    if (n) memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *tf_arena_printf(tf_arena *arena, const char *format, ...)
{
    va_list args;
    char *s;

    va_start(args, format);
    s = tf_arena_vprintf(arena, format, args);
    va_end(args);
    return s;
}

char *tf_arena_vprintf(tf_arena *arena, const char *format, va_list args)
{
    char small[256]; /* most texts fit, so that most are formatted once */
    va_list again;
    char *s;
    int n;

    va_copy(again, args);
    n = vsnprintf(small, sizeof(small), format, args);
    if (n < 0) {
        s = NULL;
    } else if ((size_t)n < sizeof(small)) {
        s = tf_arena_memdup(arena, small, (size_t)n + 1);
    } else {
        s = tf_arena_alloc(arena, (size_t)n + 1);
        if (s) vsnprintf(s, (size_t)n + 1, format, again);
    }
    va_end(again);
    return s;
}
