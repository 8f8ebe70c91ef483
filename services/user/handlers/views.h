/* Answers built from rows: masked, in the contract's messages. */
#pragma once

#include "services/user/store/accounts.h"
#include "services/user/store/attendees.h"
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

/* ---- refresh tokens: "r." + base64url(session id, 32 random bytes) ---- */

enum { REFRESH_RANDOM_BYTES = 32 };
/* A new token in the arena and its hash. */
char *refresh_token_make(tf_ctx *ctx, int64_t session_id, unsigned char ret_hash[TF_SHA256_BYTES]);
/* TF_UNAUTHENTICATED unless it has the form. */
TF_MUSTCHECK tf_code refresh_token_read(tf_ctx *ctx, const char *token, int64_t *ret_session_id,
                                        unsigned char ret_hash[TF_SHA256_BYTES]);

/* ---- passwords, hashed by few at a time (each takes tens of ms and MiB) ---- */

TF_MUSTCHECK tf_code password_make(tf_ctx *ctx, const char *password, char **ret_stored);
/* *ret_right; stored NULL takes as long and is never right (an unknown name answers as slowly as a wrong password). */
TF_MUSTCHECK tf_code password_check(tf_ctx *ctx, const char *stored, const char *password, bool *ret_right);
