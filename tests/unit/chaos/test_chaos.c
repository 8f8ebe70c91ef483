/* Kill points: which pass dies, what is counted, by many threads at once; rules; files that cannot be used. Each case
 * is a process of its own, because a process maps the file once and a pass may be its last. */
#include "common/base/chaos.h"
#include "common/base/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 3, OTHER = 1, RULE = 2, THREADS = 8, PASSES = 1000 };

static struct tf_chaos_row *rows;
static char path[] = "/tmp/tf-chaos-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0 || ftruncate(fd, ROWS * sizeof(*rows))) return -1;
    rows = mmap(NULL, ROWS * sizeof(*rows), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return rows == MAP_FAILED ? -1 : setenv("TF_CHAOS_FILE", path, 1);
}

static int remove_file(void **state)
{
    (void)state;
    munmap(rows, ROWS * sizeof(*rows));
    return unlink(path);
}

static int fresh(void **state)
{
    (void)state;
    memset(rows, 0, ROWS * sizeof(*rows));
    snprintf(rows[0].name, sizeof(rows[0].name), "order_hold_before");
    snprintf(rows[OTHER].name, sizeof(rows[OTHER].name), "a_name_of_another_build");
    snprintf(rows[RULE].name, sizeof(rows[RULE].name), "wall_clock_expiry");
    return 0;
}

/* The status of a child that ran this and, if it still lives, exits with 0. */
static int in_child(void (*run)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        run();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void pass_five_times(void)
{
    for (int i = 0; i < 5; i++)
        TF_KILL_POINT(order_hold_before);
}

static void test_unarmed_points_only_count(void **state)
{
    (void)state;
    assert_int_equal(in_child(pass_five_times), 0);
    assert_int_equal(rows[0].passes, 5);
    assert_int_equal(rows[0].hits, 0);
}

static void test_the_pass_that_was_armed_is_the_last(void **state)
{
    (void)state;
    rows[0].countdown = 3;
    assert_true(WIFSIGNALED(in_child(pass_five_times)));
    assert_int_equal(rows[0].passes, 3);
    assert_int_equal(rows[0].hits, 1);
    assert_int_equal(rows[0].countdown, 0);

    /* Once: whoever is started next passes. */
    assert_int_equal(in_child(pass_five_times), 0);
    assert_int_equal(rows[0].passes, 8);
    assert_int_equal(rows[0].hits, 1);
}

static void test_the_signal_cannot_be_caught(void **state)
{
    int status;

    (void)state;
    rows[0].countdown = 1;
    status = in_child(pass_five_times);
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void pass_a_point_that_is_not_listed(void)
{
    TF_KILL_POINT(order_hold_after);
}

static void test_what_the_file_does_not_list_does_nothing(void **state)
{
    (void)state;
    rows[OTHER].countdown = 1;
    assert_int_equal(in_child(pass_a_point_that_is_not_listed), 0);
    assert_int_equal(rows[OTHER].passes, 0);
}

static void *pass_often(void *arg)
{
    for (int i = 0; i < PASSES; i++)
        TF_KILL_POINT(order_hold_before);
    return arg;
}

static void pass_in_threads(void)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, pass_often, NULL)) _exit(1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void test_threads_count_down_together(void **state)
{
    (void)state;
    rows[0].countdown = THREADS * PASSES + 1;
    assert_int_equal(in_child(pass_in_threads), 0);
    assert_int_equal(rows[0].passes, THREADS * PASSES);
    assert_int_equal(rows[0].countdown, 1);

    rows[0].countdown = THREADS * PASSES / 2;
    assert_int_equal(WTERMSIG(in_child(pass_in_threads)), SIGKILL);
    assert_int_equal(rows[0].hits, 1);
    assert_int_equal(rows[0].countdown, 0);
}

static void ask_for_the_rule(void)
{
    _exit(TF_BROKEN(wall_clock_expiry) ? 7 : 8);
}

static void test_a_rule_holds_until_it_is_taken_out(void **state)
{
    (void)state;
    assert_int_equal(WEXITSTATUS(in_child(ask_for_the_rule)), 8);
    assert_int_equal(rows[RULE].passes, 0);
    rows[RULE].countdown = 1;
    assert_int_equal(WEXITSTATUS(in_child(ask_for_the_rule)), 7);
    assert_int_equal(rows[RULE].passes, 1);
    assert_int_equal(rows[RULE].countdown, 1);
}

static void pass_with_a_file_that_is_missing(void)
{
    setenv("TF_CHAOS_FILE", "/nowhere/points", 1);
    pass_five_times();
}

static void pass_with_a_file_of_another_form(void)
{
    setenv("TF_CHAOS_FILE", "/proc/self/stat", 1);
    pass_five_times();
}

static void pass_without_a_file(void)
{
    unsetenv("TF_CHAOS_FILE");
    pass_five_times();
}

static void test_a_file_that_cannot_be_used_ends_the_process(void **state)
{
    (void)state;
    assert_true(in_child(pass_with_a_file_that_is_missing) != 0);
    assert_true(in_child(pass_with_a_file_of_another_form) != 0);
    assert_int_equal(in_child(pass_without_a_file), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_unarmed_points_only_count, fresh),
        cmocka_unit_test_setup(test_the_pass_that_was_armed_is_the_last, fresh),
        cmocka_unit_test_setup(test_the_signal_cannot_be_caught, fresh),
        cmocka_unit_test_setup(test_what_the_file_does_not_list_does_nothing, fresh),
        cmocka_unit_test_setup(test_threads_count_down_together, fresh),
        cmocka_unit_test_setup(test_a_rule_holds_until_it_is_taken_out, fresh),
        cmocka_unit_test_setup(test_a_file_that_cannot_be_used_ends_the_process, fresh),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
