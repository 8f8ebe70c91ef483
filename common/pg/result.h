/* Inside of a result, for this room only (and for the test that builds one). */
#pragma once

#include "common/pg/pg.h"

struct tf_pg_cell {
    const char *data; /* NULL: NULL; else size bytes and a NUL that size does not count */
    int size;
};

struct tf_pg_result {
    int rows, columns;
    int64_t affected;
    const uint32_t *types;          /* type OID per column */
    const struct tf_pg_cell *cells; /* row by row */
};
