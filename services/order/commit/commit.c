/* The queue in front of the committer, and the thread. */
#include "services/order/commit/commit.h"
#include "services/order/commit/batch.h"
#include "services/order/commit/sale_time.h"
#include "services/order/config.h"
#include "services/order/inventory/inventory.h"
#include "services/order/inventory/jobs.h"

#include "common/base/chaos.h"
#include "common/base/log.h"
#include "common/chassis/service.h"

#include <pthread.h>
#include <unistd.h>

enum {
    TABLE = 1024,
    BATCH_TICKETS_MAX = 4000,
    BATCH_ARENA_MAX = 64 << 20,
    WAIT_US_MAX = 30 * TF_US_PER_S,   /* of a caller without a deadline */
    ATTEMPT_US_MAX = 5 * TF_US_PER_S, /* then the connection is dropped and the batch sent again */
    PAUSE_US = 50 * TF_US_PER_MS,     /* before another attempt */
    LOOK_US = TF_US_PER_S             /* idle: the clock is asked; always: it is compared with our own */
};

static tf_counter batches = TF_COUNTER("tf_order_commit_batches_total", "Batches answered by PostgreSQL", NULL);
static tf_counter resent = TF_COUNTER("tf_order_commit_resent_total", "Batches sent again, by cause", "cause");
static tf_counter committed =
    TF_COUNTER("tf_order_commit_orders_total", "Orders answered by the group commit, by result", "result");
static tf_gauge batch_size = TF_GAUGE("tf_order_commit_batch_size", "Orders of the last batch", NULL);
static tf_histogram batch_seconds = TF_HISTOGRAM("tf_order_commit_seconds", "Time of one call of commit_orders", NULL);
static tf_histogram wait_seconds =
    TF_HISTOGRAM("tf_order_commit_wait_seconds", "Time from queueing to the answer", NULL);

static const struct tf_pg_stmt select_clock = {.name = "commit_clock", .sql = "SELECT clock_timestamp()"};

static const char *const result_names[] = {"OK",    "DUPLICATE", "KEY_REUSED", "TOMBSTONE", "EPOCH",
                                           "TERMS", "PAUSED",    "PERSON",     "CONFLICT"};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct commit_entry *first, **last; /* queue */
    int64_t n_queued;
    struct commit_entry *table[TABLE]; /* queued and in a batch, by order number */
    bool stopping;
    _Atomic bool up; /* PostgreSQL answered last time */
    pthread_t thread;
    tf_app *app;
} committer = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = &committer.first};

/* ---- the queue ----------------------------------------------------------------------------------------------------
 */

static struct commit_entry **slot_of(int64_t order_no)
{
    return &committer.table[(uint64_t)order_no * 0x9e3779b97f4a7c15u >> 54];
}

/* Under the lock. */
static struct commit_entry *find_entry(int64_t order_no)
{
    for (struct commit_entry *entry = *slot_of(order_no); entry; entry = entry->same_hash)
        if (entry->order.order_no == order_no) return entry;
    return NULL;
}

/* Under the lock. */
static void enqueue(struct commit_entry *entry)
{
    struct commit_entry **slot = slot_of(entry->order.order_no);

    entry->same_hash = *slot;
    *slot = entry;
    *committer.last = entry;
    committer.last = &entry->next;
    committer.n_queued++;
    pthread_cond_signal(&committer.work);
}

/* The answer is there: tells the waiters and lets go. Under the lock. */
static void finish_entry(struct commit_entry *entry, tf_code code, const struct commit_answer *answer)
{
    struct commit_entry **slot = slot_of(entry->order.order_no);

    while (*slot != entry)
        slot = &(*slot)->same_hash;
    *slot = entry->same_hash;
    entry->code = code;
    if (answer) entry->answer = *answer;
    entry->done = true;
    commit_entry_unref(entry);
}

static void wait_until(pthread_cond_t *cond, int64_t when_us)
{
    struct timespec until = {.tv_sec = when_us / TF_US_PER_S, .tv_nsec = when_us % TF_US_PER_S * 1000};

    pthread_cond_timedwait(cond, &committer.lock, &until);
}

tf_code commit_admit(tf_ctx *ctx)
{
    bool full;

    if (!atomic_load_explicit(&committer.up, memory_order_relaxed))
        return tf_fail(ctx, TF_STORE_DOWN, "the committer has no PostgreSQL");

    pthread_mutex_lock(&committer.lock);
    full = committer.n_queued >= order_config.commit_queue_max;
    pthread_mutex_unlock(&committer.lock);
    return full ? tf_fail(ctx, TF_OVERLOADED, "the committer's queue is full") : TF_OK;
}

