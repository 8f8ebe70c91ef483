/* The money desk: parked money is listed, decided once, and ends as it was decided, whatever else happens meanwhile. */
#include "tests/integration/pay_service/harness.h"

#include "common/base/id.h"

#include <pthread.h>
#include <stdio.h>

enum { ODD_MINOR = AMOUNT_MINOR + 7, OPERATOR = 900, OTHER_OPERATOR = 901, ORGANISER = 5 };

/* ---- operators ---- */

static void as_operator(tf_ctx *ctx, int64_t user_id, uint32_t role, int64_t organiser_id)
{
    as_user(ctx, user_id);
    ctx->identity.roles = role;
    ctx->identity.organiser_id = organiser_id;
}

/* The entry of this payment (refund 0) or refund in the list of the platform, page by page; revision 0: not listed. */
static ParkedMoney listed_for(int64_t organiser_id, int64_t payment_id, int64_t refund_id, int page_size)
{
    ListParkedMoneyRequest request = ListParkedMoneyRequest_init;
    ParkedMoney found = ParkedMoney_init;
    char token[64] = "";

    do {
        ListParkedMoneyResponse *response;
        tf_ctx ctx;

        as_operator(&ctx, OPERATOR, organiser_id ? TF_ROLE_ORGANISER_ADMIN : TF_ROLE_PLATFORM_OPERATOR, organiser_id);
        request.page_size = page_size;
        request.page_token = token;
        ASSERT_OK(&ctx, call_list_parked_money(&ctx, pay_client(), &request, &response));
        assert_true(response->n_parked <= (size_t)page_size);
        for (size_t i = 0; i < response->n_parked; i++) {
            const ParkedMoney *m = response->parked[i];

            if ((refund_id ? m->refund_id == refund_id : m->refund_id == 0 && m->payment_id == payment_id) &&
                !found.revision) {
                found.revision = m->revision;
                found.amount_minor = m->amount_minor;
                found.asked_minor = m->asked_minor;
                found.order_no = m->order_no;
                found.confirmed = m->confirmed;
                found.age_seconds = m->age_seconds;
                found.n_decisions = m->n_decisions;
                assert_true(*m->cause && m->parked_time);
            } else if (refund_id ? m->refund_id == refund_id : m->refund_id == 0 && m->payment_id == payment_id) {
                fail_msg("listed twice");
            }
        }
        snprintf(token, sizeof(token), "%s", response->next_page_token);
        tf_ctx_done(&ctx);
    } while (*token);
    return found;
}

static ParkedMoney listed(int64_t payment_id, int64_t refund_id)
{
    return listed_for(0, payment_id, refund_id, 2);
}

struct order_of_operator {
    int64_t operator_id, payment_id, refund_id;
    DecisionKind kind;
    int revision;
    const char *key, *reason, *reference;
    uint32_t role;
    int64_t organiser_id;
    tf_code code; /* of the answer */
    int64_t decision_id, made_refund_id;
};

static void decide(struct order_of_operator *o)
{
    tf_ctx ctx;

    as_operator(&ctx, o->operator_id ? o->operator_id : OPERATOR, o->role ? o->role : TF_ROLE_PLATFORM_OPERATOR,
                o->organiser_id);
    if (o->refund_id) {
        DecideParkedRefundRequest request = DecideParkedRefundRequest_init;
        DecideParkedRefundResponse *response;

        request.refund_id = o->refund_id;
        request.request_id = (char *)o->key;
        request.kind = o->kind;
        request.revision = o->revision;
        request.reason = (char *)(o->reason ? o->reason : "because");
        request.reference = (char *)(o->reference ? o->reference : "");
        o->code = call_decide_parked_refund(&ctx, pay_client(), &request, &response);
        if (!o->code) o->decision_id = response->decision->decision_id;
        if (!o->code) o->made_refund_id = response->decision->refund_id;
    } else {
        DecideParkedPaymentRequest request = DecideParkedPaymentRequest_init;
        DecideParkedPaymentResponse *response;

        request.payment_id = o->payment_id;
        request.request_id = (char *)o->key;
        request.kind = o->kind;
        request.revision = o->revision;
        request.reason = (char *)(o->reason ? o->reason : "because");
        request.reference = (char *)(o->reference ? o->reference : "");
        o->code = call_decide_parked_payment(&ctx, pay_client(), &request, &response);
        if (!o->code) o->decision_id = response->decision->decision_id;
        if (!o->code) o->made_refund_id = response->decision->refund_id;
    }
    tf_ctx_done(&ctx);
}

