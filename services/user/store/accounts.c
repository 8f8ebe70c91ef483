/* Accounts: e-mail and mobile are sealed, and found by keyed hash. */
#include "services/user/store/accounts.h"

#include <stdio.h>
#include <string.h>

static const struct tf_pg_stmt insert_account = {
    "insert_account",
    "INSERT INTO account (user_id, mobile_hash, mobile_sealed, email_hash, email_sealed, name, language, city, "
    "password, roles, organiser_id, created_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    true};
static const struct tf_pg_stmt login_taken = {
    "login_taken",
    "SELECT EXISTS (SELECT FROM account WHERE mobile_hash = $1), EXISTS (SELECT FROM account WHERE email_hash = $2)",
    false};
#define COLUMNS "user_id, mobile_sealed, email_sealed, name, language, city, password, roles, organiser_id, created_at"
static const struct tf_pg_stmt find_by_id = {"account_by_id", "SELECT " COLUMNS " FROM account WHERE user_id = $1",
                                             false};
static const struct tf_pg_stmt find_by_login = {
    "account_by_login", "SELECT " COLUMNS " FROM account WHERE mobile_hash = $1 OR email_hash = $1", false};
static const struct tf_pg_stmt one_operator = {
    .name = "one_operator",
    .sql = "SELECT 1 FROM pg_advisory_xact_lock(hashtext('user.operator'))",
    .writes = true,
};
static const struct tf_pg_stmt set_password = {"account_set_password",
                                               "UPDATE account SET password = $2 WHERE user_id = $1", true};
static const struct tf_pg_stmt operator_exists = {"operator_exists",
                                                  "SELECT EXISTS (SELECT FROM account WHERE roles & $1 <> 0)", false};

/* What a sealed value is bound to. */
static const char ad_login[] = "account.login";

static void hash_of(const struct user_state *keys, const char *login, unsigned char out[TF_SHA256_BYTES])
{
    char text[300];
    int n = snprintf(text, sizeof text, "login:%s", login);

    tf_keyed_hash(keys->person_key, keys->person_key_size, text, (size_t)n, out);
}

bool account_name_keep(const struct user_state *keys, tf_arena *arena, const char *login, struct account_name *name)
{
    unsigned char hash[TF_SHA256_BYTES];

    hash_of(keys, login, hash);
    name->hash = tf_arena_memdup(arena, hash, sizeof hash);
    name->sealed =
        tf_seal(arena, &keys->personal_key, login, strlen(login), ad_login, sizeof ad_login, &name->sealed_size);
    return name->hash && name->sealed;
}

static void put_login(tf_ctx *ctx, tf_pg_params *p, const char *login)
{
    struct account_name name = {0};

    if (login && !account_name_keep(user_state(ctx), ctx->arena, login, &name)) p->broken = true; /* not sent */
    tf_pg_bytes(p, name.hash, name.hash ? TF_SHA256_BYTES : 0);
    tf_pg_bytes(p, name.sealed, name.sealed ? name.sealed_size : 0);
}

/* Which of the two is taken, after a unique violation. */
static tf_code name_taken_field(tf_ctx *ctx, const struct account *a)
{
    unsigned char mobile[TF_SHA256_BYTES] = {0}, email[TF_SHA256_BYTES] = {0};
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_error_clear(ctx);
    if (a->mobile) hash_of(user_state(ctx), a->mobile, mobile);
    if (a->email) hash_of(user_state(ctx), a->email, email);
    tf_pg_params_init(&p, ctx);
    tf_pg_bytes(&p, mobile, sizeof mobile);
    tf_pg_bytes(&p, email, sizeof email);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &login_taken, &p, &r);
    if (code) return code;

    tf_fail(ctx, TF_ALREADY_EXISTS, "login taken");
    ctx->error.field = tf_pg_get_bool(r, 0, 0) ? "mobile" : "email";
    return TF_ALREADY_EXISTS;
}

static void insert_params(tf_ctx *ctx, const struct account *a, tf_pg_params *p)
{
    tf_pg_params_init(p, ctx);
    tf_pg_int8(p, a->user_id);
    put_login(ctx, p, a->mobile);
    put_login(ctx, p, a->email);
    tf_pg_text(p, a->name);
    tf_pg_text(p, a->language);
    tf_pg_text(p, a->city);
    tf_pg_text(p, a->password);
    tf_pg_int4(p, (int32_t)a->roles);
    tf_pg_int8(p, a->organiser_id);
    tf_pg_time(p, a->created_at);
}

