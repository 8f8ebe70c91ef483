/* Deletes in chunks, each a statement of its own, so that no lock is held for long and a stop is quick. Several
 * instances may do it at once: they skip each other's rows. */
#include "services/user/janitor.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "services/user/store/guards.h"
#include "services/user/store/sessions.h"

enum {
    CHUNK_ROWS = 1000,
    CHUNKS_MAX = 100, /* a turn: at the default pause 1,600 rows a second, more than passwords are hashed */
};

static tf_counter purged = TF_COUNTER("tf_user_purged_total", "Rows deleted after their time, by table", "table");

static tf_code purge_sessions(tf_ctx *ctx, int64_t *ret_n)
{
    return session_purge(ctx, user_config.session_retention_s, CHUNK_ROWS, ret_n);
}

static tf_code purge_guards(tf_ctx *ctx, int64_t *ret_n)
{
    return guard_purge(ctx, CHUNK_ROWS, ret_n);
}

static void purge(tf_ctx *ctx, const char *table, tf_code (*chunk)(tf_ctx *ctx, int64_t *ret_n))
{
    int64_t n = CHUNK_ROWS;
    tf_code code = TF_OK;

    for (int i = 0; i < CHUNKS_MAX && !code && n == CHUNK_ROWS && !tf_app_stopping(ctx->app); i++) {
        code = chunk(ctx, &n);
        if (!code && n > 0) tf_counter_add_label(&purged, table, (uint64_t)n);
    }
    if (code)
        tf_log(TF_LOG_WARN, "purge failed", "table", table, "reason", tf_code_info(code)->reason, "cause",
               ctx->error.internal, NULL);
    tf_error_clear(ctx); /* the next table has an error of its own */
}

static void tick(tf_ctx *ctx, void *arg)
{
    (void)arg;
    purge(ctx, "session", purge_sessions);
    purge(ctx, "login_guard", purge_guards);
}

tf_periodic *janitor_start(tf_app *app)
{
    return tf_periodic_start(app, "janitor", (int)user_config.purge_interval_s * 1000, tick, NULL);
}
