/* Tickets, their codes, and the door. */
#include "tests/integration/order/service/harness.h"

#include "common/base/text.h"
#include "services/order/domain/ticket_code.h"

#include <pthread.h>
#include <stdlib.h>

#define PLACES(...) ((const int32_t[]){__VA_ARGS__, 0})

static int64_t payment_ids = 5000;

static Ticket *ticket_of(tf_ctx *ctx, int64_t order_no)
{
    GetTicketRequest request = GetTicketRequest_init;
    GetTicketResponse *response;

    request.ticket_id = order_of(ctx, order_no)->tickets[0]->ticket_id;
    ASSERT_OK(ctx, call_get_ticket(ctx, order_client, &request, &response));
    return response->ticket;
}

static tf_code redeem(tf_ctx *ctx, int64_t show_id, const char *code, RedeemTicketResponse **ret)
{
    RedeemTicketRequest request = RedeemTicketRequest_init;

    request.show_id = show_id;
    request.code = (char *)code;
    request.door = (char *)"Door 3";
    return call_redeem_ticket(ctx, order_client, &request, ret);
}

static void as_scanner(tf_ctx *ctx)
{
    as_operator(ctx, TF_ROLE_SCANNER, FIXTURE_ORGANISER);
}

static void test_ticket(void **state)
{
    struct fixture_show show = show_on_sale();
    ListTicketKeysRequest keys_request = ListTicketKeysRequest_init;
    ListTicketKeysResponse *keys;
    struct ticket_claims claims;
    int64_t order_no, ticket_id;
    GetTicketRequest request = GetTicketRequest_init;
    GetTicketResponse *response;
    Ticket *ticket;
    size_t size;
    void *key;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    order_no = paid(7, show.show_id, PLACES(34), ++payment_ids);
    as_buyer(&ctx, 7);
    ticket = ticket_of(&ctx, order_no);
    ticket_id = ticket->ticket_id;
    assert_int_equal(ticket->state, TICKET_STATE_VALID);
    assert_string_equal(ticket->title, "Swan Lake");
    assert_string_equal(ticket->place_text, "Stalls, row A, seat 5");
    assert_string_equal(ticket->entrance, "East gate");
    assert_string_equal(ticket->entry_rule, "One ticket a person");
    assert_int_equal(ticket->price_minor, 10500);

    /* Anybody can verify the code with the published key. */
    ASSERT_OK(&ctx, call_list_ticket_keys(&ctx, order_client, &keys_request, &keys));
    assert_int_equal(keys->n_keys, 1);
    assert_string_equal(keys->keys[0]->algorithm, "Ed25519");
    key = tf_base64_decode(ctx.arena, keys->keys[0]->public_key, strlen(keys->keys[0]->public_key), true, &size);
    assert_int_equal(size, TF_SIGN_PUBLIC_BYTES);
    assert_true(ticket_code_read(ctx.arena, ticket->code, keys->keys[0]->key_id, key, &claims));
    assert_int_equal(claims.ticket_id, ticket_id);
    assert_int_equal(claims.show_id, show.show_id);
    tf_ctx_done(&ctx);

    /* Another buyer sees nothing; the organiser sees the ticket without its code. */
    request.ticket_id = ticket_id;
    as_buyer(&ctx, 8);
    ASSERT_CODE(&ctx, call_get_ticket(&ctx, order_client, &request, &response), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
    as_operator(&ctx, TF_ROLE_ORGANISER_ADMIN, FIXTURE_ORGANISER);
    ASSERT_OK(&ctx, call_get_ticket(&ctx, order_client, &request, &response));
    assert_string_equal(response->ticket->code, "");
    tf_ctx_done(&ctx);

    /* Not paid: held, no code. */
    order_no = bought(7, show.show_id, PLACES(36));
    as_buyer(&ctx, 7);
    ticket = ticket_of(&ctx, order_no);
    assert_int_equal(ticket->state, TICKET_STATE_HELD);
    assert_string_equal(ticket->code, "");
    tf_ctx_done(&ctx);
}

static void test_refusals_at_the_door(void **state)
{
    struct fixture_show show = show_on_sale(), other = show_on_sale();
    RedeemTicketResponse *response;
    char code[TICKET_CODE_LENGTH_MAX], forged[TICKET_CODE_LENGTH_MAX];
    tf_ctx ctx;

    (void)state;
    publish(&show);
    publish(&other);
    as_buyer(&ctx, 7);
    strcpy(code, ticket_of(&ctx, paid(7, show.show_id, PLACES(34), ++payment_ids))->code);
    tf_ctx_done(&ctx);
    strcpy(forged, code);
    forged[10] = forged[10] == 'A' ? 'B' : 'A';

    as_scanner(&ctx);
    ASSERT_CODE(&ctx, redeem(&ctx, show.show_id, forged, &response), TF_TICKET_FORGED);
    ASSERT_CODE(&ctx, redeem(&ctx, show.show_id, "hello", &response), TF_TICKET_FORGED);
    ASSERT_CODE(&ctx, redeem(&ctx, show.show_id, "", &response), TF_FIELD_INVALID);
    ASSERT_CODE(&ctx, redeem(&ctx, other.show_id, code, &response), TF_TICKET_OTHER_SHOW);
    ASSERT_CODE(&ctx, redeem(&ctx, new_show_id(), code, &response), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
    as_operator(&ctx, TF_ROLE_SCANNER, FIXTURE_ORGANISER + 1);
    ASSERT_CODE(&ctx, redeem(&ctx, show.show_id, code, &response), TF_NOT_FOUND);
    tf_ctx_done(&ctx);
    as_buyer(&ctx, 7);
    ASSERT_CODE(&ctx, redeem(&ctx, show.show_id, code, &response), TF_FORBIDDEN);
    tf_ctx_done(&ctx);

    as_scanner(&ctx);
    ASSERT_OK(&ctx, redeem(&ctx, show.show_id, code, &response));
    assert_int_equal(response->ticket->state, TICKET_STATE_USED);
    assert_string_equal(response->ticket->place_text, "Stalls, row A, seat 5");
    assert_int_equal(redeem(&ctx, show.show_id, code, &response), TF_TICKET_USED);
    assert_non_null(error_param(&ctx, "used_time"));
    assert_string_equal(error_param(&ctx, "door"), "Door 3");
    tf_ctx_done(&ctx);
}

/* ---- many scanners, and scanner against refund
 * ------------------------------------------------------------------------ */

enum { SCANNERS = 24 };

struct scan {
    int64_t show_id, refund_order; /* refund_order: an operator instead of a scanner */
    const char *code;
    tf_code result;
};

static void *run_scan(void *arg)
{
    struct scan *scan = arg;
    tf_ctx ctx;

    if (scan->refund_order) {
        RefundOrderRequest request = RefundOrderRequest_init;
        RefundOrderResponse *response;

        as_operator(&ctx, TF_ROLE_PLATFORM_OPERATOR, 0);
        request.order_no = scan->refund_order;
        request.reason = (char *)"the buyer is ill";
        scan->result = call_refund_order(&ctx, order_client, &request, &response);
    } else {
        RedeemTicketResponse *response;

        as_scanner(&ctx);
        scan->result = redeem(&ctx, scan->show_id, scan->code, &response);
    }
    tf_ctx_done(&ctx);
    return NULL;
}

static void test_many_scanners(void **state)
{
    struct fixture_show show = show_on_sale();
    struct scan scans[SCANNERS];
    pthread_t threads[SCANNERS];
    char code[TICKET_CODE_LENGTH_MAX];
    int admitted = 0;
    tf_ctx ctx;

    (void)state;
    publish(&show);
    as_buyer(&ctx, 7);
    strcpy(code, ticket_of(&ctx, paid(7, show.show_id, PLACES(34), ++payment_ids))->code);
    tf_ctx_done(&ctx);
    for (int i = 0; i < SCANNERS; i++) {
        scans[i] = (struct scan){.show_id = show.show_id, .code = code};
        assert_int_equal(pthread_create(&threads[i], NULL, run_scan, &scans[i]), 0);
    }
    for (int i = 0; i < SCANNERS; i++) {
        pthread_join(threads[i], NULL);
        admitted += scans[i].result == TF_OK;
        if (scans[i].result) CHECK_TEXT("scan", tf_code_info(scans[i].result)->reason, "TICKET_USED");
    }
    assert_int_equal(admitted, 1);
}

static void test_scan_against_refund(void **state)
{
    enum { ROUNDS = 10 };
    struct fixture_show show = show_on_sale();

    (void)state;
    publish(&show);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t user = 300 + round, order_no = paid(user, show.show_id, PLACES(48 + round), ++payment_ids);
        struct scan scans[2];
        pthread_t threads[2];
        char code[TICKET_CODE_LENGTH_MAX];
        tf_ctx ctx;

        as_buyer(&ctx, user);
        strcpy(code, ticket_of(&ctx, order_no)->code);
        tf_ctx_done(&ctx);
        scans[0] = (struct scan){.show_id = show.show_id, .code = code};
        scans[1] = (struct scan){.refund_order = order_no};
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, run_scan, &scans[(i + round) % 2]), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        if (scans[0].result == TF_OK)
            CHECK_TEXT("refund of a used ticket", tf_code_info(scans[1].result)->reason, "STATE_WRONG");
        else
            CHECK_TEXT("scan of a refunded ticket", tf_code_info(scans[0].result)->reason, "TICKET_VOID");
        assert_true((scans[0].result == TF_OK) != (scans[1].result == TF_OK));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticket),
        cmocka_unit_test(test_refusals_at_the_door),
        cmocka_unit_test(test_many_scanners),
        cmocka_unit_test(test_scan_against_refund),
    };

    return cmocka_run_group_tests(tests, harness_start, harness_stop);
}