static void expect(tf_code code, struct order_of_operator o)
{
    decide(&o);
    if (o.code != code) fail_msg("%s, not %s", tf_code_info(o.code)->reason, tf_code_info(code)->reason);
}

static const char *new_word(void)
{
    static char words[64][33];
    static int n;
    char *word = words[n++ % 64];

    snprintf(word, 33, "key-%lld", (long long)new_refund_id(1));
    return word;
}

/* ---- parked money ---- */

/* A payment of which the provider's books say that ODD_MINOR came. */
static int64_t odd_payment(int64_t order_no)
{
    int64_t payment_id;
    char url[WORLD_TEXT], members[100];

    payment_id = opened(order_no, url);
    snprintf(members, sizeof(members), "\"received_minor\":%d", ODD_MINOR);
    fault(payment_id, members);
    assert_int_equal(press(url), 200);
    wait_for_sql(1, 5000, "SELECT (parked AND park_confirmed)::int FROM payment WHERE payment_id = %lld",
                 (long long)payment_id);
    return payment_id;
}

/* A refund of a good payment that the provider refuses for good. */
static int64_t refused_refund(int64_t order_no, int64_t *ret_payment_id)
{
    int64_t payment_id, refund_id = new_refund_id(order_no);
    char url[WORLD_TEXT];

    *ret_payment_id = payment_id = opened(order_no, url);
    assert_int_equal(press(url), 200);
    wait_for_payment(payment_id, PAYMENT_STATE_SUCCEEDED, 5000);
    fault(payment_id, "\"refuse_refund\":true");
    order_wants_refund(refund_id, payment_id, order_no, AMOUNT_MINOR, "CNY");
    wait_for_sql(1, 5000, "SELECT (state = 'PARKED')::int FROM refund WHERE refund_id = %lld", (long long)refund_id);
    return refund_id;
}

static void wait_for_refund_of(int64_t payment_id, const char *state, int64_t amount)
{
    wait_for_sql(amount, 5000,
                 "SELECT coalesce(sum(amount_minor), 0)::int8 FROM refund WHERE payment_id = %lld AND state = '%s'",
                 (long long)payment_id, state);
}

static int64_t decisions_on(int64_t payment_id)
{
    return sql("SELECT count(*) FROM money_decision WHERE payment_id = %lld", (long long)payment_id);
}

/* ---- tests ---- */

static void test_payment_goes_back(void **state)
{
    int64_t order_no = order_payable(60000), payment_id = odd_payment(order_no);
    ParkedMoney m = listed(payment_id, 0);
    struct order_of_operator o = {
        .payment_id = payment_id, .kind = DECISION_KIND_REFUND, .revision = m.revision, .key = new_word()};
    int64_t first;

    (void)state;
    assert_int_equal(m.amount_minor, ODD_MINOR);
    assert_int_equal(m.asked_minor, AMOUNT_MINOR);
    assert_int_equal(m.order_no, order_no);
    assert_true(m.confirmed);
    assert_int_equal(m.n_decisions, 2);
    assert_int_equal(events(order_no, "payment.parked"), 1);
    assert_int_equal(refunded_minor(payment_id), 0); /* nobody decided yet */

    decide(&o);
    assert_int_equal(o.code, TF_OK);
    first = o.decision_id;
    wait_for_refund_of(payment_id, "SUCCEEDED", ODD_MINOR);
    assert_int_equal(refunded_minor(payment_id), ODD_MINOR);
    assert_int_equal(listed(payment_id, 0).revision, 0);
    assert_int_equal(events(order_no, "payment.succeeded"), 0);
    assert_int_equal(events(order_no, "payment.failed"), 1);
    assert_int_equal(events(order_no, "refund.started"), 1);
    assert_int_equal(events(order_no, "refund.succeeded"), 1);

    /* The same key: the same decision, also when the provider is away. Another key: too late. */
    sandbox_stop();
    decide(&o);
    sandbox_start();
    assert_int_equal(o.code, TF_OK);
    assert_int_equal(o.decision_id, first);
    o.reason = "another reason";
    expect(TF_KEY_REUSED, o);
    o.reason = NULL;
    o.key = new_word();
    expect(TF_STATE_WRONG, o);
    assert_int_equal(decisions_on(payment_id), 1);
    assert_int_equal(refunded_minor(payment_id), ODD_MINOR);
    assert_int_equal(sql("SELECT count(*) FROM money_decision WHERE payment_id = %lld AND user_id = %d AND kind = 1"
                         " AND amount_minor = %d AND reason = 'because' AND cause <> '' AND decided_at >= parked_at",
                         (long long)payment_id, OPERATOR, ODD_MINOR),
                     1);
}

