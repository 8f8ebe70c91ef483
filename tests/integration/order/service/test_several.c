/* Two instances of tf-order on the same stores: one key at both, one killed, one stopped in the middle of a purchase,
 * both rebuilding, one dying while it rebuilds; and the ends of holds that they share. */
#include "tests/integration/order/service/harness.h"

#include "common/redis/redis.h"
#include "tests/integration/proxy.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { STANDING_FIRST = 96, STANDING_PLACES = 100, CALLERS = 24 };

static struct instance second;
static struct proxy *second_pg; /* between the second instance and PostgreSQL */
static tf_redis *redis;

static int64_t now_ms(void)
{
    return tf_mono_us() / TF_US_PER_MS;
}

/* Integer of the reply. */
static int64_t redis_do(const char *word, const char *argument)
{
    tf_redis_reply *reply;
    int64_t value;
    tf_ctx ctx;

    ctx_start(&ctx, 5000);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, word, argument, NULL));
    value = reply->integer;
    tf_ctx_done(&ctx);
    return value;
}

static struct fixture_show published(int hold_seconds)
{
    struct fixture_show show = show_on_sale();

    show.hold_seconds = hold_seconds;
    show.account_limit = 20;
    publish(&show);
    return show;
}

/* One standing place; the order's number, 0 with the code when it was refused. */
static int64_t count_live(const struct fixture_show *show)
{
    return db_number("SELECT count(*) FROM tickets WHERE show_id = $1 AND live", show->show_id);
}

static int64_t count_twice(const struct fixture_show *show)
{
    return db_number("SELECT count(*) - count(DISTINCT place_no) FROM tickets WHERE show_id = $1 AND live",
                     show->show_id);
}

static int64_t epoch_of(const struct fixture_show *show)
{
    return db_number("SELECT epoch FROM inventory WHERE show_id = $1", show->show_id);
}

/* Until one place can be bought there; how long it took, in ms. */
static int64_t time_until_sold(const struct instance *at, const struct fixture_show *show, int timeout_ms)
{
    int64_t began = now_ms();
    static int64_t user = 700000;
    tf_code code = TF_OK;

    user++;
    while (!buy_at(at, user, show->show_id, NULL, 1, &code)) {
        if (now_ms() - began > timeout_ms)
            fail_msg("nothing sold within %d ms: %s", timeout_ms, tf_code_info(code)->reason);
        sleep_ms(20);
    }
    return now_ms() - began;
}

/* ---- one key -------------------------------------------------------------------------------------------------------
 */

struct caller {
    pthread_t thread;
    const struct instance *at, *then; /* then: asked with the same key when the first did not answer */
    const struct fixture_show *show;
    int64_t user_id, order_no;
    char key[64];
    tf_code code;
    int calls;
};

static void *call(void *arg)
{
    struct caller *caller = arg;

    caller->order_no = buy_at(caller->at, caller->user_id, caller->show->show_id, caller->key, 1, &caller->code);
    caller->calls = 1;
    for (; !caller->order_no && caller->then && caller->calls < 40; caller->calls++) {
        sleep_ms(50);
        caller->order_no = buy_at(caller->then, caller->user_id, caller->show->show_id, caller->key, 2, &caller->code);
    }
    return NULL;
}

static void test_one_key_at_two_instances(void **state)
{
    struct fixture_show show = published(600);
    static struct caller callers[CALLERS];

    (void)state;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CALLERS; i++) {
            callers[i] = (struct caller){.at = i % 2 ? &second : harness_first(), .show = &show, .user_id = 40 + round};
            snprintf(callers[i].key, sizeof(callers[i].key), "the-key-of-round-%d", round);
            assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
        }
        for (int i = 0; i < CALLERS; i++) {
            pthread_join(callers[i].thread, NULL);
            CHECK_TEXT("caller", tf_code_info(callers[i].code)->reason, "OK");
            assert_int_equal(callers[i].order_no, callers[0].order_no);
        }
        assert_int_equal(count_live(&show), round + 1);
    }
}

/* ---- one killed ----------------------------------------------------------------------------------------------------
 */

