/* Fetches sale snapshots from program, page by page. */
#pragma once

#include "common/base/ctx.h"

#include <stddef.h>

enum { SNAPSHOT_BYTES_MAX = 4 << 20, SNAPSHOT_DIGEST_BYTES = 32 };

/* The whole snapshot, on the heap (free it), its SHA-256 checked against digest. TF_INTERNAL when it does not fit. */
TF_MUSTCHECK tf_code snapshot_fetch(tf_ctx *ctx, int64_t show_id, int32_t version, const void *digest,
                                    size_t digest_size, void **ret_data, size_t *ret_size);
