/* Raw sockets for the tests of the server. */
#include "tests/unit/http/raw.h"

#include "common/base/clock.h"
#include "common/base/macros.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEXT_MAX = 16 * 1024 * 1024 };

int raw_connect(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    TF_ASSERT(fd >= 0);
    TF_ASSERT(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

void raw_send_bytes(int fd, const void *data, size_t size)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return; /* the peer has ended: the answer tells why */
        p += n;
        size -= (size_t)n;
    }
}

void raw_send(int fd, const char *text)
{
    raw_send_bytes(fd, text, strlen(text));
}

/* One recv with a deadline: bytes, 0 at the end, -1 for time or reset (*ret_ended). */
static ssize_t receive(int fd, void *out, size_t size, int64_t until_us, bool *ret_ended)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int64_t left_us = until_us - tf_mono_us();
    ssize_t n;

    *ret_ended = false;
    if (left_us <= 0 || poll(&ready, 1, (int)(left_us / 1000 + 1)) <= 0) return -1;
    n = recv(fd, out, size, 0);
    *ret_ended = n <= 0;
    return n;
}

/* The start of the i-th answer, or NULL; only whole ones are passed over. */
static const char *answer_at(const char *text, size_t size, int i)
{
    const char *end = text + size;

    for (;; i--) {
        const char *head = memmem(text, (size_t)(end - text), "\r\n\r\n", 4), *length;
        size_t body = 0;

        if (i == 0) return text;
        if (!head) return NULL;
        length = memmem(text, (size_t)(head - text), "Content-Length: ", 16);
        if (length) body = strtoul(length + 16, NULL, 10);
        if ((size_t)(end - head - 4) < body) return NULL;
        text = head + 4 + body;
    }
}

static char text[TEXT_MAX + 1];
static size_t text_size;

const char *raw_read(int fd, int n_answers, int ms)
{
    int64_t until_us = tf_mono_us() + (int64_t)ms * 1000;
    bool ended = false;

    text_size = 0;
    while (!ended && text_size < TEXT_MAX && !answer_at(text, text_size, n_answers)) {
        ssize_t n = receive(fd, text + text_size, TEXT_MAX - text_size, until_us, &ended);

        if (n <= 0) break;
        text_size += (size_t)n;
    }
    text[text_size] = '\0';
    return text;
}

bool raw_ends(int fd, int ms)
{
    int64_t until_us = tf_mono_us() + (int64_t)ms * 1000;
    char bytes[4096];
    bool ended;

    while (receive(fd, bytes, sizeof bytes, until_us, &ended) > 0)
        ;
    return ended;
}

int raw_status(const char *answers, int i)
{
    const char *answer = answer_at(answers, strlen(answers), i);

    return answer && strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

const char *raw_body(const char *answers, int i)
{
    const char *answer = answer_at(answers, strlen(answers), i);
    const char *head = answer ? strstr(answer, "\r\n\r\n") : NULL;

    return head ? head + 4 : "";
}