/* Killed while calls are in flight on it: each of them, repeated at the other, makes one order. */
static void test_a_killed_instance_loses_nothing(void **state)
{
    enum { ROUNDS = 3 };
    static struct caller callers[CALLERS];
    int repeated = 0;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct fixture_show show = published(600);

        for (int i = 0; i < CALLERS; i++) {
            callers[i] = (struct caller){.at = &second, .then = harness_first(), .show = &show, .user_id = 1000 + i};
            snprintf(callers[i].key, sizeof(callers[i].key), "killed-round-%d-caller-%d", round, i);
            assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
        }
        while (count_live(&show) < 4 * (round + 1)) /* some are answered, some are in the middle of it */
            sleep_ms(1);
        assert_int_equal(kill(second.pid, SIGKILL), 0);
        for (int i = 0; i < CALLERS; i++) {
            pthread_join(callers[i].thread, NULL);
            CHECK_TEXT("caller", tf_code_info(callers[i].code)->reason, "OK");
            repeated += callers[i].calls > 1;
            for (int k = 0; k < i; k++)
                assert_int_not_equal(callers[i].order_no, callers[k].order_no);
        }
        assert_int_equal(count_live(&show), CALLERS);
        assert_int_equal(count_twice(&show), 0);
        instance_stop(&second, SIGKILL);
        harness_instance(&second, NULL, proxy_port(second_pg));
    }
    print_message("%d of %d calls were repeated at the other instance\n", repeated, ROUNDS * CALLERS);
    assert_true(repeated > 0);
}

/* ---- one that stands still -----------------------------------------------------------------------------------------
 */

/* Held in Redis; the batch is on its wire to PostgreSQL when the process stops. Meanwhile the world goes on: the intent
 * ends in a tombstone, or a rebuild raises the epoch, and the place is sold to another. Then it wakes up. */
static void test_an_instance_stopped_in_the_middle_sells_nothing_late(void **state)
{
    static const char *const names[] = {"over a tombstone", "over a rebuild"};
    static const int32_t place[] = {32, 0};

    (void)state;
    for (int rebuild = 0; rebuild < 2; rebuild++) {
        struct fixture_show show = published(600);
        struct buying buying = {.show_id = show.show_id, .places = place};
        struct caller sleeper = {.at = &second, .show = &show, .user_id = 5};
        int64_t other;

        print_message("%s\n", names[rebuild]);
        buy_at(&second, 4, show.show_id, NULL, 1, &sleeper.code); /* it knows the show */
        CHECK_TEXT("before", tf_code_info(sleeper.code)->reason, "OK");
        snprintf(sleeper.key, sizeof(sleeper.key), "it-sleeps-%s", rebuild ? "one" : "two");
        proxy_set(second_pg, PROXY_FREEZE);
        assert_int_equal(pthread_create(&sleeper.thread, NULL, call, &sleeper), 0);
        wait_for_place(show.show_id, STANDING_FIRST + 1, 2, 3000);
        assert_int_equal(kill(second.pid, SIGSTOP), 0);
        if (rebuild) {
            redis_do("FLUSHALL", NULL);
            time_until_sold(harness_first(), &show, 8000); /* gets the sleeper's place */
        } else {
            wait_for_place(show.show_id, STANDING_FIRST + 1, 1, 6000);
            time_until_sold(harness_first(), &show, 3000);
        }
        assert_int_equal(
            db_number("SELECT count(*) FROM tickets WHERE show_id = $1 AND place_no = 97 AND live", show.show_id), 1);
        other = bought(6, show.show_id, buying.places);
        assert_true(other > 0);
        proxy_set(second_pg, PROXY_PASS);
        assert_int_equal(kill(second.pid, SIGCONT), 0);
        pthread_join(sleeper.thread, NULL);
        assert_int_not_equal(sleeper.code, TF_OK);
        assert_int_equal(db_number("SELECT count(*) FROM orders WHERE show_id = $1 AND user_id = 5", show.show_id), 0);
        assert_int_equal(count_live(&show), 3);
        assert_int_equal(count_twice(&show), 0);

        /* Its key is free to buy; from whomever. */
        instance_wait(&second);
        sleeper.then = &second;
        sleeper.calls = 0;
        call(&sleeper);
        CHECK_TEXT("again", tf_code_info(sleeper.code)->reason, "OK");
        assert_int_equal(count_live(&show), 4);
    }
}

