/* The request parser: line by line for the header, counted for bodies. */
#include "common/http/parser.h"

#include "common/base/text.h"

#include <string.h>
#include <strings.h>

enum {
    REQUEST_LINE,
    FIELDS,
    BODY,
    CHUNK_SIZE,
    CHUNK_DATA,
    CHUNK_END,
    TRAILERS,
    WHOLE,
    REFUSED,
};

enum {
    CHUNK_LINE_MAX = 256,
    CHUNK_DIGITS_MAX = 8,
    CHUNK_EXTENSIONS_MAX = 4096, /* of all chunks of a body */
};

void tf_http_parser_init(struct tf_http_parser *parser, size_t header_max, size_t body_max)
{
    parser->header_max = header_max;
    parser->body_max = body_max;
    parser->state = REQUEST_LINE;
    parser->status = 0;
    parser->at = parser->line = 0;
    parser->head_done = parser->minor_0 = false;
    parser->keep_alive = parser->expects_continue = false;
    parser->has_length = parser->chunked = parser->has_host = false;
    parser->method = parser->path = parser->query = 0;
    parser->n_headers = 0;
    parser->body = parser->body_size = 0;
    parser->left = 0;
    parser->overhead = 0;
}

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_token_char(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c && strchr("!#$%&'*+-.^_`|~", c);
}

static bool is_token(const char *s, const char *end)
{
    if (s == end) return false;
    for (; s < end; s++)
        if (!is_token_char((unsigned char)*s)) return false;
    return true;
}

