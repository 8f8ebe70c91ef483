/* Sessions in PostgreSQL. Refresh tokens are kept as hashes only. */
#pragma once

#include "services/user/user.h"

struct session {
    int64_t session_id, user_id;
    const char *device;
    tf_time created_at, last_used_at, expires_at;
};

/* Of a user's sessions those unused for longest end, so that sessions_max are left. */
TF_MUSTCHECK tf_code session_insert(tf_ctx *ctx, const struct session *session,
                                    const unsigned char refresh_hash[TF_SHA256_BYTES]);
/* Trades the hash in force for a new one and moves the expiry on. old_hash is that of a token we made. TF_OK with
 * *ret_user_id; TF_UNAUTHENTICATED when the session is over or the hash is not in force; in the latter case the token
 * was used before, however long ago, and the session ends. */
TF_MUSTCHECK tf_code session_rotate(tf_ctx *ctx, int64_t session_id, const unsigned char old_hash[TF_SHA256_BYTES],
                                    const unsigned char new_hash[TF_SHA256_BYTES], tf_time now, tf_time expires,
                                    int64_t *ret_user_id);
/* Deletes up to `rows` sessions that ended or expired more than retention_s ago; *ret_n: how many there were. Tokens of
 * a session that is not there are refused as those of one that ended: a row is needed while the session lives, when the
 * use of an earlier token must end it, and no longer. */
TF_MUSTCHECK tf_code session_purge(tf_ctx *ctx, int64_t retention_s, int rows, int64_t *ret_n);
TF_MUSTCHECK tf_code session_end(tf_ctx *ctx, int64_t session_id, int64_t user_id, tf_time now);
/* Live sessions, newest first, at most 100. */
TF_MUSTCHECK tf_code session_list(tf_ctx *ctx, int64_t user_id, tf_time now, struct session **ret_sessions,
                                  size_t *ret_n);
