/* The services as children: where each listens, and its environment. */
#include "deploy/local/local.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENV_ROWS = 64, ENV_BYTES = 16384 };

static const struct part table[PARTS] = {
#define PART(part_name, part_kind, offset, admin, part_settings)                                                       \
    [PART_##part_name] = {.service = #part_name,                                                                       \
                          .which = PART_##part_name,                                                                   \
                          .kind = part_kind,                                                                           \
                          .port = offset,                                                                              \
                          .admin_port = admin,                                                                         \
                          .settings = part_settings},
#include "deploy/local/parts.def"
#undef PART
};

const char *part_service(int which)
{
    return table[which].service;
}

/* The sandbox is somebody else's provider, with one file of books. */
bool part_scales(int which)
{
    return table[which].kind == SERVICE && which != PART_sandbox;
}

struct part *part_first(struct local *l, int which)
{
    return &l->rows[which * INSTANCES_MAX];
}

struct part *part_next(struct local *l, const struct part *p)
{
    for (ptrdiff_t i = p ? p - l->rows + 1 : 0; i < ROWS_MAX; i++)
        if (l->rows[i].state != PART_ABSENT) return &l->rows[i];
    return NULL;
}

static void row_init(const struct local *l, struct part *p, int which, int instance)
{
    *p = table[which];
    p->instance = instance;
    p->state = instance > l->counts[which] || (l->stores_only && p->kind != STORE) ? PART_ABSENT : PART_STOPPED;
    p->port += l->base_port + (instance - 1) * INSTANCE_PORTS;
    if (p->admin_port) p->admin_port += l->base_port + (instance - 1) * INSTANCE_PORTS;
    if (instance == 1)
        snprintf(p->name, sizeof p->name, "%s", p->service);
    else
        snprintf(p->name, sizeof p->name, "%s-%d", p->service, instance);
}

void parts_init(struct local *l)
{
    for (int which = 0; which < PARTS; which++)
        for (int instance = 1; instance <= INSTANCES_MAX; instance++)
            row_init(l, part_first(l, which) + instance - 1, which, instance);
    if (l->external_pg) part_first(l, PART_pg)->state = PART_EXTERNAL;
    if (l->external_redis) part_first(l, PART_redis)->state = PART_EXTERNAL;
    if (l->external_etcd) part_first(l, PART_etcd)->state = PART_EXTERNAL;
}

/* An environment under construction in one block; of two rows with one name the later stays. */
struct env {
    char bytes[ENV_BYTES];
    size_t used;
    const char *rows[ENV_ROWS];
    int n;
};

static void put(struct env *e, const char *name, const char *format, ...) TF_PRINTF(3, 4);
static void put(struct env *e, const char *name, const char *format, ...)
{
    char *row = e->bytes + e->used;
    va_list args;
    size_t n;

    TF_ASSERT(e->n < ENV_ROWS - 1);
    n = (size_t)snprintf(row, sizeof e->bytes - e->used, "TF_");
    for (const char *c = name; *c; c++)
        row[n++] = (char)toupper((unsigned char)*c);
    row[n++] = '=';
    va_start(args, format);
    n += (size_t)vsnprintf(row + n, sizeof e->bytes - e->used - n, format, args);
    va_end(args);
    e->used += n + 1;
    TF_ASSERT(e->used < sizeof e->bytes);
    n = strcspn(row, "=") + 1;
    for (int i = 0; i < e->n; i++)
        if (strncmp(e->rows[i], row, n) == 0) {
            e->rows[i] = row;
            return;
        }
    e->rows[e->n++] = row;
}

static int port_of(struct local *l, const char *name, size_t n)
{
    for (int i = 0; i < PARTS; i++)
        if (strlen(part_service(i)) == n && memcmp(part_service(i), name, n) == 0) return part_first(l, i)->port;
    tf_panic(__FILE__, __LINE__, "parts.def names a part that does not exist");
}

