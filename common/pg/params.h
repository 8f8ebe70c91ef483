/* Binary forms that parameters and results share; for this room only. */
#pragma once

#include "common/base/clock.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Type OIDs of pg_type, fixed since PostgreSQL exists. */
enum tf_pg_type {
    TF_PG_BOOL = 16,
    TF_PG_BYTEA = 17,
    TF_PG_NAME = 19,
    TF_PG_INT8 = 20,
    TF_PG_INT2 = 21,
    TF_PG_INT4 = 23,
    TF_PG_TEXT = 25,
    TF_PG_JSON = 114,
    TF_PG_BOOL_ARRAY = 1000,
    TF_PG_BYTEA_ARRAY = 1001,
    TF_PG_INT2_ARRAY = 1005,
    TF_PG_INT4_ARRAY = 1007,
    TF_PG_TEXT_ARRAY = 1009,
    TF_PG_INT8_ARRAY = 1016,
    TF_PG_BPCHAR = 1042,
    TF_PG_VARCHAR = 1043,
    TF_PG_TIMESTAMPTZ = 1184,
    TF_PG_TIMESTAMPTZ_ARRAY = 1185,
    TF_PG_JSONB = 3802,
};

enum { TF_PG_JSONB_VERSION = 1 };

/* One-dimensional array: ndim, has-NULL flag, element type, count, lower bound; then (length, bytes) per element. */
enum { TF_PG_ARRAY_EMPTY = 12, TF_PG_ARRAY_HEADER = 20 };

/* PostgreSQL counts microseconds from 2000-01-01; its infinities are the ends of the range. */
#define TF_PG_EPOCH_US INT64_C(946684800000000)

static inline void tf_pg_put16(char *to, uint16_t v)
{
    v = htobe16(v);
    memcpy(to, &v, sizeof(v));
}
static inline void tf_pg_put32(char *to, uint32_t v)
{
    v = htobe32(v);
    memcpy(to, &v, sizeof(v));
}
static inline void tf_pg_put64(char *to, uint64_t v)
{
    v = htobe64(v);
    memcpy(to, &v, sizeof(v));
}
static inline uint16_t tf_pg_get16(const char *from)
{
    uint16_t v;
    memcpy(&v, from, sizeof(v));
    return be16toh(v);
}
static inline uint32_t tf_pg_get32(const char *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof(v));
    return be32toh(v);
}
static inline uint64_t tf_pg_get64(const char *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof(v));
    return be64toh(v);
}

/* Not for INT64_MIN, which means NULL. INT64_MAX is 'infinity'. */
static inline int64_t tf_pg_time_out(tf_time t)
{
    if (t == INT64_MAX) return INT64_MAX;
    return t < INT64_MIN + 1 + TF_PG_EPOCH_US ? INT64_MIN + 1 : t - TF_PG_EPOCH_US;
}
/* '-infinity' becomes the least time that is not NULL. */
static inline tf_time tf_pg_time_in(int64_t v)
{
    if (v > INT64_MAX - TF_PG_EPOCH_US) return INT64_MAX;
    return v == INT64_MIN ? INT64_MIN + 1 : v + TF_PG_EPOCH_US;
}
