/* JSON text of one log line. */
#include "common/base/log_line.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

static const char cut_end[] = ",\"truncated\":true}\n";

/* What a value may fill: its own quote and the longest end must still fit. */
enum { ROOM = TF_LOG_LINE_BYTES - (int)sizeof(cut_end) - 1 };

static bool put(struct tf_log_line *line, const char *s, size_t n)
{
    if (line->cut || line->size + n > ROOM) {
        line->cut = true;
        return false;
    }
    memcpy(line->data + line->size, s, n);
    line->size += n;
    return true;
}

/* Bytes of the valid character at s, 0 when it is none. */
static size_t character_at(const char *s)
{
    for (size_t n = 1; n <= 4; n++) {
        if (s[n - 1] == '\0') return 0;
        if (tf_utf8_valid(s, n)) return n;
    }
    return 0;
}

/* One character as JSON wants it; returns how many bytes of s it took, 0 when the line is full. */
static size_t put_character(struct tf_log_line *line, const char *s)
{
    static const char replacement[] = "\xef\xbf\xbd";
    unsigned char c = (unsigned char)*s;
    char escape[8];
    size_t n = character_at(s);

    if (n == 0) return put(line, replacement, 3) ? 1 : 0;
    if (c == '"' || c == '\\') {
        escape[0] = '\\';
        escape[1] = (char)c;
        return put(line, escape, 2) ? 1 : 0;
    }
    if (c == '\n') return put(line, "\\n", 2) ? 1 : 0;
    if (c == '\t') return put(line, "\\t", 2) ? 1 : 0;
    if (tf_has_control((char[5]){s[0], n > 1 ? s[1] : '\0'})) {
        snprintf(escape, sizeof(escape), "\\u%04x", n == 1 ? c : (unsigned char)s[1]); /* C2 80 … C2 9F: U+0080 … */
        return put(line, escape, 6) ? n : 0;
    }
    return put(line, s, n) ? n : 0;
}

static void put_text(struct tf_log_line *line, const char *s)
{
    while (*s) {
        size_t n = put_character(line, s);

        if (n == 0) return;
        s += n;
    }
}

void tf_log_line_begin(struct tf_log_line *line)
{
    line->size = 0;
    line->cut = false;
    line->data[line->size++] = '{';
}

void tf_log_line_pair(struct tf_log_line *line, const char *name, const char *value)
{
    size_t before = line->size;
    bool opened = false;

    if (line->cut) return;
    if (before > 1) put(line, ",", 1);
    put(line, "\"", 1);
    put_text(line, name);
    opened = put(line, "\":", 2) && put(line, value ? "\"" : "null", value ? 1 : 4);
    if (!opened) {
        line->size = before; /* a name without a value would not be JSON */
        return;
    }
    if (!value) return;
    put_text(line, value);
    line->data[line->size++] = '"'; /* always fits, see ROOM */
}

void tf_log_line_end(struct tf_log_line *line)
{
    const char *end = line->cut ? cut_end : "}\n";
    size_t n = strlen(end);

    if (line->cut && line->size == 1) { /* not even the first pair fitted: no comma */
        end++;
        n--;
    }
    memcpy(line->data + line->size, end, n);
    line->size += n;
}
