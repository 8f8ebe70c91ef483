/* The load client's parser of answers, and what it reads in them: however the bytes arrive, the outcome is the same, a
 * whole answer lies within them, and one byte less is never one. The first byte says how many come at a time. */
#include "tests/fuzz/fuzz.h"

#include "common/base/macros.h"
#include "tools/load/answer.h"

#include <stdlib.h>
#include <string.h>

#define OK "HTTP/1.1 200 OK\r\n"

const char *const fuzz_seeds[] = {
    "\001" OK "Content-Length: 5\r\nConnection: close\r\n\r\nhelloHTTP/1.1 ",
    "\002HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 0\r\n\r\n",
    "\003HTTP/1.1 204 \r\n\r\n",
    "\005HTTP/1.1 503 x\r\nRetry-After: 3\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\n\r\n{}",
    "\007" OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    NULL,
};
const char *const fuzz_words[] = {
    "\r\n", "\r",         "\n",    "\r\n\r\n", ": ",  "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n",
    OK,     "HTTP/1.1 1", " 204 ", " 304 ",    "\t ", "Connection: close\r\n", "Content-Encoding: identity\r\n",
    ",",    "4194304",    NULL,
};

/* The first `fed` bytes decided. Each piece is read in memory of its exact size. */
static enum answer_step read_pieces(struct answer *a, const uint8_t *data, size_t size, size_t piece, size_t *ret_fed)
{
    enum answer_step step = ANSWER_MORE;

    answer_begin(a);
    *ret_fed = 0;
    while (*ret_fed < size && step == ANSWER_MORE) {
        char *exact;

        *ret_fed += TF_MIN(piece, size - *ret_fed);
        exact = malloc(*ret_fed);
        TF_ASSERT(exact);
        memcpy(exact, data, *ret_fed);
        step = answer_read(a, exact, *ret_fed);
        free(exact);
    }
    return step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer whole, pieces, cut;
    enum answer_step step;
    size_t fed;

    if (size < 2) return 0;
    step = read_pieces(&whole, data + 1, size - 1, size, &fed);
    TF_ASSERT(read_pieces(&pieces, data + 1, size - 1, data[0] % 16 + 1, &fed) == step);
    TF_ASSERT((step == ANSWER_BROKEN) == (whole.fault != NULL));
    if (step != ANSWER_WHOLE) return 0;
    TF_ASSERT(whole.status >= 200 && whole.status <= 599 && whole.body <= ANSWER_HEAD_MAX + 1);
    TF_ASSERT(whole.body + whole.body_size == whole.size && whole.size <= size - 1);
    TF_ASSERT(whole.status == pieces.status && whole.body == pieces.body && whole.size == pieces.size &&
              whole.keep_alive == pieces.keep_alive && whole.retry_after_s == pieces.retry_after_s);
    TF_ASSERT(read_pieces(&cut, data + 1, whole.size - 1, whole.size, &fed) == ANSWER_MORE);
    return 0;
}
