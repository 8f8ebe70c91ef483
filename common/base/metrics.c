/* The metrics registry: updates are atomic additions on a child found by a walk over a short list; only a first use
 * takes the lock. */
#include "common/base/metrics_internal.h"

#include <pthread.h>
#include <string.h>

const int64_t tf_histogram_bounds_us[TF_HISTOGRAM_BUCKETS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};
const char *const tf_histogram_bounds_text[TF_HISTOGRAM_BUCKETS] = {
    "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
    "0.05",   "0.1",     "0.25",   "0.5",   "1",      "2.5",   "5",    "10"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects metrics, n_metrics and additions to children */
static tf_metric *metrics[TF_METRICS_MAX];
static size_t n_metrics;

size_t tf_metrics_registered(tf_metric *ret_metrics[static TF_METRICS_MAX])
{
    size_t n;

    pthread_mutex_lock(&lock);
    n = n_metrics;
    memcpy(ret_metrics, metrics, n * sizeof(metrics[0]));
    pthread_mutex_unlock(&lock);
    return n;
}

static bool same_value(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* ret_n: how many children were passed. */
static struct tf_metric_child *list_find(struct tf_metric_child *child, const char *value, size_t *ret_n)
{
    size_t n = 0;

    for (; child; child = child->next, n++)
        if (same_value(child->value, value)) break;
    *ret_n = n;
    return child;
}

/* The lock is held. NULL: no memory, and this update is lost. */
static struct tf_metric_child *child_add(tf_metric *m, const char *value)
{
    static const char other[] = "other";
    struct tf_metric_child *head = atomic_load_explicit(&m->children, memory_order_relaxed);
    struct tf_metric_child *child;
    size_t n;

    child = list_find(head, value, &n); /* another thread may have been first */
    if (!child && n >= TF_METRIC_CHILDREN_MAX) child = list_find(head, value = other, &n);
    if (child) return child;

    child = calloc(1, sizeof(*child));
    if (!child) return NULL;
    child->value = value ? strdup(value) : NULL;
    if (value && !child->value) {
        free(child);
        return NULL;
    }
    child->next = head;
    atomic_store_explicit(&m->children, child, memory_order_release);
    if (!m->registered) {
        TF_ASSERT(n_metrics < TF_METRICS_MAX); /* they are declared in the source: a limit that we set ourselves */
        metrics[n_metrics++] = m;
        m->registered = 1;
    }
    return child;
}

/* A metric without label ignores the value; a family takes a missing one as "". */
static struct tf_metric_child *child_of(tf_metric *m, const char *value)
{
    struct tf_metric_child *child;
    size_t n;

    value = m->label ? (value ? value : "") : NULL;
    child = list_find(atomic_load_explicit(&m->children, memory_order_acquire), value, &n);
    if (child) return child;

    pthread_mutex_lock(&lock);
    child = child_add(m, value);
    pthread_mutex_unlock(&lock);
    return child;
}

void tf_counter_add(tf_counter *counter, uint64_t n)
{
    tf_counter_add_label(counter, NULL, n);
}

void tf_counter_add_label(tf_counter *counter, const char *value, uint64_t n)
{
    struct tf_metric_child *child = child_of(&counter->m, value);

    if (child) atomic_fetch_add_explicit(&child->count, n, memory_order_relaxed);
}

void tf_gauge_set(tf_gauge *gauge, double value)
{
    tf_gauge_set_label(gauge, NULL, value);
}

void tf_gauge_set_label(tf_gauge *gauge, const char *label_value, double value)
{
    struct tf_metric_child *child = child_of(&gauge->m, label_value);

    if (child) atomic_store_explicit(&child->gauge, value, memory_order_relaxed);
}

void tf_histogram_observe_us(tf_histogram *histogram, int64_t us)
{
    tf_histogram_observe_us_label(histogram, NULL, us);
}

void tf_histogram_observe_us_label(tf_histogram *histogram, const char *label_value, int64_t us)
{
    struct tf_metric_child *child = child_of(&histogram->m, label_value);
    size_t bucket = 0;

    if (!child) return;
    if (us < 0) us = 0;
    while (bucket < TF_HISTOGRAM_BUCKETS && us > tf_histogram_bounds_us[bucket])
        bucket++;
    atomic_fetch_add_explicit(&child->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&child->sum_us, (uint64_t)us, memory_order_relaxed);
}

uint64_t tf_counter_value(tf_counter *counter, const char *label_value)
{
    const char *value = counter->m.label ? (label_value ? label_value : "") : NULL;
    struct tf_metric_child *child;
    size_t n;

    child = list_find(atomic_load_explicit(&counter->m.children, memory_order_acquire), value, &n);
    return child ? atomic_load_explicit(&child->count, memory_order_relaxed) : 0;
}
