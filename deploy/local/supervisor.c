/* The supervisor: starts the parts, watches them, restarts what dies, stops everything. One thread, which looks around
 * every 50 ms. */
#include "deploy/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    READY_TIMEOUT_MS = 60000,
    CONNECTED_TIMEOUT_MS = 10000,
    MIGRATE_TIMEOUT_MS = 600000,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 2000,
    BACKOFF_RESET_MS = 10000,
    STOP_GRACE_MS = 15000,
    POLL_MS = 50,
    LOGS_MS = 1000,
    LOG_LINES_SHOWN = 3,
};

static volatile sig_atomic_t stop_asked;

static void on_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

void say(struct local *l, const char *format, ...)
{
    FILE *out = l->progress ? l->progress : stderr;
    va_list args;

    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    fputc('\n', out);
    fflush(out);
}

/* Asked to stop, or nobody reads the progress of the start any more. */
static bool given_up(struct local *l)
{
    struct pollfd reader = {.fd = l->progress ? fileno(l->progress) : -1};

    if (l->progress && poll(&reader, 1, 0) > 0 && reader.revents & (POLLERR | POLLHUP)) stop_asked = 1;
    return stop_asked != 0;
}

static void set_state(struct local *l, struct part *p, enum part_state state)
{
    p->state = state;
    p->since = time(NULL);
    status_write(l);
}

static bool start_part(struct local *l, struct part *p)
{
    p->started_ms = mono_ms();
    p->pid = p->kind == STORE ? store_start(l, p) : service_start(l, p, NULL);
    if (p->pid < 0) {
        p->pid = 0;
        return false;
    }
    set_state(l, p, PART_STARTING);
    part_ask_version(l, p); /* while it starts */
    return true;
}

static bool ready(struct local *l, struct part *p)
{
    return p->kind == STORE ? store_ready(l, p) : service_ready(p);
}