tf_code commit_order(tf_ctx *ctx, const struct new_order *order, struct commit_answer *ret_answer)
{
    int64_t start_us = tf_mono_us();
    int64_t deadline_us = TF_MIN(ctx->deadline_us, start_us + (int64_t)WAIT_US_MAX);
    struct commit_entry *entry;
    tf_code code = TF_OK;

    TF_ASSERT(order->n_tickets > 0 && order->request_id && order->body_hash);
    pthread_mutex_lock(&committer.lock);
    entry = find_entry(order->order_no);
    if (entry) {
        entry->references++;
        entry->deadline_us = TF_MAX(entry->deadline_us, deadline_us);
    } else if (committer.stopping || committer.n_queued >= order_config.commit_queue_max) {
        code = TF_OVERLOADED;
    } else if (!(entry = commit_entry_new(order))) {
        code = TF_OVERLOADED;
    } else {
        entry->references++;
        entry->deadline_us = deadline_us;
        enqueue(entry);
    }
    if (code) {
        pthread_mutex_unlock(&committer.lock);
        return tf_fail(ctx, code, "the committer takes no order now");
    }

    while (!entry->done && tf_mono_us() < deadline_us)
        wait_until(&committer.done, deadline_us);
    code = entry->done ? entry->code : TF_UNKNOWN_OUTCOME;
    if (!code) *ret_answer = entry->answer;
    commit_entry_unref(entry);
    pthread_mutex_unlock(&committer.lock);

    tf_histogram_observe_us(&wait_seconds, tf_mono_us() - start_us);
    return code ? tf_fail(ctx, code, "commit of order %lld", (long long)order->order_no) : TF_OK;
}

/* ---- the thread ---------------------------------------------------------------------------------------------------
 */

struct worker {
    tf_ctx ctx;
    tf_pg_conn *conn; /* its own; NULL: lost */
    int64_t looked_us;
};

/* Fails fast while PostgreSQL is away. */
static tf_code connect_worker(struct worker *worker)
{
    tf_code code;

    if (worker->conn && !tf_pg_broken(worker->conn)) return TF_OK;

    tf_pg_givep(&worker->conn);
    code = tf_pg_connect(&worker->ctx, tf_app_pg(committer.app), &worker->conn);
    atomic_store_explicit(&committer.up, !code, memory_order_relaxed);
    return code;
}

static tf_code ask_clock(struct worker *worker)
{
    int64_t sent_us;
    tf_pg_result *rows;
    tf_pg_params params;
    tf_code code;

    tf_ctx_reset(&worker->ctx, ATTEMPT_US_MAX);
    code = connect_worker(worker);
    if (code) return code;

    tf_pg_params_init(&params, &worker->ctx);
    sent_us = tf_mono_us();
    code = tf_pg_exec(worker->conn, &worker->ctx, &select_clock, &params, &rows);
    atomic_store_explicit(&committer.up, !code, memory_order_relaxed);
    if (code) return code;

    sale_time_learn(tf_pg_get_time(rows, 0, 0), sent_us, tf_mono_us());
    return TF_OK;
}

/* An instance that does not know the sale time is not ready; that its own clock agrees is the chassis's care. */
static void look_at_clock(struct worker *worker)
{
    int64_t offset_us;

    worker->looked_us = tf_mono_us();
    tf_app_set_ready(committer.app, sale_time_offset(tf_app_clock(committer.app), &offset_us) &&
                                        !inventory_superseded()); /* or another version sells */
}

static void fail_batch(struct commit_entry *const *entries, size_t n, tf_code code)
{
    pthread_mutex_lock(&committer.lock);
    for (size_t i = 0; i < n; i++)
        finish_entry(entries[i], code, NULL);
    pthread_cond_broadcast(&committer.done);
    pthread_mutex_unlock(&committer.lock);
}

/* What an answer asks of the rest of the process. The entry is still ours. */
static void follow_up(const struct new_order *order, const struct batch_answer *answer)
{
    char text[2][TF_LOG_INT];

    tf_counter_add_label(&committed, result_names[answer->result], 1);
    if (answer->result == COMMIT_EPOCH) inventory_rebuild_soon(order->show_id);
    if (answer->result != COMMIT_CONFLICT) return;

    tf_log(TF_LOG_ERROR, "PostgreSQL refused a place that the inventory gave: a bug", "order_no",
           tf_log_int(text[0], order->order_no), "show_id", tf_log_int(text[1], order->show_id), NULL);
    inventory_alarm(order->show_id);
}

