/* What the parts of a process share: accessors, contexts, ids and the clients of other services. */
#include "common/chassis/app_internal.h"

#include <string.h>

enum { ANSWER_BYTES_MAX = 16 * 1024 * 1024, PEERS_MAX = 64, CLOCK_RETRY_MS = 1000 };

const struct tf_config *tf_app_config(tf_app *app)
{
    return &app->config;
}

tf_pg *tf_app_pg(tf_app *app)
{
    return app->pg;
}

tf_redis *tf_app_redis(tf_app *app)
{
    return app->redis;
}

const struct tf_redis_config *tf_app_redis_config(tf_app *app)
{
    return &app->redis_config;
}

tf_bus *tf_app_bus(tf_app *app)
{
    return app->bus;
}

const tf_clock *tf_app_clock(tf_app *app)
{
    return app->clock;
}

const struct tf_identity_key *tf_app_identity_key(tf_app *app)
{
    return &app->identity_key;
}

const char *tf_app_instance(tf_app *app)
{
    return app->instance;
}

void tf_app_set_state(tf_app *app, void *state)
{
    app->state = state;
}

void *tf_app_state(tf_app *app)
{
    return app->state;
}

bool tf_app_stopping(tf_app *app)
{
    return atomic_load(&app->stopping);
}

void tf_app_set_ready(tf_app *app, bool ready)
{
    if (atomic_exchange(&app->ready, ready) != ready) tf_ticker_wake(app->health);
}

bool tf_app_clock_agrees(const tf_app *app)
{
    return !app->clock_guard || tf_clock_guard_agrees(app->clock_guard);
}

bool tf_app_healthy(tf_app *app)
{
    if (!atomic_load(&app->serving) || !atomic_load(&app->ready)) return false;
    return !(app->service->uses & TF_USES_PG) || (atomic_load(&app->pg_up) && tf_app_clock_agrees(app));
}

static tf_code clock_check(tf_ctx *ctx, tf_app *app)
{
    tf_code code;

    if (tf_app_clock_agrees(app)) return TF_OK;
    tf_ticker_wake(app->health); /* callers are to know at once */
    code = tf_fail(ctx, TF_STORE_DOWN, "the own clock does not agree with PostgreSQL's");
    tf_error_retry_after(ctx, CLOCK_RETRY_MS);
    return code;
}

tf_code tf_app_clock_check(tf_ctx *ctx)
{
    return clock_check(ctx, ctx->app);
}

void tf_app_ctx(tf_app *app, tf_ctx *ctx, const char *request_id, int64_t timeout_us)
{
    tf_ctx_init(ctx, request_id, timeout_us);
    ctx->clock = app->clock;
    ctx->app = app;
    ctx->identity.caller = app->service->name;
    ctx->identity.internal = true;
}

tf_code tf_app_id(tf_ctx *ctx, tf_app *app, int bucket, int64_t *ret_id)
{
    int64_t id = 0;
    tf_code code;

    TF_ASSERT(app->claim);        /* the service declares TF_USES_IDS */
    code = clock_check(ctx, app); /* before, so that no tick of a wrong clock is used up */
    if (code) return code;

    code = tf_worker_claim_id(app->claim, bucket, &id);
    if (!code) {
        code = clock_check(ctx, app); /* and after: the clock may have been set in between */
        if (!code) *ret_id = id;
        return code;
    }
    code = tf_fail(ctx, code, "no id can be made: no ticks are reserved, or too many ids were made");
    tf_error_retry_after(ctx, 500);
    return code;
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

tf_rpc_client *tf_app_client(tf_app *app, const char *service)
{
    for (size_t i = 0; i < app->n_callees; i++)
        if (strcmp(app->callees[i].service, service) == 0) return app->callees[i].client;
    tf_panic(__FILE__, __LINE__, "tf_app_client: the service is not named in callees");
}

static void callee_changed(const char *const *addresses, size_t n, void *arg)
{
    tf_rpc_client_set_endpoints(arg, addresses, n);
}

/* Addresses of one service in "service=host:port,…". *ret_n 0: it is not named. False: malformed. */
static bool peers_of(tf_app *app, const char *service, const char *addresses[static PEERS_MAX], size_t *ret_n)
{
    char *rest = tf_arena_strdup(app->arena, app->config.peers), *peer;

    *ret_n = 0;
    while (rest && (peer = strsep(&rest, ","))) {
        char *address;

        peer += strspn(peer, " ");
        if (!*peer) continue;
        address = strchr(peer, '=');
        if (!address || address == peer || !strrchr(address, ':')) return false;
        *address++ = '\0';
        if (strcmp(peer, service) != 0) continue;
        if (*ret_n == PEERS_MAX) return false;
        addresses[(*ret_n)++] = address;
    }
    return true;
}

static tf_code callee_start(tf_app *app, struct tf_app_callee *callee, const char **ret_error)
{
    const char *addresses[PEERS_MAX];
    size_t n;

    if (!peers_of(app, callee->service, addresses, &n)) {
        *ret_error = "peers: not of the form service=host:port, several by comma";
        return TF_FIELD_INVALID;
    }
    if (n == 0 && !app->etcd) {
        *ret_error = tf_arena_printf(app->arena, "%s is called, but neither etcd_endpoints nor peers tells where it is",
                                     callee->service);
        return TF_FIELD_INVALID;
    }
    callee->client = tf_rpc_client_new(&(struct tf_rpc_client_config){
        .service = callee->service,
        .caller = app->service->name,
        .identity_key = &app->identity_key,
        .clock = app->clock,
        .message_max = ANSWER_BYTES_MAX,
    });
    if (n > 0)
        tf_rpc_client_set_endpoints(callee->client, addresses, n);
    else
        tf_etcd_watch(app->etcd, callee->service, callee_changed, callee->client);
    return TF_OK;
}

tf_code tf_app_clients_start(tf_app *app, const char **ret_error)
{
    const char *const *names = app->service->callees;

    while (names && names[app->n_callees])
        app->n_callees++;
    app->callees = calloc(TF_MAX(app->n_callees, (size_t)1), sizeof(*app->callees));
    TF_ASSERT(app->callees);
    for (size_t i = 0; i < app->n_callees; i++) {
        tf_code code;

        app->callees[i].service = names[i];
        code = callee_start(app, &app->callees[i], ret_error);
        if (code) return code;
    }
    return TF_OK;
}

void tf_app_clients_stop(tf_app *app)
{
    for (size_t i = 0; i < app->n_callees; i++)
        if (app->callees[i].client) tf_rpc_client_free(app->callees[i].client);
    free(app->callees);
    app->callees = NULL;
    app->n_callees = 0;
}
