/* The access log and the gateway's metrics. */
#include "gateway/access_log.h"

#include "common/base/log.h"
#include "common/base/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static tf_counter served = TF_COUNTER("tf_gateway_served_total", "Requests answered below 400, by route", "route");
static tf_counter refused = TF_COUNTER("tf_gateway_refused_total", "Requests answered 4xx, by route", "route");
static tf_counter failed = TF_COUNTER("tf_gateway_failed_total", "Requests answered 5xx, by route", "route");
static tf_counter statuses = TF_COUNTER("tf_gateway_answers_total", "Answers, by HTTP status", "status");
static tf_counter reasons = TF_COUNTER("tf_gateway_reasons_total", "Answers, by reason", "reason");
static tf_histogram seconds =
    TF_HISTOGRAM("tf_gateway_seconds", "From the parsed request to its answer, by route", "route");
static tf_gauge in_flight =
    TF_GAUGE("tf_gateway_in_flight", "Requests being worked on, as the last answer saw it", NULL);

/* Methods of HTTP; the rest is a client's invention and stays out of the log. */
static const char *known_method(const char *method)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

    for (size_t i = 0; i < TF_COUNT(known); i++)
        if (strcmp(known[i], method) == 0) return known[i];
    return "OTHER";
}

static void count(const char *route, int status, const char *reason, int64_t us)
{
    char text[TF_LOG_INT];

    tf_counter_add_label(status >= 500 ? &failed : status >= 400 ? &refused : &served, route, 1);
    tf_counter_add_label(&statuses, tf_log_int(text, status), 1);
    tf_counter_add_label(&reasons, reason, 1);
    tf_histogram_observe_us_label(&seconds, route, us);
}

void access_log(const struct exchange *x, int status, const char *reason, size_t bytes)
{
    const char *route = x->match.route ? x->match.route->name : "none";
    int64_t us = tf_mono_us() - x->began_us;
    char status_text[TF_LOG_INT], bytes_text[TF_LOG_INT], user_text[TF_LOG_INT], ms_text[32];

    count(route, status, reason, us);
    tf_gauge_set(&in_flight, atomic_load_explicit(&x->gateway->in_flight, memory_order_relaxed));
    if (status >= 500 && x->ctx.error.internal)
        tf_log(status == 500 ? TF_LOG_ERROR : TF_LOG_WARN, "request failed", "route", route, "reason", reason, "cause",
               x->ctx.error.internal, "request_id", x->request_id, NULL);
    if (tf_log_threshold() > TF_LOG_INFO) return;
    snprintf(ms_text, sizeof ms_text, "%" PRId64 ".%03d", us / TF_US_PER_MS, (int)(us % TF_US_PER_MS));
    tf_log(TF_LOG_INFO, "request", "method", known_method(tf_http_method(x->http)), "route",
           x->match.route ? x->match.route->path : "none", "status", tf_log_int(status_text, status), "reason", reason,
           "ms", ms_text, "bytes", tf_log_int(bytes_text, (int64_t)bytes), "request_id", x->request_id, "user_id",
           tf_log_int(user_text, x->ctx.identity.user_id), "peer", tf_http_peer(x->http), NULL);
}
