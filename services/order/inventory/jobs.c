/* Single flight: a show has at most one job; who wants a rebuild that begins after now waits for the run after the one
 * under way. */
#include "services/order/inventory/jobs.h"
#include "services/order/inventory/call.h"
#include "services/order/inventory/rebuild.h"

#include "common/base/log.h"

#include <pthread.h>
#include <stdio.h>

enum {
    WORKERS = 2,
    TABLE = 256,
    RUN_US_MAX = 60 * TF_US_PER_S,
    ALARM_EVERY_US = 10 * TF_US_PER_S,
    BACKOFF_US_MIN = 200 * TF_US_PER_MS,
    BACKOFF_US_MAX = 5 * TF_US_PER_S,
    WATCH_MS = 500,
    WARM_SHOWS_MAX = 1000
};
static const size_t RUN_ARENA_MAX = (size_t)512 << 20; /* all live tickets of a show of 100,000 places, several times */

static tf_counter alarms =
    TF_COUNTER("tf_order_conflicts_total", "Places that Redis gave twice and PostgreSQL refused: must stay 0", NULL);

/* Shows that are or will be on sale, the next to open first. */
static const struct tf_pg_stmt select_shows = {
    .name = "inventory_warm",
    .sql =
        "SELECT show_id FROM inventory WHERE sale_state <> 3 AND (closes_at IS NULL OR closes_at > clock_timestamp())"
        " ORDER BY opens_at LIMIT $1",
};

struct job {
    struct job *next;
    int64_t show_id;
    uint64_t started, finished; /* runs; finished trails by at most one */
    uint64_t wanted;            /* the run that somebody waits for or asked for */
    bool running, anew;
    tf_code code;  /* of the last finished run */
    int64_t epoch; /* that this process raised last */
    int64_t not_before_us, backoff_us, alarmed_us;
    int waiting;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct job *table[TABLE];
    pthread_t threads[WORKERS];
    int n_threads;
    bool stopping;
    tf_periodic *watch;
    uint64_t connection; /* for which the shows were looked at */
} jobs = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. NULL: no memory. */
static struct job *job_of(int64_t show_id)
{
    struct job **head = &jobs.table[(uint64_t)show_id * 0x9e3779b97f4a7c15u >> 56], *job;

    for (job = *head; job; job = job->next)
        if (job->show_id == show_id) return job;

    job = calloc(1, sizeof(*job));
    if (!job) return NULL;
    job->show_id = show_id;
    job->alarmed_us = INT64_MIN / 2;
    job->next = *head;
    *head = job;
    return job;
}

/* A job that has nothing to do, nobody waiting and no alarm to remember need not be kept. Under the lock. */
static void forget_idle(struct job *job)
{
    struct job **at = &jobs.table[(uint64_t)job->show_id * 0x9e3779b97f4a7c15u >> 56];

    if (job->running || job->waiting || job->wanted > job->started) return;
    if (tf_mono_us() - job->alarmed_us < ALARM_EVERY_US) return;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    free(job);
}

/* The job that may run now; else NULL and the time of the next one. Under the lock. */
static struct job *next_job(int64_t *ret_when_us)
{
    int64_t now = tf_mono_us();

    *ret_when_us = INT64_MAX;
    if (inventory_superseded()) return NULL; /* others rebuild; watch wakes us when we are to do so again */
    for (size_t i = 0; i < TABLE; i++) {
        for (struct job *job = jobs.table[i]; job; job = job->next) {
            if (job->running || job->wanted <= job->started) continue;
            if (job->not_before_us <= now) return job;
            *ret_when_us = TF_MIN(*ret_when_us, job->not_before_us);
        }
    }
    return NULL;
}

static void wait_until(pthread_cond_t *cond, int64_t when_us)
{
    struct timespec until = {.tv_sec = when_us / TF_US_PER_S, .tv_nsec = when_us % TF_US_PER_S * 1000};

    if (when_us == INT64_MAX)
        pthread_cond_wait(cond, &jobs.lock);
    else
        pthread_cond_timedwait(cond, &jobs.lock, &until);
}

static tf_code run(int64_t show_id, bool anew, int64_t *epoch)
{
    char text[TF_LOG_INT];
    tf_arena *arena = tf_arena_new(RUN_ARENA_MAX), *small;
    tf_code code;
    tf_ctx ctx;

    if (!arena) return TF_OVERLOADED;
    tf_app_ctx(inventory_app, &ctx, "rebuild", RUN_US_MAX);
    small = ctx.arena;
    ctx.arena = arena;
    code = rebuild_show(&ctx, show_id, anew, epoch);
    if (code && code != TF_NOT_FOUND)
        tf_log(TF_LOG_WARN, "inventory not rebuilt yet", "show_id", tf_log_int(text, show_id), "reason",
               tf_code_info(code)->reason, "cause", ctx.error.internal, NULL);
    ctx.arena = small;
    tf_error_clear(&ctx); /* its strings were in the large arena */
    tf_ctx_done(&ctx);
    tf_arena_free(arena);
    return code;
}

static void finish(struct job *job, tf_code code)
{
    job->running = false;
    job->finished = job->started;
    job->code = code;
    job->not_before_us = 0;
    if (!code || code == TF_NOT_FOUND) {
        job->backoff_us = 0;
    } else { /* the show stays closed until it succeeds: try again without being asked */
        job->backoff_us = job->backoff_us ? TF_MIN(job->backoff_us * 2, (int64_t)BACKOFF_US_MAX) : BACKOFF_US_MIN;
        job->not_before_us = tf_mono_us() + job->backoff_us;
        job->wanted = TF_MAX(job->wanted, job->started + 1);
    }
    pthread_cond_broadcast(&jobs.done);
    forget_idle(job);
}

