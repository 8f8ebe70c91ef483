/* Answers built from rows: masked, in the contract's messages. */
#pragma once

#include "services/user/store/accounts.h"
#include "services/user/store/attendees.h"
#include "services/user/store/guards.h"
#include "services/user/store/sessions.h"
#include "ticketflow/user/v1/user.server.h"

/* In ctx->arena; NULL when it is exhausted (the caller answers TF_INTERNAL). */
User *view_user(tf_ctx *ctx, const struct account *account);
Attendee *view_attendee(tf_ctx *ctx, const struct attendee *attendee);
/* Makes a session's access token and answers both tokens. */
Tokens *view_tokens(tf_ctx *ctx, const struct account *account, int64_t session_id, char *refresh_token, tf_time now,
                    tf_time refresh_expires);

/* "Text within bounds": TF_FIELD_INVALID names the field. min and max are code points. */
TF_MUSTCHECK tf_code check_text(tf_ctx *ctx, const char *field, const char *text, size_t min, size_t max);

/* ---- refresh tokens: "r." + base64url(session id, 32 random bytes, 16 bytes of a keyed hash over both) ----
 *
 * The keyed hash tells a token that we made from one that was made up, however long ago that was: only the former, when
 * it is no longer in force, is a copy whose use ends the session. */

enum { REFRESH_RANDOM_BYTES = 32, REFRESH_PROOF_BYTES = 16 };
/* A new token in the arena and its hash; NULL when the arena is exhausted. */
char *refresh_token_make(tf_ctx *ctx, int64_t session_id, unsigned char ret_hash[TF_SHA256_BYTES]);
/* TF_UNAUTHENTICATED unless we made it. */
TF_MUSTCHECK tf_code refresh_token_read(tf_ctx *ctx, const char *token, int64_t *ret_session_id,
                                        unsigned char ret_hash[TF_SHA256_BYTES]);

/* ---- passwords, hashed in turns by few at a time (each takes tens of ms and MiB) ---- */

/* Waits for a turn within the deadline; TF_OVERLOADED when too many wait. Whoever has one gives it back. */
TF_MUSTCHECK tf_code password_turn_take(tf_ctx *ctx);
void password_turn_give(void);
/* Both inside a turn. stored NULL takes as long and is never right (an unknown name answers as slowly as a wrong
 * password). */
TF_MUSTCHECK tf_code password_make(tf_ctx *ctx, const char *password, char **ret_stored);
bool password_right(const char *stored, const char *password);
