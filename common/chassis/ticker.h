/* A thread that runs a function again and again: after the pause that the function asked for, or at once when woken. */
#pragma once

typedef struct tf_ticker tf_ticker;

/* Returns the milliseconds until the next run; 0: at once. */
typedef int (*tf_tick)(void *arg);

/* name: of the thread, at most 15 bytes count. Runs at once for the first time. Aborts when the system has no threads.
 */
tf_ticker *tf_ticker_start(const char *name, tf_tick tick, void *arg);
/* The next run comes at once; one wake during a run is remembered. Any thread; accepts NULL. */
void tf_ticker_wake(tf_ticker *ticker);
/* Lets the run under way end, joins, frees. Accepts NULL. */
void tf_ticker_stop(tf_ticker *ticker);
