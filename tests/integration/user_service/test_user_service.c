/* Accounts, sessions and attendees through tf-user itself. */
#include "common/chassis/access_token.h"
#include "common/crypto/crypto.h"
#include "tests/integration/pay_service/world.h"
#include "ticketflow/user/v1/user.tf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#define PASSWORD "a good password"

enum {
    ATTENDEES_MAX = 5,
    THREADS = 12,
    FLOOD = 60, /* more than hash and wait at a time */
    ADDRESS_FAILURES = 6,
    ADDRESS_WINDOW_S = 5,
    RETENTION_S = 60,
    SESSIONS_MAX = THREADS + 1, /* more than log in at once anywhere below */
};

static struct {
    char addresses[2][WORLD_ADDRESS];
    pid_t users[2];
    tf_rpc_client *client;
    int n; /* logins made up so far */
} world;

/* ---- tf-user ---- */

static void user_arguments(int instance, char args[][WORLD_TEXT + 64], const char *argv[])
{
    char path[WORLD_TEXT];
    int n = 0;

    snprintf(args[n++], WORLD_TEXT + 64, "--pg_dsn=%s", world_dsn());
    snprintf(args[n++], WORLD_TEXT + 64, "--internal_key_file=%s", world_path(path, "internal.key"));
    snprintf(args[n++], WORLD_TEXT + 64, "--signing_key_file=%s", world_path(path, "signing.key"));
    snprintf(args[n++], WORLD_TEXT + 64, "--personal_key_file=%s", world_path(path, "personal.key"));
    snprintf(args[n++], WORLD_TEXT + 64, "--person_key_file=%s", world_path(path, "person.key"));
    snprintf(args[n++], WORLD_TEXT + 64, "--operator_password_file=%s",
             world_path(path, instance ? "operator.1" : "operator.0"));
    snprintf(args[n++], WORLD_TEXT + 64, "--listen=%s", world.addresses[instance]);
    snprintf(args[n++], WORLD_TEXT + 64, "--attendees_max=%d", ATTENDEES_MAX);
    snprintf(args[n++], WORLD_TEXT + 64, "--login_address_failures=%d", ADDRESS_FAILURES);
    snprintf(args[n++], WORLD_TEXT + 64, "--login_address_window_s=%d", ADDRESS_WINDOW_S);
    snprintf(args[n++], WORLD_TEXT + 64, "--session_retention_s=%d", RETENTION_S);
    snprintf(args[n++], WORLD_TEXT + 64, "--purge_interval_s=1");
    snprintf(args[n++], WORLD_TEXT + 64, "--sessions_max=%d", SESSIONS_MAX);
    argv[0] = TF_USER_PROGRAM;
    for (int i = 0; i < n; i++)
        argv[i + 1] = args[i];
    argv[n + 1] = NULL;
}

static void migrate(void)
{
    char args[WORLD_ARGS_MAX][WORLD_TEXT + 64];
    const char *argv[WORLD_ARGS_MAX + 2];
    int n = 0;

    user_arguments(0, args, argv);
    while (argv[n])
        n++;
    argv[n] = "--migrate";
    argv[n + 1] = NULL;
    child_run("user", argv);
}

static int start(void **state)
{
    char args[WORLD_ARGS_MAX][WORLD_TEXT + 64];
    const char *argv[WORLD_ARGS_MAX + 2];

    (void)state;
    world_start();
    world_key("signing.key");
    world_key("personal.key");
    world_key("person.key");
    for (int i = 0; i < 2; i++)
        free_address(world.addresses[i]);
    migrate();
    for (int i = 0; i < 2; i++) { /* two at once: see test_operator */
        user_arguments(i, args, argv);
        world.users[i] = child_start(i ? "user1" : "user0", argv);
    }
    for (int i = 0; i < 2; i++)
        wait_until(listens, world.addresses[i], WORLD_START_MS, "tf-user");
    world.client = gateway_client("user", world.addresses[0]);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        child_stop(&world.users[i], SIGTERM);
    if (world.client) tf_rpc_client_free(world.client);
    world_stop();
    return 0;
}