tf_code account_insert(tf_ctx *ctx, const struct account *a)
{
    tf_pg_params p;
    tf_code code;

    insert_params(ctx, a, &p);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &insert_account, &p, NULL);
    return code == TF_ALREADY_EXISTS ? name_taken_field(ctx, a) : code;
}

static const char *open_login(tf_ctx *ctx, const tf_pg_result *r, int column)
{
    struct tf_pg_bytes sealed = tf_pg_get_bytes(r, 0, column);
    size_t n;

    if (!sealed.data) return NULL;
    return tf_open(ctx->arena, &user_state(ctx)->personal_key, 1, sealed.data, sealed.size, ad_login, sizeof ad_login,
                   &n);
}

static tf_code read_account(tf_ctx *ctx, const tf_pg_result *r, struct account *a)
{
    if (tf_pg_rows(r) == 0) return tf_fail(ctx, TF_NOT_FOUND, "no such account");
    *a = (struct account){
        .user_id = tf_pg_get_int(r, 0, 0),
        .mobile = open_login(ctx, r, 1),
        .email = open_login(ctx, r, 2),
        .name = tf_pg_get_text(r, 0, 3),
        .language = tf_pg_get_text(r, 0, 4),
        .city = tf_pg_get_text(r, 0, 5),
        .password = tf_pg_get_text(r, 0, 6),
        .roles = (uint32_t)tf_pg_get_int(r, 0, 7),
        .organiser_id = tf_pg_get_int(r, 0, 8),
        .created_at = tf_pg_get_time(r, 0, 9),
    };
    if (!a->mobile && !a->email)
        return tf_fail(ctx, TF_INTERNAL, "account %lld does not open: wrong personal-data key?", (long long)a->user_id);
    return TF_OK;
}

tf_code account_by_id(tf_ctx *ctx, int64_t user_id, struct account *a)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, user_id);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &find_by_id, &p, &r);
    if (code) return code;

    return read_account(ctx, r, a);
}

tf_code account_by_login(tf_ctx *ctx, const char *login, struct account *a)
{
    unsigned char hash[TF_SHA256_BYTES];
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    hash_of(user_state(ctx), login, hash);
    tf_pg_params_init(&p, ctx);
    tf_pg_bytes(&p, hash, sizeof hash);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &find_by_login, &p, &r);
    if (code) return code;

    return read_account(ctx, r, a);
}

tf_code account_set_password(tf_ctx *ctx, int64_t user_id, const char *password)
{
    tf_pg_params p;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, user_id);
    tf_pg_text(&p, password);
    return tf_pg_query(ctx, tf_app_pg(ctx->app), &set_password, &p, NULL);
}

struct first_operator {
    const struct account *account;
    tf_code (*publish)(tf_ctx *ctx, void *arg);
    void *arg;
};

/* Instances that start at once take turns by the advisory lock. */
static tf_code operator_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    const struct first_operator *first = arg;
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    code = tf_pg_exec(conn, ctx, &one_operator, &p, NULL);
    if (code) return code;

    tf_pg_int4(&p, TF_ROLE_PLATFORM_OPERATOR);
    code = tf_pg_exec(conn, ctx, &operator_exists, &p, &r);
    if (code || tf_pg_get_bool(r, 0, 0)) return code;

    insert_params(ctx, first->account, &p);
    code = tf_pg_exec(conn, ctx, &insert_account, &p, NULL);
    if (code) return code;

    return first->publish(ctx, first->arg);
}

tf_code account_first_operator(tf_ctx *ctx, const struct account *a, tf_code (*publish)(tf_ctx *ctx, void *arg),
                               void *arg)
{
    struct first_operator first = {a, publish, arg};

    return tf_pg_tx(ctx, tf_app_pg(ctx->app), operator_in_tx, &first);
}

tf_code account_operator_exists(tf_ctx *ctx, bool *ret_exists)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int4(&p, TF_ROLE_PLATFORM_OPERATOR);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &operator_exists, &p, &r);
    if (code) return code;

    *ret_exists = tf_pg_get_bool(r, 0, 0);
    return TF_OK;
}
