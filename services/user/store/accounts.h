/* Accounts in PostgreSQL: SQL, sealing and look-up hashes. */
#pragma once

#include "services/user/user.h"

struct account {
    int64_t user_id, organiser_id;
    const char *mobile, *email; /* opened; NULL: none */
    const char *name, *language, *city, *password;
    uint32_t roles;
    tf_time created_at, locked_until;
    int failed_logins;
};

/* Inserts. TF_ALREADY_EXISTS with the field ("mobile" or "email") when it is taken. */
TF_MUSTCHECK tf_code account_insert(tf_ctx *ctx, const struct account *account);
/* TF_NOT_FOUND when there is none. */
TF_MUSTCHECK tf_code account_by_id(tf_ctx *ctx, int64_t user_id, struct account *ret_account);
/* mobile or e-mail in its one form. */
TF_MUSTCHECK tf_code account_by_login(tf_ctx *ctx, const char *login, struct account *ret_account);
/* One more wrong password; how many there are in a row now. */
TF_MUSTCHECK tf_code account_login_failed(tf_ctx *ctx, int64_t user_id, int *ret_failures);
/* No log-in before then; a later time that stands already stays. */
TF_MUSTCHECK tf_code account_lock(tf_ctx *ctx, int64_t user_id, tf_time until);
/* Log-in succeeded: failures forgotten; password replaced unless NULL. */
TF_MUSTCHECK tf_code account_login_succeeded(tf_ctx *ctx, int64_t user_id, const char *password);
TF_MUSTCHECK tf_code account_operator_exists(tf_ctx *ctx, bool *ret_exists);
