/* The provider's books: transitions, repetitions, and what a restart finds again. */
#include "sandbox/books.h"
#include "sandbox/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct sandbox_config sandbox_config;

static char path[64];

static struct charge charge_of(const char *id, int64_t amount)
{
    struct charge c = {.amount_minor = amount,
                       .expires_ms = 1000,
                       .currency = "CNY",
                       .subject = "a \"quoted\" show × 2",
                       .notify_url = "http://127.0.0.1:1/"};

    snprintf(c.id, sizeof c.id, "%s", id);
    return c;
}

static void transitions(void **state)
{
    struct fault fault = {0};
    struct charge a = charge_of("1", 500), out;

    (void)state;
    assert_int_equal(books_charge(&a, &out), BOOKS_OK);
    assert_int_equal(books_charge(&a, &out), BOOKS_AGAIN);
    a.amount_minor = 501;
    assert_int_equal(books_charge(&a, &out), BOOKS_CONFLICT);
    assert_int_equal(books_refund("r1", "1", 500, 1), BOOKS_STATE); /* nothing was paid */
    assert_int_equal(books_pay("1", 999, &out, &fault), BOOKS_OK);
    assert_int_equal(out.state, CHARGE_SUCCEEDED);
    assert_int_equal(books_pay("1", 999, &out, &fault), BOOKS_AGAIN);
    assert_int_equal(books_close_charge("1", &out), BOOKS_STATE); /* money is there */
    assert_int_equal(books_refund("r1", "1", 501, 1), BOOKS_CONFLICT);
    assert_int_equal(books_refund("r1", "1", 300, 1), BOOKS_OK);
    assert_int_equal(books_refund("r1", "1", 300, 1), BOOKS_AGAIN);
    assert_int_equal(books_refund("r2", "1", 201, 1), BOOKS_CONFLICT); /* only 200 are left */
    assert_int_equal(books_refunded("r1"), 300);

    a = charge_of("2", 100);
    assert_int_equal(books_charge(&a, &out), BOOKS_OK);
    assert_int_equal(books_pay("2", 1000, &out, &fault), BOOKS_STATE); /* too late: closed */
    assert_int_equal(out.state, CHARGE_CLOSED);
    assert_int_equal(books_close_charge("2", &out), BOOKS_AGAIN);
    assert_int_equal(books_pay("3", 1, &out, &fault), BOOKS_UNKNOWN);
}

static void faults_meet_their_charge(void **state)
{
    struct fault mine = {.charge_id = "11", .lose = true}, any = {.charge_id = "*", .decline = true}, got = {0};
    struct charge a = charge_of("10", 1), b = charge_of("11", 1), out;

    (void)state;
    books_charge(&a, &out);
    books_charge(&b, &out);
    books_fault(&mine);
    books_fault(&any);
    assert_int_equal(books_pay("10", 1, &out, &got), BOOKS_DECLINED);
    assert_int_equal(out.state, CHARGE_WAITING);
    memset(&got, 0, sizeof got);
    assert_int_equal(books_pay("11", 1, &out, &got), BOOKS_OK);
    assert_true(got.lose);
}

/* Another amount arrives than was asked for; refunds are of what arrived, and one is refused on demand. */
static void odd_money(void **state)
{
    struct fault odd = {.charge_id = "15", .received_minor = 7}, refuse = {.charge_id = "15", .refuse_refund = true},
                 got;
    struct charge a = charge_of("15", 9), out;

    (void)state;
    books_charge(&a, &out);
    assert_int_equal(charge_money(&out), 9);
    books_fault(&refuse);
    books_fault(&odd);
    assert_int_equal(books_pay("15", 1, &out, &got), BOOKS_OK);
    assert_int_equal(charge_money(&out), 7);
    assert_int_equal(books_charge(&a, &out), BOOKS_AGAIN); /* the charge is still what was asked for */
    assert_int_equal(books_refund("odd", "15", 8, 1), BOOKS_CONFLICT);
    assert_int_equal(books_refund("odd", "15", 7, 1), BOOKS_REFUSED);
    assert_int_equal(books_refunded("odd"), 0);
    assert_int_equal(books_refund("odd", "15", 7, 1), BOOKS_OK);
}

