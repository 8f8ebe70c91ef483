/* HTTP/1.1 requests by RFC 9112, without I/O: bytes in, a request or a refusal out. For this room only.
 *
 * The caller keeps all bytes of one request in one growing array and calls tf_http_parse whenever some were added; the
 * array may move between calls. The parser works in place: it ends names and values with NUL bytes and joins chunks, so
 * positions in the parser are offsets into the array. What two readers could understand differently is refused. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TF_HTTP_HEADERS_MAX = 100 };

enum tf_http_step {
    TF_HTTP_MORE,    /* all is well so far */
    TF_HTTP_DONE,    /* the request is whole; bytes from `at` on belong to the next one */
    TF_HTTP_REFUSED, /* answer `status` and close; when head_done, the header is good and can be read */
};

struct tf_http_parser {
    size_t header_max, body_max;
    int state;
    int status;     /* when refused */
    size_t at;      /* next byte to look at */
    size_t line;    /* start of the present line */
    bool head_done; /* the header is whole and acceptable; a body may follow */
    bool minor_0;   /* HTTP/1.0 */
    bool keep_alive, expects_continue;
    bool has_length, chunked, has_host;
    uint32_t method, path, query;
    struct {
        uint32_t name, value;
    } headers[TF_HTTP_HEADERS_MAX];
    size_t n_headers;
    size_t body, body_size; /* chunked: what is joined so far */
    uint64_t left;          /* of the body, or of the present chunk */
    size_t overhead;        /* bytes of chunk extensions and trailers so far */
};

void tf_http_parser_init(struct tf_http_parser *parser, size_t header_max, size_t body_max);
/* *size may shrink, by the framing bytes of chunks. */
enum tf_http_step tf_http_parse(struct tf_http_parser *parser, char *data, size_t *size);