/* ---- callers ---- */

static tf_code log_in(tf_ctx *ctx, const char *login, const char *password, CreateSessionResponse **ret)
{
    CreateSessionRequest request = CreateSessionRequest_init;

    request.login = (char *)login;
    request.password = (char *)password;
    request.device = (char *)"a phone";
    return call_create_session(ctx, world.client, &request, ret);
}

static tf_code refresh(tf_ctx *ctx, const char *token, RefreshSessionResponse **ret)
{
    RefreshSessionRequest request = RefreshSessionRequest_init;

    request.refresh_token = (char *)token;
    return call_refresh_session(ctx, world.client, &request, ret);
}

/* A new account by e-mail; its login in ctx's arena. */
static char *registered(tf_ctx *ctx, int64_t *ret_user_id)
{
    RegisterUserRequest request = RegisterUserRequest_init;
    RegisterUserResponse *response;

    request.email = tf_arena_printf(ctx->arena, "buyer%d@example.org", ++world.n);
    request.password = (char *)PASSWORD;
    ASSERT_OK(ctx, call_register_user(ctx, world.client, &request, &response));
    if (ret_user_id) *ret_user_id = response->user->user_id;
    return request.email;
}

static tf_code add(tf_ctx *ctx, const char *name, IdType type, const char *number, Attendee **ret)
{
    CreateAttendeeRequest request = CreateAttendeeRequest_init;
    CreateAttendeeResponse *response;
    tf_code code;

    request.name = (char *)name;
    request.id_type = type;
    request.id_number = (char *)number;
    code = call_create_attendee(ctx, world.client, &request, &response);
    if (!code) *ret = response->attendee;
    return code;
}

/* ---- stories ---- */

static void test_register(void **state)
{
    char long_name[202];
    const struct {
        const char *name, *mobile, *email, *password, *called, *language;
        tf_code code;
        const char *field;
    } rows[] = {
        {"by mobile", "13812340001", "", PASSWORD, "小明", "zh-CN", TF_OK, NULL},
        {"by both", "+447911120001", "both@example.org", PASSWORD, "", "", TF_OK, NULL},
        {"the same mobile, spelt otherwise", "+86 138 1234 0001", "", PASSWORD, "", "", TF_ALREADY_EXISTS, "mobile"},
        {"the same e-mail, spelt otherwise", "", "Both@Example.org", PASSWORD, "", "", TF_ALREADY_EXISTS, "email"},
        {"nobody", "", "", PASSWORD, "", "", TF_FIELD_INVALID, "mobile"},
        {"no mobile", "12", "", PASSWORD, "", "", TF_FIELD_INVALID, "mobile"},
        {"no e-mail", "", "me@", PASSWORD, "", "", TF_FIELD_INVALID, "email"},
        {"a short password", "", "short@example.org", "1234567", "", "", TF_FIELD_INVALID, "password"},
        {"a long password", "", "long@example.org", long_name, "", "", TF_FIELD_INVALID, "password"},
        {"a long name", "", "name@example.org", PASSWORD, long_name, "", TF_FIELD_INVALID, "name"},
        {"a name of two lines", "", "name@example.org", PASSWORD, "a\nb", "", TF_FIELD_INVALID, "name"},
        {"another language", "", "lang@example.org", PASSWORD, "", "fr", TF_FIELD_INVALID, "language"},
    };

    (void)state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        RegisterUserRequest request = RegisterUserRequest_init;
        RegisterUserResponse *response;
        tf_code code;
        tf_ctx ctx;

        request.mobile = (char *)rows[i].mobile;
        request.email = (char *)rows[i].email;
        request.password = (char *)rows[i].password;
        request.name = (char *)rows[i].called;
        request.language = (char *)rows[i].language;
        as_user(&ctx, 0);
        code = call_register_user(&ctx, world.client, &request, &response);
        if (code != rows[i].code) fail_msg("%s: %s", rows[i].name, tf_code_info(code)->reason);
        if (rows[i].field && (!ctx.error.field || strcmp(ctx.error.field, rows[i].field) != 0))
            fail_msg("%s: field %s", rows[i].name, ctx.error.field ? ctx.error.field : "(none)");
        if (!code && *rows[i].mobile) assert_non_null(strchr(response->user->mobile_masked, '*'));
        tf_ctx_done(&ctx);
    }
    /* Nothing personal lies open in the database. */
    assert_int_equal(sql("SELECT count(*) FROM account a WHERE position('both@example.org'::bytea IN email_sealed) > 0"
                         " OR a::text LIKE '%%13812340001%%' OR a::text LIKE '%%both@%%'"),
                     0);
}

