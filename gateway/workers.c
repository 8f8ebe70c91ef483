/* A bounded queue and the threads that empty it. */
#include "gateway/workers.h"

#include "common/base/macros.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct gateway_workers {
    pthread_mutex_t lock; /* protects first, last, n, stopping */
    pthread_cond_t filled;
    struct gateway_job *first, *last;
    size_t n, queue_max;
    bool stopping;
    int n_threads;
    pthread_t threads[];
};

/* The next job, waited for; NULL: there will be none. */
static struct gateway_job *take(gateway_workers *workers)
{
    struct gateway_job *job;

    pthread_mutex_lock(&workers->lock);
    while (!workers->first && !workers->stopping)
        pthread_cond_wait(&workers->filled, &workers->lock);
    job = workers->first;
    if (job) {
        workers->first = job->next;
        workers->n--;
    }
    pthread_mutex_unlock(&workers->lock);
    return job;
}

static void *work(void *arg)
{
    struct gateway_job *job;

    pthread_setname_np(pthread_self(), "gw-answers");
    while ((job = take(arg)))
        job->run(job);
    return NULL;
}

gateway_workers *gateway_workers_start(int threads, size_t queue_max)
{
    gateway_workers *workers = calloc(1, sizeof *workers + (size_t)threads * sizeof workers->threads[0]);
    sigset_t all, before;

    TF_ASSERT(workers && threads > 0);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->filled, NULL);
    workers->queue_max = queue_max;
    sigfillset(&all); /* signals are the process's business, not ours */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (workers->n_threads < threads &&
           pthread_create(&workers->threads[workers->n_threads], NULL, work, workers) == 0)
        workers->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (workers->n_threads) return workers; /* fewer than wanted do the work too */
    gateway_workers_stop(workers);
    return NULL;
}

bool gateway_workers_push(gateway_workers *workers, struct gateway_job *job)
{
    bool taken;

    job->next = NULL;
    pthread_mutex_lock(&workers->lock);
    taken = !workers->stopping && workers->n < workers->queue_max;
    if (taken) {
        if (workers->first)
            workers->last->next = job;
        else
            workers->first = job;
        workers->last = job;
        workers->n++;
        pthread_cond_signal(&workers->filled);
    }
    pthread_mutex_unlock(&workers->lock);
    return taken;
}

void gateway_workers_stop(gateway_workers *workers)
{
    if (!workers) return;
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->filled);
    pthread_mutex_unlock(&workers->lock);
    for (int i = 0; i < workers->n_threads; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->filled);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
