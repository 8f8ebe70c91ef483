/* An organiser's file (docs/import-format.md), read and checked as far as the file alone allows.
 *
 * Objects refer to one another by ref; what a ref means, in the file or among what is stored, is decided by who writes
 * the catalogue. Each object has a digest of its content, so that the same file again is known to change nothing. */
#pragma once

#include "services/program/domain/show.h"

enum {
    CATALOGUE_DIGEST = 32,
    CATALOGUE_ORGANISERS_MAX = 50,
    CATALOGUE_VENUES_MAX = 500,
    CATALOGUE_PLANS_MAX = 200,
    CATALOGUE_PROGRAMS_MAX = 1000,
    CATALOGUE_SHOWS_MAX = 2000, /* of the whole file */
    CATALOGUE_BYTES_MAX = 16 * 1024 * 1024,
    CATALOGUE_VALUES_MAX = 1500000, /* a plan of 100,000 seats in the open form has 1.2 million */
    CATALOGUE_PLACES_MAX = 500000,  /* of all plans of a file */
    PROGRAM_TEXTS = 10,
};
#define CATALOGUE_FORMAT "ticketflow-catalogue/1"

/* The plain rules of a programme, in the order of ProgramTexts; NULL-ended. */
extern const char *const program_text_names[];

struct object {
    const char *ref;
    const char *organiser_ref; /* said, or the file's only one; NULL: the caller's own */
    unsigned char digest[CATALOGUE_DIGEST];
    const char *document; /* canonical JSON of the content: plans and shows only */
};

struct catalogue_organiser {
    struct object object;
    const LocalizedTexts *name;
};
struct catalogue_venue {
    struct object object;
    const LocalizedTexts *name, *city, *address;
    const char *time_zone;
};
struct catalogue_plan {
    struct object object;
    const char *venue_ref;
    struct plan *plan;
};
struct catalogue_show {
    struct object object;  /* its organiser is the programme's */
    size_t program, index; /* /programs/<program>/shows/<index> */
    struct show show;
};
struct catalogue_program {
    struct object object;
    const LocalizedTexts *title, *performers, *category; /* performers and category may be NULL */
    const LocalizedTexts *texts[PROGRAM_TEXTS];          /* each may be NULL */
    const char *picture, *group;                         /* may be NULL */
};

struct catalogue {
    size_t n_organisers, n_venues, n_plans, n_programs, n_shows;
    struct catalogue_organiser *organisers;
    struct catalogue_venue *venues;
    struct catalogue_plan *plans;
    struct catalogue_program *programs;
    struct catalogue_show *shows; /* of all programmes, in the file's order */
};

/* Whether a text of JSON has at most CATALOGUE_VALUES_MAX values, by its commas and brackets: to be asked before it is
 * parsed, because a value takes a hundred times the memory of its text. */
bool catalogue_values_few(const char *text, size_t size);
/* Reads the whole document. False: see the faults. Strings are borrowed from the document. */
bool catalogue_read(struct reading *r, const tf_json *document, int64_t hold_floor_s, struct catalogue *ret_catalogue);

/* Stored documents again: canonical JSON of a plan or show as `object.document` gave it. The JSON must outlive the
 * result; the caller frees *ret_json. False: the document is not what this program once stored, or memory is short. */
bool stored_plan_read(struct reading *r, const char *document, tf_json **ret_json, struct plan **ret_plan);
bool stored_show_read(struct reading *r, const char *document, tf_json **ret_json, struct show *ret_show);
