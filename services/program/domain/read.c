/* Strict reading of JSON members with faults by pointer. */
#include "services/program/domain/read.h"

#include "common/base/text.h"
#include "services/program/domain/texts.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static const char *type_name(const tf_json *value)
{
    static const char *const names[] = {
        [TF_JSON_NULL] = "null",        [TF_JSON_BOOL] = "a boolean",  [TF_JSON_INT] = "a whole number",
        [TF_JSON_REAL] = "a number",    [TF_JSON_STRING] = "a string", [TF_JSON_ARRAY] = "an array",
        [TF_JSON_OBJECT] = "an object",
    };

    return names[tf_json_type(value)];
}

bool read_object(struct reading *r, const struct path *at, const tf_json *value, const struct member *members)
{
    size_t n;
    bool good = true;

    if (tf_json_type(value) != TF_JSON_OBJECT)
        return fault_add(r->faults, at, "must be an object, not %s", type_name(value));
    n = tf_json_size(value);
    for (size_t i = 0; i < n && r->faults->n < FAULTS_MAX; i++) {
        const tf_json *ignored;
        const char *name = tf_json_member(value, i, &ignored);
        const struct member *m = members;

        while (m->name && strcmp(m->name, name) != 0)
            m++;
        if (!m->name) good = fault_add(r->faults, PATH_MEMBER(at, name), "is not a member that belongs here");
    }
    for (const struct member *m = members; m->name; m++)
        if (m->must && !tf_json_get(value, m->name))
            good = fault_add(r->faults, PATH_MEMBER(at, m->name), "is missing");
    return good;
}

bool read_array(struct reading *r, const struct path *at, const tf_json *object, const char *name, size_t min,
                size_t max, const tf_json **ret_array)
{
    const tf_json *value = tf_json_get(object, name);
    size_t n;

    *ret_array = NULL;
    if (!value) return true;
    if (tf_json_type(value) != TF_JSON_ARRAY)
        return fault_add(r->faults, PATH_MEMBER(at, name), "must be an array, not %s", type_name(value));
    n = tf_json_size(value);
    if (n < min) return fault_add(r->faults, PATH_MEMBER(at, name), "must have at least %zu elements", min);
    if (n > max) return fault_add(r->faults, PATH_MEMBER(at, name), "has %zu elements; at most %zu are taken", n, max);
    *ret_array = value;
    return true;
}