static void *work(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&jobs.lock);
    while (!jobs.stopping) {
        int64_t when_us;
        struct job *job = next_job(&when_us);
        bool anew;
        tf_code code;

        if (!job) {
            wait_until(&jobs.work, when_us);
            continue;
        }
        job->started++;
        job->running = true;
        anew = job->anew;
        job->anew = false;
        pthread_mutex_unlock(&jobs.lock);

        code = run(job->show_id, anew, &job->epoch); /* ours while it runs */

        pthread_mutex_lock(&jobs.lock);
        if (code && code != TF_NOT_FOUND) job->anew = job->anew || anew;
        finish(job, code);
    }
    pthread_mutex_unlock(&jobs.lock);
    return NULL;
}

void inventory_rebuild_soon(int64_t show_id)
{
    struct job *job;

    pthread_mutex_lock(&jobs.lock);
    job = job_of(show_id);
    if (job && !job->running && job->wanted <= job->started) {
        job->wanted = job->started + 1;
        pthread_cond_signal(&jobs.work);
    }
    pthread_mutex_unlock(&jobs.lock);
}

void inventory_alarm(int64_t show_id)
{
    int64_t now = tf_mono_us();
    struct job *job;

    tf_counter_add(&alarms, 1);
    pthread_mutex_lock(&jobs.lock);
    job = job_of(show_id);
    if (job && now - job->alarmed_us >= ALARM_EVERY_US) {
        job->alarmed_us = now;
        job->anew = true;
        job->wanted = job->started + 1;
        pthread_cond_signal(&jobs.work);
    }
    pthread_mutex_unlock(&jobs.lock);
}

tf_code inventory_rebuild(tf_ctx *ctx, int64_t show_id)
{
    tf_code code = TF_OK;
    struct job *job;
    uint64_t mine;

    if (inventory_superseded()) return tf_fail(ctx, TF_REBUILDING, "instances of another version rebuild");
    pthread_mutex_lock(&jobs.lock);
    job = job_of(show_id);
    if (!job) {
        pthread_mutex_unlock(&jobs.lock);
        return tf_fail(ctx, TF_OVERLOADED, "no memory for a rebuild");
    }
    mine = job->started + 1;
    job->wanted = TF_MAX(job->wanted, mine);
    job->anew = true;
    job->not_before_us = 0;
    job->waiting++;
    pthread_cond_signal(&jobs.work);
    while (job->finished < mine && !jobs.stopping && tf_ctx_left_us(ctx) > 0)
        wait_until(&jobs.done, ctx->deadline_us);
    job->waiting--;
    if (job->finished < mine)
        code = TF_REBUILDING;
    else
        code = job->code;
    forget_idle(job);
    pthread_mutex_unlock(&jobs.lock);
    return code ? tf_fail(ctx, code, "rebuild of show %lld", (long long)show_id) : TF_OK;
}

/* A new connection may be a new server: looks at all shows at once instead of at the first buyer. So does who comes
 * forward again. */
static void watch(tf_ctx *ctx, void *arg)
{
    uint64_t connection = tf_redis_connection(tf_app_redis(inventory_app));
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    (void)arg;
    inventory_look_for_leader(ctx);
    if (inventory_superseded()) {
        jobs.connection = 0;
        return;
    }
    if (connection == jobs.connection) return;
    tf_pg_params_init(&params, ctx);
    tf_pg_int4(&params, WARM_SHOWS_MAX);
    code = tf_pg_query(ctx, tf_app_pg(inventory_app), &select_shows, &params, &rows);
    if (code) return; /* at the next tick */

    for (int i = 0; i < tf_pg_rows(rows); i++)
        inventory_rebuild_soon(tf_pg_get_int(rows, i, 0));
    jobs.connection = connection;
    pthread_mutex_lock(&jobs.lock);
    pthread_cond_broadcast(&jobs.work); /* what was asked for while we stood back */
    pthread_mutex_unlock(&jobs.lock);
}

tf_code inventory_start(struct tf_app *app)
{
    pthread_condattr_t attributes;

    inventory_app = app;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&jobs.work, &attributes);
    pthread_cond_init(&jobs.done, &attributes);
    pthread_condattr_destroy(&attributes);
    jobs.stopping = false;
    jobs.connection = 0;
    for (jobs.n_threads = 0; jobs.n_threads < WORKERS; jobs.n_threads++)
        if (pthread_create(&jobs.threads[jobs.n_threads], NULL, work, NULL)) break;
    if (jobs.n_threads == 0) return TF_OVERLOADED;
    jobs.watch = tf_periodic_start(app, "inventory watch", WATCH_MS, watch, NULL);
    return TF_OK;
}

void inventory_stop(void)
{
    tf_periodic_stop(TF_TAKE(jobs.watch));
    pthread_mutex_lock(&jobs.lock);
    jobs.stopping = true;
    pthread_cond_broadcast(&jobs.work);
    pthread_cond_broadcast(&jobs.done);
    pthread_mutex_unlock(&jobs.lock);
    for (int i = 0; i < jobs.n_threads; i++)
        pthread_join(jobs.threads[i], NULL);
    jobs.n_threads = 0;
    for (size_t i = 0; i < TABLE; i++) {
        while (jobs.table[i]) {
            struct job *job = jobs.table[i];

            jobs.table[i] = job->next;
            free(job);
        }
    }
}