static int exit_number(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The end of a part's log, where it said why it could not go on. */
static void show_log(struct local *l, const char *name)
{
    char path[600], bytes[4096];
    size_t n, at;
    FILE *f;

    snprintf(path, sizeof path, "%s/log/%s.log", l->home, name);
    f = fopen(path, "re");
    if (!f) return;
    if (fseek(f, -(long)(sizeof bytes - 1), SEEK_END)) rewind(f);
    n = fread(bytes, 1, sizeof bytes - 1, f);
    fclose(f);
    while (n > 0 && bytes[n - 1] == '\n')
        n--;
    bytes[n] = '\0';
    at = n;
    for (int lines = 0; at > 0; at--)
        if (bytes[at - 1] == '\n' && ++lines == LOG_LINES_SHOWN) break;
    say(l, "  the end of %s:", path);
    for (char *save, *line = strtok_r(bytes + at, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        say(l, "    %s", line);
}

/* Waits until every part of the kind serves. Parts start side by side; one that dies fails the start. */
static bool wait_ready(struct local *l, enum part_kind kind)
{
    int64_t until = mono_ms() + READY_TIMEOUT_MS;

    for (;;) {
        const struct part *waiting = NULL;

        for (int i = 0; i < PARTS; i++) {
            struct part *p = &l->parts[i];
            int status;

            if (p->kind != kind || p->state != PART_STARTING) continue;
            if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
                p->pid = 0;
                set_state(l, p, PART_STOPPED);
                if (given_up(l)) return false;
                say(l, "  %-8s stopped during its start (status %d)", p->name, exit_number(status));
                show_log(l, p->name);
                return false;
            }
            if (ready(l, p)) {
                set_state(l, p, PART_RUNNING);
                say(l, "  %-8s serves on 127.0.0.1:%d  (%d ms)", p->name, p->port, (int)(mono_ms() - p->started_ms));
            } else {
                waiting = p;
            }
        }
        if (!waiting) return true;
        if (given_up(l)) return false;
        if (mono_ms() > until) {
            say(l, "  %-8s is not ready after %d s", waiting->name, READY_TIMEOUT_MS / 1000);
            show_log(l, waiting->name);
            return false;
        }
        sleep_ms(10);
    }
}

static bool start_kind(struct local *l, enum part_kind kind)
{
    for (int i = 0; i < PARTS; i++) {
        struct part *p = &l->parts[i];

        if (p->kind != kind || p->state == PART_EXTERNAL) continue;
        if (!start_part(l, p)) {
            say(l, "  %-8s cannot be started", p->name);
            show_log(l, p->name);
            return false;
        }
    }
    return wait_ready(l, kind);
}

/* Migrations of all services, side by side. */
static bool migrate(struct local *l)
{
    int64_t until = mono_ms() + MIGRATE_TIMEOUT_MS;
    pid_t pids[PARTS] = {0};
    bool ok = true;

    for (int i = 0; i < PARTS; i++) {
        struct part *p = &l->parts[i];
        char path[700];

        snprintf(path, sizeof path, "%s/secrets/pg-%s.password", l->home, p->name);
        if (p->kind == SERVICE && access(path, F_OK) == 0) pids[i] = service_start(l, p, "--migrate");
    }
    for (int i = 0; i < PARTS; i++) {
        int status = 0;
        bool ended = pids[i] <= 0;

        while (!ended && mono_ms() < until && !given_up(l))
            ended = reap(pids[i], POLL_MS, &status);
        if (!ended) stop_pid(pids[i], SIGTERM, STOP_GRACE_MS);
        if (ended && pids[i] >= 0 && status == 0) continue;
        ok = false;
        if (given_up(l)) continue;
        say(l, "  %-8s %s", l->parts[i].name, ended ? "migrations failed" : "migrations are not done after 10 minutes");
        show_log(l, l->parts[i].name);
    }
    return ok;
}

/* Services in reverse order one after the other (callers before callees), then the stores. */
static void stop_all(struct local *l)
{
    for (int i = PARTS - 1; i >= 0; i--) {
        struct part *p = &l->parts[i];

        if (p->state == PART_EXTERNAL) continue;
        stop_pid(p->pid, p->kind == STORE ? store_stop_signal(p) : SIGTERM, STOP_GRACE_MS);
        p->pid = 0;
        set_state(l, p, PART_STOPPED);
    }
}

/* The last moment of a start: parts that serve are found by each other. */
static bool wait_connected(struct local *l)
{
    const struct part *gateway = &l->parts[PART_gateway];

    for (int64_t until = mono_ms() + CONNECTED_TIMEOUT_MS; mono_ms() < until && !given_up(l); sleep_ms(10))
        if (probe_http(gateway->port, "/v1/programs", NULL)) return true;
    if (given_up(l)) return false;
    say(l, "  %-8s does not reach program", gateway->name);
    show_log(l, gateway->name);
    return false;
}

static bool start_all(struct local *l)
{
    int64_t begun = mono_ms();

    if (!leftovers_end(l) || !ports_free(l) || !secrets_make(l) || given_up(l)) return false;
    if (!stores_external_answer(l)) return false;
    if (!l->external_pg || !l->external_redis || !l->external_etcd) say(l, "Starting the stores");
    if (!start_kind(l, STORE)) return false;
    if (l->stores_only) return true;
    if (!stores_prepare(l) || given_up(l)) return false;
    say(l, "Migrating the databases");
    if (!migrate(l)) return false;
    say(l, "Starting the services");
    if (!start_kind(l, SERVICE) || !wait_connected(l)) return false;
    say(l, "All parts serve after %.1f s.", (double)(mono_ms() - begun) / 1000);
    return true;
}

static void note(const struct part *p, const char *format, ...) TF_PRINTF(2, 3);
static void note(const struct part *p, const char *format, ...)
{
    time_t now = time(NULL);
    struct tm utc;
    va_list args;

    gmtime_r(&now, &utc);
    fprintf(stderr, "%04d-%02d-%02dT%02d:%02d:%02dZ %s ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
            utc.tm_min, utc.tm_sec, p->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* A child ended: plan its restart. */
static void child_ended(struct local *l, pid_t pid, int status)
{
    for (int i = 0; i < PARTS; i++) {
        struct part *p = &l->parts[i];
        int64_t now = mono_ms();

        if (p->pid != pid) continue;
        if (now - p->started_ms > BACKOFF_RESET_MS || p->backoff_ms == 0)
            p->backoff_ms = BACKOFF_MIN_MS;
        else
            p->backoff_ms = TF_MIN(p->backoff_ms * 2, BACKOFF_MAX_MS);
        note(p, "(pid %d) ended with status %d; again in %d ms", (int)pid, exit_number(status), p->backoff_ms);
        p->pid = 0;
        p->restart_at_ms = now + p->backoff_ms;
        p->restarts++;
        set_state(l, p, PART_BACKOFF);
        return;
    }
}

/* What the crashed server left must go first: PostgreSQL refuses to start beside a backend of its former self. */
static void restart_part(struct local *l, struct part *p)
{
    pid_t old = leftover(l, p);

    if (old) {
        p->restart_at_ms = mono_ms() + BACKOFF_MIN_MS;
        return;
    }
    if (start_part(l, p)) {
        note(p, "started again (pid %d)", (int)p->pid);
        return;
    }
    note(p, "cannot be started: %s", strerror(errno));
    p->restart_at_ms = mono_ms() + BACKOFF_MAX_MS;
}

static void watch(struct local *l)
{
    int64_t logs_at = 0;

    while (!stop_asked) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            child_ended(l, pid, status);
        for (int i = 0; i < PARTS; i++) {
            struct part *p = &l->parts[i];

            if (p->state == PART_BACKOFF && mono_ms() >= p->restart_at_ms)
                restart_part(l, p);
            else if (p->state == PART_STARTING && ready(l, p))
                set_state(l, p, PART_RUNNING);
        }
        if (mono_ms() >= logs_at) {
            logs_rotate(l);
            logs_at = mono_ms() + LOGS_MS;
        }
        sleep_ms(POLL_MS);
    }
}

static void go_to_background(struct local *l)
{
    char path[600];
    int log, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    prctl(PR_SET_CHILD_SUBREAPER, 1); /* what PostgreSQL leaves becomes ours */
    snprintf(path, sizeof path, "%s/log/supervisor.log", l->home);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(null, 0);
    dup2(log >= 0 ? log : null, 1);
    dup2(log >= 0 ? log : null, 2);
    setlinebuf(stderr);
    signal(SIGTERM, on_stop);
    signal(SIGINT, on_stop);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (chdir("/")) perror("/");
}

TF_NORETURN void supervise(struct local *l, int progress_fd)
{
    bool ok;

    setsid();
    for (int fd = 3; fd < 1024; fd++) /* nothing of whoever called us is kept open */
        if (fd != progress_fd) close(fd);
    switch (home_lock(l)) {
    case LOCK_OURS:
        break;
    case LOCK_HELD:
        dprintf(progress_fd, "%c", REPORT_RUNS_ALREADY);
        _exit(2);
    case LOCK_FAILED:
        dprintf(progress_fd, "cannot write %s/run/lock: %s\n%c", l->home, strerror(errno), REPORT_FAILED);
        _exit(1);
    }
    go_to_background(l);
    l->progress = fdopen(progress_fd, "w");
    TF_ASSERT(l->progress);
    ok = start_all(l) && !given_up(l);
    if (ok) {
        fprintf(l->progress, "%c", REPORT_SERVES);
        ok = fflush(l->progress) == 0; /* else whoever asked for the start is gone */
    }
    if (!ok) {
        stop_all(l);
        status_forget(l);
        fprintf(l->progress, "%c", REPORT_FAILED);
        fflush(l->progress);
        _exit(1);
    }
    fclose(TF_TAKE(l->progress));
    watch(l);
    stop_all(l);
    status_forget(l);
    _exit(0);
}
