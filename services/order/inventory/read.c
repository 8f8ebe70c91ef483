/* Availability for readers: one read of Redis per show and 100 ms, shared by all who ask. */
#include "services/order/inventory/call.h"

#include <pthread.h>
#include <string.h>

enum {
    FRESH_US = 100 * TF_US_PER_MS,
    SHOWS_MAX = 1024,
    TABLE = 256,
    PLACE_FREE = 1,
    PLACE_HELD = 2,
    PLACE_SOLD = 3,
    INTENTS_AHEAD_MS = LEASE_MS + 1000
};

static tf_counter reads = TF_COUNTER("tf_order_availability_total", "Availability answered, by source", "source");

/* One picture, shared by reference. */
struct view {
    _Atomic int references;
    struct availability availability; /* places point behind the view */
};

/* A show that was asked for. */
struct shelf_entry {
    struct shelf_entry *next;
    int64_t show_id, asked_us;
    struct view *view; /* NULL: none yet, or the last read failed */
    int64_t read_us;   /* when the view's read began */
    int64_t since_us;  /* what was read before it does not count: the sale's state has changed */
    bool reading;
    int waiting;
    tf_code failure; /* of the last read */
    uint64_t flight; /* reads finished */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t landed;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct shelf_entry *table[TABLE];
static size_t n_entries;

static void prepare(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&landed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void view_unref(struct view *view)
{
    if (view && atomic_fetch_sub_explicit(&view->references, 1, memory_order_acq_rel) == 1) free(view);
}

static bool bit_of(const unsigned char *bits, size_t size, int32_t n)
{
    return (size_t)n / 8 < size && bits[n / 8] >> (7 - n % 8) & 1;
}

/* areas: the bitmaps of free, sold and blocked places, `size` bytes each. */
static struct view *view_new(const struct sale *sale, const unsigned char *areas, size_t size)
{
    size_t packed = ((size_t)sale->npos + 3) / 4;
    struct view *view = calloc(1, sizeof(*view) + packed);
    struct availability *a;

    if (!view) return NULL;
    atomic_init(&view->references, 1);
    a = &view->availability;
    a->places = (unsigned char *)(view + 1);
    a->places_size = packed;
    for (size_t i = 0; i < sale->snapshot->n_segments; i++) {
        const SaleSegment *segment = sale->snapshot->segments[i];

        for (int32_t place = segment->first_place_no; place < segment->first_place_no + segment->count; place++) {
            int status = PLACE_HELD;

            if (bit_of(areas, size, place)) {
                status = PLACE_FREE;
                a->tiers[segment->tier - 1].free++;
            } else if (bit_of(areas + size, size, place)) {
                status = PLACE_SOLD;
                a->tiers[segment->tier - 1].sold++;
            } else if (bit_of(areas + 2 * size, size, place)) {
                a->tiers[segment->tier - 1].blocked++;
                continue;
            } else {
                a->tiers[segment->tier - 1].held++;
            }
            a->places[place / 4] |= (unsigned char)(status << (2 * (place % 4)));
        }
    }
    return view;
}

static tf_code read_view(tf_ctx *ctx, const struct sale *sale, struct view **ret_view)
{
    int64_t now_ms = ctx->clock->wall_us(ctx->clock) / TF_US_PER_MS; /* only to look for the next release */
    struct inventory_answer answer;
    const tf_redis_reply *areas;
    int64_t epoch, counter, terms, bits;
    struct view *view;
    tf_redis_cmd cmd;
    int sale_state;
    tf_code code;

    inventory_fcall(&cmd, ctx, "read", 2);
    inventory_key(&cmd, sale->show_id, "m");
    inventory_due_key(&cmd, inventory_partition(sale->bucket));
    tf_redis_arg_int(&cmd, sale->show_id);
    tf_redis_arg_int(&cmd, now_ms);
    tf_redis_arg_int(&cmd, now_ms + INTENTS_AHEAD_MS);
    code = inventory_ask(ctx, &cmd, &answer);
    if (code) return code;
    if (inventory_status_is(&answer, "CLOSED")) return inventory_closed(ctx, sale->show_id);

    epoch = inventory_answer_int(&answer);
    counter = inventory_answer_int(&answer);
    terms = inventory_answer_int(&answer);
    sale_state = (int)inventory_answer_int(&answer);
    bits = inventory_answer_int(&answer);
    if (answer.bad || inventory_answer_left(&answer) != 2)
        return tf_fail(ctx, TF_INTERNAL, "read answers in another shape");
    areas = answer.reply->items[answer.at++];
    if (areas->type != TF_REDIS_STRING || bits < 0 || areas->size != 3 * (size_t)bits / 8)
        return tf_fail(ctx, TF_INTERNAL, "read answers bitmaps of another size");
    if (terms != sale->terms) { /* the caller's snapshot is older or newer than the inventory: it is rebuilt at once */
        sale_forget(sale->show_id);
        return inventory_closed(ctx, sale->show_id);
    }

    view = view_new(sale, (const unsigned char *)areas->text, areas->size / 3);
    if (!view) return tf_fail(ctx, TF_OVERLOADED, "no memory for availability");
    view->availability.terms = sale->terms;
    view->availability.epoch = epoch;
    view->availability.version = inventory_version(epoch, counter);
    view->availability.sale_state = sale_state;
    view->availability.next_release_ms = inventory_answer_int(&answer);
    *ret_view = view;
    return TF_OK;
}

/* Forgets the show that was asked for longest ago and has nobody waiting. Under the lock. */
static void evict(void)
{
    struct shelf_entry **oldest = NULL;

    for (size_t i = 0; i < TABLE; i++)
        for (struct shelf_entry **at = &table[i]; *at; at = &(*at)->next)
            if (!(*at)->reading && (*at)->waiting == 0 && (!oldest || (*at)->asked_us < (*oldest)->asked_us))
                oldest = at;
    if (!oldest) return;

    struct shelf_entry *entry = *oldest;
    *oldest = entry->next;
    view_unref(entry->view);
    free(entry);
    n_entries--;
}

static struct shelf_entry **head_of(int64_t show_id)
{
    return &table[(uint64_t)show_id * 0x9e3779b97f4a7c15u >> 56];
}

/* NULL: nobody has asked for the show. Under the lock. */
static struct shelf_entry *known(int64_t show_id)
{
    for (struct shelf_entry *entry = *head_of(show_id); entry; entry = entry->next)
        if (entry->show_id == show_id) return entry;
    return NULL;
}

/* NULL: no memory. Under the lock. */
static struct shelf_entry *find(int64_t show_id)
{
    struct shelf_entry *entry = known(show_id), **head = head_of(show_id);

    if (entry) return entry;
    if (n_entries >= SHOWS_MAX) evict();
    entry = calloc(1, sizeof(*entry));
    if (!entry) return NULL;
    entry->show_id = show_id;
    entry->read_us = entry->since_us = INT64_MIN / 2;
    entry->next = *head; /* evict may have changed the list, not its head's place */
    *head = entry;
    n_entries++;
    return entry;
}

/* The view may still be shown. Under the lock. */
static bool fresh(const struct shelf_entry *entry, int64_t now_us)
{
    return entry->view && now_us - entry->read_us <= FRESH_US && entry->read_us >= entry->since_us;
}

/* Waits until the read under way has landed; false at the deadline. Under the lock. */
static bool wait_landing(tf_ctx *ctx, struct shelf_entry *entry)
{
    uint64_t flight = entry->flight;
    struct timespec until = {.tv_sec = ctx->deadline_us / TF_US_PER_S,
                             .tv_nsec = ctx->deadline_us % TF_US_PER_S * 1000};
    bool in_time = true;

    entry->waiting++;
    while (entry->flight == flight && in_time) {
        if (ctx->deadline_us == INT64_MAX)
            pthread_cond_wait(&landed, &lock);
        else
            in_time = pthread_cond_timedwait(&landed, &lock, &until) == 0;
    }
    entry->waiting--;
    return in_time || entry->flight != flight;
}

static tf_code answer_from(tf_ctx *ctx, struct view *view, struct availability *ret_availability)
{
    struct availability copy = view->availability;

    copy.places = tf_arena_memdup(ctx->arena, copy.places, copy.places_size);
    view_unref(view);
    if (!copy.places) return tf_fail(ctx, TF_INTERNAL, "no memory for availability");

    *ret_availability = copy;
    return TF_OK;
}

/* For all who wait: it has its own time, because whoever began it may be in a hurry. */
static tf_code shared_read(tf_ctx *ctx, const struct sale *sale, struct view **ret_view)
{
    int64_t deadline_us = ctx->deadline_us;
    tf_code code;

    ctx->deadline_us = INT64_MAX;
    code = read_view(ctx, sale, ret_view);
    ctx->deadline_us = deadline_us;
    tf_counter_add_label(&reads, "redis", 1);
    return code;
}

void inventory_availability_forget(int64_t show_id)
{
    struct shelf_entry *entry;

    pthread_mutex_lock(&lock);
    entry = known(show_id);
    if (entry) entry->since_us = tf_mono_us();
    pthread_mutex_unlock(&lock);
}

bool inventory_glance(const struct sale *sale, struct availability *ret_availability)
{
    struct shelf_entry *entry;
    bool seen;

    pthread_mutex_lock(&lock);
    entry = known(sale->show_id);
    seen = entry && fresh(entry, tf_mono_us()) && entry->view->availability.terms == sale->terms;
    if (seen) {
        *ret_availability = entry->view->availability;
        ret_availability->places = NULL;
        ret_availability->places_size = 0;
    }
    pthread_mutex_unlock(&lock);
    return seen;
}

tf_code inventory_availability(tf_ctx *ctx, const struct sale *sale, struct availability *ret_availability)
{
    struct shelf_entry *entry;
    struct view *view = NULL;
    int64_t start_us;
    tf_code code;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&lock);
    entry = find(sale->show_id);
    if (!entry) {
        pthread_mutex_unlock(&lock);
        return tf_fail(ctx, TF_OVERLOADED, "no memory for availability");
    }
    entry->asked_us = start_us = tf_mono_us();
    if (fresh(entry, start_us)) {
        view = entry->view;
    } else if (entry->reading) {
        if (!wait_landing(ctx, entry)) {
            pthread_mutex_unlock(&lock);
            return tf_fail(ctx, TF_DEADLINE, "availability came too late");
        }
        view = entry->view;
        code = entry->failure;
        if (!view) {
            pthread_mutex_unlock(&lock);
            if (code == TF_REBUILDING) return inventory_closed(ctx, sale->show_id);
            if (code == TF_STORE_DOWN) return inventory_down(ctx, "the shared read of availability failed");
            return tf_fail(ctx, code, "the shared read of availability failed");
        }
    }
    if (view) {
        atomic_fetch_add_explicit(&view->references, 1, memory_order_relaxed);
        pthread_mutex_unlock(&lock);
        tf_counter_add_label(&reads, "memory", 1);
        return answer_from(ctx, view, ret_availability);
    }
    entry->reading = true;
    pthread_mutex_unlock(&lock);

    code = shared_read(ctx, sale, &view);

    pthread_mutex_lock(&lock);
    view_unref(entry->view);
    entry->view = view;
    entry->read_us = start_us;
    entry->failure = code;
    entry->reading = false;
    entry->flight++;
    if (view) atomic_fetch_add_explicit(&view->references, 1, memory_order_relaxed);
    pthread_cond_broadcast(&landed);
    pthread_mutex_unlock(&lock);
    return code ? code : answer_from(ctx, view, ret_availability);
}
