/* Parameters in PostgreSQL's binary form. Errors (no memory, too many) are remembered in `broken` and reported once, by
 * the call. */
#include "common/pg/params.h"
#include "common/pg/pg.h"

#include <limits.h>

void tf_pg_params_init(tf_pg_params *params, tf_ctx *ctx)
{
    params->ctx = ctx;
    params->n = 0;
    params->broken = false;
}

/* value NULL: SQL's NULL. */
static void add(tf_pg_params *params, uint32_t type, const char *value, size_t size)
{
    if (params->broken) return;
    TF_ASSERT(params->n < TF_PG_PARAMS_MAX); /* statements are ours and static */
    if (size > INT_MAX) {
        params->broken = true;
        return;
    }
    params->types[params->n] = type;
    params->values[params->n] = value;
    params->lengths[params->n] = (int)size;
    params->n++;
}

static char *room(tf_pg_params *params, size_t size)
{
    char *p = params->broken ? NULL : tf_arena_alloc(params->ctx->arena, size);

    if (!p) params->broken = true;
    return p;
}

void tf_pg_null(tf_pg_params *params)
{
    add(params, 0, NULL, 0);
}

void tf_pg_bool(tf_pg_params *params, bool value)
{
    add(params, TF_PG_BOOL, value ? "\1" : "\0", 1);
}

void tf_pg_int2(tf_pg_params *params, int16_t value)
{
    char *p = room(params, sizeof(value));

    if (!p) return;
    tf_pg_put16(p, (uint16_t)value);
    add(params, TF_PG_INT2, p, sizeof(value));
}

void tf_pg_int4(tf_pg_params *params, int32_t value)
{
    char *p = room(params, sizeof(value));

    if (!p) return;
    tf_pg_put32(p, (uint32_t)value);
    add(params, TF_PG_INT4, p, sizeof(value));
}

static void add64(tf_pg_params *params, uint32_t type, int64_t value)
{
    char *p = room(params, sizeof(value));

    if (!p) return;
    tf_pg_put64(p, (uint64_t)value);
    add(params, type, p, sizeof(value));
}

void tf_pg_int8(tf_pg_params *params, int64_t value)
{
    add64(params, TF_PG_INT8, value);
}

void tf_pg_time(tf_pg_params *params, tf_time value)
{
    if (value == INT64_MIN)
        add(params, TF_PG_TIMESTAMPTZ, NULL, 0);
    else
        add64(params, TF_PG_TIMESTAMPTZ, tf_pg_time_out(value));
}

void tf_pg_text(tf_pg_params *params, const char *value)
{
    tf_pg_bytes(params, value, value ? strlen(value) : 0);
    if (!params->broken) params->types[params->n - 1] = TF_PG_TEXT;
}

void tf_pg_bytes(tf_pg_params *params, const void *data, size_t size)
{
    char *p;

    if (!data) {
        add(params, TF_PG_BYTEA, NULL, 0);
        return;
    }
    p = room(params, size);
    if (!p) return;
    memcpy(p, data, size);
    add(params, TF_PG_BYTEA, p, size);
}

void tf_pg_jsonb(tf_pg_params *params, const char *json)
{
    size_t size;
    char *p;

    if (!json) {
        add(params, TF_PG_JSONB, NULL, 0);
        return;
    }
    size = strlen(json);
    p = room(params, size + 1);
    if (!p) return;
    p[0] = TF_PG_JSONB_VERSION;
    memcpy(p + 1, json, size);
    add(params, TF_PG_JSONB, p, size + 1);
}

/* Header for n elements; *ret_at is where the first goes. bytes: what all elements take, lengths included. */
static char *array_room(tf_pg_params *params, uint32_t element, size_t n, size_t bytes, bool nulls, char **ret_at)
{
    char *p;

    if (n > INT32_MAX || bytes > INT_MAX - TF_PG_ARRAY_HEADER) {
        params->broken = true;
        return NULL;
    }
    p = room(params, TF_PG_ARRAY_HEADER + bytes);
    if (!p) return NULL;
    tf_pg_put32(p, n ? 1 : 0);
    tf_pg_put32(p + 4, nulls);
    tf_pg_put32(p + 8, element);
    tf_pg_put32(p + 12, (uint32_t)n);
    tf_pg_put32(p + 16, 1);
    *ret_at = p + TF_PG_ARRAY_HEADER;
    return p;
}

static void array_add(tf_pg_params *params, uint32_t type, const char *array, size_t n, const char *end)
{
    add(params, type, array, n ? (size_t)(end - array) : TF_PG_ARRAY_EMPTY);
}