static void test_sessions(void **state)
{
    CreateSessionResponse *session;
    RefreshSessionResponse *refreshed, *again;
    ListSessionsRequest list_request = ListSessionsRequest_init;
    ListSessionsResponse *list;
    DeleteCurrentSessionRequest end_request = DeleteCurrentSessionRequest_init;
    DeleteCurrentSessionResponse *end;
    ListSigningKeysRequest keys_request = ListSigningKeysRequest_init;
    ListSigningKeysResponse *keys;
    int64_t user_id, session_id;
    char *login, *first;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    login = registered(&ctx, &user_id);
    ASSERT_CODE(&ctx, log_in(&ctx, "nobody@example.org", PASSWORD, &session), TF_CREDENTIALS_WRONG);
    ASSERT_CODE(&ctx, log_in(&ctx, login, "a wrong password", &session), TF_CREDENTIALS_WRONG);
    ASSERT_CODE(&ctx, log_in(&ctx, "no login", PASSWORD, &session), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, log_in(&ctx, login, "", &session), TF_FIELD_INVALID);
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &session));
    ASSERT_OK(&ctx, call_list_signing_keys(&ctx, world.client, &keys_request, &keys));
    assert_int_equal(keys->n_keys, 1);
    session_id = session->tokens->session_id;

    /* Every earlier token is known as a copy, not the last one alone. */
    first = session->tokens->refresh_token;
    ASSERT_OK(&ctx, refresh(&ctx, first, &refreshed));
    ASSERT_OK(&ctx, refresh(&ctx, refreshed->tokens->refresh_token, &refreshed));
    assert_int_equal(refreshed->tokens->session_id, session_id);
    ASSERT_CODE(&ctx, refresh(&ctx, first, &again), TF_UNAUTHENTICATED);
    ASSERT_CODE(&ctx, refresh(&ctx, refreshed->tokens->refresh_token, &again), TF_UNAUTHENTICATED);

    /* One that was made up ends nothing. */
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &session));
    first = tf_arena_strdup(ctx.arena, session->tokens->refresh_token);
    first[40] = first[40] == 'A' ? 'B' : 'A';
    ASSERT_CODE(&ctx, refresh(&ctx, first, &again), TF_UNAUTHENTICATED);
    ASSERT_CODE(&ctx, refresh(&ctx, "", &again), TF_UNAUTHENTICATED);
    ASSERT_CODE(&ctx, refresh(&ctx, "r.", &again), TF_UNAUTHENTICATED);
    ASSERT_OK(&ctx, refresh(&ctx, session->tokens->refresh_token, &refreshed));
    tf_ctx_done(&ctx);

    as_user(&ctx, user_id);
    ctx.identity.session_id = sql("SELECT max(session_id) FROM session WHERE user_id = %lld", (long long)user_id);
    ASSERT_OK(&ctx, call_list_sessions(&ctx, world.client, &list_request, &list));
    assert_int_equal(list->n_sessions, 1);
    assert_true(list->sessions[0]->current);
    assert_string_equal(list->sessions[0]->device, "a phone");
    ASSERT_OK(&ctx, call_delete_current_session(&ctx, world.client, &end_request, &end));
    ASSERT_OK(&ctx, call_list_sessions(&ctx, world.client, &list_request, &list));
    assert_int_equal(list->n_sessions, 0);
    tf_ctx_done(&ctx);
}

/* ---- many at once ---- */

