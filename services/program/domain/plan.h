/* A seat plan: sections with rows of seats, standing areas, shapes to draw. One model for both forms in which a file
 * may give it: rows in words (plan_words.c) and the open seating-plan JSON (plan_open.c). Pure; lives in an arena.
 *
 * Coordinates are in the plan's own units, x to the right, y away from the stage at the top. Rows are sorted by
 * section, in the file's order within it; seats of a row stand from left to right in one run of `seats`. */
#pragma once

#include "services/program/domain/read.h"

enum {
    PLAN_PLACES_MAX = 100000,
    PLAN_ROWS_MAX = 20000,
    PLAN_ROW_SEATS_MAX = 1000,
    PLAN_SECTIONS_MAX = 1000,
    PLAN_AREAS_MAX = 200,
    PLAN_CATEGORIES_MAX = 200,
    PLAN_SHAPES_MAX = 2000,
    PLAN_SHAPE_POINTS_MAX = 500,
    PLAN_SIZE_MAX = 100000,
    PLAN_SEAT_PITCH = 20, /* of rows in words: plan units from seat to seat */
    PLAN_LABEL_MAX = 40,
    PLAN_QUALITY_MAX = 1000, /* of a section; the distance to the stage decides within one quality */
};

enum plan_attribute { PLACE_ACCESSIBLE = 1 << 0, PLACE_COMPANION = 1 << 1, PLACE_RESTRICTED_VIEW = 1 << 2 };
enum { PLACE_ATTRIBUTES = 3 };
/* Their names, in the order of the bits; NULL-ended. */
extern const char *const plan_attribute_names[];

struct plan_seat {
    const char *number; /* as selectors name it */
    const char *label;  /* as people read it; mostly the same pointer */
    const char *guid;   /* open form only, else NULL */
    int32_t x, y;
    int32_t quality; /* lower is better */
    int16_t category;
    uint8_t attributes;
    bool gap_after; /* an aisle follows: the next seat is no neighbour */
};

struct plan_row {
    const char *number; /* as selectors name it */
    const char *label;  /* as people read it */
    int section;
    int first, count; /* in seats */
};

struct plan_section {
    const char *key; /* as selectors name it */
    const LocalizedTexts *name;
    const LocalizedTexts *entrance; /* NULL: not said */
    int quality;
    int first_row, n_rows;
};

/* A standing area. */
struct plan_area {
    const char *key;
    const LocalizedTexts *name;
    const LocalizedTexts *entrance;
    int quality;
    int category;
    int capacity;
    int32_t x, y, width, height; /* to draw; the upper left corner */
};

enum plan_shape_kind { SHAPE_POLYGON, SHAPE_RECTANGLE, SHAPE_ELLIPSE, SHAPE_CIRCLE, SHAPE_TEXT };
extern const char *const plan_shape_names[];

/* Something to draw that is no place: a stage, a bar, a word. */
struct plan_shape {
    enum plan_shape_kind kind;
    int32_t x, y;
    double rotation;
    int32_t width, height; /* rectangle; ellipse and circle: twice the radii */
    const int32_t *points; /* polygon: x and y by turns, relative to x, y */
    int n_points;
    const char *text, *text_color; /* or NULL */
    int32_t text_x, text_y, text_size;
    const char *color, *border_color; /* or NULL */
};

struct plan_category {
    const char *name;
    const char *color; /* or NULL */
    int n_places;
};

struct names;

struct plan {
    int32_t width, height;
    int32_t stage_x, stage_y;
    int n_sections, n_rows, n_seats, n_areas, n_shapes, n_categories;
    struct plan_section *sections;
    struct plan_row *rows;
    struct plan_seat *seats;
    struct plan_area *areas;
    struct plan_shape *shapes;
    struct plan_category *categories;
    int n_places;              /* seats and standing capacities */
    const struct names *guids; /* guid → seat; NULL when the plan has none */
};

/* Reads the members of a plan that stand in an element of "plans" (docs/import-format.md). at: the element's path. NULL
 * when there are faults. The strings of the plan may be borrowed from the document. */
struct plan *plan_read(struct reading *r, const struct path *at, const tf_json *element);

/* ---- for the two forms ------------------------------------------------------------------------------------------ */

/* A plan under construction: arrays that grow. */
struct plan_draft {
    struct reading *r;
    struct plan *plan;
    struct names *categories; /* name → index */
    int seats_capacity, rows_capacity, sections_capacity, areas_capacity, categories_capacity;
    double scale; /* plan units of one unit of the file's positions */
};

/* Each appends one zeroed element (reporting at the path when the bound is passed) and returns it, or NULL. */
struct plan_section *plan_add_section(struct plan_draft *draft, const struct path *at);
struct plan_row *plan_add_row(struct plan_draft *draft, const struct path *at);
struct plan_seat *plan_add_seat(struct plan_draft *draft, const struct path *at);
struct plan_area *plan_add_area(struct plan_draft *draft, const struct path *at);
/* Index of the category, made at first use; -1 with a fault when there are too many. */
int plan_category(struct plan_draft *draft, const struct path *at, const char *name);

/* "areas" of the element; x is INT32_MIN and width 0 where the file says nothing. */
bool plan_read_areas(struct plan_draft *draft, const struct path *at, const tf_json *element);

bool plan_read_words(struct plan_draft *draft, const struct path *at, const tf_json *element);
bool plan_read_open(struct plan_draft *draft, const struct path *at, const tf_json *element);
