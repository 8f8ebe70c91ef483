/* Is a part ready? Small blocking probes, each at most half a second. */
#include "deploy/local/local.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int connect_to(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct timeval half = {.tv_usec = 500000};
    struct addrinfo *addresses;
    int fd = -1;

    if (getaddrinfo(host, port, &hints, &addresses)) return -1;
    for (struct addrinfo *a = addresses; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &half, sizeof half);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &half, sizeof half); /* bounds connect too */
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) continue;
        close(fd);
        fd = -1;
    }
    freeaddrinfo(addresses);
    return fd;
}

static int connect_here(int port)
{
    char text[16];

    snprintf(text, sizeof text, "%d", port);
    return connect_to("127.0.0.1", text);
}

bool probe_tcp(const char *host, const char *port)
{
    int fd = connect_to(host, port);

    if (fd < 0) return false;
    close(fd);
    return true;
}

/* Sends `request`; true when the answer begins with `expected` and, unless that is NULL, contains `word`. */
static bool ask(int port, const char *request, const char *expected, const char *word)
{
    char answer[4096] = "";
    size_t have = 0, want = strlen(expected);
    bool found = false;
    ssize_t n;
    int fd = connect_here(port);

    if (fd < 0) return false;
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request))
        while (!found && have < sizeof answer - 1 && (n = recv(fd, answer + have, sizeof answer - 1 - have, 0)) > 0) {
            have += (size_t)n;
            answer[have] = '\0';
            found = have >= want && memcmp(answer, expected, want) == 0 && (!word || strstr(answer, word));
        }
    close(fd);
    return found;
}

bool probe_http(int port, const char *path, const char *word)
{
    char request[256];

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path);
    return ask(port, request, "HTTP/1.1 200", word);
}

bool probe_http_post(int port, const char *path, const char *body)
{
    char request[1024];

    snprintf(request, sizeof request,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
             "Connection: close\r\n\r\n%s",
             path, strlen(body), body);
    return ask(port, request, "HTTP/1.1 200", NULL);
}

bool probe_redis(int port, const char *password)
{
    char request[256];

    snprintf(request, sizeof request, "AUTH %s\r\nPING\r\n", password);
    return ask(port, request, "+OK\r\n+PONG", NULL);
}
