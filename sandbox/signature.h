/* How merchant and sandbox sign to each other: header "Sandbox-Signature: t=<Unix seconds>,v1=<hex HMAC-SHA-256 of
 * t.body>", where for calls body is "METHOD PATH\n" followed by the body, for notifications the body alone. Used by the
 * provider (sandbox/) and by pay's adapter. */
#pragma once

#include "common/base/ctx.h"

#include <stdbool.h>
#include <stddef.h>

enum { SIGNATURE_TOLERANCE_S = 300 };

struct sandbox_key {
    unsigned char bytes[64];
    size_t size;
};

/* The header's value in the arena. prefix may be NULL. */
char *sandbox_sign(tf_arena *arena, const struct sandbox_key *key, int64_t unix_seconds, const char *prefix,
                   const void *body, size_t size);
/* False unless well-formed, right, and within the tolerance of now. header may be NULL. */
bool sandbox_verify(const struct sandbox_key *key, const char *header, int64_t now_unix_seconds, const char *prefix,
                    const void *body, size_t size);