static void answer_batch(struct worker *worker, struct commit_entry *const *entries, size_t n,
                         const struct batch_answer *answers)
{
    struct confirm_entry *confirms = TF_NEW_ARRAY(worker->ctx.arena, struct confirm_entry, n);
    size_t n_confirms = 0;
    bool events = false;

    for (size_t i = 0; i < n; i++) {
        const struct new_order *order = &entries[i]->order;

        follow_up(order, &answers[i]);
        events = events || answers[i].result == COMMIT_OK;
        if (confirms && answers[i].release_ms > 0)
            confirms[n_confirms++] =
                (struct confirm_entry){order->show_id, answers[i].order_no, answers[i].release_ms, order->bucket};
    }
    pthread_mutex_lock(&committer.lock);
    for (size_t i = 0; i < n; i++)
        finish_entry(entries[i], TF_OK, &(struct commit_answer){answers[i].result, answers[i].order_no});
    pthread_cond_broadcast(&committer.done);
    pthread_mutex_unlock(&committer.lock);

    TF_KILL_POINT(order_confirm_before);
    if (n_confirms) inventory_confirm(confirms, n_confirms);
    TF_KILL_POINT(order_confirm_after);
    if (events) tf_bus_wake(tf_app_bus(committer.app));
}

/* True while somebody waits for one of them. */
static bool awaited(struct commit_entry *const *entries, size_t n)
{
    int64_t now = tf_mono_us();
    bool any = false;

    pthread_mutex_lock(&committer.lock);
    for (size_t i = 0; i < n && !any; i++)
        any = entries[i]->deadline_us > now;
    pthread_mutex_unlock(&committer.lock);
    return any;
}

/* One attempt. */
static tf_code try_batch(struct worker *worker, struct commit_entry *const *entries, size_t n,
                         struct batch_answer **ret_answers)
{
    struct batch_answer *answers;
    int64_t sent_us;
    tf_time clock;
    tf_code code;

    tf_ctx_reset(&worker->ctx, ATTEMPT_US_MAX);
    code = connect_worker(worker);
    if (code) return code;

    answers = TF_NEW_ARRAY(worker->ctx.arena, struct batch_answer, n);
    if (!answers) return tf_fail(&worker->ctx, TF_INTERNAL, "no memory for a batch");
    TF_KILL_POINT(order_commit_before);
    sent_us = tf_mono_us();
    code = batch_commit(&worker->ctx, worker->conn, entries, n, answers, &clock);
    if (code) return code;
    TF_KILL_POINT(order_commit_after);

    sale_time_learn(clock, sent_us, tf_mono_us());
    tf_histogram_observe_us(&batch_seconds, tf_mono_us() - sent_us);
    tf_counter_add(&batches, 1);
    tf_gauge_set(&batch_size, (double)n);
    *ret_answers = answers;
    return TF_OK;
}

/* True when the same batch may be sent again: it was lost, or the database asks for it. */
static bool repeatable(tf_code code)
{
    return code == TF_UNKNOWN_OUTCOME || code == TF_STORE_DOWN || code == TF_ORDER_CHANGED || code == TF_DEADLINE ||
           code == TF_OVERLOADED;
}

/* Sorted entries, until each is answered. A fault in the data is narrowed down by halves, so that it fails its own
 * order alone. */
static void run_batch(struct worker *worker, struct commit_entry *const *entries, size_t n)
{
    struct batch_answer *answers = NULL;
    tf_code code;

    for (;;) {
        code = try_batch(worker, entries, n, &answers);
        if (!code) {
            atomic_store_explicit(&committer.up, true, memory_order_relaxed);
            answer_batch(worker, entries, n, answers);
            return;
        }
        if (!repeatable(code)) break;
        if (code == TF_STORE_DOWN || code == TF_UNKNOWN_OUTCOME)
            atomic_store_explicit(&committer.up, false, memory_order_relaxed);
        tf_counter_add_label(&resent, tf_code_info(code)->reason, 1);
        if (!awaited(entries, n)) {
            fail_batch(entries, n, TF_UNKNOWN_OUTCOME);
            return;
        }
        if (code != TF_ORDER_CHANGED) usleep(PAUSE_US);
    }
    if (n == 1) {
        char text[TF_LOG_INT];

        tf_log(TF_LOG_ERROR, "an order cannot be committed", "order_no", tf_log_int(text, entries[0]->order.order_no),
               "cause", worker->ctx.error.internal, NULL);
        fail_batch(entries, 1, TF_INTERNAL);
        return;
    }
    run_batch(worker, entries, n / 2);
    run_batch(worker, entries + n / 2, n - n / 2);
}