/* By other means: the provider is asked for nothing, order is told that it is done. */
static void test_payment_settled_elsewhere(void **state)
{
    int64_t order_no = order_payable(60000), payment_id = odd_payment(order_no);
    struct order_of_operator o = {.payment_id = payment_id,
                                  .kind = DECISION_KIND_SETTLED_ELSEWHERE,
                                  .revision = listed(payment_id, 0).revision,
                                  .key = new_word(),
                                  .reference = "bank transfer 17"};

    (void)state;
    decide(&o);
    assert_int_equal(o.code, TF_OK);
    wait_for_refund_of(payment_id, "SETTLED", ODD_MINOR);
    sleep_ms(300);
    assert_int_equal(refunded_minor(payment_id), 0);
    assert_int_equal(events(order_no, "refund.succeeded"), 1);
}

/* The books correct themselves before the decision: there is nothing to decide, the payment pays. After it: the money
 * that was decided about never pays the order, and what came besides is parked anew. */
static void test_books_change(void **state)
{
    int64_t order_no = order_payable(60000), payment_id = opened(order_no, NULL);
    struct order_of_operator o = {.payment_id = payment_id, .kind = DECISION_KIND_REFUND, .key = new_word()};
    ParkedMoney m;
    tf_ctx ctx;

    (void)state;
    /* Only a notification spoke of it: the books know of nothing. */
    as_user(&ctx, 0);
    sandbox_stop();
    ASSERT_OK(&ctx, notify_paid(&ctx, payment_id, ODD_MINOR));
    m = listed(payment_id, 0);
    assert_false(m.confirmed);
    o.revision = m.revision;
    expect(TF_PROVIDER_DOWN, o);
    sandbox_start();
    expect(TF_STATE_WRONG, o);
    assert_int_equal(listed(payment_id, 0).revision, 0);
    assert_int_equal(decisions_on(payment_id), 0);
    assert_int_equal(events(order_no, "payment.parked"), 0);
    tf_ctx_done(&ctx);

    order_no = order_payable(60000);
    o.payment_id = payment_id = odd_payment(order_no);
    o.revision = listed(payment_id, 0).revision;
    o.key = new_word();
    expect(TF_OK, o);
    wait_for_refund_of(payment_id, "SUCCEEDED", ODD_MINOR);
    as_user(&ctx, 0);
    sandbox_stop();
    ASSERT_OK(&ctx, notify_paid(&ctx, payment_id, ODD_MINOR)); /* a repetition of what was decided */
    assert_int_equal(listed(payment_id, 0).revision, 0);
    ASSERT_OK(&ctx, notify_paid(&ctx, payment_id, AMOUNT_MINOR)); /* what was asked for, too late */
    m = listed(payment_id, 0);
    assert_int_equal(m.revision, o.revision + 1);
    assert_int_equal(m.amount_minor, AMOUNT_MINOR - ODD_MINOR); /* of it is not given back */
    tf_ctx_done(&ctx);
    sandbox_start();
    wait_for_sql(0, 5000, "SELECT parked::int FROM payment WHERE payment_id = %lld", (long long)payment_id);
    assert_int_equal(events(order_no, "payment.succeeded"), 0);
    assert_int_equal(refunded_minor(payment_id), ODD_MINOR);
}

