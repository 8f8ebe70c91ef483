/* Claiming, renewing and releasing the worker number. */
#include "common/chassis/worker_claim.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/chassis/ticker.h"

#include <stdio.h>

enum {
    AHEAD_TICKS = 10 * 1000 / TF_ID_TICK_MS, /* reserved beyond the clock */
    RENEW_MS = 2000,
    RETRY_MS = 250,         /* a claim was lost and must be made anew */
    GAP_MS = 100,           /* between renewals, however often woken */
    CALL_TIMEOUT_MS = 1500, /* less than the renewal's interval, so that a silent database is asked again in time */
    CLAIM_TRIES = 2 * TF_ID_WORKERS,
};

static tf_counter claims_lost =
    TF_COUNTER("tf_worker_claims_lost_total", "Worker numbers lost to another holder", NULL);
static tf_gauge worker_number = TF_GAUGE("tf_worker_number", "Worker number of this process's ids, -1 without", NULL);

/* One claim: a number, its generation, its generator. Kept until the end, because a thread may still be inside it when
 * the next one takes over; what it makes meanwhile lies in ticks that were its own. */
struct hold {
    struct hold *older;
    int64_t generation;
    tf_idgen ids;
};

struct tf_worker_claim {
    tf_pg *pg;
    const tf_clock *clock;
    const struct tf_clock_guard *guard; /* or NULL */
    const char *holder;
    tf_ticker *ticker;
    tf_ctx ctx;                     /* of the renewing thread */
    struct hold *holds;             /* all, newest first; the renewing thread's */
    _Atomic(struct hold *) current; /* NULL: no claim */
    int64_t renewed_us;             /* monotonic */
    bool silent;                    /* the database did not answer last time: said once */
};

/* A number whose holder released it or fell silent, the lowest first; one whose mark lies well ahead of our clock is
 * left alone, since it would make no ids until the clock gets there. $1: now's tick, $2: ticks to reserve, $3: holder.
 */
static const struct tf_pg_stmt take_free = {
    "worker_claim_take_free",
    "UPDATE worker_claim w SET generation = w.generation + 1, holder = $3, released = false,"
    "       heard_at = clock_timestamp(), high_tick = greatest($1::int8, w.high_tick + 1) + $2::int8"
    "  FROM (SELECT worker FROM worker_claim"
    "         WHERE (released OR heard_at < clock_timestamp() - interval '24 hours') AND high_tick < $1::int8 + 32"
    "         ORDER BY worker LIMIT 1 FOR UPDATE SKIP LOCKED) free"
    " WHERE w.worker = free.worker"
    " RETURNING w.worker, w.generation, w.high_tick",
    true,
};
/* The lowest number that was never used; no row when another process inserted it at the same moment. */
static const struct tf_pg_stmt take_new = {
    "worker_claim_take_new",
    "INSERT INTO worker_claim (worker, generation, holder, high_tick, released, heard_at)"
    " SELECT n, 1, $3, $1::int8 + $2::int8, false, clock_timestamp() FROM generate_series(0, 255) n"
    "  WHERE NOT EXISTS (SELECT FROM worker_claim c WHERE c.worker = n) ORDER BY n LIMIT 1"
    " ON CONFLICT (worker) DO NOTHING"
    " RETURNING worker, generation, high_tick",
    true,
};
/* All numbers were used: the one silent the longest, so that a process which crashes again and again cannot use them
 * up. Safe after any silence, because ids start above the mark; ten minutes are sixty times what a living holder lets
 * pass. */
static const struct tf_pg_stmt take_silent = {
    "worker_claim_take_silent",
    "UPDATE worker_claim w SET generation = w.generation + 1, holder = $3, released = false,"
    "       heard_at = clock_timestamp(), high_tick = greatest($1::int8, w.high_tick + 1) + $2::int8"
    "  FROM (SELECT worker FROM worker_claim WHERE released OR heard_at < clock_timestamp() - interval '10 minutes'"
    "         ORDER BY high_tick LIMIT 1 FOR UPDATE SKIP LOCKED) free"
    " WHERE w.worker = free.worker"
    " RETURNING w.worker, w.generation, w.high_tick",
    true,
};
static const struct tf_pg_stmt count_used = {"worker_claim_count", "SELECT count(*) FROM worker_claim", false};
static const struct tf_pg_stmt renew = {
    "worker_claim_renew",
    "UPDATE worker_claim SET high_tick = greatest(high_tick, $3::int8), heard_at = clock_timestamp()"
    " WHERE worker = $1 AND generation = $2 RETURNING high_tick",
    true,
};
static const struct tf_pg_stmt release = {
    "worker_claim_release",
    "UPDATE worker_claim SET released = true, high_tick = $3, heard_at = clock_timestamp()"
    " WHERE worker = $1 AND generation = $2",
    true,
};

