/* Accounts in bulk, written into user's database as user writes them itself, and access tokens signed with the
 * installation's own key: for whoever may read the secrets of this machine, and by no call of the product. */
#include "tools/load/load.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/chassis/access_token.h"
#include "common/chassis/secrets.h"
#include "common/chassis/worker_claim.h"
#include "common/crypto/crypto.h"
#include "common/json/json.h"
#include "services/user/keys.h"
#include "services/user/store/accounts.h"
#include "tools/told.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BATCH = 1000,
    ACCOUNTS_MAX = 10000000,
    BATCH_TIMEOUT_US = 60 * TF_US_PER_S,
    PG_PORT = 32,
    ID_WAIT_US = 5000,
    LINE_MAX_BYTES = 16 << 10
};

static const struct tf_pg_stmt insert_accounts = {
    "load_insert_accounts",
    "INSERT INTO account (user_id, email_hash, email_sealed, name, language, city, password, created_at) "
    "SELECT user_id, email_hash, email_sealed, $4, 'en', '', $5, $6 "
    "FROM unnest($1::int8[], $2::bytea[], $3::bytea[]) AS a (user_id, email_hash, email_sealed)",
    true};

struct prepare {
    const char *home, *out;
    int64_t base_port, accounts, token_life_s;
    tf_ctx ctx;
    tf_arena *places; /* strings for the whole run */
    struct user_state keys;
    tf_pg *pg;
    tf_worker_claim *claim;
    char batch_name[17];             /* part of every address, so that no two runs collide */
    char password[TF_PASSWORD_TEXT]; /* of a password that nobody knows */
    FILE *file;
};

static void check(struct prepare *p, tf_code code, const char *what)
{
    if (code)
        load_die("%s: %s %s", what, tf_code_info(code)->reason, p->ctx.error.internal ? p->ctx.error.internal : "");
}

/* What user was told for a setting, or where `up` puts it. */
static const char *told_or(struct prepare *p, const char *setting, const char *otherwise)
{
    const char *value = told_setting(p->places, p->home, "user", setting);

    return value ? value : otherwise;
}

static const char *secret_path(struct prepare *p, const char *setting, const char *file)
{
    return told_or(p, setting, tf_arena_printf(p->places, "%s/secrets/%s", p->home, file));
}

static void read_keys(struct prepare *p)
{
    const struct user_config config = {.signing_key_file = secret_path(p, "signing_key_file", "user-signing.key"),
                                       .personal_key_file = secret_path(p, "personal_key_file", "personal-data.key"),
                                       .person_key_file = secret_path(p, "person_key_file", "person.key")};

    check(p, user_keys_read(&p->ctx, &config, &p->keys), "the installation's keys");
}

static void open_database(struct prepare *p)
{
    const char *dsn = told_or(p, "pg_dsn",
                              tf_arena_printf(p->places, "host=127.0.0.1 port=%d dbname=tf_user user=tf_user",
                                              (int)p->base_port + PG_PORT)),
               *password_file = secret_path(p, "pg_password_file", "pg-user.password"), *error;
    char *password;
    size_t size;

    if (*password_file) {
        if (tf_secret_read(p->places, password_file, &password, &size, &error)) load_die("%s", error);
        dsn = tf_dsn_with_password(p->places, dsn, password);
    }
    TF_ASSERT(dsn);
    p->pg =
        tf_pg_new(&(struct tf_pg_config){.dsn = dsn, .name = "load", .connections_max = 2, .connect_timeout_ms = 3000});
    check(p, tf_worker_claim_start(&p->ctx, p->pg, tf_clock_system(), NULL, "load", &p->claim), "user's database");
}

/* Faster than one worker's numbers for a moment: the next tick has more. */
static int64_t next_id(struct prepare *p)
{
    int64_t id, until_us = tf_mono_us() + BATCH_TIMEOUT_US;
    tf_code code;

    while ((code = tf_worker_claim_id(p->claim, 0, &id)) == TF_OVERLOADED && tf_mono_us() < until_us)
        usleep(ID_WAIT_US);
    check(p, code, "ids");
    return id;
}

static void insert(struct prepare *p, const int64_t *ids, int n, int64_t first)
{
    struct tf_pg_bytes hashes[BATCH], sealed[BATCH];
    tf_pg_params params;

    for (int i = 0; i < n; i++) {
        const char *email =
            tf_arena_printf(p->ctx.arena, "load-%s-%lld@buyer.example", p->batch_name, (long long)(first + i));
        struct account_name name;

        if (!email || !account_name_keep(&p->keys, p->ctx.arena, email, &name)) load_die("no memory");
        hashes[i] = (struct tf_pg_bytes){name.hash, TF_SHA256_BYTES};
        sealed[i] = (struct tf_pg_bytes){name.sealed, name.sealed_size};
    }
    tf_pg_params_init(&params, &p->ctx);
    tf_pg_int8_array(&params, ids, (size_t)n);
    tf_pg_bytes_array(&params, hashes, (size_t)n);
    tf_pg_bytes_array(&params, sealed, (size_t)n);
    tf_pg_text(&params, "Load buyer");
    tf_pg_text(&params, p->password);
    tf_pg_time(&params, tf_now_us());
    check(p, tf_pg_query(&p->ctx, p->pg, &insert_accounts, &params, NULL), "accounts");
}

