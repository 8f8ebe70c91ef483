/* Calls that wait for a worker: a bounded ring, first come first served, and the workers with their memory. */
#include "common/rpc/server_internal.h"

#include "common/base/metrics.h"

#include <stdio.h>

static tf_gauge queue_depth = TF_GAUGE("tf_rpc_server_queue_depth", "Calls that wait for a worker", NULL);

struct worker {
    struct server_queue *queue;
    pthread_t thread;
    tf_arena *arena, *spare;
    int index;
    bool started;
};

struct server_queue {
    tf_rpc_server *server;
    pthread_mutex_t lock; /* protects everything below but the workers */
    pthread_cond_t cond;
    struct server_call **ring;
    size_t capacity, head, count;
    size_t idle; /* workers that wait; each may take a call beyond queue_max at once */
    bool ending;
    struct worker *workers;
    int n_workers;
};

struct server_queue *server_queue_new(tf_rpc_server *server)
{
    const struct tf_rpc_server_config *config = &server->config;
    struct server_queue *queue = calloc(1, sizeof(*queue));

    if (!queue) return NULL;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->cond, NULL);
    queue->server = server;
    queue->n_workers = config->workers;
    queue->capacity = (size_t)config->queue_max + (size_t)config->workers;
    queue->ring = calloc(queue->capacity, sizeof(struct server_call *));
    queue->workers = calloc((size_t)config->workers, sizeof(*queue->workers));
    for (int i = 0; queue->workers && i < config->workers; i++) {
        queue->workers[i].queue = queue;
        queue->workers[i].index = i;
        queue->workers[i].arena = tf_arena_new(config->arena_max);
        queue->workers[i].spare = tf_arena_new(SPARE_BYTES);
        if (!queue->workers[i].arena || !queue->workers[i].spare) queue->n_workers = 0;
    }
    if (!queue->ring || !queue->workers || !queue->n_workers) {
        server_queue_free(queue);
        return NULL;
    }
    return queue;
}

/* NULL: the queue ends. */
static struct server_call *pop(struct server_queue *queue)
{
    struct server_call *call = NULL;

    pthread_mutex_lock(&queue->lock);
    queue->idle++;
    while (!queue->count && !queue->ending)
        pthread_cond_wait(&queue->cond, &queue->lock);
    queue->idle--;
    if (queue->count) {
        call = queue->ring[queue->head];
        queue->head = (queue->head + 1) % queue->capacity;
        queue->count--;
        tf_gauge_set(&queue_depth, (double)queue->count);
    }
    pthread_mutex_unlock(&queue->lock);
    return call;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    const struct tf_rpc_server_config *config = &worker->queue->server->config;
    struct server_call *call;

    if (config->worker_start) config->worker_start(config->app, worker->index);
    while ((call = pop(worker->queue)))
        server_call_run(call, worker->arena, worker->spare);
    return NULL;
}

bool server_queue_start(struct server_queue *queue)
{
    char name[16]; /* the kernel's limit */

    for (int i = 0; i < queue->n_workers; i++) {
        struct worker *worker = &queue->workers[i];

        if (pthread_create(&worker->thread, NULL, work, worker)) return false;
        worker->started = true;
        snprintf(name, sizeof(name), "rpc-worker-%d", i % 1000);
        pthread_setname_np(worker->thread, name);
    }
    return true;
}

bool server_queue_would_wait(struct server_queue *queue)
{
    bool wait;

    pthread_mutex_lock(&queue->lock);
    wait = queue->count >= queue->idle && queue->count < (size_t)queue->server->config.queue_max + queue->idle;
    pthread_mutex_unlock(&queue->lock);
    return wait;
}

bool server_queue_push(struct server_queue *queue, struct server_call *call)
{
    bool accepted;

    pthread_mutex_lock(&queue->lock);
    accepted = queue->count < (size_t)queue->server->config.queue_max + queue->idle;
    if (accepted) {
        queue->ring[(queue->head + queue->count) % queue->capacity] = call;
        queue->count++;
        tf_gauge_set(&queue_depth, (double)queue->count);
        pthread_cond_signal(&queue->cond);
    }
    pthread_mutex_unlock(&queue->lock);
    return accepted;
}

void server_queue_free(struct server_queue *queue)
{
    if (!queue) return;
    pthread_mutex_lock(&queue->lock);
    queue->ending = true;
    pthread_cond_broadcast(&queue->cond);
    pthread_mutex_unlock(&queue->lock);
    for (int i = 0; queue->workers && i < queue->server->config.workers; i++) {
        if (queue->workers[i].started) pthread_join(queue->workers[i].thread, NULL);
        tf_arena_free(queue->workers[i].arena);
        tf_arena_free(queue->workers[i].spare);
    }
    pthread_cond_destroy(&queue->cond);
    pthread_mutex_destroy(&queue->lock);
    free(queue->workers);
    free(queue->ring);
    free(queue);
}
