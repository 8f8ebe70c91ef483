/* tf-local: one installation on one machine.
 *
 *   tf-local start  --home DIR [--base-port N] [--set PART.NAME=VALUE]… [--pg DSN] [--redis ADDR] [--etcd ADDR]
 *                   [--log-bytes N] [--scale PART=N,…] [--stores-only]
 *   tf-local stop   --home DIR
 *   tf-local status --home DIR [--json]
 *   tf-local scale  --home DIR PART=N…           that many instances of these parts, kept for the next start
 *   tf-local restart --home DIR PART|PART-N|all… one instance after the other
 *   tf-local run    --home DIR [as start] SERVICE [ARGUMENT]…     the service's program in its environment
 *
 * start leaves a supervisor in the background, which restarts parts that crash (after 100 ms to 2 s, anew after 10 s
 * alive), and returns when all parts serve (0), when something failed (1: what had started is stopped again), when it
 * runs already (2) or when it was interrupted (130: likewise stopped). */
#include "deploy/local/local.h"

#include "common/base/text.h"
#include "common/crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OVERRIDES_MAX = 64,
    BASE_PORT_MAX = 65300, /* the ports of parts.def fit above */
    STOP_TIMEOUT_MS = 90000,
    LOG_BYTES = 32 << 20, /* times four generations, times eleven logs: at most 1.4 GiB; an instance more: 128 MiB */
    LOG_BYTES_MIN = 1 << 12,
    LOG_BYTES_MAX = 1 << 30,
};

static volatile sig_atomic_t interrupted, supervisor_pid;

/* The supervisor has a session of its own and does not hear Ctrl-C: it is told. Its report ends when it has stopped
 * what had started. */
static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
    if (supervisor_pid > 0) kill((pid_t)supervisor_pid, SIGTERM);
}

static int start(struct local *l)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    int fds[2], result = REPORT_FAILED;
    pid_t pid;
    char c;

    if (!home_make(l) || pipe2(fds, O_CLOEXEC)) return 1;
    fflush(NULL);
    pid = fork();
    if (pid < 0) {
        perror("fork");
        return 1;
    }
    if (pid == 0) {
        close(fds[0]);
        supervisor_run(l, fds[1]);
    }
    close(fds[1]);
    supervisor_pid = pid;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    while (read(fds[0], &c, 1) == 1) {
        if (c <= REPORT_FAILED)
            result = c;
        else
            putchar(c);
        if (c == '\n') fflush(stdout);
    }
    if (result == REPORT_RUNS_ALREADY) {
        printf("TicketFlow runs already in %s (supervisor %d); nothing was changed.\n", l->home,
               (int)home_supervisor(l->home));
        return 2;
    }
    if (interrupted) {
        puts("Interrupted; what had started is stopped again.");
        return 130;
    }
    return result == REPORT_SERVES ? 0 : 1;
}

/* A process that ended and waits for its parent is not. */
static bool alive(pid_t pid)
{
    char path[64], target[8];

    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    return readlink(path, target, sizeof target) >= 0;
}

static int stop(struct local *l)
{
    pid_t pid = home_supervisor(l->home);

    if (pid == 0) {
        puts("TicketFlow is not running.");
        return 0;
    }
    if (kill(pid, SIGTERM)) {
        fprintf(stderr, "the supervisor (pid %d) cannot be told to stop: %s\n", (int)pid, strerror(errno));
        return 1;
    }
    for (int64_t until = mono_ms() + STOP_TIMEOUT_MS; mono_ms() < until; sleep_ms(20))
        if (home_supervisor(l->home) == 0 && !alive(pid)) {
            puts("Stopped.");
            return 0;
        }
    fprintf(stderr, "the supervisor (pid %d) does not stop; see %s/log/supervisor.log\n", (int)pid, l->home);
    return 1;
}

static int usage(void)
{
    fputs("usage: tf-local start|stop|status|scale|restart|run --home DIR [--base-port N] [--set PART.NAME=VALUE]… "
          "[--pg DSN] "
          "[--redis ADDR] [--etcd ADDR] [--log-bytes N] [--scale PART=N,…] [--stores-only] [--json] "
          "[PART=N…|PART…|SERVICE [ARGUMENT]…]\n",
          stderr);
    return 64;
}

/* Commands behind whose options words of their own follow. */
static bool takes_words(const char *command)
{
    return strcmp(command, "run") == 0 || strcmp(command, "scale") == 0 || strcmp(command, "restart") == 0;
}

/* The running supervisor is told "scale order=2" or "restart order-2". */
static int change(const struct local *l, const char *command, char **words)
{
    char line[COMMAND_MAX];
    size_t n = (size_t)snprintf(line, sizeof line, "%s", command);

    for (; *words && n < sizeof line; words++)
        n += (size_t)snprintf(line + n, sizeof line - n, " %s", *words);
    if (n < sizeof line) return control_send(l, line);
    fputs("too many words\n", stderr);
    return 64;
}

