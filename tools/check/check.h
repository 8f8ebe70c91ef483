/* What the files of tf-check share: connections to all stores, and the report of rules.
 *
 * A rule is an invariant of the whole installation (issue "check"): it has a name, says how many things it looked at,
 * and lists every offender. */
#pragma once

#include "common/base/ctx.h"
#include "common/pg/pg.h"
#include "common/redis/redis.h"

#include <stdbool.h>
#include <stdint.h>

enum { DB_USER, DB_PROGRAM, DB_ORDER, DB_PAY, DBS };

struct check {
    tf_ctx ctx;
    tf_pg *pg[DBS];
    tf_redis *redis;
    tf_arena *places; /* holds the addresses of all of them; ctx's arena forgets with every rule */
    const char *sandbox_url, *sandbox_key_file;
};

/* ---- places.c ---- */

/* Opens all stores of the installation, where its services find them (DIR/run/<service>/settings, kept by the
 * supervisor); counted from the base port where none was ever started. False after a sentence on stderr.
 */
bool check_open_stores(struct check *c, const char *home, int base_port);
void check_close_stores(struct check *c);

/* ---- report.c ---- */

enum { OFFENDERS_SHOWN_MAX = 50, NOTES_MAX = 32 };

/* Opens the report of a rule; what follows belongs to it. */
void rule_begin(const char *name, const char *sentence);
/* So many things were looked at. */
void rule_looked_at(int64_t n);
/* An offender, in words. */
void rule_offender(const char *format, ...) TF_PRINTF(1, 2);
/* What the rule found worth telling although it is no offence: sums, what is parked. */
void rule_note(const char *format, ...) TF_PRINTF(1, 2);
/* The rule could not be checked: counts as violated. */
void rule_failed(const struct check *c, const char *what);
/* Prints everything; true when no rule is violated. */
bool report_print(bool json);

/* ---- the rules ---- */
void check_sql_rules(struct check *c);       /* one statement each */
void check_inventory_rules(struct check *c); /* Redis against PostgreSQL, place by place */
void check_money_rules(struct check *c);     /* the provider's books against pay against order */

/* Runs one reading statement; NULL after rule_failed. A context's memory is forgotten by check_reset. */
tf_pg_result *check_query(struct check *c, int db, const struct tf_pg_stmt *stmt, const tf_pg_params *params);
void check_reset(struct check *c);
