/* tf-local: one installation on one machine.
 *
 *   tf-local start  --home DIR [--base-port N] [--set PART.NAME=VALUE]… [--pg DSN] [--redis ADDR] [--etcd ADDR] [--stores-only]
 *   tf-local stop   --home DIR
 *   tf-local status --home DIR [--json]
 *
 * start leaves a supervisor in the background, which restarts parts that crash (100 ms to 2 s, reset after 10 s alive), and returns when all parts
 * serve (0), when something failed (1: what had started is stopped again) or when it runs already (2). */
#include "deploy/local/local.h"

#include "common/crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY_TIMEOUT_MS = 60000, BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 2000, BACKOFF_RESET_MS = 10000, STOP_GRACE_MS = 15000, OVERRIDES_MAX = 64 };

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
        snprintf(p->why, sizeof p->why, "cannot start: %s", strerror(errno));
        return false;
    }
    set_state(l, p, PART_STARTING);
    return true;
}

static bool ready(struct local *l, struct part *p)
{
    return p->kind == STORE ? store_ready(l, p) : service_ready(p);
}

/* Waits until every part of the kind serves. Parts start side by side; one that dies fails the start. */
static bool wait_ready(struct local *l, enum part_kind kind)
{
    int64_t until = mono_ms() + READY_TIMEOUT_MS;

    for (;;) {
        int waiting = 0;

        for (int i = 0; i < PARTS; i++) {
            struct part *p = &l->parts[i];
            int status;

            if (p->kind != kind || p->state != PART_STARTING) continue;
            if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
                p->pid = 0;
                set_state(l, p, PART_STOPPED);
                say(l, "  %-8s stopped during its start (status %d); see %s/log/%s.log", p->name,
                    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), l->home, p->name);
                return false;
            }
            if (ready(l, p)) {
                p->ready_ms = mono_ms();
                set_state(l, p, PART_RUNNING);
                say(l, "  %-8s serves on 127.0.0.1:%d  (%d ms)", p->name, p->port, (int)(p->ready_ms - p->started_ms));
            } else {
                waiting++;
            }
        }
        if (!waiting) return true;
        if (stop_asked) return false;
        if (mono_ms() > until) {
            for (int i = 0; i < PARTS; i++)
                if (l->parts[i].kind == kind && l->parts[i].state == PART_STARTING)
                    say(l, "  %-8s is not ready after %d s; see %s/log/%s.log", l->parts[i].name, READY_TIMEOUT_MS / 1000, l->home, l->parts[i].name);
            return false;
        }
        sleep_ms(20);
    }
}

static bool start_kind(struct local *l, enum part_kind kind)
{
    for (int i = 0; i < PARTS; i++) {
        struct part *p = &l->parts[i];

        if (p->kind != kind || p->state == PART_EXTERNAL) continue;
        if (!start_part(l, p)) {
            say(l, "  %-8s %s", p->name, p->why);
            return false;
        }
    }
    return wait_ready(l, kind);
}

/* Ports that somebody else holds are named before anything is started. */
static bool ports_free(struct local *l)
{
    bool ok = true;

    for (int i = 0; i < PARTS; i++) {
        struct part *p = &l->parts[i];

        if (p->state == PART_EXTERNAL) continue;
        if (port_in_use(p->port)) {
            say(l, "port %d (%s) is in use by another program; choose other ports with --base-port", p->port, p->name);
            ok = false;
        }
        if (p->admin_port && port_in_use(p->admin_port)) {
            say(l, "port %d (%s, metrics) is in use by another program; choose other ports with --base-port", p->admin_port, p->name);
            ok = false;
        }
    }
    return ok;
}

/* Migrations of all services, side by side. */
static bool migrate(struct local *l)
{
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

        if (pids[i] <= 0) continue;
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
            say(l, "  %-8s migrations failed; see %s/log/%s.log", l->parts[i].name, l->home, l->parts[i].name);
            ok = false;
        }
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

