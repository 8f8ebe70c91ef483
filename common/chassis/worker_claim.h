/* The claim of a worker number for ids, kept in the service's own PostgreSQL (table worker_claim).
 *
 * A claim owns a number by its generation, and a span of ticks by high_tick: ids are made only up to the mark that the
 * database has confirmed, and whoever claims the number next starts above it. That alone makes duplicates impossible,
 * whatever clocks, restarts and lost claims do; the waiting times below only keep numbers from being passed round.
 *
 * Ticks are reserved 10 s ahead and renewed every 2 s; with PostgreSQL silent ids end at the mark. A claim that the
 * database does not know any more is lost: no further ids from it, an error in the log, and a new claim. */
#pragma once

#include "common/base/id.h"
#include "common/chassis/clock_guard.h"
#include "common/pg/pg.h"

typedef struct tf_worker_claim tf_worker_claim;

/* Claims a number and starts the renewing thread. TF_OVERLOADED: all 256 numbers are in use; else the store's codes.
 * pg, clock, guard and holder (a name for people) are borrowed. While the guard (may be NULL) says that the clock does
 * not agree, nothing is claimed or reserved: marks from a clock that is ahead would block the number's next holders. A
 * start in such a time succeeds and claims later. */
TF_MUSTCHECK tf_code tf_worker_claim_start(tf_ctx *ctx, tf_pg *pg, const tf_clock *clock,
                                           const struct tf_clock_guard *guard, const char *holder,
                                           tf_worker_claim **ret_claim);
/* Stops, gives the number back with the last tick used (when the database answers in time), frees. Accepts NULL. */
void tf_worker_claim_stop(tf_ctx *ctx, tf_worker_claim *claim);
/* A new id; TF_OVERLOADED while nothing is reserved. Thread-safe. */
TF_MUSTCHECK tf_code tf_worker_claim_id(tf_worker_claim *claim, int bucket, int64_t *ret_id);
/* The number claimed; -1 while there is none. */
int tf_worker_claim_number(tf_worker_claim *claim);
/* Renews at once (tests, and whoever ran out of ticks). */
void tf_worker_claim_wake(tf_worker_claim *claim);
