/* Counted failures: one row a name and one a client address, found by keyed hash. */
#include "services/user/store/guards.h"

#include "services/user/domain/throttle.h"

#include <stdio.h>

/* A key that is NULL finds nothing. */
static const struct tf_pg_stmt waits = {
    "login_guard_waits", "SELECT max(locked_until) FROM login_guard WHERE guard_key IN ($1, $2) AND locked_until > $3",
    false};
/* $3: when the count is forgotten; $4: each failure moves that on. The row is kept for the statement that follows:
 * failures at the same time count one by one. */
static const struct tf_pg_stmt count_failure = {
    .name = "login_guard_failed",
    .sql = "INSERT INTO login_guard AS g (guard_key, failures, forget_at) VALUES ($1, 1, $3)"
           " ON CONFLICT (guard_key) DO UPDATE SET"
           "   failures = CASE WHEN g.forget_at <= $2 THEN 1 ELSE g.failures + 1 END,"
           "   forget_at = CASE WHEN g.forget_at <= $2 OR $4 THEN $3 ELSE g.forget_at END"
           " RETURNING failures, forget_at",
    .writes = true,
};
static const struct tf_pg_stmt lock_guard = {"login_guard_lock",
                                             "UPDATE login_guard SET locked_until = $2 WHERE guard_key = $1", true};
static const struct tf_pg_stmt forget_guard = {"login_guard_forget", "DELETE FROM login_guard WHERE guard_key = $1",
                                               true};
static const struct tf_pg_stmt purge_guards = {
    "login_guard_purge",
    "DELETE FROM login_guard g USING (SELECT guard_key FROM login_guard WHERE forget_at < now()"
    "   AND (locked_until IS NULL OR locked_until < now()) ORDER BY forget_at LIMIT $1 FOR UPDATE SKIP LOCKED) over"
    " WHERE g.guard_key = over.guard_key",
    true};

/* What a guard's row is of. */
struct guard {
    bool is; /* false: nothing to count */
    unsigned char key[TF_SHA256_BYTES];
};

static struct guard guard_of(const tf_ctx *ctx, const char *kind, const char *of)
{
    const struct user_state *state = user_state(ctx);
    struct guard guard = {.is = of != NULL};
    char text[300];
    int n;

    if (!of) return guard;
    n = snprintf(text, sizeof text, "guard:%s:%s", kind, of);
    tf_keyed_hash(state->person_key, state->person_key_size, text, TF_MIN((size_t)n, sizeof text - 1), guard.key);
    return guard;
}

static struct guard guard_of_address(const tf_ctx *ctx)
{
    char network[THROTTLE_NETWORK_TEXT];

    if (!user_config.login_address_failures || !ctx->identity.address ||
        !throttle_network(ctx->identity.address, network))
        return guard_of(ctx, "address", NULL);
    return guard_of(ctx, "address", network);
}

static void put_key(tf_pg_params *p, const struct guard *guard)
{
    tf_pg_bytes(p, guard->is ? guard->key : NULL, guard->is ? sizeof guard->key : 0);
}

tf_code guard_check(tf_ctx *ctx, const char *name, tf_time now)
{
    struct guard by_name = guard_of(ctx, "name", name), by_address = guard_of_address(ctx);
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    put_key(&p, &by_name);
    put_key(&p, &by_address);
    tf_pg_time(&p, now);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &waits, &p, &r);
    if (code) return code;
    if (tf_pg_is_null(r, 0, 0)) return TF_OK;

    tf_fail(ctx, TF_RATE_LIMITED, "too many wrong passwords");
    tf_error_retry_after(ctx, (int)((tf_pg_get_time(r, 0, 0) - now) / TF_US_PER_MS + 1));
    return TF_RATE_LIMITED;
}

struct failure {
    struct guard by_name, by_address;
    tf_time now;
};

static tf_code count_one(tf_pg_conn *conn, tf_ctx *ctx, const struct guard *guard, tf_time now, tf_time forget,
                         bool moves_on, int *ret_failures, tf_time *ret_forget)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    put_key(&p, guard);
    tf_pg_time(&p, now);
    tf_pg_time(&p, forget);
    tf_pg_bool(&p, moves_on);
    code = tf_pg_exec(conn, ctx, &count_failure, &p, &r);
    if (code) return code;

    *ret_failures = (int)tf_pg_get_int(r, 0, 0);
    *ret_forget = tf_pg_get_time(r, 0, 1);
    return TF_OK;
}

static tf_code lock_until(tf_pg_conn *conn, tf_ctx *ctx, const struct guard *guard, tf_time until)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    put_key(&p, guard);
    tf_pg_time(&p, until);
    return tf_pg_exec(conn, ctx, &lock_guard, &p, NULL);
}

/* A name first, then the address: whoever keeps an address's row waits for nobody. */
static tf_code fail_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    const struct failure *failure = arg;
    tf_time now = failure->now, forget;
    tf_code code = TF_OK;
    int failures, wait;

    if (failure->by_name.is) {
        code = count_one(conn, ctx, &failure->by_name, now, now + user_config.login_forget_s * TF_US_PER_S, true,
                         &failures, &forget);
        if (code) return code;

        wait = login_wait_s(failures, (int)user_config.login_free_failures);
        if (wait) code = lock_until(conn, ctx, &failure->by_name, now + (int64_t)wait * TF_US_PER_S);
        if (code) return code;
    }
    if (failure->by_address.is) {
        code = count_one(conn, ctx, &failure->by_address, now, now + user_config.login_address_window_s * TF_US_PER_S,
                         false, &failures, &forget);
        if (code) return code;

        if (failures >= user_config.login_address_failures) code = lock_until(conn, ctx, &failure->by_address, forget);
    }
    return code;
}

tf_code guard_failed(tf_ctx *ctx, const char *name, tf_time now)
{
    struct failure failure = {guard_of(ctx, "name", name), guard_of_address(ctx), now};

    if (!failure.by_name.is && !failure.by_address.is) return TF_OK;
    return tf_pg_tx(ctx, tf_app_pg(ctx->app), fail_in_tx, &failure);
}

tf_code guard_passed(tf_ctx *ctx, const char *name)
{
    struct guard by_name = guard_of(ctx, "name", name);
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    put_key(&p, &by_name);
    return tf_pg_query(ctx, tf_app_pg(ctx->app), &forget_guard, &p, NULL);
}

tf_code guard_purge(tf_ctx *ctx, int rows, int64_t *ret_n)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int4(&p, rows);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &purge_guards, &p, &r);
    if (!code) *ret_n = tf_pg_affected(r);
    return code;
}
