/* Writing JSON straight into a buffer: commas, escapes, numbers. */
#include "common/json/json.h"

#include "common/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 63 };

/* A comma before every value but the first of its array or object; none after a key. */
static void begin_value(tf_json_writer *w)
{
    uint64_t bit = UINT64_C(1) << w->depth;

    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth > 0 && w->has_members & bit) tf_buf_putc(w->out, ',');
    w->has_members |= bit;
}

static void open_value(tf_json_writer *w, char bracket)
{
    begin_value(w);
    TF_ASSERT(w->depth < DEPTH_MAX);
    w->depth++;
    w->has_members &= ~(UINT64_C(1) << w->depth);
    tf_buf_putc(w->out, bracket);
}

static void close_value(tf_json_writer *w, char bracket)
{
    TF_ASSERT(w->depth > 0 && !w->after_key);
    w->depth--;
    tf_buf_putc(w->out, bracket);
}

void tf_json_begin_object(tf_json_writer *w)
{
    open_value(w, '{');
}

void tf_json_end_object(tf_json_writer *w)
{
    close_value(w, '}');
}

void tf_json_begin_array(tf_json_writer *w)
{
    open_value(w, '[');
}

void tf_json_end_array(tf_json_writer *w)
{
    close_value(w, ']');
}

/* Bytes of the valid UTF-8 character at s; 0 when it is none. */
static size_t character_size(const char *s)
{
    unsigned char c = (unsigned char)*s;
    size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    for (size_t i = 1; i < size; i++)
        if (!s[i]) return 0;
    return tf_utf8_valid(s, size) ? size : 0;
}

static void append_escaped(tf_buf *out, const char *s)
{
    static const char hex[] = "0123456789abcdef";
    const char *run = s; /* start of what needs no escape */

    while (*s) {
        unsigned char c = (unsigned char)*s;
        size_t size = 1;
        char escape[7] = {'\\', 'u', '0', '0'};

        if (c >= 0x80) {
            size = character_size(s);
            if (size) {
                s += size;
                continue;
            }
            memcpy(escape, "\xef\xbf\xbd", 4); /* U+FFFD */
            size = 1;
        } else if (c == '"' || c == '\\') {
            escape[1] = (char)c;
            escape[2] = '\0';
        } else if (c >= 0x20 && c != 0x7f) {
            s++;
            continue;
        } else {
            const char *at = strchr("\bb\ff\nn\rr\tt", c);

            if (at) {
                escape[1] = at[1];
                escape[2] = '\0';
            } else {
                escape[4] = hex[c >> 4];
                escape[5] = hex[c & 15];
            }
        }
        tf_buf_append(out, run, (size_t)(s - run));
        tf_buf_puts(out, escape);
        s += size;
        run = s;
    }
    tf_buf_append(out, run, (size_t)(s - run));
}

static void append_quoted(tf_buf *out, const char *s)
{
    tf_buf_putc(out, '"');
    append_escaped(out, s);
    tf_buf_putc(out, '"');
}

void tf_json_key(tf_json_writer *w, const char *name)
{
    TF_ASSERT(w->depth > 0 && !w->after_key);
    begin_value(w);
    append_quoted(w->out, name);
    tf_buf_putc(w->out, ':');
    w->after_key = true;
}

void tf_json_put_raw(tf_json_writer *w, const char *json, size_t size)
{
    begin_value(w);
    tf_buf_append(w->out, json, size);
}

void tf_json_put_null(tf_json_writer *w)
{
    tf_json_put_raw(w, "null", 4);
}

void tf_json_put_string(tf_json_writer *w, const char *s)
{
    if (!s) {
        tf_json_put_null(w);
        return;
    }
    begin_value(w);
    append_quoted(w->out, s);
}

/* Digits without printf: answers are full of ids. */
static void append_int(tf_buf *out, int64_t value)
{
    char digits[24];
    char *p = digits + sizeof digits;
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        *--p = (char)('0' + size % 10);
        size /= 10;
    } while (size);
    if (value < 0) *--p = '-';
    tf_buf_append(out, p, (size_t)(digits + sizeof digits - p));
}

void tf_json_put_int(tf_json_writer *w, int64_t value)
{
    begin_value(w);
    append_int(w->out, value);
}

void tf_json_put_int_string(tf_json_writer *w, int64_t value)
{
    begin_value(w);
    tf_buf_putc(w->out, '"');
    append_int(w->out, value);
    tf_buf_putc(w->out, '"');
}

/* The shortest of the usual forms that reads back as the same number; null for what JSON cannot say. */
void tf_json_put_real(tf_json_writer *w, double value)
{
    char text[40];

    if (!isfinite(value)) {
        tf_json_put_null(w);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    tf_json_put_raw(w, text, strlen(text));
}

void tf_json_put_bool(tf_json_writer *w, bool value)
{
    if (value)
        tf_json_put_raw(w, "true", 4);
    else
        tf_json_put_raw(w, "false", 5);
}