/* PART.NAME=VALUE with a part that exists ("*": all of them). */
static bool override_valid(const char *text)
{
    size_t part = strcspn(text, "."), name = strcspn(text, "=");
    static const char *const names[] = {
#define PART(part_name, kind, port, admin, settings) kind == SERVICE ? #part_name : NULL,
#include "deploy/local/parts.def"
#undef PART
    };

    if (text[name] == '\0' || part + 1 >= name) return false;
    if (part == 1 && text[0] == '*') return true;
    for (size_t i = 0; i < TF_COUNT(names); i++)
        if (names[i] && strlen(names[i]) == part && memcmp(names[i], text, part) == 0) return true;
    return false;
}

/* Directory of this program: the others lie beside it. */
static bool find_programs(struct local *l)
{
    ssize_t n = readlink("/proc/self/exe", l->bin, sizeof l->bin - 1);
    char *slash;

    if (n <= 0) return false;
    l->bin[n] = '\0';
    slash = strrchr(l->bin, '/');
    *slash = '\0';
    return true;
}

int main(int argc, char **argv)
{
    static struct local l = {.base_port = 17000, .log_bytes = LOG_BYTES};
    static const char *overrides[OVERRIDES_MAX + 1];
    int n_overrides = 0, words = 0; /* position of the command's own */
    const char *scale = NULL;
    bool json = false;
    char error[200];

    if (argc < 2) return usage();
    for (int i = 2; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        int64_t number;

        if (name[0] != '-' && takes_words(argv[1])) {
            words = i;
            break;
        }
        if (strcmp(name, "--json") == 0) {
            json = true;
            continue;
        }
        if (strcmp(name, "--stores-only") == 0) {
            l.stores_only = true;
            continue;
        }
        if (!value) return usage();
        i++;
        if (strcmp(name, "--home") == 0) {
            snprintf(l.home, sizeof l.home, "%s", value);
        } else if (strcmp(name, "--base-port") == 0) {
            if (!tf_parse_int64(value, &number) || number < 1024 || number > BASE_PORT_MAX) {
                fprintf(stderr, "--base-port %s: a number from 1024 to %d\n", value, BASE_PORT_MAX);
                return 64;
            }
            l.base_port = (int)number;
        } else if (strcmp(name, "--log-bytes") == 0) {
            if (!tf_parse_int64(value, &l.log_bytes) || l.log_bytes < LOG_BYTES_MIN || l.log_bytes > LOG_BYTES_MAX) {
                fprintf(stderr, "--log-bytes %s: a number from %d to %d\n", value, LOG_BYTES_MIN, LOG_BYTES_MAX);
                return 64;
            }
        } else if (strcmp(name, "--set") == 0 && n_overrides < OVERRIDES_MAX) {
            if (!override_valid(value)) {
                fprintf(stderr, "--set %s: is not PART.NAME=VALUE with a service of parts.def (or *) as PART\n", value);
                return 64;
            }
            overrides[n_overrides++] = value;
        } else if (strcmp(name, "--scale") == 0) {
            scale = value;
        } else if (strcmp(name, "--pg") == 0) {
            l.external_pg = value;
        } else if (strcmp(name, "--redis") == 0) {
            l.external_redis = value;
        } else if (strcmp(name, "--etcd") == 0) {
            l.external_etcd = value;
        } else {
            return usage();
        }
    }
    if (l.home[0] != '/' || strlen(l.home) > 400) {
        fputs("--home: an absolute path of at most 400 bytes\n", stderr);
        return 64;
    }
    if (l.external_pg && strstr(l.external_pg, "://")) {
        fputs("--pg: give the connection as keywords, \"host=… port=… user=… dbname=…\", because each service adds its "
              "own database and role\n",
              stderr);
        return 64;
    }
    if (strcmp(argv[1], "status") == 0) return status_print(l.home, json);
    l.overrides = overrides;
    if (!find_programs(&l) || !tf_crypto_init()) return 1;
    scale_read(&l);
    if (scale && !scale_parse(&l, scale, l.counts, error, sizeof error)) {
        fprintf(stderr, "--scale: %s\n", error);
        return 64;
    }
    parts_init(&l);
    if (strcmp(argv[1], "start") == 0) return start(&l);
    if (strcmp(argv[1], "stop") == 0) return stop(&l);
    if (!words) return usage();
    if (strcmp(argv[1], "run") == 0) return service_become(&l, argv[words], argv + words + 1);
    return change(&l, argv[1], argv + words);
}