struct rush {
    pthread_t thread;
    const char *login, *password, *token;
    int64_t user_id;
    int number;
    tf_code code;
};

static void rush(struct rush all[THREADS], void *(*each)(void *))
{
    for (int i = 0; i < THREADS; i++) {
        all[i].number = i;
        assert_int_equal(pthread_create(&all[i].thread, NULL, each, &all[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(all[i].thread, NULL);
}

static int count(const struct rush all[THREADS], tf_code code)
{
    int n = 0;

    for (int i = 0; i < THREADS; i++)
        n += all[i].code == code;
    return n;
}

static void *rush_log_in(void *arg)
{
    struct rush *r = arg;
    CreateSessionResponse *session;
    tf_ctx ctx;

    as_user(&ctx, 0);
    r->code = log_in(&ctx, r->login, r->password, &session);
    tf_ctx_done(&ctx);
    return NULL;
}

static void *rush_refresh(void *arg)
{
    struct rush *r = arg;
    RefreshSessionResponse *response;
    tf_ctx ctx;

    as_user(&ctx, 0);
    r->code = refresh(&ctx, r->token, &response);
    tf_ctx_done(&ctx);
    return NULL;
}

static void *rush_add(void *arg)
{
    struct rush *r = arg;
    Attendee *attendee;
    char number[20];
    tf_ctx ctx;

    snprintf(number, sizeof(number), "E1234%04d", r->number);
    as_user(&ctx, r->user_id);
    r->code = add(&ctx, "Somebody", ID_TYPE_PASSPORT, number, &attendee);
    tf_ctx_done(&ctx);
    return NULL;
}

/* Wrong passwords at once: all that are tried count, and no more are tried than the free ones and those in a turn. The
 * answers for a name that nobody has are the same, so that they tell nothing. */
static void test_throttle(void **state)
{
    struct rush all[THREADS] = {0};
    CreateSessionResponse *session;
    const char *names[2];
    int64_t failures = 0;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    names[0] = "stranger@example.org";
    names[1] = registered(&ctx, NULL);
    for (int k = 0; k < 2; k++) {
        sql("WITH gone AS (DELETE FROM login_guard RETURNING 1) SELECT count(*) FROM gone");
        for (int i = 0; i < THREADS; i++) {
            all[i].login = names[k];
            all[i].password = "a wrong password";
        }
        rush(all, rush_log_in);
        failures = sql("SELECT failures FROM login_guard");
        assert_int_equal(count(all, TF_CREDENTIALS_WRONG), failures);
        assert_int_equal(count(all, TF_CREDENTIALS_WRONG) + count(all, TF_RATE_LIMITED), THREADS);
        assert_in_range(failures, 5,
                        8); /* two hash at a time; on a slow machine a first short wait may pass meanwhile */
        assert_int_equal(log_in(&ctx, names[k], PASSWORD, &session), TF_RATE_LIMITED);
        assert_in_range(ctx.error.retry_after_ms, 1, 1000 << (failures - 5));
        tf_error_clear(&ctx);
    }
    sleep_ms(1000 << (failures - 5)); /* 1, 2, 4 … s */
    sleep_ms(500);
    ASSERT_OK(&ctx, log_in(&ctx, names[1], PASSWORD, &session));
    assert_int_equal(sql("SELECT count(*) FROM login_guard"), 0);

    /* As many right ones at once are no rush of guesses. */
    for (int i = 0; i < THREADS; i++)
        all[i].password = PASSWORD;
    rush(all, rush_log_in);
    assert_int_equal(count(all, TF_OK), THREADS);
    tf_ctx_done(&ctx);
}

/* One client that tries many names waits, from all addresses of its network; others and the names do not. */
static void test_address_throttle(void **state)
{
    static const char *const networks[][2] = {{"203.0.113.7", "::ffff:203.0.113.7"}, {"2001:db8::1", "2001:db8::2"}};
    CreateSessionResponse *session;
    RegisterUserRequest request = RegisterUserRequest_init;
    RegisterUserResponse *response;
    char *login;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    login = registered(&ctx, NULL);
    request.email = login;
    request.password = (char *)PASSWORD;
    for (size_t k = 0; k < TF_COUNT(networks); k++) {
        for (int i = 0; i < ADDRESS_FAILURES; i++) {
            ctx.identity.address = networks[k][i % 2];
            if (i < 2) { /* asking which names are taken is guessing too */
                assert_int_equal(call_register_user(&ctx, world.client, &request, &response), TF_ALREADY_EXISTS);
                assert_string_equal(ctx.error.field, "email");
                tf_error_clear(&ctx);
            } else {
                const char *name = tf_arena_printf(ctx.arena, "guess%d@example.org", i);

                ASSERT_CODE(&ctx, log_in(&ctx, name, PASSWORD, &session), TF_CREDENTIALS_WRONG);
            }
            if (i == 3) ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &session)); /* clears the name's count alone */
        }
        assert_int_equal(log_in(&ctx, login, PASSWORD, &session), TF_RATE_LIMITED);
        assert_in_range(ctx.error.retry_after_ms, 1, ADDRESS_WINDOW_S * 1000);
        tf_error_clear(&ctx);
        ASSERT_CODE(&ctx, call_register_user(&ctx, world.client, &request, &response), TF_RATE_LIMITED);
        ctx.identity.address = k ? "2001:db8:0:1::1" : "203.0.113.8";
        ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &session));
    }
    sleep_ms(ADDRESS_WINDOW_S * 1000 + 100);
    ctx.identity.address = networks[1][0];
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &session));
    tf_ctx_done(&ctx);
}

