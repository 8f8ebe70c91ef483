/* The socket by which a running supervisor is told what to change: one line there, lines of progress back, at last "ok"
 * or "error …". Only the account that owns the installation may connect. */
#include "deploy/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    COMMAND_MS = 2000, /* for a client to say what it wants */
    CLIENTS_WAITING = 4,
    SEND_S = 1,     /* a client that does not read is told no more */
    ANSWER_S = 120, /* longer than any instance's end and start, which tell a line each */
};

/* One client at a time says its line; the next one waits in the socket's queue. */
static struct {
    int listener, client; /* -1: none */
    int64_t until_ms;     /* how long the client may take */
    char command[COMMAND_MAX];
    size_t n;
} control = {-1, -1, 0, "", 0};

/* The socket's address, by way of its opened directory: a home's path may be longer than an address holds. The
 * directory is to be closed afterwards; -1: not there. */
static int control_address(const struct local *l, struct sockaddr_un *out)
{
    char path[600];
    int directory;

    snprintf(path, sizeof path, "%s/run", l->home);
    directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/control", directory);
    return directory;
}

static bool control_bind(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(077);
    bool ok;

    unlink(address->sun_path); /* of a supervisor that was killed; the lock says that we are alone */
    ok = bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 && listen(fd, CLIENTS_WAITING) == 0;
    umask(before);
    return ok;
}

bool control_open(const struct local *l)
{
    struct sockaddr_un address;
    int directory = control_address(l, &address), fd;
    bool ok;

    if (directory < 0) return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ok = fd >= 0 && control_bind(fd, &address);
    close(directory);
    if (ok)
        control.listener = fd;
    else if (fd >= 0)
        close(fd);
    return ok;
}

void control_close(const struct local *l)
{
    struct sockaddr_un address;
    int directory = control_address(l, &address);

    if (directory >= 0) {
        unlink(address.sun_path);
        close(directory);
    }
    if (control.client >= 0) close(control.client);
    close(control.listener);
    control.client = control.listener = -1;
}

static void take_client(void)
{
    struct timeval patience = {.tv_sec = SEND_S};

    control.client = accept4(control.listener, NULL, NULL, SOCK_CLOEXEC);
    if (control.client < 0) return;
    (void)setsockopt(control.client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    control.n = 0;
    control.until_ms = mono_ms() + COMMAND_MS;
}

/* The line is whole: it is carried out, or refused. */
static void carry_out(struct local *l)
{
    FILE *out = fdopen(control.client, "w");

    if (!out) {
        close(control.client);
    } else if (rolling_busy()) {
        fputs("error another change is being made; when it is done, ask again\n", out);
        fclose(out);
    } else {
        rolling_begin(l, control.command, out);
    }
    control.client = -1;
}

void control_serve(struct local *l)
{
    char *end = NULL;
    ssize_t n;

    if (control.client < 0) take_client();
    if (control.client < 0) return;
    n = recv(control.client, control.command + control.n, sizeof control.command - 1 - control.n, MSG_DONTWAIT);
    if (n > 0) {
        control.n += (size_t)n;
        control.command[control.n] = '\0';
        end = strchr(control.command, '\n');
    }
    if (end) {
        *end = '\0';
        carry_out(l);
    } else if (n == 0 || (n < 0 && errno != EAGAIN) || control.n == sizeof control.command - 1 ||
               mono_ms() > control.until_ms) {
        close(control.client);
        control.client = -1;
    }
}

static int control_connect(const struct local *l)
{
    struct timeval patience = {.tv_sec = ANSWER_S};
    struct sockaddr_un address;
    int directory = control_address(l, &address), fd;

    if (directory < 0) return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address)) {
        int failure = errno;

        close(fd);
        errno = failure;
        fd = -1;
    }
    close(directory);
    if (fd >= 0) (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

/* Prints what the supervisor says; an exit status. */
static int follow(FILE *answers)
{
    char line[1024];

    while (fgets(line, sizeof line, answers)) {
        if (strcmp(line, "ok\n") == 0) return 0;
        if (strncmp(line, "error ", 6) == 0) {
            fputs(line + 6, stderr);
            return 1;
        }
        fputs(line, stdout);
        fflush(stdout);
    }
    fputs("the supervisor says no more; ./ticketflow status shows what runs\n", stderr);
    return 1;
}

int control_send(const struct local *l, const char *command)
{
    char line[COMMAND_MAX];
    int fd, n = snprintf(line, sizeof line, "%s\n", command), result;
    FILE *answers;

    if (n >= (int)sizeof line) {
        fputs("too many words\n", stderr);
        return 64;
    }
    if (!home_supervisor(l->home)) {
        puts("TicketFlow is not running.");
        return 3;
    }
    fd = control_connect(l);
    answers = fd < 0 ? NULL : fdopen(fd, "r");
    if (!answers || send(fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
        fprintf(stderr, "the supervisor cannot be reached at %s/run/control: %s\n", l->home, strerror(errno));
        if (answers)
            fclose(answers);
        else if (fd >= 0)
            close(fd);
        return 1;
    }
    result = follow(answers);
    fclose(answers);
    return result;
}
