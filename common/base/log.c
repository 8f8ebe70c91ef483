/* The log: callers format a line on their own stack and put a copy into a ring; one thread takes what is there and
 * writes it. The lock is held for a pointer's time only, so a stuck standard error costs lines, never requests. */
#include "common/base/log.h"

#include "common/base/clock.h"
#include "common/base/log_line.h"
#include "common/base/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RING_LINES = 4096, BATCH_LINES = 64, STOP_SECONDS = 2 };

struct entry {
    char *text;
    size_t size;
};

/* All protected by lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER; /* a line came in, or the writer shall stop */
static struct entry ring[RING_LINES];
static size_t first, used;
static uint64_t dropped_unsaid; /* not yet told in a line */
static bool running;            /* lines go to the ring */
static pthread_t writer;

static _Atomic int threshold = TF_LOG_INFO;
static char process_name[64] = "ticketflow"; /* set before the writer runs, then constant */

static tf_counter dropped = TF_COUNTER("tf_log_dropped_total", "Log lines dropped because the ring was full", NULL);

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* All of it, whatever interrupts; gives up on a real error (standard error is gone: nobody reads). */
static void write_all(struct iovec *iov, int n)
{
    while (n > 0) {
        ssize_t written = writev(STDERR_FILENO, iov, n);

        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN) { /* somebody made it non-blocking; wait a little */
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            continue;
        }
        if (written < 0) return;
        while (n > 0 && (size_t)written >= iov->iov_len) {
            written -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + written;
            iov->iov_len -= (size_t)written;
        }
    }
}

static void line_begin(struct tf_log_line *line, enum tf_log_level level, const char *message)
{
    char time[TF_TIME_TEXT];

    tf_time_write(time, tf_now_us());
    tf_log_line_begin(line);
    tf_log_line_pair(line, "time", time);
    tf_log_line_pair(line, "level", level_names[level]);
    tf_log_line_pair(line, "process", process_name);
    tf_log_line_pair(line, "message", message);
}

static void write_dropped(uint64_t count)
{
    struct tf_log_line line;
    char number[TF_LOG_INT];

    line_begin(&line, TF_LOG_WARN, "log lines were dropped");
    tf_log_line_pair(&line, "count", tf_log_int(number, (int64_t)count));
    tf_log_line_end(&line);
    write_all(&(struct iovec){line.data, line.size}, 1);
}

static void *writer_main(TF_UNUSED void *arg)
{
    for (;;) {
        struct entry batch[BATCH_LINES];
        struct iovec iov[BATCH_LINES];
        uint64_t unsaid;
        int n = 0;

        pthread_mutex_lock(&lock);
        while (used == 0 && dropped_unsaid == 0 && running)
            pthread_cond_wait(&filled, &lock);
        for (; n < BATCH_LINES && used > 0; n++, used--) {
            batch[n] = ring[first];
            first = (first + 1) % RING_LINES;
        }
        unsaid = dropped_unsaid;
        dropped_unsaid = 0;
        pthread_mutex_unlock(&lock);

        if (n == 0 && unsaid == 0) return NULL; /* stopped, and nothing left */
        for (int i = 0; i < n; i++)
            iov[i] = (struct iovec){batch[i].text, batch[i].size};
        write_all(iov, n);
        for (int i = 0; i < n; i++)
            free(batch[i].text);
        if (unsaid) write_dropped(unsaid);
    }
}

void tf_log_start(const char *process, const char *level)
{
    for (size_t i = 0; level && i < TF_COUNT(level_names); i++)
        if (strcmp(level_names[i], level) == 0) threshold = (int)i;

    pthread_mutex_lock(&lock);
    if (!running) {
        snprintf(process_name, sizeof(process_name), "%s", process);
        running = pthread_create(&writer, NULL, writer_main, NULL) == 0; /* else lines go on being written directly */
    }
    pthread_mutex_unlock(&lock);
}

void tf_log_stop(void)
{
    struct timespec until;

    pthread_mutex_lock(&lock);
    if (!running) {
        pthread_mutex_unlock(&lock);
        return;
    }
    running = false;
    pthread_cond_signal(&filled);
    pthread_mutex_unlock(&lock);

    /* A reader of standard error that hangs must not keep the process from ending. */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_SECONDS;
    if (pthread_timedjoin_np(writer, NULL, &until) != 0) pthread_detach(writer);
}

enum tf_log_level tf_log_threshold(void)
{
    return (enum tf_log_level)threshold;
}

const char *tf_log_int(char out[static TF_LOG_INT], int64_t value)
{
    snprintf(out, TF_LOG_INT, "%" PRId64, value);
    return out;
}

/* Into the ring, or straight out when no writer runs. */
static void line_send(struct tf_log_line *line)
{
    struct entry entry = {malloc(line->size), line->size};
    bool direct, kept;

    if (entry.text) memcpy(entry.text, line->data, line->size);

    pthread_mutex_lock(&lock);
    direct = !running;
    kept = running && entry.text && used < RING_LINES;
    if (kept)
        ring[(first + used++) % RING_LINES] = entry;
    else if (!direct)
        dropped_unsaid++;
    if (used <= 1) pthread_cond_signal(&filled); /* else the writer is awake or about to look again */
    pthread_mutex_unlock(&lock);

    if (kept) return;
    free(entry.text);
    if (direct)
        write_all(&(struct iovec){line->data, line->size}, 1);
    else
        tf_counter_add(&dropped, 1);
}

void tf_log(enum tf_log_level level, const char *message, ...)
{
    struct tf_log_line line;
    const char *name;
    va_list args;

    if ((int)level < threshold) return;
    line_begin(&line, level, message);
    va_start(args, message);
    while ((name = va_arg(args, const char *)))
        tf_log_line_pair(&line, name, va_arg(args, const char *));
    va_end(args);
    tf_log_line_end(&line);
    line_send(&line);
}

void tf_logf(enum tf_log_level level, const char *format, ...)
{
    char message[TF_LOG_LINE_BYTES];
    va_list args;

    if ((int)level < threshold) return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    tf_log(level, message, NULL);
}
