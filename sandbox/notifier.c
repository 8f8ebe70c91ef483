/* A heap of what is to be sent when, worked off by one thread with a client of its own. */
#include "sandbox/notifier.h"

#include "common/crypto/crypto.h"
#include "common/http/client.h"
#include "common/json/json.h"
#include "sandbox/config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    QUEUE_MAX = 100000,
    BODY_MAX = 4096,
    ANSWER_MAX = 65536,
    CALL_TIMEOUT_US = 5 * TF_US_PER_S,
    RETRY_MAX_MS = 60000
};

enum job_kind { JOB_NOTIFY, JOB_FORGED, JOB_WRONG_AMOUNT, JOB_SETTLE };

struct job {
    int64_t due_ms;
    enum job_kind kind;
    struct charge charge;
    int64_t event_ms; /* time stated in the notification */
    int attempts;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    struct job **heap; /* by due_ms */
    size_t n, capacity;
    bool stopping;
    struct sandbox_key key;
    tf_http_client *client;
} notifier = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static int64_t now_ms(void)
{
    return tf_now_us() / TF_US_PER_MS;
}

static void swap(size_t a, size_t b)
{
    struct job *t = notifier.heap[a];

    notifier.heap[a] = notifier.heap[b];
    notifier.heap[b] = t;
}

static bool push(struct job *job)
{
    size_t i = notifier.n;

    if (notifier.n == QUEUE_MAX) return false;
    if (notifier.n == notifier.capacity) {
        size_t more = notifier.capacity ? notifier.capacity * 2 : 64;
        struct job **heap = realloc(notifier.heap, more * sizeof *heap);

        if (!heap) return false;
        notifier.heap = heap;
        notifier.capacity = more;
    }
    notifier.heap[notifier.n++] = job;
    for (; i > 0 && notifier.heap[(i - 1) / 2]->due_ms > notifier.heap[i]->due_ms; i = (i - 1) / 2)
        swap(i, (i - 1) / 2);
    return true;
}

static struct job *pop(void)
{
    struct job *top = notifier.heap[0];
    size_t i = 0;

    notifier.heap[0] = notifier.heap[--notifier.n];
    for (;;) {
        size_t least = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < notifier.n; child++)
            if (notifier.heap[child]->due_ms < notifier.heap[least]->due_ms) least = child;
        if (least == i) return top;
        swap(i, least);
        i = least;
    }
}

static void add(enum job_kind kind, const struct charge *charge, int64_t due_ms, int64_t event_ms)
{
    struct job *job = calloc(1, sizeof *job);

    if (!job) return;
    *job = (struct job){.due_ms = due_ms, .kind = kind, .charge = *charge, .event_ms = event_ms};
    pthread_mutex_lock(&notifier.lock);
    if (!push(job)) free(job);
    pthread_cond_signal(&notifier.wake);
    pthread_mutex_unlock(&notifier.lock);
}

void notifier_paid(const struct charge *charge, const struct fault *fault)
{
    int64_t now = now_ms(), at = TF_MAX(now + fault->delay_ms, fault->notify_at_ms);

    if (fault->settle_at_ms) {
        add(JOB_SETTLE, charge, fault->settle_at_ms, 0);
        return;
    }
    if (fault->lose) return;
    if (fault->forge) add(JOB_FORGED, charge, at, charge->paid_ms);
    if (fault->wrong_amount) add(JOB_WRONG_AMOUNT, charge, at, charge->paid_ms);
    add(JOB_NOTIFY, charge, at + (fault->forge || fault->wrong_amount ? 200 : 0), charge->paid_ms);
    for (int i = 0; i < fault->copies; i++)
        add(JOB_NOTIFY, charge, at + (fault->reorder ? 50 * (i + 1) : 0),
            charge->paid_ms - (fault->reorder ? 1000 : 0));
}

static void body_of(const struct job *job, tf_buf *out)
{
    tf_json_writer w = {.out = out};

    tf_json_begin_object(&w);
    tf_json_key(&w, "type");
    tf_json_put_string(&w, "charge.succeeded");
    tf_json_key(&w, "charge_id");
    tf_json_put_string(&w, job->charge.id);
    tf_json_key(&w, "provider_no");
    tf_json_put_int_string(&w, job->charge.provider_no);
    tf_json_key(&w, "amount_minor");
    tf_json_put_int(&w, charge_money(&job->charge) + (job->kind == JOB_WRONG_AMOUNT ? 1 : 0));
    tf_json_key(&w, "currency");
    tf_json_put_string(&w, job->charge.currency);
    tf_json_key(&w, "paid_ms");
    tf_json_put_int(&w, job->event_ms);
    tf_json_end_object(&w);
}

