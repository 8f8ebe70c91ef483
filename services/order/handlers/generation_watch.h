/* When a generation in Redis must be replaced although its functions still answer: its decisions no longer commit, or
 * one of them collided. At most one request a show and pause, however many buyers meet the fault. */
#pragma once

#include <stdint.h>

/* A commit was refused because `epoch` is not the fence's. Usually a rebuild is under way; an epoch that is still being
 * decided on after three seconds has lost its rebuilder, and a rebuild is started. now_us: monotonic. */
void generation_stale(int64_t show_id, int64_t epoch, int64_t now_us);
/* A place was sold twice in Redis: rebuild at once, at most every ten seconds. */
void generation_conflict(int64_t show_id, int64_t now_us);
