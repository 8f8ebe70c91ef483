/* Composing answers: status line, Date, framing, the handler's headers, the body, in one piece of memory. */
#include "common/http/reply.h"

#include "common/base/macros.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { FIXED_HEAD_BYTES = 256, DATE_BYTES = 40 };

static const char *phrase_of(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < TF_COUNT(phrases); i++)
        if (phrases[i].status == status) return phrases[i].phrase;
    return "Other";
}

/* IMF-fixdate, made once a second for each thread. English names whatever the locale. */
static const char *date_now(void)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static _Thread_local char text[DATE_BYTES];
    static _Thread_local time_t made = -1;
    time_t now = time(NULL);
    struct tm tm;

    if (now == made) return text;
    made = now;
    gmtime_r(&now, &tm);
    snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday, tm.tm_mday,
             months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    return text;
}

/* The layer's own headers, which a handler cannot set. */
static bool is_reserved(const char *name)
{
    return strcasecmp(name, "content-length") == 0 || strcasecmp(name, "transfer-encoding") == 0 ||
           strcasecmp(name, "connection") == 0 || strcasecmp(name, "date") == 0;
}

static bool wants_close(const struct tf_http_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(headers[i].name, "connection") == 0 && strcasecmp(headers[i].value, "close") == 0) return true;
    return false;
}

/* No byte of a value may begin a line of its own: values may come from clients. */
static char *put_value(char *p, const char *value)
{
    for (; *value; value++)
        *p++ = (unsigned char)*value < 0x20 || *value == 0x7f ? ' ' : *value;
    return p;
}

static char *put(char *p, const char *text)
{
    size_t n = strlen(text);

    memcpy(p, text, n);
    return p + n;
}

static char *put_headers(char *p, const struct tf_http_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (is_reserved(headers[i].name)) continue;
        p = put(p, headers[i].name);
        p = put(p, ": ");
        p = put_value(p, headers[i].value);
        p = put(p, "\r\n");
    }
    return p;
}

struct tf_http_reply tf_http_reply_new(struct tf_http_reply_kind kind, int status, const struct tf_http_header *headers,
                                       size_t n_headers, const void *body, size_t size)
{
    struct tf_http_reply reply = {.close = !kind.keep || wants_close(headers, n_headers)};
    bool has_body = status >= 200 && status != 204 && status != 304;
    size_t room = FIXED_HEAD_BYTES + size;
    char *p;

    for (size_t i = 0; i < n_headers; i++)
        room += strlen(headers[i].name) + strlen(headers[i].value) + sizeof ": \r\n";
    reply.bytes = p = malloc(room);
    if (!p) return reply;

    p += sprintf(p, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, phrase_of(status), date_now());
    if (has_body) p += sprintf(p, "Content-Length: %zu\r\n", size);
    if (reply.close)
        p = put(p, "Connection: close\r\n");
    else if (kind.minor_0)
        p = put(p, "Connection: keep-alive\r\n");
    p = put_headers(p, headers, n_headers);
    p = put(p, "\r\n");
    if (has_body && !kind.head && size) {
        memcpy(p, body, size);
        p += size;
    }
    reply.size = (size_t)(p - reply.bytes);
    return reply;
}

struct tf_http_reply tf_http_reply_bare(int status)
{
    static const struct tf_http_header again = {"Retry-After", "1"};

    return tf_http_reply_new((struct tf_http_reply_kind){.keep = false}, status, &again, status == 503, NULL, 0);
}

void tf_http_reply_free(struct tf_http_budget *budget, struct tf_http_reply *reply)
{
    free(reply->bytes);
    tf_http_budget_return(budget, &reply->share);
    *reply = (struct tf_http_reply){0};
}
