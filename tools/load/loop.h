/* The client's one thread: readiness of sockets by epoll, and timers in a heap. Not thread-safe. */
#pragma once

#include "common/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory with `fire` and `arg` set is a timer that does not run. Its owner clears it before it goes away. */
struct timer {
    int64_t at_us; /* monotonic */
    size_t place;  /* in the heap, from 1; 0: does not run */
    void (*fire)(void *arg);
    void *arg;
};

/* What epoll is told about: embedded in what it serves. */
struct loop_watch {
    void (*ready)(void *arg, uint32_t events);
    void *arg;
};

enum { LOOP_SCRATCH_BYTES = 64 << 10 };

struct loop {
    int epoll;
    struct timer **heap; /* from 1 */
    size_t n_timers, room;
    char *scratch; /* LOOP_SCRATCH_BYTES for whoever reads, until it returns */
};

/* False: no descriptor or no memory. */
TF_MUSTCHECK bool loop_open(struct loop *loop);
/* What it watched is closed before; timers need not be cleared. Accepts a zeroed loop whose open failed. */
void loop_close(struct loop *loop);
/* Fires at at_us, or in the next turn when that is past; a running timer is moved. Aborts without memory. */
void loop_timer_set(struct loop *loop, struct timer *timer, int64_t at_us);
void loop_timer_clear(struct loop *loop, struct timer *timer);
/* Waits for the next event, timer or signal, at most until until_us, and handles what is there. */
void loop_turn(struct loop *loop, int64_t until_us);
