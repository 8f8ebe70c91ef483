/* Shows known to this process: a bounded table of decoded snapshots, least recently used out first.
 *
 * A newest version is believed for a few seconds, then its number is compared with the fence row's; with PostgreSQL
 * away it stays in use, because the fence refuses whatever old terms would decide.
 *
 * Whoever asks for what is here never waits for whoever asks for what is not: of a show that opens all callers share
 * one load; of different shows few are loaded at a time and few callers wait, the others are told to come back; and an
 * id that no show has is remembered for a moment, for those who only look, so that a client who makes one up costs
 * little. Another instance may have published it meanwhile, so buyers and their orders always ask. */
#include "services/order/sale/shelf.h"

#include "common/base/id.h"
#include "common/base/metrics.h"
#include "common/base/text.h"
#include "common/chassis/service.h"

#include <pthread.h>
#include <string.h>

enum {
    SALES_MAX = 256,
    BELIEVE_US = 5 * TF_US_PER_S,
    COMPARE_US_MAX = 250 * TF_US_PER_MS, /* for the fence row's number; then what is here stays in use */
    LOAD_US_MAX = 5 * TF_US_PER_S,
    LOADS_MAX = 4,    /* at a time */
    WAITING_MAX = 16, /* callers who wait for another's load, or until they may load: half of the workers */
    WAIT_US_MAX = 2 * TF_US_PER_S,
    RETRY_MS = 1000,
    MISSING_MAX = 1024,          /* remembered ids without a show; a power of 2 */
    MISSING_US = TF_US_PER_S / 2 /* as long as another instance may publish the show without our hearing of it */
};

static tf_counter loads =
    TF_COUNTER("tf_order_snapshot_loads_total", "Sale snapshots asked of PostgreSQL, by result", "result");
static tf_counter refused = TF_COUNTER("tf_order_snapshot_refused_total",
                                       "Callers sent away because too many snapshots are being loaded", NULL);

struct slot {
    struct sale *sale; /* NULL: empty */
    bool newest;
    int64_t checked_us; /* monotonic; of the newest: when the fence row was last looked at */
    uint64_t used;      /* tick of the last look */
};

/* A load under way, shared by the caller who runs it and those who wait for it. */
struct load {
    struct load *next;
    int64_t show_id;
    int32_t terms;  /* 0: the newest */
    int references; /* the last one frees it */
    bool forgotten; /* a newer version was announced meanwhile: nothing is concluded from the result */
    bool done;
    tf_code code;
    struct sale *sale; /* TF_OK */
};

static struct {
    pthread_mutex_t lock; /* of all below; held for look-ups only */
    pthread_cond_t landed;
    struct slot slots[SALES_MAX];
    uint64_t tick;
    struct load *loads;
    int n_loads, n_waiting;
    struct {
        int64_t show_id, until_us;
    } missing[MISSING_MAX]; /* by hash; the latest of those that meet stays */
} shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct tf_pg_stmt select_terms = {
    .name = "sale_terms",
    .sql = "SELECT terms FROM inventory WHERE bucket = $1 AND show_id = $2",
};

static const struct tf_pg_stmt select_newest = {
    .name = "sale_newest",
    .sql = "SELECT s.data FROM inventory i"
           " JOIN sale_snapshot s ON s.bucket = i.bucket AND s.show_id = i.show_id AND s.version = i.terms"
           " WHERE i.bucket = $1 AND i.show_id = $2",
};

static const struct tf_pg_stmt select_version = {
    .name = "sale_version",
    .sql = "SELECT data FROM sale_snapshot WHERE bucket = $1 AND show_id = $2 AND version = $3",
};

