/* A tf-program of the test's own. */
#include "tests/integration/program/running.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { START_MS = 20000, CALL_MS = 60000 };

static const char *server_dsn(void)
{
    return env_or_fail("TF_TEST_PG_DSN", "a database in libpq's keyword form");
}

static tf_pg *pool(const char *dsn)
{
    return tf_pg_new(
        &(struct tf_pg_config){.dsn = dsn, .name = "program-test", .connections_max = 4, .connect_timeout_ms = 5000});
}

/* A statement on a connection of its own: a pool keeps pointers to the statements that it has seen. */
static int64_t statement_run(const char *dsn, const char *text)
{
    tf_pg *pg = pool(dsn);
    const struct tf_pg_stmt stmt = {"test", text, true};
    tf_pg_params params;
    tf_pg_result *result;
    int64_t value;
    tf_ctx ctx;

    ctx_start(&ctx, 10000);
    tf_pg_params_init(&params, &ctx);
    ASSERT_OK(&ctx, tf_pg_query(&ctx, pg, &stmt, &params, &result));
    value = tf_pg_rows(result) ? tf_pg_get_int(result, 0, 0) : 0;
    tf_ctx_done(&ctx);
    tf_pg_free(pg);
    return value;
}

int64_t sql(struct running *r, const char *format, ...)
{
    char text[1000];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return statement_run(r->dsn, text);
}

static pid_t spawn(const char *argument)
{
    const char *argv[] = {TF_PROGRAM, argument, NULL};

    return child_spawn(NULL, argv);
}

static void key_make(struct running *r)
{
    int fd;

    snprintf(r->key_path, sizeof(r->key_path), "/tmp/tf-test-program-key-XXXXXX");
    memset(r->key.secret, 'k', 40);
    r->key.size = 40;
    fd = mkstemp(r->key_path);
    assert_true(fd >= 0 && write(fd, r->key.secret, r->key.size) == (ssize_t)r->key.size);
    close(fd);
}

static void environment_make(struct running *r)
{
    char text[64];

    setenv("TF_PG_DSN", r->dsn, 1);
    setenv("TF_REDIS_ADDRESS", env_or_fail("TF_TEST_REDIS", "host:port of a Redis"), 1);
    if (getenv("TF_TEST_REDIS_PASSWORD_FILE"))
        setenv("TF_REDIS_PASSWORD_FILE", getenv("TF_TEST_REDIS_PASSWORD_FILE"), 1);
    setenv("TF_INTERNAL_KEY_FILE", r->key_path, 1);
    snprintf(text, sizeof(text), "127.0.0.1:%d", r->port);
    setenv("TF_LISTEN", text, 1);
    setenv("TF_ADMIN_LISTEN", "127.0.0.1:0", 1);
    setenv("TF_LOG_LEVEL", "warn", 1);
}

static bool serves(void *arg)
{
    struct running *r = arg;
    ListProgramsRequest request = ListProgramsRequest_init;
    ListProgramsResponse *response;
    tf_code code;
    tf_ctx ctx;

    as_nobody(&ctx);
    code = call_list_programs(&ctx, r->client, &request, &response);
    tf_ctx_done(&ctx);
    return code == TF_OK;
}

void running_start(struct running *r)
{
    char text[200], endpoint[64];
    const char *endpoints[] = {endpoint};
    pid_t migration;

    snprintf(r->schema, sizeof(r->schema), "program_%s", unique_word());
    snprintf(text, sizeof(text), "CREATE SCHEMA %s", r->schema);
    statement_run(server_dsn(), text);
    snprintf(r->dsn, sizeof(r->dsn), "%s options='-csearch_path=%s'", server_dsn(), r->schema);
    r->pg = pool(r->dsn);
    r->port = free_port();
    key_make(r);
    environment_make(r);
    migration = spawn("--migrate");
    assert_int_equal(child_stop(&migration, 0), 0);
    r->pid = spawn(NULL);
    r->client = tf_rpc_client_new(&(struct tf_rpc_client_config){.service = "program",
                                                                 .caller = "gateway",
                                                                 .identity_key = &r->key,
                                                                 .clock = tf_clock_system(),
                                                                 .message_max = 16 * 1024 * 1024});
    snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%d", r->port);
    tf_rpc_client_set_endpoints(r->client, endpoints, 1);
    wait_until(serves, r, START_MS, "tf-program serves");
}

void running_stop(struct running *r)
{
    char text[200];

    assert_true(r->pid > 0);
    assert_int_equal(child_stop(&r->pid, SIGTERM), 0);
    tf_rpc_client_free(r->client);
    tf_pg_free(r->pg);
    snprintf(text, sizeof(text), "DROP SCHEMA %s CASCADE", r->schema);
    statement_run(server_dsn(), text);
    unlink(r->key_path);
}

void as_nobody(tf_ctx *ctx)
{
    ctx_start(ctx, CALL_MS);
    ctx->identity = (struct tf_identity){.caller = "gateway"};
}

void as_platform(tf_ctx *ctx)
{
    as_nobody(ctx);
    ctx->identity.user_id = 1;
    ctx->identity.roles = TF_ROLE_PLATFORM_OPERATOR;
}

void as_organiser(tf_ctx *ctx, int64_t organiser_id)
{
    as_nobody(ctx);
    ctx->identity.user_id = 2;
    ctx->identity.roles = TF_ROLE_ORGANISER_ADMIN;
    ctx->identity.organiser_id = organiser_id;
}

tf_code import(struct running *r, tf_ctx *ctx, const char *json, ImportCatalogueResponse **ret_response)
{
    ImportCatalogueRequest request = ImportCatalogueRequest_init;
    RawBody body = RawBody_init;

    body.data.data = (unsigned char *)(uintptr_t)json;
    body.data.len = strlen(json);
    request.document = &body;
    return call_import_catalogue(ctx, r->client, &request, ret_response);
}

const ImportedObject *imported(const ImportCatalogueResponse *response, const char *kind, const char *ref)
{
    for (size_t i = 0; i < response->n_objects; i++)
        if (strcmp(response->objects[i]->kind, kind) == 0 && strcmp(response->objects[i]->ref, ref) == 0)
            return response->objects[i];
    fail_msg("no %s \"%s\" in the answer", kind, ref);
    return NULL;
}
