/* Children: started with a minimal environment, their own log file and a signal for the day on which we die. */
#include "deploy/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ENV_MAX = 96 };

int64_t mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sleep_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

/* In the child: never returns. */
TF_NORETURN static void become(const struct spawn *s, pid_t parent, int in)
{
    char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C.UTF-8";
    char home[300] = "HOME=/";
    char *env[ENV_MAX];
    sigset_t none;
    int n = 0, log;

    if (s->user && geteuid() == 0) {
        struct passwd *pw = getpwnam(s->user);

        if (!pw || setgroups(0, NULL) || setgid(pw->pw_gid) || setuid(pw->pw_uid)) _exit(126);
        snprintf(home, sizeof home, "HOME=%s", pw->pw_dir);
    } else if (getenv("HOME")) {
        snprintf(home, sizeof home, "HOME=%s", getenv("HOME"));
    }
    prctl(PR_SET_PDEATHSIG, s->death_signal); /* after the change of user, which clears it */
    if (getppid() != parent) _exit(125);      /* the parent died in between */
    setsid();
    umask(077);
    log = open(s->log_path ? s->log_path : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log < 0) log = open("/dev/null", O_WRONLY);
    dup2(in, 0);
    dup2(log, 1);
    dup2(log, 2);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    env[n++] = path;
    env[n++] = lang;
    env[n++] = home;
    for (int i = 0; s->env && s->env[i] && n < ENV_MAX - 1; i++)
        env[n++] = (char *)(uintptr_t)s->env[i];
    env[n] = NULL;
    if (chdir(s->directory ? s->directory : "/")) _exit(124);
    execve(s->argv[0], (char *const *)(uintptr_t)s->argv, env);
    _exit(127);
}

/* The log belongs to the account that writes it. */
static void log_prepare(const struct spawn *s)
{
    struct passwd *pw = s->user && geteuid() == 0 ? getpwnam(s->user) : NULL;
    int fd = open(s->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0) return;
    if (pw && fchown(fd, pw->pw_uid, pw->pw_gid)) perror(s->log_path);
    close(fd);
}

pid_t process_spawn(const struct spawn *s)
{
    pid_t parent = getpid(), pid;
    int in[2];

    if (pipe2(in, O_CLOEXEC)) return -1;
    if (s->log_path) log_prepare(s);
    pid = fork();
    if (pid == 0) become(s, parent, in[0]);
    close(in[0]);
    if (pid > 0 && s->stdin_text) {
        size_t n = strlen(s->stdin_text);

        signal(SIGPIPE, SIG_IGN);
        if (write(in[1], s->stdin_text, n) != (ssize_t)n) fprintf(stderr, "short write to %s\n", s->argv[0]);
    }
    close(in[1]);
    return pid;
}

bool process_reap(pid_t pid, int timeout_ms, int *ret_status)
{
    int64_t until = mono_ms() + timeout_ms;

    for (;;) {
        pid_t got = waitpid(pid, ret_status, WNOHANG);

        if (got == pid || (got < 0 && errno == ECHILD)) return true;
        if (mono_ms() >= until) return false;
        sleep_ms(10);
    }
}

int process_run(const struct spawn *s, int timeout_ms)
{
    int status = 0;
    pid_t pid = process_spawn(s);

    if (pid < 0) return -1;
    if (!process_reap(pid, timeout_ms, &status)) {
        kill(pid, SIGKILL);
        process_reap(pid, 5000, &status);
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void process_signal(pid_t pid, int signal_number)
{
    kill(pid, signal_number);
    kill(pid, SIGCONT); /* a stopped child cannot obey */
}

void process_stop(pid_t pid, int signal_number, int grace_ms)
{
    int status;

    if (pid <= 0) return;
    process_signal(pid, signal_number);
    if (process_reap(pid, grace_ms, &status)) return;
    kill(pid, SIGKILL);
    process_reap(pid, 5000, &status);
}
