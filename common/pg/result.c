/* Results: a copy in the request's arena, and typed reading of PostgreSQL's binary form. */
#include "common/pg/conn.h"
#include "common/pg/params.h"
#include "common/pg/result.h"

tf_pg_result *tf_pg_result_copy(tf_arena *arena, const PGresult *from)
{
    tf_pg_result *result = TF_NEW(arena, tf_pg_result);
    size_t bytes = 0, n_cells;
    struct tf_pg_cell *cells;
    uint32_t *types;
    char *data;

    if (!result) return NULL;
    result->rows = PQntuples(from);
    result->columns = PQnfields(from);
    for (const char *p = PQcmdTuples((PGresult *)from); *p >= '0' && *p <= '9'; p++)
        result->affected = result->affected * 10 + (*p - '0');

    n_cells = (size_t)result->rows * (size_t)result->columns;
    for (int row = 0; row < result->rows; row++)
        for (int column = 0; column < result->columns; column++)
            bytes += (size_t)PQgetlength(from, row, column) + 1;
    types = TF_NEW_ARRAY(arena, uint32_t, (size_t)result->columns);
    cells = TF_NEW_ARRAY(arena, struct tf_pg_cell, n_cells);
    data = tf_arena_alloc(arena, bytes);
    if (!types || !cells || !data) return NULL;

    for (int column = 0; column < result->columns; column++)
        types[column] = PQftype(from, column);
    result->types = types;
    result->cells = cells;
    for (int row = 0; row < result->rows; row++) {
        for (int column = 0; column < result->columns; column++, cells++) {
            if (PQgetisnull(from, row, column)) continue;
            cells->size = PQgetlength(from, row, column);
            cells->data = memcpy(data, PQgetvalue(from, row, column), (size_t)cells->size);
            data[cells->size] = '\0';
            data += cells->size + 1;
        }
    }
    return result;
}

int tf_pg_rows(const tf_pg_result *result)
{
    return result->rows;
}

int64_t tf_pg_affected(const tf_pg_result *result)
{
    return result->affected;
}

static const struct tf_pg_cell *cell_at(const tf_pg_result *result, int row, int column)
{
    TF_ASSERT(row >= 0 && row < result->rows && column >= 0 && column < result->columns);
    return &result->cells[(size_t)row * (size_t)result->columns + (size_t)column];
}

bool tf_pg_is_null(const tf_pg_result *result, int row, int column)
{
    return !cell_at(result, row, column)->data;
}

bool tf_pg_get_bool(const tf_pg_result *result, int row, int column)
{
    const struct tf_pg_cell *cell = cell_at(result, row, column);

    TF_ASSERT(result->types[column] == TF_PG_BOOL);
    return cell->data && cell->data[0];
}

/* Of int2, int4 or int8; the size tells which. */
static int64_t integer(const char *data, int size)
{
    switch (size) {
    case 2:
        return (int16_t)tf_pg_get16(data);
    case 4:
        return (int32_t)tf_pg_get32(data);
    default:
        TF_ASSERT(size == 8);
        return (int64_t)tf_pg_get64(data);
    }
}

int64_t tf_pg_get_int(const tf_pg_result *result, int row, int column)
{
    const struct tf_pg_cell *cell = cell_at(result, row, column);
    uint32_t type = result->types[column];

    TF_ASSERT(type == TF_PG_INT2 || type == TF_PG_INT4 || type == TF_PG_INT8);
    return cell->data ? integer(cell->data, cell->size) : 0;
}

tf_time tf_pg_get_time(const tf_pg_result *result, int row, int column)
{
    const struct tf_pg_cell *cell = cell_at(result, row, column);

    TF_ASSERT(result->types[column] == TF_PG_TIMESTAMPTZ);
    if (!cell->data) return INT64_MIN;
    TF_ASSERT(cell->size == 8);
    return tf_pg_time_in((int64_t)tf_pg_get64(cell->data));
}

const char *tf_pg_get_text(const tf_pg_result *result, int row, int column)
{
    const struct tf_pg_cell *cell = cell_at(result, row, column);

    switch (result->types[column]) {
    case TF_PG_JSONB: /* a version byte, then text */
        if (!cell->data) return NULL;
        TF_ASSERT(cell->size >= 1 && cell->data[0] == TF_PG_JSONB_VERSION);
        return cell->data + 1;
    case TF_PG_TEXT:
    case TF_PG_VARCHAR:
    case TF_PG_BPCHAR:
    case TF_PG_NAME:
    case TF_PG_JSON:
        return cell->data;
    default:
        tf_panic(__FILE__, __LINE__, "tf_pg_get_text: the column is not text");
    }
}

struct tf_pg_bytes tf_pg_get_bytes(const tf_pg_result *result, int row, int column)
{
    const struct tf_pg_cell *cell = cell_at(result, row, column);

    TF_ASSERT(result->types[column] == TF_PG_BYTEA);
    return (struct tf_pg_bytes){cell->data, (size_t)cell->size};
}

const int64_t *tf_pg_get_int_array(tf_ctx *ctx, const tf_pg_result *result, int row, int column, size_t *ret_n)
{
    const struct tf_pg_cell *cell = cell_at(result, row, column);
    uint32_t type = result->types[column];
    const char *at, *end;
    int64_t *values;
    uint32_t n;

    TF_ASSERT(type == TF_PG_INT2_ARRAY || type == TF_PG_INT4_ARRAY || type == TF_PG_INT8_ARRAY);
    *ret_n = 0;
    if (!cell->data) return NULL;
    TF_ASSERT(cell->size >= TF_PG_ARRAY_EMPTY);
    if (tf_pg_get32(cell->data) == 0) return NULL; /* no dimension: empty */
    TF_ASSERT(tf_pg_get32(cell->data) == 1 && cell->size >= TF_PG_ARRAY_HEADER);

    n = tf_pg_get32(cell->data + 12);
    at = cell->data + TF_PG_ARRAY_HEADER;
    end = cell->data + cell->size;
    TF_ASSERT((size_t)(end - at) / 4 >= n); /* each element has a length at least */
    values = TF_NEW_ARRAY(ctx->arena, int64_t, n);
    if (!values) {
        (void)tf_fail(ctx, TF_INTERNAL, "an array of %u elements does not fit into the request's memory", n);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        int32_t size;

        TF_ASSERT(end - at >= 4);
        size = (int32_t)tf_pg_get32(at);
        at += 4;
        if (size < 0) continue; /* a NULL element reads as 0 */
        TF_ASSERT(end - at >= size);
        values[i] = integer(at, size);
        at += size;
    }
    *ret_n = n;
    return values;
}