/* Fills {home}, {secrets}, {catalogue} (beside build/PRESET/bin, where the programs are), {port:NAME}. */
static void expand(struct local *l, const char *text, size_t size, char *out, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < size && n + 600 < room;) {
        const char *close = text[i] == '{' ? memchr(text + i, '}', size - i) : NULL;

        if (!close) {
            out[n++] = text[i++];
            continue;
        }
        if (strncmp(text + i, "{home}", 6) == 0)
            n += (size_t)snprintf(out + n, room - n, "%s", l->home);
        else if (strncmp(text + i, "{secrets}", 9) == 0)
            n += (size_t)snprintf(out + n, room - n, "%s/secrets", l->home);
        else if (strncmp(text + i, "{catalogue}", 11) == 0)
            n += (size_t)snprintf(out + n, room - n, "%s/../../../catalogue", l->bin);
        else if (strncmp(text + i, "{port:", 6) == 0)
            n += (size_t)snprintf(out + n, room - n, "%d", port_of(l, text + i + 6, (size_t)(close - text) - i - 6));
        i = (size_t)(close - text) + 1;
    }
    out[n] = '\0';
}

static void put_own(struct local *l, struct env *e, const char *settings)
{
    for (const char *line = settings; *line;) {
        size_t n = strcspn(line, "\n"), name = strcspn(line, "=");
        char key[64], value[1400];

        snprintf(key, sizeof key, "%.*s", (int)name, line);
        expand(l, line + name + 1, n - name - 1, value, sizeof value);
        put(e, key, "%s", value);
        line += n + (line[n] == '\n');
    }
}

/* Is this, of n bytes, the part whose settings are these: all parts ("*"), or all instances of this one? */
static bool override_means(const char *name, size_t n, const struct part *p)
{
    return (n == 1 && name[0] == '*') || (n == strlen(p->service) && memcmp(name, p->service, n) == 0);
}

/* "order.hold_floor_s=2" for this part; "*.log_level=debug" for all. */
static void put_overrides(struct local *l, struct env *e, const struct part *p)
{
    for (int i = 0; l->overrides && l->overrides[i]; i++) {
        const char *o = l->overrides[i], *dot = strchr(o, '.'), *eq = strchr(o, '=');
        char key[64];

        if (!override_means(o, (size_t)(dot - o), p)) continue;
        snprintf(key, sizeof key, "%.*s", (int)(eq - dot - 1), dot + 1);
        put(e, key, "%s", eq + 1);
    }
}

/* A directory for each, so that a process tells by it whose it is (leftovers.c). */
void part_directory(const struct local *l, const struct part *p, char *out, size_t size)
{
    if (p->kind == STORE)
        store_directory(l, p, out, size);
    else
        snprintf(out, size, "%s/run/%s", l->home, p->name);
}

static void part_program(const struct local *l, const struct part *p, char *out, size_t size)
{
    if (p->kind == STORE)
        snprintf(out, size, "%s", store_program(p));
    else
        snprintf(out, size, "%s/tf-%s", l->bin, p->service);
}

/* What every service is told; its own settings and the operator's follow. */
static void put_common(struct local *l, struct env *e, const struct part *p)
{
    char path[700], dsn[1200];

    put(e, "listen", "127.0.0.1:%d", p->port);
    put(e, "admin_listen", "127.0.0.1:%d", p->admin_port);
    put(e, "instance", "%s", p->name);
    put(e, "internal_key_file", "%s/secrets/internal.key", l->home);
#ifdef TF_CHAOS
    if (getenv("TF_CHAOS_FILE")) put(e, "chaos_file", "%s", getenv("TF_CHAOS_FILE")); /* common/base/chaos.h */
#endif
    if (l->external_redis) {
        put(e, "redis_address", "%s", l->external_redis);
    } else {
        put(e, "redis_address", "127.0.0.1:%d", part_first(l, PART_redis)->port);
        put(e, "redis_password_file", "%s/secrets/" REDIS_SECRET, l->home);
    }
    if (l->external_etcd) {
        put(e, "etcd_endpoints", "%s", l->external_etcd);
    } else {
        put(e, "etcd_endpoints", "127.0.0.1:%d", part_first(l, PART_etcd)->port);
        put(e, "etcd_user", ETCD_USER);
        put(e, "etcd_password_file", "%s/secrets/" ETCD_SECRET, l->home);
    }
    snprintf(path, sizeof path, "%s/secrets/pg-%s.password", l->home, p->service);
    if (access(path, F_OK)) return;
    store_dsn(l, p->service, dsn, sizeof dsn);
    put(e, "pg_dsn", "%s", dsn);
    put(e, "pg_password_file", "%s", path);
}

