/* The supervisor: starts the parts, watches them, restarts what dies, stops everything. One thread, which looks around
 * every 50 ms. */
#include "deploy/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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
    ORPHAN_PATIENCE_MS = 5000,
    POLL_MS = 50,
    LOGS_MS = 1000,
};

static volatile sig_atomic_t stop_asked;

static void on_stop(int signal_number)
{
    (void)signal_number;
    stop_asked = 1;
}

/* Asked to stop, or nobody reads the progress of the start any more. */
static bool given_up(struct local *l)
{
    struct pollfd reader = {.fd = l->progress ? fileno(l->progress) : -1};

    if (l->progress && poll(&reader, 1, 0) > 0 && reader.revents & (POLLERR | POLLHUP)) stop_asked = 1;
    return stop_asked != 0;
}

void supervisor_set_state(struct local *l, struct part *p, enum part_state state)
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
    supervisor_set_state(l, p, PART_STARTING);
    part_ask_version(l, p); /* while it starts */
    return true;
}

static bool ready(struct local *l, struct part *p)
{
    return p->kind == STORE ? store_ready(l, p) : service_ready(p);
}

static int stop_signal(const struct part *p)
{
    return p->kind == STORE ? store_stop_signal(p) : SIGTERM;
}

static int exit_number(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Waits until every part of the kind serves. Parts start side by side; one that dies fails the start. */
static bool wait_ready(struct local *l, enum part_kind kind)
{
    int64_t until = mono_ms() + READY_TIMEOUT_MS;

    for (;;) {
        const struct part *waiting = NULL;

        for (struct part *p = NULL; (p = part_next(l, p));) {
            int status;

            if (p->kind != kind || p->state != PART_STARTING) continue;
            if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
                p->pid = 0;
                supervisor_set_state(l, p, PART_STOPPED);
                if (given_up(l)) return false;
                progress_say(l, "  %-9s stopped during its start (status %d)", p->name, exit_number(status));
                progress_say_log(l, p->name);
                return false;
            }
            if (ready(l, p)) {
                supervisor_set_state(l, p, PART_RUNNING);
                progress_say(l, "  %-9s serves on 127.0.0.1:%d  (%d ms)", p->name, p->port,
                             (int)(mono_ms() - p->started_ms));
            } else {
                waiting = p;
            }
        }
        if (!waiting) return true;
        if (given_up(l)) return false;
        if (mono_ms() > until) {
            progress_say(l, "  %-9s is not ready after %d s", waiting->name, READY_TIMEOUT_MS / 1000);
            progress_say_log(l, waiting->name);
            return false;
        }
        sleep_ms(10);
    }
}

