/* Threads for what takes long. Answers arrive on the rpc client's one poller: what is written there, everybody waits
 * for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct gateway_workers gateway_workers;

/* Put into what waits; run is called once on a worker, and may free it. */
struct gateway_job {
    struct gateway_job *next;
    void (*run)(struct gateway_job *job);
};

/* queue_max: jobs that wait for a thread. NULL: no thread can be started. */
gateway_workers *gateway_workers_start(int threads, size_t queue_max);
/* Jobs run in their order. False: too many wait, or the end has begun; run is not called. Any thread. */
bool gateway_workers_push(gateway_workers *workers, struct gateway_job *job);
/* Runs what waits, then joins and frees. Accepts NULL. */
void gateway_workers_stop(gateway_workers *workers);
