/* Transactions against a real PostgreSQL: what starts again, what does not, and what is unknown. */
#include "tests/integration/pg/support.h"

#include <stdatomic.h>
#include <stdio.h>

static tf_ctx ctx;

static const struct tf_pg_stmt add_stmt = {"test_add", "UPDATE account SET amount = amount + $2 WHERE id = $1", true};
static const struct tf_pg_stmt serializable_stmt = {"test_serializable",
                                                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", false};
static const struct tf_pg_stmt read_stmt = {"test_read", "SELECT amount FROM account WHERE id = $1", false};

static int setup(void **state)
{
    (void)state;
    sql("CREATE TABLE IF NOT EXISTS account (id int PRIMARY KEY, amount bigint NOT NULL)");
    sql("TRUNCATE account");
    sql("INSERT INTO account VALUES (1, 0), (2, 0)");
    proxy_set(proxy, PROXY_PASS);
    ctx_start(&ctx, 10000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    proxy_set(proxy, PROXY_PASS);
    tf_ctx_done(&ctx);
    return 0;
}

static tf_code add(tf_pg_conn *conn, tf_ctx *own, int32_t id, int64_t amount)
{
    tf_pg_params params;

    tf_pg_params_init(&params, own);
    tf_pg_int4(&params, id);
    tf_pg_int8(&params, amount);
    return tf_pg_exec(conn, own, &add_stmt, &params, NULL);
}

static int64_t amount_of(int id)
{
    char text[64];

    snprintf(text, sizeof(text), "SELECT amount FROM account WHERE id = %d", id);
    return sql_int(text);
}

/* What a function does besides adding 1 to account 1, and how often it was called. */
struct plan {
    int calls;
    tf_code answer;     /* after the work */
    bool conflict_once; /* another commits to the row in between, the first time */
    bool conflict_always;
    bool die_once; /* the backend is terminated before COMMIT, the first time */
    bool swallow;  /* ignores an error */
    pthread_t cutter;
    bool lose_commit;
};

static tf_code work(tf_pg_conn *conn, tf_ctx *own, void *arg)
{
    static const struct tf_pg_stmt wrong = {"test_wrong", "SELECT 1 / (SELECT 0)", false};
    struct plan *plan = arg;
    tf_pg_params params;
    tf_code code;

    plan->calls++;
    code = tf_pg_exec(conn, own, &serializable_stmt, NULL, NULL);
    if (code) return code;
    tf_pg_params_init(&params, own);
    tf_pg_int4(&params, 1);
    code = tf_pg_exec(conn, own, &read_stmt, &params, NULL); /* takes the snapshot */
    if (code) return code;
    if (plan->conflict_always || (plan->conflict_once && plan->calls == 1))
        sql("UPDATE account SET amount = amount + 100 WHERE id = 1");
    if (plan->die_once && plan->calls == 1) terminate(backend_of(conn, own));
    code = add(conn, own, 1, 1);
    if (code) return code;
    if (plan->swallow) (void)!tf_pg_exec(conn, own, &wrong, NULL, NULL);
    if (plan->lose_commit) {
        proxy_set(proxy, PROXY_MUTE);
        plan->cutter = cut_after(200);
    }
    return plan->answer ? tf_fail(own, plan->answer, "asked for") : TF_OK;
}

static void functions_commit_and_roll_back(void **state)
{
    static const struct {
        const char *name;
        struct plan plan;
        tf_code code;
        int calls;
        int64_t amount; /* of account 1 */
    } rows[] = {
        {"commit", {0}, TF_OK, 1, 1},
        {"the function's own failure", {.answer = TF_LIMIT_EXCEEDED}, TF_LIMIT_EXCEEDED, 1, 0},
        {"a failure that looks like a conflict", {.answer = TF_ORDER_CHANGED}, TF_ORDER_CHANGED, 1, 0},
        {"a conflict once", {.conflict_once = true}, TF_OK, 2, 101},
        {"a conflict each time", {.conflict_always = true}, TF_ORDER_CHANGED, 5, 500},
        {"a connection lost before COMMIT", {.die_once = true}, TF_OK, 2, 1},
        {"an error that was ignored", {.swallow = true}, TF_INTERNAL, 1, 0},
    };

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct plan plan = rows[i].plan;
        tf_code code;

        (void)teardown(state);
        (void)setup(state);
        code = tf_pg_tx(&ctx, direct, work, &plan);
        if (code != rows[i].code || (code && ctx.error.code != code) || plan.calls != rows[i].calls ||
            amount_of(1) != rows[i].amount)
            fail_msg("%s: %s after %d calls, amount %d: %s", rows[i].name, tf_code_info(code)->reason, plan.calls,
                     (int)amount_of(1), ctx.error.internal ? ctx.error.internal : "");
    }
}

static void a_commit_whose_answer_is_lost_is_unknown(void **state)
{
    struct plan plan = {.lose_commit = true};

    (void)state;
    ASSERT_CODE(&ctx, tf_pg_tx(&ctx, proxied, work, &plan), TF_UNKNOWN_OUTCOME);
    pthread_join(plan.cutter, NULL);
    assert_int_equal(plan.calls, 1);
    assert_int_equal(amount_of(1), 1); /* it was committed */
}

static void a_commit_that_takes_too_long_is_unknown(void **state)
{
    struct plan plan = {.lose_commit = true};

    (void)state;
    tf_ctx_reset(&ctx, 150 * TF_US_PER_MS);
    ASSERT_CODE(&ctx, tf_pg_tx(&ctx, proxied, work, &plan), TF_UNKNOWN_OUTCOME);
    pthread_join(plan.cutter, NULL);
    assert_int_equal(amount_of(1), 1);
}

static tf_code slow(tf_pg_conn *conn, tf_ctx *own, void *arg)
{
    static const struct tf_pg_stmt nap = {"test_nap", "SELECT pg_sleep(0.3)", false};
    tf_code code = add(conn, own, 1, 1);

    (void)arg;
    return code ? code : tf_pg_exec(conn, own, &nap, NULL, NULL);
}

static void a_deadline_before_commit_rolls_back(void **state)
{
    (void)state;
    tf_ctx_reset(&ctx, 100 * TF_US_PER_MS);
    ASSERT_CODE(&ctx, tf_pg_tx(&ctx, direct, slow, NULL), TF_DEADLINE);
    sleep_ms(500);
    assert_int_equal(amount_of(1), 0);
}

static tf_code stale(tf_pg_conn *conn, tf_ctx *own, void *arg)
{
    static const struct tf_pg_stmt stmt = {"test_stale", "SELECT * FROM reshaped", false};
    int *calls = arg;

    (*calls)++;
    return tf_pg_exec(conn, own, &stmt, NULL, NULL);
}

static void a_stale_statement_starts_the_transaction_again(void **state)
{
    int calls = 0;

    (void)state;
    sql("CREATE TABLE reshaped (a int)");
    ASSERT_OK(&ctx, tf_pg_tx(&ctx, direct, stale, &calls));
    assert_int_equal(calls, 1);
    sql("ALTER TABLE reshaped ADD COLUMN b int");
    ASSERT_OK(&ctx, tf_pg_tx(&ctx, direct, stale, &calls));
    assert_int_equal(calls, 3);
}

/* ---- rivals ---------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 3 }; /* each deadlock takes the server's deadlock_timeout, a second by default */

struct rival {
    pthread_t thread;
    int first, second, failures;
};

static _Atomic int calls_of_rivals;

static tf_code transfer(tf_pg_conn *conn, tf_ctx *own, void *arg)
{
    const struct rival *rival = arg;
    tf_code code = add(conn, own, rival->first, 1);

    calls_of_rivals++;
    if (code) return code;
    sleep_ms(30); /* so that the other one has its first lock, too */
    return add(conn, own, rival->second, -1);
}

static void *compete(void *arg)
{
    struct rival *rival = arg;
    tf_ctx own;

    ctx_start(&own, 0);
    for (int i = 0; i < ROUNDS; i++) {
        tf_ctx_reset(&own, 20 * TF_US_PER_S);
        rival->failures += tf_pg_tx(&own, direct, transfer, rival) != TF_OK;
    }
    tf_ctx_done(&own);
    return NULL;
}

static void rivals_in_a_deadlock_both_succeed(void **state)
{
    struct rival rivals[2] = {{.first = 1, .second = 2}, {.first = 2, .second = 1}};

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&rivals[i].thread, NULL, compete, &rivals[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(rivals[i].thread, NULL);
        assert_int_equal(rivals[i].failures, 0);
    }
    assert_int_equal(amount_of(1), 0);
    assert_int_equal(amount_of(2), 0);
    assert_true(calls_of_rivals > 2 * ROUNDS); /* there were deadlocks */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(functions_commit_and_roll_back),
        TEST(a_commit_whose_answer_is_lost_is_unknown),
        TEST(a_commit_that_takes_too_long_is_unknown),
        TEST(a_deadline_before_commit_rolls_back),
        TEST(a_stale_statement_starts_the_transaction_again),
        TEST(rivals_in_a_deadlock_both_succeed),
    };

    return cmocka_run_group_tests_name("pg tx", tests, pg_setup, pg_teardown);
}