static void prepare(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&shelf.landed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void unlock(pthread_mutex_t **mutex)
{
    pthread_mutex_unlock(*mutex);
}

#define HOLDING(mutex)                                                                                                 \
    tf_cleanup(unlock) TF_UNUSED pthread_mutex_t *held = &(mutex);                                                     \
    pthread_mutex_lock(held)

/* ---- the table; all under the lock --------------------------------------------------------------------------------
 */

static struct slot *slot_of(int64_t show_id, int32_t terms)
{
    for (size_t i = 0; i < SALES_MAX; i++) {
        struct slot *slot = &shelf.slots[i];

        if (!slot->sale || slot->sale->show_id != show_id) continue;
        if (terms ? slot->sale->terms == terms : slot->newest) return slot;
    }
    return NULL;
}

/* An empty one, if there is any. */
static struct slot *least_used(void)
{
    struct slot *least = &shelf.slots[0];

    for (size_t i = 1; i < SALES_MAX; i++)
        if (shelf.slots[i].used < least->used) least = &shelf.slots[i];
    return least;
}

/* A reference for the caller, or NULL. */
static struct sale *take(int64_t show_id, int32_t terms)
{
    struct slot *slot = slot_of(show_id, terms);

    if (!slot) return NULL;
    slot->used = ++shelf.tick;
    return sale_ref(slot->sale);
}

/* Puts a reference of its own on the shelf. */
static void put(struct sale *sale, bool newest, int64_t now_us)
{
    struct slot *to = slot_of(sale->show_id, sale->terms), *before = slot_of(sale->show_id, 0);

    if (!to) to = least_used();
    if (newest && before) before->newest = false; /* it stays as an older version */
    sale_unref(to->sale);
    *to = (struct slot){.sale = sale_ref(sale), .newest = newest, .checked_us = now_us, .used = ++shelf.tick};
}

static size_t missing_at(int64_t show_id)
{
    return (size_t)tf_mix64((uint64_t)show_id) & (MISSING_MAX - 1);
}

static bool is_missing(int64_t show_id, int64_t now_us)
{
    size_t at = missing_at(show_id);

    return shelf.missing[at].show_id == show_id && now_us < shelf.missing[at].until_us;
}

void sale_forget(int64_t show_id)
{
    struct slot *slot;

    HOLDING(shelf.lock);
    slot = slot_of(show_id, 0);
    if (slot) slot->newest = false;
    if (shelf.missing[missing_at(show_id)].show_id == show_id) shelf.missing[missing_at(show_id)].until_us = 0;
    for (struct load *load = shelf.loads; load; load = load->next)
        if (load->show_id == show_id) load->forgotten = true;
}

/* ---- PostgreSQL ---------------------------------------------------------------------------------------------------
 */

/* A snapshot may be larger than a call's memory, so it is read in a context of its own. */
static tf_code read_snapshot(tf_ctx *ctx, int64_t show_id, int32_t terms, struct sale **ret_sale)
{
    tf_app *app = ctx->app;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_ctx own;
    tf_code code;

    tf_app_ctx(app, &own, ctx->request_id, LOAD_US_MAX); /* others wait for it too: not this caller's time */
    tf_pg_params_init(&params, &own);
    tf_pg_int2(&params, (int16_t)tf_bucket_of_show(show_id));
    tf_pg_int8(&params, show_id);
    if (terms) tf_pg_int4(&params, terms);

    code = tf_pg_query(&own, tf_app_pg(app), terms ? &select_version : &select_newest, &params, &rows);
    if (!code && tf_pg_rows(rows) == 0)
        code = tf_fail(&own, TF_NOT_FOUND, "no sale snapshot of show %lld", (long long)show_id);
    if (!code) {
        struct tf_pg_bytes data = tf_pg_get_bytes(rows, 0, 0);

        code = sale_decode(&own, data.data, data.size, ret_sale);
    }
    if (code == TF_DEADLINE) { /* of the load, not of the call */
        tf_error_clear(&own);
        code = tf_fail(&own, TF_STORE_DOWN, "PostgreSQL does not answer");
    }
    if (code) tf_fail(ctx, code, "%s", own.error.internal ? own.error.internal : "sale snapshot");
    tf_ctx_done(&own);
    tf_counter_add_label(&loads, tf_code_info(code)->reason, 1);
    return code;
}

/* True when the fence row names the terms that we have, or when nobody can say. */
static bool still_newest(tf_ctx *ctx, const struct sale *sale)
{
    tf_app *app = ctx->app;
    tf_pg_params params;
    tf_pg_result *rows;
    bool same = true;
    tf_ctx own;

    tf_app_ctx(app, &own, ctx->request_id, TF_MAX(1, TF_MIN(tf_ctx_left_us(ctx), COMPARE_US_MAX)));
    tf_pg_params_init(&params, &own);
    tf_pg_int2(&params, (int16_t)sale->bucket);
    tf_pg_int8(&params, sale->show_id);
    if (tf_pg_query(&own, tf_app_pg(app), &select_terms, &params, &rows) == TF_OK)
        same = tf_pg_rows(rows) == 1 && tf_pg_get_int(rows, 0, 0) == sale->terms;
    tf_ctx_done(&own);
    return same;
}

/* ---- loads --------------------------------------------------------------------------------------------------------
 */

static tf_code refuse(tf_ctx *ctx)
{
    tf_code code = tf_fail(ctx, TF_OVERLOADED, "too many sale snapshots are being loaded");

    tf_counter_add(&refused, 1);
    tf_error_retry_after(ctx, RETRY_MS);
    return code;
}

/* Under the lock. */
static struct load *load_of(int64_t show_id, int32_t terms)
{
    struct load *load = shelf.loads;

    while (load && (load->show_id != show_id || load->terms != terms || load->forgotten))
        load = load->next;
    return load;
}

/* Under the lock. */
static void load_unref(struct load *load)
{
    if (--load->references > 0) return;
    sale_unref(load->sale);
    free(load);
}

/* Waits until that load (NULL: enough of them) has landed; not when too many callers wait already, and not beyond
 * until_us. Under the lock. */
static void wait_for(const struct load *load, int64_t until_us)
{
    struct timespec until = {.tv_sec = until_us / TF_US_PER_S, .tv_nsec = until_us % TF_US_PER_S * 1000};
    bool in_time = true;

    if (shelf.n_waiting >= WAITING_MAX) return;
    shelf.n_waiting++;
    while ((load ? !load->done : shelf.n_loads >= LOADS_MAX) && in_time)
        in_time = pthread_cond_timedwait(&shelf.landed, &shelf.lock, &until) == 0;
    shelf.n_waiting--;
}

/* The result of somebody else's load. Under the lock. */
static tf_code share(tf_ctx *ctx, struct load *load, int64_t until_us, struct sale **ret_sale)
{
    tf_code code;

    load->references++;
    wait_for(load, until_us);
    if (!load->done)
        code = refuse(ctx);
    else if (load->code)
        code = tf_fail(ctx, load->code, "the shared load of show %lld failed", (long long)load->show_id);
    else
        code = TF_OK;
    if (!code) *ret_sale = sale_ref(load->sale);
    load_unref(load);
    return code;
}

/* Under the lock, which is let go meanwhile. */
static tf_code run(tf_ctx *ctx, struct load *load, struct sale **ret_sale)
{
    struct load **at = &shelf.loads;
    struct sale *sale = NULL;
    int64_t now_us;
    tf_code code;

    load->references = 1;
    load->next = shelf.loads;
    shelf.loads = load;
    shelf.n_loads++;
    pthread_mutex_unlock(&shelf.lock);

    code = read_snapshot(ctx, load->show_id, load->terms, &sale);

    pthread_mutex_lock(&shelf.lock);
    now_us = tf_mono_us();
    while (*at != load)
        at = &(*at)->next;
    *at = load->next;
    shelf.n_loads--;
    load->done = true;
    load->code = code;
    load->sale = sale;
    if (!code) {
        put(sale, load->terms == 0 && !load->forgotten, now_us);
        *ret_sale = sale_ref(sale);
    } else if (code == TF_NOT_FOUND && load->terms == 0 && !load->forgotten) {
        shelf.missing[missing_at(load->show_id)].show_id = load->show_id;
        shelf.missing[missing_at(load->show_id)].until_us = now_us + MISSING_US;
    }
    pthread_cond_broadcast(&shelf.landed);
    load_unref(load);
    return code;
}

/* What take has not found. by_memory: that there is none may be answered from memory. */
static tf_code fetch(tf_ctx *ctx, int64_t show_id, int32_t terms, bool by_memory, struct sale **ret_sale)
{
    int64_t until_us = TF_MIN(ctx->deadline_us, tf_mono_us() + WAIT_US_MAX);

    pthread_once(&once, prepare);
    HOLDING(shelf.lock);
    for (;;) {
        struct load *own, *others;

        *ret_sale = take(show_id, terms);
        if (*ret_sale) return TF_OK;
        if (by_memory && is_missing(show_id, tf_mono_us()))
            return tf_fail(ctx, TF_NOT_FOUND, "no sale snapshot of show %lld, a moment ago", (long long)show_id);
        others = load_of(show_id, terms);
        if (others) return share(ctx, others, until_us, ret_sale);
        if (shelf.n_loads >= LOADS_MAX) {
            wait_for(NULL, until_us);
            if (shelf.n_loads >= LOADS_MAX) return refuse(ctx);
            continue; /* it may be here by now */
        }
        own = calloc(1, sizeof(*own));
        if (!own) return tf_fail(ctx, TF_OVERLOADED, "no memory for a sale snapshot");
        own->show_id = show_id;
        own->terms = terms;
        return run(ctx, own, ret_sale);
    }
}

/* ---- entrances ----------------------------------------------------------------------------------------------------
 */

/* From memory: a reference for the caller, or NULL. *ret_compare: it is time to look at the fence row, and this caller
 * is the one to do it. */
static struct sale *look(int64_t show_id, int32_t terms, bool *ret_compare)
{
    int64_t now_us = tf_mono_us();
    struct slot *slot;

    HOLDING(shelf.lock);
    slot = slot_of(show_id, terms);
    if (!slot) return NULL;
    slot->used = ++shelf.tick;
    *ret_compare = !terms && now_us - slot->checked_us >= BELIEVE_US;
    if (*ret_compare) slot->checked_us = now_us;
    return sale_ref(slot->sale);
}

static tf_code find(tf_ctx *ctx, int64_t show_id, int32_t terms, bool by_memory, struct sale **ret_sale)
{
    bool compare = false;
    struct sale *sale;

    if (show_id <= 0) return tf_fail(ctx, TF_NOT_FOUND, "show %lld", (long long)show_id);
    sale = look(show_id, terms, &compare);
    if (sale && compare && !still_newest(ctx, sale)) {
        sale_forget(show_id);
        sale_unref(TF_TAKE(sale));
    }
    if (!sale) return fetch(ctx, show_id, terms, by_memory, ret_sale);

    *ret_sale = sale;
    return TF_OK;
}

tf_code sale_find(tf_ctx *ctx, int64_t show_id, struct sale **ret_sale)
{
    return find(ctx, show_id, 0, false, ret_sale);
}

tf_code sale_look(tf_ctx *ctx, int64_t show_id, struct sale **ret_sale)
{
    return find(ctx, show_id, 0, true, ret_sale);
}

tf_code sale_find_version(tf_ctx *ctx, int64_t show_id, int32_t terms, struct sale **ret_sale)
{
    return find(ctx, show_id, terms, false, ret_sale);
}
