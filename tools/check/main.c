/* tf-check: an operator's tool that reads all stores and says whether they agree.
 *
 *   tf-check --home DIR [--base-port N] [--json]
 *
 * The stores are those that the installation's services were started with, external ones too (places.c).
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

int main(int argc, char **argv)
{
    static struct check c;
    const char *home = NULL;
    int base_port = 17000;
    bool json = false, opened, ok = false;

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
    opened = check_open_stores(&c, home, base_port);
    if (opened) {
        check_sql_rules(&c);
        check_inventory_rules(&c);
        check_money_rules(&c);
        ok = report_print(json);
    }
    check_close_stores(&c);
    tf_ctx_done(&c.ctx);
    return !opened ? 2 : ok ? 0 : 1;
}
