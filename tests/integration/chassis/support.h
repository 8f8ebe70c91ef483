/* What the chassis's integration tests share: an app on a schema of the test's own, and SQL as text. */
#pragma once

#include "tests/integration/fixture.h"

#include "common/chassis/app_internal.h"

struct support {
    tf_app app;
    struct tf_service service;
    char schema[80];
};

/* A fresh schema with the platform's tables, a pool on it, Redis; small pauses in the settings. name: of the service.
 */
void support_open(struct support *support, const char *name, const struct tf_bus_consumer *consumers);
/* The same without any table. */
void support_open_bare(struct support *support, const char *name, const struct tf_bus_consumer *consumers);
/* Applies the first n of the platform's migrations; those applied already are left. */
enum { SUPPORT_MIGRATIONS_ALL = 100 };
void support_migrate(struct support *support, size_t n);
/* A second process of the same service: the same schema, its own pool and connection. */
void support_join(struct support *support, const struct support *first, const char *instance);
/* joined ones first; drops the schema. */
void support_close(struct support *support);
/* The DSN whose search path is the schema; static memory. */
const char *support_dsn(const struct support *support);

/* After a failed call: fails the test, unless it was not done because a connection was just lost (a test that kills
 * connections meets its own pool, which fails fast for a moment): then it may be made again. */
void support_weather(tf_ctx *ctx);

/* Runs the statement; the first column of the first row, 0 when there is none. printf-like. */
int64_t sql(struct support *support, const char *format, ...) TF_PRINTF(2, 3);
/* The same for a text; "" when there is none. Static memory. */
const char *sql_text(struct support *support, const char *format, ...) TF_PRINTF(2, 3);
/* A Redis command of words, ended by NULL: its integer, or the length of its array or text; -1 for an error or nil. */
int64_t redis(struct support *support, ...) __attribute__((sentinel));
