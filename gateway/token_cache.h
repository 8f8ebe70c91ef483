/* Access tokens whose signature was verified already, so that a busy client costs one verification and not one a
 * request.
 *
 * Bounded: a full set drops the token that ends soonest. A token leaves by its own expiry, and all leave when the keys
 * change. Keyed by SHA-256, so that memory holds no usable token. Thread-safe. */
#pragma once

#include "common/chassis/access_token.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct token_cache token_cache;

token_cache *token_cache_new(void);
void token_cache_free(token_cache *cache); /* accepts NULL */
/* What the token says, if it is known and not expired at `now`. */
bool token_cache_find(token_cache *cache, const char *token, size_t size, tf_time now,
                      struct tf_access_claims *ret_claims);
/* Remembers a token that was just verified. `generation` is token_cache_generation's from before the verification: a
 * token that was verified with keys from before a clear is not remembered. */
void token_cache_add(token_cache *cache, const char *token, size_t size, const struct tf_access_claims *claims,
                     unsigned generation);
unsigned token_cache_generation(token_cache *cache);
void token_cache_clear(token_cache *cache);
