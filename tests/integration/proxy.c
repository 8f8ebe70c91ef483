/* The misbehaving proxy: one thread, one poll loop, a command pipe. */
#include "tests/integration/proxy.h"

#include "common/base/macros.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAIRS_MAX = 128, CHUNK = 64 * 1024, COMMAND_CUT = 100, COMMAND_AIM, COMMAND_STOP };

struct pair {
    int client, server;
};

struct proxy {
    char target[128], next_target[128];
    pthread_t thread;
    int listener, port;
    int commands[2], answers[2];
    enum proxy_mode mode;
    struct pair pairs[PAIRS_MAX];
    size_t n;
};

static int listen_on(int port, int *ret_port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    TF_ASSERT(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    TF_ASSERT(bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 64) == 0);
    TF_ASSERT(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int connect_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    TF_ASSERT(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) return fd;
    close(fd);
    return -1;
}

static int connect_target(const char *target)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    const char *colon = strrchr(target, ':');
    char host[128];
    int fd, one = 1;

    if (target[0] == '/') return connect_path(target);
    TF_ASSERT(colon);
    snprintf(host, sizeof(host), "%.*s", (int)(colon - target), target);
    if (getaddrinfo(host, colon + 1, &hints, &found)) return -1;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    } else {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    freeaddrinfo(found);
    return fd;
}

static void close_pair(struct proxy *proxy, size_t i)
{
    close(proxy->pairs[i].client);
    close(proxy->pairs[i].server);
    proxy->pairs[i] = proxy->pairs[--proxy->n];
}

static void cut_all(struct proxy *proxy)
{
    while (proxy->n)
        close_pair(proxy, 0);
}

static void accept_one(struct proxy *proxy)
{
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC), server, one = 1;

    if (client < 0) return;
    server = proxy->n < PAIRS_MAX ? connect_target(proxy->target) : -1;
    if (server < 0) {
        close(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    proxy->pairs[proxy->n++] = (struct pair){client, server};
}

static bool forward(int from, int to)
{
    static __thread char chunk[CHUNK];
    ssize_t n = recv(from, chunk, sizeof(chunk), 0);

    for (ssize_t done = 0; done < n;) {
        ssize_t sent = send(to, chunk + done, (size_t)(n - done), MSG_NOSIGNAL);

        if (sent < 0) return false;
        done += sent;
    }
    return n > 0;
}

/* False: stop. */
static bool obey(struct proxy *proxy)
{
    unsigned char command;

    if (read(proxy->commands[0], &command, 1) != 1) return false;
    if (command == COMMAND_CUT || command == PROXY_REFUSE || command == COMMAND_STOP) cut_all(proxy);
    if (command == COMMAND_AIM) memcpy(proxy->target, proxy->next_target, sizeof(proxy->target));
    if (command <= PROXY_REFUSE) {
        proxy->mode = command;
        if (proxy->mode == PROXY_REFUSE) {
            close(proxy->listener);
            proxy->listener = -1;
        } else if (proxy->listener < 0) {
            proxy->listener = listen_on(proxy->port, &proxy->port);
        }
    }
    TF_ASSERT(write(proxy->answers[1], &command, 1) == 1);
    return command != COMMAND_STOP;
}

static void *run(void *arg)
{
    struct proxy *proxy = arg;

    for (;;) {
        struct pollfd fds[2 + 2 * PAIRS_MAX];
        bool moves = proxy->mode == PROXY_PASS || proxy->mode == PROXY_MUTE;
        size_t n = proxy->n;

        fds[0] = (struct pollfd){.fd = proxy->commands[0], .events = POLLIN};
        fds[1] = (struct pollfd){.fd = moves ? proxy->listener : -1, .events = POLLIN};
        for (size_t i = 0; i < n; i++) {
            fds[2 + 2 * i] = (struct pollfd){.fd = moves ? proxy->pairs[i].client : -1, .events = POLLIN};
            fds[3 + 2 * i] =
                (struct pollfd){.fd = proxy->mode == PROXY_PASS ? proxy->pairs[i].server : -1, .events = POLLIN};
        }
        if (poll(fds, 2 + 2 * n, -1) < 0) continue;
        for (size_t i = n; i-- > 0;) { /* backwards: closing moves the last one here */
            if (fds[2 + 2 * i].revents && !forward(proxy->pairs[i].client, proxy->pairs[i].server))
                close_pair(proxy, i);
            else if (fds[3 + 2 * i].revents && !forward(proxy->pairs[i].server, proxy->pairs[i].client))
                close_pair(proxy, i);
        }
        if (fds[1].revents) accept_one(proxy);
        if (fds[0].revents && !obey(proxy)) return NULL;
    }
}

static void tell(struct proxy *proxy, unsigned char command)
{
    TF_ASSERT(write(proxy->commands[1], &command, 1) == 1);
    TF_ASSERT(read(proxy->answers[0], &command, 1) == 1);
}

struct proxy *proxy_start(const char *target)
{
    struct proxy *proxy = calloc(1, sizeof(*proxy));

    TF_ASSERT(proxy);
    snprintf(proxy->target, sizeof(proxy->target), "%s", target);
    proxy->listener = listen_on(0, &proxy->port);
    TF_ASSERT(pipe(proxy->commands) == 0 && pipe(proxy->answers) == 0);
    TF_ASSERT(pthread_create(&proxy->thread, NULL, run, proxy) == 0);
    return proxy;
}

void proxy_stop(struct proxy *proxy)
{
    tell(proxy, COMMAND_STOP);
    pthread_join(proxy->thread, NULL);
    if (proxy->listener >= 0) close(proxy->listener);
    for (int i = 0; i < 2; i++) {
        close(proxy->commands[i]);
        close(proxy->answers[i]);
    }
    free(proxy);
}

int proxy_port(const struct proxy *proxy)
{
    return proxy->port;
}

void proxy_set(struct proxy *proxy, enum proxy_mode mode)
{
    tell(proxy, (unsigned char)mode);
}

void proxy_cut(struct proxy *proxy)
{
    tell(proxy, COMMAND_CUT);
}

void proxy_aim(struct proxy *proxy, const char *target)
{
    snprintf(proxy->next_target, sizeof(proxy->next_target), "%s", target);
    tell(proxy, COMMAND_AIM);
}
