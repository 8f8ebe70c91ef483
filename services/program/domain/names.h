/* A set of names, each with a number: refs, categories, seat guids. Hash table in an arena; names are borrowed. */
#pragma once

#include "common/base/arena.h"

#include <stddef.h>

struct names {
    tf_arena *arena;
    size_t n, capacity; /* capacity: a power of two, or 0 */
    const char **keys;
    int *values;
};

void names_init(struct names *names, tf_arena *arena);
/* The name's number, or -1. */
int names_find(const struct names *names, const char *name);
/* Adds the name with that number; returns the number that it had before, or -1 when it is new. A name that is there
 * keeps its number. No memory: nothing is added (the arena remembers). */
int names_add(struct names *names, const char *name, int value);
