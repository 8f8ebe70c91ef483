/* SQLSTATE → the caller's next move. The first row that matches wins; a row of two characters is a class. */
#include "common/pg/sqlstate.h"

#include "common/base/macros.h"

#include <string.h>

static const struct row {
    const char *prefix;
    struct tf_pg_meaning meaning;
} rows[] = {
    /* Another transaction was in the way. */
    {"40001", {.code = TF_ORDER_CHANGED, .retryable = true}}, /* serialization_failure */
    {"40P01", {.code = TF_ORDER_CHANGED, .retryable = true}}, /* deadlock_detected */
    {"55P03", {.code = TF_ORDER_CHANGED}},                    /* lock_not_available: it has waited already */
    {"23505", {.code = TF_ALREADY_EXISTS}},                   /* unique_violation */
    {"57014", {.code = TF_DEADLINE}}, /* query_canceled: an operator, or a limit of the server's */
    {"57P01", {.code = TF_STORE_DOWN, .retryable = true, .closes = true, .unsure = true}}, /* admin_shutdown,
                                                                                              pg_terminate_backend */
    {"57P02", {.code = TF_STORE_DOWN, .retryable = true, .closes = true, .unsure = true}}, /* crash_shutdown */
    {"57P03", {.code = TF_STORE_DOWN, .closes = true}},                    /* cannot_connect_now: starting up */
    {"57P05", {.code = TF_STORE_DOWN, .retryable = true, .closes = true}}, /* idle_session_timeout */
    {"25P03", {.code = TF_STORE_DOWN, .retryable = true, .closes = true}}, /* idle_in_transaction_session_timeout */
    {"25006",
     {.code = TF_STORE_DOWN, .closes = true}}, /* read_only_sql_transaction: this server has become a standby */
    {"08", {.code = TF_STORE_DOWN, .retryable = true, .closes = true, .unsure = true}}, /* connection_exception */
    {"53",
     {.code = TF_STORE_DOWN}}, /* insufficient_resources: disk, memory, connections; the statement was rolled back */
    {"58", {.code = TF_STORE_DOWN}}, /* system_error: the server's files */
};

struct tf_pg_meaning tf_pg_meaning_of(const char *sqlstate)
{
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        if (strncmp(sqlstate, rows[i].prefix, strlen(rows[i].prefix)) == 0) return rows[i].meaning;
    return (struct tf_pg_meaning){.code = TF_INTERNAL};
}
