/* HTTP/1.1 answers by RFC 9112, without I/O: bytes in, a whole answer or a fault out.
 *
 * Strict, because what the client notes as acknowledged is evidence: an answer counts only when its end is known and
 * has arrived. What two readers could understand differently is a fault, and so is what our requests never ask for:
 * Transfer-Encoding, Content-Encoding, an answer that ends with its connection. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ANSWER_HEAD_MAX = 16 << 10, /* bytes, interim answers included */
    ANSWER_HEADERS_MAX = 100,
    ANSWER_BODY_MAX = 4 << 20,
};

enum answer_step {
    ANSWER_MORE,   /* all is well so far */
    ANSWER_WHOLE,  /* the answer is the first `size` bytes */
    ANSWER_BROKEN, /* `fault` says why; nothing that follows on the connection can be understood */
};

struct answer {
    int status; /* 200–599 */
    bool keep_alive;
    int retry_after_s;      /* 0: not said, or said as a date */
    size_t body, body_size; /* where in the bytes */
    size_t size;            /* of the whole */
    const char *fault;      /* a literal */
    /* the parser's own */
    size_t at, line; /* next byte to look at; start of the present line */
    int n_headers;
    bool head_done, has_length;
};

void answer_begin(struct answer *answer);
/* To be called with all bytes since answer_begin whenever some were added; they may have moved. */
enum answer_step answer_read(struct answer *answer, const char *bytes, size_t size);
