/* Parsing and reading of JSON values. A scan over the bytes bounds nesting and the members of an object before jansson,
 * whose parser recurses, sees the text. */
#include "common/json/json.h"

#include "common/base/text.h"
#include "common/json/jansson_value.h"

#include <string.h>

/* What the scan knows of the text. Outside strings only brackets, commas and quotes count; that the text is JSON at all
 * is jansson's to say. */
struct scan {
    const char *p, *end;
    size_t line;
    const char *line_start;
    int depth;
    size_t commas[TF_JSON_DEPTH_MAX + 1]; /* at each depth */
    uint64_t is_object;                   /* bit per depth - 1 */
};

static const char *scan_error(tf_arena *arena, const struct scan *scan, const char *what, size_t limit)
{
    const char *text = tf_arena_printf(arena, "line %zu, column %zu: %s %zu", scan->line,
                                       (size_t)(scan->p - scan->line_start) + 1, what, limit);

    return text ? text : what;
}

static void skip_string(struct scan *scan)
{
    for (scan->p++; scan->p < scan->end && *scan->p != '"'; scan->p++)
        if (*scan->p == '\\') scan->p++;
}

/* NULL when within bounds. */
static const char *bounds_error(tf_arena *arena, const char *text, size_t size, int depth_max)
{
    struct scan scan = {.p = text, .end = text + size, .line = 1, .line_start = text};

    for (; scan.p < scan.end; scan.p++) {
        switch (*scan.p) {
        case '\n':
            scan.line++;
            scan.line_start = scan.p + 1;
            break;
        case '"':
            skip_string(&scan);
            break;
        case '{':
        case '[':
            if (scan.depth == depth_max) return scan_error(arena, &scan, "nested deeper than", (size_t)depth_max);
            scan.is_object &= ~(UINT64_C(1) << scan.depth);
            scan.is_object |= (uint64_t)(*scan.p == '{') << scan.depth;
            scan.commas[++scan.depth] = 0;
            break;
        case '}':
        case ']':
            if (scan.depth > 0) scan.depth--;
            break;
        case ',':
            if (scan.depth > 0 && ++scan.commas[scan.depth] >= TF_JSON_MEMBERS_MAX &&
                scan.is_object >> (scan.depth - 1) & 1)
                return scan_error(arena, &scan, "more members in an object than", TF_JSON_MEMBERS_MAX);
            break;
        default:
            break;
        }
    }
    return NULL;
}

tf_json *tf_json_parse(tf_arena *arena, const char *text, size_t size, int depth_max, const char **ret_error)
{
    json_error_t error;
    const char *near;
    json_t *value;

    if (depth_max <= 0 || depth_max > TF_JSON_DEPTH_MAX) depth_max = TF_JSON_DEPTH_MAX;
    *ret_error = "not UTF-8, or a NUL byte in it"; /* jansson steps over a NUL between tokens */
    if (!tf_utf8_valid(text, size)) return NULL;
    *ret_error = bounds_error(arena, text, size, depth_max);
    if (*ret_error) return NULL;

    value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value) return tf_json_of_jansson(value);

    near = strstr(error.text, " near '"); /* jansson's excerpt may cut a character, or show what should stay unseen */
    *ret_error = tf_arena_printf(arena, "line %d, column %d: %.*s", TF_MAX(error.line, 1), TF_MAX(error.column, 1),
                                 near ? (int)(near - error.text) : (int)strlen(error.text), error.text);
    if (!*ret_error) *ret_error = "not JSON";
    return NULL;
}

void tf_json_free(tf_json *document)
{
    json_decref(tf_json_to_jansson(document));
}

void tf_json_freep(tf_json **document)
{
    tf_json_free(*document);
    *document = NULL;
}

enum tf_json_type tf_json_type(const tf_json *value)
{
    if (!value) return TF_JSON_NULL;
    switch (json_typeof(tf_json_to_jansson(value))) {
    case JSON_TRUE:
    case JSON_FALSE:
        return TF_JSON_BOOL;
    case JSON_INTEGER:
        return TF_JSON_INT;
    case JSON_REAL:
        return TF_JSON_REAL;
    case JSON_STRING:
        return TF_JSON_STRING;
    case JSON_ARRAY:
        return TF_JSON_ARRAY;
    case JSON_OBJECT:
        return TF_JSON_OBJECT;
    case JSON_NULL:
        break;
    }
    return TF_JSON_NULL;
}

const tf_json *tf_json_get(const tf_json *object, const char *name)
{
    return tf_json_of_jansson(json_object_get(tf_json_to_jansson(object), name));
}

const tf_json *tf_json_at(const tf_json *array, size_t index)
{
    return tf_json_of_jansson(json_array_get(tf_json_to_jansson(array), index));
}

size_t tf_json_size(const tf_json *array_or_object)
{
    const json_t *value = tf_json_to_jansson(array_or_object);

    return json_is_object(value) ? json_object_size(value) : json_array_size(value);
}

/* Walks from the first member: TF_JSON_MEMBERS_MAX bounds the cost. */
const char *tf_json_member(const tf_json *object, size_t i, const tf_json **ret_value)
{
    json_t *value = tf_json_to_jansson(object);
    void *member = json_object_iter(value);

    while (member && i-- > 0)
        member = json_object_iter_next(value, member);
    if (!member) return NULL;
    *ret_value = tf_json_of_jansson(json_object_iter_value(member));
    return json_object_iter_key(member);
}

const char *tf_json_string(const tf_json *value, const char *fallback)
{
    const char *s = json_string_value(tf_json_to_jansson(value));

    return s ? s : fallback;
}

int64_t tf_json_int(const tf_json *value, int64_t fallback)
{
    const json_t *number = tf_json_to_jansson(value);

    return json_is_integer(number) ? (int64_t)json_integer_value(number) : fallback;
}

double tf_json_real(const tf_json *value, double fallback)
{
    const json_t *number = tf_json_to_jansson(value);

    return json_is_number(number) ? json_number_value(number) : fallback;
}

bool tf_json_bool(const tf_json *value, bool fallback)
{
    const json_t *flag = tf_json_to_jansson(value);

    return json_is_boolean(flag) ? json_is_true(flag) : fallback;
}

char *tf_json_canonical(tf_arena *arena, const tf_json *value, size_t *ret_size)
{
    const size_t flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY;
    const json_t *tree = tf_json_to_jansson(value);
    size_t size;
    char *text;

    size = json_dumpb(tree, NULL, 0, flags);
    text = size ? tf_arena_alloc(arena, size + 1) : NULL;
    if (!text) return NULL;

    TF_ASSERT(json_dumpb(tree, text, size, flags) == size);
    text[size] = '\0';
    *ret_size = size;
    return text;
}
