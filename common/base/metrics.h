/* Metrics registry and its Prometheus text form. Metrics are declared once, statically, and updated with atomics.
 *
 *   static tf_counter orders_committed = TF_COUNTER("tf_orders_committed_total", "Orders committed", NULL);
 *   tf_counter_add(&orders_committed, 1);
 *
 * A metric registers itself at its first update. Names and labels are literals. Labelled families keep one child per
 * value from a bounded set (TF_METRIC_CHILDREN_MAX; the rest goes to "other"). All functions are thread-safe. */
#pragma once

#include "common/base/buf.h"

#include <stdatomic.h>
#include <stdint.h>

enum { TF_METRIC_CHILDREN_MAX = 128, TF_HISTOGRAM_BUCKETS = 16 };

typedef struct tf_metric {
    const char *name, *help, *label; /* label: name of the one label, or NULL */
    int kind;
    _Atomic int registered;
    _Atomic(struct tf_metric_child *) children; /* list */
} tf_metric;

enum { TF_METRIC_COUNTER, TF_METRIC_GAUGE, TF_METRIC_HISTOGRAM };

/* clang-format off */
typedef struct { tf_metric m; } tf_counter;
typedef struct { tf_metric m; } tf_gauge;
typedef struct { tf_metric m; } tf_histogram; /* of seconds: 0.1 ms … 10 s, fixed buckets */

#define TF_COUNTER(name, help, label)   {{(name), (help), (label), TF_METRIC_COUNTER, 0, NULL}}
#define TF_GAUGE(name, help, label)     {{(name), (help), (label), TF_METRIC_GAUGE, 0, NULL}}
#define TF_HISTOGRAM(name, help, label) {{(name), (help), (label), TF_METRIC_HISTOGRAM, 0, NULL}}
/* clang-format on */

void tf_counter_add(tf_counter *counter, uint64_t n);
void tf_counter_add_label(tf_counter *counter, const char *value, uint64_t n);
void tf_gauge_set(tf_gauge *gauge, double value);
void tf_gauge_set_label(tf_gauge *gauge, const char *label_value, double value);
void tf_histogram_observe_us(tf_histogram *histogram, int64_t us);
void tf_histogram_observe_us_label(tf_histogram *histogram, const char *label_value, int64_t us);

/* Value of an unlabelled counter or of a child (tests). */
uint64_t tf_counter_value(tf_counter *counter, const char *label_value);

/* Appends all metrics (and process CPU seconds, resident bytes, start time, open files) in text format 0.0.4. */
void tf_metrics_render(tf_buf *out);