/* The whole environment; free() it. */
static struct env *service_env(struct local *l, const struct part *p)
{
    struct env *e = calloc(1, sizeof *e);

    TF_ASSERT(e);
    put_common(l, e, p);
    put_own(l, e, p->settings);
    put_overrides(l, e, p);
    return e;
}

/* What a service is told, kept in its directory as NAME=VALUE lines: tools that read an installation's stores
 * (tools/check) find them where the service does. It is there whole or not at all, and outlives the service. */
static void env_record(const struct env *e, const char *directory)
{
    char path[640], temporary[660];
    int fd;
    FILE *f;

    snprintf(path, sizeof path, "%s/settings", directory);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* --set may have named a password */
    f = fd < 0 ? NULL : fdopen(fd, "w");
    for (int i = 0; f && i < e->n; i++)
        fprintf(f, "%s\n", e->rows[i]);
    if (!f || fclose(f) || rename(temporary, path)) perror(path);
}

pid_t service_start(struct local *l, struct part *p, const char *argument)
{
    char program[700], log[700], directory[600];
    struct env *e = service_env(l, p);
    const char *argv[] = {program, argument, NULL};
    struct spawn s = {.argv = argv, .env = e->rows, .log_path = log, .directory = directory, .death_signal = SIGTERM};
    pid_t pid = -1;

    part_program(l, p, program, sizeof program);
    part_directory(l, p, directory, sizeof directory);
    snprintf(log, sizeof log, "%s/log/%s.log", l->home, p->name);
    if (mkdir(directory, 0700) == 0 || errno == EEXIST) {
        if (!argument) env_record(e, directory);
        pid = process_spawn(&s);
    }
    free(e);
    return pid;
}

int service_become(struct local *l, const char *name, char **arguments)
{
    for (int i = 0; i < ROWS_MAX; i++) {
        const struct part *p = &l->rows[i];
        char program[700];
        struct env *e;

        if (p->kind != SERVICE || strcmp(p->name, name) != 0) continue;
        e = service_env(l, p);
        part_program(l, p, program, sizeof program);
        arguments[-1] = program;
        execve(program, arguments - 1, (char *const *)(uintptr_t)e->rows);
        perror(program);
        free(e);
        return 1;
    }
    fprintf(stderr, "no service '%s'\n", name);
    return 64;
}

bool service_ready(struct part *p)
{
    /* Serves, with all that it needs, and others can find it. */
    return probe_http(p->admin_port, "/healthz", "\"missing\":[]");
}

/* "postgres (PostgreSQL) 15.6 (Debian …)", "Redis server v=7.0.15 …", "etcd Version: 3.4.23", "tf-user 0.1.0": the
 * first word that looks like a number. */
void part_ask_version(struct local *l, struct part *p)
{
    char program[700], path[600], line[256] = "";
    const char *argv[] = {program, "--version", NULL};
    struct spawn s = {.argv = argv, .log_path = path, .death_signal = SIGKILL};
    FILE *f;

    part_program(l, p, program, sizeof program);
    snprintf(path, sizeof path, "%s/run/version", l->home);
    unlink(path);
    if (process_run(&s, 2000) == 0 && (f = fopen(path, "re"))) {
        size_t at = 0, n;

        if (!fgets(line, sizeof line, f)) line[0] = '\0';
        fclose(f);
        while (line[at] && !(isdigit((unsigned char)line[at]) && at > 0 && strchr(" =v", line[at - 1])))
            at++;
        n = strspn(line + at, "0123456789abcdefghijklmnopqrstuvwxyz.-+");
        snprintf(p->version, sizeof p->version, "%.*s", (int)TF_MIN(n, sizeof p->version - 1), line + at);
    }
    unlink(path);
}