static bool start_all(struct local *l)
{
    int64_t begun = mono_ms();

    if (!ports_free(l) || !secrets_make(l)) return false;
    say(l, "Starting PostgreSQL, Redis and etcd");
    if (!start_kind(l, STORE)) return false;
    if (l->stores_only) return true;
    if (!stores_prepare(l)) return false;
    say(l, "Migrating the databases");
    if (!migrate(l)) return false;
    say(l, "Starting the services");
    if (!start_kind(l, SERVICE)) return false;
    say(l, "All parts serve after %.1f s.", (double)(mono_ms() - begun) / 1000);
    return true;
}

/* A child ended: plan its restart. */
static void child_ended(struct local *l, pid_t pid, int status)
{
    for (int i = 0; i < PARTS; i++) {
        struct part *p = &l->parts[i];
        int64_t now = mono_ms();

        if (p->pid != pid) continue;
        if (now - p->started_ms > BACKOFF_RESET_MS || p->backoff_ms == 0) p->backoff_ms = BACKOFF_MIN_MS;
        else p->backoff_ms = TF_MIN(p->backoff_ms * 2, BACKOFF_MAX_MS);
        fprintf(stderr, "%s (pid %d) ended with status %d; again in %d ms\n", p->name, (int)pid, status, p->backoff_ms);
        p->pid = 0;
        p->restart_at_ms = now + p->backoff_ms;
        p->restarts++;
        set_state(l, p, PART_BACKOFF);
        return;
    }
}

static void watch(struct local *l)
{
    while (!stop_asked) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            child_ended(l, pid, status);
        for (int i = 0; i < PARTS; i++) {
            struct part *p = &l->parts[i];

            if (p->state == PART_BACKOFF && mono_ms() >= p->restart_at_ms) {
                if (!start_part(l, p)) p->restart_at_ms = mono_ms() + BACKOFF_MAX_MS;
            } else if (p->state == PART_STARTING && ready(l, p)) {
                set_state(l, p, PART_RUNNING);
            }
        }
        sleep_ms(50);
    }
}

static bool make_home(struct local *l)
{
    static const char *const dirs[] = {"", "/log", "/run", "/sandbox"};

    for (size_t i = 0; i < TF_COUNT(dirs); i++) {
        char path[600];

        snprintf(path, sizeof path, "%s%s", l->home, dirs[i]);
        if (mkdir(path, i == 0 || i == 2 ? 0755 : 0700) && errno != EEXIST) {
            fprintf(stderr, "cannot make %s: %s\n", path, strerror(errno));
            return false;
        }
    }
    return true;
}

/* The lock says that a supervisor lives; it is held as long as the process. -1: another holds it. */
static int take_lock(struct local *l)
{
    char path[600];
    int fd;

    snprintf(path, sizeof path, "%s/run/lock", l->home);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return -1;
    }
    if (ftruncate(fd, 0) || dprintf(fd, "%d\n", (int)getpid()) < 0) perror(path);
    return fd;
}

static void forget_status(const struct local *l)
{
    char path[600];

    snprintf(path, sizeof path, "%s/run/status", l->home);
    unlink(path);
}

/* The background process. Tells the result by one byte after the progress lines. */
TF_NORETURN static void supervise(struct local *l, int progress_fd)
{
    char path[600];
    int log, lock;
    bool ok;

    setsid();
    lock = take_lock(l);
    if (lock < 0) {
        dprintf(progress_fd, "%c", 2);
        _exit(2);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    snprintf(path, sizeof path, "%s/log/supervisor.log", l->home);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0) {
        int null = open("/dev/null", O_RDONLY);

        dup2(null, 0);
        dup2(log, 1);
        dup2(log, 2);
    }
    fcntl(progress_fd, F_SETFD, FD_CLOEXEC);
    l->progress = fdopen(progress_fd, "w");
    signal(SIGTERM, on_stop);
    signal(SIGINT, on_stop);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    ok = start_all(l);
    if (!ok) {
        stop_all(l);
        forget_status(l);
    }
    fprintf(l->progress, "%c", ok ? 1 : 3);
    fclose(l->progress);
    l->progress = NULL;
    if (!ok) _exit(1);
    watch(l);
    stop_all(l);
    forget_status(l);
    _exit(0);
}

