/* The local supervisor: what its files share. One process per installation ("home"), children on private loopback
 * ports. */
#pragma once

#include "common/base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum part_kind { STORE, SERVICE };
/* ABSENT: an instance that nobody wants. STOPPING: it was told to end and drains. */
enum part_state { PART_ABSENT, PART_STOPPED, PART_STARTING, PART_RUNNING, PART_STOPPING, PART_BACKOFF, PART_EXTERNAL };

enum {
#define PART(name, kind, port, admin, settings) PART_##name,
#include "deploy/local/parts.def"
#undef PART
    PARTS
};

enum {
    INSTANCES_MAX = 8,    /* of a part */
    INSTANCE_PORTS = 200, /* the ports of an instance lie this far behind those of the one before it */
    PORT_HIGHEST = 190,   /* of parts.def */
    ROWS_MAX = PARTS * INSTANCES_MAX,
};

/* A part has one process, or several: its instances. */
struct part {
    char name[24];       /* of the instance: "order", "order-2" … */
    const char *service; /* of the part: "order" */
    int which, instance; /* PART_…; 1 to INSTANCES_MAX */
    enum part_kind kind;
    int port, admin_port; /* admin 0: none */
    const char *settings; /* template, see parts.def */
    enum part_state state;
    pid_t pid;
    int64_t started_ms, restart_at_ms; /* monotonic */
    int64_t kill_at_ms;                /* when our patience with its end, or with its leftovers, is over; 0: it was */
    int64_t since;                     /* Unix seconds */
    int restarts, backoff_ms;          /* after crashes */
    char version[64];                  /* as its program says; "" until asked */
};

struct local {
    char home[512], bin[512]; /* state directory; directory of the programs */
    int base_port;
    int64_t log_bytes;          /* a log that is larger gives way to an empty one */
    bool stores_only;           /* for tests: PostgreSQL, Redis and etcd without services */
    struct part rows[ROWS_MAX]; /* all instances of a part side by side, also those that are absent */
    int counts[PARTS];          /* instances that are wanted */
    const char *external_pg, *external_redis, *external_etcd; /* or NULL: ours */
    const char *const *overrides;                             /* "order.hold_floor_s=2", NULL-ended */
    FILE *progress;                                           /* where start-up is reported; NULL once it is over */
};

/* ---- progress.c ---- */
/* Tells a line to whoever waits for what is being done, or to the supervisor's log when nobody does. */
void progress_say(struct local *l, const char *format, ...) TF_PRINTF(2, 3);
/* A line with the time in the supervisor's log. */
void progress_note(const char *who, const char *format, ...) TF_PRINTF(2, 3);
/* The end of a part's log, where it said why it could not go on. */
void progress_say_log(struct local *l, const char *name);

/* ---- supervisor.c ---- */
/* The background process: starts everything, reports to progress_fd, then watches until SIGTERM. The last byte it
 * reports is one of these. */
enum { REPORT_SERVES = 1, REPORT_RUNS_ALREADY = 2, REPORT_FAILED = 3 };
TF_NORETURN void supervisor_run(struct local *l, int progress_fd);
/* Tells a part to end, after what it has under way; it is STOPPED soon (killed after 15 s). */
void supervisor_drain(struct local *l, struct part *p);
/* Lets a part that is not running be started, at the next look around. */
void supervisor_raise(struct local *l, struct part *p);
/* Sets the state and writes run/status. */
void supervisor_set_state(struct local *l, struct part *p, enum part_state state);

/* ---- scale.c ---- */
/* Reads words "PART=N" into counts, by spaces or commas; false leaves counts as they were and a sentence in error. */
bool scale_parse(const struct local *l, const char *text, int counts[PARTS], char *error, size_t size);
/* The counts that were kept at this home replace l->counts. What cannot be read counts as one instance each. */
void scale_read(struct local *l);
/* Keeps l->counts for the next start. False leaves errno. */
bool scale_keep(const struct local *l);

/* ---- rolling.c ---- */
/* Changes of the running installation, one instance after the other; at most one change at a time. */
bool rolling_busy(void);
/* Begins "scale PART=N…" or "restart PART|PART-N|all…". out is taken: progress goes there, the last line is "ok" or
 * "error …". */
void rolling_begin(struct local *l, const char *command, FILE *out);
/* Does what is due, without waiting. */
void rolling_step(struct local *l);
/* The installation is being stopped: whoever waits is told. */
void rolling_abandon(struct local *l);

/* ---- control.c ---- */
/* The socket by which a running supervisor is told what to change (run/control, mode 600). */
bool control_open(const struct local *l);
/* Takes a command that has come, without waiting for one. */
void control_serve(struct local *l);
void control_close(const struct local *l);
enum { COMMAND_MAX = 512 }; /* bytes of a command's line */
/* Sends a command ("restart order") to the supervisor of the home and prints what it says until it is done; an exit
 * status. */
int control_send(const struct local *l, const char *command);

/* ---- home.c ---- */
/* Makes the directories, once it is clear that they may be ours; l->home becomes the real path. Raises the limit of
 * open files. False after a sentence on stderr. */
bool home_make(struct local *l);
/* The lock says that a supervisor lives, and which: it is held as long as that process. LOCK_FAILED leaves errno. */
enum lock_result { LOCK_OURS, LOCK_HELD, LOCK_FAILED };
enum lock_result home_lock(struct local *l);
/* Process that holds the lock; 0: nobody. */
pid_t home_supervisor(const char *home);

