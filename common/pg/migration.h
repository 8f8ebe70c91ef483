/* The list of migrations as the program carries it: parsed, checked, in order. For this room only. */
#pragma once

#include "common/base/ctx.h"
#include "common/base/embedded.h"
#include "common/crypto/crypto.h"

struct tf_pg_migration {
    int version;
    const char *name; /* the file's */
    const char *sql;  /* NUL-terminated */
    bool alone;       /* first line "-- no-transaction": one statement that no transaction may surround (CREATE INDEX
                         CONCURRENTLY) */
    unsigned char checksum[TF_SHA256_BYTES];
};

/* In the order of versions. TF_INTERNAL names a file whose name is not "<number>_<what>.sql", that has a NUL byte, or
 * whose number is taken. */
TF_MUSTCHECK tf_code tf_pg_migrations(tf_ctx *ctx, const struct tf_embedded *files, struct tf_pg_migration **ret_list,
                                      size_t *ret_n);
