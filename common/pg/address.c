/* Finding out addresses in libpq's stead. Its keywords take lists: host, hostaddr and port, one element a host. */
#include "common/pg/address.h"

#include "common/base/resolve.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

enum { HOSTS_MAX = 16 };

/* What the connection string says; "" where it says nothing. In the arena. */
struct said {
    const char *host, *hostaddr, *port;
};

/* The i-th element of a list by commas; "" beyond its end. NULL: the arena is full. */
static const char *element(tf_ctx *ctx, const char *list, size_t i)
{
    for (; i > 0; i--) {
        list = strchr(list, ',');
        if (!list) return "";
        list++;
    }
    return tf_arena_printf(ctx->arena, "%.*s", (int)strcspn(list, ","), list);
}

static size_t count(const char *list)
{
    size_t n = 1;

    while ((list = strchr(list, ','))) {
        list++;
        n++;
    }
    return n;
}

/* What libpq cannot read says nothing: it names the fault itself. */
static tf_code said_by(tf_ctx *ctx, const char *dsn, struct said *ret_said)
{
    const char *environment = getenv("PGHOST");
    struct said said = {environment ? environment : "", "", ""};
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);

    for (PQconninfoOption *option = options; option && option->keyword; option++) {
        const char **value = strcmp(option->keyword, "host") == 0       ? &said.host
                             : strcmp(option->keyword, "hostaddr") == 0 ? &said.hostaddr
                             : strcmp(option->keyword, "port") == 0     ? &said.port
                                                                        : NULL;

        if (value && option->val && option->val[0]) *value = tf_arena_strdup(ctx->arena, option->val);
    }
    PQconninfoFree(options);
    if (!said.host || !said.hostaddr || !said.port) return tf_fail(ctx, TF_INTERNAL, "the arena is full");
    *ret_said = said;
    return TF_OK;
}

/* Appends one host; false: the arena is full. */
static bool add(tf_ctx *ctx, struct tf_pg_address *lists, const char *host, const char *hostaddr, const char *port)
{
    const char *comma = lists->host ? "," : "";

    lists->host = tf_arena_printf(ctx->arena, "%s%s%s", lists->host ? lists->host : "", comma, host);
    lists->hostaddr = tf_arena_printf(ctx->arena, "%s%s%s", lists->hostaddr ? lists->hostaddr : "", comma, hostaddr);
    lists->port = tf_arena_printf(ctx->arena, "%s%s%s", lists->port ? lists->port : "", comma, port);
    return lists->host && lists->hostaddr && lists->port;
}

/* One element of the connection string: its addresses, or itself where there is nothing to find out. */
static tf_code add_resolved(tf_ctx *ctx, struct tf_pg_address *lists, const char *host, const char *hostaddr,
                            const char *port, int64_t until_us, bool *ret_late)
{
    bool is_socket = host[0] == '/' || host[0] == '@' || host[0] == '\0';
    struct tf_addresses addresses;
    tf_code code;

    if (is_socket || hostaddr[0])
        return add(ctx, lists, host, hostaddr, port) ? TF_OK : tf_fail(ctx, TF_INTERNAL, "the arena is full");
    code = tf_resolve_wait(host, until_us, &addresses);
    if (code) {
        *ret_late = code == TF_DEADLINE;
        return tf_fail(ctx, TF_STORE_DOWN, "PostgreSQL's host name %s %s", host,
                       *ret_late ? "is not resolved in time" : "cannot be resolved");
    }
    for (size_t i = 0; i < addresses.n; i++)
        if (!add(ctx, lists, host, addresses.text[i], port)) return tf_fail(ctx, TF_INTERNAL, "the arena is full");
    return TF_OK;
}

tf_code tf_pg_resolve(tf_ctx *ctx, const char *dsn, int64_t until_us, struct tf_pg_address *ret_address, bool *ret_late)
{
    struct tf_pg_address lists = {0};
    struct said said;
    tf_code code;
    size_t n;

    *ret_late = false;
    code = said_by(ctx, dsn, &said);
    if (code) return code;
    n = count(said.host[0] ? said.host : said.hostaddr);
    if (n > HOSTS_MAX)
        return tf_fail(ctx, TF_STORE_DOWN, "PostgreSQL's connection string names more than %d hosts", HOSTS_MAX);

    for (size_t i = 0; i < n && n > 1; i++) { /* all at the same time */
        const char *host = element(ctx, said.host, i);
        struct tf_addresses ignored;

        if (host && host[0] && host[0] != '/' && host[0] != '@') (void)!tf_resolve_wait(host, 0, &ignored);
    }
    for (size_t i = 0; i < n; i++) {
        const char *host = element(ctx, said.host, i), *hostaddr = element(ctx, said.hostaddr, i);
        const char *port = count(said.port) > 1 ? element(ctx, said.port, i) : said.port;

        int64_t now = tf_mono_us();
        /* Of several, none may take the time that connecting to the others needs. */
        int64_t host_until_us = n == 1 ? until_us : now + TF_MAX(until_us - now, 0) / 2;

        if (!host || !hostaddr || !port) return tf_fail(ctx, TF_INTERNAL, "the arena is full");
        code = add_resolved(ctx, &lists, host, hostaddr, port, host_until_us, ret_late);
    }
    if (!lists.host) return code;
    tf_error_clear(ctx); /* of names beside the one that was found */
    *ret_address = lists;
    return TF_OK;
}
