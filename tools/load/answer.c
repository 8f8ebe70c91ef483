/* The parser of answers: line by line, each byte looked at once. */
#include "tools/load/answer.h"

#include <string.h>
#include <strings.h>

enum { RETRY_AFTER_MAX_S = 86400 };

void answer_begin(struct answer *a)
{
    *a = (struct answer){.keep_alive = true};
}

static enum answer_step broken(struct answer *a, const char *fault)
{
    a->fault = fault;
    return ANSWER_BROKEN;
}

static bool is_token(unsigned char c)
{
    return c > 0x20 && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool same(const char *text, size_t n, const char *word)
{
    return n == strlen(word) && strncasecmp(text, word, n) == 0;
}

/* A decimal number of digits alone, at most `max`; -1 otherwise. */
static int64_t number(const char *text, size_t n, int64_t max)
{
    int64_t value = 0;

    for (size_t i = 0; i < n; i++) {
        if (!is_digit(text[i])) return -1;
        value = value * 10 + (text[i] - '0');
        if (value > max) return -1;
    }
    return n ? value : -1;
}

/* "close" among the comma-separated words. */
static bool says_close(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t end = i;

        while (end < n && text[end] != ',' && text[end] != ' ' && text[end] != '\t')
            end++;
        if (same(text + i, end - i, "close")) return true;
        i = end + 1;
    }
    return false;
}

/* "HTTP/1.1 200 OK"; the phrase may be empty. */
static const char *status_line(struct answer *a, const char *line, size_t n)
{
    if (n < 12 || memcmp(line, "HTTP/1.1 ", 9) != 0) return "no status line of HTTP/1.1";
    if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) || (n > 12 && line[12] != ' '))
        return "no status of three digits";
    a->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (a->status < 100 || a->status > 599 || a->status == 101) return "a status that was not asked for";
    return NULL;
}

static const char *known_header(struct answer *a, const char *name, size_t n_name, const char *value, size_t n_value)
{
    int64_t n;

    if (same(name, n_name, "content-length")) {
        if (a->has_length) return "two lengths";
        n = number(value, n_value, ANSWER_BODY_MAX);
        if (n < 0) return "a length that is none, or too large";
        a->has_length = true;
        a->body_size = (size_t)n;
    } else if (same(name, n_name, "transfer-encoding")) {
        return "a transfer encoding";
    } else if (same(name, n_name, "content-encoding")) {
        if (!same(value, n_value, "identity")) return "a content encoding";
    } else if (same(name, n_name, "connection")) {
        if (says_close(value, n_value)) a->keep_alive = false;
    } else if (same(name, n_name, "retry-after")) {
        n = number(value, n_value, RETRY_AFTER_MAX_S);
        if (n > 0) a->retry_after_s = (int)n;
    }
    return NULL;
}

static const char *header_line(struct answer *a, const char *line, size_t n)
{
    size_t name = 0, value;

    if (++a->n_headers > ANSWER_HEADERS_MAX) return "too many headers";
    while (name < n && is_token((unsigned char)line[name]))
        name++;
    if (name == 0 || name == n || line[name] != ':') return "a header without a name";
    value = name + 1;
    while (value < n && (line[value] == ' ' || line[value] == '\t'))
        value++;
    while (n > value && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    return known_header(a, line, name, line + value, n - value);
}

/* The empty line: after an interim answer the next one begins. */
static const char *head_end(struct answer *a)
{
    if (a->status < 200) {
        if (a->has_length) return "an interim answer with a length";
        a->status = 0;
        return NULL;
    }
    if (a->status == 304) return "a status that was not asked for";
    if (a->status == 204) {
        if (a->has_length && a->body_size) return "a body where none may be";
    } else if (!a->has_length) {
        return "no length";
    }
    a->head_done = true;
    a->body = a->at;
    a->size = a->body + a->body_size;
    return NULL;
}

static const char *line_end(struct answer *a, const char *line, size_t n)
{
    if (a->status == 0) return status_line(a, line, n);
    return n == 0 ? head_end(a) : header_line(a, line, n);
}

static const char *head(struct answer *a, const char *bytes, size_t size)
{
    while (!a->head_done && a->at < size) {
        unsigned char c = (unsigned char)bytes[a->at];
        const char *fault;

        if (a->at >= ANSWER_HEAD_MAX) return "too long a head";
        if (c == '\n') {
            if (a->at == a->line || bytes[a->at - 1] != '\r') return "a line without a carriage return";
            a->at++;
            fault = line_end(a, bytes + a->line, a->at - 2 - a->line);
            if (fault) return fault;
            a->line = a->at;
            continue;
        }
        if (a->at > a->line && bytes[a->at - 1] == '\r') return "a carriage return within a line";
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) return "a control character";
        a->at++;
    }
    return NULL;
}

enum answer_step answer_read(struct answer *a, const char *bytes, size_t size)
{
    const char *fault = head(a, bytes, size);

    if (fault) return broken(a, fault);
    return a->head_done && size >= a->size ? ANSWER_WHOLE : ANSWER_MORE;
}