static int start(struct local *l)
{
    int fds[2], result = 3;
    char c;

    if (!make_home(l) || pipe2(fds, O_CLOEXEC)) return 1;
    fflush(NULL);
    switch (fork()) {
    case -1:
        perror("fork");
        return 1;
    case 0:
        close(fds[0]);
        supervise(l, fds[1]);
    default:
        close(fds[1]);
    }
    while (read(fds[0], &c, 1) == 1) {
        if (c <= 3) result = c;
        else putchar(c);
        if (c == '\n') fflush(stdout);
    }
    if (result == 2) return 2;
    return result == 1 ? 0 : 1;
}

static int stop(struct local *l)
{
    char path[600];
    int pid = 0, fd;
    FILE *f;

    snprintf(path, sizeof path, "%s/run/lock", l->home);
    f = fopen(path, "re");
    if (!f || fscanf(f, "%d", &pid) != 1) pid = 0;
    if (f) fclose(f);
    fd = access(path, F_OK) == 0 ? take_lock(l) : 0;
    if (fd >= 0 || pid <= 1) { /* nobody holds the lock */
        puts("TicketFlow is not running.");
        return 0;
    }
    kill(pid, SIGTERM);
    for (int64_t until = mono_ms() + 60000; mono_ms() < until; sleep_ms(50))
        if (take_lock(l) >= 0) {
            puts("Stopped.");
            return 0;
        }
    fprintf(stderr, "the supervisor (pid %d) does not stop; see %s/log/supervisor.log\n", pid, l->home);
    return 1;
}

static int usage(void)
{
    fputs("usage: tf-local start|stop|status --home DIR [--base-port N] [--set PART.NAME=VALUE]… [--pg DSN] [--redis ADDR] [--etcd ADDR] [--stores-only] [--json]\n", stderr);
    return 64;
}

int main(int argc, char **argv)
{
    static struct local l = {.base_port = 17000};
    static const char *overrides[OVERRIDES_MAX + 1];
    int n_overrides = 0;
    bool json = false;
    ssize_t n;
    char *slash;

    if (argc < 2) return usage();
    for (int i = 2; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--json") == 0) {
            json = true;
            continue;
        }
        if (strcmp(argv[i], "--stores-only") == 0) {
            l.stores_only = true;
            continue;
        }
        if (!value) return usage();
        i++;
        if (strcmp(argv[i - 1], "--home") == 0) snprintf(l.home, sizeof l.home, "%s", value);
        else if (strcmp(argv[i - 1], "--base-port") == 0) l.base_port = atoi(value);
        else if (strcmp(argv[i - 1], "--set") == 0 && n_overrides < OVERRIDES_MAX) overrides[n_overrides++] = value;
        else if (strcmp(argv[i - 1], "--pg") == 0) l.external_pg = value;
        else if (strcmp(argv[i - 1], "--redis") == 0) l.external_redis = value;
        else if (strcmp(argv[i - 1], "--etcd") == 0) l.external_etcd = value;
        else return usage();
    }
    if (l.home[0] != '/' || strlen(l.home) > 400 || l.base_port < 1024 || l.base_port > 65000) return usage();
    if (strcmp(argv[1], "status") == 0) return status_print(l.home, json);
    n = readlink("/proc/self/exe", l.bin, sizeof l.bin - 1);
    TF_ASSERT(n > 0);
    l.bin[n] = '\0';
    slash = strrchr(l.bin, '/');
    *slash = '\0';
    l.overrides = overrides;
    if (!tf_crypto_init()) return 1;
    parts_init(&l);
    if (strcmp(argv[1], "start") == 0) return start(&l);
    if (strcmp(argv[1], "stop") == 0) return stop(&l);
    return usage();
}
