/* The hosts of a connection string, resolved; for this room only. */
#pragma once

#include "common/base/ctx.h"

/* Lists for libpq's keywords, parallel, in the arena. */
struct tf_pg_address {
    const char *host, *hostaddr, *port;
};

/* Resolves the host names in the connection string (or in PGHOST), waiting no longer than until_us (monotonic): libpq
 * itself would, without a deadline. A name of several addresses becomes as many hosts; sockets and literal addresses
 * stay as they are. Names that cannot be resolved are left out while others can. Else TF_STORE_DOWN, with its cause in
 * ctx; *ret_late: only time was missing. */
TF_MUSTCHECK tf_code tf_pg_resolve(tf_ctx *ctx, const char *dsn, int64_t until_us, struct tf_pg_address *ret_address,
                                   bool *ret_late);
