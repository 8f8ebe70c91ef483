/* Two instances, two Redis servers: a fail-over that one instance has not heard of, the way back onto a server that was
 * demoted under living connections, and both of it while orders run. */
#include "tests/integration/order/service/harness.h"

#include "common/redis/redis.h"
#include "tests/integration/child.h"
#include "tests/integration/proxy.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { A, B, SERVERS, INSTANCES = 2, SELLERS = 4, PATIENCE_MS = 9000 };

static struct instance instances[INSTANCES];
static struct proxy *links[INSTANCES]; /* each instance's way to Redis */
static char addresses[SERVERS][32], dir[64];
static struct tf_redis_config configs[SERVERS];
static tf_redis *servers[SERVERS];
static pid_t server_b;
static int64_t sold_on_both; /* the show of the first story, which the second goes on with */

static int64_t now_ms(void)
{
    return tf_mono_us() / TF_US_PER_MS;
}

/* ---- servers -------------------------------------------------------------------------------------------------------
 */

/* The reply is an OK, or a number above 0. */
static bool tell(int server, const char *word, const char *first, const char *second)
{
    tf_redis_reply *reply;
    bool yes;
    tf_ctx ctx;

    ctx_start(&ctx, 5000);
    ASSERT_OK(&ctx, tf_redis_do(&ctx, servers[server], &reply, word, first, second, NULL));
    yes = reply->type == TF_REDIS_STATUS || reply->integer > 0;
    tf_ctx_done(&ctx);
    return yes;
}

static char marker[24]; /* a key that only a copy of now has */

static bool has_marker(void *arg)
{
    const int *server = arg;

    return tell(*server, "EXISTS", marker, NULL);
}

/* Makes the other server a copy of this one and promotes it. */
static void promote(int from, int to)
{
    static int copies;
    char port[8];

    snprintf(port, sizeof(port), "%s", strchr(addresses[from], ':') + 1);
    assert_true(tell(to, "REPLICAOF", "127.0.0.1", port));
    snprintf(marker, sizeof(marker), "copied-%d", ++copies);
    assert_true(tell(from, "SET", marker, "1"));
    wait_until(has_marker, &to, 20000, "the replica follows");
    assert_true(tell(to, "REPLICAOF", "NO", "ONE"));
    for (int i = 0; i < INSTANCES; i++)
        proxy_aim(links[i], addresses[to]);
}

/* The old server obeys the new one; connections to it stay. */
static void demote(int from, int to)
{
    char port[8];

    snprintf(port, sizeof(port), "%s", strchr(addresses[to], ':') + 1);
    assert_true(tell(from, "REPLICAOF", "127.0.0.1", port));
}

/* ---- buying --------------------------------------------------------------------------------------------------------
 */

static int64_t time_until_sold(int i, int64_t show_id)
{
    static int64_t user = 100;
    int64_t began = now_ms();
    tf_code code = TF_OK;
    char key[32];

    snprintf(key, sizeof(key), "patient-%lld", (long long)++user);
    for (int attempt = 1; !buy_at(&instances[i], user, show_id, key, attempt, &code); attempt++) {
        if (now_ms() - began > PATIENCE_MS) fail_msg("nothing sold any more: %s", tf_code_info(code)->reason);
        sleep_ms(20);
    }
    return now_ms() - began;
}

static struct fixture_show published(void)
{
    struct fixture_show show = show_on_sale();

    show.hold_seconds = 600;
    publish(&show);
    return show;
}

static int64_t epoch_of(int64_t show_id)
{
    return db_number("SELECT epoch FROM inventory WHERE show_id = $1", show_id);
}

static int64_t live(int64_t show_id)
{
    return db_number("SELECT count(*) FROM tickets WHERE show_id = $1 AND live", show_id);
}

static int64_t twice(int64_t show_id)
{
    return db_number("SELECT count(*) - count(DISTINCT place_no) FROM tickets WHERE show_id = $1 AND live", show_id);
}

/* The first instance hears of the fail-over, the second one's connection to the old server lives on. Its commits are
 * refused, it drops its link, and the two agree without closing each other's generations. */
static void test_two_instances_see_two_servers(void **state)
{
    struct fixture_show show = published();
    int64_t epoch, took[INSTANCES];

    (void)state;
    sold_on_both = show.show_id;
    for (int i = 0; i < INSTANCES; i++)
        time_until_sold(i, show.show_id);
    epoch = epoch_of(show.show_id);
    promote(A, B);
    proxy_cut(links[0]);
    for (int i = 0; i < INSTANCES; i++)
        took[i] = time_until_sold(i, show.show_id);
    print_message("sold again %lld ms after the fail-over, at the instance that missed it after %lld ms more\n",
                  (long long)took[0], (long long)took[1]);
    assert_int_equal(epoch_of(show.show_id), epoch + 1);
    sleep_ms(1500);
    for (int i = 0; i < INSTANCES; i++)
        assert_in_range(time_until_sold(i, show.show_id), 0, 500);
    assert_int_equal(epoch_of(show.show_id), epoch + 1);
    assert_int_equal(live(show.show_id), 3 * INSTANCES);
    assert_int_equal(twice(show.show_id), 0);
}

