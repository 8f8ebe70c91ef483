/* The gateway's workers: every job once, in order, no more than may wait, none left behind at the end. */
#include "gateway/workers.h"

#include "common/base/macros.h"

#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* held by a test: jobs wait */
static atomic_int ran;
static int order[1000]; /* numbers of jobs as they ran, by one thread */

struct numbered {
    struct gateway_job job; /* first */
    int number;
};

static void run(struct gateway_job *job)
{
    int number = ((struct numbered *)job)->number;

    pthread_mutex_lock(&gate);
    order[atomic_fetch_add(&ran, 1)] = number;
    pthread_mutex_unlock(&gate);
    free(job);
}

static bool push(gateway_workers *workers, int number)
{
    struct numbered *numbered = calloc(1, sizeof *numbered);

    TF_ASSERT(numbered);
    numbered->job.run = run;
    numbered->number = number;
    if (gateway_workers_push(workers, &numbered->job)) return true;
    free(numbered);
    return false;
}

static void test_in_order(void **state)
{
    gateway_workers *workers = gateway_workers_start(1, 1000);

    (void)state;
    atomic_store(&ran, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(push(workers, i));
    gateway_workers_stop(workers); /* what waits is run */
    assert_int_equal(atomic_load(&ran), 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(order[i], i);
}

static void test_no_more_than_may_wait(void **state)
{
    enum { WAITING = 5, THREADS = 2 };
    gateway_workers *workers = gateway_workers_start(THREADS, WAITING);
    int taken = 0;

    (void)state;
    atomic_store(&ran, 0);
    pthread_mutex_lock(&gate);
    for (int i = 0; i < 200; i++) { /* the threads take one each, sooner or later */
        taken += push(workers, i);
        usleep(500);
    }
    assert_int_equal(taken, WAITING + THREADS);
    pthread_mutex_unlock(&gate);
    while (atomic_load(&ran) < taken)
        usleep(1000);
    assert_true(push(workers, 0)); /* and it goes on */
    gateway_workers_stop(workers);
    assert_int_equal(atomic_load(&ran), taken + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_no_more_than_may_wait),
    };

    gateway_workers_stop(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