static void money_in_flight(void **state)
{
    struct fault later = {.charge_id = "20", .settle_at_ms = 5}, got;
    struct charge a = charge_of("20", 7), out;

    (void)state;
    books_charge(&a, &out);
    books_fault(&later);
    assert_int_equal(books_pay("20", 1, &out, &got), BOOKS_OK);
    assert_int_equal(out.state, CHARGE_IN_FLIGHT);
    assert_int_equal(books_close_charge("20", &out), BOOKS_STATE);
    assert_true(books_next_in_flight(&out));
    assert_int_equal(books_settle("20", 5, &out), BOOKS_OK);
    assert_int_equal(out.paid_ms, 5);
    assert_false(books_next_in_flight(&out));
}

/* A second process reads what this one journaled. A torn last line was never answered: it is cut off, so that what is
 * written behind it can be read by a third. */
static void a_restart_finds_all(void **state)
{
    FILE *f = fopen(path, "ae");
    struct charge late = charge_of("30", 9), out;
    char error[200];
    tf_buf before, after;

    (void)state;
    assert_non_null(f);
    fputs("{\"charge_id\":\"99\",\"prov", f);
    fclose(f);
    tf_buf_init(&before, 1 << 20);
    books_close();
    assert_int_equal(books_refunded("r1"), 0); /* closed books know nothing */
    assert_true(books_open(path, error, sizeof error));
    assert_int_equal(books_charge(&late, &out), BOOKS_OK);
    books_render(&before);
    books_close();
    if (!books_open(path, error, sizeof error)) fail_msg("%s", error);
    tf_buf_init(&after, 1 << 20);
    books_render(&after);
    assert_non_null(strstr(before.data, "\"refunded_minor\":300"));
    assert_string_equal(before.data, after.data);
    assert_int_equal(books_find("30", &out), BOOKS_OK);
    assert_int_equal(books_find("99", &out), BOOKS_UNKNOWN);
    tf_buf_done(&before);
    tf_buf_done(&after);
}

static void texts_at_their_longest_are_journaled(void **state)
{
    struct charge a = charge_of("40", 9), out;
    char error[200];

    (void)state;
    memset(a.subject, '"', sizeof a.subject - 1);
    memset(a.notify_url, '\\', sizeof a.notify_url - 1);
    assert_int_equal(books_charge(&a, &out), BOOKS_OK);
    books_close();
    assert_true(books_open(path, error, sizeof error));
    assert_int_equal(books_find("40", &out), BOOKS_OK);
    assert_string_equal(out.subject, a.subject);
    assert_string_equal(out.notify_url, a.notify_url);
}

static void faults_have_a_bound(void **state)
{
    struct fault fault = {.charge_id = "none such"};
    size_t n = 0;

    (void)state;
    while (books_fault(&fault))
        n++;
    assert_int_equal(n, 4096);
}

static int open_books(void **state)
{
    char error[200];

    (void)state;
    snprintf(path, sizeof path, "/tmp/tf-books-%d", (int)getpid());
    return books_open(path, error, sizeof error) ? 0 : -1;
}

static int remove_books(void **state)
{
    (void)state;
    books_close();
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transitions),         cmocka_unit_test(faults_meet_their_charge),
        cmocka_unit_test(odd_money),           cmocka_unit_test(money_in_flight),
        cmocka_unit_test(a_restart_finds_all), cmocka_unit_test(texts_at_their_longest_are_journaled),
        cmocka_unit_test(faults_have_a_bound),
    };

    return cmocka_run_group_tests(tests, open_books, remove_books);
}
