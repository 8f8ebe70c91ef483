/* Taking an organiser's file: all of it or nothing. */
#pragma once

#include "services/program/domain/catalogue.h"

#include "common/base/ctx.h"

/* What became of an object of the file. */
struct imported {
    const char *kind, *ref; /* in the arena of the context */
    int64_t id;
    ImportedObject_Outcome outcome;
};
struct import_result {
    size_t n;
    struct imported *objects;
    bool published; /* something is waiting in the outbox */
};

/* Reads, checks and stores the document in one transaction; validate_only: which is rolled back at its end, so that the
 * result tells what would be (objects that would be made have id 0). TF_FIELD_INVALID: error.field is the JSON pointer
 * of the first fault ("" for the document), parameter "faults" has all, a line each. TF_FORBIDDEN: another organiser's,
 * or a new one without the platform's role. TF_OVERLOADED: see turns.h. */
TF_MUSTCHECK tf_code import_run(tf_ctx *ctx, const void *data, size_t size, int64_t hold_floor_s, bool validate_only,
                                struct import_result *ret_result);