static void test_refund_tried_again(void **state)
{
    int64_t order_no = order_payable(60000), payment_id, refund_id = refused_refund(order_no, &payment_id);
    struct order_of_operator o = {.refund_id = refund_id, .kind = DECISION_KIND_RETRY, .key = new_word()};
    int first;

    (void)state;
    o.revision = first = listed(0, refund_id).revision;
    fault(payment_id, "\"refuse_refund\":true"); /* refused once more: parked anew, another entry to decide on */
    expect(TF_OK, o);
    wait_for_sql(first + 1, 5000, "SELECT park_revision FROM refund WHERE refund_id = %lld", (long long)refund_id);
    expect(TF_OK, o); /* the key's decision is made; the refund stays parked */
    assert_int_equal(listed(0, refund_id).revision, first + 1);
    o.key = new_word();
    expect(TF_STATE_WRONG, o); /* decided about what was listed before */
    o.revision = first + 1;
    expect(TF_OK, o);
    wait_for_refund_of(payment_id, "SUCCEEDED", AMOUNT_MINOR);
    assert_int_equal(refunded_minor(payment_id), AMOUNT_MINOR);
    assert_int_equal(events(order_no, "refund.failed"), 2);
    assert_int_equal(events(order_no, "refund.started"), 2);
    assert_int_equal(events(order_no, "refund.succeeded"), 1);
    assert_int_equal(decisions_on(payment_id), 2);
}

static void test_refund_settled_elsewhere(void **state)
{
    int64_t order_no = order_payable(60000), payment_id, refund_id = refused_refund(order_no, &payment_id);
    struct order_of_operator o = {.refund_id = refund_id,
                                  .kind = DECISION_KIND_SETTLED_ELSEWHERE,
                                  .reference = "cash, receipt 4",
                                  .key = new_word()};

    (void)state;
    o.revision = listed(0, refund_id).revision;
    sandbox_stop();
    expect(TF_PROVIDER_DOWN, o); /* it may have paid back, unheard */
    sandbox_start();
    expect(TF_OK, o);
    wait_for_refund_of(payment_id, "SETTLED", AMOUNT_MINOR);
    assert_int_equal(events(order_no, "refund.succeeded"), 1);
    assert_int_equal(refunded_minor(payment_id), 0);
    o.kind = DECISION_KIND_RETRY;
    o.reference = "";
    o.key = new_word();
    expect(TF_STATE_WRONG, o);
    sleep_ms(300);
    assert_int_equal(refunded_minor(payment_id), 0);
}

/* Parked because nobody heard the provider's answer, and it had paid back: nothing is settled elsewhere. */
static void test_refund_done_unheard(void **state)
{
    int64_t order_no = order_payable(60000), payment_id, refund_id = new_refund_id(order_no);
    struct order_of_operator o = {.refund_id = refund_id,
                                  .kind = DECISION_KIND_SETTLED_ELSEWHERE,
                                  .reference = "cash, receipt 5",
                                  .key = new_word()};
    char url[WORLD_TEXT];

    (void)state;
    payment_id = opened(order_no, url);
    assert_int_equal(press(url), 200);
    wait_for_payment(payment_id, PAYMENT_STATE_SUCCEEDED, 5000);
    order_wants_refund(refund_id, payment_id, order_no, AMOUNT_MINOR, "CNY");
    wait_for_refund_of(payment_id, "SUCCEEDED", AMOUNT_MINOR);
    sql("UPDATE refund SET state = 'PARKED', succeeded_at = NULL, cause = 'the provider does not answer',"
        " parked_at = now(), park_revision = 1 WHERE refund_id = %lld RETURNING 0",
        (long long)refund_id);
    o.revision = 1;
    expect(TF_STATE_WRONG, o);
    wait_for_refund_of(payment_id, "SUCCEEDED", AMOUNT_MINOR);
    assert_int_equal(refunded_minor(payment_id), AMOUNT_MINOR);
    assert_int_equal(decisions_on(payment_id), 0);
}

