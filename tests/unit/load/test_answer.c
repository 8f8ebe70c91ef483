/* The parser of answers by tables: every row is read at once and byte by byte, from memory of its exact size, and must
 * give the same. */
#include "tools/load/answer.h"

#include "common/base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define OK "HTTP/1.1 200 OK\r\n"

static enum answer_step read_at_once(struct answer *a, const char *text, size_t size)
{
    char *exact = malloc(size ? size : 1);
    enum answer_step step;

    assert_non_null(exact);
    memcpy(exact, text, size);
    answer_begin(a);
    step = answer_read(a, exact, size);
    free(exact);
    return step;
}

/* Each time one byte more, at another address. */
static enum answer_step read_by_bytes(struct answer *a, const char *text, size_t size)
{
    enum answer_step step = ANSWER_MORE;

    answer_begin(a);
    for (size_t n = 1; n <= size && step == ANSWER_MORE; n++) {
        char *exact = malloc(n);

        assert_non_null(exact);
        memcpy(exact, text, n);
        step = answer_read(a, exact, n);
        free(exact);
    }
    return step;
}

static const struct {
    const char *name, *text;
    int status;
    const char *body;
    bool closes;
    int retry_after_s;
    size_t beyond; /* bytes of the text after the answer */
} good[] = {
    {"body", OK "Content-Length: 5\r\n\r\nhello", 200, "hello", false, 0, 0},
    {"no body", OK "Content-Length: 0\r\n\r\n", 200, "", false, 0, 0},
    {"204 has none", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, 0, 0},
    {"204 may say so", "HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n", 204, "", false, 0, 0},
    {"no phrase", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", false, 0, 0},
    {"empty phrase", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, "", false, 0, 0},
    {"names in any case", OK "cOnTeNt-LeNgTh:2\r\n\r\nab", 200, "ab", false, 0, 0},
    {"blanks around the value", OK "Content-Length: \t 2 \t\r\n\r\nab", 200, "ab", false, 0, 0},
    {"leading zeros", OK "Content-Length: 0002\r\n\r\nab", 200, "ab", false, 0, 0},
    {"goodbye", OK "Connection: close\r\nContent-Length: 0\r\n\r\n", 200, "", true, 0, 0},
    {"goodbye among words", OK "Connection: foo ,\tClose\r\nContent-Length: 0\r\n\r\n", 200, "", true, 0, 0},
    {"not a goodbye", OK "Connection: closer, enclose\r\nContent-Length: 0\r\n\r\n", 200, "", false, 0, 0},
    {"retry after seconds", "HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 503, "", false, 7, 0},
    {"retry after a date", "HTTP/1.1 503 x\r\nRetry-After: Sun, 22 Nov 2026 18:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
     503, "", false, 0, 0},
    {"interim answers first",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" OK "Content-Length: 1\r\n\r\na", 200, "a",
     false, 0, 0},
    {"bytes beyond the end", OK "Content-Length: 2\r\n\r\nabHTTP/1.1 ", 200, "ab", false, 0, 9},
    {"identity", OK "Content-Encoding: identity\r\nContent-Length: 1\r\n\r\na", 200, "a", false, 0, 0},
    {"empty value", OK "X:\r\nContent-Length: 1\r\n\r\na", 200, "a", false, 0, 0},
    {"body with NUL-like and line ends", OK "Content-Length: 6\r\n\r\n\r\n\r\n\r\n", 200, "\r\n\r\n\r\n", false, 0, 0},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(good); i++) {
        size_t size = strlen(good[i].text);

        for (int bytes = 0; bytes < 2; bytes++) {
            struct answer a;
            enum answer_step step =
                bytes ? read_by_bytes(&a, good[i].text, size) : read_at_once(&a, good[i].text, size);

            if (step != ANSWER_WHOLE || a.status != good[i].status || a.keep_alive == good[i].closes ||
                a.retry_after_s != good[i].retry_after_s || a.size != size - good[i].beyond ||
                a.body_size != strlen(good[i].body) || memcmp(good[i].text + a.body, good[i].body, a.body_size) != 0)
                fail_msg("%s: step %d, status %d, fault %s", good[i].name, step, a.status, a.fault ? a.fault : "none");
        }
    }
}

static const struct {
    const char *name, *text;
} bad[] = {
    {"another protocol", "SSH-2.0-x\r\n\r\n"},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
    {"HTTP/2", "HTTP/2 200\r\nContent-Length: 0\r\n\r\n"},
    {"lower case", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    {"two blanks", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"},
    {"status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"},
    {"status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"},
    {"status with letters", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"},
    {"status below", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"},
    {"status above", "HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"},
    {"another protocol from here", "HTTP/1.1 101 Switching\r\n\r\n"},
    {"not modified, which was not asked", "HTTP/1.1 304 Not Modified\r\n\r\n"},
    {"empty line first", "\r\n" OK "Content-Length: 0\r\n\r\n"},
    {"no length", OK "\r\nbody until the end"},
    {"chunks", OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"chunks and a length", OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"packed", OK "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na"},
    {"two lengths", OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
    {"the same length twice", OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"},
    {"list of lengths", OK "Content-Length: 1, 1\r\n\r\na"},
    {"negative length", OK "Content-Length: -1\r\n\r\n"},
    {"signed length", OK "Content-Length: +1\r\n\r\na"},
    {"hexadecimal length", OK "Content-Length: 0x1\r\n\r\na"},
    {"empty length", OK "Content-Length:\r\n\r\n"},
    {"length beyond 64 bits", OK "Content-Length: 18446744073709551617\r\n\r\na"},
    {"length beyond the bound", OK "Content-Length: 4194305\r\n\r\n"},
    {"204 with a body", "HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\na"},
    {"interim answer with a length", "HTTP/1.1 100 x\r\nContent-Length: 1\r\n\r\na"},
    {"bare line feed", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
    {"bare line feed as a line", OK "Content-Length: 0\r\n\n"},
    {"carriage return within", OK "X: a\rb\r\nContent-Length: 0\r\n\r\n"},
    {"two carriage returns", OK "Content-Length: 0\r\r\n\r\n"},
    {"folded line", OK "X: a\r\n b\r\nContent-Length: 0\r\n\r\n"},
    {"blank before the colon", OK "Content-Length : 0\r\n\r\n"},
    {"no colon", OK "Content-Length 0\r\n\r\n"},
    {"no name", OK ": 0\r\n\r\n"},
    {"control character", OK "X: a\x01\r\nContent-Length: 0\r\n\r\n"},
    {"delete character", OK "X: a\x7f\r\nContent-Length: 0\r\n\r\n"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(bad); i++) {
        struct answer a;

        if (read_at_once(&a, bad[i].text, strlen(bad[i].text)) != ANSWER_BROKEN || !a.fault)
            fail_msg("%s: accepted at once", bad[i].name);
        if (read_by_bytes(&a, bad[i].text, strlen(bad[i].text)) != ANSWER_BROKEN || !a.fault)
            fail_msg("%s: accepted byte by byte", bad[i].name);
    }
}

/* The witness's rule: an answer of which a byte is missing is none. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(good); i++)
        for (size_t n = 0; n < strlen(good[i].text) - good[i].beyond; n++) {
            struct answer a;

            if (read_at_once(&a, good[i].text, n) != ANSWER_MORE)
                fail_msg("%s: decided after %zu bytes", good[i].name, n);
        }
}

static void test_nul_in_head(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n";
    struct answer a;

    (void)state;
    assert_int_equal(read_at_once(&a, text, sizeof text - 1), ANSWER_BROKEN);
}

/* A head without end is given up at its bound, whether in one line or in many. */
static void test_bounds(void **state)
{
    static char long_line[ANSWER_HEAD_MAX + 100] = OK "X: ", many[ANSWER_HEADERS_MAX * 8 + 100] = OK, interim[64000];
    struct answer a;

    (void)state;
    memset(long_line + strlen(long_line), 'a', sizeof long_line - 1 - strlen(long_line));
    assert_int_equal(read_at_once(&a, long_line, sizeof long_line - 1), ANSWER_BROKEN);
    assert_int_equal(read_at_once(&a, long_line, ANSWER_HEAD_MAX), ANSWER_MORE);
    for (int i = 0; i <= ANSWER_HEADERS_MAX; i++)
        strcat(many, "X: y\r\n");
    assert_int_equal(read_at_once(&a, many, strlen(many)), ANSWER_BROKEN);
    many[strlen(many) - 6] = '\0';
    assert_int_equal(read_at_once(&a, many, strlen(many)), ANSWER_MORE);
    for (size_t n = 0; n + 30 < sizeof interim;)
        n += (size_t)snprintf(interim + n, sizeof interim - n, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(read_at_once(&a, interim, strlen(interim)), ANSWER_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),        cmocka_unit_test(test_bad),    cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_nul_in_head), cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