static bool start_kind(struct local *l, enum part_kind kind)
{
    for (struct part *p = NULL; (p = part_next(l, p));) {
        if (p->kind != kind || p->state == PART_EXTERNAL) continue;
        if (!start_part(l, p)) {
            progress_say(l, "  %-9s cannot be started", p->name);
            progress_say_log(l, p->name);
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
        struct part *p = part_first(l, i);
        char path[700];

        snprintf(path, sizeof path, "%s/secrets/pg-%s.password", l->home, p->service);
        if (p->kind == SERVICE && access(path, F_OK) == 0) pids[i] = service_start(l, p, "--migrate");
    }
    for (int i = 0; i < PARTS; i++) {
        int status = 0;
        bool ended = pids[i] <= 0;

        while (!ended && mono_ms() < until && !given_up(l))
            ended = process_reap(pids[i], POLL_MS, &status);
        if (!ended) process_stop(pids[i], SIGTERM, STOP_GRACE_MS);
        if (ended && pids[i] >= 0 && status == 0) continue;
        ok = false;
        if (given_up(l)) continue;
        progress_say(l, "  %-9s %s", part_service(i),
                     ended ? "migrations failed" : "migrations are not done after 10 minutes");
        progress_say_log(l, part_service(i));
    }
    return ok;
}

/* Services in reverse order one after the other (callers before callees), then the stores; the instances of a part side
 * by side. */
static void stop_all(struct local *l)
{
    for (int which = PARTS - 1; which >= 0; which--) {
        struct part *first = part_first(l, which);

        for (struct part *p = first; p < first + INSTANCES_MAX; p++)
            if (p->pid > 0) process_signal(p->pid, stop_signal(p));
        for (struct part *p = first; p < first + INSTANCES_MAX; p++) {
            if (p->state == PART_ABSENT || p->state == PART_EXTERNAL) continue;
            process_stop(p->pid, stop_signal(p), STOP_GRACE_MS);
            p->pid = 0;
            supervisor_set_state(l, p, PART_STOPPED);
        }
    }
}

/* The last moment of a start: parts that serve are found by each other. */
static bool wait_connected(struct local *l)
{
    int64_t until = mono_ms() + CONNECTED_TIMEOUT_MS;
    const struct part *first = part_first(l, PART_gateway);

    for (const struct part *gateway = first; gateway < first + INSTANCES_MAX; gateway++) {
        bool reaches = gateway->state == PART_ABSENT;

        while (!reaches && mono_ms() < until && !given_up(l)) {
            reaches = probe_http(gateway->port, "/v1/programs", NULL);
            if (!reaches) sleep_ms(10);
        }
        if (given_up(l)) return false;
        if (reaches) continue;
        progress_say(l, "  %-9s does not reach program", gateway->name);
        progress_say_log(l, gateway->name);
        return false;
    }
    return true;
}

static bool start_all(struct local *l)
{
    int64_t begun = mono_ms();

    if (!leftovers_end(l) || !ports_all_free(l) || !secrets_make(l) || given_up(l)) return false;
    if (!stores_external_answer(l)) return false;
    if (!l->external_pg || !l->external_redis || !l->external_etcd) progress_say(l, "Starting the stores");
    if (!start_kind(l, STORE)) return false;
    if (l->stores_only) return true;
    if (!stores_prepare(l) || given_up(l)) return false;
    progress_say(l, "Migrating the databases");
    if (!migrate(l)) return false;
    progress_say(l, "Starting the services");
    if (!start_kind(l, SERVICE) || !wait_connected(l)) return false;
    progress_say(l, "All parts serve after %.1f s.", (double)(mono_ms() - begun) / 1000);
    return true;
}

/* A child ended: as it was told, or its restart is planned. */
static void child_ended(struct local *l, pid_t pid, int status)
{
    for (struct part *p = NULL; (p = part_next(l, p));) {
        int64_t now = mono_ms();

        if (p->pid != pid) continue;
        if (p->state == PART_STOPPING) {
            progress_note(p->name, "(pid %d) ended with status %d, as it was told", (int)pid, exit_number(status));
            p->pid = 0;
            p->backoff_ms = 0;
            supervisor_set_state(l, p, PART_STOPPED);
            return;
        }
        if (now - p->started_ms > BACKOFF_RESET_MS || p->backoff_ms == 0)
            p->backoff_ms = BACKOFF_MIN_MS;
        else
            p->backoff_ms = TF_MIN(p->backoff_ms * 2, BACKOFF_MAX_MS);
        progress_note(p->name, "(pid %d) ended with status %d; again in %d ms", (int)pid, exit_number(status),
                      p->backoff_ms);
        p->pid = 0;
        p->restart_at_ms = now + p->backoff_ms;
        p->kill_at_ms = 0;
        p->restarts++;
        supervisor_set_state(l, p, PART_BACKOFF);
        return;
    }
}

/* What the crashed server left must go first: PostgreSQL refuses to start beside a backend of its former self. Those
 * end by themselves, unless they are busy or were stopped. */
static bool leftovers_gone(struct local *l, struct part *p)
{
    pid_t old = leftover_of(l, p);

    if (!old) return true;
    p->restart_at_ms = mono_ms() + BACKOFF_MIN_MS;
    if (!p->kill_at_ms) {
        p->kill_at_ms = mono_ms() + ORPHAN_PATIENCE_MS;
        progress_note(p->name, "waits for what it left (pid %d)", (int)old);
    } else if (mono_ms() > p->kill_at_ms) {
        progress_note(p->name, "(pid %d) was left and does not end; it is killed", (int)old);
        kill(old, SIGKILL);
    }
    return false;
}

static void restart_part(struct local *l, struct part *p)
{
    if (!leftovers_gone(l, p)) return;
    p->kill_at_ms = 0;
    if (start_part(l, p)) {
        progress_note(p->name, "started (pid %d)", (int)p->pid);
        return;
    }
    progress_note(p->name, "cannot be started: %s", strerror(errno));
    p->restart_at_ms = mono_ms() + BACKOFF_MAX_MS;
}

void supervisor_drain(struct local *l, struct part *p)
{
    p->kill_at_ms = mono_ms() + STOP_GRACE_MS;
    if (p->pid <= 0) { /* it crashed, and its restart is called off */
        supervisor_set_state(l, p, PART_STOPPED);
        return;
    }
    supervisor_set_state(l, p, PART_STOPPING);
    process_signal(p->pid, stop_signal(p));
}

void supervisor_raise(struct local *l, struct part *p)
{
    p->restart_at_ms = mono_ms();
    p->backoff_ms = 0;
    p->kill_at_ms = 0;
    supervisor_set_state(l, p, PART_BACKOFF);
}

/* What is due for one instance. */
static void look_at(struct local *l, struct part *p)
{
    int64_t now = mono_ms();

    switch (p->state) {
    case PART_BACKOFF:
        if (now >= p->restart_at_ms) restart_part(l, p);
        break;
    case PART_STARTING:
        if (ready(l, p)) supervisor_set_state(l, p, PART_RUNNING);
        break;
    case PART_STOPPING:
        if (!p->kill_at_ms || now < p->kill_at_ms) break;
        progress_note(p->name, "(pid %d) did not end within %d s and is killed", (int)p->pid, STOP_GRACE_MS / 1000);
        p->kill_at_ms = 0;
        process_signal(p->pid, SIGKILL);
        break;
    default:
        break;
    }
}

static void watch(struct local *l)
{
    int64_t logs_at = 0;

    while (!stop_asked) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            child_ended(l, pid, status);
        for (struct part *p = NULL; (p = part_next(l, p));)
            look_at(l, p);
        control_serve(l);
        rolling_step(l);
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

TF_NORETURN void supervisor_run(struct local *l, int progress_fd)
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
    if (!scale_keep(l)) fprintf(stderr, "the number of instances is not kept: %s\n", strerror(errno));
    l->progress = fdopen(progress_fd, "w");
    TF_ASSERT(l->progress);
    ok = start_all(l) && !given_up(l);
    if (ok && !control_open(l)) {
        progress_say(l, "cannot listen for commands in %s/run: %s", l->home, strerror(errno));
        ok = false;
    }
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
    control_close(l);
    rolling_abandon(l);
    stop_all(l);
    status_forget(l);
    _exit(0);
}
