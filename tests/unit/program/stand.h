/* What tests of the catalogue share: a file's text, read and (as an import does with what it finds stored) each show
 * put on its plan, in its venue's time. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/program/domain/catalogue.h"
#include "services/program/domain/publication.h"

#include <string.h>

/* 2026-11-22T10:00:00Z, a Sunday. */
#define STAND_NOW INT64_C(1795341600000000)

struct stand {
    tf_arena *arena;
    tf_json *document;
    struct faults faults;
    struct reading r;
    struct catalogue catalogue;
};

void stand_init(struct stand *s);
void stand_done(struct stand *s);
/* Reads a file and checks all its shows; true without faults. */
bool stand_read(struct stand *s, const char *json);
/* Puts one show on its plan; false with faults. */
bool stand_show(struct stand *s, size_t index, struct show_times *times, struct painting *painting,
                const struct plan **ret_plan);
/* Reads a plan's members alone; NULL with faults. */
struct plan *stand_plan(struct stand *s, const char *json);

/* A good file with a words plan and an open plan, two shows. */
extern const char good_file[];
/* The text with the first `find` replaced; fails the test when it is not there. */
char *replaced(tf_arena *arena, const char *text, const char *find, const char *with);
