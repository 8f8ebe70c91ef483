/* PostgreSQL, Redis and etcd as private children: own data directories, loopback ports, no system service touched. */
#include "deploy/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PG_BIN "/usr/lib/postgresql/15/bin"

#define REDIS_SERVER "/usr/bin/redis-server"
#define ETCD_SERVER  "/usr/bin/etcd"

enum { EXTERNAL_WAIT_MS = 5000 };

static const char *const databases[] = {"user", "program", "order", "pay"};

/* As root, PostgreSQL runs as the account that its package made. */
static const char *pg_account(void)
{
    return geteuid() == 0 ? "postgres" : NULL;
}

static bool make_dir(struct local *l, const char *path, const char *owner, mode_t mode)
{
    if (mkdir(path, mode) && errno != EEXIST) {
        progress_say(l, "cannot make %s: %s", path, strerror(errno));
        return false;
    }
    if (owner && geteuid() == 0) {
        struct passwd *pw = getpwnam(owner);

        if (!pw || chown(path, pw->pw_uid, pw->pw_gid)) {
            progress_say(l, "cannot give %s to %s", path, owner);
            return false;
        }
    }
    return true;
}

/* As root: may PostgreSQL's account come in at all? */
static bool pg_may_enter(struct local *l, const char *data)
{
    const char *argv[] = {"/usr/bin/test", "-w", data, NULL};
    struct spawn s = {.argv = argv, .user = pg_account(), .death_signal = SIGKILL};

    if (process_run(&s, 5000) == 0) return true;
    progress_say(l, "  pg       the account %s cannot enter %s: a directory above it is closed to others",
                 pg_account() ? pg_account() : "of this user", data);
    return false;
}

/* A cluster is there whole or not at all, however the start ends: it is made beside its place and then renamed. */
static bool pg_initialise(struct local *l, const char *data, const char *log)
{
    char password[128], file[700], pwfile[720], made[700];
    /* clang-format off */
    const char *argv[] = {PG_BIN "/initdb", "-D", made, "-U", "ticketflow", "-A", "scram-sha-256",
                          pwfile, "-E", "UTF8", "--locale=C.UTF-8", NULL};
    /* clang-format on */
    const char *remove_argv[] = {"/bin/rm", "-rf", "--", made, NULL};
    struct spawn s = {.argv = argv, .log_path = log, .user = pg_account(), .death_signal = SIGKILL};
    struct spawn removal = {.argv = remove_argv, .log_path = log, .death_signal = SIGKILL};
    struct passwd *pw;
    int status, fd;

    snprintf(made, sizeof made, "%s" HALF_MADE, data);
    if (process_run(&removal, 60000) || !make_dir(l, made, "postgres", 0700) || !pg_may_enter(l, made)) return false;
    if (!secret_read(l, "pg-superuser.password", password, sizeof password)) return false;
    /* initdb reads the password as its own account, from a file that lives for this call only. */
    snprintf(file, sizeof file, "%s/run/pg/pw", l->home);
    snprintf(pwfile, sizeof pwfile, "--pwfile=%s", file);
    unlink(file);
    fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    pw = pg_account() ? getpwnam(pg_account()) : NULL;
    if (dprintf(fd, "%s\n", password) < 0 || (pw && fchown(fd, pw->pw_uid, pw->pw_gid))) {
        close(fd);
        return false;
    }
    close(fd);
    status = process_run(&s, 60000);
    unlink(file);
    if (status == 0 && rename(made, data) == 0) return true;
    if (status)
        progress_say(l, "PostgreSQL: initdb failed (%d), see %s", status, log);
    else
        progress_say(l, "cannot make %s: %s", data, strerror(errno));
    return false;
}

static pid_t pg_start(struct local *l, struct part *p)
{
    char data[600], sockets[600], log[600], port[16], conf_sockets[640], version[640];
    /* clang-format off */
    const char *argv[] = {PG_BIN "/postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", conf_sockets,
                          "-c", "max_connections=600", "-c", "shared_buffers=128MB", "-c", "max_wal_size=2GB",
                          "-c", "autovacuum_naptime=15s", "-c", "log_min_messages=warning", "-c", "logging_collector=off",
                          "-c", "log_line_prefix=%m [%p] %u@%d ", NULL};
    /* clang-format on */
    struct spawn s = {.argv = argv, .log_path = log, .directory = data, .user = pg_account(), .death_signal = SIGINT};

    store_directory(l, p, data, sizeof data);
    snprintf(sockets, sizeof sockets, "%s/run/pg", l->home);
    snprintf(log, sizeof log, "%s/log/pg.log", l->home);
    snprintf(port, sizeof port, "%d", p->port);
    snprintf(conf_sockets, sizeof conf_sockets, "unix_socket_directories=%s", strlen(sockets) < 80 ? sockets : "");
    if (!make_dir(l, sockets, "postgres", 0700)) return -1;
    snprintf(version, sizeof version, "%s/PG_VERSION", data);
    if (access(version, F_OK) && !pg_initialise(l, data, log)) return -1;
    return process_spawn(&s);
}

