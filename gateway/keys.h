/* The public keys of access tokens, fetched from user in the background and kept when user is away.
 *
 * A token of an unknown key may be signed by a newer one: whoever meets it waits for one fetch (which unknown keys
 * cause at most every 5 s) instead of being sent away. */
#pragma once

#include "common/chassis/access_token.h"
#include "common/chassis/service.h"
#include "gateway/token_cache.h"

typedef struct gateway_keys gateway_keys;

/* Put into what waits; resume is called once on the fetching thread. */
struct gateway_waiter {
    struct gateway_waiter *next;
    void (*resume)(struct gateway_waiter *waiter);
};

/* Begins to fetch; the cache is cleared when keys go. */
gateway_keys *gateway_keys_start(tf_app *app, token_cache *cache);
/* Resumes whoever waits. Accepts NULL. */
void gateway_keys_stop(gateway_keys *keys);
/* Copies the keys; 0 when none was ever fetched. *ret_fresh: the last fetch succeeded, so an unknown key is nobody's.
 */
size_t gateway_keys_get(gateway_keys *keys, struct tf_access_key out[static TF_ACCESS_KEYS_MAX], bool *ret_fresh);
/* False: no fetch is due, the keys are what they are. True: resume will be called, perhaps already. */
bool gateway_keys_await(gateway_keys *keys, struct gateway_waiter *waiter);