static void write_account(struct prepare *p, int64_t user_id)
{
    tf_time now = tf_now_us();
    struct tf_access_claims claims = {
        .user_id = user_id, .issued = now, .expires = now + p->token_life_s * TF_US_PER_S};
    const char *token = tf_access_token_make(&p->ctx, p->keys.signing_seed, &claims);
    tf_cleanup(tf_buf_done) tf_buf line;
    tf_json_writer w = {.out = &line};

    if (!token) load_die("no memory");
    tf_buf_init(&line, LINE_MAX_BYTES);
    tf_json_begin_object(&w);
    tf_json_key(&w, "user_id");
    tf_json_put_int_string(&w, user_id);
    tf_json_key(&w, "token");
    tf_json_put_string(&w, token);
    tf_json_end_object(&w);
    tf_buf_putc(&line, '\n');
    if (line.broken || fwrite(line.data, 1, line.size, p->file) != line.size)
        load_die("%s: %s", p->out, strerror(errno));
}

/* For its owner alone: a token is as good as a password while it lasts. */
static void open_file(struct prepare *p)
{
    int fd = open(p->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || fchmod(fd, 0600)) load_die("%s: %s", p->out, strerror(errno));
    p->file = fdopen(fd, "w");
    if (!p->file) load_die("%s: %s", p->out, strerror(errno));
}

static void make_accounts(struct prepare *p)
{
    static int64_t ids[BATCH];
    int n;

    for (int64_t first = 0; first < p->accounts; first += n) {
        n = (int)TF_MIN((int64_t)BATCH, p->accounts - first);
        for (int i = 0; i < n; i++)
            ids[i] = next_id(p);
        insert(p, ids, n, first);
        for (int i = 0; i < n; i++)
            write_account(p, ids[i]);
        tf_ctx_reset(&p->ctx, BATCH_TIMEOUT_US);
    }
    if (fclose(p->file)) load_die("%s: %s", p->out, strerror(errno));
}

static void make_password(struct prepare *p)
{
    char password[33];

    tf_random_hex(password, 16);
    if (!tf_password_hash(password, TF_PASSWORD_M_KIB_MIN, TF_PASSWORD_T_MIN, p->password)) load_die("no memory");
    tf_wipe(password, sizeof password);
}

static bool parse(int argc, char **argv, struct prepare *p)
{
    bool bad = false;

    for (int i = 0; i < argc && !bad; i++)
        if (!option_text(argc, argv, &i, "--home", &p->home) && !option_text(argc, argv, &i, "--out", &p->out) &&
            !option_int(argc, argv, &i, "--base-port", 1024, 65300, &p->base_port, &bad) &&
            !option_int(argc, argv, &i, "--accounts", 1, ACCOUNTS_MAX, &p->accounts, &bad) &&
            !option_int(argc, argv, &i, "--token-life-s", 60, 7 * 86400, &p->token_life_s, &bad)) {
            fprintf(stderr, "tf-load: '%s' is not understood here, or has no value\n", argv[i]);
            bad = true;
        }
    if (bad || (p->home && p->out && p->accounts)) return !bad;
    fputs("tf-load: prepare needs --home, --accounts and --out\n", stderr);
    return false;
}

int load_prepare(int argc, char **argv)
{
    struct prepare p = {.base_port = 17000, .token_life_s = 6 * 3600};

    if (!parse(argc, argv, &p)) return 64;
    tf_log_start("load", "warn");
    p.places = tf_arena_new(1 << 20);
    if (!p.places) load_die("no memory");
    tf_ctx_init(&p.ctx, "load", BATCH_TIMEOUT_US);
    tf_random_hex(p.batch_name, 8);
    read_keys(&p);
    make_password(&p);
    open_file(&p);
    open_database(&p);
    make_accounts(&p);
    tf_worker_claim_stop(&p.ctx, p.claim);
    tf_pg_free(p.pg);
    tf_wipe(&p.keys, sizeof p.keys);
    tf_ctx_done(&p.ctx);
    tf_arena_free(p.places);
    printf("%lld accounts with tokens for %lld s in %s\n", (long long)p.accounts, (long long)p.token_life_s, p.out);
    return 0;
}