/* Redis' settings are a file of mode 600, because the password among them must not stand on a command line. It runs in
 * its data directory, so that no path of ours has to be quoted. */
static bool redis_configure(struct local *l, const struct part *p, const char *path)
{
    char password[128], text[512];
    int n;

    if (!secret_read(l, REDIS_SECRET, password, sizeof password)) return false;
    n = snprintf(text, sizeof text,
                 "# Written by tf-local at every start of Redis.\n"
                 "bind 127.0.0.1\nport %d\nrequirepass %s\ndir .\ndaemonize no\n"
                 "save \"\"\nappendonly yes\nappendfsync everysec\naof-timestamp-enabled yes\n"
                 "maxmemory-policy noeviction\n",
                 p->port, password);
    return private_file(path, text, (size_t)n);
}

static pid_t redis_start(struct local *l, struct part *p)
{
    char data[600], log[600], settings[700];
    const char *argv[] = {REDIS_SERVER, settings, NULL};
    struct spawn s = {.argv = argv, .log_path = log, .directory = data, .death_signal = SIGTERM};

    store_directory(l, p, data, sizeof data);
    snprintf(log, sizeof log, "%s/log/redis.log", l->home);
    snprintf(settings, sizeof settings, "%s/run/redis.conf", l->home);
    if (!make_dir(l, data, NULL, 0700)) return -1;
    if (!redis_configure(l, p, settings)) {
        progress_say(l, "cannot write %s: %s", settings, strerror(errno));
        return -1;
    }
    return process_spawn(&s);
}

/* There from the moment at which etcd first served what lies in its directory. */
static void etcd_marker(const struct local *l, char *out, size_t size)
{
    snprintf(out, size, "%s/run/etcd-made", l->home);
}

/* An etcd that was killed during its very first start finds a log without a leader's first entry, and waits for ever.
 * What was never served holds nothing, so it goes. */
static bool etcd_clear_half_made(struct local *l, const char *data, const char *log)
{
    char marker[600], member[700];
    const char *argv[] = {"/bin/rm", "-rf", "--", data, NULL};
    struct spawn s = {.argv = argv, .log_path = log, .death_signal = SIGKILL};

    etcd_marker(l, marker, sizeof marker);
    snprintf(member, sizeof member, "%s/member", data);
    if (access(marker, F_OK) == 0 && access(member, F_OK) == 0) return true;
    unlink(marker);
    return process_run(&s, 60000) == 0;
}

static bool etcd_note_made(const struct local *l)
{
    char marker[600];

    etcd_marker(l, marker, sizeof marker);
    return access(marker, F_OK) == 0 || private_file(marker, "", 0);
}

/* Passwords are random and long, so a cheap hash of them is enough, and every service logs in at its start. */
static pid_t etcd_start(struct local *l, struct part *p)
{
    char data[600], log[600], client[64], peer[64], cluster[96];
    /* clang-format off */
    const char *argv[] = {ETCD_SERVER, "--name", "local", "--data-dir", data,
                          "--listen-client-urls", client, "--advertise-client-urls", client,
                          "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster,
                          "--heartbeat-interval", "50", "--bcrypt-cost", "4", "--election-timeout", "250", "--auto-compaction-mode", "periodic",
                          "--auto-compaction-retention", "1h", "--log-level", "warn", NULL};
    /* clang-format on */
    struct spawn s = {.argv = argv, .log_path = log, .directory = data, .death_signal = SIGTERM};

    store_directory(l, p, data, sizeof data);
    snprintf(log, sizeof log, "%s/log/etcd.log", l->home);
    snprintf(client, sizeof client, "http://127.0.0.1:%d", p->port);
    snprintf(peer, sizeof peer, "http://127.0.0.1:%d", p->port + 1);
    snprintf(cluster, sizeof cluster, "local=%s", peer);
    if (!etcd_clear_half_made(l, data, log)) return -1;
    if (!make_dir(l, data, NULL, 0700)) return -1;
    return process_spawn(&s);
}

void store_directory(const struct local *l, const struct part *p, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", l->home, p->name);
}

static const struct {
    const char *program;
    pid_t (*start)(struct local *l, struct part *p);
} stores[] = {
    [PART_pg] = {PG_BIN "/postgres", pg_start},
    [PART_redis] = {REDIS_SERVER, redis_start},
    [PART_etcd] = {ETCD_SERVER, etcd_start},
};

const char *store_program(const struct part *p)
{
    return stores[p->which].program;
}

pid_t store_start(struct local *l, struct part *p)
{
    return stores[p->which].start(l, p);
}

/* PostgreSQL writes its state into the last line of postmaster.pid, as pg_ctl reads it. */
static bool pg_ready(const struct local *l, const struct part *p)
{
    char path[600], line[128] = "";
    int pid = 0;
    FILE *f;

    snprintf(path, sizeof path, "%s/pg/postmaster.pid", l->home);
    f = fopen(path, "re");
    if (!f) return false;
    if (fscanf(f, "%d\n", &pid) != 1) pid = 0;
    while (fgets(line, sizeof line, f))
        continue;
    fclose(f);
    return pid == p->pid && strncmp(line, "ready", 5) == 0;
}

