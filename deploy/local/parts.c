/* The services as children: where each listens, and its environment. */
#include "deploy/local/local.h"

#include <ctype.h>
#include <stdarg.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ENV_ROWS = 64, ENV_BYTES = 16384 };

void parts_init(struct local *l)
{
    static const struct part table[PARTS] = {
#define PART(part_name, part_kind, offset, admin, part_settings)                                                       \
    {.name = #part_name, .kind = part_kind, .port = offset, .admin_port = admin, .settings = part_settings},
#include "deploy/local/parts.def"
#undef PART
    };

    memcpy(l->parts, table, sizeof table);
    for (int i = 0; i < PARTS; i++) {
        struct part *p = &l->parts[i];

        p->port += l->base_port;
        if (p->admin_port) p->admin_port += l->base_port;
    }
    if (l->external_pg) l->parts[PART_pg].state = PART_EXTERNAL;
    if (l->external_redis) l->parts[PART_redis].state = PART_EXTERNAL;
    if (l->external_etcd) l->parts[PART_etcd].state = PART_EXTERNAL;
}

/* An environment under construction in one block. */
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
    e->rows[e->n++] = row;
}

static int port_of(struct local *l, const char *name, size_t n)
{
    for (int i = 0; i < PARTS; i++)
        if (strlen(l->parts[i].name) == n && memcmp(l->parts[i].name, name, n) == 0) return l->parts[i].port;
    tf_panic(__FILE__, __LINE__, "parts.def names a part that does not exist");
}

/* Fills {home}, {secrets}, {port:NAME}. */
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

/* "order.hold_floor_s=2" for this part; "*.log_level=debug" for all. */
static void put_overrides(struct local *l, struct env *e, const struct part *p)
{
    for (int i = 0; l->overrides && l->overrides[i]; i++) {
        const char *o = l->overrides[i], *dot = strchr(o, '.'), *eq = strchr(o, '=');
        char key[64];

        if (!dot || !eq || dot > eq) continue;
        if (!(o[0] == '*' || (strlen(p->name) == (size_t)(dot - o) && strncmp(o, p->name, (size_t)(dot - o)) == 0))) continue;
        snprintf(key, sizeof key, "%.*s", (int)(eq - dot - 1), dot + 1);
        put(e, key, "%s", eq + 1);
    }
}

pid_t service_start(struct local *l, struct part *p, const char *extra_argument)
{
    char program[700], log[700], path[700], dsn[1200];
    struct env *e = calloc(1, sizeof *e);
    const char *argv[] = {program, extra_argument, NULL};
    struct spawn s = {.argv = argv, .log_path = log, .death_signal = SIGTERM};
    struct stat st;
    pid_t pid;

    TF_ASSERT(e);
    snprintf(program, sizeof program, "%s/tf-%s", l->bin, p->name);
    snprintf(log, sizeof log, "%s/log/%s.log", l->home, p->name);
    put(e, "listen", "127.0.0.1:%d", p->port);
    put(e, "admin_listen", "127.0.0.1:%d", p->admin_port);
    put(e, "instance", "%s-1", p->name);
    put(e, "internal_key_file", "%s/secrets/internal.key", l->home);
    if (l->external_redis)
        put(e, "redis_address", "%s", l->external_redis);
    else
        put(e, "redis_address", "127.0.0.1:%d", l->parts[PART_redis].port);
    if (l->external_etcd)
        put(e, "etcd_endpoints", "%s", l->external_etcd);
    else
        put(e, "etcd_endpoints", "127.0.0.1:%d", l->parts[PART_etcd].port);
    snprintf(path, sizeof path, "%s/secrets/pg-%s.password", l->home, p->name);
    if (stat(path, &st) == 0) {
        store_dsn(l, p->name, dsn, sizeof dsn);
        put(e, "pg_dsn", "%s", dsn);
        put(e, "pg_password_file", "%s", path);
    }
    put_own(l, e, p->settings);
    put_overrides(l, e, p);
    s.env = e->rows;
    pid = spawn(&s);
    free(e);
    return pid;
}

bool service_ready(struct part *p)
{
    return probe_http(p->admin_port, "/healthz");
}
