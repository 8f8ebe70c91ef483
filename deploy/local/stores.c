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

static const char *const databases[] = {"user", "program", "order", "pay"};

/* As root, PostgreSQL runs as the account that its package made. */
static const char *pg_account(void)
{
    return geteuid() == 0 ? "postgres" : NULL;
}

static bool make_dir(struct local *l, const char *path, const char *owner, mode_t mode)
{
    if (mkdir(path, mode) && errno != EEXIST) {
        say(l, "cannot make %s: %s", path, strerror(errno));
        return false;
    }
    if (owner && geteuid() == 0) {
        struct passwd *pw = getpwnam(owner);

        if (!pw || chown(path, pw->pw_uid, pw->pw_gid)) {
            say(l, "cannot give %s to %s", path, owner);
            return false;
        }
    }
    return true;
}

static bool pg_initialise(struct local *l, const char *data, const char *log)
{
    char password[128], file[700], pwfile[720];
    const char *argv[] = {PG_BIN "/initdb", "-D", data, "-U", "ticketflow", "-A", "scram-sha-256", pwfile, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", NULL};
    struct spawn s = {.argv = argv, .log_path = log, .user = pg_account(), .death_signal = SIGKILL};
    struct passwd *pw;
    int status, fd;

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
    status = run(&s, 60000);
    unlink(file);
    if (status) say(l, "PostgreSQL: initdb failed (%d), see %s", status, log);
    return status == 0;
}

static pid_t pg_start(struct local *l, struct part *p)
{
    char data[600], sockets[600], log[600], port[16], conf_sockets[640], version[640];
    const char *argv[] = {PG_BIN "/postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", conf_sockets,
                          "-c", "max_connections=200", "-c", "shared_buffers=128MB", "-c", "max_wal_size=2GB",
                          "-c", "autovacuum_naptime=15s", "-c", "log_min_messages=warning", "-c", "logging_collector=off",
                          "-c", "log_line_prefix=%m [%p] %u@%d ", NULL};
    struct spawn s = {.argv = argv, .log_path = log, .user = pg_account(), .death_signal = SIGINT};

    snprintf(data, sizeof data, "%s/pg", l->home);
    snprintf(sockets, sizeof sockets, "%s/run/pg", l->home);
    snprintf(log, sizeof log, "%s/log/pg.log", l->home);
    snprintf(port, sizeof port, "%d", p->port);
    snprintf(conf_sockets, sizeof conf_sockets, "unix_socket_directories=%s", strlen(sockets) < 80 ? sockets : "");
    if (!make_dir(l, data, "postgres", 0700) || !make_dir(l, sockets, "postgres", 0700)) return -1;
    snprintf(version, sizeof version, "%s/PG_VERSION", data);
    if (access(version, F_OK) && !pg_initialise(l, data, log)) return -1;
    return spawn(&s);
}

static pid_t redis_start(struct local *l, struct part *p)
{
    char data[600], log[600], port[16];
    const char *argv[] = {"/usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", data, "--appendonly", "yes", "--appendfsync", "everysec",
                          "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no", "--aof-timestamp-enabled", "yes", NULL};
    struct spawn s = {.argv = argv, .log_path = log, .death_signal = SIGTERM};

    snprintf(data, sizeof data, "%s/redis", l->home);
    snprintf(log, sizeof log, "%s/log/redis.log", l->home);
    snprintf(port, sizeof port, "%d", p->port);
    if (!make_dir(l, data, NULL, 0700)) return -1;
    return spawn(&s);
}

static pid_t etcd_start(struct local *l, struct part *p)
{
    char data[600], log[600], client[64], peer[64], cluster[96];
    const char *argv[] = {"/usr/bin/etcd", "--name", "local", "--data-dir", data, "--listen-client-urls", client, "--advertise-client-urls", client,
                          "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster,
                          "--heartbeat-interval", "50", "--election-timeout", "250", "--auto-compaction-mode", "periodic",
                          "--auto-compaction-retention", "1h", "--log-level", "warn", NULL};
    struct spawn s = {.argv = argv, .log_path = log, .death_signal = SIGTERM};

    snprintf(data, sizeof data, "%s/etcd", l->home);
    snprintf(log, sizeof log, "%s/log/etcd.log", l->home);
    snprintf(client, sizeof client, "http://127.0.0.1:%d", p->port);
    snprintf(peer, sizeof peer, "http://127.0.0.1:%d", p->port + 1);
    snprintf(cluster, sizeof cluster, "local=%s", peer);
    if (!make_dir(l, data, NULL, 0700)) return -1;
    return spawn(&s);
}

pid_t store_start(struct local *l, struct part *p)
{
    switch (p - l->parts) {
    case PART_pg:
        return pg_start(l, p);
    case PART_redis:
        return redis_start(l, p);
    case PART_etcd:
        return etcd_start(l, p);
    default:
        tf_panic(__FILE__, __LINE__, "not a store");
    }
}

bool store_ready(struct local *l, struct part *p)
{
    char port[16];
    const char *argv[] = {PG_BIN "/pg_isready", "-q", "-h", "127.0.0.1", "-p", port, NULL};
    struct spawn s = {.argv = argv, .death_signal = SIGKILL};

    if (!probe_tcp(p->port)) return false;
    switch (p - l->parts) {
    case PART_pg:
        snprintf(port, sizeof port, "%d", p->port);
        return run(&s, 2000) == 0;
    case PART_redis:
        return probe_redis(p->port);
    default:
        return probe_http(p->port, "/health");
    }
}

int store_stop_signal(const struct part *p)
{
    return strcmp(p->name, "pg") == 0 ? SIGINT : SIGTERM; /* PostgreSQL: fast shutdown */
}

/* Connection string of the role that may create roles and databases. */
static void admin_dsn(struct local *l, char *out, size_t size)
{
    if (l->external_pg)
        snprintf(out, size, "%s", l->external_pg);
    else
        snprintf(out, size, "host=127.0.0.1 port=%d user=ticketflow dbname=postgres", l->parts[PART_pg].port);
}

void store_dsn(struct local *l, const char *service, char *out, size_t size)
{
    if (l->external_pg)
        snprintf(out, size, "%s dbname=tf_%s user=tf_%s", l->external_pg, service, service);
    else
        snprintf(out, size, "host=127.0.0.1 port=%d dbname=tf_%s user=tf_%s", l->parts[PART_pg].port, service, service);
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
        n += (size_t)snprintf(sql + n, sizeof sql - n,
                              "SELECT 'CREATE ROLE tf_%s LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tf_%s')\\gexec\n"
                              "ALTER ROLE tf_%s PASSWORD '%s';\n"
                              "SELECT 'CREATE DATABASE tf_%s OWNER tf_%s' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'tf_%s')\\gexec\n"
                              "REVOKE CONNECT ON DATABASE tf_%s FROM PUBLIC;\n",
                              name, name, name, password, name, name, name, name);
        TF_ASSERT(n < sizeof sql);
    }
    if (run(&s, 60000) == 0) return true;
    say(l, "PostgreSQL: cannot make roles and databases, see %s", log);
    return false;
}
