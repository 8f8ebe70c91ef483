/* Sessions: one row a device; rotation is one compare-and-set statement. */
#include "services/user/store/sessions.h"

/* $7: sessions of the user that may stay beside the new one; those unused for longest end. */
static const struct tf_pg_stmt insert_session = {
    "insert_session",
    "WITH crowded AS (UPDATE session SET ended_at = $5 WHERE session_id IN (SELECT session_id FROM session"
    "   WHERE user_id = $2 AND ended_at IS NULL ORDER BY last_used_at DESC, session_id DESC OFFSET $7))"
    " INSERT INTO session (session_id, user_id, device, refresh_hash, created_at, last_used_at, expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $5, $6)",
    true};
static const struct tf_pg_stmt rotate_session = {
    .name = "rotate_session",
    .sql = "UPDATE session SET refresh_hash = $3, last_used_at = $4, expires_at = $5"
           " WHERE session_id = $1 AND refresh_hash = $2 AND ended_at IS NULL AND expires_at > $4 RETURNING user_id",
    .writes = true,
};
static const struct tf_pg_stmt end_reused = {
    .name = "end_reused_session",
    .sql = "UPDATE session SET ended_at = $3 WHERE session_id = $1 AND refresh_hash <> $2 AND ended_at IS NULL",
    .writes = true,
};
static const struct tf_pg_stmt end_session = {
    "end_session", "UPDATE session SET ended_at = $3 WHERE session_id = $1 AND user_id = $2 AND ended_at IS NULL",
    true};
/* $1: seconds since it was over; $2: rows. Instances that purge at once skip each other's. */
static const struct tf_pg_stmt purge_sessions = {
    "purge_sessions",
    "DELETE FROM session s USING (SELECT session_id FROM session"
    "   WHERE least(ended_at, expires_at) < now() - make_interval(secs => $1::int8)"
    "   ORDER BY least(ended_at, expires_at) LIMIT $2 FOR UPDATE SKIP LOCKED) over"
    " WHERE s.session_id = over.session_id",
    true};
static const struct tf_pg_stmt list_sessions_stmt = {
    "list_sessions",
    "SELECT session_id, device, created_at, last_used_at FROM session "
    "WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY session_id DESC LIMIT 100",
    false};

tf_code session_insert(tf_ctx *ctx, const struct session *s, const unsigned char refresh_hash[TF_SHA256_BYTES])
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, s->session_id);
    tf_pg_int8(&p, s->user_id);
    tf_pg_text(&p, s->device);
    tf_pg_bytes(&p, refresh_hash, TF_SHA256_BYTES);
    tf_pg_time(&p, s->created_at);
    tf_pg_time(&p, s->expires_at);
    tf_pg_int8(&p, user_config.sessions_max - 1);
    return tf_pg_query(ctx, tf_app_pg(ctx->app), &insert_session, &p, NULL);
}

tf_code session_rotate(tf_ctx *ctx, int64_t session_id, const unsigned char old_hash[TF_SHA256_BYTES],
                       const unsigned char new_hash[TF_SHA256_BYTES], tf_time now, tf_time expires,
                       int64_t *ret_user_id)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, session_id);
    tf_pg_bytes(&p, old_hash, TF_SHA256_BYTES);
    tf_pg_bytes(&p, new_hash, TF_SHA256_BYTES);
    tf_pg_time(&p, now);
    tf_pg_time(&p, expires);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &rotate_session, &p, &r);
    if (code) return code;

    if (tf_pg_rows(r) == 1) {
        *ret_user_id = tf_pg_get_int(r, 0, 0);
        return TF_OK;
    }
    /* Genuine and not in force, so used before: a copy of the token is about, and nobody keeps the session. */
    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, session_id);
    tf_pg_bytes(&p, old_hash, TF_SHA256_BYTES);
    tf_pg_time(&p, now);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &end_reused, &p, &r);
    if (code) return code;

    return tf_fail(ctx, TF_UNAUTHENTICATED,
                   tf_pg_affected(r) ? "refresh token used twice; session ended" : "refresh token not in force");
}

tf_code session_end(tf_ctx *ctx, int64_t session_id, int64_t user_id, tf_time now)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, session_id);
    tf_pg_int8(&p, user_id);
    tf_pg_time(&p, now);
    return tf_pg_query(ctx, tf_app_pg(ctx->app), &end_session, &p, NULL);
}

tf_code session_purge(tf_ctx *ctx, int64_t retention_s, int rows, int64_t *ret_n)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, retention_s);
    tf_pg_int4(&p, rows);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &purge_sessions, &p, &r);
    if (!code) *ret_n = tf_pg_affected(r);
    return code;
}

tf_code session_list(tf_ctx *ctx, int64_t user_id, tf_time now, struct session **ret_sessions, size_t *ret_n)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;
    size_t n;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, user_id);
    tf_pg_time(&p, now);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &list_sessions_stmt, &p, &r);
    if (code) return code;

    n = (size_t)tf_pg_rows(r);
    *ret_sessions = TF_NEW_ARRAY(ctx->arena, struct session, n);
    if (!*ret_sessions) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (size_t i = 0; i < n; i++)
        (*ret_sessions)[i] = (struct session){
            .session_id = tf_pg_get_int(r, (int)i, 0),
            .user_id = user_id,
            .device = tf_pg_get_text(r, (int)i, 1),
            .created_at = tf_pg_get_time(r, (int)i, 2),
            .last_used_at = tf_pg_get_time(r, (int)i, 3),
        };
    *ret_n = n;
    return TF_OK;
}