/* A call at the second instance whose batch lies on the wire to PostgreSQL: held in Redis, not committed. */
static void start_stuck(struct caller *caller, const struct fixture_show *show, enum proxy_mode mode, const char *key)
{
    tf_code code;

    buy_at(&second, 4, show->show_id, NULL, 1, &code); /* it knows the show; takes the first place */
    CHECK_TEXT("before", tf_code_info(code)->reason, "OK");
    *caller = (struct caller){.at = &second, .then = NULL, .show = show, .user_id = 5};
    snprintf(caller->key, sizeof(caller->key), "%s", key);
    proxy_set(second_pg, mode);
    assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
    wait_for_place(show->show_id, STANDING_FIRST + 1, 2, 3000);
}

static void replace_second(struct caller *caller)
{
    assert_int_equal(kill(second.pid, SIGKILL), 0);
    pthread_join(caller->thread, NULL);
    assert_int_not_equal(caller->code, TF_OK);
}

/* Killed after the hold, before PostgreSQL got the batch; the buyer is back at the other instance before the intent has
 * ended: the decision is not made again but completed. */
static void test_a_retry_elsewhere_completes_the_decision(void **state)
{
    struct fixture_show show = published(600);
    struct caller caller;

    (void)state;
    start_stuck(&caller, &show, PROXY_FREEZE, "completed-elsewhere");
    replace_second(&caller);
    caller.order_no = buy_at(harness_first(), 5, show.show_id, caller.key, 2, &caller.code);
    CHECK_TEXT("the retry", tf_code_info(caller.code)->reason, "OK");
    assert_int_equal(db_number("SELECT place_no FROM tickets WHERE order_no = $1", caller.order_no),
                     STANDING_FIRST + 1);
    assert_int_equal(db_number("SELECT count(*) FROM orders WHERE show_id = $1", show.show_id), 2); /* no tombstone */
    instance_stop(&second, SIGKILL);
    proxy_cut(second_pg); /* what lay on the wire is lost with its machine */
    proxy_set(second_pg, PROXY_PASS);
    harness_instance(&second, NULL, proxy_port(second_pg));
    assert_int_equal(count_live(&show), 2);
}

/* Killed after PostgreSQL committed, before the answer: the retry gets the order that stands. */
static void test_an_order_whose_answer_died_is_answered_elsewhere(void **state)
{
    struct fixture_show show = published(600);
    struct caller caller;
    int64_t stands;

    (void)state;
    start_stuck(&caller, &show, PROXY_MUTE, "answered-elsewhere");
    for (int i = 0; i < 500 && count_live(&show) < 2; i++)
        sleep_ms(10);
    stands = db_number("SELECT order_no FROM orders WHERE user_id = 5 AND show_id = $1", show.show_id);
    replace_second(&caller);
    caller.order_no = buy_at(harness_first(), 5, show.show_id, caller.key, 2, &caller.code);
    CHECK_TEXT("the retry", tf_code_info(caller.code)->reason, "OK");
    assert_int_equal(caller.order_no, stands);
    assert_int_equal(count_live(&show), 2);
    instance_stop(&second, SIGKILL);
    proxy_cut(second_pg);
    proxy_set(second_pg, PROXY_PASS);
    harness_instance(&second, NULL, proxy_port(second_pg));
}

/* PostgreSQL has the tombstone, Redis was not told yet. The late commit is refused and its place freed at once; the key
 * decides anew. */
static void test_a_retry_between_tombstone_and_freeing(void **state)
{
    struct fixture_show show = published(600);
    struct caller caller;
    tf_redis_reply *reply;
    char records[64];
    int64_t bucket = db_number("SELECT bucket FROM inventory WHERE show_id = $1", show.show_id), order_no = 0;
    tf_ctx ctx;

    (void)state;
    start_stuck(&caller, &show, PROXY_FREEZE, "buried-too-early");
    snprintf(records, sizeof(records), "tf:{%d}:%lld:h", (int)(bucket % INVENTORY_PARTITIONS), (long long)show.show_id);
    ctx_start(&ctx, 5000);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, redis, &reply, "HKEYS", records, NULL));
    for (size_t i = 0; i < reply->n_items; i++)
        if (db_number("SELECT count(*) FROM orders WHERE order_no = $1", strtoll(reply->items[i]->text, NULL, 10)) == 0)
            order_no = strtoll(reply->items[i]->text, NULL, 10);
    tf_ctx_done(&ctx);
    assert_true(order_no > 0);
    assert_int_equal(db_number("WITH t AS (INSERT INTO orders (bucket, order_no, show_id, state, created_at) SELECT "
                               "bucket, $1, show_id, 9, now() FROM (SELECT bucket, show_id FROM orders ORDER BY "
                               "created_at DESC LIMIT 1) o RETURNING 1) SELECT count(*) FROM t",
                               order_no),
                     1);
    proxy_set(second_pg, PROXY_PASS);
    pthread_join(caller.thread, NULL);
    CHECK_TEXT("the late commit", tf_code_info(caller.code)->reason, "REBUILDING");
    caller.order_no = buy_at(&second, 5, show.show_id, caller.key, 2, &caller.code);
    CHECK_TEXT("the retry", tf_code_info(caller.code)->reason, "OK");
    assert_int_not_equal(caller.order_no, order_no);
    assert_int_equal(count_live(&show), 2);
    assert_int_equal(db_number("SELECT place_no FROM tickets WHERE order_no = $1", caller.order_no),
                     STANDING_FIRST + 1);
}

