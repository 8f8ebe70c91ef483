/* SQLSTATE → the caller's next move. The first row that matches wins; a row of two characters is a class. */
#include "common/pg/sqlstate.h"

#include "common/base/macros.h"

#include <string.h>

static const struct row {
    const char *prefix;
    struct tf_pg_meaning meaning;
} rows[] = {
    /* serialization_failure, deadlock_detected: another transaction was in the way */
    {"40001", {.code = TF_ORDER_CHANGED, .retryable = true}},
    {"40P01", {.code = TF_ORDER_CHANGED, .retryable = true}},
    /* lock_not_available: it has waited already */
    {"55P03", {.code = TF_ORDER_CHANGED}},
    /* unique_violation */
    {"23505", {.code = TF_ALREADY_EXISTS}},
    /* query_canceled: by an operator, or a limit of the server's; rolled back */
    {"57014", {.code = TF_DEADLINE}},
    /* admin_shutdown (pg_terminate_backend, too), crash_shutdown */
    {"57P01", {.code = TF_STORE_DOWN, .retryable = true, .closes = true, .unsure = true}},
    {"57P02", {.code = TF_STORE_DOWN, .retryable = true, .closes = true, .unsure = true}},
    /* cannot_connect_now: starting up or shutting down */
    {"57P03", {.code = TF_STORE_DOWN, .closes = true}},
    /* idle_session_timeout, idle_in_transaction_session_timeout */
    {"57P05", {.code = TF_STORE_DOWN, .retryable = true, .closes = true}},
    {"25P03", {.code = TF_STORE_DOWN, .retryable = true, .closes = true}},
    /* read_only_sql_transaction: this server has become a standby */
    {"25006", {.code = TF_STORE_DOWN, .closes = true}},
    /* connection_exception */
    {"08", {.code = TF_STORE_DOWN, .retryable = true, .closes = true, .unsure = true}},
    /* insufficient_resources (disk, memory, connections), system_error (the server's files): rolled back */
    {"53", {.code = TF_STORE_DOWN}},
    {"58", {.code = TF_STORE_DOWN}},
};

struct tf_pg_meaning tf_pg_meaning_of(const char *sqlstate)
{
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        if (strncmp(sqlstate, rows[i].prefix, strlen(rows[i].prefix)) == 0) return rows[i].meaning;
    return (struct tf_pg_meaning){.code = TF_INTERNAL};
}