/* How long one wrong log-in takes. */
static int64_t refusal_us(const char *login)
{
    CreateSessionResponse *session;
    int64_t took;
    tf_ctx ctx;

    sql("WITH gone AS (DELETE FROM login_guard RETURNING 1) SELECT count(*) FROM gone");
    as_user(&ctx, 0);
    took = -tf_mono_us();
    ASSERT_CODE(&ctx, log_in(&ctx, login, "a wrong password", &session), TF_CREDENTIALS_WRONG);
    took += tf_mono_us();
    tf_ctx_done(&ctx);
    return took;
}

/* Without the hash that an unknown name costs too, it would be answered in a tenth of the time. The two take turns and
 * the quickest of each counts: a busy machine makes a log-in longer, never shorter. */
static void test_time_tells_no_name(void **state)
{
    int64_t known = INT64_MAX, unknown = INT64_MAX;
    const char *login;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    login = registered(&ctx, NULL);
    for (int i = 0; i < 7; i++) {
        int64_t us = refusal_us(login);

        known = TF_MIN(known, us);
        us = refusal_us("somebody.else@example.org");
        unknown = TF_MIN(unknown, us);
    }
    tf_ctx_done(&ctx);
    if (unknown < known / 2 || known < unknown / 2)
        fail_msg("%lld us for a known name, %lld us for an unknown one", (long long)known, (long long)unknown);
}

/* The most memory that instance 0 ever had, in KiB. */
static int64_t peak_kib(void)
{
    char path[64], line[200];
    long long kib = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)world.users[0]);
    f = fopen(path, "re");
    assert_non_null(f);
    while (!kib && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %lld", &kib) != 1) kib = 0;
    fclose(f);
    return kib;
}

