/* What is wrong with an organiser's file, and where: faults named by JSON pointer (RFC 6901).
 *
 * A path is a list on the stack, from the member at hand up to the document; it is written out only when there is a
 * fault to name, so that reading 100,000 seats costs nothing. Reading goes on after a fault where that makes sense, so
 * that an organiser sees several at once; the first one is the answer's field. */
#pragma once

#include "common/base/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* One step of a path: a member's name, or (name NULL) an element's index. The document itself has no step. */
struct path {
    const struct path *up; /* NULL: below the document */
    const char *name;
    size_t index;
};

#define PATH_MEMBER(parent, member) (&(const struct path){.up = (parent), .name = (member)})
#define PATH_INDEX(parent, i)       (&(const struct path){.up = (parent), .index = (i)})

/* Pointers (of absurd member names) and details beyond these are cut, at a character's end. */
enum { FAULTS_MAX = 20, FAULT_POINTER_MAX = 512, FAULT_DETAIL_MAX = 600 };

struct fault {
    const char *pointer, *detail;
};
struct faults {
    tf_arena *arena; /* owns the texts */
    size_t n;
    struct fault list[FAULTS_MAX];
};

/* Bytes of valid UTF-8 to keep so that at most max are left and no character is cut. */
size_t utf8_cut(const char *text, size_t max);

void faults_init(struct faults *faults, tf_arena *arena);
/* The pointer in the faults' arena; "" for the document. */
const char *path_pointer(tf_arena *arena, const struct path *path);
/* Adds a fault; those beyond FAULTS_MAX are dropped. Returns false, so that a reader may write: return fault_add(…). */
bool fault_add(struct faults *faults, const struct path *path, const char *format, ...) TF_PRINTF(3, 4);