/* True when the merchant acknowledged. */
static bool send_one(tf_ctx *ctx, const struct job *job)
{
    struct sandbox_key forged = {.size = 32};
    struct tf_http_header headers[] = {{"Content-Type", "application/json"}, {"Sandbox-Signature", NULL}};
    struct tf_http_call call = {.method = "POST",
                                .url = job->charge.notify_url,
                                .headers = headers,
                                .n_headers = TF_COUNT(headers),
                                .answer_max = ANSWER_MAX,
                                .idempotent = true};
    struct tf_http_answer answer;
    tf_buf body;
    bool ok;

    tf_buf_init(&body, BODY_MAX);
    body_of(job, &body);
    headers[1].value = sandbox_sign(ctx->arena, job->kind == JOB_FORGED ? &forged : &notifier.key, now_ms() / 1000,
                                    NULL, body.data, body.size);
    call.body = body.data;
    call.size = body.size;
    ok = headers[1].value && tf_http_perform(ctx, notifier.client, &call, &answer) == TF_OK && answer.status == 200;
    tf_buf_done(&body);
    return ok;
}

/* True when it is done, or never will be: books that cannot be written are tried again. */
static bool settle(struct job *job)
{
    struct charge charge;
    struct fault plain = {0};
    enum books_result result = books_settle(job->charge.id, now_ms(), &charge);

    if (result == BOOKS_OK) notifier_paid(&charge, &plain);
    return result != BOOKS_DISK;
}

static bool give_up(struct job *job)
{
    job->attempts++;
    return job->kind != JOB_SETTLE && (job->kind != JOB_NOTIFY || job->attempts >= sandbox_config.notify_attempts_max);
}

/* Does the job and frees it, or puts it back for another attempt. */
static void work(tf_ctx *ctx, struct job *job)
{
    if (!(job->kind == JOB_SETTLE ? settle(job) : send_one(ctx, job)) && !give_up(job)) {
        int64_t pause = sandbox_config.notify_retry_ms << TF_MIN(job->attempts - 1, 10);

        job->due_ms = now_ms() + TF_MIN(pause, (int64_t)RETRY_MAX_MS);
        pthread_mutex_lock(&notifier.lock);
        if (!push(job)) free(job);
        pthread_mutex_unlock(&notifier.lock);
        return;
    }
    free(job);
}

/* The next job that is due, waiting for it; NULL at the stop. */
static struct job *next(void)
{
    struct job *job = NULL;

    pthread_mutex_lock(&notifier.lock);
    while (!notifier.stopping && !job) {
        struct timespec until;
        int64_t at = notifier.n ? notifier.heap[0]->due_ms : INT64_MAX;

        if (at <= now_ms()) {
            job = pop();
        } else if (at == INT64_MAX) {
            pthread_cond_wait(&notifier.wake, &notifier.lock);
        } else {
            until = (struct timespec){.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
            pthread_cond_timedwait(&notifier.wake, &notifier.lock, &until);
        }
    }
    pthread_mutex_unlock(&notifier.lock);
    return job;
}

static void *notifier_main(void *arg)
{
    struct job *job;
    tf_ctx ctx;

    (void)arg;
    tf_ctx_init(&ctx, "notifier", CALL_TIMEOUT_US);
    while ((job = next())) {
        tf_ctx_reset(&ctx, CALL_TIMEOUT_US);
        work(&ctx, job);
    }
    tf_ctx_done(&ctx);
    return NULL;
}

bool notifier_start(const struct sandbox_key *key)
{
    struct charge charge;

    notifier.key = *key;
    notifier.client = tf_http_client_new();
    if (!notifier.client) return false;
    while (books_next_in_flight(&charge) && books_settle(charge.id, now_ms(), &charge) == BOOKS_OK)
        add(JOB_NOTIFY, &charge, now_ms(), charge.paid_ms);
    return pthread_create(&notifier.thread, NULL, notifier_main, NULL) == 0;
}

void notifier_stop(void)
{
    pthread_mutex_lock(&notifier.lock);
    notifier.stopping = true;
    pthread_cond_signal(&notifier.wake);
    pthread_mutex_unlock(&notifier.lock);
    pthread_join(notifier.thread, NULL);
    for (size_t i = 0; i < notifier.n; i++)
        free(notifier.heap[i]);
    free(notifier.heap);
    tf_http_client_free(notifier.client);
    tf_wipe(&notifier.key, sizeof notifier.key);
}
