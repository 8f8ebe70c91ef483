/* Shows known to this process: a bounded table of decoded snapshots, least recently used out first.
 *
 * A newest version is believed for a few seconds, then its number is compared with the fence row's; with PostgreSQL
 * away it stays in use, because the fence refuses whatever old terms would decide. One thread loads at a time: a show
 * that opens is asked for by all workers at once, and decoding it once is enough. */
#include "services/order/sale/shelf.h"

#include "common/chassis/service.h"

#include <pthread.h>
#include <string.h>

enum { SHELF_SALES_MAX = 256, BELIEVE_US = 5 * TF_US_PER_S, LOAD_US_MAX = 5 * TF_US_PER_S };

struct slot {
    struct sale *sale; /* NULL: empty */
    bool newest;
    int64_t checked_us; /* monotonic; of the newest: when the fence row was last looked at */
    uint64_t used;      /* tick of the last look */
};

static struct {
    pthread_mutex_t lock;    /* slots and tick; held for look-ups only */
    pthread_mutex_t loading; /* one load at a time; taken before lock, never inside it */
    struct slot slots[SHELF_SALES_MAX];
    uint64_t tick;
} shelf = {.lock = PTHREAD_MUTEX_INITIALIZER, .loading = PTHREAD_MUTEX_INITIALIZER};

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

static void unlock(pthread_mutex_t **mutex)
{
    pthread_mutex_unlock(*mutex);
}

#define HOLDING(mutex)                                                                                                 \
    tf_cleanup(unlock) TF_UNUSED pthread_mutex_t *held = &(mutex);                                                     \
    pthread_mutex_lock(held)

/* terms 0: the newest. A reference for the caller, or NULL; *ret_fresh: no need to look at the fence row. */
static struct sale *take(int64_t show_id, int32_t terms, int64_t now_us, bool *ret_fresh)
{
    HOLDING(shelf.lock);
    for (size_t i = 0; i < SHELF_SALES_MAX; i++) {
        struct slot *slot = &shelf.slots[i];

        if (!slot->sale || slot->sale->show_id != show_id) continue;
        if (terms ? slot->sale->terms != terms : !slot->newest) continue;
        slot->used = ++shelf.tick;
        *ret_fresh = terms || now_us - slot->checked_us < BELIEVE_US;
        return sale_ref(slot->sale);
    }
    return NULL;
}

/* Puts a reference of its own on the shelf. */
static void put(struct sale *sale, bool newest, int64_t now_us)
{
    struct slot *oldest = &shelf.slots[0];

    HOLDING(shelf.lock);
    for (size_t i = 0; i < SHELF_SALES_MAX; i++) {
        struct slot *slot = &shelf.slots[i];

        if (slot->sale && slot->sale->show_id == sale->show_id && slot->sale->terms == sale->terms) {
            oldest = slot;
            break;
        }
        if (!slot->sale || (oldest->sale && slot->used < oldest->used)) oldest = slot;
    }
    for (size_t i = 0; newest && i < SHELF_SALES_MAX; i++) /* the one before stays as an older version */
        if (shelf.slots[i].sale && shelf.slots[i].sale->show_id == sale->show_id) shelf.slots[i].newest = false;
    sale_unref(oldest->sale);
    *oldest = (struct slot){.sale = sale_ref(sale), .newest = newest, .checked_us = now_us, .used = ++shelf.tick};
}

static void believe(int64_t show_id, int64_t now_us)
{
    HOLDING(shelf.lock);
    for (size_t i = 0; i < SHELF_SALES_MAX; i++)
        if (shelf.slots[i].sale && shelf.slots[i].newest && shelf.slots[i].sale->show_id == show_id)
            shelf.slots[i].checked_us = now_us;
}

void sale_forget(int64_t show_id)
{
    HOLDING(shelf.lock);
    for (size_t i = 0; i < SHELF_SALES_MAX; i++)
        if (shelf.slots[i].sale && shelf.slots[i].sale->show_id == show_id) shelf.slots[i].newest = false;
}

/* A snapshot may be larger than a call's memory, so it is read in a context of its own. */
static tf_code load(tf_ctx *ctx, int64_t show_id, int32_t terms, struct sale **ret_sale)
{
    tf_app *app = ctx->app;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_ctx own;
    tf_code code;

    tf_app_ctx(app, &own, ctx->request_id, TF_MAX(1, TF_MIN(tf_ctx_left_us(ctx), LOAD_US_MAX)));
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
    if (code) tf_fail(ctx, code, "%s", own.error.internal ? own.error.internal : "sale snapshot");
    tf_ctx_done(&own);
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

    tf_app_ctx(app, &own, ctx->request_id, TF_MAX(1, TF_MIN(tf_ctx_left_us(ctx), TF_US_PER_S)));
    tf_pg_params_init(&params, &own);
    tf_pg_int2(&params, (int16_t)sale->bucket);
    tf_pg_int8(&params, sale->show_id);
    if (tf_pg_query(&own, tf_app_pg(app), &select_terms, &params, &rows) == TF_OK)
        same = tf_pg_rows(rows) == 1 && tf_pg_get_int(rows, 0, 0) == sale->terms;
    tf_ctx_done(&own);
    return same;
}

static tf_code find(tf_ctx *ctx, int64_t show_id, int32_t terms, struct sale **ret_sale)
{
    struct sale *sale;
    bool fresh;
    tf_code code;

    if (show_id <= 0) return tf_fail(ctx, TF_NOT_FOUND, "show %lld", (long long)show_id);
    sale = take(show_id, terms, tf_mono_us(), &fresh);
    if (sale && !fresh) {
        believe(show_id, tf_mono_us()); /* before asking: the others need not ask too */
        if (!still_newest(ctx, sale)) {
            sale_forget(show_id);
            sale_unref(sale);
            sale = NULL;
        }
    }
    if (sale) {
        *ret_sale = sale;
        return TF_OK;
    }

    HOLDING(shelf.loading);
    sale = take(show_id, terms, tf_mono_us(), &fresh); /* somebody may have loaded it meanwhile */
    if (!sale) {
        code = load(ctx, show_id, terms, &sale);
        if (code) return code;

        put(sale, terms == 0, tf_mono_us());
    }
    *ret_sale = sale;
    return TF_OK;
}

tf_code sale_find(tf_ctx *ctx, int64_t show_id, struct sale **ret_sale)
{
    return find(ctx, show_id, 0, ret_sale);
}

tf_code sale_find_version(tf_ctx *ctx, int64_t show_id, int32_t terms, struct sale **ret_sale)
{
    return find(ctx, show_id, terms, ret_sale);
}
