/* Ids: 63 bits, made by the application, never zero, increasing per worker.
 *
 *   bit 62 … 28  tick (35 bits): 32 ms units since 2025-01-01T00:00:00Z (about 34 years)
 *   bit 27 … 20  worker (8 bits): claimed in the service's own PostgreSQL (chassis/worker_claim.h)
 *   bit 19 … 10  sequence in the tick (10 bits)
 *   bit  9 …  0  bucket (10 bits): hash of the show for orders, tickets and payments, else 0
 *
 * No duplicate: a generator only uses ticks that its claim has reserved in the database (a high-water mark, kept ahead
 * of time), never goes back when the clock does, and a later claim of the same worker number starts above the mark. */
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { TF_ID_TICK_MS = 32, TF_ID_WORKERS = 256, TF_ID_SEQUENCES = 1024, TF_BUCKETS = 1024 };

typedef struct tf_idgen {
    pthread_mutex_t lock;
    const tf_clock *clock;
    int worker;
    int64_t tick;          /* last used */
    int sequence;          /* next in that tick */
    int64_t reserved_tick; /* ticks up to and including this one may be used */
} tf_idgen;

/* first_tick: no id below it is made (high-water mark of the claim). Nothing is reserved yet. */
void tf_idgen_init(tf_idgen *gen, const tf_clock *clock, int worker, int64_t first_tick);
/* The claim says: ticks up to this one are ours. Never lowers. Thread-safe. */
void tf_idgen_reserve(tf_idgen *gen, int64_t reserved_tick);
/* A new id with that bucket (0–1023). TF_OVERLOADED when nothing is reserved (claim lost, database silent) or the
 * sequence is used up more than a second ahead of the clock. Thread-safe. */
TF_MUSTCHECK tf_code tf_idgen_next(tf_idgen *gen, int bucket, int64_t *ret_id);

int64_t tf_id_tick(int64_t id);
int tf_id_worker(int64_t id);
int tf_id_bucket(int64_t id);
/* Start of the id's tick. */
tf_time tf_id_time(int64_t id);
/* The tick of a wall time. */
int64_t tf_tick_of(tf_time t);
/* 0–1023, fixed for ever: stored rows and ids rely on it. */
int tf_bucket_of_show(int64_t show_id);
