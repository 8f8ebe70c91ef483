/* Failures counted in PostgreSQL, by name and by client address, and who has to wait for them.
 *
 * A name is counted whether there is an account of it or not: that a name has to wait tells nothing. Addresses are
 * counted by ctx->identity.address, where the gateway told one and login_address_failures is not 0. */
#pragma once

#include "services/user/user.h"

/* TF_RATE_LIMITED, with the time to wait, while the name (its one form; NULL: no name) or the caller's address waits.
 */
TF_MUSTCHECK tf_code guard_check(tf_ctx *ctx, const char *name, tf_time now);
/* One more failure of the name (NULL: none) and of the caller's address. Those at the same time all count. */
TF_MUSTCHECK tf_code guard_failed(tf_ctx *ctx, const char *name, tf_time now);
/* The name's owner is in: its failures are forgotten. The address's are not, else one good account would free its
 * guesses at others. */
TF_MUSTCHECK tf_code guard_passed(tf_ctx *ctx, const char *name);
/* Deletes up to `rows` counts that are over; *ret_n: how many there were. */
TF_MUSTCHECK tf_code guard_purge(tf_ctx *ctx, int rows, int64_t *ret_n);
