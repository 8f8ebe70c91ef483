/* One line of the log being written, with a ceiling; for this room only. What does not fit is cut at a character and
 * the line says "truncated":true: it is valid JSON in every case. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { TF_LOG_LINE_BYTES = 8192 };

struct tf_log_line {
    char data[TF_LOG_LINE_BYTES];
    size_t size;
    bool cut;
};

/* Begins the object. */
void tf_log_line_begin(struct tf_log_line *line);
/* "name":"value", or null for a NULL value. After a cut nothing is added. Invalid UTF-8 becomes U+FFFD, control
 * characters are escaped (C1 ones too: some terminals obey them). */
void tf_log_line_pair(struct tf_log_line *line, const char *name, const char *value);
/* Ends the object and the line. */
void tf_log_line_end(struct tf_log_line *line);
