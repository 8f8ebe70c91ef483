/* Entries of a timeline and found orders as lines for people. Pure. */
#pragma once

#include "common/base/arena.h"
#include "common/json/json.h"

/* Both without a line's end, in the arena; NULL when it is exhausted. Control characters of a value become blanks. */
char *render_entry(tf_arena *arena, const tf_json *entry);
char *render_order(tf_arena *arena, const tf_json *order);
