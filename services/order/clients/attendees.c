/* A direct-mapped table: a newcomer displaces whoever sits in its slot, so that it never grows and needs no sweeping.
 * Entries hold masked numbers and person hashes only as long as a purchase takes. */
#include "services/order/clients/attendees.h"

#include "common/base/text.h"
#include "common/chassis/service.h"
#include "common/crypto/crypto.h"
#include "ticketflow/user/v1/user.tf.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_SLOTS = 2048, CACHE_LIFE_US = 30 * TF_US_PER_S, NAME_SIZE = 204, MASKED_SIZE = 40, PERSON_SIZE = 65 };

struct entry {
    int64_t user_id;
    int64_t until_us; /* monotonic */
    int n;
    struct {
        int64_t attendee_id;
        bool verified;
        char name[NAME_SIZE], id_masked[MASKED_SIZE], person[PERSON_SIZE];
    } people[];
};

struct attendee_cache {
    pthread_mutex_t lock; /* of the slots */
    struct entry *slots[CACHE_SLOTS];
};

struct attendee_cache *attendee_cache_new(void)
{
    struct attendee_cache *cache = calloc(1, sizeof(*cache));

    if (cache) pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void entry_free(struct entry *entry)
{
    if (!entry) return;
    tf_wipe(entry, sizeof(*entry) + (size_t)entry->n * sizeof(entry->people[0]));
    free(entry);
}

void attendee_cache_free(struct attendee_cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        entry_free(cache->slots[i]);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static size_t slot_of(int64_t user_id, const int64_t *ids, int n)
{
    return (size_t)((tf_hash64(ids, (size_t)n * sizeof(*ids)) ^ tf_mix64((uint64_t)user_id)) % CACHE_SLOTS);
}

static bool entry_is(const struct entry *entry, int64_t user_id, const int64_t *ids, int n, int64_t now_us)
{
    if (!entry || entry->user_id != user_id || entry->n != n || entry->until_us <= now_us) return false;
    for (int i = 0; i < n; i++)
        if (entry->people[i].attendee_id != ids[i]) return false;
    return true;
}

/* False: not there, or no memory to copy it. */
static bool cache_get(tf_arena *arena, struct attendee_cache *cache, int64_t user_id, const int64_t *ids, int n,
                      struct attendee *attendees)
{
    size_t slot = slot_of(user_id, ids, n);
    bool found;

    pthread_mutex_lock(&cache->lock);
    found = entry_is(cache->slots[slot], user_id, ids, n, tf_mono_us());
    for (int i = 0; found && i < n; i++) {
        attendees[i] = (struct attendee){
            .attendee_id = ids[i],
            .verified = cache->slots[slot]->people[i].verified,
            .name = tf_arena_strdup(arena, cache->slots[slot]->people[i].name),
            .id_masked = tf_arena_strdup(arena, cache->slots[slot]->people[i].id_masked),
            .person = tf_arena_strdup(arena, cache->slots[slot]->people[i].person),
        };
        found = attendees[i].name && attendees[i].id_masked && attendees[i].person;
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static bool copy_text(char *out, size_t size, const char *text)
{
    size_t n = strlen(text);

    if (n >= size) return false;
    memcpy(out, text, n + 1);
    return true;
}

/* What does not fit is not kept. */
static void cache_put(struct attendee_cache *cache, int64_t user_id, const struct attendee *attendees,
                      const int64_t *ids, int n)
{
    struct entry *entry = calloc(1, sizeof(*entry) + (size_t)n * sizeof(entry->people[0]));
    size_t slot = slot_of(user_id, ids, n);
    struct entry *old;

    if (!entry) return;
    entry->user_id = user_id;
    entry->until_us = tf_mono_us() + CACHE_LIFE_US;
    entry->n = n;
    for (int i = 0; i < n; i++) {
        entry->people[i].attendee_id = ids[i];
        entry->people[i].verified = attendees[i].verified;
        if (!copy_text(entry->people[i].name, NAME_SIZE, attendees[i].name) ||
            !copy_text(entry->people[i].id_masked, MASKED_SIZE, attendees[i].id_masked) ||
            !copy_text(entry->people[i].person, PERSON_SIZE, attendees[i].person)) {
            entry_free(entry);
            return;
        }
    }

    pthread_mutex_lock(&cache->lock);
    old = cache->slots[slot];
    cache->slots[slot] = entry;
    pthread_mutex_unlock(&cache->lock);
    entry_free(old);
}

static tf_code ask(tf_ctx *ctx, int64_t user_id, const int64_t *ids, int n, struct attendee *attendees)
{
    ResolveAttendeesRequest request = ResolveAttendeesRequest_init;
    ResolveAttendeesResponse *response;
    tf_code code;

    request.user_id = user_id;
    request.attendee_ids = (int64_t *)ids;
    request.n_attendee_ids = (size_t)n;
    code = call_resolve_attendees_internal(ctx, tf_app_client(ctx->app, "user"), &request, &response);
    if (code) return code;

    if (response->n_attendees != (size_t)n)
        return tf_fail(ctx, TF_INTERNAL, "user-service answered %zu attendees for %d", response->n_attendees, n);
    for (int i = 0; i < n; i++) {
        const ResolvedAttendee *resolved = response->attendees[i];

        if (resolved->attendee_id != ids[i]) return tf_fail(ctx, TF_INTERNAL, "user-service answered other attendees");
        attendees[i] = (struct attendee){.attendee_id = ids[i],
                                         .name = resolved->name,
                                         .id_masked = resolved->id_number_masked,
                                         .person = resolved->person,
                                         .verified = resolved->verified};
    }
    return TF_OK;
}

static tf_code check(tf_ctx *ctx, const struct attendee *attendees, int n)
{
    for (int i = 0; i < n; i++) {
        const char *field = tf_arena_printf(ctx->arena, "attendee_ids[%d]", i);

        if (!attendees[i].verified || !*attendees[i].person)
            return tf_fail_field(ctx, field, "this show admits verified attendees only");
        for (int j = 0; j < i; j++)
            if (strcmp(attendees[j].person, attendees[i].person) == 0)
                return tf_fail_field(ctx, field, "the same person as attendee_ids[%d]", j);
    }
    return TF_OK;
}

tf_code attendees_resolve(tf_ctx *ctx, struct attendee_cache *cache, int64_t user_id, const int64_t *ids, int n,
                          struct attendee ret_attendees[static SALE_ORDER_PLACES_MAX])
{
    TF_ASSERT(n <= SALE_ORDER_PLACES_MAX);
    if (!cache_get(ctx->arena, cache, user_id, ids, n, ret_attendees)) {
        tf_code code = ask(ctx, user_id, ids, n, ret_attendees);

        if (code) return code;
        cache_put(cache, user_id, ret_attendees, ids, n);
    }
    return check(ctx, ret_attendees, n);
}