/* Visible characters, blanks, tabs and bytes from 0x80. */
static bool is_field_text(const char *s, const char *end)
{
    for (; s < end; s++) {
        unsigned char c = (unsigned char)*s;

        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- lines ----------------------------------------------------------------------------------- */

static int refuse(struct tf_http_parser *p, int status)
{
    p->state = REFUSED;
    p->status = status;
    return status;
}

/* The present line without its CR LF, NUL-ended, or NULL when it is not whole yet or refused: a lone LF is no line end,
 * because others disagree about it. */
static char *take_line(struct tf_http_parser *p, char *data, size_t size, char **ret_end)
{
    char *start = data + p->line;
    char *lf = memchr(data + p->at, '\n', size - p->at);

    if (!lf) {
        p->at = size;
        return NULL;
    }
    if (lf == start || lf[-1] != '\r') {
        refuse(p, 400);
        return NULL;
    }
    lf[-1] = '\0';
    *ret_end = lf - 1;
    p->at = p->line = (size_t)(lf + 1 - data);
    return start;
}

/* A line of the header, which as a whole is bounded. */
static char *take_header_line(struct tf_http_parser *p, char *data, size_t size, char **ret_end)
{
    char *line = take_line(p, data, size, ret_end);

    if (p->state != REFUSED && p->at > p->header_max) {
        refuse(p, 431);
        return NULL;
    }
    return line;
}

/* ---- the request line ------------------------------------------------------------------------ */

/* "http://host/path": only the path matters here. It gets its '/' in place of the authority's last byte when it has
 * none. */
static char *path_of_absolute(char *target)
{
    char *authority = NULL;
    size_t n;

    if (strncasecmp(target, "http://", 7) == 0) authority = target + 7;
    if (strncasecmp(target, "https://", 8) == 0) authority = target + 8;
    if (!authority) return NULL;
    n = strcspn(authority, "/?");
    if (n == 0) return NULL;
    if (authority[n] == '/') return authority + n;
    authority[n - 1] = '/';
    return authority + n - 1;
}

static int parse_target(struct tf_http_parser *p, char *data, char *target)
{
    char *path = target, *query;

    for (const char *c = target; *c; c++)
        if (*c <= 0x20 || *c >= 0x7f || *c == '#') return refuse(p, 400); /* char is signed: from 0x80 too */
    if (*target != '/' && !(strcmp(target, "*") == 0 && strcmp(data + p->method, "OPTIONS") == 0)) {
        path = path_of_absolute(target);
        if (!path) return refuse(p, 400);
    }
    query = strchr(path, '?');
    if (query) *query++ = '\0';
    p->path = (uint32_t)(path - data);
    p->query = query ? (uint32_t)(query - data) : p->path + (uint32_t)strlen(path);
    return 0;
}

static int parse_request_line(struct tf_http_parser *p, char *data, char *line, const char *end)
{
    char *target, *version;

    if (line == end) return 0; /* an empty line before a request is skipped */
    if (strlen(line) != (size_t)(end - line)) return refuse(p, 400);
    target = strchr(line, ' ');
    if (!target) return refuse(p, 400);
    *target++ = '\0';
    version = strchr(target, ' ');
    if (!version) return refuse(p, 400);
    *version++ = '\0';
    if (!is_token(line, target - 1) || !*target) return refuse(p, 400);
    p->method = (uint32_t)(line - data);

    if (strncmp(version, "HTTP/", 5) != 0 || version[5] < '0' || version[5] > '9' || version[6] != '.' ||
        version[7] < '0' || version[7] > '9' || version[8])
        return refuse(p, 400);
    if (version[5] != '1') return refuse(p, 505);
    p->minor_0 = version[7] == '0';

    if (parse_target(p, data, target)) return p->status;
    p->state = FIELDS;
    return 0;
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* Splits "name: value" in place and checks both. */
static int split_field(struct tf_http_parser *p, char *line, char *end, char **ret_value)
{
    char *value = memchr(line, ':', (size_t)(end - line));

    if (!value) return refuse(p, 400);
    *value++ = '\0';
    if (!is_token(line, value - 1)) return refuse(p, 400); /* a folded line and a blank before the colon too */
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        *--end = '\0';
    if (!is_field_text(value, end)) return refuse(p, 400);
    *ret_value = value;
    return 0;
}

/* Whether the comma-separated list has the token. */
static bool list_has(const char *list, const char *token)
{
    size_t n = strlen(token);

    while (*list) {
        list += strspn(list, " \t,");
        size_t item = strcspn(list, ",");
        size_t size = item;

        while (size > 0 && is_blank(list[size - 1]))
            size--;
        if (size == n && strncasecmp(list, token, n) == 0) return true;
        list += item;
    }
    return false;
}

/* One plain number, once; a list of equal numbers is refused too. */
static int parse_length(struct tf_http_parser *p, const char *value)
{
    uint64_t length = 0;

    if (p->has_length || p->chunked || !*value) return refuse(p, 400);
    for (const char *c = value; *c; c++)
        if (*c < '0' || *c > '9') return refuse(p, 400);
    for (const char *c = value; *c; c++)
        if (__builtin_mul_overflow(length, 10u, &length) ||
            __builtin_add_overflow(length, (uint64_t)(*c - '0'), &length))
            return refuse(p, 413);
    p->has_length = true;
    p->left = length;
    return 0;
}

static int parse_encoding(struct tf_http_parser *p, const char *value)
{
    if (p->chunked || p->has_length || p->minor_0) return refuse(p, 400);
    if (strcasecmp(value, "chunked") != 0) return refuse(p, 501);
    p->chunked = true;
    return 0;
}

static int parse_field(struct tf_http_parser *p, char *data, char *line, char *end)
{
    char *value;

    if (split_field(p, line, end, &value)) return p->status;
    if (p->n_headers == TF_HTTP_HEADERS_MAX) return refuse(p, 431);
    p->headers[p->n_headers].name = (uint32_t)(line - data);
    p->headers[p->n_headers++].value = (uint32_t)(value - data);

    if (strcasecmp(line, "content-length") == 0) return parse_length(p, value);
    if (strcasecmp(line, "transfer-encoding") == 0) return parse_encoding(p, value);
    if (strcasecmp(line, "host") == 0) {
        if (p->has_host || strpbrk(value, " \t,/@")) return refuse(p, 400);
        p->has_host = true;
    }
    if (strcasecmp(line, "expect") == 0 && !p->minor_0) {
        if (strcasecmp(value, "100-continue") != 0) return refuse(p, 417);
        p->expects_continue = true;
    }
    return 0;
}

/* "close" wins over whatever else the Connection headers say, wherever it stands. */
static void settle_connection(struct tf_http_parser *p, const char *data)
{
    bool keep = !p->minor_0, closes = false;

    for (size_t i = 0; i < p->n_headers; i++) {
        if (strcasecmp(data + p->headers[i].name, "connection") != 0) continue;
        closes |= list_has(data + p->headers[i].value, "close");
        keep |= list_has(data + p->headers[i].value, "keep-alive");
    }
    p->keep_alive = keep && !closes;
}

static int end_header(struct tf_http_parser *p, const char *data)
{
    if (!p->has_host && !p->minor_0) return refuse(p, 400);
    settle_connection(p, data);
    p->head_done = true;
    p->body = p->at;
    if (p->left > p->body_max) return refuse(p, 413);
    p->state = p->chunked ? CHUNK_SIZE : p->left ? BODY : WHOLE;
    return 0;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void take_body(struct tf_http_parser *p, size_t size)
{
    if (size - p->at < p->left) return;
    p->at += (size_t)p->left;
    p->body_size = (size_t)p->left;
    p->state = WHOLE;
}

static int parse_chunk_size(struct tf_http_parser *p, const char *line, const char *end)
{
    uint64_t size = 0;
    const char *c = line;

    for (; tf_hex_digit(*c) >= 0; c++)
        size = size << 4 | (uint64_t)tf_hex_digit(*c);
    if (c == line || c - line > CHUNK_DIGITS_MAX) return refuse(p, 400);
    if (c != end && *c != ';') return refuse(p, 400);
    if (!is_field_text(c, end)) return refuse(p, 400);
    p->overhead += (size_t)(end - c);
    if (p->overhead > CHUNK_EXTENSIONS_MAX) return refuse(p, 400);
    if (size > p->body_max - p->body_size) return refuse(p, 413);
    p->left = size;
    p->state = size ? CHUNK_DATA : TRAILERS;
    if (!size) p->overhead = 0; /* from here on it counts trailers */
    return 0;
}

static void take_chunk_size(struct tf_http_parser *p, char *data, size_t size)
{
    size_t start = p->line;
    char *line, *end;

    line = take_line(p, data, size, &end);
    if (p->state == REFUSED) return;
    if (p->at - start > CHUNK_LINE_MAX)
        refuse(p, 400);
    else if (line)
        parse_chunk_size(p, line, end);
}

static void take_chunk_data(struct tf_http_parser *p, char *data, size_t size)
{
    size_t n = size - p->at < p->left ? size - p->at : (size_t)p->left;

    memmove(data + p->body + p->body_size, data + p->at, n);
    p->body_size += n;
    p->left -= n;
    p->at += n;
    p->line = p->at;
    if (!p->left) p->state = CHUNK_END;
}

static void take_chunk_end(struct tf_http_parser *p, const char *data, size_t size)
{
    if (size - p->at < 2) {
        if (size > p->at && data[p->at] != '\r') refuse(p, 400);
        return;
    }
    if (memcmp(data + p->at, "\r\n", 2) != 0) {
        refuse(p, 400);
        return;
    }
    p->at += 2;
    p->line = p->at;
    p->state = CHUNK_SIZE;
}

/* Checked and dropped: a field that came late must not act as one of the header. */
static void take_trailer(struct tf_http_parser *p, char *data, size_t size)
{
    size_t start = p->line;
    char *line, *end, *value;

    line = take_line(p, data, size, &end);
    if (p->state == REFUSED) return;
    if (p->overhead + (p->at - start) > p->header_max) {
        refuse(p, 431);
        return;
    }
    if (!line) return;
    if (line == end)
        p->state = WHOLE;
    else if (!split_field(p, line, end, &value))
        p->overhead += p->at - start;
}

/* Drops framing bytes that were read, so that a body of many small chunks needs no more room than it has bytes. */
static void drop_framing(struct tf_http_parser *p, char *data, size_t *size)
{
    size_t end = p->body + p->body_size;
    size_t gap = p->line - end;

    if (!gap) return;
    memmove(data + end, data + p->line, *size - p->line);
    *size -= gap;
    p->line -= gap;
    p->at -= gap;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Takes one step; false when more bytes are needed or the request has ended. */
static bool step(struct tf_http_parser *p, char *data, size_t size)
{
    int state = p->state;
    size_t at = p->at;
    char *line, *end;

    switch (state) {
    case REQUEST_LINE:
        line = take_header_line(p, data, size, &end);
        if (line) parse_request_line(p, data, line, end);
        break;
    case FIELDS:
        line = take_header_line(p, data, size, &end);
        if (line && line == end)
            end_header(p, data);
        else if (line)
            parse_field(p, data, line, end);
        break;
    case BODY:
        take_body(p, size);
        break;
    case CHUNK_SIZE:
        take_chunk_size(p, data, size);
        break;
    case CHUNK_DATA:
        take_chunk_data(p, data, size);
        break;
    case CHUNK_END:
        take_chunk_end(p, data, size);
        break;
    case TRAILERS:
        take_trailer(p, data, size);
        break;
    default:
        return false;
    }
    return p->state != state || (p->at != at && p->at < size);
}

enum tf_http_step tf_http_parse(struct tf_http_parser *p, char *data, size_t *size)
{
    while (step(p, data, *size))
        ;
    if (p->chunked && p->head_done && p->state != REFUSED) drop_framing(p, data, size);
    if (p->state == REFUSED) return TF_HTTP_REFUSED;
    return p->state == WHOLE ? TF_HTTP_DONE : TF_HTTP_MORE;
}
