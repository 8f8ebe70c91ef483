/* Strict reading of an import file's JSON: members by table, types, bounds, texts. Every fault goes into `faults` with
 * its pointer. A reader of an absent member leaves the result as it was and returns true: set the default before. */
#pragma once

#include "common/json/json.h"
#include "services/program/domain/fault.h"
#include "ticketflow/program/v1/program.tf.h"

#include <stdint.h>

struct reading {
    tf_arena *arena;
    struct faults *faults;
};

/* The members that an object may have; `must` ones are required. Ended by a NULL name. */
struct member {
    const char *name;
    bool must;
};

enum { TEXT_NAME_MAX = 200, TEXT_LONG_MAX = 20000, REF_MAX = 100 };

/* An object with known members only and none of the required missing. */
bool read_object(struct reading *r, const struct path *at, const tf_json *value, const struct member *members);
/* An array of at most max elements (and at least min); *ret_array NULL and true when absent. */
bool read_array(struct reading *r, const struct path *at, const tf_json *object, const char *name, size_t min,
                size_t max, const tf_json **ret_array);

/* A string of 1 … max bytes without control characters and without blanks at its ends. */
bool read_string(struct reading *r, const struct path *at, const tf_json *object, const char *name, size_t max,
                 const char **ret_text);
/* The same of a value itself. */
bool read_string_value(struct reading *r, const struct path *at, const tf_json *value, size_t max,
                       const char **ret_text);
/* A string as read_string takes it, or a whole number as its decimal text: labels of rows and seats. */
bool read_label_value(struct reading *r, const struct path *at, const tf_json *value, size_t max,
                      const char **ret_text);
bool read_int(struct reading *r, const struct path *at, const tf_json *object, const char *name, int64_t min,
              int64_t max, int64_t *ret_value);
bool read_int_value(struct reading *r, const struct path *at, const tf_json *value, int64_t min, int64_t max,
                    int64_t *ret_value);
/* A number, whole or not. */
bool read_real(struct reading *r, const struct path *at, const tf_json *object, const char *name, double min,
               double max, double *ret_value);
bool read_bool(struct reading *r, const struct path *at, const tf_json *object, const char *name, bool *ret_value);
/* "#rgb" or "#rrggbb" (written out in six digits, lower case). */
bool read_color(struct reading *r, const struct path *at, const tf_json *object, const char *name,
                const char **ret_color);
/* {"x": …, "y": …} */
bool read_position(struct reading *r, const struct path *at, const tf_json *object, const char *name, double bound,
                   double *ret_x, double *ret_y);
/* A text: a plain string (language "und") or an object from language tag to string. Ordered as texts.h says. Long texts
 * may have line breaks. */
bool read_texts(struct reading *r, const struct path *at, const tf_json *object, const char *name, size_t max,
                const LocalizedTexts **ret_texts);
bool read_texts_value(struct reading *r, const struct path *at, const tf_json *value, size_t max,
                      const LocalizedTexts **ret_texts);
/* One of the words of a NULL-ended list; *ret_index its position. */
bool read_word(struct reading *r, const struct path *at, const tf_json *object, const char *name,
               const char *const *words, int *ret_index);
