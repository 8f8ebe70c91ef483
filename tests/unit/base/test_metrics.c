/* Metrics: values, bounded families, and the text that Prometheus reads. */
#include "tests/unit/base/unit.h"

#include "common/base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static tf_counter plain = TF_COUNTER("tf_test_plain_total", "Plain \\ with\na newline", NULL);
static tf_counter unused = TF_COUNTER("tf_test_unused_total", "Never updated", NULL);
static tf_counter family = TF_COUNTER("tf_test_family_total", "Family", "kind");
static tf_gauge level = TF_GAUGE("tf_test_level", "Level", NULL);
static tf_gauge levels = TF_GAUGE("tf_test_levels", "Levels", "part");
static tf_histogram seconds = TF_HISTOGRAM("tf_test_seconds", "Seconds", NULL);
static tf_histogram calls = TF_HISTOGRAM("tf_test_calls_seconds", "Calls", "method");
static tf_counter shared = TF_COUNTER("tf_test_shared_total", "From many threads", "kind");

static char *render(void)
{
    tf_buf buf;

    tf_buf_init(&buf, 1 << 20);
    tf_metrics_render(&buf);
    assert_false(buf.broken);
    return buf.data;
}

static void has_line(const char *text, const char *line)
{
    size_t n = strlen(line);

    for (const char *p = text; (p = strstr(p, line)); p++)
        if ((p == text || p[-1] == '\n') && p[n] == '\n') return;
    fail_msg("no line '%s' in:\n%s", line, text);
}

static void counters_and_gauges_are_rendered(void **state)
{
    char *text;

    (void)state;
    tf_counter_add(&plain, 2);
    tf_counter_add(&plain, 40);
    tf_counter_add_label(&family, "a\"b\\c\nd", 1);
    tf_counter_add_label(&family, NULL, 3);
    tf_gauge_set(&level, 1.5);
    tf_gauge_set(&level, -2.25);
    tf_gauge_set_label(&levels, "inf", INFINITY);
    tf_gauge_set_label(&levels, "nan", NAN);
    assert_int_equal(tf_counter_value(&plain, NULL), 42);
    assert_int_equal(tf_counter_value(&family, ""), 3);
    assert_int_equal(tf_counter_value(&family, "absent"), 0);
    assert_int_equal(tf_counter_value(&unused, NULL), 0);

    text = render();
    has_line(text, "# HELP tf_test_plain_total Plain \\\\ with\\na newline");
    has_line(text, "# TYPE tf_test_plain_total counter");
    has_line(text, "tf_test_plain_total 42");
    has_line(text, "tf_test_family_total{kind=\"a\\\"b\\\\c\\nd\"} 1");
    has_line(text, "tf_test_family_total{kind=\"\"} 3");
    has_line(text, "# TYPE tf_test_level gauge");
    has_line(text, "tf_test_level -2.25");
    has_line(text, "tf_test_levels{part=\"inf\"} +Inf");
    has_line(text, "tf_test_levels{part=\"nan\"} NaN");
    assert_null(strstr(text, "unused"));
    free(text);
}

static void histograms_are_cumulative(void **state)
{
    char *text;

    (void)state;
    tf_histogram_observe_us(&seconds, -5);  /* a clock that went back: 0 */
    tf_histogram_observe_us(&seconds, 100); /* a bound belongs to its bucket */
    tf_histogram_observe_us(&seconds, 101);
    tf_histogram_observe_us(&seconds, 10000000);
    tf_histogram_observe_us(&seconds, 10000001);
    tf_histogram_observe_us_label(&calls, "Order.Create", 700);

    text = render();
    has_line(text, "# TYPE tf_test_seconds histogram");
    has_line(text, "tf_test_seconds_bucket{le=\"0.0001\"} 2");
    has_line(text, "tf_test_seconds_bucket{le=\"0.00025\"} 3");
    has_line(text, "tf_test_seconds_bucket{le=\"5\"} 3");
    has_line(text, "tf_test_seconds_bucket{le=\"10\"} 4");
    has_line(text, "tf_test_seconds_bucket{le=\"+Inf\"} 5");
    has_line(text, "tf_test_seconds_sum 20.000202");
    has_line(text, "tf_test_seconds_count 5");
    has_line(text, "tf_test_calls_seconds_bucket{method=\"Order.Create\",le=\"0.0005\"} 0");
    has_line(text, "tf_test_calls_seconds_bucket{method=\"Order.Create\",le=\"0.001\"} 1");
    has_line(text, "tf_test_calls_seconds_sum{method=\"Order.Create\"} 0.000700");
    has_line(text, "tf_test_calls_seconds_count{method=\"Order.Create\"} 1");
    free(text);
}

static void the_process_is_described(void **state)
{
    static const char *const names[] = {"process_cpu_seconds_total", "process_resident_memory_bytes",
                                        "process_start_time_seconds", "process_open_fds"};
    char *text = render();

    (void)state;
    for (size_t i = 0; i < TF_COUNT(names); i++) {
        char start[64];
        char *p;

        snprintf(start, sizeof(start), "\n%s ", names[i]);
        p = strstr(text, start);
        CHECK(names[i], p && strtod(p + strlen(start), NULL) > 0);
    }
    free(text);
}

static void families_are_bounded(void **state)
{
    static tf_counter many = TF_COUNTER("tf_test_many_total", "Many", "n");
    int children = 0;
    char *text;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char value[16];

        snprintf(value, sizeof(value), "v%d", i); /* the registry keeps its own copy */
        tf_counter_add_label(&many, value, 1);
    }
    assert_int_equal(tf_counter_value(&many, "v127"), 1);
    assert_int_equal(tf_counter_value(&many, "v128"), 0);
    assert_int_equal(tf_counter_value(&many, "other"), 1000 - TF_METRIC_CHILDREN_MAX);
    text = render();
    for (const char *p = text; (p = strstr(p, "\ntf_test_many_total{")); p++)
        children++;
    assert_int_equal(children, TF_METRIC_CHILDREN_MAX + 1);
    free(text);
}

static void *add_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100000; i++)
        tf_counter_add_label(&shared, i % 2 ? "odd" : "even", 1);
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < TF_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (size_t i = 0; i < TF_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(tf_counter_value(&shared, "odd"), 200000);
    assert_int_equal(tf_counter_value(&shared, "even"), 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_are_rendered),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(the_process_is_described),
        cmocka_unit_test(families_are_bounded),
        cmocka_unit_test(threads_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
