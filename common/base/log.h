/* JSON-lines log to standard error that never blocks a request: lines go into a bounded ring, one writer thread
 * writes them; when the ring is full lines are dropped and counted (metric tf_log_dropped_total, and a line that says
 * so). Personal data is never logged: callers pass ids, not names. */
#pragma once

#include "common/base/macros.h"

#include <stdint.h>

enum tf_log_level { TF_LOG_DEBUG, TF_LOG_INFO, TF_LOG_WARN, TF_LOG_ERROR };

/* Starts the writer. process: "order"; level: "debug", "info", "warn", "error". Before this, lines are written
 * directly. */
void tf_log_start(const char *process, const char *level);
/* Writes what is queued and stops the writer. */
void tf_log_stop(void);
enum tf_log_level tf_log_threshold(void);

/* One line: {"time":…,"level":…,"process":…,"message":…, then pairs}. Pairs are (name, value) strings ended by NULL:
 *   tf_log(TF_LOG_WARN, "redis connection lost", "address", address, "cause", cause, NULL);
 * A NULL value is written as null. Numbers: tf_log_int(buffer…) or a printf into a small array. */
void tf_log(enum tf_log_level level, const char *message, ...) __attribute__((sentinel));
/* Writes the number into the caller's array and returns it: "count", tf_log_int((char[TF_LOG_INT]){0}, n). */
enum { TF_LOG_INT = 24 };
const char *tf_log_int(char out[static TF_LOG_INT], int64_t value);
/* printf form of the message alone. */
void tf_logf(enum tf_log_level level, const char *format, ...) TF_PRINTF(2, 3);
