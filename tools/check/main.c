/* tf-check: an operator's tool that reads all stores and says whether they agree.
 *
 *   tf-check --home DIR [--base-port N] [--json]
 *
 * Exit status 0: every rule holds; 1: violations (listed); 2: it could not be run. It reads databases of all services,
 * which no service may. */
#include "tools/check/check.h"

#include "common/crypto/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUERY_TIMEOUT_US = 60 * TF_US_PER_S };

/* All tickets of the largest show, or the provider's books of a long day, are read at once. */
static const size_t ARENA_BYTES = (size_t)2 << 30;

void check_reset(struct check *c)
{
    tf_ctx_reset(&c->ctx, QUERY_TIMEOUT_US);
}

tf_pg_result *check_query(struct check *c, int db, const struct tf_pg_stmt *stmt, const tf_pg_params *params)
{
    tf_pg_params none;
    tf_pg_result *r;

    tf_pg_params_init(&none, &c->ctx);
    if (tf_pg_query(&c->ctx, c->pg[db], stmt, params ? params : &none, &r) == TF_OK) return r;
    rule_failed(c, stmt->name);
    return NULL;
}

/* home/secrets/NAME.password */
static bool read_password(const char *home, const char *name, char *out, size_t size)
{
    char path[700];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "%s/secrets/%s.password", home, name);
    f = fopen(path, "re");
    if (!f) {
        perror(path);
        return false;
    }
    n = fread(out, 1, size - 1, f);
    fclose(f);
    out[n] = '\0';
    return true;
}

static bool open_stores(struct check *c, const char *home, int base_port)
{
    static const char *const services[DBS] = {"user", "program", "order", "pay"};
    static char address[32], url[64], key_file[700], redis_password[128];
    struct tf_redis_config redis = {
        .address = address, .password = redis_password, .connect_timeout_ms = 2000, .queue_max = 1000};

    for (int i = 0; i < DBS; i++) {
        char dsn[400], name[32], password[128];

        snprintf(name, sizeof name, "pg-%s", services[i]);
        if (!read_password(home, name, password, sizeof password)) return false;
        snprintf(dsn, sizeof dsn, "host=127.0.0.1 port=%d dbname=tf_%s user=tf_%s password=%s", base_port + 32,
                 services[i], services[i], password);
        c->pg[i] = tf_pg_new(
            &(struct tf_pg_config){.dsn = dsn, .name = "check", .connections_max = 2, .connect_timeout_ms = 3000});
    }
    if (!read_password(home, "redis", redis_password, sizeof redis_password)) return false;
    snprintf(address, sizeof address, "127.0.0.1:%d", base_port + 79);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", base_port + 90);
    snprintf(key_file, sizeof key_file, "%s/secrets/sandbox.key", home);
    c->redis = tf_redis_new(&redis);
    c->sandbox_url = url;
    c->sandbox_key_file = key_file;
    return c->redis != NULL;
}

int main(int argc, char **argv)
{
    static struct check c;
    const char *home = NULL;
    int base_port = 17000;
    bool json = false, ok;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--home") == 0 && i + 1 < argc)
            home = argv[++i];
        else if (strcmp(argv[i], "--base-port") == 0 && i + 1 < argc)
            base_port = atoi(argv[++i]);
        else
            home = NULL, i = argc;
    }
    if (!home || !tf_crypto_init()) {
        fputs("usage: tf-check --home DIR [--base-port N] [--json]\n", stderr);
        return 2;
    }
    tf_ctx_init(&c.ctx, "check", QUERY_TIMEOUT_US);
    tf_arena_free(c.ctx.arena);
    c.ctx.arena = tf_arena_new(ARENA_BYTES);
    if (!open_stores(&c, home, base_port)) return 2;
    check_sql_rules(&c);
    check_inventory_rules(&c);
    check_money_rules(&c);
    ok = report_print(json);
    for (int i = 0; i < DBS; i++)
        tf_pg_free(c.pg[i]);
    tf_redis_free(c.redis);
    tf_ctx_done(&c.ctx);
    return ok ? 0 : 1;
}
