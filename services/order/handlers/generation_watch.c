/* Two small direct-mapped tables; a show that is displaced is watched anew, which only delays. */
#include "services/order/handlers/generation_watch.h"

#include "common/base/clock.h"
#include "common/base/text.h"
#include "services/order/inventory/inventory.h"

#include <pthread.h>

enum {
    SLOTS = 256,
    STALE_US = 3 * TF_US_PER_S,
    STALE_FORGET_US = 60 * TF_US_PER_S,
    CONFLICT_PAUSE_US = 10 * TF_US_PER_S
};

static struct {
    pthread_mutex_t lock; /* of both tables */
    struct {
        int64_t show_id, epoch, first_us, last_us;
    } stale[SLOTS];
    struct {
        int64_t show_id, last_us;
    } conflicts[SLOTS];
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t slot_of(int64_t show_id)
{
    return (size_t)(tf_mix64((uint64_t)show_id) % SLOTS);
}

void generation_stale(int64_t show_id, int64_t epoch, int64_t now_us)
{
    size_t i = slot_of(show_id);
    bool lost = false;

    pthread_mutex_lock(&watch.lock);
    if (watch.stale[i].show_id != show_id || watch.stale[i].epoch != epoch ||
        now_us - watch.stale[i].last_us > STALE_FORGET_US) {
        watch.stale[i].show_id = show_id;
        watch.stale[i].epoch = epoch;
        watch.stale[i].first_us = now_us;
    } else if (now_us - watch.stale[i].first_us >= STALE_US) {
        watch.stale[i].first_us = now_us; /* the next request no sooner than after the same patience */
        lost = true;
    }
    watch.stale[i].last_us = now_us;
    pthread_mutex_unlock(&watch.lock);

    if (lost) inventory_rebuild_soon(show_id);
}

void generation_conflict(int64_t show_id, int64_t now_us)
{
    size_t i = slot_of(show_id);
    bool due;

    pthread_mutex_lock(&watch.lock);
    due = watch.conflicts[i].show_id != show_id || now_us - watch.conflicts[i].last_us >= CONFLICT_PAUSE_US;
    if (due) {
        watch.conflicts[i].show_id = show_id;
        watch.conflicts[i].last_us = now_us;
    }
    pthread_mutex_unlock(&watch.lock);

    if (due) inventory_rebuild_soon(show_id);
}