/* A flood of log-ins: few hash, few wait, the rest is refused at once; other calls are answered meanwhile. */
static void test_flood(void **state)
{
    struct rush all[FLOOD] = {0};
    ListSigningKeysRequest keys_request = ListSigningKeysRequest_init;
    ListSigningKeysResponse *keys;
    int wrong = 0, overloaded = 0;
    int64_t before = peak_kib(), began;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    for (int i = 0; i < FLOOD; i++) {
        all[i].login = tf_arena_printf(ctx.arena, "flood%d@example.org", i);
        all[i].password = "a wrong password";
        assert_int_equal(pthread_create(&all[i].thread, NULL, rush_log_in, &all[i]), 0);
    }
    sleep_ms(50);
    began = tf_mono_us();
    ASSERT_OK(&ctx, call_list_signing_keys(&ctx, world.client, &keys_request, &keys));
    assert_true(tf_mono_us() - began < TF_US_PER_S);
    for (int i = 0; i < FLOOD; i++) {
        pthread_join(all[i].thread, NULL);
        wrong += all[i].code == TF_CREDENTIALS_WRONG;
        overloaded += all[i].code == TF_OVERLOADED;
    }
    assert_int_equal(wrong + overloaded, FLOOD);
    assert_true(wrong > 0 && overloaded > 0);
#ifndef __SANITIZE_ADDRESS__ /* which keeps freed memory for a while */
    assert_true(peak_kib() - before < 100 * 1024);
#else
    (void)before;
#endif
    tf_ctx_done(&ctx);
}

/* One account cannot fill the table: the session unused for longest makes room. */
static void test_many_devices(void **state)
{
    CreateSessionResponse *first, *second, *session;
    RefreshSessionResponse *refreshed;
    int64_t user_id;
    char *login;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    login = registered(&ctx, &user_id);
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &first));
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &second));
    for (int i = 2; i < SESSIONS_MAX; i++)
        ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &session));
    ASSERT_OK(&ctx, refresh(&ctx, first->tokens->refresh_token, &refreshed)); /* so the second is the stalest */
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &session));
    assert_int_equal(sql("SELECT count(*) FROM session WHERE user_id = %lld AND ended_at IS NULL", (long long)user_id),
                     SESSIONS_MAX);
    ASSERT_CODE(&ctx, refresh(&ctx, second->tokens->refresh_token, &refreshed), TF_UNAUTHENTICATED);
    ASSERT_OK(&ctx, refresh(&ctx, refreshed->tokens->refresh_token, &refreshed));
    ASSERT_OK(&ctx, refresh(&ctx, session->tokens->refresh_token, &refreshed));
    tf_ctx_done(&ctx);
}

/* What is over goes, whatever the number; what lives stays, and an earlier token of it still ends it. */
static void test_purge(void **state)
{
    enum { MANY = 2500 }; /* more than one chunk */
    CreateSessionResponse *ended, *recent, *live;
    RefreshSessionResponse *refreshed;
    int64_t user_id;
    char *login;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    login = registered(&ctx, &user_id);
    sql("WITH gone AS (DELETE FROM login_guard RETURNING 1) SELECT count(*) FROM gone");
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &ended));
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &recent));
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &live));
    ASSERT_OK(&ctx, refresh(&ctx, live->tokens->refresh_token, &refreshed));
    sql("WITH many AS (INSERT INTO session SELECT n, %lld, 'old', '', now(), now(), now() - interval '%d s'"
        " FROM generate_series(1, %d) n RETURNING 1) SELECT count(*) FROM many",
        (long long)user_id, RETENTION_S + 1, MANY);
    sql("WITH over AS (UPDATE session SET ended_at = now() - make_interval(secs => CASE session_id WHEN %lld THEN %d"
        " ELSE %d END) WHERE session_id IN (%lld, %lld) RETURNING 1) SELECT count(*) FROM over",
        (long long)ended->tokens->session_id, RETENTION_S + 1, RETENTION_S - 30, (long long)ended->tokens->session_id,
        (long long)recent->tokens->session_id);
    sql("WITH many AS (INSERT INTO login_guard SELECT int4send(n), 1, NULL, now() - interval '1 s'"
        " FROM generate_series(1, %d) n RETURNING 1) SELECT count(*) FROM many",
        MANY);
    sql("WITH one AS (INSERT INTO login_guard VALUES ('waits', 9, now() + interval '1 h', now()),"
        " ('counts', 1, NULL, now() + interval '1 h') RETURNING 1) SELECT count(*) FROM one");

    wait_for_sql(2, 10000, "SELECT count(*) FROM session WHERE user_id = %lld", (long long)user_id);
    wait_for_sql(2, 10000, "SELECT count(*) FROM login_guard");
    assert_int_equal(sql("SELECT count(*) FROM session WHERE session_id = %lld", (long long)recent->tokens->session_id),
                     1);
    ASSERT_CODE(&ctx, refresh(&ctx, ended->tokens->refresh_token, &refreshed), TF_UNAUTHENTICATED);
    ASSERT_CODE(&ctx, refresh(&ctx, live->tokens->refresh_token, &refreshed), TF_UNAUTHENTICATED);
    assert_int_equal(sql("SELECT (ended_at IS NOT NULL)::int FROM session WHERE session_id = %lld",
                         (long long)live->tokens->session_id),
                     1);
    tf_ctx_done(&ctx);
}

