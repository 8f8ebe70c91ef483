/* Listening sockets: one for each loop, all on one port. */
#include "common/http/loop.h"

#include "common/base/macros.h"
#include "common/base/text.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, ERROR_BYTES = 256 };

static bool fail(const char **ret_error, const char *address, const char *why)
{
    static _Thread_local char text[ERROR_BYTES];

    snprintf(text, sizeof text, "cannot listen on %s: %s", address, why);
    *ret_error = text;
    return false;
}

/* "host:port", "[v6]:port". */
static struct addrinfo *resolve(const char *address, const char **ret_why)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    const char *colon = strrchr(address, ':');
    char host[256];
    int64_t port;
    size_t n = colon ? (size_t)(colon - address) : 0;
    int status;

    *ret_why = "not of the form host:port";
    if (!colon || n == 0 || n >= sizeof host) return NULL;
    if (!tf_parse_int64(colon + 1, &port) || port < 0 || port > UINT16_MAX) return NULL; /* getaddrinfo would wrap it */
    memcpy(host, address, n);
    host[n] = '\0';
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        memmove(host, host + 1, n - 1);
    }
    status = getaddrinfo(host, colon + 1, &hints, &found);
    if (status == 0) return found;
    *ret_why = gai_strerror(status);
    return NULL;
}

static void set_port(struct sockaddr_storage *at, int port)
{
    if (at->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)at)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)at)->sin_port = htons((uint16_t)port);
}

static int bound_port(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof at;

    if (getsockname(fd, (struct sockaddr *)&at, &size) != 0) return 0;
    return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                          : ((struct sockaddr_in *)&at)->sin_port);
}

/* A bound socket, or -1 with errno. Connections inherit SO_REUSEADDR: those that linger after we are gone (TIME_WAIT)
 * must not keep our successor from the port. */
static int bind_one(const struct sockaddr_storage *at, socklen_t size, bool shared)
{
    int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == 0 &&
        (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) == 0) &&
        bind(fd, (const struct sockaddr *)at, size) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The kernel lets another process share a port by SO_REUSEPORT; we want that only among our own loops. Listening
 * without it fails when anybody listens there. Returns the port, or 0. */
static int probe(const struct sockaddr_storage *at, socklen_t size)
{
    int fd = bind_one(at, size, false), port;

    if (fd < 0) return 0;
    port = bound_port(fd);
    if (listen(fd, 1) != 0) port = 0; /* two may bind; only one may listen */
    close(fd);
    return port;
}

bool tf_http_listen(const char *address, size_t n, int *ret_listeners, int *ret_port, const char **ret_error)
{
    struct sockaddr_storage at = {0};
    struct addrinfo *found;
    const char *why;
    socklen_t size;
    size_t made = 0;
    int port;

    found = resolve(address, &why);
    if (!found) return fail(ret_error, address, why);
    size = found->ai_addrlen;
    memcpy(&at, found->ai_addr, size);
    freeaddrinfo(found);

    port = probe(&at, size);
    set_port(&at, port);
    for (; port && made < n; made++) {
        ret_listeners[made] = bind_one(&at, size, true);
        if (ret_listeners[made] < 0) break;
        if (listen(ret_listeners[made], BACKLOG) != 0) {
            close(ret_listeners[made]);
            break;
        }
    }
    if (made == n && port) {
        *ret_port = port;
        return true;
    }
    why = strerror(errno);
    while (made > 0)
        close(ret_listeners[--made]);
    return fail(ret_error, address, why);
}
