/* Accounts in PostgreSQL: SQL, sealing and look-up hashes. */
#pragma once

#include "services/user/user.h"

struct account {
    int64_t user_id, organiser_id;
    const char *mobile, *email; /* opened; NULL: none */
    const char *name, *language, *city, *password;
    uint32_t roles;
    tf_time created_at;
};

/* What a row keeps of a mobile or an e-mail address in its one form: a hash that finds it, a seal that only the key
 * opens. In the arena. */
struct account_name {
    const unsigned char *hash; /* TF_SHA256_BYTES */
    const void *sealed;
    size_t sealed_size;
};
/* False: the arena is exhausted. */
TF_MUSTCHECK bool account_name_keep(const struct user_state *keys, tf_arena *arena, const char *login,
                                    struct account_name *ret_name);

/* Inserts. TF_ALREADY_EXISTS with the field ("mobile" or "email") when it is taken. */
TF_MUSTCHECK tf_code account_insert(tf_ctx *ctx, const struct account *account);
/* TF_NOT_FOUND when there is none. */
TF_MUSTCHECK tf_code account_by_id(tf_ctx *ctx, int64_t user_id, struct account *ret_account);
/* mobile or e-mail in its one form. */
TF_MUSTCHECK tf_code account_by_login(tf_ctx *ctx, const char *login, struct account *ret_account);
/* The same password, hashed anew. */
TF_MUSTCHECK tf_code account_set_password(tf_ctx *ctx, int64_t user_id, const char *password);
TF_MUSTCHECK tf_code account_operator_exists(tf_ctx *ctx, bool *ret_exists);
/* Inserts unless there is a platform operator already, one instance at a time. publish runs before the commit: what it
 * wrote belongs to the account, and a crash between leaves what the next start overwrites. */
TF_MUSTCHECK tf_code account_first_operator(tf_ctx *ctx, const struct account *account,
                                            tf_code (*publish)(tf_ctx *ctx, void *arg), void *arg);