static void test_one_refresh(void **state)
{
    struct rush all[THREADS] = {0};
    CreateSessionResponse *session;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    ASSERT_OK(&ctx, log_in(&ctx, registered(&ctx, NULL), PASSWORD, &session));
    for (int i = 0; i < THREADS; i++)
        all[i].token = session->tokens->refresh_token;
    rush(all, rush_refresh);
    assert_int_equal(count(all, TF_OK), 1);
    assert_int_equal(count(all, TF_UNAUTHENTICATED), THREADS - 1);
    assert_int_equal(sql("SELECT (ended_at IS NOT NULL)::int FROM session WHERE session_id = %lld",
                         (long long)session->tokens->session_id),
                     1);
    tf_ctx_done(&ctx);
}

static void test_attendees(void **state)
{
    static const char number[] = "11010519491231002X";
    struct rush all[THREADS] = {0};
    ListAttendeesRequest list_request = ListAttendeesRequest_init;
    ListAttendeesResponse *list;
    DeleteAttendeeRequest delete_request = DeleteAttendeeRequest_init;
    DeleteAttendeeResponse *deleted;
    ResolveAttendeesRequest resolve_request = ResolveAttendeesRequest_init;
    ResolveAttendeesResponse *resolved;
    int64_t user_id, other_id, ids[2];
    Attendee *attendee;
    char *person;
    tf_ctx ctx, order;

    (void)state;
    as_user(&ctx, 0);
    registered(&ctx, &user_id);
    registered(&ctx, &other_id);
    tf_ctx_done(&ctx);

    as_user(&ctx, user_id);
    ASSERT_CODE(&ctx, add(&ctx, "", ID_TYPE_CN_RESIDENT, number, &attendee), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, add(&ctx, "Li Lei", ID_TYPE_UNSPECIFIED, number, &attendee), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, add(&ctx, "Li Lei", ID_TYPE_CN_RESIDENT, "110105194912310021", &attendee), TF_FIELD_INVALID);
    ASSERT_OK(&ctx, add(&ctx, "Li Lei", ID_TYPE_CN_RESIDENT, number, &attendee));
    assert_true(attendee->verified);
    assert_string_equal(attendee->id_number_masked, "1101**********002X");
    ids[0] = attendee->attendee_id;
    ASSERT_OK(&ctx, add(&ctx, "Li Lei", ID_TYPE_CN_RESIDENT, "11010519491231002x", &attendee)); /* the same person */
    assert_int_equal(attendee->attendee_id, ids[0]);
    ASSERT_CODE(&ctx, add(&ctx, "Somebody else", ID_TYPE_CN_RESIDENT, number, &attendee), TF_ALREADY_EXISTS);
    assert_int_equal(sql("SELECT count(*) FROM attendee a WHERE a::text LIKE '%%19491231%%' OR a::text LIKE '%%Li%%'"),
                     0);

    /* The limit holds against all that come at once. */
    for (int i = 0; i < THREADS; i++)
        all[i].user_id = user_id;
    rush(all, rush_add);
    assert_int_equal(count(all, TF_OK), ATTENDEES_MAX - 1);
    assert_int_equal(count(all, TF_LIMIT_EXCEEDED), THREADS - (ATTENDEES_MAX - 1));
    ASSERT_OK(&ctx, call_list_attendees(&ctx, world.client, &list_request, &list));
    assert_int_equal(list->n_attendees, ATTENDEES_MAX);
    ids[1] = list->attendees[1]->attendee_id;

    /* For order: the user's own, in the order asked, none twice. */
    as_user(&order, 0);
    order.identity = (struct tf_identity){.caller = "order", .internal = true};
    resolve_request.user_id = user_id;
    resolve_request.attendee_ids = ids;
    resolve_request.n_attendee_ids = 2;
    {
        struct tf_rpc_client_config config = {.service = "user",
                                              .caller = "order",
                                              .identity_key = world_identity_key(),
                                              .clock = tf_clock_system(),
                                              .message_max = 1 << 20};
        tf_rpc_client *client = tf_rpc_client_new(&config);
        const char *address = world.addresses[1]; /* the other instance knows the same */

        tf_rpc_client_set_endpoints(client, &address, 1);
        ASSERT_OK(&order, call_resolve_attendees_internal(&order, client, &resolve_request, &resolved));
        assert_int_equal(resolved->n_attendees, 2);
        assert_int_equal(resolved->attendees[0]->attendee_id, ids[0]);
        assert_string_equal(resolved->attendees[0]->name, "Li Lei");
        assert_int_equal(strlen(resolved->attendees[0]->person), 64);
        person = resolved->attendees[0]->person;
        resolve_request.user_id = other_id;
        ASSERT_CODE(&order, call_resolve_attendees_internal(&order, client, &resolve_request, &resolved), TF_NOT_FOUND);
        resolve_request.user_id = user_id;
        ids[1] = ids[0];
        ASSERT_CODE(&order, call_resolve_attendees_internal(&order, client, &resolve_request, &resolved),
                    TF_FIELD_INVALID);
        tf_rpc_client_free(client);
    }
    ASSERT_CODE(&ctx, call_resolve_attendees(&ctx, world.client, &resolve_request, &resolved), TF_FORBIDDEN);

    delete_request.attendee_id = ids[0];
    ctx.identity.user_id = other_id;
    ASSERT_CODE(&ctx, call_delete_attendee(&ctx, world.client, &delete_request, &deleted), TF_NOT_FOUND);
    ctx.identity.user_id = user_id;
    ASSERT_OK(&ctx, call_delete_attendee(&ctx, world.client, &delete_request, &deleted));
    ASSERT_CODE(&ctx, call_delete_attendee(&ctx, world.client, &delete_request, &deleted), TF_NOT_FOUND);

    /* The same person whichever account enters the number. */
    ctx.identity.user_id = other_id;
    ASSERT_OK(&ctx, add(&ctx, "Li Lei", ID_TYPE_CN_RESIDENT, number, &attendee));
    assert_int_equal(
        sql("SELECT count(*) FROM attendee WHERE user_id = %lld AND person = '%s'", (long long)other_id, person), 1);
    tf_ctx_done(&order);
    tf_ctx_done(&ctx);
}

/* Two instances started at once on an empty database: one operator, one password, and it is right. */
static void test_operator(void **state)
{
    char path[WORLD_TEXT], login[100] = "", password[100] = "";
    CreateSessionResponse *session;
    struct stat status;
    int files = 0;
    tf_ctx ctx;

    (void)state;
    assert_int_equal(sql("SELECT count(*) FROM account WHERE roles <> 0"), 1);
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(world_path(path, i ? "operator.1" : "operator.0"), "re");

        if (!f) continue;
        files++;
        assert_int_equal(fscanf(f, "login %99s password %99s", login, password), 2);
        fclose(f);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
    assert_int_equal(files, 1);
    as_user(&ctx, 0);
    ASSERT_OK(&ctx, log_in(&ctx, login, password, &session));
    assert_int_equal(session->user->n_roles, 1);
    tf_ctx_done(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operator),
        cmocka_unit_test(test_register),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_throttle),
        cmocka_unit_test(test_address_throttle),
        cmocka_unit_test(test_time_tells_no_name),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_purge),
        cmocka_unit_test(test_many_devices),
        cmocka_unit_test(test_one_refresh),
        cmocka_unit_test(test_attendees),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
