/* The local supervisor: what its files share. One process per installation ("home"), children on private loopback ports. */
#pragma once

#include "common/base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum part_kind { STORE, SERVICE };
enum part_state { PART_STOPPED, PART_STARTING, PART_RUNNING, PART_BACKOFF, PART_EXTERNAL };

enum {
#define PART(name, kind, port, admin, settings) PART_##name,
#include "deploy/local/parts.def"
#undef PART
    PARTS
};

struct part {
    const char *name;
    enum part_kind kind;
    int port, admin_port; /* admin 0: none */
    const char *settings; /* template, see parts.def */
    enum part_state state;
    pid_t pid;
    int64_t started_ms, ready_ms, restart_at_ms; /* monotonic */
    int64_t since; /* Unix seconds */
    int restarts, backoff_ms;
    char why[160]; /* last failure */
};

struct local {
    char home[512], bin[512]; /* state directory; directory of the programs */
    int base_port;
    bool stores_only; /* for tests: PostgreSQL, Redis and etcd without services */
    struct part parts[PARTS];
    const char *external_pg, *external_redis, *external_etcd; /* or NULL: ours */
    const char *const *overrides; /* "order.hold_floor_s=2", NULL-ended */
    FILE *progress; /* where start-up is reported; NULL once it is over */
};

/* Reports a line of start-up progress. */
void say(struct local *l, const char *format, ...) TF_PRINTF(2, 3);
int64_t mono_ms(void);
void sleep_ms(int ms);

/* ---- secrets.c ---- */
/* Makes what is missing, mode 600 in a directory of mode 700. False and a sentence on failure. */
bool secrets_make(struct local *l);
/* Reads a text secret (without the newline) into out. */
bool secret_read(struct local *l, const char *name, char *out, size_t size);

/* ---- process.c ---- */
struct spawn {
    const char *const *argv; /* NULL-ended */
    const char *const *env;  /* "NAME=value", NULL-ended: added to a minimal environment */
    const char *log_path;    /* appended to; NULL: /dev/null */
    const char *user;        /* drop to this account when we are root; or NULL */
    int death_signal;        /* sent to the child when the supervisor dies */
    const char *stdin_text;  /* or NULL */
};
/* Child's pid, or -1. */
pid_t spawn(const struct spawn *s);
/* Runs to the end within timeout_ms; exit status, or -1. */
int run(const struct spawn *s, int timeout_ms);
/* Asks with `signal`, waits up to grace_ms, then SIGKILL. Reaps. */
void stop_pid(pid_t pid, int signal, int grace_ms);

/* ---- probe.c ---- */
bool probe_tcp(int port);
/* True when `GET path` at the port answers 200 within half a second. */
bool probe_http(int port, const char *path);
bool probe_redis(int port);
/* Somebody listens on the port now. */
static inline bool port_in_use(int port)
{
    return probe_tcp(port);
}

/* ---- stores.c ---- */
pid_t store_start(struct local *l, struct part *p);
bool store_ready(struct local *l, struct part *p);
/* Signal that stops it cleanly. */
int store_stop_signal(const struct part *p);
/* Roles and databases of the services; idempotent. */
bool stores_prepare(struct local *l);
/* libpq connection string of a service, without password. */
void store_dsn(struct local *l, const char *service, char *out, size_t size);

/* ---- parts.c ---- */
void parts_init(struct local *l);
pid_t service_start(struct local *l, struct part *p, const char *extra_argument);
bool service_ready(struct part *p);

/* ---- status.c ---- */
/* Writes run/status.json for `tf-local status`. */
void status_write(struct local *l);
/* Prints the table or JSON from status.json and /proc; exit status 0 when all parts run, 3 when nothing does, 1 otherwise. */
int status_print(const char *home, bool json);
