/* A set of names: open addressing, linear probing, at most half full. */
#include "services/program/domain/names.h"

#include "common/base/text.h"

#include <string.h>

enum { NAMES_FIRST_CAPACITY = 64 };

void names_init(struct names *names, tf_arena *arena)
{
    *names = (struct names){.arena = arena};
}

/* The slot of the name, or the free slot where it belongs. */
static size_t names_slot(const struct names *names, const char *name)
{
    size_t mask = names->capacity - 1;
    size_t slot = tf_hash64(name, strlen(name)) & mask;

    while (names->keys[slot] && strcmp(names->keys[slot], name) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

static bool names_grow(struct names *names)
{
    struct names bigger = {.arena = names->arena, .n = names->n};

    bigger.capacity = names->capacity ? names->capacity * 2 : NAMES_FIRST_CAPACITY;
    bigger.keys = TF_NEW_ARRAY(names->arena, const char *, bigger.capacity);
    bigger.values = TF_NEW_ARRAY(names->arena, int, bigger.capacity);
    if (!bigger.keys || !bigger.values) return false;
    for (size_t i = 0; i < names->capacity; i++) {
        size_t slot;

        if (!names->keys[i]) continue;
        slot = names_slot(&bigger, names->keys[i]);
        bigger.keys[slot] = names->keys[i];
        bigger.values[slot] = names->values[i];
    }
    *names = bigger;
    return true;
}

int names_find(const struct names *names, const char *name)
{
    size_t slot;

    if (!names->capacity) return -1;
    slot = names_slot(names, name);
    return names->keys[slot] ? names->values[slot] : -1;
}

int names_add(struct names *names, const char *name, int value)
{
    size_t slot;

    if (names->n * 2 >= names->capacity && !names_grow(names)) return -1;
    slot = names_slot(names, name);
    if (names->keys[slot]) return names->values[slot];
    names->keys[slot] = name;
    names->values[slot] = value;
    names->n++;
    return -1;
}