/* Bounds and characters of a text; line breaks and tabs only where `lines`. */
static bool text_check(struct reading *r, const struct path *at, const char *s, size_t max, bool lines)
{
    size_t n = strlen(s);

    if (n == 0) return fault_add(r->faults, at, "must not be empty");
    if (n > max) return fault_add(r->faults, at, "is %zu bytes long; at most %zu are taken", n, max);
    if (isspace((unsigned char)s[0]) || isspace((unsigned char)s[n - 1]))
        return fault_add(r->faults, at, "must not begin or end with a blank");
    if (!lines) return tf_has_control(s) ? fault_add(r->faults, at, "must not have control characters") : true;
    for (const char *c = s; *c; c++)
        if (((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
            return fault_add(r->faults, at, "must not have control characters besides line breaks and tabs");
    return true;
}

bool read_string_value(struct reading *r, const struct path *at, const tf_json *value, size_t max,
                       const char **ret_text)
{
    const char *text;

    if (tf_json_type(value) != TF_JSON_STRING)
        return fault_add(r->faults, at, "must be a string, not %s", type_name(value));
    text = tf_json_string(value, "");
    if (!text_check(r, at, text, max, false)) return false;
    *ret_text = text;
    return true;
}

bool read_string(struct reading *r, const struct path *at, const tf_json *object, const char *name, size_t max,
                 const char **ret_text)
{
    const tf_json *value = tf_json_get(object, name);

    return value ? read_string_value(r, PATH_MEMBER(at, name), value, max, ret_text) : true;
}

bool read_label_value(struct reading *r, const struct path *at, const tf_json *value, size_t max, const char **ret_text)
{
    const char *text;

    if (tf_json_type(value) != TF_JSON_INT) return read_string_value(r, at, value, max, ret_text);
    text = tf_arena_printf(r->arena, "%" PRId64, tf_json_int(value, 0));
    if (!text) return fault_add(r->faults, at, "takes too much memory");
    *ret_text = text;
    return true;
}

bool read_int_value(struct reading *r, const struct path *at, const tf_json *value, int64_t min, int64_t max,
                    int64_t *ret_value)
{
    int64_t number;

    if (tf_json_type(value) != TF_JSON_INT)
        return fault_add(r->faults, at, "must be a whole number, not %s", type_name(value));
    number = tf_json_int(value, 0);
    if (number < min || number > max) return fault_add(r->faults, at, "must be from %" PRId64 " to %" PRId64, min, max);
    *ret_value = number;
    return true;
}

bool read_int(struct reading *r, const struct path *at, const tf_json *object, const char *name, int64_t min,
              int64_t max, int64_t *ret_value)
{
    const tf_json *value = tf_json_get(object, name);

    return value ? read_int_value(r, PATH_MEMBER(at, name), value, min, max, ret_value) : true;
}

bool read_real(struct reading *r, const struct path *at, const tf_json *object, const char *name, double min,
               double max, double *ret_value)
{
    const tf_json *value = tf_json_get(object, name);
    const struct path *here = PATH_MEMBER(at, name);
    double number;

    if (!value) return true;
    if (tf_json_type(value) != TF_JSON_INT && tf_json_type(value) != TF_JSON_REAL)
        return fault_add(r->faults, here, "must be a number, not %s", type_name(value));
    number = tf_json_real(value, 0);
    if (!(number >= min && number <= max)) return fault_add(r->faults, here, "must be from %g to %g", min, max);
    *ret_value = number;
    return true;
}

bool read_bool(struct reading *r, const struct path *at, const tf_json *object, const char *name, bool *ret_value)
{
    const tf_json *value = tf_json_get(object, name);

    if (!value) return true;
    if (tf_json_type(value) != TF_JSON_BOOL)
        return fault_add(r->faults, PATH_MEMBER(at, name), "must be true or false, not %s", type_name(value));
    *ret_value = tf_json_bool(value, false);
    return true;
}

bool read_color(struct reading *r, const struct path *at, const tf_json *object, const char *name,
                const char **ret_color)
{
    const tf_json *value = tf_json_get(object, name);
    const struct path *here = PATH_MEMBER(at, name);
    const char *text = tf_json_string(value, "");
    size_t digits;
    char color[8] = "#";

    if (!value) return true;
    digits = text[0] == '#' ? strspn(text + 1, "0123456789abcdefABCDEF") : 0;
    if (digits != strlen(text) - (text[0] == '#') || (digits != 3 && digits != 6))
        return fault_add(r->faults, here, "must be a color such as \"#c0392b\"");
    for (size_t i = 0; i < 6; i++)
        color[1 + i] = (char)tolower((unsigned char)text[1 + (digits == 3 ? i / 2 : i)]);
    *ret_color = tf_arena_strdup(r->arena, color);
    return *ret_color ? true : fault_add(r->faults, here, "takes too much memory");
}

bool read_position(struct reading *r, const struct path *at, const tf_json *object, const char *name, double bound,
                   double *ret_x, double *ret_y)
{
    static const struct member members[] = {{"x", true}, {"y", true}, {NULL, false}};
    const tf_json *value = tf_json_get(object, name);
    const struct path *here = PATH_MEMBER(at, name);
    double x = 0, y = 0;

    if (!value) return true;
    if (!read_object(r, here, value, members)) return false;
    if (!read_real(r, here, value, "x", -bound, bound, &x) || !read_real(r, here, value, "y", -bound, bound, &y))
        return false;
    *ret_x = x;
    *ret_y = y;
    return true;
}

/* Shape of a BCP 47 tag: "zh-CN", "en". */
static bool language_plausible(const char *s)
{
    size_t part = 0;
    bool first = true;

    if (strlen(s) > 35) return false;
    for (;; s++) {
        if (*s == '-' || *s == '\0') {
            if (part < (first ? 2u : 1u) || part > 8) return false;
            if (*s == '\0') return true;
            first = false;
            part = 0;
        } else {
            if (first ? !isalpha((unsigned char)*s) : !isalnum((unsigned char)*s)) return false;
            part++;
        }
    }
}

bool read_texts_value(struct reading *r, const struct path *at, const tf_json *value, size_t max,
                      const LocalizedTexts **ret_texts)
{
    LocalizedTexts *texts;
    bool lines = max > TEXT_NAME_MAX, good = true;
    size_t n;

    if (tf_json_type(value) == TF_JSON_STRING) {
        if (!text_check(r, at, tf_json_string(value, ""), max, lines)) return false;
        texts = texts_plain(r->arena, tf_json_string(value, ""));
        if (!texts) return fault_add(r->faults, at, "takes too much memory");
        *ret_texts = texts;
        return true;
    }
    if (tf_json_type(value) != TF_JSON_OBJECT)
        return fault_add(r->faults, at, "must be a string, or an object from language to string, not %s",
                         type_name(value));
    n = tf_json_size(value);
    if (n == 0 || n > TEXT_LANGUAGES_MAX)
        return fault_add(r->faults, at, "must have from 1 to %d languages", TEXT_LANGUAGES_MAX);
    for (size_t i = 0; i < n; i++) {
        const tf_json *text;
        const char *language = tf_json_member(value, i, &text);
        const struct path *here = PATH_MEMBER(at, language);

        if (!language_plausible(language))
            good = fault_add(r->faults, here, "is not a language tag such as \"zh-CN\" or \"en\"");
        else if (tf_json_type(text) != TF_JSON_STRING)
            good = fault_add(r->faults, here, "must be a string, not %s", type_name(text));
        else if (!text_check(r, here, tf_json_string(text, ""), max, lines))
            good = false;
    }
    if (!good) return false;
    texts = texts_from_value(r->arena, value);
    if (!texts) return fault_add(r->faults, at, "takes too much memory");
    *ret_texts = texts;
    return true;
}

bool read_texts(struct reading *r, const struct path *at, const tf_json *object, const char *name, size_t max,
                const LocalizedTexts **ret_texts)
{
    const tf_json *value = tf_json_get(object, name);

    return value ? read_texts_value(r, PATH_MEMBER(at, name), value, max, ret_texts) : true;
}

bool read_word(struct reading *r, const struct path *at, const tf_json *object, const char *name,
               const char *const *words, int *ret_index)
{
    const tf_json *value = tf_json_get(object, name);
    const char *text = tf_json_string(value, NULL);
    char list[256] = "";

    if (!value) return true;
    for (int i = 0; text && words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *ret_index = i;
            return true;
        }
    for (int i = 0; words[i]; i++) {
        strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
        strncat(list, words[i], sizeof(list) - strlen(list) - 1);
    }
    return fault_add(r->faults, PATH_MEMBER(at, name), "must be one of: %s", list);
}
