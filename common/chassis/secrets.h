/* Secrets that settings name by file: read once at start-up, refused when others may read them. */
#pragma once

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/rpc/rpc.h"

enum { TF_SECRET_BYTES_MAX = 4096 };

/* The file's bytes without newlines at the end, NUL-terminated, in the arena. The file must be regular and closed to
 * others (a group may read: Kubernetes mounts secrets so). TF_FIELD_INVALID with a sentence in the arena. */
TF_MUSTCHECK tf_code tf_secret_read(tf_arena *arena, const char *path, char **ret_secret, size_t *ret_size,
                                    const char **ret_error);
/* The key of identity tokens: 32 to 64 bytes. */
TF_MUSTCHECK tf_code tf_identity_key_read(tf_arena *arena, const char *path, struct tf_identity_key *ret_key,
                                          const char **ret_error);
/* The connection string (keywords or URI) with the password added in its form. NULL past the arena's ceiling. */
char *tf_dsn_with_password(tf_arena *arena, const char *dsn, const char *password);
