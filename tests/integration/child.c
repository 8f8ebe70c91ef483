/* Children of a test. */
#include "tests/integration/child.h"

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

pid_t child_spawn(const char *log, const char *const argv[])
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    assert_true(pid >= 0);
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing stays behind a test that dies */
    if (log) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

int child_stop(pid_t *pid, int signal)
{
    int status = 0;

    if (*pid <= 0) return 0;
    kill(*pid, signal);
    waitpid(*pid, &status, 0);
    *pid = 0;
    return status;
}

bool listens(void *address)
{
    const char *port = strchr(address, ':') + 1;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool up = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;

    close(fd);
    return up;
}
