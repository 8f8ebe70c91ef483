/* Turns of the heavy work: imports and publications.
 *
 * They go one after the other in the database anyway; here they wait before they take memory, a connection and the
 * database's lock, so that a rush of large files leaves all three to the buyers' calls. */
#pragma once

#include "common/base/ctx.h"

/* Waits for a turn, half of the call's time at most, so that the other half is left for the work. `bytes`: what the
 * caller keeps in memory meanwhile. TF_OVERLOADED, with a time to come back, when too many or too large ones wait
 * already, or when the turn did not come. Thread-safe. */
TF_MUSTCHECK tf_code turn_take(tf_ctx *ctx, size_t bytes);
/* Gives the turn back, and to the system the memory that the work has freed. */
void turn_give(void);