/* n elements of `width` bytes each; SIZE_MAX when that cannot be. */
static size_t fixed_bytes(size_t n, size_t width)
{
    size_t bytes;

    return __builtin_mul_overflow(n, 4 + width, &bytes) ? SIZE_MAX : bytes;
}

void tf_pg_int2_array(tf_pg_params *params, const int16_t *values, size_t n)
{
    char *at, *p = array_room(params, TF_PG_INT2, n, fixed_bytes(n, 2), false, &at);

    if (!p) return;
    for (size_t i = 0; i < n; i++, at += 6) {
        tf_pg_put32(at, 2);
        tf_pg_put16(at + 4, (uint16_t)values[i]);
    }
    array_add(params, TF_PG_INT2_ARRAY, p, n, at);
}

void tf_pg_int4_array(tf_pg_params *params, const int32_t *values, size_t n)
{
    char *at, *p = array_room(params, TF_PG_INT4, n, fixed_bytes(n, 4), false, &at);

    if (!p) return;
    for (size_t i = 0; i < n; i++, at += 8) {
        tf_pg_put32(at, 4);
        tf_pg_put32(at + 4, (uint32_t)values[i]);
    }
    array_add(params, TF_PG_INT4_ARRAY, p, n, at);
}

void tf_pg_int8_array(tf_pg_params *params, const int64_t *values, size_t n)
{
    char *at, *p = array_room(params, TF_PG_INT8, n, fixed_bytes(n, 8), false, &at);

    if (!p) return;
    for (size_t i = 0; i < n; i++, at += 12) {
        tf_pg_put32(at, 8);
        tf_pg_put64(at + 4, (uint64_t)values[i]);
    }
    array_add(params, TF_PG_INT8_ARRAY, p, n, at);
}

void tf_pg_bool_array(tf_pg_params *params, const bool *values, size_t n)
{
    char *at, *p = array_room(params, TF_PG_BOOL, n, fixed_bytes(n, 1), false, &at);

    if (!p) return;
    for (size_t i = 0; i < n; i++, at += 5) {
        tf_pg_put32(at, 1);
        at[4] = values[i] ? 1 : 0;
    }
    array_add(params, TF_PG_BOOL_ARRAY, p, n, at);
}

void tf_pg_time_array(tf_pg_params *params, const tf_time *values, size_t n)
{
    bool nulls = false;
    char *at, *p;

    for (size_t i = 0; i < n; i++)
        nulls |= values[i] == INT64_MIN;
    p = array_room(params, TF_PG_TIMESTAMPTZ, n, fixed_bytes(n, 8), nulls, &at);
    if (!p) return;
    for (size_t i = 0; i < n; i++) {
        tf_pg_put32(at, values[i] == INT64_MIN ? UINT32_MAX : 8);
        at += 4;
        if (values[i] == INT64_MIN) continue;
        tf_pg_put64(at, (uint64_t)tf_pg_time_out(values[i]));
        at += 8;
    }
    array_add(params, TF_PG_TIMESTAMPTZ_ARRAY, p, n, at);
}

/* Elements of their own lengths; data NULL: NULL. */
static void varying_array(tf_pg_params *params, uint32_t array, uint32_t element, const struct tf_pg_bytes *values,
                          size_t n)
{
    size_t bytes = 0;
    bool nulls = false;
    char *at, *p;

    for (size_t i = 0; i < n; i++) {
        nulls |= !values[i].data;
        if (__builtin_add_overflow(bytes, 4, &bytes) ||
            __builtin_add_overflow(bytes, values[i].data ? values[i].size : 0, &bytes)) {
            params->broken = true;
            return;
        }
    }
    p = array_room(params, element, n, bytes, nulls, &at);
    if (!p) return;
    for (size_t i = 0; i < n; i++) {
        tf_pg_put32(at, values[i].data ? (uint32_t)values[i].size : UINT32_MAX);
        at += 4;
        if (!values[i].data) continue;
        memcpy(at, values[i].data, values[i].size);
        at += values[i].size;
    }
    array_add(params, array, p, n, at);
}

void tf_pg_text_array(tf_pg_params *params, const char *const *values, size_t n)
{
    struct tf_pg_bytes *bytes = TF_NEW_ARRAY(params->ctx->arena, struct tf_pg_bytes, n);

    if (!bytes) {
        params->broken = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        bytes[i] = (struct tf_pg_bytes){values[i], values[i] ? strlen(values[i]) : 0};
    varying_array(params, TF_PG_TEXT_ARRAY, TF_PG_TEXT, bytes, n);
}

void tf_pg_bytes_array(tf_pg_params *params, const struct tf_pg_bytes *values, size_t n)
{
    varying_array(params, TF_PG_BYTEA_ARRAY, TF_PG_BYTEA, values, n);
}
