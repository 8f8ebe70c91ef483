/* The request parser by tables: every row is parsed at once and byte by byte, and must give the same. */
#include "common/http/parser.h"

#include "common/base/macros.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { HEADER_MAX = 512, BODY_MAX = 32, BYTES_MAX = 8192 };

struct parsed {
    enum tf_http_step step;
    struct tf_http_parser parser;
    char data[BYTES_MAX];
    size_t size;
};

/* pieces: bytes given at a time. */
static void parse(struct parsed *out, const char *text, size_t size, size_t piece)
{
    tf_http_parser_init(&out->parser, HEADER_MAX, BODY_MAX);
    out->size = 0;
    out->step = TF_HTTP_MORE;
    for (size_t i = 0; i < size && out->step == TF_HTTP_MORE; i += piece) {
        size_t n = TF_MIN(piece, size - i);

        memcpy(out->data + out->size, text + i, n);
        out->size += n;
        out->step = tf_http_parse(&out->parser, out->data, &out->size);
    }
}

#define HOST "Host: a\r\n"

static const struct {
    const char *name, *text;
    int status; /* 0: accepted; -1: more is wanted */
    const char *method, *path, *query, *body;
    bool closes;
} rows[] = {
    {"plain", "GET / HTTP/1.1\r\n" HOST "\r\n", 0, "GET", "/", "", "", false},
    {"query", "GET /a/b?x=1&y=%20 HTTP/1.1\r\n" HOST "\r\n", 0, "GET", "/a/b", "x=1&y=%20", "", false},
    {"empty query", "GET /a? HTTP/1.1\r\n" HOST "\r\n", 0, "GET", "/a", "", "", false},
    {"second question mark", "GET /a?b?c HTTP/1.1\r\n" HOST "\r\n", 0, "GET", "/a", "b?c", "", false},
    {"absolute form", "GET http://h:80/p?q HTTP/1.1\r\n" HOST "\r\n", 0, "GET", "/p", "q", "", false},
    {"absolute form without path", "GET HTTPS://h HTTP/1.1\r\n" HOST "\r\n", 0, "GET", "/", "", "", false},
    {"absolute form, query only", "GET http://h?q=/ HTTP/1.1\r\n" HOST "\r\n", 0, "GET", "/", "q=/", "", false},
    {"asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, "OPTIONS", "*", "", "", false},
    {"length", "POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 0, "POST", "/x", "", "hello", false},
    {"length zero", "POST /x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 0, "POST", "/x", "", "", false},
    {"length with leading zeros", "POST / HTTP/1.1\r\n" HOST "Content-Length: 002\r\n\r\nab", 0, "POST", "/", "", "ab",
     false},
    {"length at the bound", "POST / HTTP/1.1\r\n" HOST "Content-Length: 32\r\n\r\n01234567890123456789012345678901", 0,
     "POST", "/", "", "01234567890123456789012345678901", false},
    {"chunks", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 0,
     "POST", "/", "", "abcde", false},
    {"chunks, upper case", "POST / HTTP/1.1\r\n" HOST "TRANSFER-ENCODING: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
     0, "POST", "/", "", "0123456789", false},
    {"chunk extension", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0;x\r\n\r\n",
     0, "POST", "/", "", "abc", false},
    {"trailers",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nContent-Length: 9\r\nB: c\r\n\r\n", 0,
     "POST", "/", "", "a", false},
    {"no chunks", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, "POST", "/", "", "",
     false},
    {"chunks that hold CR LF",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n", 0, "POST", "/", "",
     "\r\n\r\n", false},
    {"empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, "GET", "/", "", "", false},
    {"connection close", "GET / HTTP/1.1\r\n" HOST "Connection: foo , Close\r\n\r\n", 0, "GET", "/", "", "", true},
    {"close beats keep-alive", "GET / HTTP/1.1\r\n" HOST "Connection: close\r\nConnection: keep-alive\r\n\r\n", 0,
     "GET", "/", "", "", true},
    {"a word that begins like close", "GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", 0, "GET", "/", "", "",
     false},
    {"1.0", "GET / HTTP/1.0\r\n\r\n", 0, "GET", "/", "", "", true},
    {"1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0, "GET", "/", "", "", false},
    {"expect", "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx", 0, "POST", "/", "", "x",
     false},
    {"empty value, tabs", "GET / HTTP/1.1\r\n" HOST "X:\r\nY:\t b\t \r\n\r\n", 0, "GET", "/", "", "", false},
    {"bytes above ASCII in a value", "GET / HTTP/1.1\r\n" HOST "X: \xe4\xbd\xa0\r\n\r\n", 0, "GET", "/", "", "", false},
    {"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, "GET", "/", "", "", false},
    {"1.9 is of our kind", "GET / HTTP/1.9\r\n" HOST "\r\n", 0, "GET", "/", "", "", false},

    {"nothing", "", -1, NULL, NULL, NULL, NULL, false},
    {"half a request line", "GET / HT", -1, NULL, NULL, NULL, NULL, false},
    {"no end of header", "GET / HTTP/1.1\r\n" HOST, -1, NULL, NULL, NULL, NULL, false},
    {"body too short", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell", -1, NULL, NULL, NULL, NULL, false},
    {"chunk too short", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhell", -1, NULL, NULL, NULL,
     NULL, false},
    {"no last chunk", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", -1, NULL, NULL, NULL,
     NULL, false},
    {"no end of trailers", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n", -1, NULL, NULL, NULL,
     NULL, false},

    {"no target", "GET HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"0.9", "GET /\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"two blanks", "GET  / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"blank at the end", "GET / HTTP/1.1 \r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"blank first", " GET / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"tab between", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"bad method", "G(T / HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"lower-case version", "GET / http/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"short version", "GET / HTTP/1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"long version", "GET / HTTP/1.10\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"version 2", "GET / HTTP/2.0\r\n" HOST "\r\n", 505, NULL, NULL, NULL, NULL, false},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, NULL, NULL, NULL, NULL, false},
    {"relative target", "GET a HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"other scheme", "GET ftp://h/ HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"absolute without authority", "GET http:///p HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"connect", "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"asterisk with GET", "GET * HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"raw UTF-8 in the target", "GET /\xe4\xbd\xa0 HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"control character in the target", "GET /\x01 HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"DEL in the target", "GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"lone LF after the request line", "GET / HTTP/1.1\n" HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"lone LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"lone LF ends the header", "GET / HTTP/1.1\r\n" HOST "\n", 400, NULL, NULL, NULL, NULL, false},
    {"lone CR in a value", "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"lone CR in a name", "GET / HTTP/1.1\r\n" HOST "X\r: a\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"no colon", "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"no name", "GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"blank before the colon", "GET / HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc", 400, NULL, NULL, NULL, NULL,
     false},
    {"folded line", "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"blank before the first name", "GET / HTTP/1.1\r\n " HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"control character in a value", "GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"DEL in a value", "GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"byte above ASCII in a name", "GET / HTTP/1.1\r\n" HOST "X\xe4: a\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"no host", "GET / HTTP/1.1\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"two hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"two lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, NULL, NULL,
     NULL, NULL, false},
    {"two equal lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, NULL,
     NULL, NULL, NULL, false},
    {"list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", 400, NULL, NULL, NULL, NULL,
     false},
    {"signed length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", 400, NULL, NULL, NULL, NULL, false},
    {"negative length", "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"hexadecimal length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\nabc", 400, NULL, NULL, NULL, NULL,
     false},
    {"empty length", "POST / HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n", 400, NULL, NULL, NULL, NULL, false},
    {"length with a blank inside", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\n", 400, NULL, NULL, NULL,
     NULL, false},
    {"length too large", "POST / HTTP/1.1\r\n" HOST "Content-Length: 33\r\n\r\n", 413, NULL, NULL, NULL, NULL, false},
    {"length beyond 64 bits", "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\n", 413, NULL,
     NULL, NULL, NULL, false},
    {"length, then encoding",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL, NULL,
     NULL, NULL, false},
    {"encoding, then length",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, NULL, NULL,
     NULL, NULL, false},
    {"two encodings",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL,
     NULL, NULL, NULL, false},
    {"encoding list", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, NULL, NULL,
     NULL, NULL, false},
    {"encoding unknown", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, NULL, NULL,
     NULL, NULL, false},
    {"encoding with a vertical tab", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 400,
     NULL, NULL, NULL, NULL, false},
    {"encoding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL, NULL, NULL, NULL,
     false},
    {"other expectation", "POST / HTTP/1.1\r\n" HOST "Expect: magic\r\n\r\n", 417, NULL, NULL, NULL, NULL, false},
    {"no chunk size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n\r\nabc", 400, NULL, NULL, NULL,
     NULL, false},
    {"chunk size not hexadecimal", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3g\r\nabc", 400, NULL,
     NULL, NULL, NULL, false},
    {"chunk size with a prefix", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc", 400, NULL,
     NULL, NULL, NULL, false},
    {"negative chunk size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc", 400, NULL, NULL,
     NULL, NULL, false},
    {"blank before the chunk size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n 3\r\nabc", 400, NULL,
     NULL, NULL, NULL, false},
    {"chunk size of nine digits", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n000000003\r\nabc", 400,
     NULL, NULL, NULL, NULL, false},
    {"chunk too large", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n21\r\n", 413, NULL, NULL, NULL,
     NULL, false},
    {"chunks too large together",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n10\r\n0123456789012345\r\n11\r\n", 413, NULL, NULL,
     NULL, NULL, false},
    {"huge chunk", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413, NULL, NULL, NULL,
     NULL, false},
    {"lone LF after a chunk size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
     400, NULL, NULL, NULL, NULL, false},
    {"chunk longer than its size",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400, NULL, NULL, NULL, NULL,
     false},
    {"lone LF after a chunk", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 400,
     NULL, NULL, NULL, NULL, false},
    {"control character in an extension", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3;\x01\r\nabc",
     400, NULL, NULL, NULL, NULL, false},
    {"malformed trailer", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n", 400, NULL,
     NULL, NULL, NULL, false},
};

static void check_row(size_t i, size_t piece)
{
    static struct parsed p;
    int status;

    parse(&p, rows[i].text, strlen(rows[i].text), piece);
    status = p.step == TF_HTTP_DONE ? 0 : p.step == TF_HTTP_MORE ? -1 : p.parser.status;
    if (status != rows[i].status)
        fail_msg("%s (by %zu): %d instead of %d", rows[i].name, piece, status, rows[i].status);
    if (status) return;
    if (strcmp(p.data + p.parser.method, rows[i].method) != 0 || strcmp(p.data + p.parser.path, rows[i].path) != 0 ||
        strcmp(p.data + p.parser.query, rows[i].query) != 0)
        fail_msg("%s (by %zu): %s %s ? %s", rows[i].name, piece, p.data + p.parser.method, p.data + p.parser.path,
                 p.data + p.parser.query);
    if (p.parser.body_size != strlen(rows[i].body) ||
        memcmp(p.data + p.parser.body, rows[i].body, p.parser.body_size) != 0)
        fail_msg("%s (by %zu): body %.*s", rows[i].name, piece, (int)p.parser.body_size, p.data + p.parser.body);
    assert_int_equal(p.parser.keep_alive, !rows[i].closes);
    assert_int_equal(p.parser.at, p.size);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        check_row(i, BYTES_MAX);
        for (size_t piece = 1; piece <= 7; piece++)
            check_row(i, piece);
    }
}

/* NUL bytes cannot stand in the rows. */
static void test_nul_bytes(void **state)
{
    static const struct {
        const char *name, *text;
        size_t size;
    } with_nul[] = {
#define TEXT(s) s, sizeof(s) - 1
        {"in the method", TEXT("GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n")},
        {"in the target", TEXT("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n")},
        {"in a name", TEXT("GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n")},
        {"in a value", TEXT("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n")},
        {"in a length", TEXT("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\0\r\n\r\nx")},
        {"in a chunk size",
         TEXT("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\0\r\nx\r\n0\r\n\r\n")},
#undef TEXT
    };
    static struct parsed p;

    (void)state;
    for (size_t i = 0; i < TF_COUNT(with_nul); i++)
        for (size_t piece = 1; piece <= BYTES_MAX; piece = piece == 1 ? BYTES_MAX : BYTES_MAX + 1) {
            parse(&p, with_nul[i].text, with_nul[i].size, piece);
            if (p.step != TF_HTTP_REFUSED || p.parser.status != 400) fail_msg("%s: accepted", with_nul[i].name);
        }
}

static void test_header_bound(void **state)
{
    static struct parsed p;
    char text[2 * HEADER_MAX];

    (void)state;
    for (size_t value = HEADER_MAX - 40; value <= HEADER_MAX; value++) {
        int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n", (int)value, 0);
        enum tf_http_step expected = n <= HEADER_MAX ? TF_HTTP_DONE : TF_HTTP_REFUSED;

        for (size_t piece = 1; piece <= sizeof text; piece = piece == 1 ? sizeof text : sizeof text + 1) {
            parse(&p, text, (size_t)n, piece);
            assert_int_equal(p.step, expected);
            if (expected == TF_HTTP_REFUSED) assert_int_equal(p.parser.status, 431);
        }
    }
    /* Without any line end too. */
    memset(text, 'A', sizeof text);
    parse(&p, text, sizeof text, 1);
    assert_int_equal(p.parser.status, 431);
    assert_int_equal(p.size, HEADER_MAX + 1);
    memset(text, '\n', sizeof text);
    for (size_t i = 0; i < sizeof text; i += 2)
        text[i] = '\r';
    parse(&p, text, sizeof text, sizeof text);
    assert_int_equal(p.parser.status, 431);
}

static void test_headers_count(void **state)
{
    static struct parsed p;
    char text[2048];

    (void)state;
    for (int extra = TF_HTTP_HEADERS_MAX - 1; extra <= TF_HTTP_HEADERS_MAX; extra++) {
        int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");

        for (int i = 0; i < extra; i++)
            n += snprintf(text + n, sizeof text - (size_t)n, "A:\r\n");
        n += snprintf(text + n, sizeof text - (size_t)n, "\r\n");
        tf_http_parser_init(&p.parser, sizeof text, BODY_MAX);
        memcpy(p.data, text, (size_t)n);
        p.size = (size_t)n;
        p.step = tf_http_parse(&p.parser, p.data, &p.size);
        assert_int_equal(p.step, extra < TF_HTTP_HEADERS_MAX ? TF_HTTP_DONE : TF_HTTP_REFUSED);
        if (p.step == TF_HTTP_REFUSED) assert_int_equal(p.parser.status, 431);
    }
}

static void test_fields(void **state)
{
    static struct parsed p;
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX-A:  b c \t\r\nx-a:\r\n\r\n";

    (void)state;
    parse(&p, text, sizeof text - 1, 1);
    assert_int_equal(p.step, TF_HTTP_DONE);
    assert_int_equal(p.parser.n_headers, 3);
    assert_string_equal(p.data + p.parser.headers[1].name, "X-A");
    assert_string_equal(p.data + p.parser.headers[1].value, "b c");
    assert_string_equal(p.data + p.parser.headers[2].value, "");
}

/* What follows a request stays untouched, and framing takes no room for long. */
static void test_pipelined(void **state)
{
    static struct parsed p;
    static const char text[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                               "chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\nT: u\r\n\r\nGET /next";

    (void)state;
    parse(&p, text, sizeof text - 1, BYTES_MAX);
    assert_int_equal(p.step, TF_HTTP_DONE);
    assert_memory_equal(p.data + p.parser.body, "ab", 2);
    assert_int_equal(p.parser.at, p.parser.body + 2);
    assert_int_equal(p.size - p.parser.at, 9);
    assert_memory_equal(p.data + p.parser.at, "GET /next", 9);
}

static void test_chunk_overhead(void **state)
{
    static struct parsed p;
    static char text[BYTES_MAX];
    int n = snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    int head = n;

    (void)state;
    for (int i = 0; i < BODY_MAX; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "1;%0100d\r\nx\r\n", 0);
    parse(&p, text, (size_t)n, 1);
    assert_int_equal(p.step, TF_HTTP_MORE); /* 32 × 102 bytes of extensions are allowed */
    assert_true(p.size <= (size_t)head + BODY_MAX + 2);

    n = head;
    for (int i = 0; i < BODY_MAX; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "1;%0200d\r\nx\r\n", 0);
    parse(&p, text, (size_t)n, 1);
    assert_int_equal(p.parser.status, 400);

    n = head + snprintf(text + head, sizeof text - (size_t)head, "1;%0300d", 0); /* an endless line */
    parse(&p, text, (size_t)n, 1);
    assert_int_equal(p.parser.status, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),           cmocka_unit_test(test_nul_bytes), cmocka_unit_test(test_header_bound),
        cmocka_unit_test(test_headers_count),  cmocka_unit_test(test_fields),    cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_chunk_overhead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
