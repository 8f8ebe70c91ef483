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

enum { ATTENDEES_MAX = 5, THREADS = 12 };

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

/* Wrong passwords at once: all that are tried count, and no more are tried than the free ones and those in a turn. */
static void test_throttle(void **state)
{
    struct rush all[THREADS] = {0};
    CreateSessionResponse *session;
    int64_t user_id, failures;
    char *login;
    tf_ctx ctx;

    (void)state;
    as_user(&ctx, 0);
    login = registered(&ctx, &user_id);
    for (int i = 0; i < THREADS; i++) {
        all[i].login = login;
        all[i].password = "a wrong password";
    }
    rush(all, rush_log_in);
    failures = sql("SELECT failed_logins FROM account WHERE user_id = %lld", (long long)user_id);
    assert_int_equal(count(all, TF_CREDENTIALS_WRONG), failures);
    assert_int_equal(count(all, TF_CREDENTIALS_WRONG) + count(all, TF_RATE_LIMITED), THREADS);
    assert_in_range(failures, 5, 8); /* two hash at a time; on a slow machine a first short wait may pass meanwhile */
    ASSERT_CODE(&ctx, log_in(&ctx, login, PASSWORD, &session), TF_RATE_LIMITED);
    sleep_ms(1000 << (failures - 5)); /* 1, 2, 4 … s */
    sleep_ms(500);
    ASSERT_OK(&ctx, log_in(&ctx, login, PASSWORD, &session));
    assert_int_equal(sql("SELECT failed_logins FROM account WHERE user_id = %lld", (long long)user_id), 0);

    /* As many right ones at once are no rush of guesses. */
    for (int i = 0; i < THREADS; i++)
        all[i].password = PASSWORD;
    rush(all, rush_log_in);
    assert_int_equal(count(all, TF_OK), THREADS);
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
        cmocka_unit_test(test_operator), cmocka_unit_test(test_register),    cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_throttle), cmocka_unit_test(test_one_refresh), cmocka_unit_test(test_attendees),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