/* And back, by an orderly switch: A follows B and takes over, B obeys; nobody's connection is cut. */
static void test_back_onto_the_first_server(void **state)
{
    int64_t took[INSTANCES], show_id = sold_on_both;

    (void)state;
    promote(B, A);
    demote(B, A);
    for (int i = 0; i < INSTANCES; i++)
        took[i] = time_until_sold(i, show_id);
    print_message("sold again after %lld and %lld ms\n", (long long)took[0], (long long)took[1]);
    assert_true(took[0] < 2000);
    assert_int_equal(live(show_id), 4 * INSTANCES);
    assert_int_equal(twice(show_id), 0);
    assert_true(tell(B, "REPLICAOF", "NO", "ONE"));
}

/* ---- while orders run ----------------------------------------------------------------------------------------------
 */

struct seller {
    pthread_t thread;
    int i;
    int64_t show_id, user_id;
    atomic_bool *stop;
    int sold, refused;
};

static void *sell(void *arg)
{
    struct seller *seller = arg;
    char key[40];

    for (int n = 0; n < 20 && !atomic_load(seller->stop); n++) {
        snprintf(key, sizeof(key), "running-%lld-%d", (long long)seller->user_id, n);
        for (int attempt = 1; attempt < 200; attempt++) {
            if (buy_at(&instances[(seller->i + attempt - 1) % INSTANCES], seller->user_id + n, seller->show_id, key,
                       attempt, NULL)) {
                seller->sold++;
                break;
            }
            seller->refused++;
            sleep_ms(30);
        }
        sleep_ms(40);
    }
    return NULL;
}

static void test_over_and_back_while_orders_run(void **state)
{
    struct fixture_show show = published();
    struct seller sellers[SELLERS];
    atomic_bool stop = false;
    int sold = 0, refused = 0;

    (void)state;
    for (int i = 0; i < SELLERS; i++) {
        sellers[i] =
            (struct seller){.i = i % INSTANCES, .show_id = show.show_id, .user_id = 10000 * (i + 1), .stop = &stop};
        assert_int_equal(pthread_create(&sellers[i].thread, NULL, sell, &sellers[i]), 0);
    }
    sleep_ms(200);
    promote(A, B);
    proxy_cut(links[1]);
    sleep_ms(1500);
    promote(B, A);
    demote(B, A);
    for (int i = 0; i < SELLERS; i++) {
        pthread_join(sellers[i].thread, NULL);
        sold += sellers[i].sold;
        refused += sellers[i].refused;
    }
    print_message("%d orders, %d calls refused on the way over and back\n", sold, refused);
    assert_int_equal(sold, SELLERS * 20);
    assert_int_equal(db_number("SELECT count(*) FROM orders WHERE show_id = $1 AND state = 1", show.show_id), sold);
    assert_int_equal(live(show.show_id), sold);
    assert_int_equal(twice(show.show_id), 0);
    assert_true(tell(B, "REPLICAOF", "NO", "ONE"));
}

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

static void start_b(void)
{
    snprintf(addresses[B], sizeof(addresses[B]), "127.0.0.1:%d", free_port());
    snprintf(dir, sizeof(dir), "/tmp/%s-b", unique_word());
    assert_int_equal(mkdir(dir, 0700), 0);
    server_b = child_spawn("/dev/null", (const char *const[]){"redis-server", "--port", strchr(addresses[B], ':') + 1,
                                                              "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                                                              "--dir", dir, "--repl-diskless-sync-delay", "0", NULL});
    wait_until(listens, addresses[B], 10000, "the second redis-server");
}

static int start_all(void **state)
{
    if (harness_start(state)) return -1;
    instance_stop(harness_first(), SIGTERM); /* it knows no proxy */
    snprintf(addresses[A], sizeof(addresses[A]), "%s", harness_redis());
    start_b();
    for (int server = 0; server < SERVERS; server++) {
        configs[server] =
            (struct tf_redis_config){.address = addresses[server], .connect_timeout_ms = 1000, .queue_max = 64};
        servers[server] = tf_redis_new(&configs[server]);
    }
    sleep_ms(200);
    for (int i = 0; i < INSTANCES; i++) {
        char address[32];

        links[i] = proxy_start(addresses[A]);
        snprintf(address, sizeof(address), "127.0.0.1:%d", proxy_port(links[i]));
        harness_instance(&instances[i], address, 0);
    }
    order_client = instances[0].client;
    return 0;
}

static int stop_all(void **state)
{
    int result;

    for (int i = 0; i < INSTANCES; i++) {
        instance_stop(&instances[i], SIGKILL);
        if (links[i]) proxy_stop(links[i]);
    }
    for (int server = 0; server < SERVERS; server++)
        if (servers[server]) tf_redis_free(servers[server]);
    result = harness_stop(state);
    child_stop(&server_b, SIGKILL);
    rmdir(dir);
    return result;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_instances_see_two_servers),
        cmocka_unit_test(test_back_onto_the_first_server),
        cmocka_unit_test(test_over_and_back_while_orders_run),
    };

    return cmocka_run_group_tests(tests, start_all, stop_all);
}