static int64_t now_tick(const tf_worker_claim *claim)
{
    return TF_MAX(tf_tick_of(claim->clock->wall_us(claim->clock)), 1);
}

/* Asked after the tick was read that is to be written down. */
static bool clock_agrees(const tf_worker_claim *claim)
{
    return !claim->guard || tf_clock_guard_agrees(claim->guard);
}

/* ---- claiming ---------------------------------------------------------------------------------------------------- */

/* A claim under way; each try starts from the database. */
struct taking {
    const tf_worker_claim *claim;
    int worker; /* -1: none yet */
    int64_t generation, high_tick;
};

static tf_code take_by(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_pg_stmt *stmt, struct taking *taking)
{
    int64_t tick = now_tick(taking->claim);
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    if (!clock_agrees(taking->claim)) return tf_fail(ctx, TF_STORE_DOWN, "the clock does not agree");
    tf_pg_params_init(&params, ctx);
    tf_pg_int8(&params, tick);
    tf_pg_int8(&params, AHEAD_TICKS);
    tf_pg_text(&params, taking->claim->holder);
    code = tf_pg_exec(conn, ctx, stmt, &params, &result);
    if (code || tf_pg_rows(result) == 0) return code;

    taking->worker = (int)tf_pg_get_int(result, 0, 0);
    taking->generation = tf_pg_get_int(result, 0, 1);
    taking->high_tick = tf_pg_get_int(result, 0, 2);
    return TF_OK;
}

static tf_code take(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct taking *taking = arg;
    tf_pg_result *result;
    tf_code code;

    taking->worker = -1;
    code = take_by(conn, ctx, &take_free, taking);
    for (int i = 0; !code && taking->worker < 0 && i < CLAIM_TRIES; i++) {
        code = take_by(conn, ctx, &take_new, taking);
        if (code || taking->worker >= 0) break;
        code = tf_pg_exec(conn, ctx, &count_used, NULL, &result);
        if (code || tf_pg_get_int(result, 0, 0) >= TF_ID_WORKERS) break;
    }
    if (!code && taking->worker < 0) code = take_by(conn, ctx, &take_silent, taking);
    if (!code && taking->worker < 0)
        code = tf_fail(ctx, TF_OVERLOADED, "all %d worker numbers are in use", TF_ID_WORKERS);
    return code;
}

static tf_code claim_make(tf_worker_claim *claim, tf_ctx *ctx)
{
    struct taking taking = {.claim = claim, .worker = -1};
    char worker[TF_LOG_INT], generation[TF_LOG_INT];
    struct hold *hold;
    tf_code code;

    code = tf_pg_tx(ctx, claim->pg, take, &taking);
    if (code) return code; /* an unknown outcome may leave a number claimed by nobody: it is free after 24 h */

    hold = calloc(1, sizeof(*hold));
    TF_ASSERT(hold);
    hold->generation = taking.generation;
    tf_idgen_init(&hold->ids, claim->clock, taking.worker, taking.high_tick - AHEAD_TICKS);
    tf_idgen_reserve(&hold->ids, taking.high_tick);
    hold->older = claim->holds;
    claim->holds = hold;
    atomic_store(&claim->current, hold);
    tf_gauge_set(&worker_number, taking.worker);
    tf_log(TF_LOG_INFO, "worker number claimed", "worker", tf_log_int(worker, taking.worker), "generation",
           tf_log_int(generation, taking.generation), NULL);
    return TF_OK;
}

/* ---- renewing ---------------------------------------------------------------------------------------------------- */

static void say_silent(tf_worker_claim *claim, tf_code code)
{
    if (!claim->silent)
        tf_log(TF_LOG_WARN, "the claim of the worker number could not be renewed", "reason", tf_code_info(code)->reason,
               "cause", claim->ctx.error.internal, NULL);
    claim->silent = true;
}

