/* A flight: one command or several that travel together, shared by the caller who waits and the mux thread. For this
 * room only.
 *
 * Its state is a futex word. Whoever gives up first marks it there, the last owner frees it. */
#pragma once

#include "common/redis/redis.h"

#include <stdatomic.h>

enum tf_redis_flight_state {
    TF_REDIS_QUEUED, /* not written: giving it up leaves no trace at the server */
    TF_REDIS_TAKEN,  /* the thread has it; may have been written */
    TF_REDIS_DONE,   /* code and replies are set */
    TF_REDIS_LEFT,   /* the caller has gone; replies are dropped */
};

struct tf_redis_flight {
    _Atomic uint32_t state; /* futex word */
    _Atomic int owners;
    struct tf_redis_flight *next;
    tf_redis_done done; /* NULL: somebody waits */
    void *arg;
    int64_t deadline_us; /* of an asynchronous one */
    tf_code code;
    size_t n, answered;
    tf_redis_reply **replies; /* n, in this allocation */
    uint64_t *starts;         /* n: where each command begins; on the wire after TF_REDIS_TAKEN, in `bytes` before */
    size_t size;
    char *bytes;
};

struct tf_redis_flights {
    struct tf_redis_flight *head, **tail;
};

void tf_redis_flights_init(struct tf_redis_flights *list);
void tf_redis_flights_push(struct tf_redis_flights *list, struct tf_redis_flight *flight);
/* NULL when empty. */
struct tf_redis_flight *tf_redis_flights_pop(struct tf_redis_flights *list);
/* Appends all of `from`, which is empty afterwards. */
void tf_redis_flights_move(struct tf_redis_flights *to, struct tf_redis_flights *from);

/* Writes the commands for the wire, on the caller's thread. NULL without memory. */
struct tf_redis_flight *tf_redis_flight_new(const tf_redis_cmd *cmds, size_t n, int owners);
/* One owner less; the last one's frees it and its replies. */
void tf_redis_flight_unref(struct tf_redis_flight *flight);

void tf_redis_futex_wake(_Atomic uint32_t *word);
/* Until the word is no longer `seen` (or for no reason); false when the time is up. */
bool tf_redis_futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t until_us);
