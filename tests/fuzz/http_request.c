/* The request parser: however the bytes arrive, the outcome is the same, and nothing lies outside them. The first byte
 * says how many come at a time. */
#include "tests/fuzz/fuzz.h"

#include "common/base/macros.h"
#include "common/http/parser.h"

#include <string.h>

#define HOST "Host: a\r\n"

const char *const fuzz_seeds[] = {
    "\001GET /a?b=c HTTP/1.1\r\n" HOST "X: y\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n",
    "\002POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
    "\003POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\nrest",
    "\005GET http://h/p HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "\007POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    NULL,
};
const char *const fuzz_words[] = {
    "\r\n",
    "\r",
    "\n",
    "\r\n\r\n",
    ": ",
    "Content-Length: 1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "0\r\n\r\n",
    "ffffffff\r\n",
    "1\r\na\r\n",
    HOST,
    " HTTP/1.1",
    "Connection: close\r\n",
    "\t",
    "http://",
    "?",
    NULL,
};

enum { HEADER_MAX = 1024, BODY_MAX = 64 };

struct outcome {
    struct tf_http_parser parser;
    enum tf_http_step step;
    char *data;
    size_t size, fed;
};

static struct outcome parse(const uint8_t *data, size_t size, size_t piece)
{
    struct outcome o = {.step = TF_HTTP_MORE, .data = malloc(size + 1)};

    TF_ASSERT(o.data);
    tf_http_parser_init(&o.parser, HEADER_MAX, BODY_MAX);
    while (o.fed < size && o.step == TF_HTTP_MORE) {
        size_t n = TF_MIN(piece, size - o.fed);

        memcpy(o.data + o.size, data + o.fed, n);
        o.size += n;
        o.fed += n;
        o.step = tf_http_parse(&o.parser, o.data, &o.size);
        TF_ASSERT(o.parser.at <= o.size && o.size <= o.fed);
    }
    return o;
}

static bool same_text(const struct outcome *a, const struct outcome *b, uint32_t at_a, uint32_t at_b)
{
    return strcmp(a->data + at_a, b->data + at_b) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;

    if (size == 0) return 0;
    whole = parse(data + 1, size - 1, size);
    pieces = parse(data + 1, size - 1, data[0] % 16 + 1);
    TF_ASSERT(whole.step == pieces.step && whole.parser.status == pieces.parser.status);
    if (whole.step == TF_HTTP_DONE) {
        const struct tf_http_parser *a = &whole.parser, *b = &pieces.parser;

        TF_ASSERT(a->body_size == b->body_size && a->body_size <= BODY_MAX && a->body + a->body_size <= a->at);
        TF_ASSERT(memcmp(whole.data + a->body, pieces.data + b->body, a->body_size) == 0);
        TF_ASSERT(a->n_headers == b->n_headers && a->keep_alive == b->keep_alive && a->body <= HEADER_MAX);
        TF_ASSERT(same_text(&whole, &pieces, a->method, b->method) && same_text(&whole, &pieces, a->path, b->path) &&
                  same_text(&whole, &pieces, a->query, b->query));
        for (size_t i = 0; i < a->n_headers; i++)
            TF_ASSERT(same_text(&whole, &pieces, a->headers[i].name, b->headers[i].name) &&
                      same_text(&whole, &pieces, a->headers[i].value, b->headers[i].value));
    }
    if (whole.step == TF_HTTP_REFUSED) { /* with a good header the server still answers the request by its name */
        TF_ASSERT(whole.parser.head_done == pieces.parser.head_done);
        if (whole.parser.head_done)
            TF_ASSERT(same_text(&whole, &pieces, whole.parser.method, pieces.parser.method) &&
                      same_text(&whole, &pieces, whole.parser.path, pieces.parser.path));
    }
    free(whole.data);
    free(pieces.data);
    return 0;
}