/* Redis forgets which order a key made. With places left the new decision meets the unique key; at the limit, or sold
 * out, the buyer is known and PostgreSQL is asked. Nobody marks his call as a repeat. */
static void test_keys_outlive_redis(void **state)
{
    static const struct {
        const char *name;
        int account_limit, others;
    } rows[] = {
        {"places left", 20, 0},
        {"at the account limit", 1, 0},
        {"sold out", 20, STANDING_PLACES - 1},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct fixture_show show = show_on_sale();
        int64_t order_no, again = 0;
        tf_code code;

        print_message("%s\n", rows[i].name);
        show.hold_seconds = 600;
        show.account_limit = rows[i].account_limit;
        publish(&show);
        order_no = buy_at(harness_first(), 7, show.show_id, "a-key-to-keep", 1, &code);
        CHECK_TEXT(rows[i].name, tf_code_info(code)->reason, "OK");
        for (int k = 0; k < rows[i].others; k++)
            assert_true(buy_at(harness_first(), 20000 + k, show.show_id, NULL, 1, NULL) > 0);
        redis_do("FLUSHALL", NULL);
        for (int k = 0; k < 200 && !again; k++) {
            again = buy_at(&second, 7, show.show_id, "a-key-to-keep", 1, &code);
            if (!again) CHECK_TEXT(rows[i].name, tf_code_info(code)->reason, "REBUILDING");
            sleep_ms(10);
        }
        assert_int_equal(again, order_no);
        assert_int_equal(count_live(&show), 1 + rows[i].others);
        if (!rows[i].others)
            wait_for_place(show.show_id, STANDING_FIRST + 1, 1, 1000); /* the second decision's place */
    }
}

/* ---- work that is shared -------------------------------------------------------------------------------------------
 */

static int64_t cancelled_by(const struct instance *instance)
{
    return instance_metric(instance, "tf_order_settled_total{state=\"cancelled\"}");
}

static bool all_ended(void *arg)
{
    return db_number("SELECT count(*) FROM orders WHERE show_id = $1 AND state = 1",
                     ((const struct fixture_show *)arg)->show_id) == 0;
}

static void hold_many(const struct fixture_show *show, int n)
{
    for (int i = 0; i < n; i++)
        assert_true(buy_at(i % 2 ? &second : harness_first(), 2000 + i, show->show_id, NULL, 1, NULL) > 0);
}

static void check_ended_once(const struct fixture_show *show, int n)
{
    assert_int_equal(db_number("SELECT count(*) FROM orders WHERE show_id = $1 AND state = 5", show->show_id), n);
    assert_int_equal(
        db_number("SELECT count(*) FROM orders WHERE show_id = $1 AND cancelled_at < release_at", show->show_id), 0);
    /* order.created and order.cancelled, once each */
    assert_int_equal(db_number("SELECT count(*) FROM outbox WHERE aggregate_id IN (SELECT order_no FROM orders WHERE "
                               "show_id = $1)",
                               show->show_id),
                     2 * n);
}

static void test_ends_of_holds_are_shared(void **state)
{
    enum { N = 60 };
    struct fixture_show show = published(2);
    int64_t before[2] = {cancelled_by(harness_first()), cancelled_by(&second)}, share[2], latest;

    (void)state;
    hold_many(&show, N);
    wait_until(all_ended, &show, 8000, "the holds' end");
    check_ended_once(&show, N);
    sleep_ms(500);
    share[0] = cancelled_by(harness_first()) - before[0];
    share[1] = cancelled_by(&second) - before[1];
    latest = db_number("SELECT (max(extract(epoch FROM cancelled_at - release_at)) * 1000)::int8 FROM orders WHERE "
                       "show_id = $1",
                       show.show_id);
    print_message("%lld and %lld ends; the latest %lld ms after its time\n", (long long)share[0], (long long)share[1],
                  (long long)latest);
    assert_true(share[0] + share[1] >= N);
    assert_true(share[0] > 0 && share[1] > 0);
    assert_true(latest < 2000);
    wait_for_place(show.show_id, STANDING_FIRST, 1, 3000);
}

