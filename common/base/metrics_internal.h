/* What metrics.c keeps and metrics_render.c reads; for this room only. */
#pragma once

#include "common/base/metrics.h"

/* One time series. Never freed: readers walk the lists without a lock. */
struct tf_metric_child {
    struct tf_metric_child *next;
    const char *value;      /* of the label; NULL: the metric has no label */
    _Atomic uint64_t count; /* counter */
    _Atomic double gauge;
    _Atomic uint64_t buckets[TF_HISTOGRAM_BUCKETS + 1]; /* each its own observations, the last those above all bounds */
    _Atomic uint64_t sum_us;
};

/* Upper bounds of the histogram buckets in microseconds, and as Prometheus shows them. */
extern const int64_t tf_histogram_bounds_us[TF_HISTOGRAM_BUCKETS];
extern const char *const tf_histogram_bounds_text[TF_HISTOGRAM_BUCKETS];

enum { TF_METRICS_MAX = 512 };
/* The metrics that have registered, in order of registration; returns how many. */
size_t tf_metrics_registered(tf_metric *ret_metrics[static TF_METRICS_MAX]);