static void *decide_thread(void *arg)
{
    decide(arg);
    return NULL;
}

/* Many at once, by two operators, some repeating one key: one decision, the money goes back once. */
static void test_race(void **state)
{
    enum { CALLS = 8 };
    int64_t order_no = order_payable(60000), payment_id = odd_payment(order_no);
    int revision = listed(payment_id, 0).revision, won = 0, lost = 0;
    struct order_of_operator calls[CALLS];
    const char *key = new_word();
    pthread_t threads[CALLS];
    int64_t winner = 0;

    (void)state;
    for (int i = 0; i < CALLS; i++) {
        calls[i] = (struct order_of_operator){.operator_id = i % 2 ? OTHER_OPERATOR : OPERATOR,
                                              .payment_id = payment_id,
                                              .kind = i % 2 ? DECISION_KIND_SETTLED_ELSEWHERE : DECISION_KIND_REFUND,
                                              .reference = i % 2 ? "bank transfer 18" : "",
                                              .revision = revision,
                                              .key = key};
        assert_int_equal(pthread_create(&threads[i], NULL, decide_thread, &calls[i]), 0);
    }
    for (int i = 0; i < CALLS; i++) {
        pthread_join(threads[i], NULL);
        won += calls[i].code == TF_OK;
        lost += calls[i].code == TF_STATE_WRONG;
        if (calls[i].code == TF_OK && winner) assert_int_equal(calls[i].decision_id, winner);
        if (calls[i].code == TF_OK) winner = calls[i].decision_id;
    }
    assert_int_equal(won, CALLS / 2); /* one operator's, each of them the same decision */
    assert_int_equal(lost, CALLS / 2);
    assert_int_equal(decisions_on(payment_id), 1);
    wait_for_sql(
        ODD_MINOR, 5000,
        "SELECT sum(amount_minor)::int8 FROM refund WHERE payment_id = %lld AND state IN ('SUCCEEDED', 'SETTLED')",
        (long long)payment_id);
    assert_int_equal(sql("SELECT count(*) FROM refund WHERE payment_id = %lld", (long long)payment_id), 1);
}

/* pay dies right after the decision's transaction: the refund goes out when it is back. */
static void test_crash_after_the_decision(void **state)
{
    int64_t order_no = order_payable(60000), payment_id = odd_payment(order_no);
    struct order_of_operator o = {.payment_id = payment_id,
                                  .kind = DECISION_KIND_REFUND,
                                  .revision = listed(payment_id, 0).revision,
                                  .key = new_word()};

    (void)state;
    /* A provider that stands still lets the decision's question time out, and nothing is decided. */
    sandbox_pause(true);
    expect(TF_PROVIDER_DOWN, o);
    sandbox_pause(false);
    expect(TF_OK, o);
    pay_kill();
    pay_again();
    wait_for_refund_of(payment_id, "SUCCEEDED", ODD_MINOR);
    assert_int_equal(refunded_minor(payment_id), ODD_MINOR);
    expect(TF_OK, o);
    assert_int_equal(decisions_on(payment_id), 1);
}

