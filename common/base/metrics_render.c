/* Prometheus text format 0.0.4 of all registered metrics and of the process itself. */
#include "common/base/metrics_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Help texts escape backslash and newline, label values the quote too. */
static void put_escaped(tf_buf *out, const char *s, bool quote)
{
    for (; *s; s++) {
        if (*s == '\\')
            tf_buf_puts(out, "\\\\");
        else if (*s == '\n')
            tf_buf_puts(out, "\\n");
        else if (*s == '"' && quote)
            tf_buf_puts(out, "\\\"");
        else
            tf_buf_putc(out, *s);
    }
}

static void put_head(tf_buf *out, const char *name, const char *help, const char *type)
{
    tf_buf_printf(out, "# HELP %s ", name);
    put_escaped(out, help, false);
    tf_buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

/* name_suffix{label="value",le="bound"} and a blank; le may be NULL. */
static void put_series(tf_buf *out, const tf_metric *m, const struct tf_metric_child *child, const char *suffix,
                       const char *le)
{
    tf_buf_printf(out, "%s%s", m->name, suffix);
    if (m->label) {
        tf_buf_printf(out, "{%s=\"", m->label);
        put_escaped(out, child->value, true);
        tf_buf_putc(out, '"');
    }
    if (le) tf_buf_printf(out, "%sle=\"%s\"", m->label ? "," : "{", le);
    if (m->label || le) tf_buf_putc(out, '}');
    tf_buf_putc(out, ' ');
}

static void put_double(tf_buf *out, double value)
{
    if (isnan(value))
        tf_buf_puts(out, "NaN\n");
    else if (isinf(value))
        tf_buf_puts(out, value > 0 ? "+Inf\n" : "-Inf\n");
    else
        tf_buf_printf(out, "%.17g\n", value);
}

static void put_histogram(tf_buf *out, const tf_metric *m, const struct tf_metric_child *child)
{
    uint64_t sum_us = atomic_load(&child->sum_us);
    uint64_t total = 0; /* _count is the sum of what was read, so that it always equals the last bucket */

    for (int i = 0; i <= TF_HISTOGRAM_BUCKETS; i++) {
        total += atomic_load(&child->buckets[i]);
        put_series(out, m, child, "_bucket", i < TF_HISTOGRAM_BUCKETS ? tf_histogram_bounds_text[i] : "+Inf");
        tf_buf_printf(out, "%" PRIu64 "\n", total);
    }
    put_series(out, m, child, "_sum", NULL);
    tf_buf_printf(out, "%" PRIu64 ".%06" PRIu64 "\n", sum_us / 1000000, sum_us % 1000000);
    put_series(out, m, child, "_count", NULL);
    tf_buf_printf(out, "%" PRIu64 "\n", total);
}

static void put_metric(tf_buf *out, tf_metric *m)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};

    put_head(out, m->name, m->help, types[m->kind]);
    for (const struct tf_metric_child *child = atomic_load(&m->children); child; child = child->next) {
        if (m->kind == TF_METRIC_HISTOGRAM) {
            put_histogram(out, m, child);
            continue;
        }
        put_series(out, m, child, "", NULL);
        if (m->kind == TF_METRIC_COUNTER)
            tf_buf_printf(out, "%" PRIu64 "\n", atomic_load(&child->count));
        else
            put_double(out, atomic_load(&child->gauge));
    }
}

/* A small file of /proc as a NUL-terminated text; empty when it cannot be read. */
static void read_small(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t n;

    while (fd >= 0 && used + 1 < size && (n = read(fd, out + used, size - 1 - used)) > 0)
        used += (size_t)n;
    out[used] = '\0';
    if (fd >= 0) close(fd);
}

static double cpu_seconds(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage)) return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void)
{
    char text[128];
    long long size, resident = 0;

    read_small("/proc/self/statm", text, sizeof(text));
    if (sscanf(text, "%lld %lld", &size, &resident) != 2) return 0;
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Seconds since the Unix epoch: now, less the time since boot, plus the start in clock ticks after boot (22nd field of
 * stat). Found once, so that the value does not move with corrections of the clock. */
static double process_started;

static void find_start(void)
{
    char text[1024], *field;
    unsigned long long ticks = 0;
    struct timespec now, up;

    read_small("/proc/self/stat", text, sizeof(text));
    field = strrchr(text, ')'); /* the second field, the program's name, may hold blanks */
    for (int i = 2; field && i < 22; i++)
        field = strchr(field + 1, ' ');
    if (!field || sscanf(field, " %llu", &ticks) != 1) return;
    if (clock_gettime(CLOCK_REALTIME, &now) || clock_gettime(CLOCK_BOOTTIME, &up)) return;
    process_started = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9 +
                      (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double start_seconds(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_start);
    return process_started;
}

static double open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    if (!dir) return 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

static void put_process(tf_buf *out)
{
    put_head(out, "process_cpu_seconds_total", "User and system CPU time spent, in seconds.", "counter");
    tf_buf_printf(out, "process_cpu_seconds_total %.6f\n", cpu_seconds());
    put_head(out, "process_resident_memory_bytes", "Resident memory.", "gauge");
    tf_buf_printf(out, "process_resident_memory_bytes %.0f\n", resident_bytes());
    put_head(out, "process_start_time_seconds", "Start of the process, seconds since the Unix epoch.", "gauge");
    tf_buf_printf(out, "process_start_time_seconds %.2f\n", start_seconds());
    put_head(out, "process_open_fds", "Open file descriptors.", "gauge");
    tf_buf_printf(out, "process_open_fds %.0f\n", open_files());
}

void tf_metrics_render(tf_buf *out)
{
    tf_metric *metrics[TF_METRICS_MAX];
    size_t n = tf_metrics_registered(metrics);

    for (size_t i = 0; i < n; i++)
        put_metric(out, metrics[i]);
    put_process(out);
}
