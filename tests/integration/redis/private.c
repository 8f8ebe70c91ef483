/* The private redis-server of a test. */
#include "tests/integration/redis/private.h"

#include "tests/integration/fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 10000 };

static bool listens(void *arg)
{
    struct private_redis *server = arg;
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), status;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons((uint16_t)atoi(strchr(server->address, ':') + 1));
    status = connect(fd, (struct sockaddr *)&at, sizeof at);
    close(fd);
    return status == 0;
}

void private_redis_start(struct private_redis *server, const char *password)
{
    char port[16];

    snprintf(port, sizeof port, "%d", free_port());
    snprintf(server->address, sizeof server->address, "127.0.0.1:%s", port);
    snprintf(server->directory, sizeof server->directory, "/tmp/tf-test-redis-XXXXXX");
    assert_non_null(mkdtemp(server->directory));
    server->pid = fork();
    if (server->pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", server->directory,
               "--save", "", "--appendonly", "no", "--requirepass", password, (char *)NULL);
        _exit(127);
    }
    wait_until(listens, server, START_MS, "redis-server");
}

void private_redis_stop(struct private_redis *server)
{
    if (!server->pid) return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
    assert_int_equal(rmdir(server->directory), 0);
}
