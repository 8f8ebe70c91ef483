/* Where an installation's stores are. */
#include "tools/check/check.h"

#include "common/chassis/secrets.h"
#include "tools/told.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PG_PORT = 32, REDIS_PORT = 79, SANDBOX_PORT = 90 };

struct places {
    tf_arena *arena;
    const char *home;
    int base_port;
};

/* A setting, or what it is without a record. */
static const char *told_or(const struct places *at, const char *service, const char *setting, const char *otherwise)
{
    const char *value = told_setting(at->arena, at->home, service, setting);

    return value ? value : otherwise;
}

/* The secret in a file that a setting names; NULL after a sentence. */
static char *read_secret(const struct places *at, const char *path)
{
    const char *error;
    char *secret;
    size_t size;

    if (tf_secret_read(at->arena, path, &secret, &size, &error) == TF_OK) return secret;
    fprintf(stderr, "%s\n", error);
    return NULL;
}

static tf_pg *open_pg(const struct places *at, const char *service)
{
    const char *dsn = told_setting(at->arena, at->home, service, "pg_dsn"),
               *file = told_setting(at->arena, at->home, service, "pg_password_file");
    char *password;

    if (!dsn) {
        dsn = tf_arena_printf(at->arena, "host=127.0.0.1 port=%d dbname=tf_%s user=tf_%s", at->base_port + PG_PORT,
                              service, service);
        file = tf_arena_printf(at->arena, "%s/secrets/pg-%s.password", at->home, service);
    }
    if (file && *file) {
        password = read_secret(at, file);
        if (!password) return NULL;
        dsn = tf_dsn_with_password(at->arena, dsn, password);
    }
    TF_ASSERT(dsn);
    return tf_pg_new(
        &(struct tf_pg_config){.dsn = dsn, .name = "check", .connections_max = 2, .connect_timeout_ms = 3000});
}

/* order's: the one that keeps the inventory. */
static tf_redis *open_redis(const struct places *at)
{
    const char *address = told_setting(at->arena, at->home, "order", "redis_address"),
               *file = told_setting(at->arena, at->home, "order", "redis_password_file");
    struct tf_redis_config config = {.connect_timeout_ms = 2000, .queue_max = 1000};

    if (!address) {
        address = tf_arena_printf(at->arena, "127.0.0.1:%d", at->base_port + REDIS_PORT);
        file = tf_arena_printf(at->arena, "%s/secrets/redis.password", at->home);
    }
    if (file && *file) {
        config.password = read_secret(at, file);
        if (!config.password) return NULL;
    }
    config.address = address;
    return tf_redis_new(&config);
}

bool check_open_stores(struct check *c, const char *home, int base_port)
{
    static const char *const services[DBS] = {"user", "program", "order", "pay"};
    struct places at = {.arena = c->places = tf_arena_new(8 << 20), .home = home, .base_port = base_port};

    TF_ASSERT(at.arena);
    for (int i = 0; i < DBS; i++) {
        c->pg[i] = open_pg(&at, services[i]);
        if (!c->pg[i]) return false;
    }
    c->sandbox_url =
        told_or(&at, "pay", "sandbox_url", tf_arena_printf(at.arena, "http://127.0.0.1:%d", base_port + SANDBOX_PORT));
    c->sandbox_key_file =
        told_or(&at, "pay", "sandbox_key_file", tf_arena_printf(at.arena, "%s/secrets/sandbox.key", home));
    if (!*c->sandbox_url) c->sandbox_url = NULL; /* not offered */
    c->redis = open_redis(&at);
    return c->redis != NULL;
}

void check_close_stores(struct check *c)
{
    for (int i = 0; i < DBS; i++)
        if (c->pg[i]) tf_pg_free(c->pg[i]);
    if (c->redis) tf_redis_free(c->redis);
    tf_arena_free(c->places);
}