/* Takes what has queued, up to the caps; entries that nobody waits for any more are dropped unsent. Under the lock. */
static size_t take_batch(struct commit_entry **entries, size_t max)
{
    int64_t now = tf_mono_us();
    int tickets = 0;
    size_t n = 0;

    while (committer.first && n < max) {
        struct commit_entry *entry = committer.first;

        if (n > 0 && tickets + entry->order.n_tickets > BATCH_TICKETS_MAX) break;
        committer.first = entry->next;
        if (!committer.first) committer.last = &committer.first;
        committer.n_queued--;
        if (entry->deadline_us <= now) {
            finish_entry(entry, TF_UNKNOWN_OUTCOME, NULL);
            continue;
        }
        tickets += entry->order.n_tickets;
        entries[n++] = entry;
    }
    return n;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    size_t max = (size_t)order_config.commit_batch_max;
    struct commit_entry **entries = calloc(max, sizeof(struct commit_entry *));

    TF_ASSERT(entries);
    pthread_mutex_lock(&committer.lock);
    while (!committer.stopping || committer.first) {
        size_t n;

        if (!committer.first && tf_mono_us() - worker->looked_us < LOOK_US) {
            wait_until(&committer.work, worker->looked_us + LOOK_US);
            continue;
        }
        if (committer.first && order_config.commit_wait_us > 0) {
            pthread_mutex_unlock(&committer.lock);
            usleep((useconds_t)order_config.commit_wait_us);
            pthread_mutex_lock(&committer.lock);
        }
        n = take_batch(entries, max);
        pthread_mutex_unlock(&committer.lock);

        if (n) {
            batch_sort(entries, n);
            run_batch(worker, entries, n);
        }
        if (tf_mono_us() - worker->looked_us >= LOOK_US) {
            if (!n && ask_clock(worker)) tf_error_clear(&worker->ctx); /* away: admission says so */
            look_at_clock(worker);
        }
        pthread_mutex_lock(&committer.lock);
    }
    pthread_mutex_unlock(&committer.lock);
    free(entries);
    return NULL;
}

/* ---- life ---------------------------------------------------------------------------------------------------------
 */

static struct worker *worker_new(tf_app *app)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    tf_arena *arena = tf_arena_new(BATCH_ARENA_MAX);

    TF_ASSERT(worker && arena);
    tf_app_ctx(app, &worker->ctx, "committer", 0);
    tf_arena_free(worker->ctx.arena);
    worker->ctx.arena = arena;
    return worker;
}

static void worker_free(struct worker *worker)
{
    tf_pg_givep(&worker->conn);
    tf_ctx_done(&worker->ctx);
    free(worker);
}

static struct worker *worker_of_process;

tf_code commit_start(struct tf_app *app)
{
    pthread_condattr_t attributes;
    struct worker *worker;
    tf_code code;

    committer.app = app;
    committer.stopping = false;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&committer.work, &attributes);
    pthread_cond_init(&committer.done, &attributes);
    pthread_condattr_destroy(&attributes);

    worker = worker_new(app);
    code = ask_clock(worker); /* no decision without sale time */
    if (code) {
        tf_log(TF_LOG_ERROR, "PostgreSQL's clock cannot be read", "cause", worker->ctx.error.internal, NULL);
        worker_free(worker);
        return code;
    }
    look_at_clock(worker);
    worker_of_process = worker;
    if (pthread_create(&committer.thread, NULL, work, worker)) {
        worker_free(TF_TAKE(worker_of_process));
        return TF_OVERLOADED;
    }
    return TF_OK;
}

void commit_stop(void)
{
    if (!worker_of_process) return;

    pthread_mutex_lock(&committer.lock);
    committer.stopping = true;
    pthread_cond_broadcast(&committer.work);
    pthread_mutex_unlock(&committer.lock);
    pthread_join(committer.thread, NULL);
    worker_free(TF_TAKE(worker_of_process));
}