bool store_ready(struct local *l, struct part *p)
{
    char password[128];

    switch (p->which) {
    case PART_pg:
        return pg_ready(l, p);
    case PART_redis:
        return secret_read(l, REDIS_SECRET, password, sizeof password) && probe_redis(p->port, password);
    default:
        /* Tests want the bare servers. */
        return probe_http(p->port, "/health", NULL) && etcd_note_made(l) &&
               (l->stores_only || etcd_users_make(l, p->port));
    }
}

/* "host:port", or the first of several by comma. */
static bool answers(struct local *l, const char *what, const char *address)
{
    char host[256];
    int64_t until = mono_ms() + EXTERNAL_WAIT_MS;
    char *port;

    snprintf(host, sizeof host, "%.*s", (int)TF_MIN(strcspn(address, ","), sizeof host - 1), address);
    port = strrchr(host, ':');
    if (!port) {
        progress_say(l, "%s: \"%s\" is not host:port", what, address);
        return false;
    }
    *port++ = '\0';
    do {
        if (probe_tcp(host, port)) return true;
        sleep_ms(200);
    } while (mono_ms() < until);
    progress_say(l, "%s at %s does not answer", what, address);
    return false;
}

bool stores_external_answer(struct local *l)
{
    if (l->external_redis && !answers(l, "Redis", l->external_redis)) return false;
    return !l->external_etcd || answers(l, "etcd", l->external_etcd);
}

int store_stop_signal(const struct part *p)
{
    return p->which == PART_pg ? SIGINT : SIGTERM; /* PostgreSQL: fast shutdown */
}

/* Connection string of the role that may create roles and databases. */
static void admin_dsn(struct local *l, char *out, size_t size)
{
    if (l->external_pg)
        snprintf(out, size, "%s", l->external_pg);
    else
        snprintf(out, size, "host=127.0.0.1 port=%d user=ticketflow dbname=postgres", part_first(l, PART_pg)->port);
}

/* The given connection without the password, which is the administrator's and no service's. */
static void without_password(const char *dsn, char *out, size_t size)
{
    const char *at = strstr(dsn, "password");
    size_t n;

    snprintf(out, size, "%s", dsn);
    if (!at || (at > dsn && at[-1] != ' ')) return;
    n = strcspn(at, "=") + 1;
    n += strspn(at + n, " ");
    if (at[n] == '\'')
        for (n++; at[n] && at[n] != '\''; n++)
            n += at[n] == '\\' && at[n + 1];
    n += strcspn(at + n, " ");
    snprintf(out, size, "%.*s%s", (int)(at - dsn), dsn, at + n);
}

void store_dsn(struct local *l, const char *service, char *out, size_t size)
{
    char given[1024];

    if (l->external_pg) {
        without_password(l->external_pg, given, sizeof given);
        snprintf(out, size, "%s dbname=tf_%s user=tf_%s", given, service, service);
        return;
    }
    snprintf(out, size, "host=127.0.0.1 port=%d dbname=tf_%s user=tf_%s", part_first(l, PART_pg)->port, service,
             service);
}

bool stores_prepare(struct local *l)
{
    char dsn[1024], password[128], pgpassword[160] = "", log[600], sql[4096];
    size_t n = 0;
    const char *argv[] = {"/usr/bin/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-f", "-", NULL};
    const char *env[] = {pgpassword, NULL};
    struct spawn s = {.argv = argv, .env = env, .log_path = log, .death_signal = SIGKILL, .stdin_text = sql};

    admin_dsn(l, dsn, sizeof dsn);
    snprintf(log, sizeof log, "%s/log/prepare.log", l->home);
    if (!l->external_pg) {
        if (!secret_read(l, "pg-superuser.password", password, sizeof password)) return false;
        snprintf(pgpassword, sizeof pgpassword, "PGPASSWORD=%s", password);
    }
    for (size_t i = 0; i < TF_COUNT(databases); i++) {
        const char *name = databases[i];
        char secret[64];

        snprintf(secret, sizeof secret, "pg-%s.password", name);
        if (!secret_read(l, secret, password, sizeof password)) return false;
        n += (size_t)snprintf(
            sql + n, sizeof sql - n,
            "SELECT 'CREATE ROLE tf_%s LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tf_%s')\\gexec\n"
            "ALTER ROLE tf_%s PASSWORD '%s';\n"
            "SELECT 'CREATE DATABASE tf_%s OWNER tf_%s' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = "
            "'tf_%s')\\gexec\n"
            "REVOKE CONNECT ON DATABASE tf_%s FROM PUBLIC;\n",
            name, name, name, password, name, name, name, name);
        TF_ASSERT(n < sizeof sql);
    }
    if (process_run(&s, 60000) == 0) return true;
    progress_say(l, "PostgreSQL: cannot make roles and databases, see %s", log);
    return false;
}
