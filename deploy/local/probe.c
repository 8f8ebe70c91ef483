/* Is a part ready? Small blocking probes over loopback, each at most half a second. */
#include "deploy/local/local.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int connect_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval half = {.tv_usec = 500000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) return -1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &half, sizeof half);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &half, sizeof half);
    if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
        close(fd);
        return -1;
    }
    return fd;
}

bool probe_tcp(int port)
{
    int fd = connect_to(port);

    if (fd < 0) return false;
    close(fd);
    return true;
}

/* Sends `request`; true when the answer begins with `expected`. */
static bool ask(int port, const char *request, const char *expected)
{
    char answer[64];
    size_t have = 0, want = strlen(expected);
    ssize_t n;
    int fd = connect_to(port);

    if (fd < 0) return false;
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request))
        while (have < want && (n = recv(fd, answer + have, sizeof answer - have, 0)) > 0)
            have += (size_t)n;
    close(fd);
    return have >= want && memcmp(answer, expected, want) == 0;
}

bool probe_http(int port, const char *path)
{
    char request[256];

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path);
    return ask(port, request, "HTTP/1.1 200");
}

bool probe_redis(int port)
{
    return ask(port, "PING\r\n", "+PONG");
}