/* What the stopped one has claimed or read comes due again by its lease. */
static void test_a_stopped_instance_starves_nobody(void **state)
{
    enum { N = 40 };
    struct fixture_show show = published(2);

    (void)state;
    hold_many(&show, N);
    sleep_ms(1500); /* some are read by it, some are not due yet */
    assert_int_equal(kill(second.pid, SIGSTOP), 0);
    wait_until(all_ended, &show, 16000, "the holds' end");
    for (int i = 0; i < N; i++)
        wait_for_place(show.show_id, STANDING_FIRST + i, 1, 14000);
    assert_int_equal(kill(second.pid, SIGCONT), 0);
    instance_wait(&second);
    sleep_ms(1000);
    check_ended_once(&show, N);
}

static bool queue_empty(void *arg)
{
    return db_number("SELECT count(*) FROM settle_queue WHERE show_id = $1",
                     ((const struct fixture_show *)arg)->show_id) == 0;
}

/* Changes that both find in settle_queue at their next look, and both tell Redis: counted once. */
static void test_the_queue_is_worked_off_by_both(void **state)
{
    enum { BUYERS = 20, LIMIT = 3 };
    struct fixture_show show = show_on_sale();
    tf_code code;

    (void)state;
    show.hold_seconds = 600;
    show.account_limit = LIMIT;
    publish(&show);
    for (int i = 0; i < 2 * BUYERS; i++)
        assert_true(buy_at(i % 2 ? &second : harness_first(), 30000 + i / 2, show.show_id, NULL, 1, NULL) > 0);
    db_number(
        "WITH o AS (UPDATE orders SET state = 5, cancel_reason = 1 WHERE (bucket, order_no) IN (SELECT bucket, "
        "min(order_no) FROM orders WHERE show_id = $1 GROUP BY bucket, user_id) RETURNING bucket, order_no, show_id),"
        " t AS (UPDATE tickets t SET live = false FROM o WHERE t.bucket = o.bucket AND t.order_no = o.order_no),"
        " q AS (INSERT INTO settle_queue (bucket, order_no, show_id) SELECT * FROM o RETURNING 1)"
        " SELECT count(*) FROM q",
        show.show_id);
    wait_until(queue_empty, &show, 6000, "the queue is worked off");
    assert_int_equal(count_live(&show), BUYERS);
    for (int i = 0; i < BUYERS; i++) { /* each has one ticket left, no more and no fewer */
        for (int k = 0; k < LIMIT - 1; k++)
            assert_true(buy_at(&second, 30000 + i, show.show_id, NULL, 1, NULL) > 0);
        buy_at(&second, 30000 + i, show.show_id, NULL, 1, &code);
        CHECK_TEXT("beyond the limit", tf_code_info(code)->reason, "LIMIT_EXCEEDED");
    }
    assert_int_equal(count_twice(&show), 0);
}

/* ---- rebuilding ----------------------------------------------------------------------------------------------------
 */

/* Redis loses everything, both see it at once: one of them rebuilds, or both, and the show sells again. */
static void test_rebuilds_of_two_instances(void **state)
{
    enum { ROUNDS = 12 };
    struct fixture_show show = published(600);
    int64_t worst = 0, epoch = epoch_of(&show);

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct caller callers[2] = {
            {.at = harness_first(), .then = harness_first(), .show = &show, .user_id = 3000 + i},
            {.at = &second, .then = &second, .show = &show, .user_id = 4000 + i}};
        int64_t began;

        redis_do("FLUSHALL", NULL);
        began = now_ms();
        for (int k = 0; k < 2; k++) {
            snprintf(callers[k].key, sizeof(callers[k].key), "lost-%d-caller-%d", i, k);
            assert_int_equal(pthread_create(&callers[k].thread, NULL, call, &callers[k]), 0);
        }
        for (int k = 0; k < 2; k++) {
            pthread_join(callers[k].thread, NULL);
            CHECK_TEXT("caller", tf_code_info(callers[k].code)->reason, "OK");
        }
        worst = TF_MAX(worst, now_ms() - began);
    }
    print_message("%d losses, %lld generations, longest pause %lld ms\n", ROUNDS, (long long)(epoch_of(&show) - epoch),
                  (long long)worst);
    assert_int_equal(count_live(&show), 2 * ROUNDS);
    assert_int_equal(count_twice(&show), 0);
    assert_in_range(epoch_of(&show) - epoch, ROUNDS, 3 * ROUNDS);
    assert_true(worst < 2000);
    epoch = epoch_of(&show);
    sleep_ms(1500);
    assert_int_equal(epoch_of(&show), epoch); /* and then it rests */
}