static void test_requests(void **state)
{
    static const char *const long_text =
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789x";
    int64_t order_no = order_payable(60000), payment_id = odd_payment(order_no);
    int revision = listed(payment_id, 0).revision;
    const struct {
        const char *name;
        struct order_of_operator o;
        tf_code code;
    } rows[] = {
        {"no kind", {.key = "a-good-key"}, TF_FIELD_INVALID},
        {"a refund's kind", {.key = "a-good-key", .kind = DECISION_KIND_RETRY}, TF_FIELD_INVALID},
        {"a kind of the future", {.key = "a-good-key", .kind = (DecisionKind)77}, TF_FIELD_INVALID},
        {"short key", {.key = "short", .kind = DECISION_KIND_REFUND}, TF_FIELD_INVALID},
        {"no reason", {.key = "a-good-key", .kind = DECISION_KIND_REFUND, .reason = ""}, TF_FIELD_INVALID},
        {"long reason", {.key = "a-good-key", .kind = DECISION_KIND_REFUND, .reason = long_text}, TF_FIELD_INVALID},
        {"control in reason", {.key = "a-good-key", .kind = DECISION_KIND_REFUND, .reason = "a\nb"}, TF_FIELD_INVALID},
        {"no reference", {.key = "a-good-key", .kind = DECISION_KIND_SETTLED_ELSEWHERE}, TF_FIELD_INVALID},
        {"reference of none",
         {.key = "a-good-key", .kind = DECISION_KIND_REFUND, .reference = "bank"},
         TF_FIELD_INVALID},
        {"another revision", {.key = "a-good-key", .kind = DECISION_KIND_REFUND, .revision = 99}, TF_STATE_WRONG},
        {"nobody's payment", {.key = "a-good-key", .kind = DECISION_KIND_REFUND, .payment_id = 4711}, TF_NOT_FOUND},
        {"another organiser",
         {.key = "a-good-key", .kind = DECISION_KIND_REFUND, .role = TF_ROLE_ORGANISER_ADMIN, .organiser_id = 6},
         TF_NOT_FOUND},
        {"a scanner",
         {.key = "a-good-key", .kind = DECISION_KIND_REFUND, .role = TF_ROLE_SCANNER, .organiser_id = 5},
         TF_FORBIDDEN},
        {"its organiser",
         {.key = "a-good-key", .kind = DECISION_KIND_REFUND, .role = TF_ROLE_ORGANISER_ADMIN, .organiser_id = 5},
         TF_OK},
    };

    (void)state;
    assert_int_equal(listed_for(6, payment_id, 0, 200).revision, 0);
    assert_int_equal(listed_for(ORGANISER, payment_id, 0, 200).revision, revision);
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct order_of_operator o = rows[i].o;

        if (!o.payment_id) o.payment_id = payment_id;
        if (!o.revision) o.revision = revision;
        decide(&o);
        if (o.code != rows[i].code) fail_msg("%s: %s", rows[i].name, tf_code_info(o.code)->reason);
        assert_int_equal(decisions_on(payment_id), rows[i].code == TF_OK);
    }
}

/* Pages of decisions hold each one once, newest first, and only the scope's. */
static void test_decisions_listed(void **state)
{
    ListMoneyDecisionsRequest request = ListMoneyDecisionsRequest_init;
    int64_t last = INT64_MAX, n = 0;
    char token[64] = "";

    (void)state;
    do {
        ListMoneyDecisionsResponse *response;
        tf_ctx ctx;

        as_operator(&ctx, OPERATOR, TF_ROLE_PLATFORM_OPERATOR, 0);
        request.page_size = 3;
        request.page_token = token;
        ASSERT_OK(&ctx, call_list_money_decisions(&ctx, pay_client(), &request, &response));
        for (size_t i = 0; i < response->n_decisions; i++, n++) {
            assert_true(response->decisions[i]->decision_id < last);
            last = response->decisions[i]->decision_id;
        }
        snprintf(token, sizeof(token), "%s", response->next_page_token);
        request.page_token = (char *)"1-2";
        ASSERT_CODE(&ctx, call_list_money_decisions(&ctx, pay_client(), &request, &response), TF_FIELD_INVALID);
        tf_ctx_done(&ctx);
    } while (*token);
    assert_int_equal(n, sql("SELECT count(*) FROM money_decision"));
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payment_goes_back),
        cmocka_unit_test(test_payment_settled_elsewhere),
        cmocka_unit_test(test_books_change),
        cmocka_unit_test(test_refund_tried_again),
        cmocka_unit_test(test_refund_settled_elsewhere),
        cmocka_unit_test(test_refund_done_unheard),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_crash_after_the_decision),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_decisions_listed),
    };

    return cmocka_run_group_tests(tests, harness_start, harness_stop);
}
