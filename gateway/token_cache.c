/* Sets of four entries; a lock for every few sets. */
#include "gateway/token_cache.h"

#include "common/base/macros.h"
#include "common/crypto/crypto.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 2048, WAYS = 4, LOCKS = 16 };

struct entry {
    unsigned char digest[TF_SHA256_BYTES];
    struct tf_access_claims claims; /* user_id 0: empty */
};

struct token_cache {
    pthread_mutex_t locks[LOCKS]; /* each protects the sets whose number mod LOCKS is its own */
    atomic_uint generation;
    struct entry sets[SETS][WAYS];
};

static size_t set_of(const unsigned char digest[TF_SHA256_BYTES])
{
    return ((size_t)digest[0] | (size_t)digest[1] << 8) % SETS;
}

token_cache *token_cache_new(void)
{
    token_cache *cache = calloc(1, sizeof *cache);

    TF_ASSERT(cache);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&cache->locks[i], NULL);
    return cache;
}

void token_cache_free(token_cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&cache->locks[i]);
    free(cache);
}

bool token_cache_find(token_cache *cache, const char *token, size_t size, tf_time now,
                      struct tf_access_claims *ret_claims)
{
    unsigned char digest[TF_SHA256_BYTES];
    bool found = false;
    size_t set;

    tf_sha256(token, size, digest);
    set = set_of(digest);
    pthread_mutex_lock(&cache->locks[set % LOCKS]);
    for (size_t i = 0; i < WAYS && !found; i++) {
        const struct entry *entry = &cache->sets[set][i];

        if (!entry->claims.user_id || memcmp(entry->digest, digest, sizeof digest) != 0) continue;
        if (entry->claims.expires <= now) break;
        *ret_claims = entry->claims;
        found = true;
    }
    pthread_mutex_unlock(&cache->locks[set % LOCKS]);
    return found;
}

void token_cache_add(token_cache *cache, const char *token, size_t size, const struct tf_access_claims *claims,
                     unsigned generation)
{
    unsigned char digest[TF_SHA256_BYTES];
    struct entry *place;
    size_t set;

    tf_sha256(token, size, digest);
    set = set_of(digest);
    pthread_mutex_lock(&cache->locks[set % LOCKS]);
    place = &cache->sets[set][0];
    for (size_t i = 1; i < WAYS; i++)
        if (cache->sets[set][i].claims.expires < place->claims.expires) place = &cache->sets[set][i];
    if (atomic_load(&cache->generation) == generation) {
        memcpy(place->digest, digest, sizeof digest);
        place->claims = *claims;
    }
    pthread_mutex_unlock(&cache->locks[set % LOCKS]);
}

unsigned token_cache_generation(token_cache *cache)
{
    return atomic_load(&cache->generation);
}

void token_cache_clear(token_cache *cache)
{
    atomic_fetch_add(&cache->generation, 1); /* before the sets: whoever adds under a lock sees it, or is wiped below */
    for (size_t lock = 0; lock < LOCKS; lock++) {
        pthread_mutex_lock(&cache->locks[lock]);
        for (size_t set = lock; set < SETS; set += LOCKS)
            memset(cache->sets[set], 0, sizeof cache->sets[set]);
        pthread_mutex_unlock(&cache->locks[lock]);
    }
}