/* Returns the pause until the next renewal. */
static int renew_once(tf_worker_claim *claim, struct hold *hold)
{
    int64_t tick = now_tick(claim) + AHEAD_TICKS;
    char worker[TF_LOG_INT];
    tf_pg_result *result;
    tf_pg_params params;
    tf_code code;

    if (!clock_agrees(claim)) return RETRY_MS;
    tf_pg_params_init(&params, &claim->ctx);
    tf_pg_int2(&params, (int16_t)hold->ids.worker);
    tf_pg_int8(&params, hold->generation);
    tf_pg_int8(&params, tick);
    code = tf_pg_query(&claim->ctx, claim->pg, &renew, &params, &result);
    if (code) {
        say_silent(claim, code);
        return RENEW_MS;
    }
    claim->silent = false;
    if (tf_pg_rows(result) == 1) {
        tf_idgen_reserve(&hold->ids, tf_pg_get_int(result, 0, 0));
        return RENEW_MS;
    }
    atomic_store(&claim->current, NULL);
    tf_counter_add(&claims_lost, 1);
    tf_gauge_set(&worker_number, -1);
    tf_log(TF_LOG_ERROR, "the worker number was lost to another holder", "worker", tf_log_int(worker, hold->ids.worker),
           NULL);
    return 0;
}

static int claim_tick(void *arg)
{
    tf_worker_claim *claim = arg;
    struct hold *hold = atomic_load(&claim->current);
    int64_t since_ms = (tf_mono_us() - claim->renewed_us) / TF_US_PER_MS;
    tf_code code;

    if (since_ms < GAP_MS) return GAP_MS - (int)since_ms;
    claim->renewed_us = tf_mono_us();
    tf_ctx_reset(&claim->ctx, (int64_t)CALL_TIMEOUT_MS * TF_US_PER_MS);
    if (hold) return renew_once(claim, hold);
    code = claim_make(claim, &claim->ctx);
    if (!code) return RENEW_MS;
    say_silent(claim, code);
    return RETRY_MS;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

tf_code tf_worker_claim_start(tf_ctx *ctx, tf_pg *pg, const tf_clock *clock, const struct tf_clock_guard *guard,
                              const char *holder, tf_worker_claim **ret_claim)
{
    tf_worker_claim *claim = calloc(1, sizeof(*claim));
    tf_code code;

    TF_ASSERT(claim);
    claim->pg = pg;
    claim->clock = clock;
    claim->guard = guard;
    claim->holder = holder;
    code = claim_make(claim, ctx);
    if (code && clock_agrees(claim)) {
        free(claim);
        return code;
    }
    tf_error_clear(ctx);
    tf_ctx_init(&claim->ctx, "worker-claim", 0);
    claim->ticker = tf_ticker_start("tf-worker-claim", claim_tick, claim);
    *ret_claim = claim;
    return TF_OK;
}

/* Ends the generator and tells its last tick: nobody can use a later one any more. */
static int64_t ids_close(tf_idgen *ids)
{
    int64_t last;

    pthread_mutex_lock(&ids->lock);
    last = ids->tick;
    ids->reserved_tick = 0;
    pthread_mutex_unlock(&ids->lock);
    return last;
}

static void claim_release(tf_ctx *ctx, tf_worker_claim *claim, struct hold *hold)
{
    tf_pg_params params;

    tf_pg_params_init(&params, ctx);
    tf_pg_int2(&params, (int16_t)hold->ids.worker);
    tf_pg_int8(&params, hold->generation);
    tf_pg_int8(&params, ids_close(&hold->ids));
    if (tf_pg_query(ctx, claim->pg, &release, &params, NULL))
        tf_log(TF_LOG_WARN, "the worker number could not be released; it is free again after 24 hours", NULL);
}

void tf_worker_claim_stop(tf_ctx *ctx, tf_worker_claim *claim)
{
    struct hold *hold;

    if (!claim) return;
    tf_ticker_stop(claim->ticker);
    hold = atomic_exchange(&claim->current, NULL);
    if (hold) claim_release(ctx, claim, hold);
    while ((hold = claim->holds)) {
        claim->holds = hold->older;
        pthread_mutex_destroy(&hold->ids.lock);
        free(hold);
    }
    tf_ctx_done(&claim->ctx);
    free(claim);
}

tf_code tf_worker_claim_id(tf_worker_claim *claim, int bucket, int64_t *ret_id)
{
    struct hold *hold = atomic_load(&claim->current);
    tf_code code = hold ? tf_idgen_next(&hold->ids, bucket, ret_id) : TF_OVERLOADED;

    if (code) tf_ticker_wake(claim->ticker); /* a clock that jumped ahead of the mark */
    return code;
}

int tf_worker_claim_number(tf_worker_claim *claim)
{
    struct hold *hold = atomic_load(&claim->current);

    return hold ? hold->ids.worker : -1;
}

void tf_worker_claim_wake(tf_worker_claim *claim)
{
    tf_ticker_wake(claim->ticker);
}