static void test_a_rebuilder_that_dies_is_followed(void **state)
{
    struct fixture_show show = published(600);
    struct caller asker = {.at = &second, .show = &show, .user_id = 9, .key = "whoever-asks-first"};
    char staged[64];
    int64_t took;

    (void)state;
    /* So many buyers that loading takes a while. */
    db_number("WITH i AS (INSERT INTO orders (bucket, order_no, kind, show_id, organiser_id, user_id, request_id, "
              "body_hash, state, created_at, n_tickets)"
              " SELECT bucket, 1000000 + n, 1, show_id, 11, 50000000 + n, 'bulk', '0', 5, now(), 1 FROM inventory, "
              "generate_series(1, 50000) n WHERE show_id = $1 RETURNING 1) SELECT count(*) FROM i",
              show.show_id);
    snprintf(staged, sizeof(staged), "tf:{%d}:%lld:new:u",
             (int)(db_number("SELECT bucket FROM inventory WHERE show_id = $1", show.show_id) % INVENTORY_PARTITIONS),
             (long long)show.show_id);
    assert_int_equal(kill(harness_first()->pid, SIGSTOP), 0);
    redis_do("FLUSHALL", NULL);
    assert_int_equal(pthread_create(&asker.thread, NULL, call, &asker), 0);
    for (int i = 0; !redis_do("EXISTS", staged); i++) {
        assert_true(i < 20000);
        usleep(200);
    }
    assert_int_equal(kill(second.pid, SIGKILL), 0);
    assert_int_equal(kill(harness_first()->pid, SIGCONT), 0);
    pthread_join(asker.thread, NULL);
    took = time_until_sold(harness_first(), &show, 10000);
    print_message("sold again %lld ms after the rebuilder was killed in the middle of its load\n", (long long)took);
    assert_true(took < 4000);
    db_number("WITH d AS (DELETE FROM orders WHERE show_id = $1 AND request_id = 'bulk' RETURNING 1) SELECT count(*) "
              "FROM d",
              show.show_id);
    instance_stop(&second, SIGKILL);
    harness_instance(&second, NULL, proxy_port(second_pg));
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

static struct tf_redis_config redis_config = {.connect_timeout_ms = 1000, .queue_max = 64};

static int start_both(void **state)
{
    char target[128];

    if (harness_start(state)) return -1;
    harness_pg_proxy_target(target, sizeof(target));
    second_pg = proxy_start(target);
    harness_instance(&second, NULL, proxy_port(second_pg));
    redis_config.address = harness_redis();
    redis = tf_redis_new(&redis_config);
    return 0;
}

static int stop_both(void **state)
{
    instance_stop(&second, SIGKILL);
    if (second_pg) proxy_stop(second_pg);
    if (redis) tf_redis_free(redis);
    return harness_stop(state);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_key_at_two_instances),
        cmocka_unit_test(test_a_killed_instance_loses_nothing),
        cmocka_unit_test(test_an_instance_stopped_in_the_middle_sells_nothing_late),
        cmocka_unit_test(test_a_retry_elsewhere_completes_the_decision),
        cmocka_unit_test(test_an_order_whose_answer_died_is_answered_elsewhere),
        cmocka_unit_test(test_a_retry_between_tombstone_and_freeing),
        cmocka_unit_test(test_keys_outlive_redis),
        cmocka_unit_test(test_ends_of_holds_are_shared),
        cmocka_unit_test(test_a_stopped_instance_starves_nobody),
        cmocka_unit_test(test_the_queue_is_worked_off_by_both),
        cmocka_unit_test(test_rebuilds_of_two_instances),
        cmocka_unit_test(test_a_rebuilder_that_dies_is_followed),
    };

    return cmocka_run_group_tests(tests, start_both, stop_both);
}