/* ---- secrets.c ---- */
/* Makes what is missing, mode 600 in a directory of mode 700. False and a sentence on failure. */
bool secrets_make(struct local *l);
/* Of our own Redis and etcd. */
#define REDIS_SECRET     "redis.password"
#define ETCD_ROOT_SECRET "etcd-root.password"
#define ETCD_SECRET      "etcd-ticketflow.password"
#define ETCD_USER        "ticketflow" /* whom the services log in as */
/* Writes a file of mode 600 in place of what was there. It is there whole or not at all, also when the disk is full;
 * false leaves errno. */
bool private_file(const char *path, const void *bytes, size_t n);
/* Reads a text secret (without the newline) into out. */
bool secret_read(struct local *l, const char *name, char *out, size_t size);

/* ---- process.c ---- */
int64_t mono_ms(void);
void sleep_ms(int ms);

struct spawn {
    const char *const *argv; /* NULL-ended */
    const char *const *env;  /* "NAME=value", NULL-ended: added to a minimal environment */
    const char *log_path;    /* appended to; NULL: /dev/null */
    const char *directory;   /* where it runs; NULL: "/" */
    const char *user;        /* drop to this account when we are root; or NULL */
    int death_signal;        /* sent to the child when the supervisor dies */
    const char *stdin_text;  /* or NULL */
};
/* Child's pid, or -1. */
pid_t process_spawn(const struct spawn *s);
/* Waits for the child up to timeout_ms; false when it still runs. */
bool process_reap(pid_t pid, int timeout_ms, int *ret_status);
/* Runs to the end within timeout_ms; exit status, or -1. */
int process_run(const struct spawn *s, int timeout_ms);
/* Tells a child that lives, also one that was stopped by SIGSTOP. */
void process_signal(pid_t pid, int signal_number);
/* Asks with `signal`, waits up to grace_ms, then SIGKILL. Reaps. */
void process_stop(pid_t pid, int signal, int grace_ms);

/* ---- logs.c ---- */
enum { LOG_GENERATIONS = 3 }; /* kept beside the current one: part.log.1 is the youngest */
/* Looks at every log once. */
void logs_rotate(struct local *l);

/* ---- leftovers.c ---- */
/* A process of this instance that lives without us (after a supervisor that was killed; a backend of a PostgreSQL that
 * crashed); 0: none. */
pid_t leftover_of(struct local *l, const struct part *p);
/* Waits until no part has one; ends those that do not go by themselves. False and a sentence when one stays. */
bool leftovers_end(struct local *l);

/* ---- ports.c ---- */
/* Ports that somebody else holds are named, with their part and their owner: of one instance, or of all. */
bool ports_free(struct local *l, const struct part *p);
bool ports_all_free(struct local *l);

/* ---- probe.c ---- */
bool probe_tcp(const char *host, const char *port);
/* True when `GET path` at the port answers 200 and, within its first 4 KiB, the word (NULL: any). Half a second for
 * each part of the answer, here and below. */
bool probe_http(int port, const char *path, const char *word);
/* The same for a POST of a JSON document. */
bool probe_http_post(int port, const char *path, const char *body);
/* True when it serves whoever knows the password. */
bool probe_redis(int port, const char *password);

/* ---- etcd_users.c ---- */
/* Makes our etcd ask for passwords, by steps that may all have been done before. False: it does not, or not for ours.
 */
bool etcd_users_make(struct local *l, int port);

/* ---- stores.c ---- */
pid_t store_start(struct local *l, struct part *p);
bool store_ready(struct local *l, struct part *p);
/* Signal that stops it cleanly. */
int store_stop_signal(const struct part *p);
/* Directory in which it runs. */
void store_directory(const struct local *l, const struct part *p, char *out, size_t size);
/* Behind a data directory's name while its contents are made for the first time. */
#define HALF_MADE ".new"
const char *store_program(const struct part *p);
/* Servers that were given instead of ours answer. */
bool stores_external_answer(struct local *l);
/* Roles and databases of the services; idempotent. */
bool stores_prepare(struct local *l);
/* libpq connection string of a service, without password. */
void store_dsn(struct local *l, const char *service, char *out, size_t size);

/* ---- parts.c ---- */
/* Fills the rows, of which l->counts are wanted. */
void parts_init(struct local *l);
/* The first instance of a part: of a store, the only one. */
struct part *part_first(struct local *l, int which);
/* Is this a part of which there may be several instances? */
bool part_scales(int which);
/* Name of a part, as in parts.def. */
const char *part_service(int which);
/* The instance behind p that is not absent, in the order of the start; of NULL the first. NULL behind the last. */
struct part *part_next(struct local *l, const struct part *p);
/* Child's pid, or -1. argument NULL: it serves. */
pid_t service_start(struct local *l, struct part *p, const char *argument);
/* This process becomes the service's program with these arguments and the environment of its installation: for its
 * commands. arguments[-1] is writable. Returns an exit status on failure only. */
int service_become(struct local *l, const char *name, char **arguments);
bool service_ready(struct part *p);
void part_directory(const struct local *l, const struct part *p, char *out, size_t size);
/* Fills p->version. */
void part_ask_version(struct local *l, struct part *p);

/* ---- status.c ---- */
/* Writes run/status for `tf-local status`. */
void status_write(struct local *l);
void status_forget(const struct local *l);
/* Prints the table or JSON from run/status and /proc; exit status 0 when all parts run, 3 when nothing does, 1
 * otherwise. */
int status_print(const char *home, bool json);
